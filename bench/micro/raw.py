"""Times raw greenlets of one implementation and prints JSON lines.

    python raw.py greenlet|celadon time|ring N|park DEPTH

bench/greenlet.py starts it, in a process of its own for each implementation.
Every figure is nanoseconds an operation (the median of several batches), or
bytes a parked greenlet: resident ones, and those of page tables.
"""

import gc
import importlib
import json
import os
import statistics
import sys
from pathlib import Path
from time import thread_time_ns

BATCHES = 7
BATCH_NS = 25_000_000
PARKED = 20_000


def load(name):
    """The module of raw greenlets of one implementation."""
    module = importlib.import_module(
        'celadon.greenlet' if name == 'celadon' else name)
    if name != 'celadon' and 'celadon' in sys.modules:
        raise ImportError(f'{name} is celadon here')
    return module


# ---- one operation


def switch(impl, n, depth):
    """n switches between the main greenlet and another, both that deep."""

    def answer(below):
        if below > 1:
            return answer(below - 1)
        back = main.switch
        while True:
            back()

    def drive(below):
        if below > 1:
            return drive(below - 1)
        there = other.switch
        began = thread_time_ns()
        for _ in range(n // 2):
            there()
        return thread_time_ns() - began

    main = impl.getcurrent()
    other = impl.greenlet(answer)
    other.switch(depth)
    return drive(depth)


def switch_1(impl, n):
    return switch(impl, n, 1)


def switch_50(impl, n):
    return switch(impl, n, 50)


def nothing():
    pass


def create(impl, n):
    """Make a greenlet, run a Python function in it to its end."""
    make = impl.greenlet
    began = thread_time_ns()
    for _ in range(n):
        make(nothing).switch()
    return thread_time_ns() - began


def throw(impl, n):
    """Throw an exception into a greenlet, which catches it and goes back."""

    def catch():
        back = main.switch
        while True:
            try:
                back()
            except KeyError:
                pass

    main = impl.getcurrent()
    other = impl.greenlet(catch)
    other.switch()
    error, there = KeyError(), other.throw
    began = thread_time_ns()
    for _ in range(n):
        there(error)
    return thread_time_ns() - began


class Generator:
    """An iterator over what a function gives to its parent."""

    def __init__(self, impl, function):
        self.greenlet = impl.greenlet(function)

    def __iter__(self):
        return self

    def __next__(self):
        item = self.greenlet.switch()
        if self.greenlet.dead:
            raise StopIteration
        return item


def generator(impl, n):
    """Take an item from a greenlet used as a generator."""

    def numbers():
        give = main.switch
        for i in range(n):
            give(i)

    main = impl.getcurrent()
    began = thread_time_ns()
    for _ in Generator(impl, numbers):
        pass
    return thread_time_ns() - began


CASES = [switch_1, switch_50, create, throw, generator]


def measure(case):
    """Nanoseconds an operation: the median of batches of about 25 ms."""
    gc.collect()
    n = 64
    while (elapsed := case(n)) < BATCH_NS // 8:
        n *= 2
    n = max(2, int(n * BATCH_NS / elapsed) // 2 * 2)
    return statistics.median(case(n) / n for _ in range(BATCHES))


# ---- many


class Ring:
    """The main greenlet and others; each switches to the next for ever."""

    def __init__(self, impl, length):
        def run(go):
            main.switch()
            while True:
                go()

        self.length = length
        self.others = []
        main = following = impl.getcurrent()
        for _ in range(length - 1):
            one = impl.greenlet(run)
            one.switch(following.switch)
            self.others.append(one)
            following = one
        self.first = following

    def turn(self, n):
        """n switches, to the next whole round."""
        rounds = -(-n // self.length)
        go = self.first.switch
        began = thread_time_ns()
        for _ in range(rounds):
            go()
        return (thread_time_ns() - began) * n / (rounds * self.length)


def resident():
    """Bytes of this process in memory, and bytes of its page tables."""
    found = {}
    for line in Path('/proc/self/status').read_text().splitlines():
        key, _, value = line.partition(':')
        if key in ('VmRSS', 'VmPTE'):
            found[key] = int(value.split()[0]) * 1024
    return found['VmRSS'], found['VmPTE']


def park(impl, depth):
    """Bytes for each of many greenlets that stand that deep in calls."""

    def body(below):
        if below > 1:
            return body(below - 1)
        main.switch()

    def more(n):
        for _ in range(n):
            one = impl.greenlet(body)
            keep.append(one)
            one.switch(depth)
        gc.collect()
        return resident()

    main = impl.getcurrent()
    keep = []
    # What is made only once is made by the first few.
    before = more(10)
    after = more(PARKED)
    bytes_each, tables_each = (
        round((then - now) / PARKED) for now, then in zip(before, after))
    return {'bytes': bytes_each, 'table_bytes': tables_each}


def say(case, **figures):
    print(json.dumps({'case': case, **figures}), flush=True)


def main():
    name, what, *rest = sys.argv[1:]
    impl = load(name)
    if what == 'time':
        for case in CASES:
            say(case.__name__, ns=round(measure(lambda n: case(impl, n)), 1))
    elif what == 'ring':
        length = int(rest[0])
        ring = Ring(impl, length)
        say(f'ring_{length}', ns=round(measure(ring.turn), 1))
    else:
        depth = int(rest[0])
        say(f'park_{depth}', **park(impl, depth))
    # Tens of thousands of greenlets need not be ended one by one.
    os._exit(0)


if __name__ == '__main__':
    main()
