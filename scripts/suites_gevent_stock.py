"""Run tests of a stock gevent on Celadon's greenlets, beside the real ones.

    suites_gevent_stock.py [--python PYTHON] [--quick] [NAME ...]

Fetches gevent's wheel, which brings its tests, and the real greenlet into the
cache folder, and runs each test file twice in the same interpreter: as it is,
and with CELADON_DROPIN=greenlet, so that gevent's compiled modules, made for
the real one, stand on ours.  What fails only there is ours, but for what is
listed in tests/suites/gevent_stock.toml with its reason.  With --quick a file
runs on the real greenlet only if it fails on ours.  What fails on ours is run
there again, and is a failure if it fails both times.  PYTHON must have
celadon.  NAME: these files instead, as test__queue; "all": every test__ file
there is.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = "gevent>=26.9.0,<27"
EXPECTED = ROOT / "tests" / "suites" / "gevent_stock.toml"
FILES = """
    test__event test__greenlet test__hub test__local test__pool test__queue
    test__semaphore
""".split()
# Seconds for one file; test__pool takes 30 on a quiet machine.
LIMIT = 240
# Of the names of files in the table.
WIDTH = 36

# Says whose greenlets gevent stands on; the real ones can't come after ours.
PROBE = """\
import gevent, gevent._gevent_cgreenlet, greenlet, sys
print("gevent", gevent.__version__, "on", end=" ")
if not hasattr(greenlet, "CELADON"):
    print("greenlet", greenlet.__version__)
    sys.exit()
import celadon
assert celadon.greenlet.greenlet in gevent.Greenlet.__mro__
assert gevent.getcurrent() is celadon.getcurrent()
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("greenlet._greenlet", sys.argv[1])
try:
    module_from_spec(spec)
except ImportError:
    print("celadon", celadon.__version__)
else:
    sys.exit("the real greenlet was let in beside ours")
"""

RESULT = re.compile(
    r"^(?:FAIL|ERROR): (\w+) \(([\w.]+)\)|^(?:FAIL|ERROR): (\w+)", re.M
)
RAN = re.compile(r"^Ran (\d+) tests?", re.M)
SKIPPED = re.compile(r"skipped=(\d+)")


def fetch(python):
    """Return the folder with gevent for *python*, fetched unless there."""
    ask = "import sysconfig; print(sysconfig.get_config_var('SOABI'))"
    tag = subprocess.run(
        [python, "-c", ask], check=True, capture_output=True, text=True
    ).stdout.strip()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "celadon" / "suites" / f"gevent-{tag}"
    if not (folder / ".done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--target", folder,
             "--disable-pip-version-check", "--only-binary=:all:", RELEASE,
             "psutil", "objgraph"],
            check=True,
        )  # fmt: skip
        (folder / ".done").touch()
    return folder


class Subject:
    """An interpreter with gevent in it, on one greenlet or the other."""

    def __init__(self, python, folder, ours):
        self.python = python
        self.env = dict(
            os.environ,
            CELADON_DROPIN="greenlet" if ours else "0",
            PYTHONPATH=os.pathsep.join(
                [str(folder), *filter(None, [os.getenv("PYTHONPATH")])]
            ),
            PYTHONDONTWRITEBYTECODE="1",
            PYTHONFAULTHANDLER="1",
        )
        (real,) = folder.glob("greenlet/_greenlet.*.so")
        self.name = self.run("-c", PROBE, str(real), limit=60).text.strip()

    def run(self, *arguments, limit=LIMIT):
        """Run a program, and end it and its children after *limit* s."""
        began = time.monotonic()
        process = subprocess.Popen(
            [self.python, *arguments], env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, errors="replace",
            start_new_session=True,
        )  # fmt: skip
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


class Outcome:
    """What one run of a file came to."""

    def __init__(self, text, code, seconds):
        self.text = text
        self.seconds = seconds
        self.ran = sum(map(int, RAN.findall(text)))
        self.skipped = sum(map(int, SKIPPED.findall(text)))
        self.failed = {
            f"{where.rpartition('.')[2]}.{name}"
            if where and not where.endswith(name)
            else ".".join(where.split(".")[-2:]) or other
            for name, where, other in RESULT.findall(text)
        }  # fmt: skip
        if code is None:
            self.failed.add("(did not end)")
        elif code != 0 and not self.failed:
            self.failed.add(f"(exit code {code})")

    def __str__(self):
        bad = f"{len(self.failed)} failed" if self.failed else "ok"
        return f"{self.ran} ran, {self.skipped} skipped, {bad}"


def run_file(name, ours, real, quick, excused):
    """Run a file on both; print; return how many passed and what is ours."""
    module = ("-m", f"gevent.tests.{name}")
    here = ours.run(*module)
    # Many look at the clock, and a busy machine is late; one that hangs or
    # crashes does not.
    once = {test for test in here.failed if not test.startswith("(")}
    if once:
        once -= ours.run(*module).failed
        here.failed -= once
    there = None
    if not quick or here.failed:
        there = real.run(*module)
    row = f"{name:{WIDTH}} {str(there or '-'):32} {str(here):32}"
    print(f"{row} {here.seconds:5.1f} s", flush=True)
    for test in sorted(once):
        print(f"    failed once of two times: {test}")
    wrong = here.failed - there.failed if there else set()
    for test in sorted(wrong & excused.keys()):
        print(f"    expected: {test}: {excused[test]['reason']}")
    wrong -= excused.keys()
    if wrong:
        print("    " + "\n    ".join(sorted(wrong)))
        print(here.text[-6000:])
    return here.ran - here.skipped - len(here.failed), len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("names", nargs="*", default=FILES)
    options = parser.parse_args()
    folder = fetch(options.python)
    real = Subject(options.python, folder, ours=False)
    ours = Subject(options.python, folder, ours=True)
    print(f"{'':{WIDTH}} {real.name:32} {ours.name}")
    if "celadon" not in ours.name or "celadon" in real.name:
        return 1
    names = options.names
    if names == ["all"]:
        names = sorted(p.stem for p in folder.glob("gevent/tests/test__*.py"))
    listed = tomllib.loads(EXPECTED.read_text())
    passed = wrong = 0
    for name in names:
        good, bad = run_file(
            name, ours, real, options.quick, listed.get(name, {})
        )
        passed += max(good, 0)
        wrong += bad
    print(f"{passed} passed, {wrong} failed")
    return 1 if wrong or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
