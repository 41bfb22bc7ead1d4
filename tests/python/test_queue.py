"""Queues and channels."""

import _thread
import gc
import inspect
import os
import queue as standard
import random
import sys
import time
import weakref

import pytest

from celadon import Timeout, sleep, spawn
from celadon.event import Event
from celadon.queue import (
    Channel,
    Empty,
    Full,
    JoinableQueue,
    LifoQueue,
    PriorityQueue,
    Queue,
    ShutDown,
    SimpleQueue,
)
from support import fork

KINDS = [SimpleQueue, Queue, LifoQueue, PriorityQueue]
ALL = pytest.mark.parametrize("make", KINDS)


def order_of(make, items):
    """In which order a queue of this kind gives *items*."""
    if make is LifoQueue:
        return items[::-1]
    return sorted(items) if make is PriorityQueue else list(items)


@ALL
def test_order(make):
    queue = make()
    items = [3, 1, 4, 15, 9, 2, 6]
    for item in items:
        assert queue.put(item) is None
    assert queue.qsize() == len(queue) == 7
    wanted = order_of(make, items)
    assert queue.peek() == queue.peek_nowait() == wanted[0]
    assert [queue.get() for _ in items] == wanted
    assert queue.empty() and not queue.full() and queue
    queue = make(items=items)
    assert [queue.get_nowait() for _ in items] == wanted


def test_names():
    assert Empty is standard.Empty and Full is standard.Full
    assert getattr(standard, "ShutDown", ShutDown) is ShutDown
    assert JoinableQueue is Queue
    assert issubclass(Queue, SimpleQueue) and issubclass(LifoQueue, Queue)
    assert Queue[int].__origin__ is Queue
    assert str(inspect.signature(Queue.put)) == (
        "(self, /, item, block=True, timeout=None)"
    )


@ALL
def test_limits(make):
    queue = make(2)
    queue.put(1)
    queue.put(2, False)
    assert queue.full() and not queue.empty()
    with pytest.raises(Full):
        queue.put(3, block=False)
    with pytest.raises(Full):
        queue.put_nowait(3)
    with pytest.raises(Full):
        queue.put(3, timeout=0.01)
    with pytest.raises(Full):
        queue.put(3, True, 0)
    queue.get(False)
    queue.get(timeout=1)
    for call in (
        lambda: queue.get(False),
        lambda: queue.get(block=False, timeout=3),
        lambda: queue.get(timeout=0.01),
        lambda: queue.get(timeout=0),
        queue.get_nowait,
        lambda: queue.peek(False),
        lambda: queue.peek(timeout=0.01),
        queue.peek_nowait,
    ):
        with pytest.raises(Empty):
            call()
    with pytest.raises(ValueError, match="non-negative"):
        queue.get(timeout=-1)
    with pytest.raises(ValueError, match="non-negative"):
        queue.put(1, timeout=-1)
    with pytest.raises(TypeError):
        queue.put()
    with pytest.raises(TypeError):
        queue.put_nowait()
    queue.put(item=7, block=True, timeout=None)
    assert queue.get() == 7


def test_maxsize():
    for none in (None, 0, -1):
        queue = Queue(none)
        assert queue.maxsize == 0
        for number in range(100):
            queue.put(number, False)
    queue = Queue(maxsize=1, items=[1, 2, 3])
    assert queue.qsize() == 3 and queue.full()
    putter = spawn(queue.put, 4)
    sleep(0)
    assert not putter.ready()
    queue.maxsize = 4
    sleep(0)
    assert putter.ready() and queue.qsize() == 4
    queue.maxsize = None
    assert queue.maxsize == 0
    with pytest.raises(TypeError):
        Queue("x")
    with pytest.raises(TypeError):
        Queue(0, 5)


@ALL
def test_getters_are_served_in_order(make):
    queue = make()
    log = []

    def getter(number):
        log.append((number, queue.get()))

    for number in range(5):
        spawn(getter, number)
    sleep(0)
    for number in range(5):
        queue.put(number)
        sleep(0)
    assert log == [(number, number) for number in range(5)]


def test_putters_are_served_in_order():
    queue = Queue(1)
    putters = [spawn(queue.put, number) for number in range(5)]
    sleep(0)
    assert [queue.get() for _ in range(5)] == list(range(5))
    for putter in putters:
        putter.get()


def test_who_was_passed_keeps_its_place():
    queue = Queue()
    log = []

    def getter(number):
        log.append((number, queue.get()))

    for number in range(3):
        spawn(getter, number)
    sleep(0)
    queue.put("a")
    assert queue.get() == "a"
    sleep(0)
    assert log == []
    for item in "bcd":
        queue.put(item)
    sleep(0)
    assert log == [(0, "b"), (1, "c"), (2, "d")]


