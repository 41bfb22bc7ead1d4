"""Greenlet: spawned, joined, killed, linked, in every state."""

import gc
import sys
import threading
import time
import traceback
import weakref

import pytest
from celadon import Timeout, get_hub, sleep, spawn, spawn_later
from celadon._core import Event, Greenlet, GreenletExit, getcurrent, greenlet


@pytest.fixture
def errors(monkeypatch):
    """What was reported to the hub instead of printed."""
    seen = []
    monkeypatch.setattr(
        type(get_hub()),
        "handle_error",
        lambda self, context, kind, value, tb: seen.append((context, kind)),
    )
    return seen


def settle():
    for _ in range(4):
        sleep(0)


def fail(kind=ZeroDivisionError):
    raise kind


# ---- making and starting


def test_spawn_calls_the_function_in_its_turn():
    seen = []
    g = spawn(lambda *a, **k: seen.append((a, k)), 1, 2, x=3)
    assert seen == [] and isinstance(g, Greenlet) and g.started and g
    assert g.parent is get_hub()
    g.join()
    assert seen == [((1, 2), {"x": 3})]
    assert not g and g.dead and g.ready() and not g.started


@pytest.mark.parametrize(
    "make",
    [
        lambda f: spawn(f, 2, b=3),
        lambda f: Greenlet.spawn(f, 2, b=3),
        lambda f: spawn_later(0, f, 2, b=3),
        lambda f: Greenlet.spawn_later(0.001, f, 2, b=3),
    ],
)
def test_ways_to_spawn(make):
    assert make(lambda a, b: a + b).get() == 5


def test_it_starts_only_when_told():
    g = Greenlet(lambda: 1)
    settle()
    assert not g.started and not g and not g.dead and not g.ready()
    g.start()
    g.start()
    assert g.get() == 1
    g.start()
    assert g.get() == 1


def test_bad_functions_are_refused():
    for bad in (1, "x", object()):
        with pytest.raises(TypeError):
            spawn(bad)
        with pytest.raises(TypeError, match="must be callable"):
            Greenlet(bad)
    with pytest.raises(TypeError):
        spawn()
    with pytest.raises(TypeError):
        spawn_later()


def test_run_by_name_and_arguments():
    g = Greenlet(run=lambda x: x, x=1)
    assert g.kwargs == {"x": 1} and g.args == ()
    g.start()
    assert g.get() == 1
    g = Greenlet(lambda run: run, run=2)
    g.start()
    assert g.get() == 2
    g = Greenlet(max, 1, 2)
    assert g.args == (1, 2) and g.kwargs == {}
    g.start()
    g.join()
    assert g.args == () and g.kwargs == {}


def test_subclasses_define_run():
    class Mine(Greenlet):
        def __init__(self, n):
            Greenlet.__init__(self)
            self.n = n

        def _run(self):
            return self.n

    g = Mine(3)
    g.start()
    assert g.get() == 3
    assert Mine.spawn(4).get() == 4

    class Bare(Greenlet):
        def __init__(self):
            pass

        def _run(self, *args):
            return args

    assert Bare.spawn().get() == ()


def test_without_a_function_it_fails(errors):
    g = Greenlet()
    g.start()
    with pytest.raises(AttributeError):
        g.get()
    assert errors


def test_start_later_waits():
    began = time.monotonic()
    g = Greenlet(time.monotonic)
    g.start_later(0.02)
    g.start_later(0)
    g.start()
    assert g.started
    assert g.get() - began >= 0.02


def test_start_order_is_spawn_order():
    seen = []
    for i in range(10):
        spawn(seen.append, i)
    sleep(0)
    assert seen == list(range(10))


def test_the_context_is_empty_and_ones_own():
    import contextvars

    var = contextvars.ContextVar("var", default="none")
    var.set("main")

    def run(value):
        before = var.get()
        var.set(value)
        sleep(0)
        return before, var.get()

    a, b = spawn(run, "a"), spawn(run, "b")
    assert (a.get(), b.get()) == (("none", "a"), ("none", "b"))
    assert var.get() == "main"
    g = Greenlet(var.get)
    g.gr_context = contextvars.copy_context()
    g.start()
    assert g.get() == "main"


