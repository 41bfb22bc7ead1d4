"""Sockets of greenlets: what they do, beside the standard library's own."""

import array
import contextlib
import gc
import os
import socket as stdlib
import time
import weakref

import pytest
from celadon import socket
from celadon._core import sleep, spawn

LOCALHOST = ("127.0.0.1", 0)


@pytest.fixture(params=["unix", "inet", "inet6"])
def pair(request):
    """Two connected stream sockets."""
    if request.param == "unix":
        one, other = socket.socketpair()
    else:
        one, other = connected(request.param)
    with one, other:
        yield one, other


def listening(family="inet"):
    """Return a socket that listens on the loopback interface."""
    listener = socket.socket(
        socket.AF_INET6 if family == "inet6" else socket.AF_INET
    )
    try:
        listener.bind(("::1" if family == "inet6" else "127.0.0.1", 0))
    except OSError:
        listener.close()
        pytest.skip("no IPv6 here")
    listener.listen(100)
    return listener


def connected(family="inet"):
    """Return two sockets connected with TCP."""
    with listening(family) as listener:
        one = socket.socket(listener.family)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    return one, other


# ---- being one


def test_is_a_socket_of_the_standard_library():
    with socket.socket() as s:
        assert isinstance(s, stdlib.socket)
        assert isinstance(s, stdlib.SocketType)
        assert s.family is stdlib.AF_INET
        assert s.type is stdlib.SOCK_STREAM
        assert s.proto == 0
        assert s.timeout is None
        assert s.getblocking()
        assert type(s).__module__ == "celadon.socket"
        assert repr(s).startswith("<celadon.socket.socket fd=")
        assert weakref.ref(s)() is s


def test_descriptor_is_non_blocking_and_not_inherited():
    for s in (socket.socket(), *socket.socketpair(), *connected()):
        with s:
            assert not os.get_blocking(s.fileno())
            assert not os.get_inheritable(s.fileno())


def test_subclasses_keep_their_own_parts():
    class Sub(socket.socket):
        def __init__(self, *args, **kwargs):
            self.extra = []
            super().__init__(*args, **kwargs)

    with Sub() as s:
        s.extra.append(s)
        ref = weakref.ref(s)
    del s
    gc.collect()
    assert ref() is None


def test_all_names_of_the_standard_library_are_there():
    missing = [name for name in stdlib.__all__ if not hasattr(socket, name)]
    assert not missing
    assert set(stdlib.__all__) <= set(socket.__all__)


# ---- streams


def test_echo(pair):
    one, other = pair

    def echo():
        while data := other.recv(1024):
            other.sendall(data)
        other.close()

    server = spawn(echo)
    for size in (1, 64, 1000):
        one.sendall(b"x" * size)
        assert one.recv(4096) == b"x" * size
    one.shutdown(socket.SHUT_WR)
    assert one.recv(1) == b""
    server.join()


def test_a_large_transfer_arrives_whole(pair):
    one, other = pair
    data = os.urandom(1 << 20) * 3
    sender = spawn(one.sendall, data)
    got = bytearray()
    while len(got) < len(data):
        got += other.recv(100_000)
    assert got == data
    sender.get()


def test_recv_into_and_memoryviews(pair):
    one, other = pair
    one.sendall(memoryview(b"abcdefgh")[2:6])
    buffer = bytearray(b"........")
    assert other.recv_into(buffer, 2) == 2
    assert other.recv_into(memoryview(buffer)[4:]) == 2
    assert buffer == b"cd..ef.."
    one.send(array.array("i", [1, 2]))
    assert other.recv(100) == array.array("i", [1, 2]).tobytes()


def test_waitall_waits_for_all(pair):
    one, other = pair

    def trickle():
        for part in (b"ab", b"cd", b"ef"):
            one.sendall(part)
            sleep(0.01)

    sender = spawn(trickle)
    assert other.recv(6, socket.MSG_WAITALL) == b"abcdef"
    sender.join()
    one.sendall(b"xy")
    one.close()
    assert other.recv(6, socket.MSG_WAITALL) == b"xy"


