"""Debuggers: a backtrace in a greenlet is whole, and ends where it began."""

import platform
import re
import shutil
import sys

import pytest
from support import run_command

# getppid() is where gdb stops: an interpreter that starts does not call it.
PROGRAM = """
import os
from celadon import {make}
def deep(n):
    if n:
        return deep(n - 1)
    return sorted([2, 1], key=lambda x: os.getppid())
{run}
"""

GDB = """
set debuginfod enabled off
set breakpoint pending on
break getppid
run
echo BACKTRACE\\n
backtrace
echo END\\n
kill
"""

FRAME = re.compile(r"^#(\d+) +(?:0x[0-9a-f]+ in )?(\w+)", re.M)


@pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb")
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"),
    reason="the portable switch has no first frame that gdb knows",
)
@pytest.mark.parametrize(
    ("make", "run"),
    [
        ("spawn", "spawn(deep, 3).join()"),
        ("greenlet", "greenlet.greenlet(deep).switch(3)"),
    ],
)
def test_gdb_shows_a_greenlet_to_its_first_frame(make, run):
    commands = [
        word
        for line in GDB.strip().splitlines()
        for word in ("-ex", line)
    ]
    program = PROGRAM.format(make=make, run=run)
    ended = run_command(
        "gdb", "-nx", "-batch", *commands,
        "--args", sys.executable, "-c", program,
        timeout=60,
    )
    said = ended.out
    if "Breakpoint 1, " not in said:
        pytest.skip("gdb cannot run programs here")
    shown = said.partition("BACKTRACE\n")[2].partition("END\n")[0]
    frames = FRAME.findall(shown)
    assert [int(number) for number, _ in frames] == list(range(len(frames)))
    names = [name for _, name in frames]
    assert names[-3:] == ["glet_entry", "begin", "coroutine_start"]
    assert "_PyEval_EvalFrameDefault" in names
    assert "Backtrace stopped" not in said + ended.err
