"""Backends: one server in C over io_uring and over epoll, and a bare loop.

    python bench/backends.py [--rounds N] [--seconds S] [--same-core]

Kept connections (echo, 64 bytes) and a connection a request (http).  Every
server runs all the time; each round asks them one after the other, every
second round in the other order, and what is compared is the two figures of
one round.  The ratios are medians over the rounds, the middle half in
brackets.  With --same-core the load is on the server's core: what both cost
together, and no waking of another processor.

The samples go to build/bench-results/backends.csv.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.lib import build, machine, report  # noqa: E402
from bench.lib.proc import ChildError, Children, free_port  # noqa: E402

OUT = machine.BUILD / 'bench-results'
WARM_SECONDS = 0.1
CELLS = [('echo', 1), ('echo', 64), ('echo', 1000), ('http', 64)]
PROGRAMS = {'echo': 'examples/echo', 'http': 'bench/http'}
BACKENDS = ['uring', 'epoll']
NAMES = [*BACKENDS, 'floor']


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--seconds', type=float, default=0.4)
    parser.add_argument('--same-core', action='store_true')
    return parser.parse_args()


class Bench:
    """The servers, and the samples so far."""

    def __init__(self, options: argparse.Namespace, children: Children):
        self.options = options
        self.children = children
        self.load = str(build.program('bench/load'))
        self.server_core, self.load_core = machine.server_and_load_cores()
        if options.same_core:
            self.load_core = self.server_core
        self.servers = {(mode, name): self.start(mode, name)
                        for mode in PROGRAMS for name in NAMES}
        self.samples: list[dict] = []

    def start(self, mode: str, name: str):
        """A server, and its port."""
        port = free_port()
        if name == 'floor':
            command = [str(build.program('bench/floor')), mode]
        else:
            command = ['env', f'CELADON_BACKEND={name}',
                       str(build.program(PROGRAMS[mode]))]
        child = self.children.start([*command, str(port)], self.server_core)
        child.wait_listening(port)
        return child, port

    def ask(self, mode: str, clients: int, name: str, number: int) -> None:
        """One sample."""
        child, port = self.servers[mode, name]
        before = child.cpu_seconds()
        text = self.children.run(
            [self.load, '-c', str(clients), '-t', str(self.options.seconds),
             '-w', str(WARM_SECONDS), mode, str(port)],
            self.load_core, self.options.seconds + 20)
        sample = json.loads(text)
        if sample['errors'] > 0.01 * sample['total']:
            raise ChildError(f'{name}: {sample["errors"]} of '
                             f'{sample["total"]} requests failed')
        spent = child.cpu_seconds() - before
        sample.update(server=name, round=number,
                      server_us=1e6 * spent / max(sample['total'], 1))
        self.samples.append(sample)

    def run(self) -> None:
        for number in range(self.options.rounds):
            names = NAMES if number % 2 == 0 else NAMES[::-1]
            for mode, clients in CELLS:
                for name in names:
                    self.ask(mode, clients, name, number)

    def column(self, mode: str, clients: int, name: str,
               figure: str) -> list[float]:
        """A figure of one server in one cell, by round."""
        return [sample[figure] for sample in self.samples
                if (sample['mode'], sample['clients'], sample['server'])
                == (mode, clients, name)]

    def ratio(self, mode: str, clients: int, names: tuple[str, str]) -> str:
        """The paired ratio of two servers' rates."""
        ratios = sorted(a / b for a, b in zip(
            *(self.column(mode, clients, name, 'rps') for name in names),
            strict=True))
        quarter = len(ratios) // 4
        return (f'{statistics.median(ratios):.2f} [{ratios[quarter]:.2f} '
                f'{ratios[-1 - quarter]:.2f}]')

    def row(self, mode: str, clients: int) -> list[str]:
        rates = [report.count(statistics.median(
            self.column(mode, clients, name, 'rps'))) for name in NAMES]
        costs = [statistics.median(
            self.column(mode, clients, name, 'server_us')) for name in NAMES]
        return [f'{mode}, {clients}', *rates,
                self.ratio(mode, clients, ('uring', 'epoll')),
                self.ratio(mode, clients, ('epoll', 'floor')),
                *(f'{cost:.2f}' for cost in costs)]

    def table(self) -> str:
        head = ['clients', *(f'{name} /s' for name in NAMES), 'uring/epoll',
                'epoll/floor', *(f'{name} µs' for name in NAMES)]
        return report.table(head, [self.row(*cell) for cell in CELLS])


def main() -> int:
    options = parse()
    machine.raise_nofile()
    about = machine.describe()
    about['method'] = (f'{options.rounds} rounds of {options.seconds} s, '
                       f'paired; load on the '
                       + ('same core' if options.same_core else 'other core'))
    with Children() as children:
        try:
            bench = Bench(options, children)
            bench.run()
        except (ChildError, build.BuildError) as error:
            print(f'failed: {error}')
            return 1
    print(bench.table())
    print()
    print(report.facts(about))
    report.write_csv(OUT / 'backends.csv', about, bench.samples)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
