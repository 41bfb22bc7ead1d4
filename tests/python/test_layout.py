"""An interpreter that is laid out otherwise than expected is refused."""

import shutil
import struct
import sys

import celadon._core
import pytest
from support import run_python, run_script

# By mark, what the extension expects of the interpreter.
FIELDS = {
    b"celadon layout:\0": ("version", "interp", "frame", "chunk", "size"),
    b"celadon frames:\0": ("previous", "locals", "owner", "stack"),
}

LOAD = """
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
name = "celadon._core"
loader = ExtensionFileLoader(name, sys.argv[1])
spec = spec_from_file_location(name, sys.argv[1], loader=loader)
loader.exec_module(module_from_spec(spec))
"""


def layout():
    """Return the extension's bytes and what it expects, {name: (at, value)},
    each number with its place there."""
    with open(celadon._core.__file__, "rb") as file:
        data = bytearray(file.read())
    found = {}
    for mark, names in FIELDS.items():
        assert data.count(mark) == 1
        at = data.index(mark) + len(mark)
        for name in names:
            found[name] = at, *struct.unpack_from("Q", data, at)
            at += 8
    return data, found


def load_expecting(folder, **more):
    """Import a copy of the extension that expects so much more."""
    data, expected = layout()
    for name, difference in more.items():
        at, value = expected[name]
        struct.pack_into("Q", data, at, value + difference)
    path = folder / "_core.so"
    path.write_bytes(data)
    shutil.copymode(celadon._core.__file__, path)
    return run_python("-c", LOAD, str(path))


def test_what_the_extension_expects_is_here():
    _, expected = layout()
    assert expected["version"][1] == sys.hexversion >> 16


def test_a_copy_that_expects_the_same_is_accepted(tmp_path):
    ended = load_expecting(tmp_path)
    assert (ended.code, ended.err) == (0, "")


def check_refusal(ended, why):
    assert ended.code == 1
    last = ended.err.splitlines()[-1]
    assert last.startswith("ImportError: this celadon was built for CPython 3")
    assert sys.version.split()[0] in last
    assert why in last
    assert "pip install --force-reinstall" in last


def test_another_version_is_refused(tmp_path):
    ended = load_expecting(tmp_path, version=40)
    check_refusal(ended, f"for CPython 3.{sys.version_info.minor + 40} ")
    check_refusal(ended, "it is another version")


def test_fields_elsewhere_are_refused(tmp_path):
    ended = load_expecting(tmp_path, interp=8)
    check_refusal(ended, "the fields of its thread state are elsewhere")


offsets = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="debug offsets are of 3.13"
)


@offsets
@pytest.mark.parametrize(
    ("field", "more"), [("frame", 8), ("chunk", -8), ("size", 100_000)]
)
def test_debug_offsets_are_heeded(tmp_path, field, more):
    ended = load_expecting(tmp_path, **{field: more})
    check_refusal(ended, "the fields of its thread state are elsewhere")


@offsets
@pytest.mark.parametrize("field", FIELDS[b"celadon frames:\0"])
def test_other_frames_are_refused(tmp_path, field):
    ended = load_expecting(tmp_path, **{field: 8})
    check_refusal(ended, "its frames look different")


def test_importing_leaves_nothing_behind():
    """The trial of switching is over, with its stack and its context."""
    run_script(
        """
        import contextvars, gc, sys
        context = list(contextvars.copy_context())
        import celadon._core
        assert list(contextvars.copy_context()) == context
        assert not celadon._core.has_hub()
        assert sys.exc_info() == (None, None, None)
        # Free-threaded it is the collector that frees functions.
        gc.collect()
        for thing in gc.get_objects():
            assert getattr(thing, "__name__", "") != "probe"
        """,
        patched=False,
    )


def test_importing_works_under_tracing_and_in_a_thread():
    run_script(
        """
        import sys, threading
        def trace(frame, event, arg):
            return trace
        def load():
            import celadon._core
            done.append(True)
        done = []
        sys.settrace(trace)
        sys.setprofile(lambda *args: None)
        threading.settrace(trace)
        thread = threading.Thread(target=load)
        thread.start()
        thread.join()
        import celadon._core
        assert done == [True]
        """,
        patched=False,
    )
