"""Event: a flag to wait for."""

import _thread
import gc
import inspect
import os
import sys
import time
import weakref

import pytest

from celadon import Timeout, get_hub, getcurrent, sleep, spawn
from celadon.event import Event
from support import fork


class Errors:
    """Collects what the hub would report."""

    def __init__(self):
        self.seen = []
        self.hub = get_hub()

    def __enter__(self):
        self.hub.handle_error = self.handle
        return self.seen

    def __exit__(self, *unused):
        del self.hub.handle_error

    def handle(self, context, kind, value, traceback):
        self.seen.append((context, kind))


def test_flag():
    event = Event()
    for method in (event.is_set, event.isSet, event.ready):
        assert method() is False
    assert event.set() is None
    for method in (event.is_set, event.isSet, event.ready):
        assert method() is True
    assert event.wait() is True
    assert event.wait(timeout=0) is True
    assert event.clear() is None
    assert not event.is_set()


def test_set_wakes_everybody_in_order():
    event = Event()
    log = []

    def waiter(number):
        assert event.wait() is True
        log.append(number)

    greenlets = [spawn(waiter, number) for number in range(10)]
    sleep(0)
    event.set()
    assert log == []
    for greenlet in greenlets:
        greenlet.get()
    assert log == list(range(10))


def test_clear_does_not_take_a_set_back():
    event = Event()
    greenlet = spawn(event.wait)
    sleep(0)
    event.set()
    event.clear()
    assert greenlet.get() is True


def test_timeouts():
    event = Event()
    before = time.monotonic()
    assert event.wait(0.02) is False
    assert 0.015 < time.monotonic() - before < 10
    assert event.wait(0) is False
    assert event.wait(-1) is False
    assert event.wait(timeout=None if event.set() else 0.01) is True
    with pytest.raises(TypeError):
        Event().wait("soon")
    with pytest.raises(ValueError):
        Event().wait(float("nan"))
    with pytest.raises(TypeError):
        event.wait(1, 2)
    with pytest.raises(TypeError):
        event.wait(until=3)


def test_a_loop_that_does_not_wait_lets_others_run():
    event = Event()
    spawn(event.set)
    while not event.wait(0):
        pass


def test_a_set_in_time_is_not_late():
    event = Event()
    greenlet = spawn(event.wait, 0.01)
    sleep(0)
    event.set()
    time.sleep(0.03)
    assert greenlet.get() is True


def test_killed_waiters_leave():
    event = Event()
    killed = [spawn(event.wait) for _ in range(3)]
    left = spawn(event.wait)
    sleep(0)
    for greenlet in killed:
        greenlet.kill()
    event.set()
    assert left.get() is True
    assert all(greenlet.dead for greenlet in killed)


def test_killed_while_waking():
    event = Event()
    log = []

    def waiter():
        try:
            log.append(event.wait())
        except ValueError as error:
            log.append(error.args)

    greenlet = spawn(waiter)
    sleep(0)
    event.set()
    greenlet.kill(ValueError("late"), block=False)
    greenlet.join()
    assert log in ([("late",)], [True])


def test_a_timeout_is_raised_in_a_wait():
    event = Event()
    with pytest.raises(Timeout):
        with Timeout(0.01):
            event.wait()
    event.set()
    assert event.wait()


def test_links_are_called_once_in_the_hub():
    event = Event()
    log = []

    def link(number):
        def call(source):
            log.append((number, source is event, getcurrent() is get_hub()))

        return call

    for number in range(3):
        event.rawlink(link(number))
    event.set()
    event.set()
    assert log == []
    sleep(0)
    assert log == [(n, True, True) for n in range(3)]
    event.clear()
    event.set()
    sleep(0)
    assert len(log) == 3


def test_links_survive_a_clear():
    event = Event()
    log = []
    event.rawlink(log.append)
    event.set()
    event.clear()
    sleep(0)
    assert log == [event]


def test_late_links():
    event = Event()
    event.set()
    log = []
    event.rawlink(log.append)
    assert log == []
    sleep(0)
    assert log == [event]


