"""The C programs that are measured or measure, built on demand."""

import fcntl
import subprocess
from pathlib import Path

from bench.lib.machine import BUILD, ROOT

MAIN = BUILD / 'main'


class BuildError(Exception):
    """A program could not be built; says why."""


def quiet(command: list[str]) -> str:
    """Run a command; '' when it worked, else its first word of an error."""
    try:
        result = subprocess.run(command, cwd=ROOT, capture_output=True,
                                text=True)
    except OSError as error:
        return str(error)
    if result.returncode == 0:
        return ''
    lines = (result.stdout + result.stderr).strip().splitlines()
    errors = [line for line in lines if 'error' in line.lower()]
    return (errors or lines or ['no message'])[0]


def program(path: str) -> Path:
    """The up-to-date program build/main/`path`, such as 'bench/load'."""
    if not (MAIN / 'build.ninja').exists():
        # Its failure is judged below: it may be another program's.
        quiet(['scripts/build.sh', 'main'])
    # One build of a folder at a time: the lock of scripts/build.sh.
    with open(BUILD / 'main.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        problem = quiet(['ninja', '-C', str(MAIN), path])
    if problem:
        raise BuildError(f'{path}: {problem}')
    return MAIN / path


def peer(command: list[str]) -> Path:
    """What `command` compiles from its one source in bench/peers/."""
    folder = ROOT / 'bench' / 'peers'
    source = next(word for word in command if (folder / word).is_file())
    out = BUILD / 'bench-peers' / source.replace('.', '_')
    path = folder / source
    if out.exists() and out.stat().st_mtime > path.stat().st_mtime:
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    words = [str(path) if word == source else word for word in command]
    # The output's name goes before the source: Go asks for that.
    at = words.index(str(path))
    problem = quiet([*words[:at], '-o', str(out), *words[at:]])
    if problem:
        raise BuildError(f'{source}: {problem}')
    return out
