"""The hub in Python: what becomes of errors that nobody waits for.

All waiting and waking is in the extension; see python/ext/hub.h.
"""

import sys

from celadon import _core
from celadon._core import (
    BlockingSwitchOutError,
    GreenletExit,
    InvalidSwitchError,
    LoopExit,
    get_hub,
    getcurrent,
    sleep,
    spawn_raw,
)

__all__ = [
    "BlockingSwitchOutError",
    "GreenletExit",
    "Hub",
    "InvalidSwitchError",
    "LoopExit",
    "get_hub",
    "getcurrent",
    "sleep",
    "spawn_raw",
]


# Seconds: as good as for ever.
_LONG = 10**9


class Hub(_core.Hub):
    """A thread's hub: runs callbacks, reports errors.

    NOT_ERROR are exceptions that end a greenlet silently, SYSTEM_ERROR those
    that go on to the main greenlet.
    """

    SYSTEM_ERROR = (KeyboardInterrupt, SystemExit, SystemError)
    NOT_ERROR = (GreenletExit, SystemExit)
    exception_stream = None

    def handle_error(self, context, type, value, tb):
        """An exception came out of *context*, and nobody waits for it."""
        if type is None:
            return
        if isinstance(value, str):
            value = type(value)
        if not issubclass(type, self.NOT_ERROR):
            self.print_exception(context, type, value, tb)
        if context is None or issubclass(type, self.SYSTEM_ERROR):
            self.handle_system_error(type, value, tb)

    def join(self, timeout=None):
        """Wait until nothing is left to run; whether it came to that.

        For the main greenlet only.
        """
        if getcurrent() is not self.main:
            raise RuntimeError("only the main greenlet can join its hub")
        try:
            # A wait that counts for nothing: it does not keep itself up.
            sleep(_LONG if timeout is None else timeout, ref=False)
        except LoopExit:
            return True
        return False

    def handle_system_error(self, type, value, tb=None):
        """Let the main greenlet raise *value*."""
        if value is None or isinstance(value, str):
            value = type(value)
        self.throw_main(value.with_traceback(tb))

    def print_exception(self, context, type, value, tb):
        """Write the traceback, and where it came from, to the error stream."""
        stream = self.exception_stream
        if stream is None:
            stream = sys.stderr
        if stream is None:
            return
        if value is None:
            print(type.__name__, file=stream)
        else:
            from traceback import print_exception

            print_exception(type, value, tb, file=stream)
        if context is not None:
            name = type.__name__
            print(f"{context!r} failed with {name}\n", file=stream)
        try:
            stream.flush()
        except Exception:
            pass


_core.set_hub_class(Hub)
