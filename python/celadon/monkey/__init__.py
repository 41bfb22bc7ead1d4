"""Monkey patching: let the standard library wait through the hub.

    from celadon.monkey import patch_all
    patch_all()

first thing in a program makes its blocking code cooperative: threads become
greenlets, and whatever waits lets the others run.  Called late it reaches as
far as it can: names that other modules have imported, locks, sockets and
classes that exist already are seen to; what can't be reached is said in a
MonkeyPatchWarning.
"""

import sys
from importlib import import_module

from celadon.monkey import _late, _names, _saved, _table
from celadon.monkey._saved import (
    get_original,
    is_anything_patched,
    is_module_patched,
    is_object_patched,
    patch_item,
    patch_module,
    remove_item,
    saved,
)
from celadon.monkey._warn import MonkeyPatchWarning, warn

__all__ = [
    "MonkeyPatchWarning",
    "get_original",
    "is_anything_patched",
    "is_module_patched",
    "is_object_patched",
    "main",
    "patch_all",
    "patch_builtins",
    "patch_contextvars",
    "patch_dns",
    "patch_item",
    "patch_module",
    "patch_os",
    "patch_queue",
    "patch_select",
    "patch_selectors",
    "patch_signal",
    "patch_socket",
    "patch_ssl",
    "patch_subprocess",
    "patch_sys",
    "patch_thread",
    "patch_time",
    "remove_item",
    "saved",
]

# The parts that have been patched, each once.
_done = set()

# What patch_all() was called with; None: not yet.
_called_with = None


def _patch(part):
    """Replace what the table says of *part*; whether it was not yet."""
    if part in _done:
        return False
    _done.add(part)
    for target, source, names in _table.PARTS.get(part, ()):
        _saved.patch_module(
            import_module(target), import_module(source), names
        )
    return True


def patch_time():
    """Let time.sleep() let others run."""
    _patch("time")


def patch_os():
    """Let fork() and the calls that wait for children or pipes cooperate."""
    _patch("os")


def patch_thread(
    threading=True, _threading_local=True, Event=True, logging=True,
    existing_locks=True,
):
    """Let threads be greenlets, and locks theirs.

    The class threading.Thread stays; its methods are replaced.  Locks made
    before are replaced too, those of *logging* among them, unless
    *existing_locks* is false.
    """
    del threading, _threading_local, logging
    if "thread" not in _done:
        _done.add("thread")
        from celadon.monkey import _thread

        _thread.patch(Event=Event, existing=existing_locks)


def patch_queue():
    """Let the classes of `queue` be those of celadon.queue.

    Each SimpleQueue made before is replaced by one of these.
    """
    if _patch("queue"):
        _late.replace_queues()


def patch_socket(dns=True, aggressive=True):
    """Let sockets wait through the hub, and names be looked up there."""
    del aggressive
    if _patch("socket"):
        from celadon.monkey import _socket

        _socket.adopt_existing()
    if dns:
        patch_dns()


def patch_dns():
    """Let other greenlets run while a name is looked up."""
    _patch("dns")


def patch_select(aggressive=True):
    """Let select, poll and epoll wait through the hub."""
    del aggressive
    _patch("select")
    patch_selectors()


def patch_selectors(aggressive=True):
    """Let selectors wait through the hub, those there are among them.

    And psycopg by these: PSYCOPG_WAIT_FUNC, unless it is set, is set.
    """
    del aggressive
    if _patch("selectors"):
        _late.adopt_selectors()
        _late.let_psycopg_select()


def patch_ssl():
    """Let TLS sockets wait through the hub."""
    if _patch("ssl"):
        from celadon.monkey import _ssl

        _ssl.patch()


def patch_subprocess():
    """Let pipes of child processes wait through the hub.

    Waiting for the children themselves needs patch_os() and patch_time().
    """
    if _patch("subprocess"):
        import subprocess

        from celadon.subprocess import cooperative_io

        patch_item(subprocess, "io", cooperative_io)


def patch_signal():
    """Let what a handler raises be raised in the main greenlet."""
    if _patch("signal"):
        from celadon import signal

        signal.adopt()


def patch_sys():
    """Let reading standard input let others run."""
    if _patch("sys"):
        from celadon.monkey import _sys

        _sys.patch()


def patch_builtins():
    """Nothing: imports of greenlets exclude each other already."""


def patch_contextvars():
    """Nothing: greenlets have contexts of their own already."""


def _check_again(arguments):
    """Second and later calls: is what they ask for what was done?"""
    asked = {
        name
        for name, value in arguments.items()
        if value != _called_with.get(name)
    }
    if asked:
        names = ", ".join(
            f"{name}={arguments[name]!r}" for name in sorted(asked)
        )
        warn(
            f"patch_all() was called before with other arguments than "
            f"{names}.  What is patched stays patched; call it once, or "
            "with the same arguments."
        )


def patch_all(
    socket=True,
    dns=True,
    time=True,
    select=True,
    thread=True,
    os=True,
    ssl=True,
    subprocess=True,
    sys=False,
    aggressive=True,
    Event=True,
    builtins=True,
    signal=True,
    queue=True,
    contextvars=True,
    **unknown,
):
    """Patch all parts of the standard library that block.

    Each argument is a part that can be left out.  Calling it again with the
    same arguments does nothing.  Returns whether it patched anything.
    """
    global _called_with
    arguments = dict(locals())
    del arguments["unknown"]
    if unknown:
        names = ", ".join(sorted(unknown))
        raise TypeError(
            f"patch_all() knows no part called {names}; it knows "
            + ", ".join(arguments)
        )
    if _called_with is not None:
        _check_again(arguments)
    elif not any(arguments.values()):
        return False
    before = len(_done)
    if _called_with is None or arguments != _called_with:
        _patch_parts(arguments, dns=dns, Event=Event)
        _called_with = arguments
    return len(_done) > before


# In the order in which they are patched: threads after what tells the time,
# and before the modules that make locks when they are imported.
_ORDER = {
    "os": patch_os,
    "time": patch_time,
    "thread": patch_thread,
    "socket": patch_socket,
    "dns": patch_dns,
    "select": patch_select,
    "ssl": patch_ssl,
    "subprocess": patch_subprocess,
    "sys": patch_sys,
    "builtins": patch_builtins,
    "signal": patch_signal,
    "queue": patch_queue,
    "contextvars": patch_contextvars,
}


def _patch_parts(arguments, dns, Event):
    for name, patch in _ORDER.items():
        if not arguments[name]:
            continue
        if name == "thread":
            patch(Event=Event)
        elif name == "socket":
            patch(dns=dns)
        else:
            patch()
    _names.replace_everywhere()


def main():
    """The command line of ``python -m celadon.monkey``."""
    from celadon.__main__ import main as run

    return run(sys.argv[1:], prog="celadon.monkey")
