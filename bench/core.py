"""The engine in C: yielding, starting, a million parked coroutines.

    python bench/core.py [--rounds N] [--parked N]

Beside State Threads, where Debian's libst-dev is installed.  The samples go
to build/bench-results/core.csv.
"""

import argparse
import sys
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


def subject(name: str, path: str, parked: int, optional: bool) -> Subject:
    try:
        tool = str(build.program(path))
    except build.BuildError as error:
        return Subject(name, {}, str(error), optional)
    commands = {f'yield among {n}': [tool, 'yield', str(n)]
                for n in YIELDERS}
    commands['start and join'] = [tool, 'spawn']
    commands[f'{parked} parked'] = [tool, 'park', str(parked)]
    return Subject(name, commands, optional=optional)


def rows(figures: single.Figures, names: list[str]) -> list[list[str]]:
    def row(label: str, case: str, unit: str, digits: int) -> list[str]:
        found = [figures.median(name, case, unit) for name in names]
        return [label, *('-' if value is None else f'{value:,.{digits}f}'
                         for value in found)]

    return [
        *(row(f'yield among {n}, ns', f'yield {n}', 'ns', 1)
          for n in YIELDERS),
        row('start and join, ns', 'spawn', 'ns', 1),
        row('parked', 'park', 'n', 0),
        row('  bytes each', 'park', 'bytes', 0),
        row('  page table bytes each', 'park', 'table_bytes', 0),
        row('  mappings', 'park', 'mappings', 0),
        row('  ns to start each', 'park', 'ns', 0),
    ]


def main() -> int:
    options = parse()
    about = machine.describe()
    subjects = [
        subject('celadon', 'bench/core', affordable(options.parked), False),
        subject('state-threads', 'bench/core_st', FEW_PARKED, True),
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
