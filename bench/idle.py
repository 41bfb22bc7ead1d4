"""Idle connections: what 10,000 of them cost those who are busy.

    python bench/idle.py [--idle N] [--busy N] [--rounds N] [--seconds S]

Echo of 64 bytes over kept connections, by examples/echo on epoll and on
io_uring and by the bare epoll loop: each server twice, alone and with N more
connections open that say nothing.  All run all the time; each round asks one
after the other, every second round in the other order, and what is compared is
the two figures of one round.  Below: requests a second, and the server's
processor time a request; ratios of with idle ones to without, medians over the
rounds, the middle half in brackets.

The samples go to build/bench-results/idle.csv.
"""

import argparse
import contextlib
import socket
import statistics
import subprocess
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.backends import Asking, column, ratio, start  # noqa: E402
from bench.lib import build, machine, report  # noqa: E402
from bench.lib.proc import ChildError, Children  # noqa: E402

OUT = machine.BUILD / 'bench-results'
NAMES = ['epoll', 'uring', 'floor']
HEAD = ['server', 'alone /s', 'with idle /s', 'rate', 'alone us', 'with idle',
        'time']


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--idle', type=int, default=10_000)
    parser.add_argument('--busy', type=int, default=100)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--seconds', type=float, default=0.4)
    return parser.parse_args()


def hold(port: int, count: int) -> None:
    """Open so many connections, each of which the server has answered once,
    say so, and keep them until stdin ends."""
    machine.raise_nofile()
    kept = []
    for _ in range(count):
        kept.append(socket.create_connection(('127.0.0.1', port), 10))
        kept[-1].sendall(b'?')
        kept[-1].recv(1)
    print('open', flush=True)
    sys.stdin.read()


def holder(port: int, count: int, stack: contextlib.ExitStack) -> None:
    """A process that holds them: each may have so many descriptors only."""
    process = stack.enter_context(subprocess.Popen(
        [sys.executable, __file__, 'hold', str(port), str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    if process.stdout.read(4) != b'open':
        raise ChildError(f'{count} connections could not be held')


def rows(samples: list[dict], busy: int) -> list[list[str]]:
    cell = 'echo', busy
    lines = []
    for name in NAMES:
        idle = f'{name}+idle'
        lines.append([
            name,
            *(report.count(statistics.median(column(samples, cell, n, 'rps')))
              for n in (name, idle)),
            ratio(samples, cell, (idle, name), 'rps'),
            *(f'{statistics.median(column(samples, cell, n, "server_us")):.2f}'
              for n in (name, idle)),
            ratio(samples, cell, (idle, name), 'server_us'),
        ])
    return lines


def main() -> int:
    options = parse()
    machine.raise_nofile()
    about = machine.describe()
    about['method'] = (f'{options.busy} busy, {options.idle} idle; '
                       f'{options.rounds} rounds of {options.seconds} s')
    with Children() as children, contextlib.ExitStack() as stack:
        try:
            asking = Asking(options, children)
            for name in NAMES:
                for suffix in ('', '+idle'):
                    server = start(children, 'echo', name, asking.server_core)
                    asking.servers['echo', name + suffix] = server
                    if suffix:
                        holder(server[1], options.idle, stack)
            every = [name for _, name in asking.servers]
            for number in range(options.rounds):
                for name in every if number % 2 == 0 else every[::-1]:
                    asking.ask('echo', options.busy, name, number)
        except (ChildError, build.BuildError, OSError) as error:
            print(f'failed: {error}')
            return 1
    return report.conclude(OUT / 'idle.csv', HEAD,
                           rows(asking.samples, options.busy), about,
                           asking.samples)


if __name__ == '__main__':
    try:
        if sys.argv[1:2] == ['hold']:
            sys.exit(hold(*map(int, sys.argv[2:])))
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
