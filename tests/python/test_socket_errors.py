"""Sockets of greenlets: errors, compared with the standard library's."""

import errno
import fractions
import os
import resource
import socket as stdlib
import struct
import time

import pytest
from celadon import socket
from celadon._core import GreenletExit, Timeout, sleep, spawn
from support import run_script


def pair():
    return socket.socketpair()


def outcome(call, sockets):
    """Return what call(one, other, third) came to, in comparable form."""
    one, other, third = sockets
    try:
        with one, other, third:
            return "result", call(one, other, third)
    except Exception as error:
        return "error", type(error), str(error)


# Each is run with two connected unix sockets and an idle datagram socket.
CALLS = {
    name: call
    for name, call in {
        "recv nothing": lambda a, b, c: a.recv(),
        "recv of a str": lambda a, b, c: a.recv("x"),
        "recv of a float": lambda a, b, c: a.recv(1.0),
        "recv negative": lambda a, b, c: a.recv(-1),
        "recv of three": lambda a, b, c: a.recv(1, 2, 3),
        "recv huge": lambda a, b, c: a.recv(1 << 70),
        "recv no bytes": lambda a, b, c: a.recv(0),
        "recv keyword": lambda a, b, c: a.recv(bufsize=1),
        "recv bad flags": lambda a, b, c: a.recv(1, "x"),
        "recv bool": lambda a, b, c: (a.send(b"xy"), b.recv(True)),
        "recv closed": lambda a, b, c: (a.close(), a.recv(1)),
        "recv_into bytes": lambda a, b, c: a.recv_into(b"x"),
        "recv_into nothing": lambda a, b, c: a.recv_into(),
        "recv_into small": lambda a, b, c: a.recv_into(bytearray(2), 3),
        "recv_into negative": lambda a, b, c: a.recv_into(bytearray(2), -1),
        "recv_into empty": lambda a, b, c: a.recv_into(bytearray()),
        "recv_into keywords": lambda a, b, c: (
            a.send(b"abc"),
            b.recv_into(buffer=bytearray(5), nbytes=2, flags=0),
        ),
        "recv_into bad keyword": lambda a, b, c: a.recv_into(
            bytearray(1), size=1
        ),
        "recvfrom": lambda a, b, c: (a.send(b"abc"), b.recvfrom(10)),
        "recvfrom negative": lambda a, b, c: a.recvfrom(-1),
        "recvfrom_into": lambda a, b, c: (
            a.send(b"abc"),
            b.recvfrom_into(bytearray(10)),
        ),
        "recvfrom_into small": lambda a, b, c: a.recvfrom_into(
            bytearray(2), 3
        ),
        "send nothing": lambda a, b, c: a.send(),
        "send str": lambda a, b, c: a.send("x"),
        "send None": lambda a, b, c: a.send(None),
        "send of three": lambda a, b, c: a.send(b"x", 0, 0),
        "send empty": lambda a, b, c: a.send(b""),
        "send closed": lambda a, b, c: (a.close(), a.send(b"x")),
        "send to nobody": lambda a, b, c: c.send(b"x"),
        "send to the closed": lambda a, b, c: (b.close(), a.send(b"x")),
        "sendall str": lambda a, b, c: a.sendall("x"),
        "sendall empty": lambda a, b, c: a.sendall(b""),
        "sendall result": lambda a, b, c: a.sendall(b"x"),
        "sendall to nobody": lambda a, b, c: c.sendall(b"x"),
        "sendto nothing": lambda a, b, c: c.sendto(),
        "sendto one": lambda a, b, c: c.sendto(b"x"),
        "sendto four": lambda a, b, c: c.sendto(b"x", 0, ("a", 1), 2),
        "sendto str": lambda a, b, c: c.sendto("x", ("127.0.0.1", 9)),
        "sendto bad flags": lambda a, b, c: c.sendto(
            b"x", "y", ("127.0.0.1", 9)
        ),
        "sendto bad address": lambda a, b, c: c.sendto(b"x", 5),
        "sendto bad port": lambda a, b, c: c.sendto(
            b"x", ("127.0.0.1", 70000)
        ),
        "sendto port str": lambda a, b, c: c.sendto(b"x", ("127.0.0.1", "9")),
        "connect int": lambda a, b, c: c.connect(5),
        "connect none": lambda a, b, c: c.connect(),
        "connect str": lambda a, b, c: c.connect("x"),
        "connect short": lambda a, b, c: c.connect(("127.0.0.1",)),
        "connect long": lambda a, b, c: c.connect(("127.0.0.1", 9, 9)),
        "connect port": lambda a, b, c: c.connect(("127.0.0.1", -1)),
        "connect list": lambda a, b, c: c.connect(["127.0.0.1", 9]),
        "connect host": lambda a, b, c: c.connect((None, 9)),
        "connect nul": lambda a, b, c: c.connect(("127.0.0.1\0", 9)),
        "connect again": lambda a, b, c: a.connect("/nowhere"),
        "connect closed": lambda a, b, c: (
            c.close(),
            c.connect(("127.0.0.1", 9)),
        ),
        "connect_ex": lambda a, b, c: a.connect_ex("/nowhere"),
        "connect long path": lambda a, b, c: a.connect("x" * 200),
        "bind twice": lambda a, b, c: (
            c.bind(("127.0.0.1", 0)),
            c.bind(("127.0.0.1", 0)),
        ),
        "bind int": lambda a, b, c: c.bind(3),
        "bind elsewhere": lambda a, b, c: c.bind(("203.0.113.1", 0)),
        "listen datagram": lambda a, b, c: c.listen(),
        "accept unheard": lambda a, b, c: a.accept(),
        "accept closed": lambda a, b, c: (a.close(), a.accept()),
        "accept arguments": lambda a, b, c: a.accept(1),
        "shutdown": lambda a, b, c: (
            a.shutdown(stdlib.SHUT_WR),
            b.recv(1),
            a.send(b"x"),
        ),
        "shutdown nobody": lambda a, b, c: c.shutdown(stdlib.SHUT_RD),
        "recvmsg negative": lambda a, b, c: a.recvmsg(-1),
        "recvmsg": lambda a, b, c: (a.send(b"abc"), b.recvmsg(10)),
        "recvmsg nothing": lambda a, b, c: a.recvmsg(),
        "recvmsg many": lambda a, b, c: a.recvmsg(1, 2, 3, 4),
        "recvmsg_into": lambda a, b, c: a.recvmsg_into([b"x"]),
        "sendmsg bytes": lambda a, b, c: a.sendmsg(b"x"),
        "sendmsg": lambda a, b, c: (a.sendmsg([b"x", b"y"]), b.recv(5)),
        "sendmsg address": lambda a, b, c: c.sendmsg([b"x"], [], 0, "x"),
        "peek": lambda a, b, c: (
            a.send(b"abc"),
            b.recv(2, stdlib.MSG_PEEK),
            b.recv(10),
        ),
        "trunc": lambda a, b, c: (
            c.bind(("127.0.0.1", 0)),
            c.connect(c.getsockname()),
            c.send(b"abcdef"),
            c.recv_into(bytearray(3), 3, stdlib.MSG_TRUNC),
        )[3],
        "not now": lambda a, b, c: a.recv(1, stdlib.MSG_DONTWAIT),
        "not now from": lambda a, b, c: c.recvfrom(1, stdlib.MSG_DONTWAIT),
        "never": lambda a, b, c: (a.setblocking(False), a.recv(1)),
        "never msg": lambda a, b, c: (a.setblocking(False), a.recvmsg(1)),
        "never accept": lambda a, b, c: (a.setblocking(False), a.accept()),
        "soon": lambda a, b, c: (a.settimeout(0.01), a.recv(1)),
        "soon from": lambda a, b, c: (c.settimeout(0.01), c.recvfrom(1)),
        "soon msg": lambda a, b, c: (a.settimeout(0.01), a.recvmsg(1)),
        "soon send": lambda a, b, c: (
            a.settimeout(0.05),
            a.sendall(bytes(20_000_000)),
        ),
        "full": lambda a, b, c: (
            a.setblocking(False),
            a.sendall(bytes(20_000_000)),
        ),
        "close twice": lambda a, b, c: (a.close(), a.close()),
        "fileno closed": lambda a, b, c: (a.close(), a.fileno()),
        "detach closed": lambda a, b, c: (a.close(), a.detach()),
        "getpeername": lambda a, b, c: c.getpeername(),
        "getsockname": lambda a, b, c: a.getsockname(),
        "settimeout none": lambda a, b, c: a.settimeout(),
        "settimeout closed": lambda a, b, c: (a.close(), a.settimeout(1)),
        "setblocking closed": lambda a, b, c: (
            a.close(),
            a.setblocking(True),
        ),
        "gettimeout closed": lambda a, b, c: (a.close(), a.gettimeout()),
        "settimeout past": lambda a, b, c: a.settimeout(-1),
        "settimeout str": lambda a, b, c: a.settimeout("x"),
        "settimeout fraction": lambda a, b, c: (
            a.settimeout(fractions.Fraction(3, 2)),
            a.gettimeout(),
        ),
        "sendall nothing": lambda a, b, c: a.sendall(),
        "sendall of three": lambda a, b, c: a.sendall(b"x", 0, 0),
        "settimeout complex": lambda a, b, c: a.settimeout(1j),
        "family": lambda a, b, c: (a.family, a.type, a.proto, c.family),
        "set attribute": lambda a, b, c: setattr(a, "family", 3),
        "new attribute": lambda a, b, c: setattr(c, "anything", 3),
        "delete": lambda a, b, c: delattr(a, "timeout"),
        "bad sendfile": lambda a, b, c: c.sendfile(open(os.devnull)),
        "bad fileno": lambda a, b, c: type(c)(fileno="x"),
        "negative fileno": lambda a, b, c: type(c)(fileno=-5),
        "closed fileno": lambda a, b, c: type(c)(fileno=987654),
        "bad family": lambda a, b, c: type(c)("x"),
        "unknown family": lambda a, b, c: type(c)(12345),
        "bad keyword": lambda a, b, c: type(c)(fd=1),
        "pickle": lambda a, b, c: __import__("pickle").dumps(c),
    }.items()
}

