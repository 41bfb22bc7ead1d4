"""Names, looked up while other greenlets run."""

import socket as stdlib
import threading

import pytest
from celadon import socket
from celadon._core import sleep, spawn


def same(name, *arguments):
    """Compare a function of ours with the standard library's."""
    try:
        theirs = getattr(stdlib, name)(*arguments)
    except Exception as error:
        with pytest.raises(type(error)) as caught:
            getattr(socket, name)(*arguments)
        assert str(caught.value) == str(error)
    else:
        assert getattr(socket, name)(*arguments) == theirs


@pytest.mark.parametrize(
    "arguments",
    [
        ("localhost", 80),
        ("localhost", "http"),
        ("127.0.0.1", 80),
        (b"127.0.0.1", 80),
        ("::1", 80),
        ("127.1", 80),
        (None, 80),
        ("", 80),
        ("localhost", None),
        ("localhost", 80, stdlib.AF_INET),
        ("localhost", 80, 0, stdlib.SOCK_STREAM),
        ("localhost", 80, 0, 0, stdlib.IPPROTO_TCP),
        ("localhost", 80, 0, 0, 0, stdlib.AI_NUMERICHOST),
        (None, 0, 0, 0, 0, stdlib.AI_PASSIVE),
        (None, None),
        (5, 80),
        ("localhost", []),
        ("localhost", "no such service"),
        ("x" * 300, 80),
        ("a..b", 80),
        ("nul\0", 80),
        ("name.invalid", 80),
    ],
)
def test_getaddrinfo(arguments):
    same("getaddrinfo", *arguments)


def test_getaddrinfo_by_keyword():
    assert socket.getaddrinfo(
        host="localhost", port=1, type=stdlib.SOCK_DGRAM
    ) == stdlib.getaddrinfo(host="localhost", port=1, type=stdlib.SOCK_DGRAM)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "name.invalid"])
@pytest.mark.parametrize(
    "name", ["gethostbyname", "gethostbyname_ex", "gethostbyaddr"]
)
def test_gethostby(name, host):
    same(name, host)


def test_getnameinfo_and_getfqdn():
    same("getnameinfo", ("127.0.0.1", 80), stdlib.NI_NUMERICHOST)
    same("getnameinfo", ("127.0.0.1", 80), 0)
    same("getnameinfo", "x", 0)
    same("getfqdn")
    same("getfqdn", "localhost")


def test_numbers_and_localhost_need_no_thread():
    before = threading.active_count(), threads()
    socket.getaddrinfo("127.0.0.1", 80)
    socket.getaddrinfo("localhost", 80)
    socket.gethostbyname("127.0.0.1")
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.connect(s.getsockname())
    assert (threading.active_count(), threads()) == before


def threads():
    """Return how many threads this process has."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("Threads:"):
                return int(line.split()[1])
    return 0


def open_after_ticks(gate):
    """Let the event *gate* be set by a greenlet that runs again and again."""
    for _ in range(5):
        sleep(0.001)
    gate.set()


def test_others_run_during_slow_lookups(monkeypatch):
    gate = threading.Event()
    together = threading.Barrier(5)

    def slowly(*arguments):
        together.wait(10)
        assert gate.wait(10)
        return [(2, 1, 6, "", ("127.0.0.1", 9))]

    monkeypatch.setattr(socket, "_getaddrinfo", slowly)
    spawn(open_after_ticks, gate)
    jobs = [spawn(socket.getaddrinfo, "slow.invalid", 9) for _ in range(5)]
    for job in jobs:
        assert job.get() == [(2, 1, 6, "", ("127.0.0.1", 9))]


def test_connecting_to_a_name_looks_it_up_on_a_thread(monkeypatch):
    import _socket

    def slowly(*arguments):
        assert gate.wait(10)
        return original("127.0.0.1", *arguments[1:])

    original = _socket.getaddrinfo
    monkeypatch.setattr(_socket, "getaddrinfo", slowly)
    gate = threading.Event()
    spawn(open_after_ticks, gate)
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(("slow.invalid", listener.getsockname()[1]))
        assert client.getpeername() == listener.getsockname()
    gate.clear()
    spawn(open_after_ticks, gate)
    with socket.socket() as bound:
        bound.bind(("slow.invalid", 0))
        assert bound.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("method", ["connect", "connect_ex", "bind"])
def test_names_that_do_not_exist(method):
    with socket.socket() as s, pytest.raises(stdlib.gaierror):
        getattr(s, method)(("name.invalid", 9))
