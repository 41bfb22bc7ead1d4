"""System calls a server makes, counted by strace."""

import re
import signal
import time

from bench.lib.proc import Child, ChildError
from bench.lib.rounds import Runner

LINE = re.compile(r'^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$')


def traced(runner: Runner, child: Child, arguments: list[str]) -> dict:
    """The calls `child` makes while the load runs: {name: number}."""
    out = runner.children.folder / f'strace-{child.pid}'
    tracer = runner.children.start(
        ['strace', '-f', '-c', '-o', str(out), '-p', str(child.pid)])
    try:
        wait_attached(tracer)
        runner.children.run([runner.load, *arguments], runner.load_core, 60)
        # The last connections are closed after the load has ended.
        time.sleep(0.3)
    finally:
        runner.children.stop(tracer, signal.SIGINT)
    found = {}
    for line in out.read_text().splitlines():
        match = LINE.match(line)
        if match and match[2] != 'total':
            found[match[2]] = int(match[1])
    return found


def wait_attached(tracer: Child) -> None:
    for _ in range(200):
        if tracer.process.poll() is not None:
            raise ChildError(f'strace: {tracer.complaint()}')
        if 'attached' in tracer.log.read_text(errors='replace'):
            return
        time.sleep(0.01)
    raise ChildError('strace does not attach')