# Where the difference is meant, and why.
DIFFERENT = {
    # A class written in C words it differently from one in Python.
    "accept arguments": "text",
    "bad family": "text",
    "bad keyword": "text",
    "new attribute": "text",
    "delete": "text",
}


@pytest.mark.parametrize("name", CALLS)
def test_outcome_is_the_standard_librarys(name):
    call = CALLS[name]
    theirs = outcome(
        call,
        (*stdlib.socketpair(), stdlib.socket(type=stdlib.SOCK_DGRAM)),
    )
    ours = outcome(
        call, (*socket.socketpair(), socket.socket(type=socket.SOCK_DGRAM))
    )
    if name in DIFFERENT:
        theirs, ours = theirs[:2], ours[:2]
    assert ours == theirs


# ---- timeouts


def test_a_timeout_is_for_the_whole_sendall():
    one, other = pair()
    with one, other:
        def drip():
            while other.recv(4096):
                sleep(0.02)

        job = spawn(drip)
        one.settimeout(0.2)
        start = time.monotonic()
        with pytest.raises(TimeoutError, match="^timed out$"):
            one.sendall(bytes(50_000_000))
        assert 0.15 < time.monotonic() - start < 5
        job.kill()


def test_time_out_and_go_on():
    one, other = pair()
    with one, other:
        other.settimeout(0.01)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                other.recv(1)
        job = spawn(lambda: (sleep(0.02), one.send(b"x")))
        other.settimeout(5)
        assert other.recv(1) == b"x"
        job.join()


