"""Timeouts: fired, cancelled, nested, shared, and what is left of them."""

import gc
import threading
import time
import weakref

import pytest
from celadon import Timeout, get_hub, sleep, spawn, with_timeout
from celadon._core import Event, LoopExit, getcurrent, greenlet


class Mine(Exception):
    pass


# ---- firing


def test_it_is_raised_where_the_greenlet_waits():
    t = Timeout(0.01)
    t.start()
    with pytest.raises(Timeout) as caught:
        sleep(1)
    assert caught.value is t
    assert not t.pending


def test_it_is_no_exception_that_programs_catch():
    assert issubclass(Timeout, BaseException)
    assert not issubclass(Timeout, Exception)


@pytest.mark.parametrize("seconds", [0, -1, 0.0, 1e-6])
def test_at_once_is_at_the_next_wait(seconds):
    t = Timeout.start_new(seconds)
    with pytest.raises(Timeout):
        sleep(1)
    t.cancel()


@pytest.mark.parametrize("exception", [Mine, Mine("x")])
def test_another_exception_may_be_raised(exception):
    with Timeout(0.001, exception):
        with pytest.raises(Mine):
            sleep(1)


@pytest.mark.parametrize("exception", [None, False, True, "a text", 7])
def test_what_is_no_exception_raises_itself(exception):
    t = Timeout(0.001, exception)
    with pytest.raises(Timeout) as caught:
        t.start()
        sleep(1)
    assert caught.value is t and t.exception == exception


def test_a_class_that_cannot_be_made_fails_at_the_start():
    class Odd(Exception):
        def __init__(self, needed):
            pass

    t = Timeout(1, Odd)
    with pytest.raises(TypeError):
        t.start()
    assert not t.pending


def test_none_never_fires():
    for t in (Timeout(), Timeout(None), Timeout.start_new(None)):
        t.start()
        assert not t.pending
        t.cancel()


def test_it_fires_in_the_greenlet_that_started_it():
    seen = []

    def run(name, seconds):
        try:
            with Timeout(seconds):
                sleep(1)
        except Timeout as raised:
            seen.append((name, raised.seconds))

    greenlets = [spawn(run, i, 0.02 - i * 0.005) for i in range(3)]
    for g in greenlets:
        g.join()
    assert seen == [(2, 0.01), (1, 0.015), (0, 0.02)]


def test_it_fires_though_the_wait_is_by_hand():
    g = greenlet(sleep)
    with pytest.raises(Timeout):
        with Timeout(0.005):
            g.switch(1)
    g.throw()


def test_in_a_greenlet_switched_to_by_hand():
    def run():
        with pytest.raises(Timeout):
            with Timeout(0.005):
                sleep(1)
        return "ok"

    assert greenlet(run).switch() == "ok"


# ---- cancelling


def test_cancelled_it_never_comes():
    for stop in ("cancel", "close"):
        t = Timeout.start_new(0.001)
        assert t.pending
        getattr(t, stop)()
        assert not t.pending
        getattr(t, stop)()
    sleep(0.005)


def test_a_with_statement_cancels():
    with Timeout(0.001) as t:
        assert t.pending
    assert not t.pending
    with pytest.raises(Mine):
        with Timeout(0.001) as t:
            raise Mine
    sleep(0.005)


def test_cancelled_between_firing_and_raising():
    """It has fired, its greenlet is to run: others may still call it off."""
    t = Timeout(0.001)

    def run():
        t.start()
        event.wait(1)
        return "not raised"

    event = Event()
    g = spawn(run)
    sleep(0)
    time.sleep(0.003)
    # In the same turn: the timer fires, then the callback cancels.
    get_hub().run_callback(t.cancel)
    event.set()
    assert g.get() in ("not raised", None)


def test_cancelled_after_firing_before_the_next_wait():
    t = Timeout.start_new(0)
    other = spawn(lambda: None)
    try:
        sleep(0)
    except Timeout:
        pass
    t.cancel()
    other.join()
    t = Timeout.start_new(0.001)
    time.sleep(0.003)
    t.cancel()
    sleep(0.001)


def test_it_can_be_used_again():
    t = Timeout(0.002)
    for _ in range(3):
        with t:
            with pytest.raises(Timeout):
                sleep(1)
    t.start()
    with pytest.raises(AssertionError, match="already started"):
        t.start()
    with t:
        pass
    assert not t.pending


def test_starting_it_while_it_starts_is_refused():
    class Odd(Exception):
        def __init__(self):
            if t.exception is Odd:
                t.exception = None
                t.start()

    t = Timeout(5, Odd)
    with pytest.raises(AssertionError):
        t.start()
    t.cancel()


# ---- nesting


def test_the_inner_one_first():
    with pytest.raises(Timeout) as caught:
        with Timeout(1):
            with Timeout(0.002) as inner:
                sleep(1)
    assert caught.value is inner


def test_the_outer_one_first():
    with pytest.raises(Timeout) as caught:
        with Timeout(0.002) as outer:
            with Timeout(1, False):
                sleep(1)
    assert caught.value is outer


