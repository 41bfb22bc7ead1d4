"""threading over greenlets: the same classes, the same answers."""

import sys

import pytest
from support import check_script, run_script


def test_a_thread_runs_and_is_joined():
    check_script(
        """
        import threading
        def f(*args, **kwargs):
            print(args, kwargs, threading.current_thread() is t)
        t = threading.Thread(target=f, args=(1,), kwargs={"a": 2})
        print(t.is_alive(), t.ident, t.native_id)
        t.start()
        print(t.is_alive(), t.ident > 0, t.native_id > 0)
        t.join()
        print(t.is_alive(), threading.active_count())
        """,
        "False None None True True True (1,) {'a': 2} True False 1",
    )


def test_names_are_as_ever():
    check_script(
        """
        import threading
        def work(): pass
        t = [threading.Thread(target=work), threading.Thread(),
             threading.Thread(name="x", target=work),
             threading.Thread(target=work)]
        t[0].start(); t[0].join()
        print(*[x.name.replace(" ", "_") for x in t])
        t[1].name = 5
        print(repr(t[1].name))
        """,
        "Thread-1_(work) Thread-2 x Thread-3_(work) '5'",
    )


def test_repr_tells_the_state():
    check_script(
        """
        import re, threading
        t = threading.Thread(name="n", daemon=True)
        print(repr(t).replace(" ", "_"))
        t.start()
        print(re.sub("[0-9]+", "N", repr(t)).replace(" ", "_"))
        t.join()
        print(re.sub("[0-9]+", "N", repr(t)).replace(" ", "_"))
        """,
        "<Thread(n,_initial_daemon)> <Thread(n,_started_daemon_N)>"
        " <Thread(n,_stopped_daemon_N)>",
    )


def test_misuse_raises_what_it_always_did():
    check_script(
        """
        import threading
        def refused(function, *args):
            try:
                function(*args)
            except RuntimeError as error:
                print(str(error).replace(" ", "-"))
        class Careless(threading.Thread):
            def __init__(self): pass
        refused(Careless().start)
        t = threading.Thread()
        refused(t.join)
        t.start()
        refused(t.start)
        refused(setattr, t, "daemon", True)
        t.join()
        refused(t.start)
        refused(threading.current_thread().join)
        """,
        "thread.__init__()-not-called "
        "cannot-join-thread-before-it-is-started "
        "threads-can-only-be-started-once "
        "cannot-set-daemon-status-of-active-thread "
        "threads-can-only-be-started-once "
        "cannot-join-current-thread",
    )


def test_classes_made_before_patching_work():
    check_script(
        """
        import threading
        from threading import Thread
        class Worker(Thread):
            def __init__(self, n):
                super().__init__(daemon=True)
                self.n = n
            def run(self):
                self.result = self.n * threading.current_thread().n
        early = Worker(3)
        from celadon.monkey import patch_all
        patch_all()
        late = Worker(4)
        for w in (early, late):
            w.start()
        for w in (early, late):
            w.join()
        print(early.result, late.result, early.name, late.is_alive())
        print(isinstance(late, threading.Thread))
        """,
        "9 16 Thread-1 False True",
        patched=False,
    )


def test_start_does_not_switch():
    check_script(
        """
        import threading
        order = []
        t = threading.Thread(target=order.append, args=("ran",))
        t.start()
        order.append("started")
        t.join()
        print(*order)
        """,
        "started ran",
    )


def test_daemon_is_inherited():
    check_script(
        """
        import threading
        made = []
        def make(): made.append(threading.Thread().daemon)
        for daemon in (False, True):
            t = threading.Thread(target=make, daemon=daemon)
            t.start(); t.join()
        print(*made, threading.Thread().daemon)
        """,
        "False True False",
    )


def test_join_has_a_timeout():
    check_script(
        """
        import threading, time
        may_end = threading.Event()
        t = threading.Thread(target=may_end.wait)
        t.start()
        began = time.monotonic()
        t.join(0.02)
        print(t.is_alive(), 0.015 < time.monotonic() - began)
        t.join(-1)
        print(t.is_alive())
        may_end.set()
        t.join(20)
        print(t.is_alive())
        """,
        "True True True False",
    )


def test_the_excepthook_is_called():
    ended = run_script(
        """
        import threading
        seen = []
        threading.excepthook = lambda args: seen.append(
            (args.exc_type.__name__, str(args.exc_value), args.thread.name))
        def fail(): raise ValueError("no")
        t = threading.Thread(target=fail, name="f")
        t.start(); t.join()
        threading.excepthook = threading.__excepthook__
        t = threading.Thread(target=fail, name="g")
        t.start(); t.join()
        def leave(): raise SystemExit
        t = threading.Thread(target=leave)
        t.start(); t.join()
        print(seen)
        """
    )
    assert ended.out == "[('ValueError', 'no', 'f')]\n"
    assert "Exception in thread g:" in ended.err
    assert "SystemExit" not in ended.err


