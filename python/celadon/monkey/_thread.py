"""Patching threads: `_thread`, `threading` and what was made with them."""

import sys
import threading
from importlib import import_module

from celadon.monkey import _locks, _saved, _table
from celadon.monkey._warn import warn


def _native_threads():
    """Threads of the system that run besides this one."""
    me = threading.current_thread()
    return [
        thread
        for thread in threading.enumerate()
        if thread is not me and thread is not threading.main_thread()
    ]


def _warn_if_late():
    if threading.current_thread() is not threading.main_thread():
        warn(
            "patch_all() was called in a thread that is not the main one: "
            "greenlets of this thread cooperate with each other, the main "
            "thread does not.  Call it first thing in the program."
        )
    running = _native_threads()
    if running:
        names = ", ".join(sorted(thread.name for thread in running))
        warn(
            f"threads were started before patch_all() and stay threads of "
            f"the system: {names}.  Call patch_all() first thing in the "
            "program, before anything that starts threads is imported."
        )


def patch(Event=True, existing=True):
    """Replace the functions, the methods of Thread, and locks that are free.

    *Event*: threading.Event too, else it works over the new locks.
    *existing*: locks that were made before.
    """
    from celadon import thread as ours
    from celadon import threading as methods

    _warn_if_late()
    for module, source, names in _table.PARTS["thread"]:
        try:
            target = import_module(module)
        except ImportError:
            continue  # A system without semaphores between processes.
        _saved.patch_module(target, import_module(source), names)
    for name, source in _table.THREADING.items():
        if hasattr(threading, name):
            _saved.patch_item(threading, name, getattr(ours, source))
    methods.install()
    if Event:
        methods.install_event()
    fallback = sys.modules.get("_threading_local")
    if fallback is not None:
        _saved.patch_item(fallback, "local", ours.local)
    held = _locks.replace_existing() if existing else 0
    if held and not _native_threads():
        warn(
            f"{held} locks were held while patch_all() ran and stay locks of "
            "the system: waiting for one stops all greenlets.  Call "
            "patch_all() where no lock is held."
        )
