"""Compare the binary interface with the one that was agreed on: abi.py.

New calls and constants are fine.  A call that is gone or has changed, also by
a structure in its arguments, is an error, and so is a changed value.
`abi.py --renew` agrees on what there is now: for a change that is meant, in
one commit with its line in CHANGES.md.

What is compared is what a program is compiled with: a library of empty
functions is made of the public headers alone, so that nothing of the inside
shows (check_symbols.py holds the real one against the same headers).  Types
and functions are abidiff's affair; it does not know of macros.
"""

import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import header as headers_of

ROOT = headers_of.ROOT
AGREED = ROOT / "tests" / "abi"
TYPES = AGREED / f"celadon-{platform.machine()}.abi"
VALUES = AGREED / "values.txt"

# TLS is a library of its own, but agreed on with the rest.
INCLUDES = ["#include <celadon.h>", "#include <celadon/tls.h>"]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


def make(headers, folder):
    """Compile the empty library; return what abidw says of it."""
    lines = [*INCLUDES]
    for call in (call for header in headers for call in header.calls):
        lines += [f"{call.returns} {call.name}({', '.join(call.arguments)})",
                  "{ __builtin_unreachable(); }"]
    source, library = folder / "empty.c", folder / "libempty.so"
    source.write_text("\n".join(lines) + "\n")
    run("cc", "-g", "-O0", "-shared", "-fPIC", "-w", f"-I{ROOT}/include",
        "-Wl,-soname,libceladon.so.0", str(source), "-o", str(library),
        f"-Wl,--version-script={ROOT}/src/celadon.map")
    types = folder / "celadon.abi"
    run("abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs",
        "--type-id-style", "hash", "--out-file", str(types), str(library))
    return types


def values(headers, folder):
    """The values of constants, one a line."""
    lines = [*INCLUDES, "#include <stdio.h>", "int main(void) {"]
    for header in headers:
        for name in (name for names, _ in header.constants
                     for name, _ in names):
            lines.append(f'printf("{name} %lld\\n", (long long)({name}));')
        for text, _ in header.types:
            for name in re.findall(r"\b(CEL_\w+)\s*=", text):
                lines.append(f'printf("{name} %d\\n", (int)({name}));')
    source, program = folder / "values.c", folder / "values"
    source.write_text("\n".join(lines) + "\nreturn 0; }\n")
    run("cc", "-w", f"-I{ROOT}/include", str(source), "-o", str(program))
    return sorted(run(str(program)).splitlines())


def compare(types, found):
    """Yield what is not as agreed."""
    differ = subprocess.run(
        ["abidiff", "--no-added-syms", str(TYPES), str(types)],
        capture_output=True, text=True)
    if differ.returncode != 0:
        yield (differ.stdout + differ.stderr).strip()
    now = dict(line.split() for line in found)
    for line in VALUES.read_text().splitlines():
        name, value = line.split()
        if now.get(name) != value:
            yield f"{name} was {value}, is {now.get(name, 'gone')}"


def main():
    headers = headers_of.headers()
    ncalls = sum(len(header.calls) for header in headers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        types, found = make(headers, folder), values(headers, folder)
        if "--renew" in sys.argv[1:]:
            AGREED.mkdir(exist_ok=True)
            TYPES.write_text(types.read_text())
            VALUES.write_text("\n".join(found) + "\n")
            return 0
        if not TYPES.exists():
            print(f"nothing is agreed on for {platform.machine()}")
            return 0
        wrong = list(compare(types, found))
    print("\n".join(wrong) or f"{ncalls} calls, {len(found)} values")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
