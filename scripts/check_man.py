"""Check the manual pages that man.py makes: check_man.py BUILD.

Every public call has a page that says whether it suspends and which errors
there are; every header has one with an example.  Examples compile without a
warning and, linked with the library of the build folder, run to their end.
mandoc finds nothing to warn of.
"""

import re
import subprocess
import sys
from pathlib import Path

import man

ROOT = man.ROOT
FLAGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include"]
# How long an example may take.
SECONDS = 20


def section(text, title):
    """A section of a page, or nothing."""
    match = re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh|\Z)", text, re.M | re.S)
    return match[1] if match else ""


def example_of(text):
    """The program in the EXAMPLES of a page, as the reader sees it."""
    match = re.search(r"^\.Bd[^\n]*\n(.*?)^\.Ed", section(text, "EXAMPLES"),
                      re.M | re.S)
    if not match:
        return ""
    return re.sub(r"^\\&", "", match[1], flags=re.M).replace("\\e", "\\")


def check_call(call, folder):
    """Yield what the page of a call lacks."""
    path = folder / "man3" / f"{call.name}.3"
    text = path.read_text() if path.exists() else ""
    if not call.contract:
        yield "has no contract"
        return
    if not man.SUSPENDS.search(section(text, "SUSPENSION")):
        yield "does not say whether it suspends"
    fails = call.returns in ("int", "ssize_t") and "deadline" in call.names
    if fails and not re.search(r"^\.(It|Xr)", section(text, "ERRORS"), re.M):
        yield "names no errors"


def check_example(name, text, build, folder, runs=True):
    """Yield what is wrong with the example of a page."""
    source = example_of(text)
    if not source:
        print(f"owed: {name} has no EXAMPLES: write man/{name[8:]}.c")
        return
    file, program = folder / f"{name}.c", folder / name
    file.write_text(source)
    library = build / "src"
    linked = ["-lceladon"]
    if name == "celadon_tls":
        linked.insert(0, "-lceladon-tls")
    made = subprocess.run(
        ["cc", *FLAGS, str(file), "-o", str(program), f"-L{library}",
         *linked, "-pthread", f"-Wl,-rpath,{library}"],
        capture_output=True, text=True)
    if made.returncode != 0:
        yield f"the example of {name} does not compile:\n{made.stderr}"
        return
    if not runs:
        return
    try:
        ran = subprocess.run([str(program)], capture_output=True, text=True,
                             timeout=SECONDS, cwd=folder)
    except subprocess.TimeoutExpired:
        yield f"the example of {name} does not end"
        return
    if ran.returncode != 0:
        yield (f"the example of {name} ends with status {ran.returncode}:\n"
               f"{ran.stdout}{ran.stderr}")


def check_lint(folder):
    """Yield what mandoc warns of."""
    linted = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning",
         *map(str, sorted(folder.glob("man?/*")))],
        capture_output=True, text=True)
    yield from (linted.stdout + linted.stderr).splitlines()


def check_all(found, build, folder):
    """Yield what is wrong with all pages."""
    for header in found:
        for call in header.calls:
            for wrong in check_call(call, folder):
                yield f"include/celadon/{header.name}.h: {call.name} {wrong}"
            if (man.MAN / f"{call.name}.c").exists():
                text = (folder / "man3" / f"{call.name}.3").read_text()
                yield from check_example(call.name, text, build, folder)
        name = f"celadon_{header.name}"
        text = (folder / "man3" / f"{name}.3").read_text()
        yield from check_example(name, text, build, folder)
    pages = {header.name for header in found} | {
        call.name for header in found for call in header.calls}
    for path in man.MAN.glob("*.c"):
        if path.stem not in pages:
            yield f"man/{path.name}: no page has that name"
    text = (folder / "man7/celadon.7").read_text()
    yield from check_example("celadon", text, build, folder, runs=False)
    yield from check_lint(folder)


def main():
    if len(sys.argv) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    build = Path(sys.argv[1]).resolve()
    folder = build / "man"
    for path in folder.glob("man?/*"):
        path.unlink()
    found = man.make(folder)
    wrong = list(check_all(found, build, folder))
    print("\n".join(wrong) or f"{len(list(folder.glob('man?/*')))} pages")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
