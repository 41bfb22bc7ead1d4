"""All benchmarks, one after the other: what `make bench` calls.

    python bench/run.py [NAME ...]

Names: core cores greenlet gevent echo calls backends tls idle net showtime.
Takes some seven minutes; ends with status 1 if anything failed.  The samples
go to build/bench-results/ and build/showtime/.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PARTS = {
    'core': ('The engine in C', ['bench/core.py']),
    'cores': ('The engine on several cores', ['bench/cores.py']),
    'greenlet': ('Beside greenlet, operation by operation',
                 ['bench/greenlet.py']),
    'gevent': ('Beside gevent, operation by operation', ['bench/gevent.py']),
    'echo': ('Echo servers', ['bench/echo.py']),
    'calls': ('System calls of the echo servers',
              ['bench/echo.py', '--strace']),
    'backends': ('io_uring and epoll', ['bench/backends.py']),
    'tls': ('TLS echo', ['bench/tls.py']),
    'idle': ('Idle connections', ['bench/idle.py']),
    'net': ('Servers in C, beside bare loops, Go, libuv, State Threads',
            ['bench/net.py']),
    'showtime': ('The talk\'s server', ['examples/showtime/run.py']),
}


def main() -> int:
    names = sys.argv[1:] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f'no such benchmark: {", ".join(unknown)}; '
              f'there are {", ".join(PARTS)}', file=sys.stderr)
        return 2
    began = time.monotonic()
    failed = []
    for name in names:
        title, command = PARTS[name]
        print(f'== {title} ==\n', flush=True)
        result = subprocess.run([sys.executable, str(ROOT / command[0]),
                                 *command[1:]])
        if result.returncode != 0:
            failed.append(name)
        print(flush=True)
    print(f'{len(names) - len(failed)} of {len(names)} benchmarks complete '
          f'in {time.monotonic() - began:.0f} s'
          + (f'; not: {", ".join(failed)}' if failed else ''))
    return 1 if failed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