def test_accept_times_out():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.02)
        with pytest.raises(TimeoutError, match="^timed out$"):
            listener.accept()


def test_connect_times_out():
    # A full queue leaves further handshakes unanswered.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        clients = []
        try:
            for _ in range(4):
                s = socket.socket()
                clients.append(s)
                s.settimeout(0.5)
                code = s.connect_ex(address)
                if code:
                    break
            assert code == errno.EAGAIN
            s = socket.socket()
            clients.append(s)
            s.settimeout(0.05)
            with pytest.raises(TimeoutError, match="^timed out$"):
                s.connect(address)
            s = socket.socket()
            clients.append(s)
            s.setblocking(False)
            assert s.connect_ex(address) == errno.EINPROGRESS
        finally:
            for s in clients:
                s.close()


def test_gevents_timeout_ends_a_recv():
    one, other = pair()
    with one, other:
        with pytest.raises(Timeout):
            with Timeout(0.02):
                other.recv(1)
        one.send(b"x")
        assert other.recv(1) == b"x"


# ---- being killed


def test_killing_a_reader_loses_nothing():
    one, other = pair()
    with one, other:
        reader = spawn(other.recv, 10)
        sleep(0.01)
        one.send(b"data")
        reader.kill()
        assert isinstance(reader.value, GreenletExit)
        assert other.recv(10) == b"data"


@pytest.mark.parametrize("what", ["send", "accept", "connect", "recvfrom"])
def test_killing_a_waiter(what):
    one, other = pair()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    with one, other, listener:
        call = {
            "send": lambda: one.sendall(bytes(10_000_000)),
            "accept": listener.accept,
            "connect": lambda: [
                socket.socket().connect(listener.getsockname())
                for _ in range(10)
            ],
            "recvfrom": lambda: other.recvfrom(10),
        }[what]
        job = spawn(call)
        sleep(0.05)
        assert not job.ready()
        job.kill()
        assert job.ready()


# ---- closing


@pytest.mark.parametrize("kind", ["unix", "inet"])
@pytest.mark.parametrize("what", ["recv", "recv_into", "recvmsg", "sendall"])
def test_close_ends_the_waits_of_others_at_once(kind, what):
    if kind == "unix":
        one, other = pair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            one = socket.create_connection(listener.getsockname())
            other, _ = listener.accept()
    call = {
        "recv": lambda: one.recv(1),
        "recv_into": lambda: one.recv_into(bytearray(1)),
        "recvmsg": lambda: one.recvmsg(1),
        "sendall": lambda: one.sendall(bytes(50_000_000)),
    }[what]
    jobs = [spawn(call) for _ in range(2)]
    sleep(0.02)
    start = time.monotonic()
    one.close()
    for job in jobs:
        with pytest.raises(OSError) as caught:
            job.get(timeout=5)
        assert caught.value.errno == errno.EBADF
    assert time.monotonic() - start < 5
    other.close()


