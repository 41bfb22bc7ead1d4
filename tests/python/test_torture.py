"""Random things done to greenlets: torture_greenlet.py, for some seconds."""

from pathlib import Path

import pytest
from support import run_python

TORTURE = Path(__file__).with_name("torture_greenlet.py")


@pytest.mark.parametrize("seed", range(4))
def test_torture(seed):
    ended = run_python(str(TORTURE), str(seed), "10000", timeout=60)
    assert ended.code == 0, ended
    assert ended.out == f"seed {seed}: 10000 steps, 0 failures\n"


@pytest.mark.parametrize("seed", range(4))
def test_torture_while_the_collector_runs_all_the_time(seed):
    ended = run_python(
        str(TORTURE), str(seed), "2000", "--collect", timeout=60
    )
    assert ended.code == 0, ended
    assert ended.out == f"seed {seed}: 2000 steps, 0 failures\n"
