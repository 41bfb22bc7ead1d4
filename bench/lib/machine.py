"""What is measured on, and with what."""

import datetime
import os
import platform
import resource
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / 'build'


def cpu_model() -> str:
    """The processor's name; the architecture's where it has none."""
    try:
        text = Path('/proc/cpuinfo').read_text()
    except OSError:
        text = ''
    for line in text.splitlines():
        key, _, value = line.partition(':')
        if key.strip().lower() in ('model name', 'hardware', 'cpu model'):
            return value.strip()
    return platform.processor() or platform.machine()


def cores() -> list[int]:
    """The processors this process may use."""
    return sorted(os.sched_getaffinity(0))


def server_and_load_cores() -> tuple[int, int]:
    """A core for the server and another one for the load.

    With one core only they share it, and what is measured is their sum.
    """
    usable = cores()
    return usable[0], usable[1 if len(usable) > 1 else 0]


def raise_nofile() -> None:
    """Lift the limit of open descriptors, for us and for children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def busy() -> float:
    """The share of this machine's processors in use, from 0 to 1.

    Looks for half a second.  Not the load average, which remembers the
    benchmark before this one for minutes.
    """
    def times() -> list[int]:
        with open('/proc/stat') as stat:
            return [int(field) for field in stat.readline().split()[1:9]]

    before = times()
    time.sleep(0.5)
    spent = [after - then for after, then in zip(times(), before)]
    idle = spent[3] + spent[4]
    return 1 - idle / max(sum(spent), 1)


def describe() -> dict[str, str]:
    """What belongs beside every figure."""
    now = datetime.datetime.now().astimezone()
    return {
        'date': now.strftime('%Y-%m-%d %H:%M %z'),
        'cpu': f'{cpu_model()}, {len(cores())} cores',
        'kernel': f'{platform.system()} {platform.release()}',
        'busy before': f'{100 * busy():.0f} %',
    }


def warning() -> str:
    """Why the figures may be off, or nothing."""
    if len(cores()) < 2:
        return 'one core only: server and load share it'
    if busy() > 0.1:
        return 'the machine is busy with other things: trust ratios only'
    return ''
