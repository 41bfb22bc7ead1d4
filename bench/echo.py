"""Echo: 64 bytes back and forth over kept connections.

    python bench/echo.py [--rounds N] [--seconds S] [--clients N] [--strace]

Plain threaded code as it is, under gevent and under Celadon (two lines
more); beside servers that were written for their framework, ours in C, and a
bare epoll loop.  With --strace: how many system calls each makes for a
request, and for the connections of a burst.

The samples go to build/bench-results/echo.csv.
"""

import argparse
import shutil
import sys
from pathlib import Path

# The repository's root instead of this folder: whence `bench` is imported,
# and not the modules beside this one, one of which is called gevent.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.lib import build, calls, machine, report, rounds  # noqa: E402
from bench.lib import servers  # noqa: E402
from bench.lib.proc import ChildError, Children, free_port  # noqa: E402
from bench.lib.servers import Server  # noqa: E402

HERE = Path(__file__).resolve().parent / 'servers'
THREADS = HERE / 'echo_threads.py'
OUT = machine.BUILD / 'bench-results'

SERVERS = [
    Server('threads', 'threads (as it is)', servers.plain(THREADS)),
    Server('gevent', 'gevent (two lines)', servers.under_gevent(THREADS)),
    Server('celadon', 'celadon (two lines)', servers.under_celadon(THREADS)),
    Server('streamserver', 'gevent StreamServer',
           servers.peer('gevent', HERE / 'echo_gevent.py')),
    Server('uvloop', 'uvloop Protocol',
           servers.peer('uvloop', HERE / 'echo_uvloop.py'), optional=True),
    Server('c', 'celadon in C', servers.native('examples/echo')),
    Server('floor', 'floor (C, epoll)', servers.native('bench/floor', 'echo')),
]

# The rounds of --strace: as many requests as make the connecting vanish in
# the average, and a burst of connections that are asked once.
TRACED_REQUESTS = 20000
BURST = 200


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=1.0)
    parser.add_argument('--clients', type=int, default=64)
    parser.add_argument('--size', type=int, default=64, help='bytes')
    parser.add_argument('--spin', action='store_true',
                        help='the load polls and never sleeps')
    parser.add_argument('--strace', action='store_true',
                        help='count system calls instead of requests')
    return parser.parse_args()


def trace(runner: rounds.Runner, clients: int) -> str:
    """The table of system calls."""
    rows = []
    for server in SERVERS:
        command = runner.commands.get(server.name)
        if command is None:
            reason = (runner.outcome.failed | runner.outcome.skipped)
            rows.append([server.label, reason[server.name]])
            continue
        port = free_port()
        child = runner.children.start([*command, str(port)],
                                      runner.server_core)
        try:
            child.wait_listening(port)
            per_request = calls.traced(runner, child, [
                '-c', str(clients), '-n', str(TRACED_REQUESTS), '-t', '30',
                '-w', '0', 'echo', str(port)])
            burst = calls.traced(runner, child, [
                '-c', str(BURST), '-n', str(BURST), '-t', '10', '-w', '0',
                'echo', str(port)])
        except ChildError as error:
            runner.outcome.failed[server.name] = str(error)
            rows.append([server.label, str(error)])
            continue
        finally:
            runner.children.stop(child)
        rows.append([server.label, *shares(per_request, burst)])
    return report.table(['', 'calls/request', 'accept/connection', 'of these'],
                        rows)


def shares(per_request: dict, burst: dict) -> list[str]:
    total = sum(per_request.values()) / TRACED_REQUESTS
    accepts = sum(number for name, number in burst.items()
                  if name.startswith('accept')) / BURST
    most = sorted(per_request.items(), key=lambda item: -item[1])[:4]
    return [f'{total:.2f}', f'{accepts:.2f}',
            ', '.join(f'{name} {number / TRACED_REQUESTS:.2f}'
                      for name, number in most)]


def main() -> int:
    options = parse()
    machine.raise_nofile()
    about = machine.describe()
    if machine.warning():
        print(f'note: {machine.warning()}\n')
    plan = rounds.Plan('echo', SERVERS, [options.clients], options.rounds,
                       options.seconds, options.size, options.spin)
    with Children() as children:
        try:
            runner = rounds.Runner(plan, children)
        except build.BuildError as error:
            print(f'no load generator: {error}')
            return 1
        runner.prepare()
        if options.strace:
            if not shutil.which('strace'):
                print('no strace on this machine')
                return 1
            print(trace(runner, options.clients))
            return 1 if runner.outcome.failed else 0
        outcome = runner.run()
    about.update(servers.versions('gevent', 'greenlet', 'uvloop'))
    about['method'] = (f'medians of {options.rounds} rounds of '
                       f'{options.seconds} s, servers in turn; load '
                       + ('polls' if options.spin else 'sleeps'))
    print(f'echo of {options.size} bytes, {options.clients} connections')
    print(report.comparison(plan, outcome, options.clients,
                            ['threads', 'streamserver', 'floor']))
    print()
    print(report.legend(report.medians(outcome.samples)))
    print()
    print(report.facts(about))
    report.write_csv(OUT / 'echo.csv', about, outcome.samples)
    return report.verdict(outcome)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
