"""Greenlets under CPython's JIT compiler, where it is built in.

A suspended greenlet may return into machine code that was thrown away
meanwhile; each program here lets that happen as often as it can.
"""

import sys

import pytest
from support import run_script

jit = getattr(sys, "_jit", None)

pytestmark = pytest.mark.skipif(
    jit is None or not jit.is_available(), reason="needs a JIT, built in"
)


def run_hot(code):
    """Run the program *code* with the JIT on."""
    ended = run_script(
        "import sys\nassert sys._jit.is_enabled()\n" + code,
        patched=False,
        env={"PYTHON_JIT": "1"},
        timeout=50,
    )
    assert ended.out.split() == ["done"], ended


def test_loops_that_switch():
    run_hot("""
from celadon.greenlet import getcurrent, greenlet

def sums(k):
    total = 0
    for i in range(6000):
        total += i * k
        if i % 3 == 0:
            main.switch(total)
    return total

def inner(n):
    total = 0
    for i in range(n):
        total += i
    return total

def calls(k):
    for i in range(3000):
        assert inner(50) == 1225
        main.switch(i)
    return k

main = getcurrent()
for _ in range(3):
    alive = [greenlet(calls if k % 2 else sums) for k in range(20)]
    ended = dict.fromkeys(alive)
    for k, g in enumerate(alive):
        g.switch(k)
    while alive:
        for g in alive:
            ended[g] = g.switch()
        alive = [g for g in alive if not g.dead]
    right = [k if k % 2 else sum(i * k for i in range(6000))
             for k in range(20)]
    assert list(ended.values()) == right
print("done")
""")


def test_code_that_is_thrown_away_while_it_is_suspended():
    run_hot("""
import gc
from celadon.greenlet import getcurrent, greenlet

SOURCE = '''
def step(i):
    return i + BASE

def run(n):
    total = 0
    for i in range(n):
        total += step(i) - BASE
        if i % 64 == 63:
            main.switch(total)
    return total
'''

main = getcurrent()
for turn in range(12):
    alive, spaces = [], []
    for k in range(10):
        space = {"main": main, "BASE": k, "k": k}
        exec(compile(SOURCE, f"<{turn} {k}>", "exec"), space)
        spaces.append(space)
        alive.append((greenlet(space["run"]), k))
    for g, k in alive:
        g.switch(6000)
    round = 0
    while alive:
        round += 1
        for g, k in alive:
            got = g.switch()
            assert not g.dead or got == sum(range(6000))
            # What was compiled relied on these.
            spaces[k]["BASE"] += 1
            if round % 16 == k:
                spaces[k]["step"] = lambda i, base=spaces[k]: i + base["BASE"]
        if round % 10 == 0:
            gc.collect()
        alive = [(g, k) for g, k in alive if not g.dead]
print("done")
""")


def test_greenlets_dropped_in_compiled_code():
    run_hot("""
from celadon.greenlet import GreenletExit, getcurrent, greenlet

def forever(k):
    total = 0
    try:
        while True:
            for i in range(100):
                total += i ^ k
            main.switch(total)
    except GreenletExit:
        gone.append(k)
        raise

main, gone = getcurrent(), []
for turn in range(20):
    many = [greenlet(forever) for _ in range(20)]
    for k, g in enumerate(many):
        g.switch(k)
    for _ in range(100):
        for g in many:
            g.switch()
    del many, g
assert len(gone) == 400
print("done")
""")


def test_spawned_greenlets_that_wait_in_loops():
    run_hot("""
from celadon import sleep, spawn

def run(n):
    total = 0
    for i in range(n):
        total += i
        if i % 5 == 0:
            sleep(0)
    return total

jobs = [spawn(run, 4000 + k) for k in range(20)]
assert [job.get() for job in jobs] == [sum(range(4000 + k))
                                       for k in range(20)]
print("done")
""")


def test_generators_and_exceptions_across_switches():
    run_hot("""
from celadon.greenlet import getcurrent, greenlet

def numbers(n):
    for i in range(n):
        if i % 4 == 0:
            main.switch(i)
        yield i

def run(n):
    total = failed = 0
    for i in numbers(n):
        try:
            if i % 8 == 0:
                raise KeyError(main.switch(i))
            total += i
        except KeyError as error:
            assert error.args == (n,)
            failed += 1
    return total + failed

main = getcurrent()
alive = [(greenlet(run), 2000 + k) for k in range(20)]
for g, n in alive:
    g.switch(n)
while alive:
    for g, n in alive:
        got = g.switch(n)
        if g.dead:
            assert got == sum(1 if i % 8 == 0 else i for i in range(n))
    alive = [pair for pair in alive if not pair[0].dead]
print("done")
""")
