"""import greenlet gives Celadon's, where the drop-in is active."""

import shutil
import venv
from pathlib import Path

import celadon
import pytest
from support import run_python

# Where celadon is installed: site-packages, or what PYTHONPATH has.
SITE = Path(celadon.__file__).parent.parent

WHOSE = """\
import celadon, greenlet
assert greenlet.CELADON and greenlet._greenlet.CELADON
assert greenlet.getcurrent is celadon.getcurrent
assert greenlet.getcurrent() is celadon.getcurrent()
assert isinstance(celadon.spawn(int), greenlet.greenlet)
"""

# Says what `import greenlet` comes to.
LOOK = """\
try:
    import greenlet
    print("ours" if hasattr(greenlet, "CELADON") else "real")
except ModuleNotFoundError:
    print("none")
except ImportError as error:
    print(error)
"""

REAL = """\
from greenlet._greenlet import getcurrent
_C_API = object()
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The python of a virtual environment that finds this celadon.

    Beside the .pth file it gets nothing but a path.
    """
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # Files are taken in the order of their names.
    (site / "a.pth").write_text(f"{SITE}\n")
    shutil.copy(SITE / "celadon-dropin.pth", site)
    return folder / "bin" / "python"


def ask(python, *arguments, **variables):
    """What *python* says about greenlet, with the variables set."""
    # PYTHONPATH would let the interpreter find celadon where it should not.
    env = {"PYTHONPATH": "", "CELADON_DROPIN": ""} | variables
    ended = run_python(*arguments, "-c", LOOK, env=env, executable=python)
    assert ended.code == 0 and ended.err == "", ended
    return ended.out.strip()


@pytest.fixture
def real(tmp_path):
    """A folder with a package greenlet that is not ours."""
    package = tmp_path / "real" / "greenlet"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(REAL)
    (package / "_greenlet.py").write_text("def getcurrent(): pass\n_C_API=0")
    compiled = package / "elsewhere" / "_greenlet.so"
    compiled.parent.mkdir()
    compiled.write_bytes(b"not really one, but it has greenlet._C_API in it")
    return package.parent


# ---- at the start of an interpreter


@pytest.mark.parametrize(
    ("value", "whose"),
    [("", "none"), ("0", "none"), ("1", "ours"), ("greenlet", "ours")],
)
def test_the_environment_decides(fresh, value, whose):
    assert ask(fresh, CELADON_DROPIN=value) == whose


def test_it_comes_before_the_real_one(fresh, real):
    path = str(real)
    assert ask(fresh, PYTHONPATH=path) == "real"
    assert ask(fresh, PYTHONPATH=path, CELADON_DROPIN="1") == "ours"


@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_isolated_interpreters_are_left_alone(fresh, option):
    assert ask(fresh, option, CELADON_DROPIN="1") == "none"


def test_nothing_is_loaded_before_it_is_wanted(fresh):
    code = "import sys; print(*(m for m in sys.modules if 'celadon' in m))"
    for value, loaded in [("", ""), ("0", "_celadon_dropin"),
                          ("1", "_celadon_dropin")]:  # fmt: skip
        env = {"PYTHONPATH": "", "CELADON_DROPIN": value}
        ended = run_python("-c", code, env=env, executable=fresh)
        assert (ended.out.strip(), ended.err) == (loaded, ""), ended


def test_a_name_without_a_drop_in_is_refused_aloud(fresh):
    env = {"PYTHONPATH": "", "CELADON_DROPIN": "greenlet,mistake"}
    ended = run_python("-c", "pass", env=env, executable=fresh)
    assert "celadon has no drop-in for 'mistake'" in ended.err
    assert ended.code == 0


def test_children_inherit_it(fresh):
    code = f"""if True:
    import multiprocessing, subprocess, sys
    subprocess.run([sys.executable, "-c", {LOOK!r}], check=True)
    import os
    if os.fork() == 0:
        exec({LOOK!r})
        sys.stdout.flush()
        os._exit(0)
    assert os.wait()[1] == 0
    """
    env = {"PYTHONPATH": "", "CELADON_DROPIN": "1"}
    ended = run_python("-c", code, env=env, executable=fresh)
    assert ended.out.split() == ["ours", "ours"], ended


# ---- by the command line, and by a program


@pytest.mark.parametrize("more", [(), ("--no-patch",)])
@pytest.mark.parametrize("how", ["-c", "-m", "file"])
def test_the_command_line_decides(tmp_path, how, more):
    (tmp_path / "whose.py").write_text(WHOSE + "print('ours')")
    program = {
        "-c": ("-c", WHOSE + "print('ours')"),
        "-m": ("-m", "whose"),
        "file": ("whose.py",),
    }[how]
    arguments = ("-m", "celadon", "--dropin", *more, *program)
    assert run_python(*arguments, cwd=tmp_path).out == "ours\n"