def test_unlink():
    class Listener:
        def __init__(self):
            self.log = []

        def hear(self, source):
            self.log.append(source)

    event = Event()
    one = Listener()
    two = Listener()
    event.unlink(one.hear)
    for listener in (one, two, one):
        event.rawlink(listener.hear)
    event.unlink(one.hear)
    event.set()
    event.unlink(two.hear)
    sleep(0)
    assert one.log == [event]
    assert two.log == []


def test_links_may_change_links():
    event = Event()
    log = []

    def second(source):
        log.append("second")

    def first(source):
        log.append("first")
        source.unlink(second)
        source.rawlink(first if len(log) < 3 else third)

    def third(source):
        log.append("third")

    event.rawlink(first)
    event.rawlink(second)
    event.set()
    for _ in range(6):
        sleep(0)
    assert log == ["first", "first", "first", "third"]


def test_errors_of_links():
    event = Event()
    log = []

    def bad(source):
        raise KeyError

    event.rawlink(bad)
    event.rawlink(log.append)
    with pytest.raises(TypeError):
        event.rawlink(3)
    with Errors() as seen:
        event.set()
        sleep(0)
    assert log == [event]
    assert seen == [(bad, KeyError)]


def test_other_threads():
    event = Event()
    back = Event()

    def thread():
        event.wait()
        back.set()

    _thread.start_new_thread(thread, ())
    sleep(0.02)
    event.set()
    assert back.wait(10)


def test_links_run_where_they_were_made():
    event = Event()
    done = Event()
    log = []

    def link(source):
        log.append(_thread.get_ident())
        done.set()

    event.rawlink(link)
    _thread.start_new_thread(event.set, ())
    assert done.wait(10)
    assert log == [_thread.get_ident()]


def test_links_of_a_thread_that_has_ended():
    event = Event()
    log = []
    linked = Event()

    def thread():
        event.rawlink(log.append)
        linked.set()

    _thread.start_new_thread(thread, ())
    assert linked.wait(10)
    deadline = time.monotonic() + 10
    while _thread._count() > 0 and time.monotonic() < deadline:
        sleep(0.01)
    event.set()
    sleep(0)
    assert log == [event]
    event.clear()
    event.rawlink(log.append)
    event.set()
    sleep(0)
    assert log == [event, event]


def test_the_hub_must_not_wait():
    event = Event()
    with Errors() as seen:
        get_hub().run_callback(event.wait)
        sleep(0)
    assert [issubclass(kind, AssertionError) for _, kind in seen] == [True]


def test_made_without_arguments():
    with pytest.raises(TypeError):
        Event(1)

    class Named(Event):
        def __init__(self, name):
            self.name = name

    assert Named("x").name == "x"
    assert not Named("y").is_set()
    assert "unset" in repr(Named("z"))


def test_nothing_leaks():
    event = Event()
    before = sys.getrefcount(event)
    for _ in range(3):
        spawn(event.wait)
    sleep(0)
    event.set()
    sleep(0)
    assert sys.getrefcount(event) == before
    event.rawlink(lambda source: None)
    sleep(0)
    assert sys.getrefcount(event) == before
    gone = weakref.ref(event)
    del event
    assert gone() is None


def test_a_link_to_itself_is_collected():
    class Linked(Event):
        pass

    event = Linked()
    event.rawlink(event.wait)
    event.more = event
    gone = weakref.ref(event)
    del event
    gc.collect()
    assert gone() is None


def test_a_child_process():
    event = Event()
    log = []
    greenlet = spawn(lambda: log.append(event.wait()))
    _thread.start_new_thread(event.wait, ())
    sleep(0.02)

    def child():
        event._at_fork_reinit()
        event.rawlink(lambda source: log.append("linked"))
        event.set()
        greenlet.join()
        assert log == [True, "linked"]

    pid = fork(child)
    event.set()
    greenlet.get()
    assert os.waitpid(pid, 0)[1] == 0


def test_signatures():
    assert str(inspect.signature(Event.wait)) == "(self, /, timeout=None)"
    assert str(inspect.signature(Event)) == "()"