# ---- ends


def test_results_and_errors(errors):
    g = spawn(lambda: 5)
    assert g.get() == 5 and g.value == 5 and g.successful()
    assert g.exception is None and not g.exc_info
    g = spawn(fail, KeyError)
    g.join()
    assert g.ready() and not g.successful() and g.value is None
    assert isinstance(g.exception, KeyError)
    kind, value, tb = g.exc_info
    assert kind is KeyError and value is g.exception and tb is not None
    with pytest.raises(KeyError) as caught:
        g.get()
    assert caught.value is g.exception
    assert errors == [(g, KeyError)]


def test_its_traceback_does_not_grow(errors):
    g = spawn(fail)
    lengths = set()
    for _ in range(5):
        try:
            g.get()
        except ZeroDivisionError as raised:
            lengths.add(len(traceback.extract_tb(raised.__traceback__)))
    assert len(lengths) == 1
    assert len(traceback.extract_tb(g.exc_info[2])) == 1


def test_greenlet_exit_is_a_value(errors):
    g = spawn(fail, GreenletExit)
    assert isinstance(g.get(), GreenletExit)
    assert g.successful() and g.exception is None and errors == []


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_what_ends_programs_goes_to_main(kind, capsys):
    g = spawn(fail, kind)
    with pytest.raises(kind):
        sleep(1)
    assert g.dead and isinstance(g.exception, kind)


def test_get_without_waiting():
    over = Event()
    g = spawn(over.wait)
    with pytest.raises(Timeout):
        g.get(block=False)
    with pytest.raises(Timeout) as caught:
        g.get(timeout=0.001)
    assert caught.value.seconds == 0.001
    g.join(0.001)
    assert not g.ready()
    over.set()
    g.join()
    assert g.get(block=False) is True


def test_joining_oneself_is_refused():
    def run():
        with pytest.raises(RuntimeError):
            getcurrent().join()
        return "ok"

    assert spawn(run).get() == "ok"


def test_many_may_join_one():
    seen = []
    g = spawn(sleep, 0.01)

    def run(i):
        g.join()
        seen.append(i)

    for i in range(5):
        spawn(run, i)
    sleep(0)
    assert g.has_links()
    g.join()
    settle()
    assert seen == list(range(5)) and not g.has_links()


def test_a_joiner_may_be_killed():
    g = spawn(sleep, 0.02)
    joiner = spawn(g.join)
    sleep(0)
    joiner.kill()
    g.join()
    assert isinstance(joiner.value, GreenletExit)


def test_joining_from_another_thread():
    may_end = Event()
    g = spawn(may_end.wait)
    ends = []

    def run():
        g.join(0.001)
        ends.append(g.ready())
        may_end.set()
        g.join()
        ends.append(g.ready())
        ends.append(g.get())

    thread = threading.Thread(target=run)
    thread.start()
    g.join()
    sleep(0.05)
    thread.join()
    assert ends == [False, True, True]


# ---- killing


def test_kill_while_it_waits():
    seen = []

    def run():
        try:
            sleep(10)
        except BaseException as raised:
            seen.append(type(raised))
            raise

    g = spawn(run)
    sleep(0)
    g.kill()
    assert seen == [GreenletExit] and g.dead
    assert isinstance(g.value, GreenletExit)
    g.kill()
    g.kill(ValueError)
    assert isinstance(g.value, GreenletExit)


def test_kill_before_the_start():
    for make in (
        lambda: Greenlet(ran.append, 1),
        lambda: spawn(ran.append, 1),
        lambda: spawn_later(0.001, ran.append, 1),
        lambda: spawn_later(1000, ran.append, 1),
    ):
        ran = []
        ended = []
        g = make()
        g.rawlink(ended.append)
        g.kill(block=False)
        assert g.dead and g.ready() and not g and not g.started
        assert isinstance(g.value, GreenletExit) and g.successful()
        g.start()
        g.join()
        sleep(0.003)
        assert ran == [] and ended == [g]


