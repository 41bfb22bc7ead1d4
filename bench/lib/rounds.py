"""A B A B: every server in every round, so that what drifts drifts for all.

In each round each server is started anew on its own core and asked by the
load generator on another, first by few clients, then by many.  A server that
fails is out for the rest of the run, with the reason; the others go on.
"""

import json
import sys
import time
from dataclasses import dataclass, field

from bench.lib import build
from bench.lib.machine import server_and_load_cores
from bench.lib.proc import ChildError, Children, free_port
from bench.lib.servers import Server, Unavailable

WARM_SECONDS = 0.2


@dataclass
class Plan:
    """What is to be run."""

    mode: str  # of the load generator: http or echo
    servers: list[Server]
    clients: list[int]
    rounds: int = 3
    seconds: float = 1.0
    size: int = 64  # bytes of an echo message
    spin: bool = False


@dataclass
class Outcome:
    """What came of it."""

    samples: list[dict] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # name: reason
    skipped: dict[str, str] = field(default_factory=dict)  # likewise
    notes: list[str] = field(default_factory=list)


class Progress:
    """One line that is written over, or a line a step where it cannot be."""

    def __init__(self, steps: int):
        self.steps = steps
        self.step = 0
        self.began = time.monotonic()
        self.live = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Begin the next step, `text`."""
        share = min(self.step / max(self.steps, 1), 1.0)
        self.step += 1
        elapsed = time.monotonic() - self.began
        line = f'[{100 * share:3.0f} %  {elapsed:3.0f} s] {text}'
        if self.live:
            print(f'\r\x1b[K{line}', end='', file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.live:
            print('\r\x1b[K', end='', file=sys.stderr, flush=True)


class Runner:
    """Runs a plan with the children of one `with` block."""

    def __init__(self, plan: Plan, children: Children):
        self.plan = plan
        self.children = children
        self.outcome = Outcome()
        self.commands: dict[str, list[str]] = {}
        self.server_core, self.load_core = server_and_load_cores()
        self.load = str(build.program('bench/load'))

    def prepare(self) -> None:
        """Find out how each server is started; note those that cannot be."""
        for server in self.plan.servers:
            try:
                command = server.command(self.children.folder)
            except Unavailable as reason:
                table = (self.outcome.skipped if server.optional
                         else self.outcome.failed)
                table[server.name] = str(reason)
            else:
                self.commands[server.name] = command

    def run(self) -> Outcome:
        """All rounds; medians are for others to take."""
        plan = self.plan
        progress = Progress(plan.rounds * len(plan.clients)
                            * len(self.commands))
        for number in range(plan.rounds):
            for server in plan.servers:
                if server.name not in self.commands:
                    continue
                try:
                    self.one(server, number, progress)
                except ChildError as error:
                    self.outcome.failed[server.name] = str(error)
                    del self.commands[server.name]
        progress.clear()
        return self.outcome

    def one(self, server: Server, number: int, progress: Progress) -> None:
        """One server in one round."""
        port = free_port()
        child = self.children.start([*self.commands[server.name], str(port)],
                                    self.server_core)
        try:
            child.wait_listening(port)
            for clients in self.plan.clients:
                progress.show(f'round {number + 1} of {self.plan.rounds}: '
                              f'{server.label}, {clients} clients')
                sample = self.measure(child, port, clients)
                sample.update(server=server.name, round=number + 1)
                self.outcome.samples.append(sample)
        finally:
            self.children.stop(child)

    def measure(self, child, port: int, clients: int) -> dict:
        """What the load generator says, and what the server spent."""
        plan = self.plan
        command = [self.load, '-c', str(clients), '-t', str(plan.seconds),
                   '-w', str(WARM_SECONDS), '-s', str(plan.size),
                   *(['-p'] if plan.spin else []), plan.mode, str(port)]
        before = child.cpu_seconds()
        try:
            text = self.children.run(command, self.load_core,
                                     plan.seconds + 10)
        except ChildError as error:
            raise ChildError(blame(child, str(error))) from None
        spent = child.cpu_seconds() - before
        sample = json.loads(text)
        if child.process.poll() is not None:
            raise ChildError(f'died: {child.complaint()}')
        if sample['errors'] > 0.01 * sample['total']:
            raise ChildError(blame(child, f'{sample["errors"]} of '
                             f'{sample["total"]} requests failed'))
        sample['server_us'] = 1e6 * spent / max(sample['total'], 1)
        return sample


def blame(child, problem: str) -> str:
    """The problem, and what the server last said if it said anything."""
    if child.log.stat().st_size == 0:
        return problem
    return f'{problem}; the server: {child.complaint()}'