def test_peek_leaves_everything(pair):
    one, other = pair
    reader = spawn(other.recv, 1)
    sleep(0.01)
    one.sendall(b"1abc")
    assert reader.get() == b"1"
    for _ in range(3):
        assert other.recv(100, socket.MSG_PEEK) == b"abc"
    assert other.recv(100) == b"abc"


def test_several_readers_are_served_in_order(pair):
    one, other = pair
    got = []
    readers = [
        spawn(lambda n=n: got.append((n, other.recv(1)))) for n in range(5)
    ]
    sleep(0.01)
    for n in range(5):
        one.sendall(b"%d" % n)
        sleep(0.005)
    for reader in readers:
        reader.join()
    assert got == [(n, b"%d" % n) for n in range(5)]


def test_several_writers_and_a_late_reader(pair):
    one, other = pair
    chunk = 300_000
    writers = [spawn(one.sendall, bytes([65 + n]) * chunk) for n in range(4)]
    sleep(0.01)
    got = bytearray()
    while len(got) < 4 * chunk:
        got += other.recv(65536)
    for writer in writers:
        writer.get()
    assert sorted(set(got)) == [65, 66, 67, 68]


def test_both_directions_at_once(pair):
    one, other = pair
    data = b"z" * 2_000_000

    def drain(s):
        n = 0
        while n < len(data):
            n += len(s.recv(65536))
        return n

    jobs = [
        spawn(one.sendall, data),
        spawn(other.sendall, data),
        spawn(drain, one),
        spawn(drain, other),
    ]
    assert [job.get() for job in jobs][2:] == [len(data)] * 2


def test_a_call_that_need_not_wait_lets_others_run(pair):
    one, other = pair
    ticks = []

    def tick():
        while True:
            ticks.append(1)
            sleep(0)

    ticker = spawn(tick)
    for _ in range(1000):
        one.send(b"x")
        other.recv(1)
    ticker.kill()
    assert len(ticks) >= 10


def test_makefile_keeps_the_descriptor_open(pair):
    one, other = pair
    file = one.makefile("rwb")
    one.close()
    assert one.fileno() >= 0
    other.sendall(b"line\nrest")
    assert file.readline() == b"line\n"
    file.write(b"answer\n")
    file.flush()
    assert other.recv(100) == b"answer\n"
    file.close()
    assert one.fileno() == -1
    assert other.recv(1) == b""


def test_makefile_waits_like_the_socket(pair):
    one, other = pair
    with one.makefile("r") as file:
        reader = spawn(file.readline)
        sleep(0.01)
        other.sendall(b"half ")
        sleep(0.01)
        other.sendall(b"line\n")
        assert reader.get() == "half line\n"


def test_passed_descriptors_end_a_read_but_not_the_data():
    one, other = socket.socketpair()
    with one, other:
        waiting = spawn(other.recv, 1)
        sleep(0.01)
        one.send(b"0")
        assert waiting.get() == b"0"
        socket.send_fds(one, [b"abc"], [0])
        one.send(b"def")
        assert other.recv(100) == b"abc"
        # The edge that announced all of it is long gone.
        reader = spawn(other.recv, 100)
        reader.join(1)
        assert reader.ready()
        assert reader.get() == b"def"
        socket.send_fds(one, [b"x"], [0, 1])
        data, fds, _, _ = socket.recv_fds(other, 10, 2)
        assert data == b"x"
        assert len(fds) == 2
        for fd in fds:
            os.close(fd)


def test_urgent_data_ends_a_read_but_not_the_data():
    one, other = connected()
    with one, other:
        reader = spawn(other.recv, 1)
        sleep(0.01)
        one.send(b"0")
        reader.join()
        one.send(b"abc")
        one.send(b"!", socket.MSG_OOB)
        one.send(b"def")
        sleep(0.05)
        assert other.recv(1, socket.MSG_OOB) == b"!"
        assert other.recv(100) == b"abc"
        reader = spawn(other.recv, 100)
        reader.join(1)
        assert reader.get(block=False) == b"def"


def test_data_and_the_end_that_come_together(pair):
    one, other = pair
    reader = spawn(lambda: [other.recv(100), other.recv(100)])
    sleep(0.01)
    one.sendall(b"last words")
    one.close()
    assert reader.get() == [b"last words", b""]


