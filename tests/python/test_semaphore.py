"""Semaphore, BoundedSemaphore and DummySemaphore."""

import _thread
import gc
import os
import random
import sys
import time
import weakref

import pytest

from celadon import Timeout, sleep, spawn
from celadon.event import Event
from celadon.lock import BoundedSemaphore, DummySemaphore, Semaphore
from support import fork


def test_counting():
    semaphore = Semaphore(2)
    assert semaphore.counter == 2
    assert not semaphore.locked() and semaphore.ready()
    assert semaphore.acquire() is True
    assert semaphore.acquire(blocking=False) is True
    assert semaphore.locked() and not semaphore.ready()
    assert semaphore.acquire(False) is False
    assert semaphore.acquire(False, 3) is False
    assert semaphore.acquire(timeout=0) is False
    assert semaphore.acquire(timeout=-1) is False
    assert semaphore.acquire(True, 0.01) is False
    assert semaphore.wait(0.01) == 0
    assert semaphore.release() == 1
    assert semaphore.wait() == 1
    assert semaphore.release() == 2
    assert Semaphore().counter == 1
    assert Semaphore(value=3, hub=None).counter == 3


def test_arguments():
    with pytest.raises(ValueError):
        Semaphore(-1)
    with pytest.raises(ValueError):
        BoundedSemaphore(-1)
    with pytest.raises(TypeError):
        Semaphore("x")
    with pytest.raises(OverflowError):
        Semaphore(1 << 70)
    with pytest.raises(TypeError):
        Semaphore().acquire(1, 2, 3)
    with pytest.raises(TypeError):
        Semaphore(0).acquire(timeout="x")


def test_bounded():
    semaphore = BoundedSemaphore(2)
    with pytest.raises(ValueError, match="released too many times"):
        semaphore.release()
    semaphore.acquire()
    assert semaphore.release() == 2
    assert semaphore._initial_value == 2
    with pytest.raises(ValueError):
        BoundedSemaphore(0).release()
    assert isinstance(semaphore, Semaphore)


def test_as_a_context():
    semaphore = Semaphore(1)
    with semaphore as nothing:
        assert nothing is None
        assert semaphore.locked()
    assert semaphore.counter == 1
    with pytest.raises(KeyError):
        with semaphore:
            raise KeyError
    assert semaphore.counter == 1


def test_first_come_first_served():
    semaphore = Semaphore(0)
    log = []

    def taker(number):
        semaphore.acquire()
        log.append(number)

    greenlets = [spawn(taker, number) for number in range(6)]
    sleep(0)
    for _ in range(3):
        semaphore.release()
    assert log == []
    sleep(0)
    assert log == [0, 1, 2]
    for _ in range(3):
        semaphore.release()
        sleep(0)
    assert log == list(range(6))
    for greenlet in greenlets:
        greenlet.get()


def test_who_was_passed_keeps_its_place():
    semaphore = Semaphore(0)
    log = []

    def taker(number):
        semaphore.acquire()
        log.append(number)

    for number in range(4):
        spawn(taker, number)
    sleep(0)
    # Two are woken, and find nothing.
    semaphore.release()
    semaphore.release()
    assert semaphore.acquire() and semaphore.acquire()
    sleep(0)
    assert log == []
    for _ in range(4):
        semaphore.release()
        sleep(0)
    assert log == [0, 1, 2, 3]


def test_a_killed_waiter_passes_the_wake_up_on():
    semaphore = Semaphore(0)
    log = []
    first = spawn(semaphore.acquire)
    second = spawn(lambda: log.append(semaphore.acquire()))
    sleep(0)
    semaphore.release()
    first.kill(block=False)
    first.join()
    second.join(timeout=1)
    if first.value is True:
        semaphore.release()
        second.join(timeout=1)
    assert log == [True]
    assert semaphore.counter == 0


def test_a_timeout_at_the_wake_up_loses_nothing():
    semaphore = Semaphore(0)
    log = []

    def taker():
        with Timeout(0.01, False):
            semaphore.acquire()
            log.append("got")
            return
        log.append("late")

    first = spawn(taker)
    second = spawn(semaphore.acquire, timeout=1)
    sleep(0)
    semaphore.release()
    time.sleep(0.03)
    first.join()
    if log == ["got"]:
        semaphore.release()
    assert second.get() is True
    assert semaphore.counter == 0