def test_a_killed_getter_loses_nothing():
    queue = Queue()
    first = spawn(queue.get)
    second = spawn(queue.get)
    sleep(0)
    queue.put("x")
    first.kill(block=False)
    first.join()
    if first.value == "x":
        queue.put("x")
    assert second.get(timeout=1) == "x"
    assert queue.empty()


def test_a_killed_putter_passes_the_room_on():
    queue = Queue(1, ["x"])
    first = spawn(queue.put, "first")
    second = spawn(queue.put, "second")
    sleep(0)
    assert queue.get() == "x"
    first.kill(block=False)
    first.join()
    assert queue.get(timeout=1) in ("first", "second")
    second.join(timeout=1)
    assert second.ready()


def test_a_getter_that_only_looks_passes_the_item_on():
    queue = Queue()
    looker = spawn(queue.peek)
    getter = spawn(queue.get)
    sleep(0)
    queue.put(1)
    assert looker.get(timeout=1) == 1
    assert getter.get(timeout=1) == 1


@ALL
def test_a_storm_of_kills(make):
    rng = random.Random(7)
    queue = make(3)
    put = []
    got = []

    def putter(base):
        for number in range(base, base + 30):
            queue.put(number)
            put.append(number)

    def getter():
        while True:
            item = queue.get()
            got.append(item)
            if rng.random() < 0.3:
                sleep(0)

    putters = [spawn(putter, 1000 * number) for number in range(20)]
    getters = [spawn(getter) for _ in range(20)]
    for _ in range(2000):
        if not any(putters):
            break
        sleep(0)
        if len(getters) > 3 and rng.random() < 0.2:
            getters.pop().kill(block=False)
        if rng.random() < 0.05:
            putters[rng.randrange(20)].kill(block=False)
    for greenlet in putters:
        greenlet.join(timeout=5)
    for _ in range(20):
        sleep(0)
    left = [queue.get() for _ in range(queue.qsize())]
    for greenlet in getters:
        greenlet.kill()
    # A putter that was killed may have put one item more than it noted.
    assert len(set(got)) == len(got)
    assert set(put) <= set(got + left)


@ALL
def test_iteration(make):
    queue = make(items=[2, 1])
    log = []
    greenlet = spawn(lambda: log.extend(queue))
    sleep(0)
    if make is PriorityQueue:
        greenlet.kill()
        return
    queue.put(StopIteration)
    greenlet.join(timeout=1)
    assert sorted(log) == [1, 2]
    assert next(iter(make(items=[5]))) == 5


@ALL
def test_copy(make):
    queue = make(items=[2, 3, 1])
    other = queue.copy()
    assert type(other) is make
    wanted = order_of(make, [2, 3, 1])
    assert [other.get() for _ in range(3)] == wanted
    assert queue.qsize() == 3
    _ = queue.queue
    other = queue.copy()
    assert [other.get() for _ in range(3)] == wanted


def test_what_it_keeps_items_in():
    queue = Queue(items=[1, 2])
    deque = queue.queue
    assert type(deque).__name__ == "deque"
    assert queue.queue is deque
    queue.put(3)
    assert list(deque) == [1, 2, 3]
    assert queue.peek() == 1 and queue.get() == 1
    with queue.mutex:
        queue.queue.clear()
    assert queue.mutex is queue.mutex
    assert queue.empty()
    deque.append(9)
    assert queue.get() == 9
    getter = spawn(queue.get)
    sleep(0)
    queue.queue = type(deque)([7])
    assert getter.get() == 7
    stack = LifoQueue(items=[1, 2])
    assert stack.queue == [1, 2]
    stack.put(3)
    assert stack.peek() == 3
    assert [stack.get() for _ in range(3)] == [3, 2, 1]
    heap = PriorityQueue(items=[3, 1, 2])
    assert heap.queue[0] == 1
    with pytest.raises(AttributeError):
        del queue.queue


def test_many_items():
    queue = Queue()
    rng = random.Random(3)
    wanted = []
    for _ in range(300):
        for _ in range(rng.randrange(200)):
            wanted.append(object())
            queue.put(wanted[-1])
        for _ in range(min(rng.randrange(220), len(wanted))):
            assert queue.get() is wanted.pop(0)
    while wanted:
        assert queue.get() is wanted.pop(0)
    assert queue.empty()


