"""The hub: waiting, callbacks, errors nobody waits for, deadlocks."""

import gc
import sys
import threading
import time
import weakref

import pytest
from celadon import (
    Timeout,
    _core,
    get_hub,
    sleep,
    spawn,
    spawn_later,
    spawn_raw,
)
from celadon._core import (
    BlockingSwitchOutError,
    GreenletExit,
    InvalidSwitchError,
    LoopExit,
    getcurrent,
    greenlet,
)
from celadon.socket import socketpair, wait_read
from support import run_script


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
    for _ in range(3):
        sleep(0)


# ---- one hub a thread


def test_the_hub_is_a_greenlet_of_its_thread():
    hub = get_hub()
    assert get_hub() is hub
    assert isinstance(hub, greenlet) and isinstance(hub, _core.Hub)
    assert hub.main is getcurrent()
    assert hub.parent is getcurrent()
    others = []
    thread = threading.Thread(target=lambda: others.append(get_hub()))
    thread.start()
    thread.join()
    assert others[0] is not hub
    assert others[0].dead
    for name in ("main", "backend", "switches"):
        with pytest.raises(RuntimeError, match="ended with its thread"):
            getattr(others[0], name)
    with pytest.raises(RuntimeError):
        others[0].run_callback(print)


def test_importing_makes_no_hub():
    ended = run_script(
        """
        import os, threading
        before = len(os.listdir("/proc/self/fd"))
        import celadon
        from celadon import _core
        print(_core.has_hub(), threading.active_count(),
              len(os.listdir("/proc/self/fd")) - before)
        _core.getcurrent()
        print(_core.has_hub())
        """,
        patched=False,
    )
    assert ended.out == "False 1 0\nTrue\n"


def test_what_the_hub_tells_of_itself():
    hub = get_hub()
    assert hub.backend in ("epoll", "poll", "uring")
    before = hub.switches
    sleep(0)
    greenlet(lambda: None).switch()
    assert hub.switches >= before + 2


# ---- sleeping


def test_sleeps_run_at_the_same_time():
    seen = []

    def run(name, seconds):
        sleep(seconds)
        seen.append(name)

    began = time.monotonic()
    threads = [spawn(run, i, 0.05 - i * 0.01) for i in range(5)]
    for t in threads:
        t.join()
    assert seen == [4, 3, 2, 1, 0]
    assert 0.05 <= time.monotonic() - began


def test_sleep_zero_takes_turns():
    seen = []

    def run(name):
        for i in range(3):
            seen.append((i, name))
            sleep(0)

    threads = [spawn(run, name) for name in "abc"]
    for t in threads:
        t.join()
    assert seen == [(i, name) for i in range(3) for name in "abc"]


@pytest.mark.parametrize("seconds", [0, 0.0, -1, 1e-9, True * 0])
def test_short_sleeps(seconds):
    longer = []
    g = spawn_later(30, longer.append, 1)
    assert sleep(seconds) is None
    assert not longer
    g.kill()


def test_sleep_takes_numbers_only():
    for bad in ("1", [], object()):
        with pytest.raises(TypeError):
            sleep(bad)
    with pytest.raises(ValueError):
        sleep(float("nan"))
    with pytest.raises(TypeError):
        sleep(1, 2, 3)
    with pytest.raises(TypeError):
        sleep(secs=1)


