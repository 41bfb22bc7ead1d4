"""The standard library's `select`, whose calls let other greenlets run.

select() and poll are made of `celadon._core.poll()`, so that descriptors are
not bounded by FD_SETSIZE; epoll is the kernel's, waited for by its own
descriptor.
"""

import errno
import math
import os
import select as _stdlib
import sys
from time import monotonic

from celadon._core import cancel_wait as _cancel_wait, poll as _poll

_ours = dict(globals())
globals().update(
    (name, value)
    for name, value in vars(_stdlib).items()
    if not name.startswith("__") and name not in _ours
)

__all__ = [name for name in vars(_stdlib) if not name.startswith("_")]

_epoll = _stdlib.epoll

# What select(2) counts as readable, writable and exceptional.
_READ = (
    _stdlib.POLLIN
    | _stdlib.POLLRDNORM
    | _stdlib.POLLRDBAND
    | _stdlib.POLLHUP
    | _stdlib.POLLERR
)
_WRITE = (
    _stdlib.POLLOUT
    | _stdlib.POLLWRNORM
    | _stdlib.POLLWRBAND
    | _stdlib.POLLERR
)
_SPECIAL = _stdlib.POLLPRI

# The longest poll.poll() waits, in milliseconds: an int's worth, and since
# 3.15 what fits into nanoseconds of 64 bits.
_LONGEST = (1 << 31) - 1
if sys.version_info >= (3, 15):
    _LONGEST = ((1 << 63) - 1) // 1_000_000


def _descriptor(thing):
    """Return the descriptor of *thing*, an int or an object with one."""
    if isinstance(thing, int):
        fd = int(thing)
    else:
        try:
            fileno = thing.fileno
        except AttributeError:
            raise TypeError(
                "argument must be an int, or have a fileno() method."
            ) from None
        fd = fileno()
        if not isinstance(fd, int):
            raise TypeError("fileno() returned a non-integer")
    if fd < 0:
        raise ValueError(
            f"file descriptor cannot be a negative integer ({fd})"
        )
    return fd


def _seconds(timeout):
    """Return select()'s timeout as a number of seconds, or None."""
    if timeout is None:
        return None
    try:
        timeout = float(timeout)
    except (TypeError, ValueError):
        raise TypeError("timeout must be a float or None") from None
    if math.isnan(timeout):
        raise ValueError("Invalid value NaN (not a number)")
    if timeout < 0:
        raise ValueError("timeout must be non-negative")
    return timeout


def select(rlist, wlist, xlist, timeout=None, /):
    """Wait until descriptors are readable, writable or exceptional.

    Returns the three lists of those that are; all empty after *timeout*
    seconds.
    """
    seconds = _seconds(timeout)
    lists = [
        ([(_descriptor(thing), thing) for thing in things], mask, meaning)
        for things, mask, meaning in (
            (rlist, _stdlib.POLLIN, _READ),
            (wlist, _stdlib.POLLOUT, _WRITE),
            (xlist, _stdlib.POLLPRI, _SPECIAL),
        )
    ]
    events = {}
    for pairs, mask, _ in lists:
        for fd, _ in pairs:
            events[fd] = events.get(fd, 0) | mask
    deadline = None if seconds is None else monotonic() + seconds
    while True:
        ready = dict(_poll(list(events.items()), seconds))
        if any(mask & _stdlib.POLLNVAL for mask in ready.values()):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        found = tuple(
            [thing for fd, thing in pairs if ready.get(fd, 0) & meaning]
            for pairs, _, meaning in lists
        )
        # What hangs up is news for poll(2), but not for whoever only
        # wants to write.
        if any(found) or not ready:
            return found
        if deadline is not None:
            seconds = max(deadline - monotonic(), 0)
            if seconds == 0:
                return found
        for fd, mask in ready.items():
            if not mask & ~_stdlib.POLLHUP:
                del events[fd]


class poll:
    """The kernel's poll(2) for greenlets; as `select.poll`."""

    def __init__(self):
        self._events = {}

    def register(
        self,
        fd,
        eventmask=_stdlib.POLLIN | _stdlib.POLLPRI | _stdlib.POLLOUT,
        /,
    ):
        """Watch a descriptor, or change what it is watched for."""
        fd = _descriptor(fd)
        self._events[fd] = _mask(eventmask)

    def modify(self, fd, eventmask, /):
        """Change what a descriptor is watched for."""
        fd = _descriptor(fd)
        if fd not in self._events:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._events[fd] = _mask(eventmask)

    def unregister(self, fd, /):
        """Watch a descriptor no more."""
        del self._events[_descriptor(fd)]

    def poll(self, timeout=None, /):
        """Wait at most *timeout* milliseconds; return [(fd, events), …].

        None, or a negative timeout: wait as long as it takes.
        """
        if timeout is not None:
            if not -_LONGEST - 1 <= timeout <= _LONGEST:
                raise OverflowError("timeout is too large")
            timeout = None if timeout < 0 else timeout / 1000
        return _poll(list(self._events.items()), timeout)


def _mask(eventmask):
    """Return a mask of events, which C has as an unsigned short."""
    if not isinstance(eventmask, int):
        raise TypeError(
            f"'{type(eventmask).__name__}' object cannot be interpreted"
            " as an integer"
        )
    if eventmask < 0:
        raise ValueError("value must be positive")
    if eventmask > 0xFFFF:
        raise OverflowError(
            "Python int too large to convert to C unsigned short"
        )
    return int(eventmask)


class epoll:
    """The kernel's epoll(7), waited for by greenlets; as `select.epoll`."""

    def __init__(self, sizehint=-1, flags=0):
        self._epoll = _epoll(sizehint, flags)

    @classmethod
    def fromfd(cls, fd, /):
        """Make an object of an epoll's descriptor."""
        return cls.around(_epoll.fromfd(fd))

    @classmethod
    def around(cls, epoll):
        """Make an object of one of the standard library's."""
        self = cls.__new__(cls)
        self._epoll = epoll
        return self

    def __enter__(self):
        self._epoll.__enter__()
        return self

    def __exit__(self, *exc):
        self.close()

    @property
    def closed(self):
        """Whether it has been closed."""
        return self._epoll.closed

    def close(self):
        """Close the descriptor; who waits for it gets an error."""
        if not self._epoll.closed:
            _cancel_wait(self._epoll, errno.EBADF)
        self._epoll.close()

    def fileno(self):
        """Return the epoll's own descriptor."""
        return self._epoll.fileno()

    def register(self, fd, eventmask=_stdlib.EPOLLIN
                 | _stdlib.EPOLLOUT | _stdlib.EPOLLPRI):
        """Watch a descriptor."""
        self._epoll.register(fd, eventmask)

    def modify(self, fd, eventmask):
        """Change what a descriptor is watched for."""
        self._epoll.modify(fd, eventmask)

    def unregister(self, fd):
        """Watch a descriptor no more."""
        self._epoll.unregister(fd)

    def poll(self, timeout=None, maxevents=-1):
        """Wait at most *timeout* seconds; return [(fd, events), …].

        None, or a negative timeout: wait as long as it takes.
        """
        events = self._epoll.poll(0, maxevents)
        if events or timeout == 0:
            return events
        if timeout is not None and timeout < 0:
            timeout = None
        deadline = None if timeout is None else monotonic() + timeout
        while not events:
            pair = (self._epoll.fileno(), _stdlib.POLLIN)
            ready = _poll([pair], timeout)
            events = self._epoll.poll(0, maxevents)
            if not ready:
                break
            if deadline is not None:
                timeout = max(deadline - monotonic(), 0)
        return events
