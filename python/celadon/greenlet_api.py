"""What greenlet's module offers, under greenlet's names.

The type here is the raw greenlet (celadon.Greenlet is the one to wait for).
"""

from celadon._core import (
    GreenletExit,
    error,
    getcurrent,
    gettrace,
    greenlet,
    settrace,
)

__all__ = [
    "GreenletExit",
    "error",
    "getcurrent",
    "gettrace",
    "greenlet",
    "settrace",
]
