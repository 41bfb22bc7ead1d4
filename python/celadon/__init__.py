"""Celadon: blocking Python, made concurrent.

Greenlets on a C engine, with the interface of gevent:

    from celadon.monkey import patch_all
    patch_all()

or, without a change to the program, ``python -m celadon app.py``.

Importing this starts no thread, opens no descriptor and installs no handler.
"""

from celadon._core import (
    Greenlet,
    GreenletExit,
    Timeout,
    getcurrent,
    sleep,
    spawn,
    spawn_raw,
)
from celadon.greenlet import iwait, joinall, kill, killall, wait
from celadon.hub import get_hub
from celadon.timeout import with_timeout

__all__ = [
    "Greenlet",
    "GreenletExit",
    "Timeout",
    "fork",
    "get_hub",
    "getcurrent",
    "getswitchinterval",
    "idle",
    "iwait",
    "joinall",
    "kill",
    "killall",
    "reinit",
    "setswitchinterval",
    "signal_handler",
    "sleep",
    "spawn",
    "spawn_later",
    "spawn_raw",
    "wait",
    "with_timeout",
]

__version__ = "0.1.0"

spawn_later = Greenlet.spawn_later


def idle(priority=0):
    """Let every greenlet that can run have its turn before going on."""
    del priority
    sleep(0)


def reinit(hub=None):
    """Make the hub usable in a child after fork: it sees to that itself."""
    del hub


def fork():
    """Fork the process, as os.fork(); hub and greenlets live on in both."""
    from celadon.os import fork

    return fork()


# What needs more than the engine is imported when it is asked for.
_LAZY = {
    "signal_handler": "celadon.signal",
    "getswitchinterval": "sys",
    "setswitchinterval": "sys",
}


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