# ---- datagrams


def test_datagrams_keep_their_bounds():
    with udp() as one, udp() as other:
        got = spawn(lambda: [other.recvfrom(100) for _ in range(3)])
        sleep(0.01)
        for data in (b"a", b"", b"ccc"):
            assert one.sendto(data, other.getsockname()) == len(data)
        assert got.get() == [
            (data, one.getsockname()) for data in (b"a", b"", b"ccc")
        ]
        one.connect(other.getsockname())
        one.send(b"12345")
        buffer = bytearray(10)
        assert other.recvfrom_into(buffer, 3) == (3, one.getsockname())
        assert buffer[:4] == b"123\0"
        one.send(b"x" * 60_000)
        assert len(other.recv(65536)) == 60_000


def udp():
    """Return a bound datagram socket."""
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.bind(LOCALHOST)
    return s


def test_datagrams_to_a_name():
    with udp() as one, udp() as other:
        one.sendto(b"hello", ("localhost", other.getsockname()[1]))
        assert other.recv(10) == b"hello"
        one.sendto(b"flags", 0, ("localhost", other.getsockname()[1]))
        assert other.recv(10) == b"flags"


def test_unix_datagrams_wait_for_a_slow_receiver(tmp_path):
    path = str(tmp_path / "receiver")
    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        other.bind(path)

        def send():
            for n in range(200):
                one.sendto(b"%d" % n, path)

        sender = spawn(send)
        sleep(0.05)
        got = [other.recvfrom(10) for _ in range(200)]
        assert [data for data, _ in got] == [b"%d" % n for n in range(200)]
        sender.get()


def test_a_unix_queue_that_others_filled_is_waited_for_asleep(tmp_path):
    path = str(tmp_path / "receiver")
    filler, one, other = (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3)
    )
    with filler, one, other:
        other.bind(path)
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                filler.sendto(b"full", path)
        sender = spawn(one.sendto, b"more", path)
        sleep(0)
        before = time.process_time()
        sleep(0.3)
        # Some thirty attempts; one after another were as long as the sleep.
        assert time.process_time() - before < 0.15
        while other.recv(10) != b"more":
            pass
        assert sender.get() == 4


# ---- connections


@pytest.mark.parametrize("family", ["inet", "inet6"])
def test_accept_and_connect(family):
    with listening(family) as listener:
        accepted = spawn(listener.accept)
        sleep(0.01)
        client = socket.socket(listener.family)
        with client:
            client.connect(listener.getsockname())
            conn, address = accepted.get()
            with conn:
                assert address == client.getsockname()
                assert conn.getpeername() == address
                assert type(conn) is socket.socket
                assert conn.family == listener.family
                assert conn.type == socket.SOCK_STREAM
                assert conn.gettimeout() is None


@pytest.mark.parametrize("name", ["path", "abstract", "bytes"])
def test_unix_listeners(tmp_path, name):
    address = {
        "path": str(tmp_path / "listener"),
        "abstract": b"\0celadon-test-%d" % os.getpid(),
        "bytes": os.fsencode(str(tmp_path / "listener")),
    }[name]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(1)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)
            conn, peer = listener.accept()
            with conn:
                assert peer == ""
                conn.sendall(b"hi")
                assert client.recv(10) == b"hi"


def test_connect_waits_for_room_in_a_unix_backlog(tmp_path):
    path = str(tmp_path / "listener")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        clients = [
            stack.enter_context(socket.socket(socket.AF_UNIX))
            for _ in range(4)
        ]
        jobs = [spawn(client.connect, path) for client in clients]
        sleep(0.02)
        for _ in clients:
            stack.enter_context(listener.accept()[0])
        for job in jobs:
            job.get()
        late = stack.enter_context(socket.socket(socket.AF_UNIX))
        late.connect(path)
        later = stack.enter_context(socket.socket(socket.AF_UNIX))
        later.settimeout(0.02)
        assert later.connect_ex(path) == 11


