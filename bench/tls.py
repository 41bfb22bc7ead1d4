"""TLS: an echo server in C over libceladon-tls, and bare OpenSSL and epoll.

    python bench/tls.py [--rounds N] [--seconds S] [--clients N]

Kept connections of TLS 1.3 with an ECDSA certificate, 64 bytes and 4000 back
and forth.  Both servers run all the time on one core; each round asks them one
after the other from another core, every second round in the other order, and
what is compared is the two figures of one round: requests a second, and what a
request costs the server's processor, without the handshakes.  Above 1 is
better; medians over the rounds, the middle half in brackets.

The samples go to build/bench-results/tls.csv.
"""

import argparse
import json
import statistics
import subprocess
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
SIZES = (64, 4000)  # bytes of a message
NAMES = ('bare', 'celadon')
HEAD = ['bytes', 'bare /s', 'celadon /s', 'bare us', 'celadon us',
        'celadon', 'celadon CPU']


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--seconds', type=float, default=0.4)
    parser.add_argument('--clients', type=int, default=64)
    return parser.parse_args()


def certificate(folder: Path) -> list[str]:
    """A certificate and its key, for this run."""
    chain, key = folder / 'chain.pem', folder / 'key.pem'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         '/CN=localhost', '-keyout', str(key), '-out', str(chain)],
        check=True, capture_output=True)
    return [str(chain), str(key)]


class Asking:
    """Both servers, and the samples so far."""

    def __init__(self, options: argparse.Namespace, children: Children):
        self.options = options
        self.children = children
        self.yardstick = str(build.program('bench/tls'))
        self.server_core, self.load_core = machine.server_and_load_cores()
        files = certificate(children.folder)
        ours = str(build.program('examples/tls_echo'))
        self.servers = {
            'bare': self.start([self.yardstick, 'serve'], files),
            'celadon': self.start([ours], files),
        }
        self.samples: list[dict] = []

    def start(self, command: list[str],
              files: list[str]) -> tuple[Child, int]:
        port = free_port()
        child = self.children.start([*command, str(port), *files],
                                    self.server_core)
        child.wait_listening(port)
        return child, port

    def ask(self, name: str, size: int, number: int) -> None:
        """One sample."""
        child, port = self.servers[name]
        text = self.children.run(
            [self.yardstick, 'load', str(port), str(self.options.clients),
             str(self.options.seconds), str(size), str(child.pid)],
            self.load_core, self.options.seconds + 20)
        self.samples.append({**json.loads(text), 'server': name,
                             'round': number})


def column(samples: list[dict], name: str, size: int,
           figure: str) -> list[float]:
    """A figure of one server, by round."""
    return [sample[figure] for sample in samples
            if (sample['server'], sample['size']) == (name, size)]


def ratio(samples: list[dict], size: int, figure: str,
          names: tuple[str, str]) -> str:
    """The paired ratio of two servers' figures."""
    ratios = sorted(a / b for a, b in zip(
        *(column(samples, name, size, figure) for name in names),
        strict=True))
    quarter = len(ratios) // 4
    return (f'{statistics.median(ratios):.2f} [{ratios[quarter]:.2f} '
            f'{ratios[-1 - quarter]:.2f}]')


def rows(samples: list[dict]) -> list[list[str]]:
    """The table under HEAD.  Of processor time less is more, so there the
    ratio is the bare server's by ours."""
    return [
        [report.count(size),
         *(report.count(statistics.median(column(samples, name, size, 'rps')))
           for name in NAMES),
         *(f'{statistics.median(column(samples, name, size, "server_us")):.2f}'
           for name in NAMES),
         ratio(samples, size, 'rps', ('celadon', 'bare')),
         ratio(samples, size, 'server_us', ('bare', 'celadon'))]
        for size in SIZES
    ]


def main() -> int:
    options = parse()
    machine.raise_nofile()
    about = machine.describe()
    about['method'] = (f'{options.rounds} rounds of {options.seconds} s, '
                       f'paired; {options.clients} connections, TLS 1.3; '
                       f'load on the other core')
    with Children() as children:
        try:
            asking = Asking(options, children)
            for number in range(options.rounds):
                names = NAMES if number % 2 == 0 else NAMES[::-1]
                for size in SIZES:
                    for name in names:
                        asking.ask(name, size, number)
        except (ChildError, build.BuildError, OSError,
                subprocess.CalledProcessError) as error:
            print(f'failed: {error}')
            return 1
    return report.conclude(OUT / 'tls.csv', HEAD, rows(asking.samples),
                           about, asking.samples)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
