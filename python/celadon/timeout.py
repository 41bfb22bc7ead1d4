"""Timeouts: an exception that is raised in who has waited too long."""

from celadon._core import Timeout

__all__ = ["Timeout", "with_timeout"]

_RAISE = object()


def with_timeout(seconds, function, *args, timeout_value=_RAISE, **kwargs):
    """Call *function*; let Timeout be raised if it takes over *seconds*.

    Given *timeout_value*, that is returned instead.
    """
    timeout = Timeout.start_new(seconds)
    try:
        return function(*args, **kwargs)
    except Timeout as raised:
        if raised is timeout and timeout_value is not _RAISE:
            return timeout_value
        raise
    finally:
        timeout.cancel()