def test_other_threads_run_while_the_hub_sleeps():
    seen = []

    def run():
        for _ in range(10):
            seen.append(1)
            time.sleep(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    # On a busy machine it takes longer; the hub sleeps all the same.
    for _ in range(100):
        sleep(0.1)
        if len(seen) == 10:
            break
    assert len(seen) == 10
    thread.join()


def test_hubs_in_several_threads_at_once():
    ends = []

    def run(name):
        def count():
            for _ in range(50):
                sleep(0)
            sleep(0.001)
            return 1

        ends.append(sum(t.get() for t in [spawn(count) for _ in range(20)]))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert ends == [20] * 8


# ---- callbacks


def test_callbacks_run_in_the_hub_and_in_order():
    seen = []
    hub = get_hub()
    for i in range(5):
        hub.run_callback(lambda i=i: seen.append((i, getcurrent() is hub)))
    assert seen == []
    sleep(0)
    assert seen == [(i, True) for i in range(5)]


def test_callbacks_and_greenlets_keep_one_order():
    seen = []
    hub = get_hub()
    for i in range(6):
        if i % 2:
            spawn(seen.append, i)
        else:
            hub.run_callback(seen.append, i)
    settle()
    assert seen == list(range(6))


def test_a_stopped_callback_does_not_run():
    seen = []
    hub = get_hub()
    a = hub.run_callback(seen.append, "a")
    b = hub.run_callback(seen.append, "b")
    assert a and a.pending and a.callback == seen.append
    assert a.args == ("a",)
    a.stop()
    a.stop()
    assert not a and not a.pending
    sleep(0)
    assert seen == ["b"]
    assert not b.pending
    b.close()


def test_a_callback_may_stop_the_next():
    seen = []
    hub = get_hub()
    hub.run_callback(lambda: second.stop())
    second = hub.run_callback(seen.append, 1)
    third = hub.run_callback(seen.append, 3)
    settle()
    assert seen == [3]
    assert not third.pending


def test_a_callback_queued_by_a_callback_runs_later():
    seen = []
    hub = get_hub()

    def again(n):
        seen.append(n)
        if n:
            hub.run_callback(again, n - 1)

    hub.run_callback(again, 3)
    for _ in range(5):
        sleep(0)
    assert seen == [3, 2, 1, 0]


def test_a_callback_that_is_not_callable_is_refused():
    for bad in ((), (1,), (None, 2)):
        with pytest.raises(TypeError):
            get_hub().run_callback(*bad)


def test_the_hub_of_another_thread_takes_no_callbacks():
    hub = get_hub()
    caught = []

    def run():
        for call in (lambda: hub.run_callback(print), hub.switch):
            try:
                call()
            except RuntimeError:
                caught.append(1)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert caught == [1, 1]


def test_an_error_in_a_callback_is_reported(errors):
    hub = get_hub()
    callback = hub.run_callback(lambda: 1 / 0)
    after = []
    hub.run_callback(after.append, 1)
    sleep(0)
    assert errors == [(callback, ZeroDivisionError)]
    assert after == [1]


def test_a_callback_must_not_wait(errors):
    hub = get_hub()
    caught = []

    def wait(call):
        try:
            call()
        except BaseException as raised:
            caught.append(type(raised))

    t = spawn(sleep, 0.001)
    for call in (
        lambda: sleep(0),
        lambda: sleep(1),
        lambda: hub.switch(),
        lambda: t.join(),
        lambda: _core.Event().wait(),
    ):
        hub.run_callback(wait, call)
    settle()
    assert caught == [BlockingSwitchOutError] * 5
    t.join()
    sleep(0)


def test_a_callback_may_ask_for_what_is_ready_as_often_as_it_likes():
    done = []

    def ask():
        for _ in range(200):
            wait_read(a.fileno())
        done.append(a.recv(9))

    a, b = socketpair()
    with a, b:
        reader = spawn(a.recv, 1)
        sleep(0)
        b.send(b"1234")
        assert reader.get() == b"1"
        get_hub().run_callback(ask)
        settle()
        assert done == [b"234"]


def test_a_callback_that_switches_goes_on_when_that_waits():
    seen = []
    hub = get_hub()

    def wait():
        seen.append(hub.switch())
        event.wait()
        seen.append("set")

    def call():
        seen.append(waiter.switch("switched"))
        event.set()

    event = _core.Event()
    waiter = spawn_raw(wait)
    sleep(0)
    hub.run_callback(call)
    for _ in range(5):
        sleep(0)
    assert seen == ["switched", (), "set"]


def test_a_callback_that_switches_goes_on_when_that_ends():
    seen = []
    hub = get_hub()

    def call():
        seen.append(greenlet(lambda: "result").switch())
        with pytest.raises(ZeroDivisionError):
            greenlet(lambda: 1 / 0).switch()
        seen.append("end")

    hub.run_callback(call)
    settle()
    assert seen == ["result", "end"]


def test_links_that_switch_do_not_stop_the_others():
    seen = []

    def wait(name):
        get_hub().switch()
        seen.append(name)
        sleep(0)

    waiters = [spawn_raw(wait, name) for name in "abc"]
    sleep(0)
    g = spawn(int)
    for waiter in waiters:
        g.rawlink(waiter.switch)
    for _ in range(5):
        sleep(0)
    assert seen == ["a", "b", "c"]


def test_a_timeout_started_in_a_callback_is_reported(errors):
    hub = get_hub()
    hub.run_callback(lambda: Timeout(0.001).start())
    for i in range(200):
        hub.run_callback(int)
        if i % 50 == 0:
            sleep(0.002)
    sleep(0.01)
    assert [kind for _, kind in errors] == [Timeout]


def test_callbacks_are_freed():
    class Thing:
        def __call__(self):
            pass

    thing = Thing()
    ref = weakref.ref(thing)
    get_hub().run_callback(thing)
    del thing
    sleep(0)
    gc.collect()
    assert ref() is None


# ---- switching by hand among waits


def test_waiting_for_a_switch():
    hub = get_hub()
    main = getcurrent()
    hub.run_callback(main.switch, 1)
    assert hub.switch() == 1
    hub.run_callback(main.switch)
    assert hub.switch() == ()
    hub.run_callback(lambda: main.switch(1, a=2))
    assert hub.switch() == ((1,), {"a": 2})
    hub.run_callback(main.throw, ValueError)
    with pytest.raises(ValueError):
        hub.switch()
    hub.run_callback(sleep, 0)


def test_a_switch_into_another_wait_is_refused():
    main = getcurrent()
    get_hub().run_callback(main.switch, "x")
    with pytest.raises(InvalidSwitchError, match="sleep"):
        sleep(1)
    get_hub().run_callback(main.throw, KeyError)
    with pytest.raises(KeyError):
        sleep(1)


def test_who_ends_goes_to_the_next_not_to_the_hub():
    seen = []
    g = spawn_raw(seen.append, 1)
    assert g.parent is get_hub()
    sleep(0)
    assert seen == [1] and g.dead


def test_raw_greenlets_report_their_errors(errors):
    g = spawn_raw(lambda: 1 / 0)
    sleep(0)
    assert errors == [(g, ZeroDivisionError)]
    g = spawn_raw(sleep, 10)
    sleep(0)
    get_hub().run_callback(g.throw, GreenletExit)
    settle()
    assert g.dead and len(errors) == 1


def test_throwing_at_the_hub_is_reported(errors):
    hub = get_hub()
    g = spawn_raw(lambda: greenlet.throw(hub, ValueError))
    settle()
    assert [kind for _, kind in errors] == [ValueError]
    assert g
    del g
    settle()


def test_throw_main():
    get_hub().throw_main(ValueError("x"))
    with pytest.raises(ValueError):
        sleep(1)
    with pytest.raises(TypeError):
        get_hub().throw_main(1)


def test_several_exceptions_come_in_their_order():
    hub = get_hub()
    for i in range(3):
        hub.throw_main(ValueError(i))
    for i in range(3):
        with pytest.raises(ValueError) as caught:
            sleep(0)
        assert caught.value.args == (i,)
    sleep(0)


def test_what_came_while_it_ran_is_raised_in_a_switch_by_hand():
    g = greenlet(get_hub().switch)
    t = spawn(sleep, 1000)
    get_hub().throw_main(ValueError("x"))
    with pytest.raises(ValueError):
        g.switch()
    get_hub().throw_main(ValueError("x"))
    with pytest.raises(KeyError):
        g.throw(KeyError)
    with pytest.raises(ValueError):
        sleep(0)
    t.kill()


# ---- deadlocks


def test_a_wait_without_end_is_loop_exit():
    with pytest.raises(LoopExit) as caught:
        get_hub().switch()
    message, hub, _ = caught.value.args
    assert message == "This operation would block forever"
    assert hub is get_hub()
    for wait in (lambda: sleep(None), lambda: _core.Event().wait()):
        with pytest.raises(LoopExit):
            wait()


def test_a_switch_to_one_that_waits_for_ever_is_loop_exit():
    g = greenlet(get_hub().switch)
    with pytest.raises(LoopExit):
        g.switch()
    g.throw()


def test_a_timer_is_something_to_wait_for():
    with pytest.raises(Timeout):
        with Timeout(0.01):
            get_hub().switch()


def test_another_thread_is_something_to_wait_for():
    event = _core.Event()
    done = threading.Event()

    def run():
        time.sleep(0.05)
        event.set()
        done.wait(5)

    thread = threading.Thread(target=run)
    thread.start()
    assert event.wait(5)
    done.set()
    thread.join()


def test_an_unreferenced_sleep_is_not_waited_for():
    t = spawn(sleep, 1000, ref=False)
    sleep(0)
    with pytest.raises(LoopExit):
        get_hub().switch()
    t.kill()
    with pytest.raises(LoopExit):
        get_hub().switch()


# ---- descriptors


def test_waiting_for_descriptors():
    import os
    import select

    r, w = os.pipe()
    try:
        hub = get_hub()
        assert hub.wait_fd(w, select.POLLOUT) & select.POLLOUT
        assert hub.wait_fd(r, select.POLLIN, 0.01) == 0
        spawn(os.write, w, b"x")
        assert hub.wait_fd(r, select.POLLIN, 5) & select.POLLIN
        with pytest.raises(OSError):
            hub.wait_fd(12345, select.POLLIN)
    finally:
        os.close(r)
        os.close(w)


# ---- what is reported, and how


def test_the_report_on_standard_error(capsys):
    def fail():
        raise RuntimeError("boom")

    g = spawn(fail)
    g.join()
    said = capsys.readouterr().err
    assert "RuntimeError: boom" in said
    assert "in fail" in said
    assert f"{g!r}".split(" ")[0] in said
    assert "failed with RuntimeError" in said


def test_greenlet_exit_and_system_exit_are_not_reported(capsys):
    spawn(sleep, 10).kill()
    g = spawn_raw(lambda: None)
    sleep(0)
    assert g.dead
    assert capsys.readouterr().err == ""


def test_a_failing_error_handler_shows_the_first_error(monkeypatch):
    reports = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda u: reports.append(u.exc_type)
    )

    def bad(*args):
        raise KeyError

    monkeypatch.setattr(type(get_hub()), "handle_error", bad)
    get_hub().run_callback(lambda: 1 / 0)
    sleep(0)
    assert reports == [ZeroDivisionError]


def test_an_error_handler_of_the_instance(monkeypatch):
    seen = []
    hub = get_hub()
    hub.handle_error = lambda *args: seen.append(args[1])
    try:
        hub.run_callback(lambda: 1 / 0)
        sleep(0)
    finally:
        del hub.handle_error
    assert seen == [ZeroDivisionError]


def test_system_exit_of_a_greenlet_ends_the_program():
    ended = run_script(
        """
        import sys
        from celadon import sleep, spawn
        spawn(sys.exit, 7)
        sleep(5)
        """,
        patched=False,
        fails=True,
    )
    assert ended.code == 7 and ended.err == ""
