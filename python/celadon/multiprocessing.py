"""Semaphores between processes that greenlets can wait for.

What else `multiprocessing` waits for are pipes and children, which patched
`os` and `selectors` see to.
"""

from time import monotonic

import _multiprocessing
from celadon._core import sleep
from celadon.thread import get_ident, remaining

__all__ = ["SemLock"]

# Nothing tells when another process releases a semaphore: seconds between
# two attempts.
_FIRST_PAUSE, _LAST_PAUSE = 0.0005, 0.01

# The kind of semaphore that its holder may take again: an RLock.
_RECURSIVE = 0


class SemLock(_multiprocessing.SemLock):
    """As _multiprocessing.SemLock, which all its locks are made of."""

    # Which greenlet holds an RLock: to the base all are the same thread.
    _owner = None

    def _is_mine(self):
        if self.kind == _RECURSIVE and self._owner != get_ident():
            return False
        return super()._is_mine()

    def _take(self):
        me = get_ident()
        if self.kind == _RECURSIVE and self._owner != me:
            if super()._is_mine():
                return False
        if not super().acquire(False):
            return False
        self._owner = me
        return True

    def acquire(self, block=True, timeout=None):
        """Take the semaphore; whether it was to be had within *timeout*."""
        if self._take():
            return True
        if not block:
            return False
        deadline = None if timeout is None else monotonic() + max(timeout, 0)
        pause = _FIRST_PAUSE
        while (left := remaining(deadline)) != 0:
            sleep(pause if left is None else min(pause, left))
            if self._take():
                return True
            pause = min(pause * 2, _LAST_PAUSE)
        return False

    def __enter__(self):
        return self.acquire()
