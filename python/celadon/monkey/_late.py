"""What was made before patching, and what would go round it.

A selector waits by what it has in an attribute, so it gets one of ours there.
A SimpleQueue would block the thread, and with it whoever could put something
in: it is replaced wherever it is referred to, as locks are.  psycopg's
compiled part waits in C, unless it is told to wait by a selector.
"""

import gc
import os
import queue
import sys
import threading

from celadon.monkey import _locks, _saved

_METHOD = type([].append)


def _poll_for(selector):
    """A poll of ours that watches what that of *selector* does."""
    from celadon import select, selectors

    poll = select.poll()
    for fd, key in selector._fd_to_key.items():
        mask = 0
        if key.events & selectors.EVENT_READ:
            mask |= selector._EVENT_READ
        if key.events & selectors.EVENT_WRITE:
            mask |= selector._EVENT_WRITE
        poll.register(fd, mask)
    return poll


def adopt_selectors():
    """Let the selectors there are let other greenlets run."""
    from celadon import select, selectors

    ours = (selectors.EpollSelector, selectors.PollSelector,
            selectors.SelectSelector)
    epoll, poll, select_ = [kind.__base__ for kind in ours]
    for thing in gc.get_objects():
        kinds = type(thing).__mro__
        if selectors.BaseSelector not in kinds or issubclass(kinds[0], ours):
            continue
        if select_ in kinds:
            thing._select = select.select
        elif not hasattr(thing, "_selector"):
            continue  # it is being made
        elif epoll in kinds:
            thing._selector = select.epoll.around(thing._selector)
        elif poll in kinds:
            thing._selector = _poll_for(thing)


def _new_for(old):
    """A SimpleQueue of ours with what *old* has."""
    new = queue.SimpleQueue()
    try:
        while True:
            new.put(old.get_nowait())
    except queue.Empty:
        return new


def replace_queues():
    """Replace each SimpleQueue, unless it may be known elsewhere.

    That is where threads of the system run, or somebody has its methods.
    """
    if len(threading.enumerate()) > 1:
        return
    kind = _saved.get_original("_queue", "SimpleQueue")
    olds = [thing for thing in gc.get_objects() if type(thing) is kind]
    for old in olds:
        holders = gc.get_referrers(old)
        if not any(isinstance(holder, _METHOD) for holder in holders):
            new_by_id = {id(old): _new_for(old)}
            for holder in holders:
                if holder is not olds:
                    _locks.replace_in(holder, new_by_id)


def let_psycopg_select():
    """Let psycopg wait by selectors, unless somebody chose otherwise."""
    os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_selector")
    waiting = sys.modules.get("psycopg.waiting")
    if waiting is not None and waiting.wait is getattr(
        waiting, "wait_c", None
    ):
        waiting.wait = waiting.wait_selector
