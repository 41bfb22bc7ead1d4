"""The functions of `_thread`, over greenlets.

A thread is a raw greenlet of the hub of whoever starts it, and is known by
the address of its greenlet; the thread that the process began with keeps the
identity the system gave it.
"""

import sys
from time import monotonic

from celadon._core import (
    RLock,
    get_ident,
    local,
    lock as LockType,
    spawn_raw,
    thread_failed,
)

__all__ = [
    "LockType",
    "RLock",
    "allocate",
    "allocate_lock",
    "get_ident",
    "start_new",
    "start_new_thread",
]

_local = local
lock = allocate = allocate_lock = LockType


# Threads that start_new_thread() started and that have not ended.
_running = 0


def count_raw():
    """How many threads of this module run."""
    return _running


def _run(function, args, kwargs):
    global _running
    _running += 1
    try:
        function(*args, **kwargs)
    except SystemExit:
        pass
    except BaseException as error:
        thread_failed(function, error)
    finally:
        _running -= 1


def start_new_thread(function, args, kwargs=None, /):
    """Start a thread that calls *function*; return its identity."""
    if not callable(function):
        raise TypeError("first arg must be callable")
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    if kwargs is None:
        kwargs = {}
    elif not isinstance(kwargs, dict):
        raise TypeError("optional 3rd arg must be a dictionary")
    sys.audit("_thread.start_new_thread", function, args, kwargs)
    return id(spawn_raw(_run, function, args, kwargs))


start_new = start_new_thread


class _ThreadHandle:
    """What CPython 3.13 and later keep of a thread that can be joined."""

    __slots__ = ("ident", "_done", "__weakref__")

    def __init__(self):
        from celadon._core import Event

        self.ident = 0
        self._done = Event()

    def is_done(self):
        """Whether the thread has ended."""
        return self._done.is_set()

    def _check_started(self):
        if not self.ident:
            raise RuntimeError("thread not started")

    def _set_done(self):
        """Let those who join go on."""
        self._check_started()
        self._done.set()

    def join(self, timeout=None):
        """Wait until the thread has ended, at most *timeout* seconds."""
        self._check_started()
        if timeout is not None and timeout < 0:
            timeout = None
        if self.ident == get_ident() and not self.is_done():
            raise RuntimeError("Cannot join current thread")
        self._done.wait(timeout)

    def __repr__(self):
        return f"<_ThreadHandle object: ident={self.ident}>"


def _make_thread_handle(ident):
    handle = _ThreadHandle()
    handle.ident = ident
    return handle


# Non-daemon threads that start_joinable_thread() started: waited for at exit.
_joinable = set()


def _run_joinable(function, handle):
    try:
        _run(function, (), {})
    finally:
        _joinable.discard(handle)
        handle._set_done()


def start_joinable_thread(function, handle=None, daemon=True):
    """Start a thread that calls *function*; return the handle to join it."""
    if not callable(function):
        raise TypeError("thread function must be callable")
    if handle is None:
        handle = _ThreadHandle()
    elif not isinstance(handle, _ThreadHandle):
        raise TypeError("'handle' must be a _ThreadHandle")
    elif handle.ident:
        raise RuntimeError("thread already started")
    sys.audit("_thread.start_joinable_thread", function, daemon, handle)
    if not daemon:
        _joinable.add(handle)
    handle.ident = id(spawn_raw(_run_joinable, function, handle))
    return handle


def join_joinable():
    """Wait for the threads that were not started as daemons."""
    while _joinable:
        next(iter(_joinable)).join()


def remaining(deadline):
    """Seconds until *deadline*, at least 0; None for None."""
    return None if deadline is None else max(deadline - monotonic(), 0)
