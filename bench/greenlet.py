"""Celadon's raw greenlets beside the package greenlet, on one interpreter.

    python bench/greenlet.py [--rounds N]

Each implementation is timed in a process of its own (micro/raw.py), in turn,
and the medians are shown.  The samples go to
build/bench-results/greenlet-VERSION.csv, VERSION being the interpreter's.
"""

import argparse
import sys
from pathlib import Path

# The repository's root instead of this folder: whence `bench` is imported,
# and this very file is not found where greenlet is meant.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.lib import machine, report, servers, single  # noqa: E402
from bench.lib.proc import Children  # noqa: E402
from bench.lib.single import Subject  # noqa: E402

WORKER = Path(__file__).resolve().parent / 'micro' / 'raw.py'
OUT = machine.BUILD / 'bench-results'
RINGS = (10, 100, 1000, 10_000, 50_000)
DEPTHS = (1, 10)

LABELS = {
    'switch_1': 'switch, 1 frame deep',
    'switch_50': 'switch, 50 frames deep',
    'create': 'create, run, finish',
    'throw': 'throw, catch, switch back',
    'generator': 'an item of a greenlet used as a generator',
    **{f'ring_{n}': f'switch in a ring of {n:,}' for n in RINGS},
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


def subject(name: str, find) -> Subject:
    try:
        command = [str(find()), str(WORKER), name]
    except servers.Unavailable as reason:
        return Subject(name, {}, str(reason))
    return Subject(name, {
        'times': [*command, 'time'],
        **{f'a ring of {n}': [*command, 'ring', str(n)] for n in RINGS},
        **{f'parked {n} deep': [*command, 'park', str(n)] for n in DEPTHS},
    })


def row(figures: single.Figures, label: str, case: str, units: list[str],
        digits: int) -> list[str]:
    """Both figures, each the sum of `units`, and how many times ours."""

    def total(name: str) -> float | None:
        found = [figures.median(name, case, unit) for unit in units]
        return None if None in found else sum(found)

    theirs, ours = total('greenlet'), total('celadon')
    return [label,
            *('-' if value is None else f'{value:,.{digits}f}'
              for value in (theirs, ours)),
            f'{theirs / ours:.1f}' if ours and theirs else '-']


def rows(figures: single.Figures) -> list[list[str]]:
    return [
        *(row(figures, label, case, ['ns'], 1)
          for case, label in LABELS.items()),
        *(row(figures, label, f'park_{depth}', units, 0)
          for depth in DEPTHS for label, units in (
              (f'bytes parked, {depth} deep', ['bytes']),
              ('  with page tables', ['bytes', 'table_bytes']))),
    ]


def main() -> int:
    options = parse()
    about = machine.describe()
    subjects = [
        subject('greenlet', lambda: servers.with_peer('greenlet')),
        subject('celadon', servers.with_celadon),
    ]
    with Children() as children:
        figures = single.run(subjects, options.rounds, children)
    about.update(servers.versions('greenlet'))
    about['method'] = f'medians of {options.rounds} rounds in turn'
    print(report.table(['ns an operation', 'greenlet', 'celadon', 'times'],
                       rows(figures)))
    print()
    print(report.facts(about))
    version = '.'.join(map(str, sys.version_info[:2]))
    report.write_csv(OUT / f'greenlet-{version}.csv', about, figures.samples)
    return report.verdict(figures)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
