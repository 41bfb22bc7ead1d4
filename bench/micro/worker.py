"""Times the operations of one implementation and prints them as JSON lines.

    python worker.py gevent|celadon time|park

bench/gevent.py starts it, in a process of its own for each implementation,
so that neither is in the other's way.  Every figure is nanoseconds an
operation (the median of several batches), or bytes a parked greenlet.
"""

import gc
import importlib
import json
import os
import sys
from functools import partial
from time import perf_counter_ns

from raw import create, measure, nothing, resident, switch_1, switch_50

PARKED = 10_000


class Implementation:
    """gevent's names, or Celadon's for the same things."""

    def __init__(self, name):
        self.name = name
        package = importlib.import_module(name)
        self.spawn = package.spawn
        self.sleep = package.sleep
        self.Event = importlib.import_module(f'{name}.event').Event
        self.Queue = importlib.import_module(f'{name}.queue').Queue
        sockets = importlib.import_module(f'{name}.socket')
        self.socketpair = sockets.socketpair
        # Raw greenlets: a package of its own beneath gevent.
        raw = importlib.import_module('greenlet' if name == 'gevent'
                                      else 'celadon.greenlet')
        self.greenlet = raw.greenlet
        self.getcurrent = raw.getcurrent


def spawn_join(impl, n):
    spawn = impl.spawn
    began = perf_counter_ns()
    for _ in range(n):
        spawn(nothing).join()
    return perf_counter_ns() - began


def timed_pair(impl, first, second):
    """Run two functions as greenlets to their ends."""
    began = perf_counter_ns()
    pair = impl.spawn(first), impl.spawn(second)
    for one in pair:
        one.join()
    return perf_counter_ns() - began


def sleep_0(impl, n):
    """n sleep(0) in all, by two greenlets in turn."""
    sleep = impl.sleep

    def body():
        for _ in range(n // 2):
            sleep(0)

    return timed_pair(impl, body, body)


def ping_pong(impl, n, timeout=None):
    """n round trips through a socket pair; each recv() has to wait."""
    left, right = impl.socketpair()
    left.settimeout(timeout)
    right.settimeout(timeout)

    def ask():
        send, recv = left.send, left.recv
        for _ in range(n):
            send(b'x')
            recv(1)

    def answer():
        send, recv = right.send, right.recv
        for _ in range(n):
            recv(1)
            send(b'x')

    # The one that answers begins, so that it waits from the start.
    elapsed = timed_pair(impl, answer, ask)
    left.close()
    right.close()
    return elapsed


def ping_pong_timeout(impl, n):
    return ping_pong(impl, n, 5)


def event(impl, n):
    """n round trips through two events; each side waits."""
    there, back = impl.Event(), impl.Event()

    def ask():
        for _ in range(n):
            there.set()
            back.wait()
            back.clear()

    def answer():
        for _ in range(n):
            there.wait()
            there.clear()
            back.set()

    return timed_pair(impl, answer, ask)


def queue(impl, n):
    """n items put and taken by one greenlet, nobody waiting."""
    items = impl.Queue()
    put, get = items.put, items.get
    began = perf_counter_ns()
    for _ in range(n):
        put(None)
        get()
    return perf_counter_ns() - began


def queue_wait(impl, n):
    """n round trips through two queues; each side waits."""
    there, back = impl.Queue(), impl.Queue()

    def ask():
        for _ in range(n):
            there.put(None)
            back.get()

    def answer():
        for _ in range(n):
            there.get()
            back.put(None)

    return timed_pair(impl, answer, ask)


CASES = [switch_1, switch_50, create, spawn_join, sleep_0, ping_pong,
         ping_pong_timeout, event, queue, queue_wait]


def park(impl):
    """Resident bytes for each of many greenlets parked in sleep()."""

    parked = 0
    keep = []

    def body():
        nonlocal parked
        parked += 1
        impl.sleep(3600)

    def more(n):
        keep.extend(impl.spawn(body) for _ in range(n))
        while parked < len(keep):
            impl.sleep(0.001)
        gc.collect()
        return resident()[0]

    # What is made only once is made by the first few.
    before = more(10)
    return (more(PARKED) - before) / PARKED


def main():
    name, what = sys.argv[1:]
    impl = Implementation(name)
    if what == 'park':
        print(json.dumps({'case': 'park', 'bytes': round(park(impl))}))
        sys.stdout.flush()
        # Ten thousand sleepers need not be ended one by one.
        os._exit(0)
    for case in CASES:
        try:
            figure = {'ns': round(measure(partial(case, impl)), 1)}
        except Exception as error:
            figure = {'error': f'{type(error).__name__}: {error}'}
        print(json.dumps({'case': case.__name__, **figure}), flush=True)


if __name__ == '__main__':
    main()
