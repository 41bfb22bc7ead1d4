"""`time.sleep` that lets the other greenlets run."""

from celadon._core import sleep as _sleep

__all__ = ["sleep"]


def sleep(seconds, /):
    """Suspend the calling greenlet for *seconds*; as `time.sleep`."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    _sleep(seconds)