def test_tasks():
    queue = Queue()
    assert queue.join() is True
    with pytest.raises(ValueError, match="too many times"):
        queue.task_done()
    for number in range(3):
        queue.put(number)
    assert queue.unfinished_tasks == 3
    assert queue.join(timeout=0.01) is False
    assert queue.join(0) is False
    joiners = [spawn(queue.join) for _ in range(2)]
    for _ in range(3):
        sleep(0)
        assert not joiners[0].ready()
        queue.get()
        queue.task_done()
    assert [joiner.get() for joiner in joiners] == [True, True]
    assert Queue(items=[1, 2]).unfinished_tasks == 2
    assert Queue(items=[1, 2], unfinished_tasks=5).unfinished_tasks == 5
    queue.unfinished_tasks = 1
    joiner = spawn(queue.join)
    sleep(0)
    queue.unfinished_tasks = 0
    assert joiner.get() is True


def test_shutdown():
    queue = Queue(1, [1])
    putter = spawn(queue.put, 2)
    sleep(0)
    assert not queue.is_shutdown
    queue.shutdown()
    assert queue.is_shutdown
    with pytest.raises(ShutDown):
        putter.get()
    with pytest.raises(ShutDown):
        queue.put(3)
    with pytest.raises(ShutDown):
        queue.put_nowait(3)
    assert queue.peek() == queue.get() == 1
    for call in (queue.get, queue.get_nowait, queue.peek):
        with pytest.raises(ShutDown):
            call()
    queue = Queue()
    getter = spawn(queue.get)
    sleep(0)
    queue.shutdown()
    with pytest.raises(ShutDown):
        getter.get()


def test_shutdown_at_once():
    queue = Queue(items=[1, 2])
    joiner = spawn(queue.join)
    sleep(0)
    queue.shutdown(immediate=True)
    assert joiner.get(timeout=1) is True
    assert queue.empty() and queue.unfinished_tasks == 0
    with pytest.raises(ShutDown):
        queue.get()


def test_a_subclass_keeps_items_as_it_likes():
    class SetQueue(Queue):
        def _init(self, maxsize):
            self.queue = set()
            self.seen_maxsize = maxsize

        def _put(self, item):
            self.queue.add(item)

        def _get(self):
            return self.queue.pop()

        def _qsize(self):
            return len(self.queue)

    queue = SetQueue(3, [1, 1, 1])
    assert queue.seen_maxsize == 3
    assert queue.qsize() == len(queue) == 1
    getter = spawn(lambda: [queue.get(), queue.get()])
    sleep(0)
    queue.put(2)
    assert getter.get() == [1, 2]
    with pytest.raises(Empty):
        queue.get_nowait()


def test_a_subclass_adds_to_what_there_is():
    class Counting(Queue):
        puts = 0

        def _put(self, item):
            self.puts += 1
            super()._put(item * 2)

        def _get(self):
            return super()._get() + 1

        def _peek(self):
            return super()._peek() + 1

        def get(self, block=True, timeout=None):
            return super().get(block, timeout), "got"

    queue = Counting(items=[1])
    queue.put_nowait(2)
    assert queue.puts == 2
    assert queue.peek() == 3
    assert queue.get_nowait() == (3, "got")
    assert next(queue) == (5, "got")
    assert queue._qsize() == 0


def test_errors_of_a_subclass():
    class Bad(Queue):
        broken = True

        def _get(self):
            if self.broken:
                raise KeyError("broken")
            return super()._get()

    queue = Bad()
    first = spawn(queue.get)
    second = spawn(queue.get)
    sleep(0)
    queue.put(1)
    with pytest.raises(KeyError):
        first.get()
    with pytest.raises(KeyError):
        second.get()
    queue.broken = False
    assert queue.get() == 1
    with pytest.raises(TypeError):
        PriorityQueue(items=[1, "x"])


def test_a_loop_that_does_not_wait_lets_others_run():
    queue = Queue()
    spawn(queue.put, 5)
    while True:
        try:
            assert queue.get(False) == 5
            break
        except Empty:
            pass


@ALL
def test_threads(make):
    queue = make(5)
    forth = make()
    back = SimpleQueue()
    count = 500

    def thread(base):
        for number in range(count):
            queue.put(base + number)
        back.put(forth.get())

    for number in range(3):
        _thread.start_new_thread(thread, (number * count,))
    got = [queue.get() for _ in range(3 * count)]
    assert sorted(got) == list(range(3 * count))
    for number in range(3):
        forth.put(number)
    assert sorted(back.get(timeout=10) for _ in range(3)) == [0, 1, 2]


