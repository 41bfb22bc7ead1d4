"""Locks that were made before patching.

Greenlets all run in one OS thread: a lock of the system would block that
thread for good where it is held across a wait, and an RLock would let
everybody in.  So locks that are free are replaced by locks of ours wherever
they are referred to: in module globals, instances, lists, cells, and behind
bound methods such as the `acquire` that a Condition keeps.  A lock that is
held is left to its holder.
"""

import gc
import threading
import types

from celadon.monkey import _saved

_BUILTIN_METHOD = type([].append)
_METHODS = (
    "__enter__",
    "__exit__",
    "_acquire_restore",
    "_at_fork_reinit",
    "_is_owned",
    "_recursion_count",
    "_release_save",
    "acquire",
    "acquire_lock",
    "locked",
    "locked_lock",
    "release",
    "release_lock",
)


def _is_free(lock):
    """Whether nobody holds *lock* now."""
    if hasattr(lock, "_is_owned") and lock._is_owned():
        return False
    if not lock.acquire(False):
        return False
    lock.release()
    return True


def _new_for(olds):
    """Return {id of an old lock or bound method: its replacement}."""
    from celadon import thread

    new_by_id = {}
    for old in olds:
        if isinstance(old, _saved.get_original("_thread", "RLock")):
            new_by_id[id(old)] = thread.RLock()
        else:
            new_by_id[id(old)] = thread.allocate_lock()
    return new_by_id


def replace_in(holder, new_by_id):
    """Replace in one object what it refers to."""
    kind = type(holder)
    if kind is dict and "__module__" in holder:
        _replace_in_classes(holder, new_by_id)
    elif kind is dict:
        for key, value in list(holder.items()):
            if id(value) in new_by_id:
                holder[key] = new_by_id[id(value)]
    elif kind is list:
        for index, value in enumerate(holder):
            if id(value) in new_by_id:
                holder[index] = new_by_id[id(value)]
    elif kind is types.CellType:
        if id(holder.cell_contents) in new_by_id:
            holder.cell_contents = new_by_id[id(holder.cell_contents)]
    elif kind.__flags__ & (1 << 9):  # a class written in Python
        _replace_attributes(holder, new_by_id)


def _replace_in_classes(namespace, new_by_id):
    """Replace in the class that *namespace* is the dict of.

    By the class, for the interpreter keeps what it found in one.
    """
    for owner in gc.get_referrers(namespace):
        if isinstance(owner, type):
            for name, value in list(vars(owner).items()):
                if id(value) in new_by_id:
                    type.__setattr__(owner, name, new_by_id[id(value)])


def _replace_attributes(holder, new_by_id):
    try:
        names = list(object.__getattribute__(holder, "__dict__"))
    except AttributeError:
        names = []
    for cls in type(holder).__mro__:
        slots = vars(cls).get("__slots__", ())
        names += (slots,) if isinstance(slots, str) else slots
    for name in names:
        try:
            value = object.__getattribute__(holder, name)
            if id(value) in new_by_id:
                object.__setattr__(holder, name, new_by_id[id(value)])
        except (AttributeError, TypeError):
            # An empty or mangled slot, or a class that forbids it.
            continue


def _find_locks():
    """All locks of the system that something refers to."""
    make, *kinds = _saved.get_original(
        "_thread", ["allocate_lock", "LockType", "RLock"]
    )
    things = gc.get_objects()
    if not gc.is_tracked(make()):
        # Then the collector knows only those who refer to one.
        things = gc.get_referents(*things)
    found = {id(thing): thing for thing in things if type(thing) in kinds}
    return list(found.values())


def _for_threads_ends():
    """The locks that threads of the system hold until they end."""
    return {
        id(getattr(thread, "_tstate_lock", None))
        for thread in threading.enumerate()
    }


def replace_existing():
    """Replace the locks there are; return how many are held, and stay."""
    expected = _for_threads_ends()
    locks = [lock for lock in _find_locks() if id(lock) not in expected]
    free = [lock for lock in locks if _is_free(lock)]
    new_by_id = _new_for(free)
    own = (locks, free)
    holders = gc.get_referrers(*free) if free else []
    methods = [
        holder
        for holder in holders
        if type(holder) is _BUILTIN_METHOD and holder.__name__ in _METHODS
    ]
    for method in methods:
        new_lock = new_by_id[id(method.__self__)]
        bound = getattr(new_lock, method.__name__, None)
        if bound is not None:
            new_by_id[id(method)] = bound
    if methods:
        holders += gc.get_referrers(*methods)
    for holder in holders:
        if not any(holder is mine for mine in (*own, holders, methods)):
            replace_in(holder, new_by_id)
    return len(locks) - len(free)
