"""The command line of the tortures: torture_NAME.py [SEED [STEPS [TOTAL]]]

Runs of STEPS steps, each with the next seed, until there were TOTAL, one
failed, or for ever: --forever.  --collect: the collector runs as often as it
can.  The exit code is the number of failures.
"""

import faulthandler
import time

from support import SLOW


def main(torture, arguments):
    """Run *torture* (seed, steps, collect) as *arguments* say."""
    faulthandler.enable()
    numbers = [int(a) for a in arguments if a.isdigit()]
    seed, steps, total = [*numbers, *(0, 20_000, 0)[len(numbers):]]
    collect = "--collect" in arguments
    done = 0
    while True:
        since = time.monotonic()
        # A run of so many steps is a matter of seconds.
        faulthandler.dump_traceback_later(120 * SLOW, exit=True)
        failures, acts = torture(seed, steps, collect)
        faulthandler.cancel_dump_traceback_later()
        count = sum(acts.values())
        done += count
        print(f"seed {seed}: {count} steps, {len(failures)} failures,"
              f" {time.monotonic() - since:.1f} s", *failures[:5], flush=True)
        if failures or done >= total and "--forever" not in arguments:
            return len(failures)
        seed += 1
