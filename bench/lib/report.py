"""Medians, tables, CSV."""

import csv
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.lib.rounds import Outcome, Plan
from bench.lib.single import Figures

NUMBERS = ('rps', 'mean_us', 'p50_us', 'p99_us', 'max_us', 'server_us',
           'busy')


def medians(samples: list[dict]) -> dict[tuple[str, int], dict]:
    """The median of each number by (server, clients)."""
    groups: dict[tuple[str, int], list[dict]] = {}
    for sample in samples:
        key = sample['server'], sample['clients']
        groups.setdefault(key, []).append(sample)
    return {key: {name: statistics.median(one[name] for one in group)
                  for name in NUMBERS}
            for key, group in groups.items()}


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Columns as wide as they must be; the first to the left."""
    lines = [head, *rows]
    full = [line for line in lines if len(line) == len(head)]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    widths[0] = max(len(line[0]) for line in lines)
    out = []
    for line in lines:
        if len(line) != len(head):  # a reason instead of figures
            out.append(f'{line[0]:<{widths[0]}}  {line[1]}')
            continue
        cells = [f'{line[0]:<{widths[0]}}']
        cells += [f'{text:>{width}}'
                  for text, width in zip(line[1:], widths[1:], strict=True)]
        out.append('  '.join(cells).rstrip())
    out.insert(1, '  '.join('-' * width for width in widths))
    return '\n'.join(out)


def ratio(value: float, base: float | None) -> str:
    return f'{value / base:.2f}' if base else '-'


def count(value: float) -> str:
    """A rate, without digits that mean nothing."""
    return f'{value:,.0f}'


def comparison(plan: Plan, outcome: Outcome, clients: int,
               bases: list[str]) -> str:
    """The table of one number of clients, with the ratios to `bases`."""
    figures = medians(outcome.samples)
    rows = []
    for server in plan.servers:
        name = server.name
        reason = outcome.failed.get(name) or outcome.skipped.get(name)
        one = figures.get((name, clients))
        if reason:
            rows.append([server.label, reason])
        elif one:
            ratios = [ratio(one['rps'], figures.get((base, clients), {})
                            .get('rps')) for base in bases]
            rows.append([
                server.label, count(one['rps']),
                f'{one["mean_us"] / 1000:.2f}', f'{one["p99_us"] / 1000:.2f}',
                *ratios, f'{one["server_us"]:.1f}',
                f'{100 * one["busy"]:.0f} %'])
    head = ['', 'requests/s', 'ms/request', 'p99 ms',
            *[f'x {base}' for base in bases], 'server µs', 'load busy']
    return table(head, rows)


def legend(figures: dict) -> str:
    """What a reader of the tables must know."""
    text = ("server µs: processor time a request; load busy: of the load "
            "generator's core.")
    if any(one['busy'] > 0.9 for one in figures.values()):
        text += ('\nWhere the load is busy above 90 %, the server might have '
                 'taken more.')
    return text


def facts(about: dict[str, str]) -> str:
    """What belongs under every table: machine, date, versions."""
    return '\n'.join(f'{key}: {value}' for key, value in about.items())


def write_csv(path: Path, about: dict[str, str], rows: list[dict]) -> None:
    """All samples, with what they were measured on and with as comments."""
    names: list[str] = []
    for row in rows:
        names += [name for name in row if name not in names]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='') as file:
        for key, value in about.items():
            file.write(f'# {key}: {value}\n')
        writer = csv.DictWriter(file, names, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def conclude(path: Path, head: list[str], lines: Iterable[list[str]],
             about: dict[str, str], samples: list[dict]) -> int:
    """Print the table and its facts, and keep the samples; the exit status."""
    print(table(head, lines))
    print()
    print(facts(about))
    write_csv(path, about, samples)
    return 0


def verdict(outcome: Outcome | Figures) -> int:
    """Say what was skipped and what failed; the exit status."""
    for name, reason in outcome.skipped.items():
        print(f'skipped: {name}: {reason}', file=sys.stderr)
    for name, reason in outcome.failed.items():
        print(f'FAILED: {name}: {reason}', file=sys.stderr)
    return 1 if outcome.failed or not outcome.samples else 0