def test_kill_before_the_start_with_an_error(errors):
    g = spawn(sleep)
    g.kill(ValueError("x"))
    with pytest.raises(ValueError):
        g.get()
    assert errors == [(g, ValueError)]
    settle()


def test_kill_without_blocking():
    g = spawn(sleep, 10)
    sleep(0)
    g.kill(block=False)
    assert not g.dead
    sleep(0)
    assert g.dead


def test_kill_with_a_timeout():
    def stubborn():
        try:
            sleep(10)
        except GreenletExit:
            sleep(0.03)

    g = spawn(stubborn)
    sleep(0)
    g.kill(timeout=0.001)
    assert not g.dead
    g.join()
    assert g.successful() and g.value is None


def test_kill_of_one_that_is_about_to_run():
    g = spawn(sleep, 0)
    sleep(0)
    # It is in the run queue: the sleep ends with the exception.
    g.kill()
    assert isinstance(g.value, GreenletExit)
    event = Event()
    g = spawn(event.wait)
    sleep(0)
    event.set()
    g.kill()
    assert isinstance(g.value, GreenletExit)


def test_kill_oneself():
    seen = []

    def now():
        getcurrent().kill()
        seen.append("not reached")

    def later():
        getcurrent().kill(block=False)
        seen.append("still here")
        sleep(0)
        seen.append("not reached")

    for run in (now, later):
        g = spawn(run)
        g.join()
        assert isinstance(g.value, GreenletExit)
    assert seen == ["still here"]


def test_kill_each_other():
    def run(other):
        sleep(0)
        pair[other].kill()
        return other

    pair = [spawn(run, 1), spawn(run, 0)]
    for g in pair:
        g.join()
    assert all(g.dead for g in pair)


def test_several_exceptions_come_one_at_a_time():
    seen = []

    def run():
        for _ in range(4):
            try:
                sleep(10)
            except Exception as raised:
                seen.append(raised.args[0])

    g = spawn(run)
    sleep(0)
    for i in range(3):
        g.kill(ValueError(i), block=False)
    sleep(0)
    assert seen == [0, 1, 2] and not g.dead
    g.kill(ValueError(3))
    assert seen == [0, 1, 2, 3] and g.dead


def test_kill_with_classes_and_instances(errors):
    for exception in (KeyError, KeyError("x")):
        g = spawn(sleep, 10)
        sleep(0)
        g.kill(exception)
        assert isinstance(g.exception, KeyError)
    g = spawn(sleep, 0)
    with pytest.raises(TypeError):
        g.kill(1)
    with pytest.raises(TypeError):
        g.kill(int)
    g.join()


def test_kill_from_another_thread():
    g = spawn(sleep, 10)
    sleep(0)
    thread = threading.Thread(target=g.kill)
    thread.start()
    g.join(5)
    assert isinstance(g.value, GreenletExit)
    sleep(0.01)
    thread.join()


def test_throw_in_every_state(errors):
    g = Greenlet(sleep)
    g.throw()
    assert g.dead and isinstance(g.value, GreenletExit)
    g = spawn(sleep)
    g.throw(KeyError)
    assert g.dead and isinstance(g.exception, KeyError)
    g = spawn(sleep, 10)
    sleep(0)
    hub = get_hub()
    hub.run_callback(g.throw, ValueError, "x")
    g.join()
    assert g.exception.args == ("x",)
    g = Greenlet(sleep)
    with pytest.raises(TypeError):
        g.throw(1)
    settle()


def test_switching_to_one_by_hand():
    seen = []

    def run(x):
        seen.append(x)
        main.switch()
        seen.append("again")

    main = getcurrent()
    for make in (Greenlet, spawn, lambda *a: spawn_later(10, *a)):
        seen.clear()
        g = make(run, 1)
        g.switch()
        assert seen == [1]
        get_hub().run_callback(g.switch)
        g.join()
        assert seen == [1, "again"]


# ---- links


