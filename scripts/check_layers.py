"""Check how the files of the engine depend on each other.

A layer includes only itself and the layers before it, public headers include
only public headers, a backend's own header stays inside io/, conditionals of
the preprocessor stand only where portability lives, and every source is in
its folder's meson.build.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The folders of src/, by rank: those in one row may include each other.
LAYERS = [
    ["base"],
    ["coro"],
    ["io"],
    ["sched", "see"],
    ["net", "os", "sync", "pool"],
    ["stream", "names"],
    ["tls"],
    ["hook"],
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}

# Seen by nobody but io/ itself: above, all backends look the same.
PRIVATE = re.compile(r"io/(uring|epoll|poll)\.h")

# Where #if may stand: what hides the system, the CPU, the tools, CPython.
PORTABLE = re.compile(
    r"src/base/(probe|sys|sys_thread|clock|sanitize)\.[ch]"
    r"|src/see/sys_trace\.h"
    r"|src/coro/switch\w*\.[chS]"
    r"|python/ext/(compat|fpenv|frames|guard|pystate\w*)\.[ch]"
    r"|include/celadon/base\.h"
)
# Allowed everywhere: include guards, C++ linkage, the hard build's switch.
HARMLESS = re.compile(r"#\s*(ifndef \w+_H|ifdef __cplusplus|if CEL__HARD)$")

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
CONDITIONAL = re.compile(r"^\s*#\s*(if|ifdef|ifndef)\b.*")


def includes(path):
    """Yield (line number, name) for each #include of our own headers."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1)


def check_include(path, name):
    """Return what is wrong with a file of src/ including `name`, or None."""
    own = path.relative_to(ROOT / "src").parts[0]
    if own not in RANK:
        return f"src/{own} is in no row of LAYERS"
    if name.startswith("celadon"):
        return None
    folder = name.split("/")[0]
    if "/" not in name:
        return f'"{name}": write the layer too, as "{own}/{name}"'
    if folder not in RANK:
        return f'"{name}" is in no layer'
    if RANK[folder] > RANK[own]:
        return f'{own} must not include {folder} ("{name}")'
    if PRIVATE.match(name) and own != "io":
        return f'"{name}" is private to io'
    return None


def check_source(path):
    """Yield what is wrong with the includes of one file of src/."""
    for number, name in includes(path):
        wrong = check_include(path, name)
        if wrong:
            yield number, wrong


def check_public(path):
    """Yield what is wrong with the includes of one public header."""
    for number, name in includes(path):
        if not name.startswith("celadon"):
            yield number, f'a public header includes "{name}"'


def check_conditionals(path):
    """Yield the conditionals of the preprocessor that stand elsewhere."""
    if PORTABLE.fullmatch(str(path.relative_to(ROOT))):
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if CONDITIONAL.match(line) and not HARMLESS.match(line.strip()):
            yield number, f"{line.strip()}: write if (CEL__HAVE_X) instead"


def check_listed(folder, pattern, relative_to):
    """Yield sources under `folder` that its meson.build does not name."""
    lists = (relative_to / "meson.build").read_text()
    for path in sorted(folder.rglob(pattern)):
        name = str(path.relative_to(relative_to))
        stem = path.stem.removeprefix("test_")
        if f"'{name}'" not in lists and f"'{stem}'" not in lists:
            yield path, 1, f"in no list of {relative_to.name}/meson.build"


def check_all():
    """Yield (path, line, text) for everything that is wrong."""
    sources = sorted((ROOT / "src").rglob("*.[chS]"))
    public = sorted((ROOT / "include").rglob("*.h"))
    extension = sorted((ROOT / "python/ext").rglob("*.[ch]"))
    for path in sources:
        yield from ((path, *found) for found in check_source(path))
    for path in public:
        yield from ((path, *found) for found in check_public(path))
    for path in sources + public + extension:
        yield from ((path, *found) for found in check_conditionals(path))
    for path, number, text in check_listed(ROOT / "src", "*.c", ROOT / "src"):
        if not path.name.startswith("switch_"):
            yield path, number, text
    for name, sub, pattern in [
        ("python", "ext", "*.c"),
        ("python", "celadon", "*.py"),
        ("python", "celadon", "*.pyi"),
        ("tests", "unit", "test_*.c"),
        ("examples", "", "*.c"),
        ("bench", "", "*.c"),
        ("tools", "", "*.c"),
    ]:
        folder = ROOT / name
        yield from check_listed(folder / sub, pattern, folder)
    named = (ROOT / "src/meson.build").read_text()
    for path in public:
        name = str(path.relative_to(ROOT))
        if f"'../{name}'" not in named:
            yield path, 1, "not a header that src/meson.build installs"


def main():
    failed = False
    for path, number, text in check_all():
        print(f"{path.relative_to(ROOT)}:{number}: {text}")
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
