"""How greenlets die: dropped, collected, with their thread or process."""

import gc
import os
import sys
import threading
import weakref

import pytest
from celadon import Timeout, get_hub, greenlet_api, sleep, spawn
from celadon._core import GreenletExit, Greenlet, getcurrent, greenlet
from support import FREE_THREADED, run_script


def switch_up(*args):
    return getcurrent().parent.switch(*args)


def noting(seen, name=None):
    """Wait to be killed; note it."""
    try:
        switch_up()
    except BaseException as raised:
        seen.append(type(raised) if name is None else name)
        raise


def descriptors():
    return len(os.listdir("/proc/self/fd"))


# ---- dropped in their own thread


def test_a_dropped_greenlet_is_killed():
    seen = []
    g = greenlet(noting)
    g.switch(seen)
    del g
    assert seen == [GreenletExit]


def test_finally_runs_in_the_dying_greenlet():
    seen = []

    def run():
        try:
            switch_up()
        finally:
            seen.append(getcurrent())

    g = greenlet(run)
    g.switch()
    ref = weakref.ref(g)
    del g
    assert len(seen) == 1 and seen[0].dead
    seen.clear()
    assert ref() is None


def test_a_dropped_cycle_is_collected():
    seen = []
    g = greenlet(noting)
    g.me = g
    g.switch(seen)
    ref = weakref.ref(g)
    del g
    gc.collect()
    assert seen == [GreenletExit]
    gc.collect()
    assert ref() is None


def test_an_error_while_dying_is_reported_not_raised(monkeypatch):
    reports = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda u: reports.append(u.exc_type)
    )

    def run():
        try:
            switch_up()
        finally:
            1 / 0

    g = greenlet(run)
    g.switch()
    del g
    assert reports == [ZeroDivisionError]


def test_what_catches_greenlet_exit_may_end_normally():
    seen = []

    def run():
        try:
            switch_up()
        except GreenletExit:
            seen.append("caught")
        return "ignored"

    g = greenlet(run)
    g.switch()
    del g
    assert seen == ["caught"]


def test_a_handled_exception_is_undisturbed():
    def run():
        try:
            switch_up()
        finally:
            try:
                raise KeyError
            except KeyError:
                pass

    g = greenlet(run)
    g.switch()
    try:
        raise ValueError
    except ValueError as raised:
        del g
        with pytest.raises(ValueError) as caught:
            raise
        assert caught.value is raised


def test_killed_while_an_exception_is_on_its_way():
    seen = []

    class Holder:
        def __del__(self):
            del self.g

    def fail():
        holder = Holder()
        holder.g = greenlet(noting)
        holder.g.switch(seen)
        raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert seen == [GreenletExit]


def test_one_may_live_on():
    kept = []

    def run():
        while True:
            try:
                switch_up()
            except GreenletExit:
                kept.append(getcurrent())

    g = greenlet(run)
    g.switch()
    del g
    assert len(kept) == 1 and kept[0]
    # And again: a second death is as the first.
    kept[:] = []
    assert len(kept) == 1 and kept[0]
    kept[0].run_out = True
    assert kept[0].switch() == ()


def test_one_of_a_subclass_may_live_on():
    kept = []

    class Mine(greenlet):
        __slots__ = ("x",)

    def run():
        for _ in range(3):
            try:
                switch_up()
            except GreenletExit:
                kept.append(getcurrent())

    g = Mine(run)
    g.x = 7
    g.switch()
    del g
    assert kept[0].x == 7
    for _ in range(2):
        assert kept[0] and type(kept[0]) is Mine
        del kept[:]
        # What has slots dies a second time when its thread next tidies up.
        getcurrent()
        assert kept[0].x == 7
    ref = weakref.ref(kept.pop())
    gc.collect()
    assert ref() is None


def test_who_will_not_die_is_named(capsys):
    def run():
        while True:
            try:
                switch_up()
            except GreenletExit:
                pass

    g = greenlet(run)
    g.switch()
    text = repr(g)
    del g
    said = capsys.readouterr().err
    assert said == f"GreenletExit did not kill {text}\n"


def test_the_value_of_a_switch_survives_the_switcher():
    seen = []
    holder = []

    def worker():
        value = switch_up()
        del holder[0]
        first.parent = getcurrent().parent
        try:
            getcurrent().parent.switch(value)
        finally:
            seen.append(getcurrent())

    holder.append(greenlet(worker))
    holder[0].switch()
    first = greenlet(lambda: 42, holder[0])
    assert first.switch() == 42
    assert seen
    seen.clear()


