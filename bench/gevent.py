"""Celadon beside gevent: what each operation costs, on one interpreter.

    python bench/gevent.py [--rounds N]

Each implementation is timed in a process of its own (micro/worker.py), in
turn, and the medians are shown.  The samples go to
build/bench-results/gevent.csv.
"""

import argparse
import sys
from pathlib import Path

# The repository's root instead of this folder: whence `bench` is imported,
# and this very file is not found where gevent is meant.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.lib import machine, report, servers, single  # noqa: E402
from bench.lib.proc import Children  # noqa: E402
from bench.lib.single import Subject  # noqa: E402

WORKER = Path(__file__).resolve().parent / 'micro' / 'worker.py'
OUT = machine.BUILD / 'bench-results'

LABELS = {
    'switch_1': 'greenlet switch, 1 frame deep',
    'switch_50': 'greenlet switch, 50 frames deep',
    'create': 'raw greenlet: create, run, finish',
    'spawn_join': 'spawn(f).join()',
    'sleep_0': 'sleep(0) between two greenlets',
    'ping_pong': 'socketpair round trip, each side waits',
    'ping_pong_timeout': '  with settimeout(5)',
    'event': 'Event round trip, each side waits',
    'queue': 'Queue put and get, nobody waits',
    'queue_wait': 'Queue round trip, each side waits',
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


def subject(name: str, find) -> Subject:
    try:
        python = str(find())
    except servers.Unavailable as reason:
        return Subject(name, {}, str(reason))
    return Subject(name, {
        'times': [python, str(WORKER), name, 'time'],
        'memory': [python, str(WORKER), name, 'park'],
    })


def row(figures: single.Figures, label: str, case: str,
        unit: str) -> list[str]:
    ours = figures.median('celadon', case, unit)
    theirs = figures.median('gevent', case, unit)
    scale, digits = (1000, 3) if unit == 'ns' else (1, 0)
    return [label,
            *('-' if value is None else f'{value / scale:,.{digits}f}'
              for value in (theirs, ours)),
            f'{theirs / ours:.1f}' if ours and theirs else '-']


def main() -> int:
    options = parse()
    about = machine.describe()
    subjects = [
        subject('gevent', lambda: servers.with_peer('gevent')),
        subject('celadon', servers.with_celadon),
    ]
    with Children() as children:
        figures = single.run(subjects, options.rounds, children)
    about.update(servers.versions('gevent', 'greenlet'))
    about['method'] = f'medians of {options.rounds} rounds in turn'
    rows = [row(figures, label, case, 'ns')
            for case, label in LABELS.items()]
    print(report.table(['µs an operation', 'gevent', 'celadon', 'times'],
                       rows))
    print()
    print(report.table(['', 'gevent', 'celadon', 'times'], [
        row(figures, 'bytes a greenlet parked in sleep', 'park', 'bytes')]))
    print()
    print(report.facts(about))
    report.write_csv(OUT / 'gevent.csv', about, figures.samples)
    return report.verdict(figures)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
