"""Builds the distribution celadon-dropin, with nothing but Python.

Why a builder of our own: the wheel brings, beside the package greenlet, a
metadata folder in greenlet's name, so that `pip check`, a requirement
`greenlet` of others and importlib.metadata find what they look for.  A wheel
may have one such folder, its own; another one gets in by the folder of files
for site-packages.  That one has no RECORD: pip then refuses to put the real
greenlet over ours, and names celadon-dropin as who installed it.

Hooks of PEP 517; each is called with this folder as the working directory.
"""

import base64
import hashlib
import io
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = ("greenlet",)
# In an sdist these two lie here.
HEADER = Path("greenlet/greenlet.h")
LICENSE = Path("LICENSE")
# Zip files know no earlier time; the same input gives the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def _project():
    return tomllib.loads((HERE / "pyproject.toml").read_text())["project"]


def _stem(project):
    name = project["name"].replace("-", "_")
    return f"{name}-{project['version']}"


def _header():
    path = HERE / HEADER
    if not path.exists():
        path = HERE.parent / "celadon" / "include" / HEADER
    return path.read_bytes()


def _license():
    path = HERE / LICENSE
    if not path.exists():
        path = HERE.parent.parent / LICENSE
    return path.read_bytes()


def _metadata(project):
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        "License: MIT",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {name}" for name in project["dependencies"]),
        "Description-Content-Type: text/markdown",
    ]
    text = (HERE / project["readme"]).read_text()
    return ("\n".join(lines) + "\n\n" + text).encode()


def _modules():
    """Yield (name, content) of the packages' files, header and all."""
    for package in PACKAGES:
        for path in sorted((HERE / package).glob("**/*.py")):
            yield path.relative_to(HERE).as_posix(), path.read_bytes()
    yield HEADER.as_posix(), _header()


def _stand_ins(data):
    """Yield (name, content) of the metadata in the packages' own names."""
    for package in PACKAGES:
        content = (HERE / f"{package}.dist-info" / "METADATA").read_bytes()
        version = HeaderParser().parsestr(content.decode())["Version"]
        folder = f"{data}/purelib/{package}-{version}.dist-info"
        yield f"{folder}/METADATA", content
        yield f"{folder}/INSTALLER", b"celadon-dropin\n"


def _record(files, name):
    """The list of a wheel's files; its own name is `name`."""
    lines = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
        digest = digest.rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}\n")
    return ("".join(lines) + f"{name},,\n").encode()


def build_wheel(wheel_directory, config_settings=None, metadata=None):
    """Write the wheel; return its name."""
    project = _project()
    stem = _stem(project)
    info = f"{stem}.dist-info"
    files = dict(_modules())
    files.update(_stand_ins(f"{stem}.data"))
    files[f"{info}/METADATA"] = _metadata(project)
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: celadon-dropin\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{info}/LICENSE"] = _license()
    record = f"{info}/RECORD"
    files[record] = _record(files, record)
    name = f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory, name), "w") as wheel:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)
    return name


def build_sdist(sdist_directory, config_settings=None):
    """Write the source distribution; return its name."""
    project = _project()
    stem = _stem(project)
    files = dict(_modules())
    names = ["backend.py", "pyproject.toml", project["readme"]]
    names += [f"{package}.dist-info/METADATA" for package in PACKAGES]
    files.update((name, (HERE / name).read_bytes()) for name in names)
    files[LICENSE.as_posix()] = _license()
    files["PKG-INFO"] = _metadata(project)
    name = f"{stem}.tar.gz"
    with tarfile.open(Path(sdist_directory, name), "w:gz") as sdist:
        for path, content in files.items():
            entry = tarfile.TarInfo(f"{stem}/{path}")
            entry.size = len(content)
            entry.mode = 0o644
            sdist.addfile(entry, io.BytesIO(content))
    return name