def test_trace_and_profile_hooks_reach_threads():
    check_script(
        """
        import threading
        traced, profiled = set(), set()
        def trace(frame, event, arg):
            traced.add(frame.f_code.co_name)
        def profile(frame, event, arg):
            profiled.add(frame.f_code.co_name)
        def work(): pass
        threading.settrace(trace)
        threading.setprofile(profile)
        t = threading.Thread(target=work)
        t.start(); t.join()
        threading.settrace(None)
        threading.setprofile(None)
        print("work" in traced, "work" in profiled)
        """,
        "True True",
    )


def test_enumerate_knows_who_runs():
    check_script(
        """
        import threading, time
        ts = [threading.Thread(target=time.sleep, args=(0.05,), name=str(n))
              for n in range(3)]
        for t in ts: t.start()
        print(*sorted(t.name for t in threading.enumerate()))
        for t in ts: t.join()
        print(threading.active_count(), len(threading.enumerate()))
        """,
        "0 1 2 MainThread 1 1",
    )


def test_locals_are_each_threads_own():
    check_script(
        """
        import threading, time
        mine = threading.local()
        mine.x = "main"
        def f(n):
            mine.x = n
            time.sleep(0.01)
            print(mine.x)
        for n in "ab":
            threading.Thread(target=f, args=(n,)).start()
        time.sleep(0.05)
        print(mine.x)
        """,
        "a b main",
    )


def test_greenlets_that_are_no_threads_have_dummies():
    check_script(
        """
        import celadon, gc, threading
        def show():
            t = threading.current_thread()
            print(t.name.split("-")[0], t.daemon, t.is_alive())
            print(t is threading.current_thread())
            return t
        g = celadon.spawn(show)
        t = g.get()
        del g
        gc.collect()
        print(t.ident in threading._active, threading.active_count())
        """,
        "Dummy True True True False 1",
    )


def test_threads_of_the_system_still_work():
    check_script(
        """
        import threading, time
        from celadon.monkey import get_original
        start = get_original("_thread", "start_new_thread")
        idents, event = [], threading.Event()
        def work():
            idents.append(threading.get_ident())
            idents.append(threading.current_thread().ident)
            event.set()
        ident = start(work, ())
        print(event.wait(5), idents == [ident, ident])
        print(ident != threading.get_ident())
        """,
        "True True True",
    )


def test_locks_between_threads_of_the_system_and_greenlets():
    check_script(
        """
        import queue, threading, time
        from celadon.monkey import get_original
        start = get_original("_thread", "start_new_thread")
        lock, q = threading.Lock(), queue.Queue()
        total = [0]
        def add():
            for _ in range(100):
                with lock:
                    n = total[0]
                    time.sleep(0.00001)
                    total[0] = n + 1
            q.put("done")
        start(add, ())
        for _ in range(2):
            threading.Thread(target=add).start()
        print(*[q.get(timeout=10) for _ in range(3)], total)
        """,
        "done done done [300]",
    )


@pytest.mark.parametrize("daemon", [False, True])
def test_the_program_waits_for_threads_that_are_not_daemons(daemon):
    ended = run_script(
        f"""
        import threading, time
        def late():
            time.sleep(0.1)
            print("late")
        threading.Thread(target=late, daemon={daemon}).start()
        """
    )
    assert ended.out == ("" if daemon else "late\n")
    assert ended.err == ""


def test_threads_started_while_the_program_ends_are_waited_for():
    check_script(
        """
        import threading, time
        def chain(n):
            time.sleep(0.01)
            print(n)
            if n:
                threading.Thread(target=chain, args=(n - 1,)).start()
        threading.Thread(target=chain, args=(2,)).start()
        """,
        "2 1 0",
    )


def test_exit_code_with_threads_left_over():
    ended = run_script(
        """
        import sys, threading, time
        threading.Thread(target=time.sleep, args=(0.05,)).start()
        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
        sys.exit(3)
        """,
        fails=True,
    )
    assert (ended.code, ended.err) == (3, "")


def test_timer_condition_barrier_semaphore():
    check_script(
        """
        import threading, time
        fired = threading.Event()
        threading.Timer(0.01, fired.set).start()
        never = threading.Timer(0.01, print, ("never",))
        never.start(); never.cancel()
        print(fired.wait(5))

        condition, items = threading.Condition(), []
        def take():
            with condition:
                print(condition.wait_for(lambda: items, 5))
        t = threading.Thread(target=take)
        t.start()
        time.sleep(0.01)
        with condition:
            items.append(1)
            condition.notify()
        t.join()

        barrier, passed = threading.Barrier(3), []
        def meet():
            passed.append(barrier.wait(5))
        ts = [threading.Thread(target=meet) for _ in range(3)]
        for t in ts: t.start()
        for t in ts: t.join()
        print(*sorted(passed))

        semaphore, peak, now = threading.Semaphore(2), [0], [0]
        def few():
            with semaphore:
                now[0] += 1
                peak[0] = max(peak[0], now[0])
                time.sleep(0.005)
                now[0] -= 1
        ts = [threading.Thread(target=few) for _ in range(6)]
        for t in ts: t.start()
        for t in ts: t.join()
        print(*peak)
        """,
        "True [1] 0 1 2 2",
    )


