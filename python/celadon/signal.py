"""Signals among greenlets.

CPython runs a signal's handler in whatever greenlet its main thread is in at
that moment.  Here a handler runs as promptly, but what it raises is raised
in the main greenlet, wherever that waits: KeyboardInterrupt above all.
"""

import os
import signal as _signal
import threading

from celadon._core import (
    Event,
    Greenlet,
    get_hub,
    getcurrent,
    sleep,
    spawn_raw,
)

__all__ = [
    "getsignal",
    "pause",
    "set_wakeup_fd",
    "signal",
    "signal_handler",
    "sigtimedwait",
    "sigwait",
    "sigwaitinfo",
]

_original_signal = _signal.signal
_original_getsignal = _signal.getsignal
_original_sigtimedwait = _signal.sigtimedwait

# Between two looks at signals that are waited for while they are blocked.
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.02


class _Dispatch:
    """The handler that CPython knows; calls the one that the user set."""

    __slots__ = ("handler",)

    # What pause() waits for, made by the first that does.
    came = None
    # Where the user wants the numbers of signals written; -1: nowhere.
    wakeup_fd = -1

    def __init__(self, handler):
        self.handler = handler

    def __call__(self, signum, frame):
        cls = _Dispatch
        if cls.wakeup_fd >= 0:
            _write_number(cls.wakeup_fd, signum)
        hub = get_hub()
        current = getcurrent()
        if current is hub.main:
            self._call(signum, frame)
        elif current is hub:
            # The handler may want to wait, which the hub can't.
            spawn_raw(self._guarded, signum, hub.main.gr_frame)
        else:
            self._guarded(signum, frame)

    def _call(self, signum, frame):
        try:
            self.handler(signum, frame)
        finally:
            came, _Dispatch.came = _Dispatch.came, None
            if came is not None:
                came.set()

    def _guarded(self, signum, frame):
        try:
            self._call(signum, frame)
        except BaseException as error:
            get_hub().throw_main(error)


def _write_number(fd, signum):
    try:
        os.write(fd, bytes((signum,)))
    except OSError:
        # A full pipe wakes its reader too; a closed one is the user's.
        pass


def _unwrapped(handler):
    return handler.handler if isinstance(handler, _Dispatch) else handler


def signal(signalnum, handler, /):
    """As signal.signal()."""
    if callable(handler) and not isinstance(handler, _Dispatch):
        handler = _Dispatch(handler)
    return _unwrapped(_original_signal(signalnum, handler))


def getsignal(signalnum, /):
    """As signal.getsignal()."""
    return _unwrapped(_original_getsignal(signalnum))


def set_wakeup_fd(fd, /, *, warn_on_full_buffer=True):
    """As signal.set_wakeup_fd(), beside the one that the hub needs."""
    del warn_on_full_buffer
    if fd != -1:
        os.fstat(fd)
        if os.get_blocking(fd):
            raise ValueError(f"the fd {fd} must be in non-blocking mode")
    previous, _Dispatch.wakeup_fd = _Dispatch.wakeup_fd, fd
    return previous


def pause():
    """As signal.pause(): wait until a handler has been called."""
    if _Dispatch.came is None:
        _Dispatch.came = Event()
    # Kept: the handler replaces it.
    came = _Dispatch.came
    while not came.is_set():
        # Not for ever: a wait that nothing but a signal can end looks like
        # a deadlock.
        came.wait(3600)


def sigtimedwait(sigset, timeout, /):
    """As signal.sigtimedwait()."""
    from time import monotonic

    if timeout < 0:
        raise ValueError("timeout must be non-negative")
    return _sigwaitinfo(sigset, monotonic() + timeout)


def sigwaitinfo(sigset, /):
    """As signal.sigwaitinfo()."""
    return _sigwaitinfo(sigset, None)


def sigwait(sigset, /):
    """As signal.sigwait()."""
    return _signal.Signals(_sigwaitinfo(sigset, None).si_signo)


def _sigwaitinfo(sigset, deadline):
    from celadon.thread import remaining

    sigset = list(sigset)
    delay = _FIRST_PAUSE
    while True:
        info = _original_sigtimedwait(sigset, 0)
        left = remaining(deadline)
        if info is not None or left == 0:
            return info
        sleep(delay if left is None else min(delay, left))
        delay = min(delay * 2, _LAST_PAUSE)


def adopt():
    """Let the handlers that are set already be called as ours are."""
    if threading.current_thread() is not threading.main_thread():
        return  # Only the main thread may set handlers.
    for signum in _signal.valid_signals():
        handler = _original_getsignal(signum)
        if callable(handler) and not isinstance(handler, _Dispatch):
            _original_signal(signum, _Dispatch(handler))


class signal_handler:
    """Call handler(*args, **kwargs) in a new greenlet whenever *signalnum*
    comes, until cancel()."""

    def __init__(self, signalnum, handler, *args, **kwargs):
        if not callable(handler):
            raise TypeError("signal handler must be callable.")
        self.signalnum = signalnum
        self.handler = handler
        self.args = args
        self.kwargs = kwargs
        self.greenlet_class = Greenlet
        self.ref = False
        self._previous = signal(signalnum, self._came)

    def _came(self, signum, frame):
        self.greenlet_class.spawn(self.handle)

    def handle(self):
        """Call the handler; what it raises goes to the main greenlet."""
        try:
            self.handler(*self.args, **self.kwargs)
        except BaseException as error:
            get_hub().throw_main(error)

    def cancel(self):
        """Set what was there before."""
        if self._previous is not None:
            signal(self.signalnum, self._previous)
            self._previous = None