def test_what_accept_returns_has_the_default_timeout():
    with listening() as listener:
        listener.settimeout(5)
        client = socket.create_connection(listener.getsockname())
        conn, _ = listener.accept()
        with client, conn:
            assert conn.gettimeout() is None
    socket.setdefaulttimeout(3.5)
    try:
        one, other = connected()
        with one, other:
            assert one.gettimeout() == other.gettimeout() == 3.5
    finally:
        socket.setdefaulttimeout(None)


def test_raw_accept_gives_a_blocking_descriptor():
    with listening() as listener:
        with socket.create_connection(listener.getsockname()) as client:
            fd, address = listener._accept()
            assert address == client.getsockname()
            assert os.get_blocking(fd)
            os.close(fd)


def test_create_connection_and_create_server():
    with socket.create_server(("localhost", 0)) as listener:
        assert type(listener) is socket.socket
        address = ("localhost", listener.getsockname()[1])
        with socket.create_connection(address, timeout=5) as client:
            assert type(client) is socket.socket
            assert client.gettimeout() == 5
            listener.accept()[0].close()
            assert client.recv(1) == b""


def test_a_thousand_connections():
    with listening() as listener, contextlib.ExitStack() as stack:
        count = 400 if limit() < 1100 else 1000

        def serve():
            for _ in range(count):
                conn, _ = listener.accept()
                stack.enter_context(conn)
                spawn(echo, conn)

        def echo(conn):
            while data := conn.recv(100):
                conn.sendall(data)

        def client(n):
            with socket.socket() as s:
                s.connect(listener.getsockname())
                for _ in range(3):
                    s.sendall(b"%d" % n)
                    assert s.recv(100) == b"%d" % n
                    sleep(0.001)

        server = spawn(serve)
        clients = [spawn(client, n) for n in range(count)]
        for job in (server, *clients):
            job.get(timeout=60)


def limit():
    """Return how many descriptors may be open, halved for both ends."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2200:
        soft = min(hard, 4096) if hard > 0 else 4096
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft // 2


# ---- files


def test_sendfile(tmp_path, pair):
    one, other = pair
    data = os.urandom(700_000)
    path = tmp_path / "file"
    path.write_bytes(data)

    def receive(count):
        got = bytearray()
        while len(got) < count:
            got += other.recv(65536)
        return got

    with path.open("rb") as file:
        job = spawn(receive, len(data))
        assert one.sendfile(file) == len(data)
        assert file.tell() == len(data)
        assert job.get() == data
        job = spawn(receive, 1000)
        assert one.sendfile(file, offset=500, count=1000) == 1000
        assert file.tell() == 1500
        assert job.get() == data[500:1500]
        assert one.sendfile(file, offset=len(data)) == 0
        with pytest.raises(ValueError):
            one.sendfile(file, count=-1)
        with pytest.raises(TypeError):
            one.sendfile(file, count=1.5)
    with path.open("r") as file, pytest.raises(ValueError):
        one.sendfile(file)


def test_sendfile_of_what_is_no_file(pair):
    import io

    one, other = pair
    job = spawn(lambda: other.recv(10))
    assert one.sendfile(io.BytesIO(b"abc")) == 3
    assert job.get() == b"abc"


def test_sendfile_times_out(tmp_path, pair):
    one, _ = pair
    path = tmp_path / "file"
    path.write_bytes(bytes(20_000_000))
    one.settimeout(0.05)
    with path.open("rb") as file, pytest.raises(TimeoutError):
        one.sendfile(file)
    one.settimeout(0)
    with path.open("rb") as file, pytest.raises(ValueError):
        one.sendfile(file)


# ---- messages


def test_sendmsg_and_recvmsg(pair):
    one, other = pair
    job = spawn(other.recvmsg, 100, 100)
    sleep(0.01)
    assert one.sendmsg([b"abc", b"def"]) == 6
    data, ancillary, _, _ = job.get()
    assert (data, ancillary) == (b"abcdef", [])
    one.sendmsg([b"12345678"])
    first, second = bytearray(3), bytearray(10)
    count, _, _, _ = other.recvmsg_into([first, second])
    assert (count, first, second[:5]) == (8, b"123", b"45678")
    with pytest.raises(BlockingIOError):
        other.recvmsg(1, 0, socket.MSG_DONTWAIT)
