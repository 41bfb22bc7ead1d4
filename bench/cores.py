"""Many cores: the same work on one worker and on several.

    python bench/cores.py [--rounds N] [--workers N ...]

Channels within each worker, a tree of coroutines whose branches are dealt to
the workers, and one all of whose coroutines are.  "ns" is real time an
exchange or a coroutine; "busy" the processor time of the busiest worker, what
the real time would be if nobody else used the machine.  Both are compared with
one worker in the same round; medians over the rounds.

The samples go to build/bench-results/cores.csv.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

# The repository's root instead of this folder: whence `bench` is imported.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.lib import build, machine, report  # noqa: E402
from bench.lib.proc import ChildError, Children  # noqa: E402

OUT = machine.BUILD / 'bench-results'
CASES = {
    'chan': 'channels within each worker, there and back',
    'tree': 'a tree, its branches spread',
    'spread': 'a tree, all of it spread',
}
HEAD = ['', 'workers', 'ns', 'times', 'busy ns', 'times']
TIMEOUT = 120


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--workers', type=int, nargs='+',
                        default=[len(machine.cores())])
    return parser.parse_args()


def measure(options: argparse.Namespace, children: Children) -> list[dict]:
    tool = str(build.program('bench/cores'))
    samples = []
    for number in range(options.rounds):
        for case in CASES:
            for workers in (1, *options.workers):
                text = children.run([tool, case, str(workers)], None, TIMEOUT)
                sample = json.loads(text.splitlines()[-1])
                samples.append({**sample, 'case': case, 'workers': workers,
                                'round': number + 1})
    return samples


def gain(samples: list[dict], case: str, workers: int, unit: str) -> float:
    """How much less time it takes than one worker does, round by round."""
    times = {(one['round'], one['workers']): one[unit] for one in samples
             if one['case'] == case}
    return statistics.median(times[number, 1] / value for (number, n), value
                             in times.items() if n == workers)


def rows(samples: list[dict], counts: list[int]) -> list[list[str]]:
    table = []
    for case, title in CASES.items():
        for workers in (1, *counts):
            row = [title if workers == 1 else '', str(workers)]
            for unit in ('ns', 'busy'):
                value = statistics.median(
                    one[unit] for one in samples
                    if one['case'] == case and one['workers'] == workers)
                row += [f'{value:,.1f}',
                        f'{gain(samples, case, workers, unit):.2f}']
            table.append(row)
    return table


def main() -> int:
    options = parse()
    about = machine.describe()
    with Children() as children:
        try:
            samples = measure(options, children)
        except ChildError as error:
            print(error, file=sys.stderr)
            return 1
    return report.conclude(OUT / 'cores.csv', HEAD,
                           rows(samples, options.workers), about, samples)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
