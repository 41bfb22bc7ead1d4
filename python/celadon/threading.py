"""What `threading.Thread` becomes: the same class, with leaner methods.

The class that programs subclassed and named before patching stays; install()
replaces its methods in place.  What makes starting one cheap:

  - start() queues a raw greenlet and returns.  It switches nowhere: the
    identity of a greenlet is known before it runs, so there is nothing to
    wait for.
  - One hub runs all greenlets of an OS thread, so registration is a store
    in `threading._active` without a lock, and there is no limbo.
  - What is seldom asked for is made when asked for: the name, the events
    `_started` and of the join, the handle, the native id.

A thread's life is one number, `_celadon_state`.  Threads that were started
before patching, and the main thread, have STATE_NATIVE: for them the methods
of the original class are called.  All attributes of ours are called so, for
those of programs' own subclasses have every other name there is.
"""

import _thread
import gc
import sys
import threading
import weakref
from _thread import get_ident as native_ident, get_native_id

from celadon._core import (
    Event,
    GreenletExit,
    forsake_others,
    getcurrent,
    sleep,
    spawn_raw,
)
from celadon.thread import (
    count_raw,
    get_ident,
    join_joinable,
    local,
    remaining,
    start_joinable_thread,
    start_new_thread,
)

# Threads may be given a context to run in.
_HAS_CONTEXT = sys.version_info >= (3, 14)

STATE_NATIVE, STATE_NEW, STATE_RUNNING, STATE_ENDED = range(4)

_active = threading._active
_invoke_excepthook = threading._make_invoke_excepthook()

# The original methods, by class: what install() has replaced.
_originals = {}


def _original(name, cls=threading.Thread):
    return _originals[cls][name]


# ---- the methods of Thread


def _init(
    self,
    group=None,
    target=None,
    name=None,
    args=(),
    kwargs=None,
    *,
    daemon=None,
):
    """As threading.Thread.__init__()."""
    assert group is None, "group argument must be None for now"
    if name:
        self._name = str(name)
    else:
        # The name itself is put together when somebody asks.
        self._celadon_number = threading._counter()
        self._celadon_target = getattr(target, "__name__", None)
    self._target = target
    self._args = args
    self._kwargs = {} if kwargs is None else kwargs
    if daemon is None:
        parent = _active.get(get_ident())
        # Threads unknown to threading are daemons, as its dummies are.
        daemon = True if parent is None else parent._daemonic
    self._daemonic = daemon
    self._celadon_state = STATE_NEW
    self._initialized = True


def _init_with_context(
    self,
    group=None,
    target=None,
    name=None,
    args=(),
    kwargs=None,
    *,
    daemon=None,
    context=None,
):
    """As threading.Thread.__init__() from 3.14 on."""
    _init(self, group, target, name, args, kwargs, daemon=daemon)
    if context is not None:
        self._context = context
    elif sys.flags.thread_inherit_context:
        from contextvars import copy_context

        # Made in start() by the original; the same context until then.
        self._context = copy_context()


def _is_started(self):
    state = self._celadon_state
    return self._started.is_set() if state == STATE_NATIVE else state > 1


def start(self):
    """Start the thread's activity.  As threading.Thread.start()."""
    if not self._initialized:
        raise RuntimeError("thread.__init__() not called")
    if self._celadon_state != STATE_NEW:
        if _is_started(self):
            raise RuntimeError("threads can only be started once")
        _adopt(self)
    if getattr(threading, _STARTER) is not _starter:
        _start_otherwise(self)
        return
    greenlet = spawn_raw(self._bootstrap)
    self._celadon_greenlet = greenlet
    self._ident = ident = id(greenlet)
    self._celadon_state = STATE_RUNNING
    _active[ident] = self


# What the original start() calls, and debuggers replace.
if sys.version_info < (3, 13):
    _STARTER, _starter = "_start_new_thread", start_new_thread
else:
    _STARTER, _starter = "_start_joinable_thread", start_joinable_thread


