"""Run CPython's own tests in a patched process, beside a plain one.

    stdlib_suites.py [--python PYTHON] [--out FILE] [NAME ...]

The interpreter must have both celadon and its tests (Debian: the package
libpython3.N-testsuite).  Each test module runs twice, plain and under
``python -m celadon``; what fails only when patched is ours, but for what is
listed here with its reason.  Prints a table; exit code 1 where something is
ours.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time

MODULES = """
    test_thread test_threading test_threading_local test_queue test_select
    test_poll test_epoll test_selectors test_socketserver test_subprocess
    test_signal test_ssl test_concurrent_futures test_context test_logging
    test_sched test_socket test_httplib test_httpservers test_urllib2_localnet
    test_ftplib test_smtplib test_wsgiref test_timeout test_fork1 test_wait3
    test_wait4 test_pty test_importlib.test_threaded_import
""".split()

# What cannot hold where threads are greenlets, with the reason; these are
# left out of the patched run, for some would not end.
EXPECTED = {
    "test_fork1": {
        "ForkTest.test_threaded_import_lock_fork":
            "the global import lock belongs to the thread of the system",
    },
    "test_signal": {
        "GenericTests.test_functions_module_attr":
            "asks for the module names of originals",
        "StressTest.test_stress_modifying_handlers":
            "main computes until another thread does something",
    },
    "test_threading": {
        "InterruptMainTests.test_can_interrupt_tight_loops":
            "main computes until another thread does something",
        "CRLockTests.test_signature": "passes arguments that mean nothing",
        "ThreadTests.test_lock_no_subclass": "such a class does no harm",
        "MiscTestCase.test__all__": "asks for the module names of originals",
        "ThreadTests.test_PyThreadState_SetAsyncExc":
            "a greenlet is not a thread of the interpreter",
        "ThreadTests.test_disallow_instantiation":
            "as from 3.13 on, locks can be made of their type",
        "ThreadTests.test_foreign_thread": "dummies end with their thread",
        "ThreadTests.test_ident_of_no_threading_threads":
            "dummies end with their thread",
        "ThreadTests.test_shutdown_locks": "looks at the locks of originals",
        "ThreadTests.test_tstate_lock": "looks at the locks of originals",
        "ThreadTests.test_various_ops": "counts native ids",
        "ThreadTests.test_various_ops_large_stack": "counts native ids",
        "ThreadTests.test_various_ops_small_stack": "counts native ids",
    },
}

RESULT = re.compile(
    r"^(?:FAIL|ERROR): (\w+) \(([\w.]+)\)|^(?:FAIL|ERROR): (\w+)", re.M
)
RAN = re.compile(r"^Ran (\d+) tests?", re.M)
SKIPPED = re.compile(r"skipped=(\d+)")

# What regrtest does before it runs a module, as far as it matters here.
PRELUDE = """
import sys, unittest
from test import support
from test.support import import_helper
support.use_resources = ["subprocess", "walltime"]
if "test.test_socketserver" in sys.argv:
    support.use_resources.append("network")  # it means this machine
skip = sys.argv.pop(1).split(",")
names_of = unittest.TestLoader.getTestCaseNames
def names(self, case):
    names = names_of(self, case)
    return [n for n in names if f"{case.__name__}.{n}" not in skip]
unittest.TestLoader.getTestCaseNames = names
if "celadon.monkey" in sys.modules:
    # A fresh copy of a module in C would be one that nobody has patched.
    fresh_module = import_helper.import_fresh_module
    def import_fresh_module(name, fresh=(), blocked=(), **options):
        if fresh and not blocked:
            return import_helper.import_module(name)
        return fresh_module(name, fresh, blocked, **options)
    import_helper.import_fresh_module = import_fresh_module
sys.argv = ["unittest", "-v"] + sys.argv[1:]
unittest.main(module=None)
"""


class Outcome:
    """What one run of one module came to."""

    def __init__(self, text, code, seconds):
        self.text = text
        self.ran = sum(map(int, RAN.findall(text)))
        self.skipped = sum(map(int, SKIPPED.findall(text)))
        self.seconds = seconds
        self.failed = {
            f"{where}.{name}" if where and not where.endswith(name)
            else where or name or other
            for name, where, other in RESULT.findall(text)
        }  # fmt: skip
        if code is None:
            self.failed.add("(did not end)")
        elif code != 0 and not self.failed:
            self.failed.add(f"(exit code {code})")


def run(python, module, patched, limit):
    """Run one test module; kill it and its children after *limit* seconds."""
    command = [python, "-X", "faulthandler"]
    if patched:
        command += ["-m", "celadon"]
    left_out = ",".join(EXPECTED.get(module, ())) if patched else ""
    command += ["-c", PRELUDE, left_out, f"test.{module}"]
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=limit)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        code = None
    return Outcome(text, code, time.monotonic() - began)


def has(python, module):
    """Whether this interpreter has the test module."""
    program = (
        "import importlib.util as u, sys\n"
        "try: found = u.find_spec(sys.argv[1])\n"
        "except ImportError: found = None\n"
        "sys.exit(found is None)"
    )
    return (
        subprocess.run(
            [python, "-c", program, f"test.{module}"],
            stderr=subprocess.DEVNULL,
        ).returncode
        == 0
    )


def main():
    """Run the modules, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--out", help="a folder for the outputs")
    parser.add_argument("--limit", type=float, default=180)
    parser.add_argument("modules", nargs="*", default=MODULES)
    options = parser.parse_args()
    print(f"{'':28} {'plain':>15} {'patched':>15}   ours")
    ours = []
    total = [0, 0]
    for module in options.modules:
        if not has(options.python, module):
            continue
        outcomes = []
        for patched in (False, True):
            outcome = run(options.python, module, patched, options.limit)
            outcomes.append(outcome)
            total[patched] += outcome.ran
            if options.out:
                os.makedirs(options.out, exist_ok=True)
                kind = "patched" if patched else "plain"
                with open(f"{options.out}/{module}.{kind}", "w") as file:
                    file.write(outcome.text)
        mine = outcomes[1].failed - outcomes[0].failed
        ours += mine
        columns = [
            f"{each.ran:5} -{len(each.failed):<3}{each.seconds:5.0f}s"
            for each in outcomes
        ]
        print(f"{module:28} {columns[0]:>15} {columns[1]:>15}", end="   ")
        print(*sorted(mine), sep="\n" + " " * 63, flush=True)
    print(f"{total[1]} patched, {total[0]} plain; ours: {len(ours)}")
    return bool(ours)


if __name__ == "__main__":
    sys.exit(main())