def test_both_at_once():
    seen = []
    try:
        with Timeout(0.001) as outer:
            try:
                with Timeout(0.001) as inner:
                    sleep(1)
            except Timeout as raised:
                seen.append(raised)
                sleep(1)
    except Timeout as raised:
        seen.append(raised)
    assert sorted(map(id, seen)) in (
        sorted([id(outer), id(inner)]), [id(outer)],
    )


def test_false_swallows_itself_only():
    with Timeout(0.001, False):
        sleep(1)
        raise AssertionError
    with pytest.raises(Mine):
        with Timeout(1, False):
            raise Mine
    with pytest.raises(Timeout):
        with Timeout(1, False):
            raise Timeout


def test_many_nested():
    def nest(n):
        if n == 0:
            sleep(1)
        with Timeout(1 + n):
            nest(n - 1)

    with pytest.raises(Timeout) as caught:
        with Timeout(0.005) as outer:
            nest(50)
    assert caught.value is outer


# ---- ways to make one


def test_start_new():
    t = Timeout.start_new(1, Mine)
    assert t.pending and t.seconds == 1 and t.exception is Mine
    assert Timeout.start_new(t) is t
    t.cancel()
    assert Timeout.start_new(t) is t and t.pending
    t.cancel()


def test_with_timeout():
    assert with_timeout(1, lambda x: x, 2) == 2
    with pytest.raises(Timeout):
        with_timeout(0.001, sleep, 1)
    assert with_timeout(0.001, sleep, 1, timeout_value="late") == "late"
    with pytest.raises(Mine):
        with Timeout(0.001, Mine):
            with_timeout(1, sleep, 1, timeout_value="late")


def test_subclasses():
    class Late(Timeout):
        def __init__(self, seconds):
            super().__init__(seconds)
            self.extra = 1

    with pytest.raises(Late) as caught:
        with Late(0.001):
            sleep(1)
    assert caught.value.extra == 1


def test_texts():
    assert str(Timeout()) == ""
    assert str(Timeout(1)) == "1 second"
    assert str(Timeout(2)) == "2 seconds"
    assert str(Timeout(0.5)) == "0.5 seconds"
    assert str(Timeout(2, False)) == "2 seconds (silent)"
    assert str(Timeout(2, Mine)).startswith("2 seconds: <class")
    t = Timeout(3, Mine)
    assert repr(t).startswith("<") and "seconds=3" in repr(t)
    assert "exception=" in repr(t) and "pending" not in repr(t)
    t.start()
    assert "pending" in repr(t)
    t.cancel()


def test_bad_seconds():
    for bad in ("1", [], object()):
        with pytest.raises(TypeError):
            Timeout(bad).start()
    with pytest.raises(ValueError):
        Timeout(float("nan")).start()
    with pytest.raises(TypeError):
        Timeout(1, 2, 3, 4, 5, 6)


def test_a_bare_one():
    t = Timeout.__new__(Timeout)
    assert repr(t) and str(t) == ""
    t.start()
    t.cancel()
    assert not t.pending


# ---- what it is to the loop


def test_one_without_reference_does_not_keep_the_loop():
    t = Timeout(1000, ref=False)
    t.start()
    with pytest.raises(LoopExit):
        get_hub().switch()
    t.cancel()
    t = Timeout(0.001, ref=False)
    t.start()
    with pytest.raises(Timeout):
        sleep(1)
    with pytest.raises(LoopExit):
        get_hub().switch()


def test_in_threads():
    ends = []

    def run():
        with Timeout(0.005, False):
            sleep(5)
            ends.append("late")
        ends.append("ok")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert ends == ["ok"] * 4


def test_cancelled_from_another_thread():
    t = Timeout(0.05)
    t.start()
    thread = threading.Thread(target=t.cancel)
    thread.start()
    thread.join()
    sleep(0.06)


# ---- memory


def test_it_is_freed_without_the_collector():
    class Watched(Timeout):
        pass

    gc.collect()
    gc.disable()
    try:
        for make in (
            lambda: Watched(1),
            lambda: Watched(1, Mine),
            lambda: Watched(1, Mine("x")),
        ):
            with make() as t:
                pass
            ref = weakref.ref(t)
            del t
            assert ref() is None
    finally:
        gc.enable()


def test_it_does_not_keep_its_greenlet():
    def run():
        t = Timeout.start_new(0.001)
        with pytest.raises(Timeout):
            sleep(1)
        return t

    g = spawn(run)
    t = g.get()
    t.cancel()
    ref = weakref.ref(g)
    del g
    sleep(0)
    gc.collect()
    assert ref() is None


def test_forgotten_ones_fire_and_are_freed():
    def run():
        Timeout(0.001).start()
        try:
            sleep(1)
        except Timeout:
            return "fired"

    before = len(gc.get_objects())
    for _ in range(20):
        assert spawn(run).get() == "fired"
    gc.collect()
    assert len(gc.get_objects()) - before < 20


def test_one_that_outlives_its_greenlet():
    g = spawn(lambda: Timeout(0.002).start())
    g.join()
    sleep(0.01)
    assert getcurrent().gr_frame is None


def test_a_hundred_thousand():
    many = [Timeout(1000 + i % 7) for i in range(100_000)]
    for t in many:
        t.start()
    for t in many:
        t.cancel()
    assert not any(t.pending for t in many)
