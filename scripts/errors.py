#!/usr/bin/env python3
"""See that a test has met each error that a public call documents:
errors.py BUILD, of a build with -Dhard=true -Drecord=true.

In such a build the tests note which call returned what (tests/lib/record.c).
All unit tests and the scenarios of tests/faults are run, and each error that a
contract names, itself or by "as for all", must have come up; a contract that
promises an error that cannot come is wrong.  What "as recv(2)" says is the
system's affair.

errors.py --calls FILE writes the header that makes the calls note.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import faults
import header as headers_of
import man

# As in tests/lib/record.h.
ERRORS = 256

# So many throws of the dice, for the scenarios to meet them all.
SEEDS = 4

# Errors that no test can bring about, with the reason.
EXCUSED = {
    ("cel_process_kill", "EPERM"): "wants a program that changes its user",
    ("cel_select", "EPIPE"): "the result of a case, not the call's",
}


def calls():
    """The public calls that return what may be an error, in order."""
    return [call.name for header in headers_of.headers()
            for call in header.calls if call.returns in ("int", "ssize_t")]


def documented():
    """For each call, the errors of its contract."""
    found = headers_of.headers()
    base = next(header for header in found if header.name == man.BASE)
    return {call.name: man.errors_of(call, header, base).keys()
            for header in found for call in header.calls
            if call.name in set(calls())}


def write_calls(path):
    """Write macros of the calls' names that call and note."""
    lines = ["/* SPDX-License-Identifier: MIT */",
             "/* Made by scripts/errors.py. */",
             "#pragma GCC system_header", "#include <celadon.h>",
             "#if __has_include(<openssl/ssl.h>)", "#include <celadon/tls.h>",
             "#endif", '#include "record.h"']
    lines += [f"#define {name}(...) RECORD({number}, {name}(__VA_ARGS__))"
              for number, name in enumerate(calls())]
    Path(path).write_text("\n".join(lines) + "\n")


def of_unit_tests(build):
    """Run them; returns the pairs of call and error."""
    names = calls()
    with tempfile.NamedTemporaryFile() as record:
        record.truncate(len(names) * ERRORS)
        env = dict(os.environ, CELADON_RECORD=record.name,
                   CELADON_SEED="1", CELADON_TEST_SLOW="4")
        subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "-t",
                        "4", "--suite", "unit", "--print-errorlogs"],
                       env=env, check=True, stdout=subprocess.DEVNULL)
        noted = Path(record.name).read_bytes()
    return {(names[at // ERRORS], faults.name_of(at % ERRORS))
            for at, byte in enumerate(noted) if byte}


def of_faults(build, seed):
    """Those of the scenarios; whom a fault meets depends on the dice."""
    os.environ["CELADON_SEED"] = str(seed)
    _, output = faults.run(Path(build) / "tests" / "faults", "epoll")
    return {(name, faults.name_of(int(result)))
            for name, result in
            re.findall(r"^call (\w+) (-\d+) ", output, re.M)}


def main():
    if sys.argv[1:2] == ["--calls"]:
        write_calls(sys.argv[2])
        return 0
    if len(sys.argv) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    due = {(name, code) for name, codes in documented().items()
           for code in codes}
    owed = due - of_unit_tests(sys.argv[1]) - set(EXCUSED)
    for seed in range(1, SEEDS + 1):
        if owed:
            owed -= of_faults(sys.argv[1], seed)
    for name, code in sorted(owed):
        print(f"{name}: no test meets -{code}")
    print(f"{len(due) - len(owed)} passed, {len(owed)} failed")
    return 1 if owed else 0


if __name__ == "__main__":
    sys.exit(main())