def test_dying_may_wait_in_the_hub():
    seen = []

    def run():
        try:
            switch_up()
        finally:
            sleep(0.01)
            seen.append("slept")

    other = spawn(lambda: seen.append("other"))
    g = greenlet(run)
    g.switch()
    del g
    assert seen == ["other", "slept"]
    other.join()


def test_a_timeout_while_another_dies_comes_after():
    seen = []

    def run():
        try:
            switch_up()
        finally:
            sleep(0.05)
            seen.append("died")

    g = greenlet(run)
    g.switch()
    with pytest.raises(Timeout):
        with Timeout(0.01):
            del g
            seen.append("dropped")
            sleep(1)
    sleep(0.06)
    assert seen[0] == "dropped" and "died" in seen


def test_many_die_at_once():
    seen = []
    many = [greenlet(noting) for _ in range(1000)]
    for g in many:
        g.switch(seen)
    del many, g
    assert len(seen) == 1000


def test_nothing_is_left_of_the_finished():
    class Thing:
        pass

    def run(thing):
        switch_up()

    refs = []
    for _ in range(100):
        thing = Thing()
        g = greenlet(run)
        g.switch(thing)
        refs.append(weakref.ref(thing))
    del thing
    g.switch()
    gc.collect()
    assert [r for r in refs if r() is not None] == []


# ---- threads


def test_dropped_in_another_thread_it_dies_in_its_own():
    seen = []

    def run():
        try:
            switch_up()
        finally:
            seen.append(threading.get_ident())

    box = [greenlet(run)]
    box[0].switch()
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    # CPython may have given it back to this thread already.
    assert seen == [] or FREE_THREADED
    getcurrent()
    assert seen == [threading.get_ident()]


def test_dropped_in_another_thread_while_its_own_sleeps():
    seen = []
    box = [greenlet(noting)]
    box[0].switch(seen)

    def drop():
        import time

        time.sleep(0.02)
        box.clear()

    thread = threading.Thread(target=drop)
    thread.start()
    for _ in range(100):
        sleep(0.2)
        if seen:
            break
    assert seen == [GreenletExit]
    thread.join()


def test_dropped_in_a_thread_that_has_no_hub_and_making_one():
    seen = []
    box = [greenlet(noting) for _ in range(10)]
    for g in box:
        g.switch(seen)
    del g
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    greenlet(lambda: None)
    assert seen == [GreenletExit] * 10


def test_a_thread_that_ends_kills_what_it_suspended():
    seen = []
    kept = []

    def run():
        for name in "abc":
            kept.append(greenlet(noting))
            kept[-1].switch(seen, name)
        spawn(noting_sleep)
        sleep(0)

    def noting_sleep():
        try:
            sleep(100)
        except GreenletExit:
            seen.append("sleeper")
            raise

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert sorted(seen) == ["a", "b", "c", "sleeper"]
    assert all(g.dead for g in kept)


def test_threads_leave_no_descriptors_and_no_objects():
    def run():
        g = greenlet(noting)
        g.switch([])
        spawn(sleep, 100)
        get_hub().run_callback(sum, [1])
        Timeout(100).start()
        Greenlet.spawn_later(50, print)
        sleep(0.001)

    def once():
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    once()
    gc.collect()
    before = descriptors(), len(gc.get_objects())
    for _ in range(100):
        once()
    gc.collect()
    after = descriptors(), len(gc.get_objects())
    assert after[0] == before[0]
    assert after[1] - before[1] < 50


def test_a_thread_ends_though_a_greenlet_will_not():
    def stubborn():
        while True:
            try:
                sleep(100)
            except GreenletExit:
                pass

    def run():
        spawn(stubborn)
        sleep(0)

    before = descriptors()
    for _ in range(3):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    assert descriptors() == before


def test_threads_by_the_c_interface_have_hubs_too():
    """A ctypes callback in a C thread gets a new thread state each time."""
    ended = run_script(
        """
        import ctypes
        from celadon._core import getcurrent, greenlet, sleep, spawn
        libc = ctypes.CDLL(None)
        seen = []
        def run(arg):
            g = greenlet(lambda: getcurrent().parent.switch(1))
            g.switch()
            t = spawn(sleep, 0.001)
            t.join()
            seen.append(getcurrent().parent)
            return 0
        START = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
        start = START(run)
        for _ in range(20):
            thread = ctypes.c_ulong()
            assert libc.pthread_create(ctypes.byref(thread), None, start,
                                       None) == 0
            assert libc.pthread_join(thread, None) == 0
        print(seen == [None] * 20)
        """,
        patched=False,
    )
    assert ended.out == "True\n", ended
    assert ended.err == ""


