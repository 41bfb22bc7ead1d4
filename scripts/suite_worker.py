"""Run tests of one module, by name, noting each as it begins and ends.

    suite_worker.py REPORT LIMIT MODULE [TEST ...]

Appends a line of JSON to REPORT for each event, so that whoever reads it
knows where a process died: {"began": TEST}, then {"ended": TEST, "how":
"passed", "failed" or "skipped", "why": TEXT}.  A test that takes longer than
LIMIT seconds ends the process, with the tracebacks of all threads on standard
error.  Without a TEST, prints the names of all tests of the module.
"""

import faulthandler
import json
import sys
import unittest


def flatten(suite):
    """Yield the tests of nested suites."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


class Reporter(unittest.TestResult):
    """Writes what happens to the report."""

    def __init__(self, file, limit):
        super().__init__()
        self.file = file
        self.limit = limit
        self.how = None

    def _note(self, **fields):
        print(json.dumps(fields), file=self.file, flush=True)

    def _outcome(self, how, why=""):
        # The first thing that goes wrong is what a test came to.
        if self.how is None or self.how[0] == "passed":
            self.how = (how, why)

    def startTest(self, test):
        super().startTest(test)
        self.how = None
        self._note(began=test.id())
        faulthandler.dump_traceback_later(self.limit, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        how, why = self.how or ("passed", "")
        self._note(ended=test.id(), how=how, why=why)
        super().stopTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._outcome("passed")

    def addError(self, test, err):
        super().addError(test, err)
        self._outcome("failed", self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._outcome("failed", self._exc_info_to_string(err, test))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._outcome("failed", self._exc_info_to_string(err, subtest))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._outcome("skipped", reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._outcome("passed")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._outcome("failed", "passed though marked as a failure")


def main():
    """Run, or list, what the command line says."""
    report, limit, module, *wanted = sys.argv[1:]
    tests = list(flatten(unittest.defaultTestLoader.loadTestsFromName(module)))
    if not wanted:
        print("\n".join(test.id() for test in tests))
        return
    with open(report, "a") as file:
        result = Reporter(file, float(limit))
        unittest.TestSuite(t for t in tests if t.id() in wanted).run(result)


if __name__ == "__main__":
    main()
