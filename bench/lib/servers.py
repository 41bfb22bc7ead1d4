"""The servers to compare, and the two lines on top."""

import difflib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.lib import build, peers

TWO_LINES = 'from {module}.monkey import patch_all\npatch_all()\n'


class Unavailable(Exception):
    """A server cannot be run here; says why."""


@dataclass
class Server:
    """One server: what it is called and how it is started.

    `command` is made when it is first needed, from the run's own folder; it
    lacks the port, which is its last argument.
    """

    name: str
    label: str
    command: Callable[[Path], list[str]]
    optional: bool = False


def two_lines(script: Path, module: str, folder: Path) -> Path:
    """A copy of `script` with the two lines of `module` on top.

    That no other byte differs is checked, not believed.
    """
    original = script.read_bytes()
    copy = folder / module / script.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(TWO_LINES.format(module=module).encode() + original)
    added = [line for line in diff(script, copy) if line[0] in '+-']
    wanted = [f'+from {module}.monkey import patch_all', '+patch_all()']
    if added != wanted or copy.read_bytes()[-len(original):] != original:
        raise AssertionError(f'more than two lines differ: {added}')
    return copy


def diff(old: Path, new: Path) -> list[str]:
    """The lines of `diff -U0`, without its headers."""
    lines = difflib.unified_diff(old.read_text().splitlines(),
                                 new.read_text().splitlines(), n=0,
                                 lineterm='')
    return [line for line in lines
            if not line.startswith(('---', '+++', '@@'))]


def plain(script: Path) -> Callable[[Path], list[str]]:
    """`script` as it is, on our own interpreter."""
    return lambda folder: [sys.executable, str(script)]


def peer(package: str, script: Path) -> Callable[[Path], list[str]]:
    """`script` as it is, where `package` is installed."""

    def command(folder: Path) -> list[str]:
        return [str(with_peer(package)), str(script)]

    return command


def under_gevent(script: Path) -> Callable[[Path], list[str]]:
    """`script` with the two lines, on stock gevent."""

    def command(folder: Path) -> list[str]:
        python = with_peer('gevent')
        return [str(python), str(two_lines(script, 'gevent', folder))]

    return command


def under_celadon(script: Path) -> Callable[[Path], list[str]]:
    """`script` with the two lines, on the celadon beside our interpreter."""

    def command(folder: Path) -> list[str]:
        return [str(with_celadon()), str(two_lines(script, 'celadon', folder))]

    return command


def native(path: str, *arguments: str) -> Callable[[Path], list[str]]:
    """A C program out of build/main, such as 'bench/floor'."""

    def command(folder: Path) -> list[str]:
        try:
            return [str(build.program(path)), *arguments]
        except build.BuildError as error:
            raise Unavailable(str(error)) from None

    return command


def with_peer(package: str) -> Path:
    try:
        return peers.install(package)
    except peers.PeerError as error:
        raise Unavailable(f'no {package}: {error}') from None


def with_celadon() -> str:
    found, why = peers.probe(sys.executable, 'celadon.monkey')
    if not found:
        raise Unavailable(f'celadon cannot be imported: {why}')
    return sys.executable


def versions(*packages: str) -> dict[str, str]:
    """Python, these peers and Celadon, as far as they are installed."""
    found = {'python': sys.version.split()[0]}
    python = peers.folder() / 'bin' / 'python'
    for package in packages:
        if python.exists():
            found[package] = peers.version(python, package)
    found['celadon'] = peers.version(sys.executable, 'celadon')
    return {name: text for name, text in found.items() if text}
