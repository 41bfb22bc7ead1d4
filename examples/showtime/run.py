"""Showtime: the talk's server, and the same with two lines on top.

    python examples/showtime/run.py [--rounds N] [--seconds S] [--save]

Runs server.py as it is, under stock gevent and under Celadon (two lines
more), and a C server that does nothing but the same system calls; asks each
by 64 and by 1000 clients; prints the talk's table.  Takes about a minute.

The samples go to build/showtime/results.csv, the plot to
build/showtime/showtime.svg and, with --save, to docs/showtime.svg.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path

# The repository's root instead of this folder: whence `bench` is imported.
ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from bench.lib import build, machine, plot, report, rounds  # noqa: E402
from bench.lib import servers  # noqa: E402
from bench.lib.proc import ChildError, Children, free_port  # noqa: E402
from bench.lib.servers import Server  # noqa: E402

SCRIPT = Path(__file__).with_name('server.py')
OUT = machine.BUILD / 'showtime'
CLIENTS = [64, 1000]

SERVERS = [
    Server('threads', 'threads (as it is)', servers.plain(SCRIPT)),
    Server('gevent', 'gevent (two lines)', servers.under_gevent(SCRIPT)),
    Server('celadon', 'celadon (two lines)', servers.under_celadon(SCRIPT)),
    Server('floor', 'floor (C, epoll)', servers.native('bench/floor', 'http')),
]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=1.2,
                        help='of each measurement (default %(default)s)')
    parser.add_argument('--spin', action='store_true',
                        help='the load polls and never sleeps, so that the '
                        'server need not wake it')
    parser.add_argument('--no-ab', action='store_true',
                        help='leave out ab, the load of the talk')
    parser.add_argument('--save', action='store_true',
                        help='write the plot to docs/showtime.svg')
    return parser.parse_args()


def show_diff(folder: Path) -> None:
    """The two lines, as diff shows them."""
    copy = servers.two_lines(SCRIPT, 'celadon', folder)
    print(f'{SCRIPT.relative_to(ROOT)}, and all that differs:')
    for line in servers.diff(SCRIPT, copy):
        print(f'    {line}')
    print()


def run_ab(runner: rounds.Runner, figures: dict) -> dict[str, tuple]:
    """ab, as in the talk: (requests per second, ms a request, failures)."""
    found = {}
    for server in SERVERS:
        command = runner.commands.get(server.name)
        key = server.name, CLIENTS[0]
        if command is None or key not in figures:
            continue
        port = free_port()
        # About a second of it.  By number and not by time: at the end of its
        # time ab drops its connections, and the servers would log that.
        requests = max(int(0.8 * figures[key]['rps']), CLIENTS[0])
        child = runner.children.start([*command, str(port)],
                                      runner.server_core)
        try:
            child.wait_listening(port)
            text = runner.children.run(
                ['ab', '-q', '-n', str(requests), '-c', str(CLIENTS[0]),
                 f'http://127.0.0.1:{port}/'], runner.load_core, 20)
            found[server.name] = tuple(
                float(re.search(pattern, text)[1]) for pattern in
                (r'Requests per second:\s+([\d.]+)',
                 r'Time per request:\s+([\d.]+) \[ms\] \(mean\)',
                 r'Failed requests:\s+(\d+)'))
        except (ChildError, TypeError) as error:
            runner.outcome.notes.append(f'ab, {server.name}: {error}')
        finally:
            runner.children.stop(child)
    return found


def print_tables(plan: rounds.Plan, outcome: rounds.Outcome,
                 figures: dict, ab: dict) -> None:
    for clients in CLIENTS:
        print(f'{clients} clients, each request a new connection')
        print(report.comparison(plan, outcome, clients,
                                ['threads', 'gevent']))
        print()
    print(report.legend(figures))
    print()
    if ab:
        print(f'ab -c {CLIENTS[0]}, as in the talk')
        base = ab.get('threads', (None,))[0]
        print(report.table(
            ['', 'requests/s', 'ms/request', 'failed', 'x threads'],
            [[server.label, report.count(ab[server.name][0]),
              f'{ab[server.name][1]:.2f}', f'{ab[server.name][2]:.0f}',
              report.ratio(ab[server.name][0], base)]
             for server in SERVERS if server.name in ab]))
        print()


def draw(figures: dict, about: dict[str, str]) -> str:
    kinds = {'celadon': 'ours', 'floor': 'floor'}
    groups = {}
    for clients in CLIENTS:
        base = figures.get(('threads', clients), {}).get('rps')
        group = groups[f'{clients} clients'] = []
        for server in SERVERS:
            if (server.name, clients) not in figures:
                continue
            rps = figures[server.name, clients]['rps']
            text = f'{report.count(rps)}  x {report.ratio(rps, base)}'
            group.append(plot.Bar(server.label, rps, text,
                                  kinds.get(server.name, 'bar')))
    note = (f'Python {about["python"]}, gevent {about.get("gevent", "-")}, '
            f'{about["cpu"]}, {about["date"][:10]}; server on one core, '
            'load on another')
    return plot.bars('The talk\'s threaded server: requests per second',
                     note, groups)


def main() -> int:
    options = parse()
    machine.raise_nofile()
    about = machine.describe()
    if machine.warning():
        print(f'note: {machine.warning()}\n')
    plan = rounds.Plan('http', SERVERS, CLIENTS, options.rounds,
                       options.seconds, spin=options.spin)
    with Children() as children:
        show_diff(children.folder)
        try:
            runner = rounds.Runner(plan, children)
        except build.BuildError as error:
            print(f'no load generator: {error}')
            return 1
        runner.prepare()
        outcome = runner.run()
        figures = report.medians(outcome.samples)
        ab = {}
        if shutil.which('ab') and not options.no_ab:
            ab = run_ab(runner, figures)
    about.update(servers.versions('gevent', 'greenlet'))
    about['method'] = (f'medians of {options.rounds} rounds of '
                       f'{options.seconds} s, servers in turn; load '
                       + ('polls' if options.spin else 'sleeps'))
    print_tables(plan, outcome, figures, ab)
    for note in outcome.notes:
        print(f'note: {note}')
    print(report.facts(about))
    report.write_csv(OUT / 'results.csv', about, outcome.samples)
    picture = draw(figures, about)
    (OUT / 'showtime.svg').write_text(picture)
    if options.save:
        (ROOT / 'docs').mkdir(exist_ok=True)
        (ROOT / 'docs' / 'showtime.svg').write_text(picture)
    return report.verdict(outcome)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
