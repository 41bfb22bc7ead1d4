"""Hold the size budgets: files, functions, lines, nesting, parameters.

Limits for C: a source has at most 800 lines, a header 400; a function at most
80 lines, a McCabe number of 15 (25 where a comment in it says why, as
"complexity: why"), 6 parameters (more where one says "parameters: whose") and
control nested 4 deep; a line has at most
79 columns.  For Python: 800 lines a file, 80 a function, 79 columns.  Every
C, assembly and shell source says what it is, C sources under which licence.

With --figures it prints what the tree has instead of judging it.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FILE_LINES = {".c": 800, ".h": 400, ".S": 800, ".py": 800, ".sh": 800}
FUNCTION_LINES = 80
MCCABE, MCCABE_EXPLAINED = 15, 25
PARAMETERS = 6
NESTING = 4
COLUMNS = 79

COMMENT_OR_STRING = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S
)
BRANCH = re.compile(r"\b(if|for|while|case)\b|&&|\|\||\?")
CONTROL = re.compile(r"(\)|\belse|\bdo)\s*$")


def blank(match):
    """Replace a comment or literal by as many lines of nothing."""
    text = match.group(0)
    return "\n" * text.count("\n") or " "


def functions(text):
    """Yield (line, name, head, body, raw) of each function in a C file."""
    raw = text.splitlines()
    code = COMMENT_OR_STRING.sub(blank, text).splitlines()
    start = None
    for number, line in enumerate(code):
        if line.rstrip() == "{":
            start = number
        elif line.rstrip() == "}" and start is not None:
            head = start - 1
            while head > 0 and not re.match(r"[A-Za-z_]\w*\(", code[head]):
                head -= 1
            name = code[head].split("(")[0]
            yield (
                head + 1,
                name,
                " ".join(code[head:start]),
                "\n".join(code[start : number + 1]),
                "\n".join(raw[head : number + 1]),
            )
            start = None


def parameters(head):
    """Return how many parameters a function's head declares."""
    inside = head[head.index("(") + 1 : head.rindex(")")].strip()
    if inside in ("", "void"):
        return 0
    depth = 0
    count = 1
    for char in inside:
        depth += (char == "(") - (char == ")")
        count += char == "," and depth == 0
    return count


def nesting(body):
    """Return how deep control statements nest in a function's body."""
    stack = []
    deepest = 0
    for match in re.finditer(r"[{}]", body):
        if match.group(0) == "{":
            stack.append(bool(CONTROL.search(body[: match.start()])))
            deepest = max(deepest, sum(stack))
        elif stack:
            stack.pop()
    return deepest


def check_function(line, name, head, body, raw):
    """Yield what is wrong with one C function."""
    length = raw.count("\n") + 1
    if length > FUNCTION_LINES:
        yield line, f"{name} has {length} lines (limit {FUNCTION_LINES})"
    paths = 1 + len(BRANCH.findall(body))
    limit = MCCABE_EXPLAINED if "complexity:" in raw else MCCABE
    if paths > limit:
        yield line, f"{name} has a McCabe number of {paths} (limit {limit})"
    count = parameters(head)
    if count > PARAMETERS and "parameters:" not in raw:
        yield line, f"{name} takes {count} parameters (limit {PARAMETERS})"
    depth = nesting(body)
    if depth > NESTING:
        yield line, f"{name} nests {depth} deep (limit {NESTING})"


def check_c(path, text):
    """Yield what is wrong with one C or assembly file."""
    lines = text.splitlines()
    if "SPDX-License-Identifier: MIT" not in "".join(lines[:1]):
        yield 1, "does not begin with its SPDX-License-Identifier"
    if len(lines) < 2 or not lines[1].lstrip().startswith(("/*", "//", "#")):
        yield 2, "has no file comment"
    for function in functions(text):
        yield from check_function(*function)


def check_python(path, text):
    """Yield what is wrong with one Python file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {length} lines"


def check_file(path):
    """Yield what is wrong with one file."""
    text = path.read_text()
    lines = text.splitlines()
    limit = FILE_LINES[path.suffix]
    if len(lines) > limit:
        yield 1, f"{len(lines)} lines (limit {limit})"
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > COLUMNS:
            yield number, f"{len(line)} columns (limit {COLUMNS})"
    if path.suffix in (".c", ".h", ".S"):
        yield from check_c(path, text)
    elif path.suffix == ".py":
        yield from check_python(path, text)


def tree():
    """Return the files that are, or are about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    paths = (ROOT / name for name in sorted(set(listed.stdout.splitlines())))
    return [p for p in paths if p.suffix in FILE_LINES and p.is_file()]


def figures():
    """Print how the C of the tree stands to the budgets."""
    lengths = []
    total = 0
    for path in tree():
        if path.suffix in (".c", ".h") and "src" in path.parts:
            text = path.read_text()
            total += text.count("\n")
            lengths += [f[4].count("\n") + 1 for f in functions(text)]
    lengths.sort()
    if lengths:
        print(f"src: {total} lines, {len(lengths)} functions, "
              f"median {lengths[len(lengths) // 2]}, "
              f"90 % within {lengths[len(lengths) * 9 // 10]} lines")


def main():
    if "--figures" in sys.argv[1:]:
        figures()
        return 0
    failed = False
    for path in tree():
        for number, text in check_file(path):
            print(f"{path.relative_to(ROOT)}:{number}: {text}")
            failed = True
    figures()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
