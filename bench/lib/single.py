"""Benchmarks that are one process a figure: run in turn, medians, a table.

Each subject (a library, an implementation) is asked for all its figures in
every round, A B A B, pinned to one core.
"""

import json
import statistics
from dataclasses import dataclass, field

from bench.lib.machine import server_and_load_cores
from bench.lib.proc import ChildError, Children
from bench.lib.rounds import Progress

TIMEOUT = 120


@dataclass
class Subject:
    """Who is measured, and the commands that print its figures as JSON."""

    name: str
    commands: dict[str, list[str]]  # by what they measure
    reason: str = ''  # why it cannot be, if it cannot
    optional: bool = False


@dataclass
class Figures:
    """What the rounds gave: samples as the commands printed them."""

    samples: list[dict] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, number: int, text: str) -> None:
        """What one command printed in one round."""
        for line in text.splitlines():
            if not line.startswith('{'):
                continue
            sample = json.loads(line)
            if 'error' in sample:
                self.failed[name] = f'{sample["case"]}: {sample["error"]}'
            self.samples.append({'subject': name, 'round': number, **sample})

    def median(self, name: str, case: str, unit: str) -> float | None:
        found = [sample[unit] for sample in self.samples
                 if sample['subject'] == name and sample['case'] == case
                 and unit in sample]
        return statistics.median(found) if found else None


def run(subjects: list[Subject], rounds: int, children: Children) -> Figures:
    """All commands of all subjects, `rounds` times over."""
    figures = Figures()
    core, _ = server_and_load_cores()
    running = []
    for subject in subjects:
        if subject.reason:
            table = figures.skipped if subject.optional else figures.failed
            table[subject.name] = subject.reason
        else:
            running.append(subject)
    progress = Progress(rounds * sum(len(one.commands) for one in running))
    for number in range(rounds):
        for subject in running:
            for title, command in subject.commands.items():
                progress.show(f'round {number + 1} of {rounds}: '
                              f'{subject.name}, {title}')
                try:
                    text = children.run(command, core, TIMEOUT)
                except ChildError as error:
                    figures.failed[subject.name] = f'{title}: {error}'
                    continue
                figures.take(subject.name, number + 1, text)
    progress.clear()
    return figures
