"""The engine in C: yielding, starting, meeting, a million parked coroutines.

    python bench/core.py [--rounds N] [--parked N]

Beside Go, State Threads and boost.fiber, where Debian's golang-go, libst-dev
and libboost-fiber-dev are installed.  The samples go to
build/bench-results/core.csv.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

# The repository's root instead of this folder: whence `bench` is imported.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.lib import build, machine, report, single  # noqa: E402
from bench.lib.proc import Children  # noqa: E402
from bench.lib.single import Subject  # noqa: E402

OUT = machine.BUILD / 'bench-results'
YIELDERS = (2, 1000, 10000)
# State Threads is asked for fewer: its stacks have no guards and are never
# given back, so a thousand tell as much as a million.
FEW_PARKED = 10000
BYTES_EACH = 6000


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--parked', type=int, default=1_000_000)
    return parser.parse_args()


def affordable(wanted: int) -> int:
    """As many parked coroutines as half of the free memory holds."""
    for line in Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable:'):
            return min(wanted, int(line.split()[1]) * 1024 // 2 // BYTES_EACH)
    return min(wanted, FEW_PARKED)


MEETINGS = ('chan', 'select', 'timeout', 'ring')


def core(path: str, parked: int) -> dict[str, list[str]]:
    """The commands of bench/core.c."""
    tool = str(build.program(path))
    commands = {f'yield among {n}': [tool, 'yield', str(n)]
                for n in YIELDERS}
    commands['start and join'] = [tool, 'spawn']
    commands['mutex'] = [tool, 'mutex']
    commands[f'{parked} parked'] = [tool, 'park', str(parked)]
    return commands


def meet(tool: str, cases: tuple[str, ...], n: int) -> dict[str, list[str]]:
    """The commands of bench/meet.c or of one of bench/peers/."""
    numbered = {'timeout': [str(n)], 'ring': [str(n)]}
    return {case: [tool, *case.split(), *numbered.get(case, [])]
            for case in cases}


def ours(parked: int) -> dict[str, list[str]]:
    commands = core('bench/core', parked)
    tool = str(build.program('bench/meet'))
    return {**commands, **meet(tool, (*MEETINGS, 'wake', 'eventfd'), parked)}


def peer(command: list[str], cases: tuple[str, ...],
         parked: int) -> dict[str, list[str]]:
    """One of bench/peers/, which `command` and its own path compile."""
    tool = str(build.peer(command))
    every = (*(f'yield {n}' for n in YIELDERS), 'spawn', 'mutex', *cases)
    return meet(tool, every, parked)


def subject(name: str, commands: Callable[[], dict[str, list[str]]],
            optional: bool = True) -> Subject:
    try:
        return Subject(name, commands(), optional=optional)
    except build.BuildError as error:
        return Subject(name, {}, str(error), optional)


def rows(figures: single.Figures, names: list[str]) -> list[list[str]]:
    def row(label: str, case: str, unit: str, digits: int) -> list[str]:
        found = [figures.median(name, case, unit) for name in names]
        return [label, *('-' if value is None else f'{value:,.{digits}f}'
                         for value in found)]

    return [
        *(row(f'yield among {n}, ns', f'yield {n}', 'ns', 1)
          for n in YIELDERS),
        row('start and join, ns', 'spawn', 'ns', 1),
        row('channel, there and back, ns', 'chan', 'ns', 1),
        row('select over two channels, ns', 'select', 'ns', 1),
        row('contended mutex handed over, ns', 'mutex', 'ns', 1),
        row('timeout set and cancelled, ns', 'timeout', 'ns', 1),
        row('ring of channels, ns each', 'ring', 'ns', 1),
        row('  coroutines in it', 'ring', 'n', 0),
        row('another thread, there and back, ns', 'wake', 'ns', 0),
        row('  by two eventfds alone, ns', 'eventfd', 'ns', 0),
        row('parked', 'park', 'n', 0),
        row('  bytes each', 'park', 'bytes', 0),
        row('  page table bytes each', 'park', 'table_bytes', 0),
        row('  mappings', 'park', 'mappings', 0),
        row('  ns to start each', 'park', 'ns', 0),
    ]


def main() -> int:
    options = parse()
    about = machine.describe()
    parked = affordable(options.parked)
    subjects = [
        subject('celadon', lambda: ours(parked), optional=False),
        subject('go', lambda: peer(['go', 'build', 'meet.go'], MEETINGS,
                                   parked)),
        subject('state-threads', lambda: core('bench/core_st', FEW_PARKED)),
        subject('boost.fiber', lambda: peer(
            ['g++', '-O2', '-std=c++17', 'meet.cc', '-lboost_fiber',
             '-lboost_context', '-lpthread'], ('chan', 'ring'), FEW_PARKED)),
    ]
    with Children() as children:
        figures = single.run(subjects, options.rounds, children)
    names = [one.name for one in subjects
             if one.name not in figures.failed | figures.skipped]
    if names:
        print(report.table(['', *names], rows(figures, names)))
        print()
    print(report.facts(about))
    report.write_csv(OUT / 'core.csv', about, figures.samples)
    return report.verdict(figures)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
