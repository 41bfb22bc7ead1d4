"""Slices of the tortures; scripts/torture.sh runs the long ones."""

import re
from pathlib import Path

import pytest
from support import run_python

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize(
    "arguments",
    [
        ("torture_greenlet.py", "1", "6000"),
        ("torture_greenlet.py", "2", "4000", "--collect"),
        ("torture_hub.py", "1", "3000"),
        ("torture_hub.py", "2", "1500", "--collect"),
    ],
    ids=" ".join,
)
def test_a_slice_of_torture(arguments):
    name, *others = arguments
    ended = run_python(str(HERE / name), *others, timeout=50)
    said = re.search(r"(\d+) steps, (\d+) failures", ended.out)
    assert ended.code == 0 and said, ended
    assert int(said[1]) >= int(others[1]) and said[2] == "0", ended