# ---- the end of the process

SUSPENDED = """
import atexit, sys, threading
import celadon
from celadon import Timeout, get_hub, greenlet_api, sleep, spawn
from celadon._core import getcurrent, greenlet, settrace
main = getcurrent()
def wait():
    try:
        getcurrent().parent.switch()
    finally:
        pass
"""


@pytest.mark.parametrize(
    "program",
    [
        "gs = [greenlet(wait) for _ in range(10)]\nfor g in gs: g.switch()",
        "def nest(n):\n"
        "    if n: greenlet(nest).switch(n - 1)\n"
        "    main.switch()\n"
        "g = greenlet(nest); g.switch(50)",
        "ts = [spawn(sleep, 100) for _ in range(10)]; sleep(0.01)",
        "ts = [spawn(sleep, 100) for _ in range(10)]",
        "Timeout(100).start()",
        "celadon.Greenlet.spawn_later(100, print)",
        "get_hub().run_callback(print, 'never')",
        "settrace(lambda *a: None); g = greenlet(wait); g.switch()",
        "import sys; sys.modules['kept'] = g = greenlet(wait); g.switch()",
        "class C:\n"
        "    def __del__(self): getcurrent()\n"
        "sys.kept = C(); c = C()",
        "class C:\n"
        "    def __del__(self):\n"
        "        try: greenlet(lambda: 1).switch()\n"
        "        except Exception: pass\n"
        "sys.kept = C(); c = C(); import builtins; builtins.kept = C()",
        "def run():\n"
        "    g = greenlet(wait); g.switch(); kept.append(g)\n"
        "    spawn(sleep, 10); sleep(0)\n"
        "kept = []\n"
        "for _ in range(5):\n"
        "    t = threading.Thread(target=run); t.start()\n"
        "t.join()",
        "t = threading.Thread(target=lambda: sleep(100), daemon=True)\n"
        "t.start(); sleep(0.05)",
        "def run():\n"
        "    for _ in range(3): spawn(sleep, 100)\n"
        "    spawn(lambda: sleep(0.01)).join()\n"
        "    celadon.sleep(100)\n"
        "ts = [threading.Thread(target=run, daemon=True) for _ in range(5)]\n"
        "for t in ts: t.start()\n"
        "sleep(0.05)",
        "def spin():\n"
        "    while True: sleep(0)\n"
        "t = threading.Thread(target=spin, daemon=True)\n"
        "t.start(); sleep(0.05)",
        "atexit.register(lambda: greenlet(lambda: 1).switch())\n"
        "atexit.register(lambda: spawn(sleep, 0.01).join())",
        "def g(): yield main.switch()\n"
        "it = g(); a = greenlet(next); a.switch(it)",
    ],
)
@pytest.mark.parametrize("how", ["falls off", "from inside"])
def test_a_process_ends_with_anything_alive(program, how):
    if how == "from inside":
        lines = "\n".join("    " + line for line in program.split("\n"))
        program = f"def all():\n    global main; main = getcurrent()\n{lines}"
        program += "\n    sys.exit(0)\nx = greenlet(all); x.switch()"
        program = program.replace("main.switch", "getcurrent().parent.switch")
    ended = run_script(SUSPENDED + program, patched=False, fails=True)
    assert ended.code == 0, ended
    assert ended.err == "", ended


def test_atexit_functions_may_use_greenlets():
    ended = run_script(
        SUSPENDED
        + """
def last():
    t = spawn(lambda: sleep(0.01) or "late")
    print(t.get(), greenlet(lambda: "raw").switch())
atexit.register(last)
""",
        patched=False,
    )
    assert ended.out == "late raw\n"


def test_a_thread_ends_whole_after_others_dropped_its_greenlets():
    """What it was told of them and has not read must not keep it."""
    for _ in range(3):
        ends = []
        made = []
        there = threading.Event()
        dropped = threading.Event()

        def stay():
            try:
                getcurrent().parent.switch()
            finally:
                ends.append(threading.get_ident())

        def run():
            made.append(greenlet(stay))
            made[0].switch()
            there.set()
            dropped.wait(10)
            greenlet()

        before = greenlet_api.get_total_main_greenlets()
        thread = threading.Thread(target=run)
        thread.start()
        assert there.wait(10)
        del made[:]
        dropped.set()
        thread.join()
        assert ends == [thread.ident]
        assert greenlet_api.get_total_main_greenlets() == before
