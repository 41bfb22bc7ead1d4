"""Children that are pinned to a core, and gone when we are.

Every child leads a process group of its own, which is killed when the `with`
block ends however it ends; should we be killed outright, the kernel ends the
child for us (PR_SET_PDEATHSIG).
"""

import ctypes
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
TCP_LISTEN = '0A'
TICK = os.sysconf('SC_CLK_TCK')
LIBC = ctypes.CDLL(None, use_errno=True)


class ChildError(Exception):
    """A child did not do what it was started for; says what it did."""


class Child:
    """A process, and the file that has what it printed."""

    def __init__(self, process: subprocess.Popen, log: Path):
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        """Processor time so far, of all its threads, also ended ones."""
        try:
            text = Path(f'/proc/{self.pid}/stat').read_text()
        except OSError:
            return 0.0
        fields = text.rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def complaint(self) -> str:
        """The last line it printed."""
        lines = self.log.read_text(errors='replace').strip().splitlines()
        return lines[-1] if lines else 'it said nothing'

    def wait_listening(self, port: int, seconds: float = 20.0) -> None:
        """Until it listens on `port`.  No connection is made for it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise ChildError(f'ended at once: {self.complaint()}')
            if is_listening(port):
                return
            time.sleep(0.005)
        raise ChildError(f'does not listen after {seconds:.0f} s')

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it and its descendants; they have two seconds to obey."""
        for sig in (number, signal.SIGKILL):
            try:
                os.killpg(self.pid, sig)
            except ProcessLookupError:
                pass
            try:
                self.process.wait(timeout=2)
                break
            except subprocess.TimeoutExpired:
                continue
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Children:
    """All the children of a run: `with Children() as children:`.

    `folder` is theirs to write to; it goes when they go.
    """

    def __init__(self) -> None:
        self.scratch = tempfile.TemporaryDirectory(prefix='celadon-bench-')
        self.folder = Path(self.scratch.name)
        self.running: list[Child] = []
        self.count = 0

    def __enter__(self) -> 'Children':
        # So that the block is left in the ordinary way.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, leave)
        return self

    def __exit__(self, *_: object) -> None:
        for child in list(self.running):
            self.stop(child)
        self.scratch.cleanup()

    def start(self, command: list[str], core: int | None = None) -> Child:
        """Start a child on `core`, in the run's own folder."""
        self.count += 1
        log = self.folder / f'child-{self.count}.log'
        parent = os.getpid()

        def prepare() -> None:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            if core is not None:
                os.sched_setaffinity(0, {core})

        with open(log, 'wb') as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, cwd=self.folder,
                start_new_session=True, preexec_fn=prepare)
        child = Child(process, log)
        self.running.append(child)
        return child

    def stop(self, child: Child, number: int = signal.SIGTERM) -> None:
        child.stop(number)
        self.running.remove(child)

    def run(self, command: list[str], core: int | None, seconds: float) -> str:
        """Run a child to its end and return what it printed."""
        child = self.start(command, core)
        try:
            status = child.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            name = Path(command[0]).name
            raise ChildError(f'{name} hangs after {seconds:.0f} s') from None
        finally:
            self.stop(child)
        if status != 0:
            raise ChildError(child.complaint())
        return child.log.read_text(errors='replace')


def leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def is_listening(port: int) -> bool:
    wanted = f':{port:04X}'
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == TCP_LISTEN:
                return True
    return False


def free_port() -> int:
    """A port nobody listens on, below those that clients are given."""
    for _ in range(100):
        port = random.randrange(10000, 30000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(('0.0.0.0', port))
            except OSError:
                continue
            return port
    raise ChildError('no free port')