def test_executor():
    check_script(
        """
        import concurrent.futures as cf, threading
        together = threading.Barrier(20)
        def work(n):
            together.wait(10)
            return n * n
        with cf.ThreadPoolExecutor(20) as pool:
            print(sum(pool.map(work, range(20))))
            futures = [pool.submit(pow, n, 2) for n in range(3)]
            print(sorted(f.result() for f in cf.as_completed(futures)))
            print(type(pool.submit(lambda: 1 / 0).exception()).__name__)
        """,
        "2470 [0, 1, 4] ZeroDivisionError",
    )


def test_executor_left_open_at_exit():
    check_script(
        """
        import concurrent.futures, time
        pool = concurrent.futures.ThreadPoolExecutor(2)
        pool.submit(lambda: (time.sleep(0.05), print("done")))
        """,
        "done",
    )


def test_queues_between_threads():
    check_script(
        """
        import queue, threading
        for kind in (queue.Queue, queue.SimpleQueue, queue.LifoQueue,
                     queue.PriorityQueue):
            q, got = kind(), []
            def consume():
                while (item := q.get()) != 99:
                    got.append(item)
            t = threading.Thread(target=consume)
            t.start()
            for n in range(10): q.put(n)
            if kind is queue.LifoQueue:
                import time; time.sleep(0.01)
            q.put(99)
            t.join()
            print(len(got), sorted(got) == list(range(10)))
        q = queue.Queue(1)
        q.put(1)
        for call in (lambda: q.put(2, timeout=0.01), lambda: q.put_nowait(2)):
            try: call()
            except queue.Full: print("full")
        q.get()
        try: q.get(timeout=0.01)
        except queue.Empty: print("empty")
        q.task_done(); q.join()
        """,
        "10 True " * 4 + "full full empty",
    )


def test_logging_from_many_threads():
    ended = run_script(
        """
        import logging, threading, time
        logging.basicConfig(format="%(threadName)s %(message)s")
        def work(n):
            for i in range(20):
                logging.warning("%d %d", n, i)
                time.sleep(0)
        ts = [threading.Thread(target=work, args=(n,)) for n in range(10)]
        for t in ts: t.start()
        for t in ts: t.join()
        """
    )
    lines = ended.err.splitlines()
    assert len(lines) == 200
    assert all(line.startswith("Thread-") for line in lines)


def test_raw_threads_report_what_nobody_caught():
    ended = run_script(
        """
        import _thread, time
        def fail(): raise ValueError("in vain")
        print(_thread.start_new_thread(fail, ()) > 0)
        time.sleep(0.01)
        for args in ((1, ()), (fail, []), (fail, (), 3)):
            try: _thread.start_new_thread(*args)
            except TypeError: print("refused")
        _thread.start_new_thread(_thread.exit, ())
        time.sleep(0.01)
        """
    )
    assert ended.out.split() == ["True"] + ["refused"] * 3
    assert "Exception ignored in thread started by" in ended.err
    assert "ValueError: in vain" in ended.err
    assert "SystemExit" not in ended.err


def test_a_thread_keeps_nothing_of_what_it_ran():
    check_script(
        """
        import gc, threading, weakref
        class Thing: pass
        thing = Thing()
        gone = weakref.ref(thing)
        t = threading.Thread(target=lambda x: None, args=(thing,))
        t.start()
        del thing
        t.join()
        print(gone() is None)
        kept = weakref.ref(t)
        del t
        print(kept() is None)
        """,
        "True True",
    )


def test_dangling_threads_can_be_counted():
    check_script(
        """
        import threading
        t = threading.Thread()
        print(t in set(threading._dangling), len(threading._dangling))
        """,
        "True 2",
    )


def test_importing_from_many_threads(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\ntime.sleep(0.05)\nvalue = 1\n"
    )
    check_script(
        """
        import sys, threading
        sys.path.insert(0, sys.argv[1])
        got = []
        def work():
            import slow
            got.append(slow.value)
        ts = [threading.Thread(target=work) for _ in range(5)]
        for t in ts: t.start()
        for t in ts: t.join()
        print(got)
        """.replace("sys.argv[1]", repr(str(tmp_path))),
        "[1, 1, 1, 1, 1]",
    )


def test_attributes_belong_to_subclasses():
    check_script(
        """
        import threading
        names = ("_state", "_greenlet", "_ended", "_number", "_context",
                 "_target_name", "_event", "_done", "state", "_running")
        class Mine(threading.Thread):
            def __init__(self):
                super().__init__()
                for name in names:
                    setattr(self, name, name)
            def run(self):
                print(all(getattr(self, name) == name for name in names))
        class Signal(threading.Event):
            _event = _state = None
            def wait(self, timeout=None):
                self._event = "mine"
                return super().wait(timeout)
        t = Mine()
        t.start(); t.join()
        s = Signal()
        threading.Timer(0.01, s.set).start()
        print(s.wait(5), s._event, t.is_alive())
        """.replace(' "_context",', "" if sys.version_info >= (3, 14)
                    else ' "_context",'),
        "True True mine False",
    )
