"""What a switch costs in one thread alone, and in several at the same time.

    PYTHON bench/threads.py [--threads N] [--rounds N] [--switches N]

PYTHON is one with celadon in it.  Each thread switches between two greenlets
of its own.  Where there is no GIL each should pay what one alone pays, as long
as there are cores; with it they take turns: the clock shows that, the
processor's time does not.
"""

import argparse
import statistics
import sys
import threading
import time

from celadon._core import getcurrent, greenlet


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--switches', type=int, default=2_000_000)
    return parser.parse_args()


def measure(switches: int) -> tuple[float, float]:
    """Nanoseconds a switch between the calling greenlet and another.

    By the clock, and of this thread's processor time.
    """

    def other() -> None:
        back = getcurrent().parent.switch
        while True:
            back()

    there = greenlet(other).switch
    there()
    began = time.perf_counter_ns(), time.thread_time_ns()
    for _ in range(switches // 2):
        there()
    ended = time.perf_counter_ns(), time.thread_time_ns()
    return (ended[0] - began[0]) / switches, (ended[1] - began[1]) / switches


def together(threads: int, switches: int) -> list[tuple[float, float]]:
    """What each of so many threads pays that begin at the same time."""
    barrier = threading.Barrier(threads)
    costs: list[tuple[float, float]] = []

    def run() -> None:
        measure(10_000)
        barrier.wait()
        costs.append(measure(switches))

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return costs


def main() -> None:
    options = parse()
    alone: list[tuple[float, float]] = []
    each: list[tuple[float, float]] = []
    for _ in range(options.rounds):
        alone += together(1, options.switches)
        each += together(options.threads, options.switches)
    print(f'| ns a switch | alone | each of {options.threads} threads '
          '| times |')
    print('| --- | --: | --: | --: |')
    for column, label in enumerate(('by the clock', "the processor's")):
        one = statistics.median(cost[column] for cost in alone)
        many = statistics.median(cost[column] for cost in each)
        print(f'| {label} | {one:.1f} | {many:.1f} | {many / one:.2f} |')
    gil = getattr(sys, '_is_gil_enabled', lambda: True)()
    print(f'\nPython {sys.version.split()[0]} {"with" if gil else "without"} '
          f'the GIL, medians of {options.rounds} rounds in turn')


if __name__ == '__main__':
    main()
