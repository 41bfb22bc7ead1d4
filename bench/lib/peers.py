"""A virtual environment with the others' newest releases.

It lies in .venv-peers/, one for each interpreter, and is made when it is first
asked for.  Delete the folder to have newer ones.  Celadon is not in it, and
they are not in Celadon's: neither can be imported where the other is meant.
"""

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

from bench.lib.machine import ROOT

PEERS = ROOT / '.venv-peers'


class PeerError(Exception):
    """A peer cannot be had; says why."""


def folder() -> Path:
    version = '.'.join(map(str, sys.version_info[:3]))
    return PEERS / f'{sys.implementation.name}-{version}'


def run(command: list[str]) -> None:
    """Run a quiet command; what it last said becomes the error."""
    try:
        result = subprocess.run(command, capture_output=True, text=True,
                                timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(str(error)) from None
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise PeerError(lines[-1] if lines else 'pip failed')


def python() -> Path:
    """The environment's interpreter, the same as ours; made if missing."""
    home = folder()
    interpreter = home / 'bin' / 'python'
    if not interpreter.exists():
        # An environment needs no pip of its own if we have one that can
        # install into it; Debian's interpreter often lacks the means for one.
        with_pip = importlib.util.find_spec('pip') is None
        try:
            venv.create(home, with_pip=with_pip, symlinks=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PeerError(f'no virtual environment: {error}') from None
    return interpreter


def install(package: str) -> Path:
    """The interpreter of the environment, with `package` in it."""
    interpreter = python()
    if not version(interpreter, package):
        if importlib.util.find_spec('pip') is None:
            pip = [str(interpreter), '-m', 'pip']
        else:
            pip = [sys.executable, '-m', 'pip', '--python', str(interpreter)]
        run([*pip, 'install', '--quiet', '--disable-pip-version-check',
             package])
        if not version(interpreter, package):
            raise PeerError(f'{package} is installed but does not import')
    return interpreter


def version(interpreter: Path | str, package: str) -> str:
    """The version of `package` there; '' if it cannot be imported."""
    found, _ = probe(interpreter, package)
    return found


def probe(interpreter: Path | str, package: str) -> tuple[str, str]:
    """The version of `package` there and '', or '' and why it fails."""
    script = (f'import {package} as p; '
              'print(getattr(p, "__version__", "") or "unknown")')
    try:
        # -P: not the module that may lie beside us, the installed one.
        result = subprocess.run([str(interpreter), '-P', '-c', script],
                                capture_output=True, text=True, timeout=60,
                                cwd='/')
    except (OSError, subprocess.TimeoutExpired) as error:
        return '', str(error)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        return '', lines[-1] if lines else f'status {result.returncode}'
    return result.stdout.strip(), ''
