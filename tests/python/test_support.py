"""Of the programs that tests start, nothing is left."""

import pytest
from support import run_python

# A command that is known to run, before its starter is killed.
KILLED = """
import os, signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
from support import bounded
process = subprocess.Popen(
    [*bounded(300), "sh", "-c", "echo runs >&2; sleep 300"],
    stderr=subprocess.PIPE, start_new_session=True)
process.stderr.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_command_ends_with_who_started_it(request):
    # It has our end of the pipe, which is read to its end.
    here = str(request.path.parent)
    assert run_python("-c", KILLED, here, timeout=60).code == -9


def test_who_takes_too_long_is_killed_with_its_children():
    program = "import os, time; os.fork(); time.sleep(300)"
    with pytest.raises(AssertionError, match="did not end within 1 s"):
        run_python("-c", program, timeout=1)
