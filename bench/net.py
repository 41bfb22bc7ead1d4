"""Servers in C: echo, short connections, files, beside what others offer.

    python bench/net.py [--rounds N] [--seconds S]

Ours over epoll and over io_uring, bare loops over both, Go, libuv and State
Threads (Debian's golang-go, liburing-dev, libuv1-dev, libst-dev; who is not
installed is left out), and nginx for files. Every server runs all the time, on
one core; each round asks them one after the other, every second round in the
other order.

  echo   64 bytes there and back over kept connections; load on the other core
  short  accept, recv, send, close; 64 at once; load on the same core, so that
         nobody is woken across cores: what counts is the server's time
  file   a MiB by sendfile over a connection of its own; 8 at once, load on
         the other core

The samples go to build/bench-results/net.csv.
"""

import argparse
import json
import shutil
import socket
import statistics
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.lib import build, machine, report  # noqa: E402
from bench.lib.proc import ChildError, Children, free_port  # noqa: E402

OUT = machine.BUILD / 'bench-results'
WARM_SECONDS = 0.1
FILE_SIZE = 1 << 20
# Mode, clients, whether the load is on the server's core.
CELLS = [('echo', 1, False), ('echo', 64, False), ('echo', 1000, False),
         ('short', 64, True), ('file', 8, False)]
PROGRAMS = {
    'celadon': 'bench/serve',
    'celadon, uring': 'bench/serve',
    'epoll': 'bench/floor',
    'io_uring': 'bench/serve_uring',
    'libuv': 'bench/serve_uv',
    'state-threads': 'bench/serve_st',
}
SERVERS = [*PROGRAMS, 'go', 'nginx']
OURS = ('celadon', 'celadon, uring', 'epoll')
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; keepalive_timeout 0;
    client_body_temp_path {folder}; proxy_temp_path {folder};
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port} backlog=1024;
              root {folder}; index file.bin; }}
}}
"""


class Absent(Exception):
    """A server is not to be had here, or not for this; says why."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=0.4)
    return parser.parse_args()


def nginx(mode: str, port: int, folder: Path) -> list[str]:
    if mode != 'file':
        raise Absent('for files alone')
    program = shutil.which('nginx') or shutil.which('/usr/sbin/nginx')
    if program is None:
        raise Absent('nginx is not installed')
    # It may run as nobody, who has to get there.
    folder.chmod(0o755)
    conf = folder / 'nginx.conf'
    conf.write_text('user root;' + NGINX.format(folder=folder, port=port))
    return [program, '-c', str(conf)]


def command(name: str, mode: str, port: int, folder: Path) -> list[str]:
    """What starts one server."""
    if name == 'nginx':
        return nginx(mode, port, folder)
    rest = [mode, str(port)]
    if mode == 'file':
        if name not in (*OURS, 'go'):
            raise Absent('no sendfile')
        rest.append(str(folder / 'file.bin'))
    try:
        program = (build.peer(['go', 'build', 'serve.go']) if name == 'go'
                   else build.program(PROGRAMS[name]))
    except build.BuildError as error:
        if name in OURS:
            raise
        raise Absent(str(error)) from None
    backend = 'uring' if name == 'celadon, uring' else 'epoll'
    return ['env', 'GOMAXPROCS=1', f'CELADON_BACKEND={backend}',
            str(program), *rest]


def cpu_ns(pid: int) -> int:
    """What a process has had of the processor, all its threads."""
    return sum(int((task / 'schedstat').read_text().split()[0])
               for task in Path(f'/proc/{pid}/task').iterdir())


def check_file(port: int) -> None:
    """Whether a whole MiB comes, and the right one."""
    with socket.create_connection(('127.0.0.1', port), timeout=10) as conn:
        conn.sendall(b'GET / HTTP/1.0\r\n\r\n')
        answer = b''
        while piece := conn.recv(1 << 16):
            answer += piece
    _, _, body = answer.partition(b'\r\n\r\n')
    if body != bytes_of_file():
        raise ChildError(f'{len(body)} bytes of a file came, not the MiB')


