"""The stand-ins for _thread.lock and _thread.RLock."""

import _thread
import os
import sys
import threading
import time
import weakref

import pytest

from celadon import GreenletExit, get_hub, sleep, spawn
from celadon._core import lock as Lock
from celadon.event import Event
from celadon.lock import RLock
from support import fork

BOTH = pytest.mark.parametrize("make", [Lock, RLock])


def test_lock():
    lock = Lock()
    assert not lock.locked()
    assert lock.acquire() is True
    assert lock.locked() and lock.locked_lock()
    assert lock.acquire(False) is False
    assert lock.acquire(blocking=False) is False
    assert lock.release() is None
    assert lock.acquire_lock(True, 1) is True
    assert lock.release_lock() is None
    with lock as held:
        assert held is True
        assert lock.locked()
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        lock.release()
    assert repr(lock).startswith("<unlocked ")
    lock.acquire()
    assert repr(lock).startswith("<locked ")


def test_rlock():
    lock = RLock()
    assert lock.acquire() is True
    assert lock.acquire(False) is True
    assert lock.acquire(timeout=1) is True
    assert lock._recursion_count() == 3
    assert lock._is_owned() and lock.locked()
    other = spawn(lambda: (lock._is_owned(), lock._recursion_count()))
    assert other.get() == (False, 0)
    assert spawn(lock.acquire, False).get() is False
    assert spawn(lock.acquire, True, 0.01).get() is False
    assert "count=3" in repr(lock) and repr(lock).startswith("<locked ")
    for _ in range(3):
        assert lock.release() is None
    assert not lock._is_owned() and not lock.locked()
    with pytest.raises(RuntimeError, match="cannot release un-acquired lock"):
        lock.release()
    with lock as held:
        assert held is True
        with lock:
            pass
        with pytest.raises(RuntimeError):
            spawn(lock.release).get()
    assert not lock.locked()
    assert RLock(None).acquire()


@BOTH
def test_errors_of_acquire(make):
    lock = make()
    system = getattr(_thread, "allocate_lock" if make is Lock else "RLock")()
    for arguments, named in (
        ((False, 1), {}),
        ((), {"timeout": -2}),
        ((), {"timeout": threading.TIMEOUT_MAX + 1}),
        ((), {"timeout": float("nan")}),
        ((), {"timeout": None}),
        ((), {"timeout": "x"}),
        ((), {"blocking": False, "timeout": 0}),
        ((1, 2, 3), {}),
        ((), {"block": 1}),
    ):
        kinds = []
        for each in (lock, system):
            with pytest.raises((TypeError, ValueError, OverflowError)) as e:
                each.acquire(*arguments, **named)
            kinds.append(e.type)
        assert kinds[0] is kinds[1], (arguments, named)
    assert not lock.locked()
    assert lock.acquire(timeout=threading.TIMEOUT_MAX) is True
    lock.release()
    assert lock.acquire(False, -1) is True
    lock.release()


@BOTH
def test_order(make):
    lock = make()
    log = []

    def taker(number):
        with lock:
            log.append(number)
            sleep(0)

    lock.acquire()
    greenlets = [spawn(taker, number) for number in range(5)]
    sleep(0)
    lock.release()
    for greenlet in greenlets:
        greenlet.get()
    assert log == list(range(5))


@BOTH
def test_timeouts(make):
    lock = make()
    lock.acquire()
    before = time.monotonic()
    assert spawn(lock.acquire, timeout=0.02).get() is False
    assert time.monotonic() - before > 0.015
    assert spawn(lock.acquire, timeout=0).get() is False
    greenlet = spawn(lock.acquire, timeout=5)
    sleep(0)
    lock.release()
    assert greenlet.get() is True


@BOTH
def test_killed_while_waking(make):
    lock = make()
    log = []

    def taker(name):
        with lock:
            log.append(name)

    lock.acquire()
    first = spawn(taker, 1)
    second = spawn(taker, 2)
    sleep(0)
    lock.release()
    first.kill(block=False)
    second.join(timeout=1)
    assert log[-1] == 2
    assert not lock.locked()


@BOTH
def test_a_loop_that_does_not_wait_lets_others_run(make):
    lock = make()

    def holder():
        with lock:
            sleep(0.01)

    spawn(holder)
    sleep(0)
    while not lock.acquire(False):
        pass


