"""Calls of `os` that wait, for greenlets.

fork() leaves the child with the greenlet that called it; see reinit().
Children are waited for through pidfds, so no SIGCHLD handler is needed and
nobody else's child is reaped; who waits for any child waits for those that
/proc lists.  read() and write() wait for descriptors that
can be waited for (pipes, terminals, sockets) and are in blocking mode; for
others they are the system's own.
"""

import errno
import os
import select
from fcntl import F_GETFL, fcntl

from celadon._core import get_hub, getcurrent, poll as _poll, sleep

__all__ = [
    "fork",
    "forkpty",
    "read",
    "wait",
    "wait3",
    "wait4",
    "waitid",
    "waitpid",
    "write",
]

_fork = os.fork
_forkpty = os.forkpty
_read = os.read
_write = os.write
_wait3 = os.wait3
_wait4 = os.wait4
_waitid = os.waitid
_waitpid = os.waitpid

# A pipe that poll() calls writable takes this much without blocking.
_CHUNK = select.PIPE_BUF

# Between two looks at children that no pidfd stands for.
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.05

# Who waits for any child asks again so often which there are: one that was
# made meanwhile may end first.
_CHILDREN_ANEW = 0.25

# Of more children than this no pidfds are opened.
_MOST_CHILDREN = 100


def _may_wait():
    """The hub, unless it is what runs: callbacks must not wait."""
    hub = get_hub()
    return None if getcurrent() is hub else hub


# ---- children


def fork():
    """As os.fork().  The child has the calling greenlet only."""
    return _fork()


def forkpty():
    """As os.forkpty().  The child has the calling greenlet only."""
    return _forkpty()


def _children():
    """The numbers of this process's children; none where /proc is silent."""
    tasks = f"/proc/{os.getpid()}/task"
    pids = []
    for task in os.listdir(tasks) if os.path.isdir(tasks) else ():
        try:
            with open(f"{tasks}/{task}/children") as file:
                pids += map(int, file.read().split())
        except OSError:
            pass  # a thread that has just ended, or an old kernel
    return pids


def _is_meant(pid, wanted):
    """Whether waitpid(wanted) would take the child *pid*."""
    if wanted in (pid, -1):
        return True
    try:
        return os.getpgid(pid) == (-wanted or os.getpgrp())
    except OSError:
        return False


def _await_child(wanted):
    """Wait until a child that waitpid(*wanted*) would take has ended.

    Returns those that have; none where it is time to see who else there is;
    None where there is nothing to wait for.
    """
    pids = [wanted] if wanted > 0 else _children()
    if len(pids) > _MOST_CHILDREN:
        return None
    fds = []
    try:
        for pid in pids:
            if _is_meant(pid, wanted):
                fds.append(os.pidfd_open(pid))
        if not fds:
            return None
        limit = None if wanted > 0 else _CHILDREN_ANEW
        return _poll([(fd, select.POLLIN) for fd in fds], limit)
    except (OSError, AttributeError):
        # Not a child of ours any more, an old kernel, or no descriptor
        # left: the caller finds out, or looks again and again.
        return None
    finally:
        for fd in fds:
            os.close(fd)


def _until(wanted, look, nothing):
    """Call *look* until it returns something other than *nothing*.

    *wanted* is whose end it looks for, as for waitpid(); None: for other
    things, which no pidfd tells.
    """
    pause = _FIRST_PAUSE
    in_vain = False
    while True:
        result = look()
        if not nothing(result):
            return result
        ended = None if wanted is None else _await_child(wanted)
        # One may have ended that is not for us to take.
        if ended is None or (ended and in_vain):
            sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)
        in_vain = bool(ended)


def _only_ends(options):
    """Whether only a child's end is asked for: all that a pidfd tells."""
    return not options & (os.WUNTRACED | os.WCONTINUED)


def waitpid(pid, options, /):
    """As os.waitpid(): wait until a child has changed its state."""
    hub = _may_wait()
    if options & os.WNOHANG or hub is None:
        return _waitpid(pid, options)
    return _until(
        pid if _only_ends(options) else None,
        lambda: _waitpid(pid, options | os.WNOHANG),
        lambda result: result[0] == 0,
    )


def wait():
    """As os.wait(): wait for any child."""
    return waitpid(-1, 0)


def wait4(pid, options):
    """As os.wait4(): waitpid() with the child's resource usage."""
    hub = _may_wait()
    if options & os.WNOHANG or hub is None:
        return _wait4(pid, options)
    return _until(
        pid if _only_ends(options) else None,
        lambda: _wait4(pid, options | os.WNOHANG),
        lambda result: result[0] == 0,
    )


def wait3(options):
    """As os.wait3(): wait4() for any child."""
    return wait4(-1, options)


def waitid(idtype, id, options, /):
    """As os.waitid()."""
    hub = _may_wait()
    if options & os.WNOHANG or hub is None:
        return _waitid(idtype, id, options)
    ends = options & (os.WEXITED | os.WSTOPPED | os.WCONTINUED) == os.WEXITED
    wanted = {os.P_PID: id, os.P_ALL: -1}.get(idtype) if ends else None
    return _until(
        wanted,
        lambda: _waitid(idtype, id, options | os.WNOHANG),
        lambda result: result is None,
    )


# ---- descriptors


def _wait_ready(fd, event):
    """Wait for *event* on *fd*; False where that can't be waited for."""
    hub = _may_wait()
    try:
        flags = fcntl(fd, F_GETFL)
    except ValueError:
        return False  # negative: the call itself fails better
    wrong = os.O_WRONLY if event == select.POLLIN else os.O_RDONLY
    if hub is None or flags & os.O_NONBLOCK or flags & os.O_ACCMODE == wrong:
        return False
    try:
        hub.wait_fd(fd, event)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        # A plain file, always ready as poll() sees it.
        return False
    return True


def read(fd, length, /):
    """As os.read(); other greenlets run until there is something."""
    _wait_ready(fd, select.POLLIN)
    return _read(fd, length)


def write(fd, data, /):
    """As os.write(); other greenlets run until there is room."""
    if not _wait_ready(fd, select.POLLOUT):
        return _write(fd, data)
    view = memoryview(data).cast("B")
    done = _write(fd, view[:_CHUNK])
    # A blocking descriptor takes all of it, or fails.
    while done < len(view):
        try:
            _wait_ready(fd, select.POLLOUT)
            done += _write(fd, view[done : done + _CHUNK])
        except OSError:
            if done:
                return done
            raise
    return done