def _start_otherwise(self):
    """Start through the function that somebody put in place of ours."""
    start = getattr(threading, _STARTER)
    self._celadon_state = STATE_RUNNING
    try:
        if sys.version_info < (3, 13):
            start(self._bootstrap, ())
        else:
            start(self._bootstrap, daemon=self.daemon)
    except BaseException:
        self._celadon_state = STATE_NEW
        raise


def _adopt(self):
    """Make a thread ours that the original constructor set up."""
    for name in ("_started", "_is_stopped", "_tstate_lock", "_native_id"):
        vars(self).pop(name, None)
    vars(self).pop("_handle", None)
    vars(self).pop("_os_thread_handle", None)
    self._celadon_state = STATE_NEW


def _bootstrap(self):
    if self._ident is None:
        self._ident = get_ident()
        _active[self._ident] = self
    try:
        if threading._trace_hook:
            sys.settrace(threading._trace_hook)
        if threading._profile_hook:
            sys.setprofile(threading._profile_hook)
        if _HAS_CONTEXT and self._context is not None:
            self._context.run(self.run)
        else:
            self.run()
    except GreenletExit:
        pass
    except BaseException:
        self._invoke_excepthook(self)
    finally:
        _delete(self)


def _delete(self):
    """The thread ends: forget it and wake who joins it."""
    self._celadon_state = STATE_ENDED
    if _active.get(self._ident) is self:
        del _active[self._ident]
    self._celadon_greenlet = None
    if self._celadon_ended is not None:
        self._celadon_ended.set()


def join(self, timeout=None):
    """Wait until the thread terminates.  As threading.Thread.join()."""
    if not self._initialized:
        raise RuntimeError("Thread.__init__() not called")
    if not _is_started(self):
        raise RuntimeError("cannot join thread before it is started")
    if _active.get(get_ident()) is self:
        raise RuntimeError("cannot join current thread")
    if timeout is not None:
        timeout = max(timeout, 0)
    if self._celadon_state == STATE_NATIVE:
        _join_native(self, timeout)
    elif self._celadon_state == STATE_RUNNING:
        if self._celadon_ended is None:
            self._celadon_ended = Event()
        self._celadon_ended.wait(timeout)


def _join_native(self, timeout):
    """Join a thread of the system without stopping the greenlets here."""
    from time import monotonic

    deadline = None if timeout is None else monotonic() + timeout
    pause = 0.0005
    while self.is_alive():
        left = remaining(deadline)
        if left == 0:
            return
        sleep(pause if left is None else min(pause, left))
        pause = min(pause * 2, 0.05)


def is_alive(self):
    """Whether the thread is alive.  As threading.Thread.is_alive()."""
    assert self._initialized, "Thread.__init__() not called"
    if self._celadon_state == STATE_NATIVE:
        return _original("is_alive")(self)
    return self._celadon_state == STATE_RUNNING


def _get_daemon(self):
    """Whether the program may end while this thread runs."""
    assert self._initialized, "Thread.__init__() not called"
    return self._daemonic


def _set_daemon(self, daemonic):
    if not self._initialized:
        raise RuntimeError("Thread.__init__() not called")
    if self._celadon_state != STATE_NEW and _is_started(self):
        raise RuntimeError("cannot set daemon status of active thread")
    self._daemonic = daemonic


def _stop(self):
    """In a child after fork: a thread that does not exist there."""
    if self._celadon_state == STATE_NATIVE:
        _original("_stop")(self)
    elif self._celadon_state == STATE_RUNNING:
        _delete(self)


def _reset_internal_locks(self, is_alive):
    if self._celadon_state == STATE_NATIVE:
        _original("_reset_internal_locks")(self, is_alive)


def _after_fork(self, new_ident=None):
    """In a child after fork, from 3.13 on: is this the thread there is?"""
    if self._celadon_state == STATE_NATIVE:
        _original("_after_fork")(self, new_ident)
    elif new_ident is not None:
        self._ident = new_ident
    elif self._celadon_state == STATE_RUNNING:
        _delete(self)


def _wait_for_tstate_lock(self, block=True, timeout=-1):
    if self._celadon_state == STATE_NATIVE:
        _original("_wait_for_tstate_lock")(self, block, timeout)
    elif block:
        join(self, None if timeout < 0 else timeout)


# ---- attributes that are made when asked for


