"""How many system calls sockets make, counted by strace."""

import re
import shutil
import socket
import subprocess
import sys
import textwrap

import pytest
from support import bounded, run_command, sweep


@pytest.fixture
def count(tmp_path):
    """Return a function that runs a program and counts its calls."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing")
    if run_command("strace", "-o", "/dev/null", "true").code != 0:
        pytest.skip("tracing is not allowed here")
    runs = iter(range(100))

    def run(code, *arguments, client=None):
        path = tmp_path / f"calls-{next(runs)}"
        process = subprocess.Popen(
            [*bounded(40), "strace", "-f", "-c", "-o", str(path),
             sys.executable, "-c", textwrap.dedent(code),
             *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, bufsize=1,
            start_new_session=True,
        )  # fmt: skip
        try:
            if client is not None:
                client(process)
            _, err = process.communicate()
        finally:
            sweep(process.pid)
        assert process.returncode == 0, err
        calls = {}
        for line in path.read_text().splitlines():
            match = re.match(
                r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line
            )
            # sched_yield is CPython's own, where it has no GIL.
            if match and match.group(2) not in ("total", "sched_yield"):
                calls[match.group(2)] = int(match.group(1))
        return calls

    return run


ACCEPT = """
import os, sys
from celadon import socket
from celadon._core import spawn
count = int(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 0), backlog=count)
waiting = spawn(listener.accept)
clients = []
for _ in range(count):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(listener.getsockname())
    clients.append(s)
served = [waiting.get()] + [listener.accept() for _ in range(count - 1)]
os._exit(0)
"""


def test_a_burst_costs_one_accept_a_connection(count):
    few, many = count(ACCEPT, 10), count(ACCEPT, 110)
    cost = {
        name: (many[name] - few.get(name, 0)) / 100
        for name in many
        if many[name] - few.get(name, 0) > 20
    }
    assert cost.pop("accept4") == pytest.approx(1, abs=0.02)
    # Whether there is one more; the failing accept4() would be dearer.
    assert cost.pop("poll", 0) <= 1.02
    # The clients' part.
    assert set(cost) <= {"socket", "connect", "getsockname"}
    assert cost["getsockname"] == pytest.approx(1, abs=0.02)


ECHO = """
import socket, sys, threading
from celadon.monkey import get_original, patch_all
patch_all()
read, write = get_original("os", ["read", "write"])
def serve(conn):
    while True:
        data = conn.recv(1024)
        if not data:
            break
        if data == b"halt":
            write(1, b"halted\\n")
            read(0, 9)
        else:
            conn.sendall(data)
    conn.close()
listener = socket.create_server(("127.0.0.1", 0), backlog=200)
print(listener.getsockname()[1], flush=True)
threads = []
for _ in range(int(sys.argv[1])):
    conn, _ = listener.accept()
    threads.append(threading.Thread(target=serve, args=(conn,)))
    threads[-1].start()
for thread in threads:
    thread.join()
"""


def test_an_echoed_request_costs_two_calls_and_a_share(count):
    clients = 128
    message = b"x" * 64

    def talk(rounds):
        def run(process):
            port = int(process.stdout.readline())
            control, *conns = [
                socket.create_connection(("127.0.0.1", port))
                for _ in range(clients + 1)
            ]
            for _ in range(rounds):
                # A busy server finds many requests at once.
                control.sendall(b"halt")
                assert process.stdout.readline() == "halted\n"
                for conn in conns:
                    conn.sendall(message)
                process.stdin.write("go on\n")
                for conn in conns:
                    assert conn.recv(100) == message
            for conn in [control, *conns]:
                conn.close()

        return run

    few = count(ECHO, clients + 1, client=talk(5))
    many = count(ECHO, clients + 1, client=talk(15))
    cost = sum(many.values()) - sum(few.values())
    assert cost / (10 * clients) <= 2.1, (few, many)