def test_wait_does_not_take():
    semaphore = Semaphore(0)
    log = []
    waiters = [spawn(lambda: log.append(semaphore.wait())) for _ in range(3)]
    takers = [spawn(semaphore.acquire) for _ in range(2)]
    sleep(0)
    semaphore.release()
    for waiter in waiters:
        waiter.join(timeout=1)
    assert log == [1, 1, 1]
    assert takers[0].get(timeout=1) is True
    assert not takers[1].ready()
    semaphore.release()
    assert takers[1].get(timeout=1) is True


def test_counter_may_be_written():
    semaphore = Semaphore(0)
    greenlets = [spawn(semaphore.acquire) for _ in range(3)]
    sleep(0)
    semaphore.counter += 2
    sleep(0)
    assert [greenlet.ready() for greenlet in greenlets] == [True, True, False]
    assert semaphore.counter == 0
    semaphore.counter = -1
    assert semaphore.locked()
    semaphore.release()
    assert semaphore.counter == 0
    sleep(0)
    assert not greenlets[2].ready()
    semaphore.release()
    assert greenlets[2].get() is True
    with pytest.raises(TypeError):
        semaphore.counter = "x"
    with pytest.raises(AttributeError):
        del semaphore.counter


def test_links_are_called_while_it_is_free():
    semaphore = Semaphore(0)
    log = []

    def take(source):
        log.append(source.counter)
        source.acquire(False)

    semaphore.rawlink(take)
    semaphore.rawlink(take)
    semaphore.release()
    sleep(0)
    assert log == [1]
    semaphore.release()
    sleep(0)
    assert log == [1, 1]
    semaphore.release()
    sleep(0)
    assert log == [1, 1]
    semaphore.rawlink(log.append)
    sleep(0)
    assert log == [1, 1, semaphore]


def test_a_loop_that_does_not_wait_lets_others_run():
    semaphore = Semaphore(0)
    spawn(semaphore.release)
    while not semaphore.acquire(False):
        pass


def test_a_storm_of_kills():
    rng = random.Random(5)
    semaphore = Semaphore(3)
    held = [0]
    done = [0]

    def worker():
        for _ in range(20):
            with semaphore:
                held[0] += 1
                assert 0 <= held[0] <= 3
                try:
                    sleep(0)
                finally:
                    held[0] -= 1
        done[0] += 1

    greenlets = [spawn(worker) for _ in range(40)]
    victims = rng.sample(greenlets, 20)
    while victims:
        sleep(0)
        if rng.random() < 0.3:
            victims.pop().kill(block=False)
    for greenlet in greenlets:
        greenlet.join()
    assert done[0] >= 20
    assert semaphore.counter == 3
    assert held == [0]


def test_threads():
    semaphore = Semaphore(1)
    total = [0]
    left = [4]
    done = Event()

    def thread():
        for _ in range(300):
            with semaphore:
                value = total[0]
                if value % 7 == 0:
                    sleep(0)
                total[0] = value + 1
        left[0] -= 1
        if left[0] == 0:
            done.set()

    for _ in range(4):
        _thread.start_new_thread(thread, ())
    for _ in range(300):
        with semaphore:
            value = total[0]
            sleep(0)
            total[0] = value + 1
    assert done.wait(20)
    assert total == [1500]
    assert semaphore.counter == 1


def test_a_child_process():
    semaphore = Semaphore(0)
    _thread.start_new_thread(semaphore.acquire, ())
    greenlet = spawn(semaphore.acquire)
    sleep(0.02)

    def child():
        # The thread waits longer, but is not in this process.
        semaphore.release()
        assert greenlet.get() is True

    pid = fork(child)
    semaphore.release()
    semaphore.release()
    greenlet.get()
    assert os.waitpid(pid, 0)[1] == 0


def test_nothing_leaks():
    class Named(Semaphore):
        pass

    semaphore = Named(1)
    semaphore.me = semaphore
    semaphore.rawlink(semaphore.release)
    sleep(0)
    gone = weakref.ref(semaphore)
    del semaphore
    gc.collect()
    assert gone() is None
    semaphore = BoundedSemaphore(1)
    before = sys.getrefcount(semaphore)
    for _ in range(100):
        with semaphore:
            pass
        semaphore.acquire(timeout=1)
        semaphore.release()
    assert sys.getrefcount(semaphore) == before


def test_dummy():
    semaphore = DummySemaphore()
    with semaphore as nothing:
        assert nothing is None
    assert semaphore.acquire(False, 1) is True
    assert semaphore.release() is None
    assert semaphore.wait(3) == 1
    assert semaphore.ready() and not semaphore.locked()
    assert "DummySemaphore" in str(semaphore)
