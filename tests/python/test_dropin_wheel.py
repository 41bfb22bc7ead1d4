"""The distribution celadon-dropin: what pip makes of it."""

import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import celadon
import pytest
from celadon.greenlet_api import GREENLET_VERSION
from support import run_command, run_python

SITE = Path(celadon.__file__).parent.parent
SOURCE = Path(__file__).resolve().parents[2] / "python" / "dropin"

BUILD = """\
import os, sys
sys.path.insert(0, "")
import backend
print(backend.build_sdist(sys.argv[1]), backend.build_wheel(sys.argv[1]))
"""

# Another package, which wants greenlet.
USER = """\
Metadata-Version: 2.1
Name: user
Version: 1
Requires-Dist: greenlet>=3.2.2,<4,!=3.3.0
"""

needs_pip = pytest.mark.skipif(
    find_spec("pip") is None, reason="this interpreter has no pip"
)


def build(source, target):
    """Build both distributions of the folder *source*; their paths."""
    ended = run_python("-B", "-c", BUILD, str(target), cwd=source)
    assert ended.code == 0, ended
    return [target / name for name in ended.out.split()]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(SOURCE, tmp_path_factory.mktemp("dist"))


class Environment:
    """A virtual environment, its celadon the one under test."""

    def __init__(self, folder):
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        (self.site,) = folder.glob("lib/python*/site-packages")

    def run(self, code, **variables):
        env = {"PYTHONPATH": "", "CELADON_DROPIN": ""} | variables
        return run_python("-c", code, env=env, executable=self.python)

    def pip(self, *arguments):
        """Run pip on this environment; return how it ended."""
        env = {
            "PYTHONPATH": "", "CELADON_DROPIN": "",
            "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }  # fmt: skip
        return run_python(
            "-m", "pip", "--python", self.python, *arguments,
            env=env, timeout=120,
        )  # fmt: skip


@pytest.fixture
def installed(built, tmp_path):
    """An environment with celadon-dropin and one that wants greenlet."""
    here = Environment(tmp_path / "env")
    (here.site / "celadon.pth").write_text(f"{SITE}\n")
    ended = here.pip("install", "--no-deps", str(built[1]))
    assert ended.code == 0, ended
    info = here.site / "user-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(USER)
    return here


def test_a_source_distribution_builds_the_same_wheel(built, tmp_path):
    sdist, wheel = built
    assert run_command("tar", "xzf", sdist, "-C", tmp_path).code == 0
    (source,) = tmp_path.iterdir()
    (tmp_path / "again").mkdir()
    again = build(source, tmp_path / "again")
    assert again[1].name == wheel.name
    assert again[1].read_bytes() == wheel.read_bytes()


def test_the_wheel_owns_the_name_alone(built):
    files = zipfile.ZipFile(built[1]).namelist()
    stem = f"celadon_dropin-{celadon.__version__}"
    version = f"{GREENLET_VERSION}+celadon"
    assert {name.split("/")[0] for name in files} == {
        "greenlet", f"{stem}.data", f"{stem}.dist-info"
    }  # fmt: skip
    purelib = f"{stem}.data/purelib"
    assert f"{purelib}/greenlet-{version}.dist-info/METADATA" in files
    assert "greenlet/greenlet.h" in files


def test_the_wheel_wants_the_celadon_it_is_of(built):
    wheel = zipfile.ZipFile(built[1])
    stem = f"celadon_dropin-{celadon.__version__}"
    metadata = wheel.read(f"{stem}.dist-info/METADATA").decode()
    wanted = f"Requires-Dist: celadon=={celadon.__version__}\n"
    assert wanted in metadata
    assert f"\nVersion: {celadon.__version__}\n" in metadata


@needs_pip
def test_others_find_what_they_require(installed):
    code = """if True:
    import celadon, greenlet, greenlet._greenlet
    from importlib.metadata import version
    from pathlib import Path
    assert greenlet.getcurrent() is celadon.getcurrent()
    assert version("greenlet") == greenlet.__version__ + "+celadon"
    assert Path(greenlet.__file__).with_name("greenlet.h").exists()
    assert "_dropin" not in greenlet.__file__
    """
    for value in "", "1":
        ended = installed.run(code if not value else
                              "import greenlet; greenlet.CELADON",
                              CELADON_DROPIN=value)  # fmt: skip
        assert ended.code == 0, ended
    ended = installed.pip("check")
    if (SITE / f"celadon-{celadon.__version__}.dist-info").exists():
        assert ended.code == 0, ended
    assert "greenlet" not in ended.out


@needs_pip
def test_the_real_one_is_not_put_over_it(installed, tmp_path):
    wheel = tmp_path / "greenlet-99-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        info = "greenlet-99.dist-info"
        file.writestr("greenlet/__init__.py", "")
        file.writestr(f"{info}/METADATA",
                      "Metadata-Version: 2.1\nName: greenlet\nVersion: 99\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\n"
                      "Root-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    for command in [("install", str(wheel)), ("uninstall", "-y", "greenlet")]:
        ended = installed.pip(*command)
        assert ended.code != 0
        assert "celadon-dropin" in ended.err
    assert installed.run("import greenlet; greenlet.CELADON").code == 0


@needs_pip
def test_uninstalling_leaves_nothing(installed):
    ended = installed.pip("uninstall", "-y", "celadon-dropin")
    assert ended.code == 0, ended
    assert not list(installed.site.glob("*greenlet*"))


@needs_pip
def test_put_over_the_real_one_it_says_what_to_do(installed):
    left = installed.site / "greenlet" / "_greenlet.abi3.so"
    left.write_bytes(b"of another package, with greenlet._C_API in it")
    ended = installed.run("import greenlet")
    assert "uninstall greenlet and install celadon-dropin anew" in ended.err
    assert ended.code == 1
