"""Check the names that objects and libraries of a build folder export.

The shared library: public functions, `cel_` and a small letter, and every
one of them declared CEL_API.  The extension: its init function alone.  Each
object of the engine: public names, or `cel__` and the noun of the file, the
file's folder or a word of its name.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What is named for the thing it is rather than for the file it is in; and
# what the notes of probes refer to, which sys/sdt.h makes.
OTHERWISE = {"cel__panic", "_.stapsdt.base"}

# Nouns that live in another's file: waiting and waking is verbs, and a
# worker's small structures are declared with it.
GUESTS = {
    ("coro", "stack"): {"stackpool"},
    ("sched", "io"): {"op", "fd"},
    ("sched", "wait"): {"park", "yield", "resume", "interrupt", "wake",
                        "cancel", "callback", "exit"},
    ("sched", "worker"): {"callback", "coro", "timer"},
}


# Headers of other libraries than the engine's.
HOME = {"tls.h": "libceladon-tls"}


def defined(path, *options):
    """Return the global symbols that a binary defines."""
    listed = subprocess.run(
        ["nm", "--defined-only", "--extern-only", "--format=posix",
         *options, str(path)],
        check=True, capture_output=True, text=True,
    )
    names = [line.split()[0].split("@")[0]
             for line in listed.stdout.splitlines() if line.strip()]
    return sorted({n for n in names if not n.startswith("CELADON_")})


def declared(library):
    """Return the functions that the public headers of a library declare."""
    names = set()
    own = library.name.split(".")[0]
    for header in (ROOT / "include").rglob("*.h"):
        if HOME.get(header.name, "libceladon") != own:
            continue
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        for match in re.finditer(r"\bCEL_API\b[^;{]*?\b(cel_\w+)\s*\(", text):
            names.add(match.group(1))
    return names


def check_library(path):
    """Yield what is wrong with the shared library's exports."""
    exported = set(defined(path, "--dynamic"))
    for name in sorted(exported):
        if not re.match(r"cel_[a-z]", name):
            yield f"{path.name} exports {name}"
    for name in sorted(exported - declared(path)):
        yield f"{path.name}: {name} is declared in no public header"
    for name in sorted(declared(path) - exported):
        yield f"{path.name}: {name} is declared, but not exported"


def check_extension(path):
    """Yield what the extension exports beside its init function."""
    for name in defined(path, "--dynamic"):
        if name != "PyInit__core":
            yield f"{path.name} exports {name}"


def source_of(path):
    """Return folder and stem of the source that an object was made from."""
    # Meson's form: src/libX.a.p/coro_stack.c.o
    folder, _, stem = path.name.removesuffix(".o").partition("_")
    return folder, stem.rpartition(".")[0]


def check_object(path):
    """Yield the global symbols of an object that its file does not own."""
    folder, stem = source_of(path)
    nouns = {folder, stem, *stem.split("_")}
    nouns |= GUESTS.get((folder, stem), set())
    for name in defined(path):
        if re.match(r"cel_[a-z]", name) or name in OTHERWISE:
            continue
        match = re.match(r"cel__([a-z0-9]+)", name)
        if not match or match.group(1) not in nouns:
            yield f"{folder}/{stem} defines {name}: not named for the file"


def main():
    build = Path(sys.argv[1])
    wrong = []
    for path in build.glob("src/libceladon*.so.?"):
        wrong += check_library(path)
    for path in build.glob("python/_core*.so"):
        wrong += check_extension(path)
    objects = sorted(build.glob("src/libceladon_*.a.p/*.o"))
    for path in objects:
        wrong += check_object(path)
    print("\n".join(wrong) or f"{len(objects)} objects are in order")
    return 1 if wrong or not objects else 0


if __name__ == "__main__":
    sys.exit(main())