def test_anybody_may_release_a_lock():
    lock = Lock()
    lock.acquire()
    spawn(lock.release)
    assert lock.acquire(timeout=1)


def test_identities_are_not_used_again():
    lock = RLock()
    spawn(lock.acquire).get()
    for _ in range(50):
        assert spawn(lock._is_owned).get() is False
        assert spawn(lock.acquire, False).get() is False


@BOTH
def test_threads(make):
    lock = make()
    total = [0]
    left = [4]
    done = Event()

    def thread():
        for number in range(300):
            with lock:
                value = total[0]
                if number % 7 == 0:
                    sleep(0)
                total[0] = value + 1
        left[0] -= 1
        if left[0] == 0:
            done.set()

    for _ in range(4):
        _thread.start_new_thread(thread, ())
    for _ in range(300):
        with lock:
            value = total[0]
            sleep(0)
            total[0] = value + 1
    assert done.wait(20)
    assert total == [1500]


@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_condition_of_the_standard_library(make):
    condition = threading.Condition(make())
    # What its waiters block on is made by threading, which is not patched.
    original = threading._allocate_lock
    threading._allocate_lock = Lock
    try:
        log = []

        def waiter(number):
            with condition:
                condition.wait()
                log.append(number)

        greenlets = [spawn(waiter, number) for number in range(4)]
        sleep(0)
        with condition:
            condition.notify(2)
        sleep(0)
        sleep(0)
        assert sorted(log) == [0, 1]
        with condition:
            condition.notify_all()
        for greenlet in greenlets:
            greenlet.get()
        with condition:
            assert condition.wait(0.01) is False
    finally:
        threading._allocate_lock = original


def test_restoring():
    lock = RLock()
    with pytest.raises(RuntimeError):
        lock._release_save()
    for _ in range(3):
        lock.acquire()
    state = lock._release_save()
    assert not lock.locked()
    assert lock._acquire_restore(state) is None
    assert lock._recursion_count() == 3
    with pytest.raises(TypeError):
        lock._acquire_restore(3)


def test_a_kill_waits_for_the_restoring():
    lock = RLock()
    log = []

    def restorer():
        with lock:
            state = lock._release_save()
            sleep(0)
            try:
                lock._acquire_restore(state)
            except GreenletExit:
                log.append(lock._is_owned())
                raise

    greenlet = spawn(restorer)
    sleep(0)
    lock.acquire()
    sleep(0)
    sleep(0)
    greenlet.kill(block=False)
    sleep(0)
    assert not greenlet.dead
    lock.release()
    greenlet.join(timeout=1)
    assert log == [True]
    assert not lock.locked()


@BOTH
def test_a_child_process(make):
    lock = make()
    greenlet = spawn(lock.acquire)
    greenlet.join()

    ended = []

    def thread():
        ended.append(lock.acquire(timeout=0.5))

    _thread.start_new_thread(thread, ())
    waiting = spawn(lock.acquire)
    sleep(0.02)
    assert lock.locked()

    def child():
        lock._at_fork_reinit()
        assert waiting.get()
        lock._at_fork_reinit()
        assert lock.acquire()

    assert os.waitpid(fork(child), 0)[1] == 0
    lock._at_fork_reinit()
    # A thread that stayed would be company for later tests: no LoopExit.
    while not ended:
        sleep(0.01)
    sleep(0.05)


@BOTH
def test_a_lock_that_is_always_free_leaves_others_their_turn(make):
    lock = make()
    done = []
    spawn(done.append, 1)
    for _ in range(1000):
        with lock:
            if done:
                break
    assert done


@BOTH
def test_locks_in_the_hub_never_wait_for_their_turn(make):
    lock = make()
    done = []

    def take():
        for _ in range(1000):
            with lock:
                pass
        done.append(1)

    get_hub().run_callback(take)
    sleep(0.001)
    assert done


@BOTH
def test_nothing_leaks(make):
    class Named(make):
        pass

    lock = Named()
    lock.me = 1
    before = sys.getrefcount(lock)
    for _ in range(100):
        with lock:
            pass
        lock.acquire(timeout=1)
        lock.release()
    assert sys.getrefcount(lock) == before
    gone = weakref.ref(lock)
    del lock
    assert gone() is None