def test_a_child_process():
    queue = Queue()
    _thread.start_new_thread(queue.get, ())
    getter = spawn(queue.get)
    sleep(0.02)

    def child():
        queue.put("x")
        assert getter.get() == "x"

    pid = fork(child)
    queue.put(1)
    queue.put(2)
    getter.get()
    assert os.waitpid(pid, 0)[1] == 0


@ALL
def test_nothing_leaks(make):
    class Item:
        def __lt__(self, other):
            return True

    class Named(make):
        pass

    item = Item()
    queue = Named(items=[item, item])
    queue.put(queue.get())
    gone = weakref.ref(item)
    del item
    queue.me = queue
    there = weakref.ref(queue)
    del queue
    gc.collect()
    assert gone() is None and there() is None
    queue = make()
    item = Item()
    before = sys.getrefcount(item)
    for _ in range(100):
        queue.put(item)
    for _ in range(100):
        queue.get()
    greenlet = spawn(queue.get)
    sleep(0)
    queue.put(item)
    greenlet.get()
    del greenlet
    assert sys.getrefcount(item) == before
    queue.put(queue) if make is not PriorityQueue else None
    gone = weakref.ref(queue)
    del queue
    gc.collect()
    assert gone() is None


def test_shown():
    assert "qsize 2, maxsize 3" in repr(Queue(3, [1, 2]))


# ---- Channel


def test_a_channel_hands_over():
    channel = Channel()
    assert channel.qsize() == 0 and channel.empty() and channel.full()
    log = []
    putter = spawn(lambda: log.append(channel.put(1)))
    sleep(0)
    assert log == [] and channel.balance == 1
    assert channel.get() == 1
    putter.get()
    getter = spawn(channel.get)
    sleep(0)
    assert channel.balance == -1
    channel.put_nowait(2)
    assert getter.get() == 2
    assert channel.balance == 0


def test_limits_of_a_channel():
    channel = Channel()
    for call in (
        lambda: channel.put(1, False),
        lambda: channel.put(1, timeout=0.01),
        lambda: channel.put_nowait(1),
    ):
        with pytest.raises(Full):
            call()
    for call in (
        lambda: channel.get(False),
        lambda: channel.get(timeout=0.01),
        channel.get_nowait,
    ):
        with pytest.raises(Empty):
            call()
    assert channel.balance == 0
    with pytest.raises(ValueError):
        Channel(2)
    with pytest.raises(TypeError):
        channel.put()


def test_order_in_a_channel():
    channel = Channel()
    for number in range(5):
        spawn(channel.put, number)
    sleep(0)
    assert [channel.get() for _ in range(5)] == list(range(5))
    log = []
    for number in range(3):
        spawn(lambda n: log.append((n, channel.get())), number)
    sleep(0)
    for number in range(3):
        channel.put(number)
    sleep(0)
    assert log == [(number, number) for number in range(3)]
    spawn(lambda: [channel.put(item) for item in (1, 2, StopIteration)])
    assert list(channel) == [1, 2]


def test_a_killed_getter_of_a_channel_loses_nothing():
    channel = Channel()

    def getter():
        with Timeout(0.01, False):
            return channel.get()

    first = spawn(getter)
    second = spawn(channel.get)
    sleep(0)
    channel.put("x")
    time.sleep(0.03)
    if first.get() == "x":
        channel.put("x")
    assert second.get(timeout=1) == "x"

    first = spawn(channel.get)
    sleep(0)
    channel.put("y")
    first.kill(block=False)
    first.join()
    if first.value != "y":
        assert channel.get(timeout=1) == "y"
    with pytest.raises(Empty):
        channel.get(False)


def test_a_killed_putter_of_a_channel():
    channel = Channel()
    first = spawn(channel.put, 1)
    spawn(channel.put, 2)
    sleep(0)
    first.kill()
    assert channel.get() == 2
    with pytest.raises(Empty):
        channel.get(False)


def test_a_channel_between_threads():
    channel = Channel()
    done = Event()

    def thread():
        for number in range(200):
            channel.put(number)
        done.set()

    _thread.start_new_thread(thread, ())
    assert [channel.get() for _ in range(200)] == list(range(200))
    assert done.wait(10)


def test_a_channel_leaks_nothing():
    class Item:
        pass

    item = Item()
    channel = Channel()
    putter = spawn(channel.put, item)
    assert channel.get() is item
    putter.join()
    del putter
    gone = weakref.ref(item)
    del item
    assert gone() is None
    there = weakref.ref(channel)
    del channel
    assert there() is None
