"""Sockets of greenlets: their life, in several threads and processes."""

import gc
import math
import os
import socket as stdlib
import sys
import threading
import time
import warnings

import pytest
from celadon import socket
from celadon._core import getcurrent, sleep, spawn
from support import FREE_THREADED, fork
from test_socket import connected, listening, pair  # noqa: F401


# ---- giving away


def test_detach_gives_a_blocking_descriptor_away():
    one, other = socket.socketpair()
    fd = one.detach()
    assert one.fileno() == -1
    assert os.get_blocking(fd)
    other.sendall(b"x")
    assert os.read(fd, 10) == b"x"
    os.close(fd)
    other.setblocking(False)
    fd = other.detach()
    assert not os.get_blocking(fd)
    os.close(fd)


def test_taking_over_before_detach_keeps_it_non_blocking():
    # As SSLSocket does it.
    one, other = socket.socketpair()
    taken = socket.socket(fileno=one.fileno())
    one.detach()
    with taken, other:
        assert not os.get_blocking(taken.fileno())
        reader = spawn(taken.recv, 10)
        sleep(0.01)
        other.send(b"x")
        assert reader.get() == b"x"


def test_taking_over_finds_out_what_it_is():
    raw = stdlib.socketpair(stdlib.AF_UNIX, stdlib.SOCK_DGRAM)
    one, other = (socket.socket(fileno=s.detach()) for s in raw)
    with one, other:
        assert one.family == stdlib.AF_UNIX
        assert one.type == stdlib.SOCK_DGRAM
        job = spawn(one.recv, 10)
        sleep(0.01)
        other.send(b"x")
        assert job.get() == b"x"


def test_dup_is_the_same_connection(pair):  # noqa: F811
    one, other = pair
    one.settimeout(5)
    with one.dup() as copy:
        assert type(copy) is socket.socket
        assert copy.fileno() != one.fileno()
        assert copy.gettimeout() == 5
        one.close()
        other.sendall(b"x")
        assert copy.recv(1) == b"x"
    assert other.recv(1) == b""


def test_fromfd():
    one, other = socket.socketpair()
    with one, other, socket.fromfd(one.fileno(), one.family, one.type) as s:
        assert type(s) is socket.socket
        other.send(b"x")
        assert s.recv(1) == b"x"


def test_a_dropped_socket_warns_and_closes():
    s = socket.socket()
    fd = s.fileno()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del s
        gc.collect()
    assert [w.category for w in caught] == [ResourceWarning]
    assert "unclosed <celadon.socket.socket fd=" in str(caught[0].message)
    with pytest.raises(OSError):
        os.fstat(fd)


def test_sockets_leave_nothing_behind():
    def use():
        one, other = connected()
        with one, other:
            one.sendall(b"x")
            other.recv(1)
            other.settimeout(0.001)
            with pytest.raises(TimeoutError):
                other.recv(1)

    # CPython's own tables grow first, free-threaded for longer.
    for _ in range(600 if FREE_THREADED else 10):
        use()
    grown = []
    while len(grown) < 5 and not (grown and grown[-1] < 100):
        # Tables may grow once more; what is left behind is so each time.
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(200):
            use()
        gc.collect()
        grown.append(sys.getallocatedblocks() - before)
    assert grown[-1] < 100, grown


# ---- threads


def test_a_socket_used_by_two_threads_and_their_greenlets():
    one, other = connected()
    got = []

    def run():
        def read():
            got.append((threading.get_ident(), other.recv(1)))

        jobs = [spawn(read) for _ in range(3)]
        for job in jobs:
            job.join()

    threads = [threading.Thread(target=run) for _ in range(2)]
    with one, other:
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        for n in range(6):
            one.send(b"%d" % n)
            time.sleep(0.01)
        for thread in threads:
            thread.join(10)
        assert sorted(data for _, data in got) == [
            b"%d" % n for n in range(6)
        ]


def test_threads_without_greenlets():
    with listening() as listener:
        def serve():
            conn, _ = listener.accept()
            with conn:
                while data := conn.recv(100):
                    conn.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        with socket.create_connection(listener.getsockname()) as client:
            for _ in range(100):
                client.sendall(b"x" * 50)
                assert client.recv(100) == b"x" * 50
        thread.join(10)
        assert not thread.is_alive()


def test_close_wakes_the_waiters_of_other_threads():
    one, other = connected()
    ended = []

    def read():
        try:
            other.recv(1)
        except OSError as error:
            ended.append(error.errno)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    job = spawn(read)
    sleep(0.1)
    other.close()
    job.join()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert ended == [9, 9, 9]
    one.close()


# ---- forks


def test_a_child_uses_and_closes_its_copies():
    with listening() as listener:
        client = socket.create_connection(listener.getsockname())
        conn, _ = listener.accept()
        reader = spawn(client.recv, 100)
        sleep(0.01)

        def child():
            listener.close()
            conn.sendall(b"from the child")
            conn.close()

        pid = fork(child)
        assert reader.get() == b"from the child"
        _, status = os.waitpid(pid, 0)
        assert status == 0
        conn.sendall(b"from the parent")
        assert client.recv(100) == b"from the parent"
        client.close()
        conn.close()


def test_the_current_greenlet_is_what_waits():
    one, other = socket.socketpair()
    with one, other:
        waiters = []

        def read():
            waiters.append(getcurrent())
            return other.recv(1)

        job = spawn(read)
        sleep(0.01)
        one.send(b"x")
        assert job.get() == b"x"
        assert waiters == [job]


def test_timeouts_read_as_they_were_set():
    with socket.socket() as s, stdlib.socket() as real:
        for value in (None, 0, 1, 2.5, 0.1, 1e-9, 1e-10, 3.3333333, True):
            s.settimeout(value)
            real.settimeout(value)
            assert s.gettimeout() == real.gettimeout() == s.timeout
            assert s.getblocking() == real.getblocking()
        for flag in (True, False, 1, 0):
            s.setblocking(flag)
            real.setblocking(flag)
            assert s.gettimeout() == real.gettimeout()
        for bad in (-1, -0.5, math.nan, "1", 1e30, 1 << 70, [], 1e10):
            with pytest.raises(Exception) as theirs:
                real.settimeout(bad)
            with pytest.raises(theirs.type):
                s.settimeout(bad)
    with socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as s:
        assert s.gettimeout() == 0
        assert s.type == socket.SOCK_STREAM
