"""Look for the mistakes that the extension must not make.

- what a function enters and never leaves, or the other way round (PAIRS);
- a call that may suspend between Py_BEGIN_ALLOW_THREADS or
  Py_BEGIN_CRITICAL_SECTION and its end: another greenlet would run without
  the interpreter, or with a lock held;
- an object made and not checked for NULL in the next few lines;
- a static PyObject or type: state belongs to the module;
- private fields of CPython outside pystate_*, compat and frames.

A line is excused by a comment "cpylint: why" on it or on the line before.
"""

import re
import sys
from pathlib import Path

from check_sizes import COMMENT_OR_STRING, ROOT, blank, functions

# The files that know CPython's versions and its insides.
VERSIONED = ("pystate", "compat", "frames.c")

PAIRS = [
    ("Py_BEGIN_ALLOW_THREADS", "Py_END_ALLOW_THREADS"),
    ("Py_BEGIN_CRITICAL_SECTION", "Py_END_CRITICAL_SECTION"),
    ("PyGILState_Ensure", "PyGILState_Release"),
    ("PyEval_SaveThread", "PyEval_RestoreThread"),
    ("Py_EnterRecursiveCall", "Py_LeaveRecursiveCall"),
]

# A call into the engine that may switch: one whose contract, the comment
# before its declaration in a header, says "Suspend" or "Suspends".
CONTRACT = re.compile(
    r"/\*((?:[^*]|\*(?!/))*)\*/\s*[\w *]*?\b(cel_\w+)\s*\("
)

MAKERS = re.compile(
    r"(\w+(?:->\w+)*)\s*=\s*(?:\([^()]*\))?\s*(?:Py_NewRef\()?"
    r"(PyObject_New|PyObject_GC_New|PyType_GenericAlloc|PyTuple_New"
    r"|PyList_New|PyDict_New|PyBytes_FromStringAndSize|PyUnicode_From\w+"
    r"|PyLong_From\w+|PyMem_\w*[Mm]alloc|PyMem_Calloc|PyMem_New)\b"
)
STATIC_OBJECT = re.compile(r"^static\s+(PyObject\s*\*\w+\s*[;=]"
                           r"|PyTypeObject\s+\w+\s*[;=])")
PRIVATE = re.compile(r"\b(_PyInterpreterFrame|_PyStackChunk|cframe"
                     r"|datastack_\w+|_PyThreadState_\w+|current_frame"
                     r"|c_recursion_remaining|py_recursion_remaining"
                     r"|Py_BUILD_CORE)\b")


def suspending():
    """Return the functions of the engine that say they suspend."""
    names = set()
    for folder in ("include", "src"):
        for header in (ROOT / folder).rglob("*.h"):
            for match in CONTRACT.finditer(header.read_text()):
                if re.search(r"\bSuspends?\b", match.group(1)):
                    names.add(match.group(2))
    return names


def check_pairs(line, name, body):
    """Yield what a function only enters, or only leaves."""
    for enter, leave in PAIRS:
        entered = len(re.findall(rf"\b{enter}\b", body))
        left = len(re.findall(rf"\b{leave}\b", body))
        if (entered == 0) != (left == 0):
            yield line, f"{name}: {enter} {entered}, {leave} {left} times"


def check_regions(line, body, suspends):
    """Yield calls that suspend where the interpreter has been let go."""
    for enter, leave in PAIRS[:2]:
        for region in re.finditer(rf"\b{enter}\b.*?\b{leave}\b", body, re.S):
            for call in re.finditer(r"\b(cel_\w+)\s*\(", region.group(0)):
                if call.group(1) in suspends:
                    at = region.start() + call.start()
                    yield (line + body[:at].count("\n"),
                           f"{call.group(1)} suspends inside {enter}")


def check_makers(line, body):
    """Yield new objects that the following lines do not check."""
    lines = body.splitlines()
    for number, text in enumerate(lines):
        match = MAKERS.search(text)
        if not match:
            continue
        target = re.escape(match.group(1))
        after = "\n".join(lines[number : number + 8])
        if not re.search(rf"{target}\s*[!=]= NULL|\b{target}\s*\?|!{target}\b"
                         rf"|return\s+{target}\b", after):
            yield line + number, f"{match.group(1)} is not checked for NULL"


def check_file(path, suspends):
    """Yield what is wrong with one file of the extension."""
    text = path.read_text()
    code = COMMENT_OR_STRING.sub(blank, text)
    for number, line in enumerate(code.splitlines(), 1):
        if STATIC_OBJECT.match(line):
            yield number, "a static object: keep it in the module's state"
        found = PRIVATE.search(line)
        if found and not path.name.startswith(VERSIONED):
            yield number, f"{found.group(1)} belongs in pystate_*"
    for line, name, _, body, raw in functions(text):
        start = line + raw.count("\n") - body.count("\n")
        yield from check_pairs(line, name, body)
        yield from check_regions(start, body, suspends)
        yield from check_makers(start, body)


def excused(path, number):
    """Return whether a comment on the line, or before it, gives a reason."""
    lines = path.read_text().splitlines()
    return any("cpylint:" in text for text in lines[max(number - 2, 0):number])


def main():
    suspends = suspending()
    wrong = 0
    files = sorted((ROOT / "python/ext").glob("*.[ch]"))
    for path in files:
        for number, text in check_file(path, suspends):
            if not excused(path, number):
                print(f"{path.relative_to(Path(ROOT))}:{number}: {text}")
                wrong += 1
    print(f"{len(files)} files, {len(suspends)} functions that suspend")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
