"""Python calls on threads, while other greenlets run."""

import gc
import os
import sys
import threading
import time
import weakref

import pytest
from celadon._core import Timeout, offload, sleep, spawn
from support import check_script, run_script


def test_results_and_exceptions_come_back():
    assert offload(divmod, 7, 2) == (3, 1)
    assert offload(sorted, [1, 3, 2], reverse=True) == [3, 2, 1]
    with pytest.raises(ZeroDivisionError):
        offload(divmod, 1, 0)
    with pytest.raises(SystemExit):
        offload(sys.exit, 3)
    with pytest.raises(TypeError):
        offload()
    with pytest.raises(TypeError):
        offload(5)


def test_a_traceback_shows_where_it_was_called():
    def fail():
        raise KeyError("inside")

    with pytest.raises(KeyError) as caught:
        offload(fail)
    assert "fail" in [entry.name for entry in caught.traceback]


def test_calls_run_at_the_same_time_and_in_other_threads():
    together = threading.Barrier(5)
    jobs = [
        spawn(offload, lambda: (together.wait(20), threading.get_ident()))
        for _ in range(5)
    ]
    idents = {job.get()[1] for job in jobs}
    assert threading.get_ident() not in idents
    assert len(idents) == 5


def test_more_calls_than_threads():
    jobs = [spawn(offload, time.sleep, 0.01) for _ in range(50)]
    for job in jobs:
        job.get()


def test_a_greenlet_killed_meanwhile_leaves_at_once():
    class Thing:
        pass

    thing = Thing()
    ref = weakref.ref(thing)
    started = threading.Event()
    may_end = threading.Event()

    def work(thing):
        started.set()
        assert may_end.wait(20)
        return thing

    job = spawn(offload, work, thing)
    del thing
    sleep(0)
    while not started.is_set():
        sleep(0.001)
    job.kill()
    assert ref() is not None
    del job
    may_end.set()
    while ref() is not None:
        sleep(0.01)
        gc.collect()


def test_a_timeout_takes_a_call_out_of_the_queue():
    ran = []
    gate = threading.Event()
    blockers = [spawn(offload, gate.wait, 20) for _ in range(10)]
    sleep(0.01)
    with pytest.raises(Timeout), Timeout(0.02):
        offload(ran.append, 1)
    gate.set()
    for blocker in blockers:
        blocker.join()
    offload(ran.append, 2)
    assert ran == [2]


def test_greenlets_in_a_pool_thread():
    # The thread's hub goes with it, when it has been idle for long: not here,
    # where others count descriptors.
    check_script(
        """
        from celadon._core import offload, sleep, spawn
        def work():
            jobs = [spawn(lambda n=n: (sleep(0.01), n)[1]) for n in range(3)]
            return [job.get() for job in jobs]
        for _ in range(3):
            print(offload(work))
        """,
        "[0, 1, 2] [0, 1, 2] [0, 1, 2]",
        patched=False,
    )


def test_threads_that_wait_for_work_do_not_hide_a_deadlock():
    ended = run_script(
        """
        from celadon._core import offload, getcurrent, get_hub
        from celadon.event import Event
        offload(int)
        try:
            Event().wait()
        except BaseException as error:
            print(type(error).__name__)
        """,
        patched=False,
    )
    assert ended.out == "LoopExit\n"


def test_a_call_in_the_hub_is_made_there():
    check_script(
        """
        import threading
        from celadon import get_hub, sleep
        from celadon._core import offload
        me = threading.get_ident()
        def call():
            print(offload(threading.get_ident) == me)
        get_hub().run_callback(call)
        sleep(0.01)
        """,
        "True",
        patched=False,
    )


def test_fork_during_a_call():
    # Newer versions warn of the threads on stderr.
    ended = run_script(
        """
        import os, time
        from celadon._core import offload, spawn, sleep
        job = spawn(offload, time.sleep, 0.2)
        queued = [spawn(offload, time.sleep, 0.1) for _ in range(12)]
        sleep(0.05)
        pid = os.fork()
        if pid == 0:
            print(offload(divmod, 9, 4), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        job.get()
        for other in queued:
            other.get()
        print("parent")
        """,
        patched=False,
    )
    assert ended.out.splitlines() == ["(2, 1)", "parent"]


def test_exit_while_a_call_runs():
    start = time.monotonic()
    ended = run_script(
        """
        import time
        from celadon._core import offload, spawn, sleep
        spawn(offload, time.sleep, 30)
        sleep(0.05)
        """,
        patched=False,
    )
    assert ended.code == 0
    assert time.monotonic() - start < 10
    assert os.path.exists(sys.executable)