def test_close_ends_accept_and_connect():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    accepting = spawn(listener.accept)
    sleep(0.01)
    listener.close()
    with pytest.raises(OSError) as caught:
        accepting.get()
    assert caught.value.errno == errno.EBADF


def test_detach_ends_waits_too():
    one, other = pair()
    job = spawn(one.recv, 1)
    sleep(0.01)
    fd = one.detach()
    with pytest.raises(OSError) as caught:
        job.get()
    assert caught.value.errno == errno.EBADF
    os.close(fd)
    other.close()


def test_the_next_socket_of_the_number_gets_no_old_news():
    for _ in range(50):
        one, other = pair()
        job = spawn(one.recv, 1)
        sleep(0)
        other.send(b"x")
        fd = one.fileno()
        one.close()
        fresh, peer = pair()
        assert fd in (fresh.fileno(), peer.fileno())
        fresh.settimeout(0.001)
        with pytest.raises(TimeoutError):
            fresh.recv(1)
        job.join()
        for s in (other, fresh, peer):
            s.close()


def test_a_descriptor_closed_behind_our_back():
    one, other = pair()
    job = spawn(one.recv, 1)
    sleep(0.01)
    other.send(b"x")
    job.join()
    number = one.fileno()
    os.close(number)
    fresh, peer = pair()
    assert number in (fresh.fileno(), peer.fileno())
    mine, its = (fresh, peer) if fresh.fileno() == number else (peer, fresh)
    job = spawn(mine.recv, 10)
    sleep(0.01)
    its.send(b"new")
    assert job.get(timeout=5) == b"new"
    mine.close()
    its.close()
    with pytest.raises(OSError):
        one.close()
    other.close()


# ---- the peer


def tcp():
    """Return two sockets connected with TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    return one, other


def reset(s):
    """Close *s* so that its peer gets a reset."""
    s.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    s.close()


def test_the_peer_resets_in_mid_send():
    one, other = tcp()
    job = spawn(one.sendall, bytes(50_000_000))
    sleep(0.05)
    assert not job.ready()
    reset(other)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        job.get(timeout=5)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        one.sendall(b"x")
    one.close()


def test_the_peer_resets_a_reader():
    one, other = tcp()
    job = spawn(one.recv, 1)
    sleep(0.02)
    reset(other)
    with pytest.raises(ConnectionResetError):
        job.get(timeout=5)
    one.close()


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with socket.socket() as s:
        with pytest.raises(ConnectionRefusedError):
            s.connect(address)
    with socket.socket() as s:
        assert s.connect_ex(address) == errno.ECONNREFUSED


# ---- no descriptors left


STARVED = """
import os, resource, sys
from celadon import socket
from celadon._core import sleep, spawn

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
listener = socket.create_server(("127.0.0.1", 0), backlog=50)
clients = []
for _ in range(3):
    s = socket.socket()
    s.connect(listener.getsockname())
    clients.append(s)
hoard = []
while True:
    try:
        hoard.append(os.dup(0))
    except OSError:
        break
"""


def test_accept_outlasts_a_lack_of_descriptors():
    ended = run_script(
        STARVED
        + """
got = []
def serve():
    for _ in range(3):
        got.append(listener.accept())
job = spawn(serve)
sleep(0.2)
assert not job.ready() and not got
for fd in hoard:
    os.close(fd)
job.get(timeout=10)
for (s, _), client in zip(got, clients):
    s.sendall(b"x")
    assert client.recv(1) == b"x"
print("served", len(got))
""",
        patched=False,
    )
    assert ended.out == "served 3\n"
    [said] = ended.err.splitlines()
    assert said.startswith("celadon: accept on descriptor ")
    assert "Too many open files" in said


def test_accept_without_descriptors_says_so_at_its_timeout():
    ended = run_script(
        STARVED
        + """
import errno, time
for timeout in (0.1, 0):
    listener.settimeout(timeout)
    start = time.monotonic()
    try:
        listener.accept()
    except OSError as error:
        assert error.errno == errno.EMFILE, error
        assert time.monotonic() - start <= timeout + 10
        print("refused")
""",
        patched=False,
    )
    assert ended.out == "refused\nrefused\n"


def test_socket_without_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hoard = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        with pytest.raises(OSError) as caught:
            while True:
                hoard.append(socket.socket())
        assert caught.value.errno == errno.EMFILE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for s in hoard:
            s.close()