class _Lazy:
    """An attribute computed by *function* unless the instance has its own.

    Instances that the original methods set up have.
    """

    def __init__(self, function):
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance, owner=None):
        return self if instance is None else self.function(instance)


@_Lazy
def _name(self):
    """The name given, or "Thread-N (target)"."""
    name = f"Thread-{self._celadon_number}"
    if self._celadon_target is not None:
        name += f" ({self._celadon_target})"
    self._name = name
    return name


class _Started:
    """Stands for the event `_started` of a thread of ours."""

    __slots__ = ("_thread",)

    def __init__(self, thread):
        self._thread = thread

    def is_set(self):
        return self._thread._celadon_state >= STATE_RUNNING

    isSet = is_set

    def set(self):
        if self._thread._celadon_state == STATE_NEW:
            self._thread._celadon_state = STATE_RUNNING

    def wait(self, timeout=None):
        """Nothing ever waits here: start() returns with it set."""
        return self.is_set()

    def _at_fork_reinit(self):
        pass


class _Handle:
    """Stands for the handle of a thread of ours (3.13 and later)."""

    __slots__ = ("_thread",)

    def __init__(self, thread):
        self._thread = thread

    @property
    def ident(self):
        return self._thread._ident or 0

    def is_done(self):
        return self._thread._celadon_state == STATE_ENDED

    def join(self, timeout=None):
        join(self._thread, timeout)

    def _set_done(self):
        if self._thread._celadon_state == STATE_RUNNING:
            _delete(self._thread)


@_Lazy
def _native_id(self):
    """Of the OS thread that the greenlets run in."""
    return get_native_id() if self._celadon_state >= STATE_RUNNING else None


@_Lazy
def _is_stopped(self):
    """Whether the thread has ended."""
    return self._celadon_state == STATE_ENDED


# ---- threads that threading did not start


def _dummy_init(self):
    """For a greenlet that asks for its thread and is none.

    It lives as long as its greenlet: identities of dead ones come again.
    """
    ident = get_ident()
    if ident == native_ident():
        _original("__init__", threading._DummyThread)(self)
        return
    _init(self, name=f"Dummy-{threading._counter()}", daemon=True)
    self._celadon_state = STATE_RUNNING
    self._ident = ident
    this = weakref.ref(self)

    def forget(_):
        thread = this()
        if thread is not None:
            _delete(thread)

    self._celadon_greenlet = weakref.ref(getcurrent(), forget)
    _active[ident] = self


class _Dangling:
    """All Thread objects there are, like the WeakSet that it replaces.

    Adding each thread to a set costs more than starting it; so they are
    looked for when somebody asks: test.support does.
    """

    forking = False

    def add(self, thread):
        """Nothing to do: it can be found."""

    def discard(self, thread):
        """Nothing to do: it can't be found once it is gone."""

    def clear(self):
        """Nothing to do either."""

    def __iter__(self):
        # In a child, after fork, only those that run matter; a walk over
        # the heap would copy all of it.
        if self.forking:
            return iter(list(_active.values()))
        return iter(
            [
                thing
                for thing in gc.get_objects()
                if issubclass(type(thing), threading.Thread)
            ]
        )

    def __len__(self):
        return sum(1 for _ in self)

    def __contains__(self, thread):
        return isinstance(thread, threading.Thread)

    def __eq__(self, other):
        return set(self) == set(other)

    __hash__ = None

    def copy(self):
        return weakref.WeakSet(self)


def _count_threads():
    """As _thread._count(): threads that were started and have not ended."""
    ours = [
        thread
        for thread in list(_active.values())
        if thread._celadon_state == STATE_RUNNING
        and not isinstance(thread, threading._DummyThread)
    ]
    return len(ours) + count_raw() + _original("_count", _thread)()


# ---- the end of the program


def _shutdown():
    """Wait for the threads that are not daemons; replaces _shutdown()."""
    threading._SHUTTING_DOWN = True
    callbacks = threading._threading_atexits[:]
    threading._threading_atexits.clear()
    for callback in reversed(callbacks):
        callback()
    while True:
        here = _active.get(get_ident())
        threads = [
            thread
            for thread in list(_active.values())
            if thread is not here
            and thread is not threading._main_thread
            and not thread.daemon
            and thread.is_alive()
        ]
        if not threads:
            break
        for thread in threads:
            thread.join()
    join_joinable()
    _original("_shutdown", threading)()