def test_no_patch_patches_nothing():
    code = "import time; print(time.sleep.__module__)"
    for options in [("--no-patch",), ("--no-patch", "--sys", "--dropin")]:
        ended = run_python("-m", "celadon", *options, "-c", code)
        assert (ended.out, ended.err) == ("time\n", "")


def test_celadon_alone_takes_no_name():
    ended = run_python("-c", "import celadon.monkey, sys;"
                       "assert 'greenlet' not in sys.modules;"
                       "print(*sys.meta_path)")  # fmt: skip
    assert ended.code == 0 and "celadon" not in ended.out


def test_a_program_activates_it():
    code = "from celadon import dropin\ndropin.activate()\n" * 2 + WHOSE
    assert run_python("-c", code).code == 0
    code = "from celadon import dropin\ndropin.activate(['greenlets'])"
    assert "has no drop-in for 'greenlets'" in run_python("-c", code).err


# ---- no mixture


def run_with(real, code):
    program = f"import sys; sys.path.insert(0, {str(real)!r})\n" + code
    return run_python("-c", program)


@pytest.mark.parametrize(
    "first", ["greenlet", "greenlet._greenlet", "greenlet._greenlet as x; "
              "sys.modules['y._greenlet'] = x; del sys.modules['greenlet']; "
              "del sys.modules['greenlet._greenlet']; import sys"]
)  # fmt: skip
def test_refuses_when_the_real_one_is_there(real, first):
    code = f"import {first}\nfrom celadon import dropin\ndropin.activate()"
    ended = run_with(real, code)
    assert ended.code == 1
    assert "ImportError: the real greenlet is already loaded" in ended.err
    assert str(real) in ended.err and "CELADON_DROPIN=1" in ended.err


def test_the_real_one_is_not_imported_afterwards(real):
    path = real / "greenlet" / "elsewhere" / "_greenlet.so"
    code = f"""
    from celadon import dropin
    dropin.activate()
    from importlib.util import module_from_spec, spec_from_file_location
    for name in "greenlet._greenlet", "_greenlet", "a.b._greenlet":
        spec = spec_from_file_location(name, {str(path)!r})
        try:
            module_from_spec(spec)
        except ImportError as error:
            assert error.path == {str(path)!r}
            print(error)
    """
    ended = run_python("-c", "if True:" + code)
    assert ended.code == 0, ended
    assert len(ended.out.splitlines()) == 3, ended
    assert ended.out.count("is of the real greenlet") == 3
    assert "run without Celadon's drop-in" in ended.out


def test_other_modules_of_its_name_are_welcome(tmp_path):
    (tmp_path / "_greenlet.so").write_bytes(b"something else")
    code = f"""
    from celadon import dropin
    dropin.activate()
    from importlib.util import module_from_spec, spec_from_file_location
    spec = spec_from_file_location("_greenlet", {str(tmp_path)!r}
                                   + "/_greenlet.so")
    module_from_spec(spec)
    """
    ended = run_python("-c", "if True:" + code)
    # It is no library: the loader gets to see it.
    assert "ImportError" in ended.err and "Celadon" not in ended.err


# ---- what it is


def test_it_looks_like_greenlet():
    code = """
    from celadon import dropin
    dropin.activate()
    import greenlet as package
    from greenlet import *
    from importlib import import_module, metadata, reload
    from pathlib import Path
    for name in dropin.NAMES:
        module = import_module(name)
        assert metadata.version(name) == module.__version__ + "+celadon"
        assert any(dist.metadata["Name"] == name
                   for dist in metadata.distributions())
    assert not list(metadata.distributions(name="greenlet", path=["."]))
    assert "greenlet._C_API" in repr(_C_API) and issubclass(error, Exception)
    assert reload(package) is package
    where = Path(package.__file__)
    assert where.with_name("greenlet.h").exists()
    other = greenlet(lambda x: x + 1)
    assert other.switch(1) == 2 and other.dead
    """
    ended = run_python("-c", "if True:" + code)
    assert ended.code == 0, ended


def test_the_capsule_is_found_by_its_name():
    """As PyGreenlet_Import() in a compiled extension does it."""
    code = """
    from celadon import dropin
    dropin.activate()
    import ctypes
    find = ctypes.pythonapi.PyCapsule_Import
    find.restype = ctypes.POINTER(ctypes.py_object)
    table = find(b"greenlet._C_API", 0)
    import celadon.greenlet
    assert table[0] is celadon.greenlet.greenlet
    assert table[2] is celadon.GreenletExit
    """
    assert run_python("-c", "if True:" + code).code == 0
