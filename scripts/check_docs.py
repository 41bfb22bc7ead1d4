"""Check the documents against the tree: check_docs.py BUILD.

In every .md file: what it links to and names in `code` exists, its make
targets and check steps too; C examples compile, those with a main() are
linked with the library of the build folder and run, and a block that is marked
with a file (```c examples/echo.c) is in that file, line by line; where it has
a line of three dots something of the file is left out; Python examples parse;
tables of figures (figures.py) are in one piece; lines have at most 100
columns, but for tables.  README.md and README.ko.md have at most 150 lines
and, but for comments, the same examples.  The tests that a C file says it has
exist.
"""

import ast
import re
import subprocess
import sys
import tempfile
import textwrap
import unicodedata
from pathlib import Path

import figures

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 100
README_LINES = 150
READMES = ["README.md", "README.ko.md"]

# Indentation, language, file, text.
FENCE = re.compile(r"^( *)```(\w*)(?: ([^\n`]+))?\n(.*?)^ *```$", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
# `path/to/something`: names with a slash whose first folder is ours.
NAMED = re.compile(r"`([\w.]+/[\w./+-]*)`")
MAKE = re.compile(r"\bmake ([a-z]+)\b(?=[`\s])")
STEP = re.compile(r"scripts/check\.sh ([a-z]+)")
# Comments are in the document's language.
COMMENT = re.compile(r" *(# .*|/\*.*?\*/)")
# Not in the tree: what is built, and names that stand for others.
ABSENT = re.compile(r"build/|\.venv|.*(NAME|MODULE|FILE|3XX)")


# The last words of a file comment: "Tests: unit/test_wait.c, ...".
TESTS = re.compile(r"^ \* Tests: (.*?)(?=^ \*(?:/|$))", re.M | re.S)
TEST = re.compile(r"\w+\.(?:c|py)")


def ours(*globs):
    """The project's files of such names, committed or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard", *globs],
        cwd=ROOT, check=True, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).exists()]


def width(line):
    """Columns on a screen: Korean letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1
               for letter in line)


def examples(text, language):
    """Yield (line, source) of the fenced blocks in a language."""
    for match in FENCE.finditer(text):
        if match[2] == language and match[3] is None:
            line = text.count("\n", 0, match.start()) + 2
            yield line, textwrap.dedent(match[4])


def code(text):
    """The commands in fenced blocks and what stands between backticks."""
    fenced = "\n".join(match[4] for match in FENCE.finditer(text)
                       if match[2] in ("", "sh"))
    return fenced + "\n" + "\n".join(
        f"`{match}`" for match in re.findall(r"`([^`\n]+)`", text))


def check_names(path, text):
    """Yield links, files, make targets and steps that do not exist."""
    plain = FENCE.sub("", text)
    for target in LINK.findall(plain):
        if not (path.parent / target).exists():
            yield f"links to {target}, which is not there"
    tops = {entry.name for entry in ROOT.iterdir()}
    for name in NAMED.findall(plain):
        known = (path.parent / name).exists() or (ROOT / name).exists()
        if (not known and name.split("/")[0] in tops
                and not ABSENT.match(name)):
            yield f"names {name}, which is not there"
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    for name in set(MAKE.findall(code(text))) - set(targets):
        yield f"make {name}: no such target"
    steps = re.findall(r"^step_([a-z]+)\(",
                       (ROOT / "scripts/check.sh").read_text(), re.M)
    for name in set(STEP.findall(text)) - set(steps):
        yield f"scripts/check.sh {name}: no such step"


def check_form(path, text):
    """Yield lines that are too long, tables of figures that are broken."""
    try:
        figures.render(text, False, {})
    except ValueError as error:
        yield str(error)
    for number, line in enumerate(text.splitlines(), 1):
        if width(line) > COLUMNS and not line.startswith("|"):
            yield f"line {number} has {width(line)} columns"
    name = str(path.relative_to(ROOT))
    if name in READMES and len(text.splitlines()) > README_LINES:
        yield f"has {len(text.splitlines())} lines, more than {README_LINES}"


def check_excerpts(text):
    """Yield the blocks that are not in the file they are marked with."""
    for match in FENCE.finditer(text):
        path = ROOT / (match[3] or ".")
        if match[3] is None:
            continue
        if not path.is_file():
            yield f"shows {match[3]}, which is not there"
            continue
        left = "\n" + path.read_text()
        for piece in re.split(r"^…\n", match[4], flags=re.M):
            before, found, left = left.partition("\n" + piece)
            left = "\n" + left
            if not found:
                yield f"{match[3]} has no such lines (any more):\n{piece}"
                break


def check_c(source, build, folder):
    """What is wrong with one C example, or None."""
    file, binary = folder / "example.c", folder / "example"
    file.write_text(source)
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror",
               f"-I{ROOT}/include", str(file), "-o", str(binary)]
    runs = "main(" in source
    library = build / "src"
    command += ([f"-L{library}", "-lceladon", f"-Wl,-rpath,{library}"]
                if runs else ["-c"])
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        return f"does not compile:\n{made.stderr}"
    if runs:
        try:
            ran = subprocess.run([str(binary)], capture_output=True,
                                 timeout=20)
        except subprocess.TimeoutExpired:
            return "does not end"
        if ran.returncode != 0:
            return f"ends with status {ran.returncode}"
    return None


def check_python(source):
    """What is wrong with one Python example, or None."""
    try:
        ast.parse(source)
    except SyntaxError as error:
        return f"does not parse: {error}"
    return None


def check_examples(text, build):
    """Yield what is wrong with the examples of one document."""
    with tempfile.TemporaryDirectory() as folder:
        for line, source in examples(text, "c"):
            wrong = check_c(source, build, Path(folder))
            if wrong:
                yield f"the C example in line {line} {wrong}"
    for line, source in examples(text, "python"):
        wrong = check_python(source)
        if wrong:
            yield f"the Python example in line {line} {wrong}"


def check_same_examples():
    """Yield in what the two READMEs show different code."""
    english, korean = ((ROOT / name).read_text() for name in READMES)
    for language in ("c", "python", "sh"):
        theirs = [[COMMENT.sub("", source)
                   for _, source in examples(text, language)]
                  for text in (english, korean)]
        if theirs[0] != theirs[1]:
            yield f"their {language} examples differ"


def check_tests():
    """Yield the tests that file comments name and that do not exist."""
    there = {path.name for path in ours("tests", "bench")}
    for path in ours("*.c", "*.h"):
        for tests in TESTS.findall(path.read_text()):
            for name in set(TEST.findall(tests)) - there:
                yield f"{path.relative_to(ROOT)}: {name} is not there"


def main():
    if len(sys.argv) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    build = Path(sys.argv[1]).resolve()
    paths = ours("*.md")
    wrong = 0
    for path in paths:
        text = path.read_text()
        for found in (*check_form(path, text), *check_names(path, text),
                      *check_excerpts(text), *check_examples(text, build)):
            print(f"{path.relative_to(ROOT)}: {found}")
            wrong += 1
    for found in check_same_examples():
        print(f"{' and '.join(READMES)}: {found}")
        wrong += 1
    for found in check_tests():
        print(found)
        wrong += 1
    print(f"{len(paths)} documents")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
