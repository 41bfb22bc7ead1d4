"""Greenlets by the handful: waiting for many, killing many."""

from time import monotonic

from celadon._core import (
    Event,
    Greenlet,
    GreenletExit,
    get_hub,
    getcurrent,
    greenlet,
    spawn_raw,
)

__all__ = [
    "Greenlet",
    "GreenletExit",
    "getcurrent",
    "greenlet",
    "iwait",
    "joinall",
    "kill",
    "killall",
    "spawn_raw",
    "wait",
]


class _Arrivals:
    """Yields waitable objects as they become ready; see iwait()."""

    def __init__(self, objects, timeout, count):
        self._objects = list(dict.fromkeys(objects))
        self._left = len(self._objects)
        if count is not None:
            self._left = min(count, self._left)
        self._deadline = None if timeout is None else monotonic() + timeout
        self._ready = []
        self._news = Event()
        for thing in self._objects:
            thing.rawlink(self._arrived)

    def _arrived(self, thing):
        self._ready.append(thing)
        self._news.set()

    def __iter__(self):
        return self

    def __next__(self):
        try:
            if self._left <= 0:
                raise StopIteration
            while not self._ready:
                left = None
                if self._deadline is not None:
                    left = max(self._deadline - monotonic(), 0)
                self._news.clear()
                if not self._news.wait(left) and not self._ready:
                    raise StopIteration
            self._left -= 1
            return self._ready.pop(0)
        except BaseException:
            self._unlink()
            raise

    next = __next__

    def _unlink(self):
        self._left = 0
        objects, self._objects = self._objects, ()
        for thing in objects:
            thing.unlink(self._arrived)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._unlink()


def iwait(objects, timeout=None, count=None):
    """Yield *objects* (greenlets, events, …) as they become ready.

    Ends when *count* of them have come, all have, or after *timeout*
    seconds.  Used in a with statement, it lets go of the rest at its end.
    """
    if objects is None:
        return iter((wait(timeout=timeout),))
    return _Arrivals(objects, timeout, count)


def wait(objects=None, timeout=None, count=None):
    """Wait until *objects*, or *count* of them, are ready; return those.

    Without *objects*: until nothing is left to run; whether it came to that.
    """
    if objects is None:
        return get_hub().join(timeout=timeout)
    return list(iwait(objects, timeout, count))


def joinall(greenlets, timeout=None, raise_error=False, count=None):
    """Wait until *greenlets*, or *count* of them, have ended; return those.

    With *raise_error*, raise the exception of the first that fails.
    """
    done = []
    with iwait(greenlets, timeout, count) as arrivals:
        for greenlet in arrivals:
            if raise_error and not greenlet.successful():
                _raise_error(greenlet)
            done.append(greenlet)
    return done


def _raise_error(greenlet):
    if hasattr(greenlet, "_raise_exception"):
        greenlet._raise_exception()
    raise greenlet.exception


def kill(greenlet, exception=GreenletExit):
    """Let *exception* be raised in *greenlet*, soon.  Does not wait."""
    if isinstance(greenlet, Greenlet):
        greenlet.kill(exception, block=False)
    elif not greenlet.dead:
        get_hub().run_callback(_throw, greenlet, exception)


def _throw(greenlet, exception):
    if not greenlet.dead:
        greenlet.throw(exception)


def killall(greenlets, exception=GreenletExit, block=True, timeout=None):
    """Let *exception* be raised in all of *greenlets*.

    With *block*, wait until they have ended, at most *timeout* seconds:
    then Timeout is raised.
    """
    greenlets = list(greenlets)
    for one in greenlets:
        kill(one, exception)
    if not block:
        return
    from celadon._core import Timeout, sleep

    with Timeout(timeout):
        ours = [each for each in greenlets if isinstance(each, Greenlet)]
        joinall(ours)
        while not all(each.dead for each in greenlets):
            sleep(0)
