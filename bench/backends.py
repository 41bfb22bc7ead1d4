"""Backends: one server in C over io_uring and over epoll, and a bare loop.

    python bench/backends.py [--rounds N] [--seconds S] [--same-core]

Kept connections (echo, 64 bytes) and a connection a request (http).  Every
server runs all the time; each round asks them one after the other, every
second round in the other order, and what is compared is the two figures of
one round: requests a second, and what a request costs the server's processor
("us": the microseconds themselves).
The ratios are to epoll, above 1 is better; medians over the rounds, the middle
half in brackets.  With --same-core the load is on the server's core: what both
cost together, and no waking of another processor.

The samples go to build/bench-results/backends.csv.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.lib import build, machine, report  # noqa: E402
from bench.lib.proc import (  # noqa: E402
    Child,
    ChildError,
    Children,
    free_port,
)

OUT = machine.BUILD / 'bench-results'
WARM_SECONDS = 0.1
CELLS = [('echo', 1), ('echo', 4), ('echo', 64), ('echo', 1000),
         ('http', 64)]
PROGRAMS = {'echo': 'examples/echo', 'http': 'bench/http'}
# What each server has in its environment: io_uring as it decides, and where
# each call is a request from the first on.
SERVERS = {
    'uring': ['CELADON_BACKEND=uring'],
    'requests': ['CELADON_BACKEND=uring', 'CELADON_URING_EVENTS=0'],
    'epoll': ['CELADON_BACKEND=epoll'],
    'floor': [],
}
NAMES = list(SERVERS)
HEAD = ['clients', 'epoll /s', 'floor /s', 'uring /s', 'requests /s',
        'epoll us', 'floor us', 'uring CPU', 'requests CPU']


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--seconds', type=float, default=0.4)
    parser.add_argument('--same-core', action='store_true')
    return parser.parse_args()


def cpu_ns(pid: int) -> int:
    """What a process of one thread has had of the processor."""
    return int(Path(f'/proc/{pid}/schedstat').read_text().split()[0])


def start(children: Children, mode: str, name: str,
          core: int) -> tuple[Child, int]:
    """A server, and its port."""
    port = free_port()
    if name == 'floor':
        command = [str(build.program('bench/floor')), mode]
    else:
        command = ['env', *SERVERS[name], str(build.program(PROGRAMS[mode]))]
    child = children.start([*command, str(port)], core)
    child.wait_listening(port)
    return child, port


class Asking:
    """Servers, and the samples so far."""

    def __init__(self, options: argparse.Namespace, children: Children):
        self.options = options
        self.children = children
        self.load = str(build.program('bench/load'))
        self.server_core, self.load_core = machine.server_and_load_cores()
        if getattr(options, 'same_core', False):
            self.load_core = self.server_core
        self.servers: dict[tuple[str, str], tuple[Child, int]] = {}
        self.samples: list[dict] = []

    def ask(self, mode: str, clients: int, name: str, number: int) -> None:
        """One sample."""
        child, port = self.servers[mode, name]
        before = cpu_ns(child.pid)
        text = self.children.run(
            [self.load, '-c', str(clients), '-t', str(self.options.seconds),
             '-w', str(WARM_SECONDS), mode, str(port)],
            self.load_core, self.options.seconds + 20)
        sample = json.loads(text)
        if sample['errors'] > 0.01 * sample['total']:
            raise ChildError(f'{name}: {sample["errors"]} of '
                             f'{sample["total"]} requests failed')
        spent = cpu_ns(child.pid) - before
        sample.update(server=name, round=number,
                      server_us=spent / 1000 / max(sample['total'], 1))
        self.samples.append(sample)


def column(samples: list[dict], cell: tuple[str, int], name: str,
           figure: str) -> list[float]:
    """A figure of one server in one cell, by round."""
    return [sample[figure] for sample in samples
            if (sample['mode'], sample['clients']) == cell
            and sample['server'] == name]


def ratio(samples: list[dict], cell: tuple[str, int], names: tuple[str, str],
          figure: str) -> str:
    """The paired ratio of two servers' figures."""
    ratios = sorted(a / b for a, b in zip(
        *(column(samples, cell, name, figure) for name in names),
        strict=True))
    quarter = len(ratios) // 4
    return (f'{statistics.median(ratios):.2f} [{ratios[quarter]:.2f} '
            f'{ratios[-1 - quarter]:.2f}]')


def rows(samples: list[dict]) -> list[list[str]]:
    """The table under HEAD.  Of processor time less is more, so there the
    ratio is epoll's by the other's."""
    return [
        [f'{cell[0]}, {cell[1]:,}',
         *(report.count(statistics.median(column(samples, cell, name, 'rps')))
           for name in ('epoll', 'floor')),
         *(ratio(samples, cell, (name, 'epoll'), 'rps')
           for name in ('uring', 'requests')),
         *(f'{statistics.median(column(samples, cell, name, "server_us")):.2f}'
           for name in ('epoll', 'floor')),
         *(ratio(samples, cell, ('epoll', name), 'server_us')
           for name in ('uring', 'requests'))]
        for cell in CELLS
    ]


def main() -> int:
    options = parse()
    machine.raise_nofile()
    about = machine.describe()
    about['method'] = (f'{options.rounds} rounds of {options.seconds} s, '
                       f'paired; load on the '
                       + ('same core' if options.same_core else 'other core'))
    with Children() as children:
        try:
            asking = Asking(options, children)
            for mode in PROGRAMS:
                for name in NAMES:
                    asking.servers[mode, name] = start(
                        children, mode, name, asking.server_core)
            for number in range(options.rounds):
                names = NAMES if number % 2 == 0 else NAMES[::-1]
                for mode, clients in CELLS:
                    for name in names:
                        asking.ask(mode, clients, name, number)
        except (ChildError, build.BuildError) as error:
            print(f'failed: {error}')
            return 1
    return report.conclude(OUT / 'backends.csv', HEAD, rows(asking.samples),
                           about, asking.samples)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
