"""Run greenlet's own test suite on Celadon's greenlets.

    suites_greenlet.py [--python PYTHON] [--sdist FILE] [NAME ...]
    suites_greenlet.py --fetch

Fetches greenlet's source distribution into the cache folder, puts its tests
into a copy of the drop-in package, compiles their extension modules against
our header, and runs them file by file: a test that crashes or hangs is
counted and the rest go on.  PYTHON must find celadon, psutil and objgraph.
What may fail, and why, is in tests/suites/greenlet.toml; the exit code is 1
where anything else fails, or something listed there passes.  NAME: only these
files, as test_throw.

Tests that demand a leak of the reference implementation are run without that
demand.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = "greenlet>=3.5.6,<3.6"
EXPECTED = ROOT / "tests" / "suites" / "greenlet.toml"
WORKER = ROOT / "scripts" / "suite_worker.py"
HEADER = ROOT / "python" / "celadon" / "include" / "greenlet" / "greenlet.h"
# Seconds for one test; the slowest takes 15 on a busy machine.
LIMIT = 120
# Says of a test that is left out because it demands a leak.
DEMANDS_LEAK = "Skipping known failures"


def cache():
    """The folder that keeps what was fetched."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "celadon" / "suites"


def fetch(python):
    """Return the source distribution, fetched unless it is there."""
    folder = cache()
    found = sorted(folder.glob("greenlet-3.5.*.tar.gz"))
    if not found:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [python, "-m", "pip", "download", "--quiet", "--no-deps",
             "--no-binary=:all:", "--dest", folder, RELEASE],
            check=True,
        )  # fmt: skip
        found = sorted(folder.glob("greenlet-3.5.*.tar.gz"))
    return found[-1]


def ask(python, program, env=None):
    """What a program of one line prints, stripped."""
    return subprocess.run(
        [python, "-c", program], env=env, check=True, capture_output=True,
        text=True,
    ).stdout.strip()  # fmt: skip


class Stage:
    """The folder in which the package greenlet is put together."""

    def __init__(self, python, sdist):
        self.python = python
        tag = ask(python, "import sys; print(sys.implementation.cache_tag)")
        abi = ask(python, "import sys; print(getattr(sys, 'abiflags', ''))")
        self.folder = ROOT / "build" / "suites" / f"greenlet-{tag}{abi}"
        self.package = self.folder / "greenlet"
        self.env = dict(
            os.environ,
            PYTHONPATH=os.pathsep.join(
                [str(self.folder), *filter(None, [os.getenv("PYTHONPATH")])]
            ),
            PYTHONDONTWRITEBYTECODE="1",
        )
        self._unpack(sdist)
        self._compile("_test_extension.c", os.getenv("CC", "cc"))
        self._compile("_test_extension_cpp.cpp", os.getenv("CXX", "c++"))

    def _unpack(self, sdist):
        """The drop-in package, greenlet's tests in it, and our header."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.unpack_archive(sdist, self.folder / "sdist")
        (source,) = self.folder.glob("sdist/*/src/greenlet")
        shutil.copytree(ROOT / "python/dropin/greenlet", self.package)
        shutil.copytree(source / "tests", self.package / "tests")
        shutil.copy(HEADER, self.package)
        # What the tests in C++ want besides.
        shutil.copy(source / "greenlet_compiler_compat.hpp", self.package)

    def _compile(self, name, compiler):
        source = self.package / "tests" / name
        include, suffix = ask(
            self.python,
            "import sysconfig as s; print(s.get_path('include'));"
            "print(s.get_config_var('EXT_SUFFIX'))",
        ).splitlines()
        subprocess.run(
            [*compiler.split(), "-shared", "-fPIC", "-O2", "-I", include,
             source, "-o", source.with_name(source.stem + suffix)],
            check=True,
        )  # fmt: skip

    def files(self):
        """The names of the test modules."""
        found = self.package.glob("tests/test*.py")
        return sorted(path.stem for path in found)

    def worker(self, arguments, env, **options):
        """Run suite_worker.py."""
        return subprocess.run(
            [self.python, "-X", "faulthandler", WORKER, *arguments],
            env=self.env | env, cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", **options,
        )  # fmt: skip


def read_report(report, outcomes):
    """Take in what a worker noted; return the test it died in, or None."""
    last = None
    for line in report.read_text().splitlines():
        event = json.loads(line)
        if "began" in event:
            last = event["began"]
        else:
            outcomes[event["ended"]] = (event["how"], event["why"])
            last = None
    return last


def run_tests(stage, module, tests, env):
    """Run *tests* of a module, in as many processes as it takes."""
    outcomes = {}
    left = list(tests)
    report = stage.folder / f"{module}.report"
    while left:
        report.write_text("")
        text, how = "", "did not end"
        try:
            done = stage.worker(
                [report, str(LIMIT), module, *left], env,
                timeout=LIMIT + 60 * len(left),
            )  # fmt: skip
            text = done.stdout + done.stderr
            how = f"ended the process, exit code {done.returncode}"
        except subprocess.TimeoutExpired:
            pass
        died = read_report(report, outcomes)
        if died is None and outcomes.keys().isdisjoint(left):
            died = left[0]
        if died is not None:
            outcomes[died] = ("crashed", f"{how}\n{text[-3000:]}")
        left = [test for test in left if test not in outcomes]
    return outcomes


def run_file(stage, name):
    """Run one file's tests; those that demand a leak without that."""
    module = f"greenlet.tests.{name}"
    listed = stage.worker([os.devnull, "0", module], {})
    tests = listed.stdout.split()
    if listed.returncode != 0 or not tests:
        return {module: ("crashed", listed.stdout + listed.stderr)}
    outcomes = run_tests(
        stage, module, tests, {"GREENLET_SKIP_FAILING_LEAKCHECKS": "1"}
    )
    demanding = [
        test for test, how in outcomes.items()
        if how == ("skipped", DEMANDS_LEAK)
    ]  # fmt: skip
    if demanding:
        outcomes |= run_tests(
            stage, module, demanding, {"GREENLET_SKIP_LEAKCHECKS": "1"}
        )
    return outcomes