def test_links_are_called_with_it():
    seen = []
    g = spawn(lambda: 1)
    g.link(lambda it: seen.append(("link", it is g, type(getcurrent()))))
    g.rawlink(lambda it: seen.append(("raw", getcurrent() is get_hub())))
    g.link_value(lambda it: seen.append(("value", it.value)))
    g.link_exception(lambda it: seen.append("no"))
    g.join()
    settle()
    assert sorted(seen, key=str) == sorted(
        [("raw", True), ("link", True, greenlet), ("value", 1)], key=str
    )


def test_links_of_one_that_failed(errors):
    seen = []
    g = spawn(fail)
    g.link_value(lambda it: seen.append("value"))
    g.link_exception(lambda it: seen.append("exception"))
    g.link(lambda it: seen.append("any"))
    settle()
    assert seen == ["exception", "any"]


def test_links_to_one_that_has_ended():
    seen = []
    g = spawn(int)
    g.join()
    for i in range(3):
        g.rawlink(lambda it, i=i: seen.append(i))
    assert seen == []
    settle()
    assert seen == [0, 1, 2]


def test_links_are_taken_back():
    seen = []
    g = spawn(int)
    g.rawlink(seen.append)
    g.link(seen.append)
    g.unlink(seen.append)
    g.unlink(seen.append)
    g.unlink(print)
    assert not g.has_links()
    g.rawlink(seen.append)
    g.unlink_all()
    g.join()
    settle()
    assert seen == []
    with pytest.raises(TypeError, match="Expected callable"):
        g.link(1)
    with pytest.raises(TypeError, match="Expected callable"):
        g.rawlink(None)


def test_a_failing_link_does_not_stop_the_others(errors):
    seen = []
    g = spawn(int)
    g.rawlink(lambda it: 1 / 0)
    g.rawlink(seen.append)
    settle()
    assert seen == [g]
    assert errors == [(g, ZeroDivisionError)]


def test_a_link_may_unlink_and_link():
    seen = []
    g = spawn(int)

    def first(it):
        seen.append("first")
        it.unlink(second)
        it.rawlink(third)

    def second(it):
        seen.append("second")

    def third(it):
        seen.append("third")

    g.rawlink(first)
    g.rawlink(second)
    settle()
    assert seen[0] == "first" and seen[-1] == "third"


# ---- as a context, and what it holds


def test_with_statement():
    with Greenlet(sleep, 0.001) as g:
        assert g.started
    assert g.ready()
    with pytest.raises(ValueError):
        with Greenlet(sleep, 10) as g:
            sleep(0)
            raise ValueError
    assert isinstance(g.value, GreenletExit)


def test_nothing_is_held_after_the_end(errors):
    class Thing:
        def __call__(self, *args):
            pass

    things = [Thing() for _ in range(3)]
    refs = [weakref.ref(t) for t in things]
    g = spawn(things[0], things[1], x=things[2].__call__)
    g.join()
    del things
    gc.collect()
    assert [r() for r in refs] == [None] * 3
    g = spawn(fail)
    g.join()
    ref = weakref.ref(g)
    del g
    errors.clear()
    gc.collect()
    assert ref() is None


def test_one_that_waits_lives_without_references():
    seen = []

    def run():
        sleep(0.005)
        seen.append(1)

    spawn(run)
    sleep(0)
    gc.collect()
    sleep(0.01)
    assert seen == [1]


def test_references_to_functions_do_not_leak():
    def run():
        sleep(0)

    before = sys.getrefcount(run)
    for _ in range(100):
        g = spawn(run)
        g.kill()
        g = spawn(run)
        sleep(0)
        g.kill()
        spawn(run).join()
        spawn_later(1000, run).kill()
        Greenlet(run).throw()
    del g
    settle()
    gc.collect()
    assert sys.getrefcount(run) == before


def test_attributes_and_weak_references():
    g = spawn(int)
    g.name = "x"
    assert g.name == "x" and weakref.ref(g)() is g
    assert g._run is int
    g.join()
    assert g._run is None
    with pytest.raises(AttributeError):
        g.exception = 1


def test_fifty_thousand():
    count = 50_000
    seen = []
    many = [spawn(seen.append, i) for i in range(count)]
    for g in many:
        g.join()
    assert seen == list(range(count))