def bytes_of_file() -> bytes:
    return bytes(range(256)) * (FILE_SIZE // 256)


class Bench:
    """The servers, and the samples so far."""

    def __init__(self, options: argparse.Namespace, children: Children):
        self.options = options
        self.children = children
        self.load = str(build.program('bench/load'))
        self.server_core, self.load_core = machine.server_and_load_cores()
        (children.folder / 'file.bin').write_bytes(bytes_of_file())
        self.servers = {}
        self.absent: dict[str, str] = {}
        self.samples: list[dict] = []
        for mode in ('echo', 'short', 'file'):
            for name in SERVERS:
                self.start(mode, name)

    def start(self, mode: str, name: str) -> None:
        port = free_port()
        try:
            words = command(name, mode, port, self.children.folder)
        except Absent as reason:
            self.absent[f'{name}, {mode}'] = str(reason)
            return
        child = self.children.start(words, self.server_core)
        child.wait_listening(port)
        if mode == 'file':
            check_file(port)
        self.servers[mode, name] = child, port

    def ask(self, cell: tuple[str, int, bool], name: str,
            number: int) -> None:
        """One sample."""
        mode, clients, same_core = cell
        child, port = self.servers[mode, name]
        before = cpu_ns(child.pid)
        text = self.children.run(
            [self.load, '-c', str(clients), '-t', str(self.options.seconds),
             '-w', str(WARM_SECONDS), 'echo' if mode == 'echo' else 'http',
             str(port)],
            self.server_core if same_core else self.load_core,
            self.options.seconds + 20)
        sample = json.loads(text)
        if sample['errors'] > 0.01 * sample['total']:
            raise ChildError(f'{name}, {mode}: {sample["errors"]} of '
                             f'{sample["total"]} requests failed')
        spent = cpu_ns(child.pid) - before
        sample.update(mode=mode, server=name, round=number,
                      server_us=spent / 1000 / max(sample['total'], 1))
        self.samples.append(sample)

    def run(self) -> None:
        for number in range(self.options.rounds):
            names = SERVERS if number % 2 == 0 else SERVERS[::-1]
            for cell in CELLS:
                for name in names:
                    if (cell[0], name) in self.servers:
                        self.ask(cell, name, number)


def median(samples: list[dict], cell: tuple[str, int, bool], name: str,
           figure: str) -> float | None:
    found = [sample[figure] for sample in samples
             if (sample['mode'], sample['clients']) == cell[:2]
             and sample['server'] == name]
    return statistics.median(found) if found else None


def rows(samples: list[dict], names: list[str]) -> list[list[str]]:
    """For each cell two rows: requests a second, the server's time."""
    def row(label: str, cell: tuple[str, int, bool], figure: str,
            digits: int) -> list[str]:
        found = [median(samples, cell, name, figure) for name in names]
        return [label, *('-' if value is None else f'{value:,.{digits}f}'
                         for value in found)]

    return [line for cell in CELLS for line in (
        row(f'{cell[0]}, {cell[1]:,}, /s', cell, 'rps', 0),
        row('  server µs', cell, 'server_us', 2))]


def present(samples: list[dict]) -> list[str]:
    """The servers that have figures, in order."""
    return [name for name in SERVERS
            if any(sample['server'] == name for sample in samples)]


def main() -> int:
    options = parse()
    machine.raise_nofile()
    about = machine.describe()
    about['method'] = (f'{options.rounds} rounds of {options.seconds} s, '
                       'medians; short: load on the same core')
    with Children() as children:
        try:
            bench = Bench(options, children)
            bench.run()
        except (ChildError, build.BuildError) as error:
            print(f'failed: {error}')
            return 1
    names = present(bench.samples)
    print(report.table(['', *names], rows(bench.samples, names)))
    print()
    for what, reason in bench.absent.items():
        if reason not in ('no sendfile', 'for files alone'):
            print(f'left out: {what}: {reason}')
    print(report.facts(about))
    report.write_csv(OUT / 'net.csv', about, bench.samples)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