def expected(python):
    """Return {test: reason} of what may fail on this interpreter."""
    version = ask(python, "import sys; print('%d.%d' % sys.version_info[:2])")
    with open(EXPECTED, "rb") as file:
        listed = tomllib.load(file)
    return {
        test: entry["reason"] for test, entry in listed.items()
        if version in entry.get("python", [version])
    }  # fmt: skip


def scoreboard(python, outcomes, excused, partial):
    """Print what came of it; return whether all is as expected."""
    prefix = "greenlet.tests."
    outcomes = {
        test.removeprefix(prefix): how for test, how in outcomes.items()
    }
    bad = {t for t, (how, _) in outcomes.items() if how in
           ("failed", "crashed")}  # fmt: skip
    crashed = {t for t in bad if outcomes[t][0] == "crashed"}
    wrong = sorted((bad - excused.keys()) | crashed)
    better = sorted(
        t for t in excused.keys() - bad
        if outcomes.get(t, ("",))[0] == "passed"
        or (t not in outcomes and not partial)
    )  # fmt: skip
    for test in wrong:
        how, why = outcomes[test]
        print(f"---- {test}: {how}\n{why.rstrip()}\n")
    for test in better:
        print(f"---- {test}: passes, or is no more, though listed")
    for test, (how, why) in sorted(outcomes.items()):
        if how == "skipped":
            print(f"skipped: {test}: {why[:60]}")
    for test in sorted(bad & excused.keys()):
        print(f"expected: {test}: {excused[test]}")
    count = {
        how: sum(1 for h, _ in outcomes.values() if h == how)
        for how in ("passed", "failed", "crashed", "skipped")
    }
    version = ask(python, "import sys; print(sys.version.split()[0])")
    print(
        f"greenlet's suite, CPython {version}: {len(outcomes)} tests, "
        f"{count['skipped']} skipped, {len(bad)} not passed "
        f"({len(bad & excused.keys())} of them expected)"
    )
    print(f"{count['passed']} passed, {len(wrong) + len(better)} failed")
    return not wrong and not better


def main():
    """Fetch, build, run, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--sdist", type=Path)
    parser.add_argument("--fetch", action="store_true",
                        help="only fetch what is needed")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    python = shutil.which(options.python) or options.python
    if options.fetch:
        fetch(python)
        return 0
    stage = Stage(python, options.sdist or fetch(python))
    names = options.names or stage.files()
    outcomes = {}
    # They mostly wait.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for some in pool.map(lambda name: run_file(stage, name), names):
            outcomes |= some
    good = scoreboard(
        python, outcomes, expected(python), bool(options.names)
    )
    return 0 if good and outcomes else 1


if __name__ == "__main__":
    sys.exit(main())