# ---- threading.Event


def _event_init(self):
    self._flag = False


def _event_set(self):
    """Set the event and wake all who wait for it."""
    self._flag = True
    if self._celadon_event is not None:
        self._celadon_event.set()
    condition = vars(self).get("_cond")
    if condition is not None:
        # Made before patching: threads of the system may wait there.
        with condition:
            condition.notify_all()


def _event_clear(self):
    """Let those who wait from now on wait."""
    self._flag = False
    if self._celadon_event is not None:
        self._celadon_event.clear()


def _event_wait(self, timeout=None):
    """Wait until the event is set; False if that took over *timeout*."""
    if self._flag:
        return True
    if self._celadon_event is None:
        self._celadon_event = Event()
    return self._celadon_event.wait(timeout)


def _event_at_fork_reinit(self):
    self._celadon_event = None
    if "_cond" in vars(self):
        self._cond._at_fork_reinit()


@_Lazy
def _event_cond(self):
    """The condition that the original has, for those who look inside."""
    self._cond = threading.Condition(threading.Lock())
    return self._cond


_EVENT_METHODS = {
    "__init__": _event_init,
    "set": _event_set,
    "clear": _event_clear,
    "wait": _event_wait,
    "_at_fork_reinit": _event_at_fork_reinit,
    "_cond": _event_cond,
    "_celadon_event": None,
}


# ---- putting it in place

_METHODS = {
    "__init__": _init if sys.version_info < (3, 14) else _init_with_context,
    "start": start,
    "join": join,
    "is_alive": is_alive,
    "daemon": property(_get_daemon, _set_daemon),
    "_bootstrap": _bootstrap,
    "_delete": _delete,
    "_name": _name,
    "_native_id": _native_id,
    "_started": _Lazy(_Started),
    "_celadon_state": STATE_NATIVE,
    "_ident": None,
    "_celadon_greenlet": None,
    "_celadon_ended": None,
    "_stderr": _Lazy(lambda self: sys.stderr),
    "_invoke_excepthook": staticmethod(_invoke_excepthook),
}
if sys.version_info < (3, 13):
    _METHODS |= {
        "_is_stopped": _is_stopped,
        "_tstate_lock": None,
        "_stop": _stop,
        "_reset_internal_locks": _reset_internal_locks,
        "_wait_for_tstate_lock": _wait_for_tstate_lock,
    }
else:
    _METHODS["_after_fork"] = _after_fork
    _METHODS["_os_thread_handle" if _HAS_CONTEXT else "_handle"] = _Lazy(
        _Handle
    )
if _HAS_CONTEXT:
    _METHODS["_context"] = None


def _replace(target, name, value):
    """Replace an attribute of a class or module, noting the original."""
    originals = _originals.setdefault(target, {})
    if name in vars(target):
        originals[name] = vars(target)[name]
    setattr(target, name, value)


def install():
    """Put the methods in place.  Once; monkey.patch_thread() sees to it."""
    if _originals:
        return
    for name, value in _METHODS.items():
        _replace(threading.Thread, name, value)
    _replace(threading._DummyThread, "__init__", _dummy_init)
    _replace(threading, "_shutdown", _shutdown)
    _replace(_thread, "_count", _count_threads)
    dangling = _Dangling()
    _replace(threading, "_dangling", dangling)
    if hasattr(threading, "_thread_local_info"):
        _replace(threading, "_thread_local_info", local())
    import os

    def forking(value):
        dangling.forking = value

    def in_child():
        forking(False)
        # The others are threads that the child does not have.
        forsake_others()

    os.register_at_fork(
        before=lambda: forking(True),
        after_in_parent=lambda: forking(False),
        after_in_child=in_child,
    )


def install_event():
    """Put the methods of threading.Event in place.  Once."""
    if threading.Event not in _originals:
        for name, value in _EVENT_METHODS.items():
            _replace(threading.Event, name, value)
