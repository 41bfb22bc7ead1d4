"""Profilers that read a process's frames from outside, as 3.15's does."""

import itertools
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 15), reason="the sampling profiler is of 3.15"
)

# It ends by itself, should the test be killed.
PROGRAM = """
import signal
signal.alarm(60)
from celadon.greenlet import getcurrent, greenlet

def a_leaf():
    sum(range(200))

def b_leaf():
    sum(range(200))

def a_low():
    for _ in range(3):
        a_leaf()
    main.switch()

def b_low():
    for _ in range(3):
        b_leaf()
    main.switch()

def a_high():
    while True:
        a_low()

def b_high():
    while True:
        b_low()

main = getcurrent()
a, b = greenlet(a_high), greenlet(b_high)
print("ready", flush=True)
while True:
    a.switch()
    b.switch()
"""


@pytest.fixture
def process():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE
    ) as process:
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("cached", [False, True])
def test_no_sample_has_frames_of_two_greenlets(process, cached):
    remote = pytest.importorskip("_remote_debugging")
    try:
        unwinder = remote.RemoteUnwinder(process.pid, cache_frames=cached)
    except (PermissionError, RuntimeError) as error:
        pytest.skip(f"no other process can be read here: {error}")
    whose = set()
    until = time.monotonic() + 20
    for samples in itertools.count():
        if samples > 4000 and len(whose) > 1 or time.monotonic() > until:
            break
        try:
            [interpreter] = unwinder.get_stack_trace()
            [thread] = interpreter.threads
        except (OSError, RuntimeError, UnicodeDecodeError, ValueError):
            continue  # it changed while it was read
        names = [frame.funcname for frame in thread.frame_info]
        greenlets = {name[:2] for name in names} & {"a_", "b_"}
        assert len(greenlets) < 2, names
        whose |= greenlets
    assert whose == {"a_", "b_"}
