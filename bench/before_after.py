"""Two states of Celadon beside each other: what a change lost or gained.

    python bench/before_after.py BEFORE [AFTER] [--rounds N] [--seconds S]

Both are commits, unpacked and installed under build/before_after/; without
AFTER it is what is installed beside the interpreter.  What times them is the
same for both, this tree's: the operations of gevent.py and the talk's server,
in turn, over epoll and, where they have it, io_uring.  The samples go to
build/bench-results/before_after.csv.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

# The repository's root instead of this folder: whence `bench` is imported.
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from bench.gevent import LABELS, WORKER  # noqa: E402
from bench.lib import build, machine, report, rounds, servers  # noqa: E402
from bench.lib import single  # noqa: E402
from bench.lib.proc import Children  # noqa: E402

TALK = ROOT / 'examples' / 'showtime' / 'server.py'
CLIENTS = [64, 1000]
OUT = machine.BUILD / 'bench-results' / 'before_after.csv'

# Label, case, column of the samples, by how much it is divided, digits.
ROWS = [
    *((label, case, 'ns', 1000, 3) for case, label in LABELS.items()),
    *((f"the talk's server, {clients} clients, {what}", f'talk_{clients}',
       column, 1, 1)
      for clients in CLIENTS
      for what, column in (('a request', 'us'), ('its CPU', 'server_us'))),
    ('bytes a greenlet parked in sleep', 'park', 'bytes', 1, 0),
]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('before')
    parser.add_argument('after', nargs='?')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=0.5,
                        help='of each load (default %(default)s)')
    return parser.parse_args()


def git(*words: str) -> bytes:
    return subprocess.check_output(['git', *words], cwd=ROOT)


def install(revision: str) -> tuple[str, str]:
    """(the commit, an interpreter that has its celadon)"""
    commit = git('rev-parse', '--short=10', revision).decode().strip()
    home = machine.BUILD / 'before_after' / commit
    home.mkdir(parents=True, exist_ok=True)
    # The files' times are the commit's: what is built of them stays.
    subprocess.run(['tar', '-x', '-C', str(home)], check=True,
                   input=git('archive', commit))
    subprocess.run(['scripts/venv.sh'], cwd=home, check=True, env={
        **os.environ, 'PYTHON': os.path.realpath(sys.executable),
        'VENV': '.venv'})
    return commit, str(home / '.venv' / 'bin' / 'python')


def contenders(before: str, after: str) -> dict[str, list[str]]:
    """How Python is started, by the name in the table."""
    found = {}
    for backend in ('epoll', 'uring'):
        for name, python in (('before', before), ('after', after)):
            command = ['env', f'CELADON_BACKEND={backend}', python]
            trial = subprocess.run(
                [*command, '-c', 'import celadon; celadon.sleep(0)'],
                stderr=subprocess.DEVNULL)
            if trial.returncode == 0:
                found[f'{name}, {backend}'] = command
    return found


def talk(commands: dict, options: argparse.Namespace,
         children: Children) -> rounds.Outcome:
    copy = str(servers.two_lines(TALK, 'celadon', children.folder))
    runner = rounds.Runner(rounds.Plan('http', [
        servers.Server(name, name, lambda _, command=command: [*command, copy])
        for name, command in commands.items()
    ], CLIENTS, options.rounds, options.seconds), children)
    runner.prepare()
    return runner.run()


def rows(samples: list[dict]) -> tuple[list[str], list[list[str]]]:
    """The head of the table and its rows; ratios to the first column."""
    names = list(dict.fromkeys(one['subject'] for one in samples))
    figures = single.Figures(samples)
    lines = []
    for label, case, column, scale, digits in ROWS:
        base = figures.median(names[0], case, column)
        line = [label]
        for name in names:
            value = figures.median(name, case, column)
            line.append('-' if value is None
                        else f'{value / scale:,.{digits}f}')
            if name != names[0]:
                line.append(report.ratio(value, base) if value else '-')
        lines.append(line)
    return ['µs an operation', names[0],
            *(cell for name in names[1:] for cell in (name, 'times'))], lines


def main() -> int:
    options = parse()
    machine.raise_nofile()
    first, before = install(options.before)
    second, after = install(options.after) if options.after else (
        git('describe', '--always', '--dirty', '--abbrev=10').decode().strip(),
        servers.with_celadon())
    about = machine.describe()
    commands = contenders(before, after)
    with Children() as children:
        try:
            outcome = talk(commands, options, children)
        except build.BuildError as error:
            print(f'no load generator: {error}')
            return 1
        figures = single.run([
            single.Subject(name, {
                what: [*command, str(WORKER), 'celadon', what]
                for what in ('time', 'park')})
            for name, command in commands.items()], options.rounds, children)
    figures.failed.update(outcome.failed)
    figures.samples += [
        {'subject': one['server'], 'round': one['round'],
         'case': f'talk_{one["clients"]}', 'us': 1e6 / one['rps'],
         'server_us': one['server_us']} for one in outcome.samples]
    about['python'] = servers.versions()['python']
    about['method'] = (f'before {first}, after {second}; medians of '
                       f'{options.rounds} rounds in turn')
    report.conclude(OUT, *rows(figures.samples), about, figures.samples)
    return report.verdict(figures)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
