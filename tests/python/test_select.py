"""select, poll, epoll and selectors, beside the standard library's."""

import errno
import os
import select as stdlib
import selectors as stdlib_selectors
import time

import pytest
from celadon import select, selectors, socket
from celadon._core import (
    Timeout,
    cancel_wait,
    sleep,
    spawn,
    wait_read,
    wait_readwrite,
    wait_write,
)


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            pass


def soon(function, *args):
    """Call *function* in another greenlet in a moment."""
    return spawn(lambda: (sleep(0.02), function(*args)))


# ---- select


def test_select_returns_the_very_objects(pair):
    one, other = pair
    assert select.select([one], [other], [one], 0) == ([], [other], [])
    other.send(b"x")
    fd = one.fileno()
    assert select.select([one, fd], [], []) == ([one, fd], [], [])
    assert select.select((one,), {other}, iter([])) == ([one], [other], [])


def test_select_waits_for_any(pair, pipe):
    one, other = pair
    job = soon(os.write, pipe[1], b"x")
    assert select.select([one, pipe[0]], [], [], 5) == ([pipe[0]], [], [])
    job.join()
    job = soon(other.send, b"x")
    os.read(pipe[0], 1)
    assert select.select([one, pipe[0]], [], [], 5) == ([one], [], [])
    job.join()


def test_select_times_out(pair):
    one, _ = pair
    start = time.monotonic()
    assert select.select([one], [], [], 0.05) == ([], [], [])
    assert 0.045 < time.monotonic() - start < 10


def test_select_on_what_was_read_before(pair):
    # The loop has seen the edge of data that is gone.
    one, other = pair
    reader = spawn(one.recv, 100)
    sleep(0.01)
    other.send(b"x")
    reader.join()
    assert select.select([one], [], [], 0.02) == ([], [], [])
    job = soon(other.send, b"y")
    assert select.select([one], [], [], 5) == ([one], [], [])
    job.join()
    os.read(one.fileno(), 1)
    assert select.select([one], [], [], 0.02) == ([], [], [])


def test_select_for_writing_does_not_spin_on_a_hang_up(pipe):
    os.close(pipe[1])
    assert select.select([pipe[0]], [], [], 1) == ([pipe[0]], [], [])
    start = time.process_time()
    assert select.select([], [], [pipe[0]], 0.5) == ([], [], [])
    # The collector may take its turn meanwhile.
    assert time.process_time() - start < 0.25


def test_select_of_urgent_data():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    with one, other:
        job = soon(one.send, b"!", socket.MSG_OOB)
        assert select.select([], [], [other], 5) == ([], [], [other])
        job.join()


class Odd:
    def __init__(self, result):
        self.result = result

    def fileno(self):
        return self.result


@pytest.mark.parametrize(
    "arguments",
    [
        (1, [], []),
        ([object()], [], []),
        ([-1], [], []),
        ([Odd("x")], [], []),
        ([Odd(-1)], [], []),
        ([], [], [], -1),
        ([], [], [], "x"),
        (["closed"], [], [], 0),
        ([], []),
        (),
    ],
)
def test_mistakes_end_as_in_the_standard_library(arguments):
    if arguments and arguments[0] == ["closed"]:
        fd = os.dup(0)
        os.close(fd)
        arguments = ([fd], *arguments[1:])
    with pytest.raises(Exception) as theirs:
        stdlib.select(*arguments)
    with pytest.raises(theirs.type) as ours:
        select.select(*arguments)
    if theirs.type is not TypeError:
        assert str(ours.value) == str(theirs.value)


def test_select_goes_beyond_fd_setsize(pair):
    one, _ = pair
    try:
        fd = os.dup2(one.fileno(), 1500)
    except OSError:
        pytest.skip("not so many descriptors allowed here")
    try:
        assert select.select([], [fd], [], 1) == ([], [fd], [])
    finally:
        os.close(fd)


def test_other_greenlets_run_while_one_polls(pair):
    one, _ = pair
    ticks = []

    def tick():
        while True:
            ticks.append(1)
            sleep(0)

    job = spawn(tick)
    for _ in range(500):
        select.select([one], [], [], 0)
    job.kill()
    assert len(ticks) >= 5


# ---- poll


def test_poll(pair):
    one, other = pair
    poller = select.poll()
    poller.register(one, stdlib.POLLIN)
    poller.register(other.fileno())
    assert poller.poll(0) == [(other.fileno(), stdlib.POLLOUT)]
    poller.modify(other, stdlib.POLLIN)
    assert poller.poll(10) == []
    job = soon(other.send, b"x")
    assert poller.poll() == [(one.fileno(), stdlib.POLLIN)]
    job.join()
    assert poller.poll(None) == poller.poll(-1) == poller.poll(5.5)
    poller.unregister(one)
    assert poller.poll(0) == []
    other.close()


def test_poll_reports_what_is_closed(pair):
    one, _ = pair
    poller = select.poll()
    fd = one.fileno()
    poller.register(fd, stdlib.POLLIN)
    waiting = spawn(poller.poll)
    sleep(0.01)
    one.close()
    assert waiting.get(timeout=5) == [(fd, stdlib.POLLNVAL)]
    assert poller.poll(1000) == [(fd, stdlib.POLLNVAL)]


def test_poll_of_the_peers_end(pair):
    one, other = pair
    poller = select.poll()
    poller.register(one, stdlib.POLLIN | stdlib.POLLRDHUP)
    job = soon(other.close)
    [(fd, events)] = poller.poll(5000)
    assert fd == one.fileno()
    assert events & stdlib.POLLRDHUP
    job.join()


def test_poll_mistakes(pair):
    one, _ = pair
    for name, arguments in {
        "register": ("x",),
        "modify": (one, 1),
        "unregister": (one,),
        "poll": (1 << 62,),
    }.items():
        with pytest.raises(Exception) as theirs:
            getattr(stdlib.poll(), name)(*arguments)
        with pytest.raises(theirs.type):
            getattr(select.poll(), name)(*arguments)
    with pytest.raises(TypeError):
        select.poll().poll("x")
    for mask in (-1, 1 << 16, "x"):
        with pytest.raises(Exception) as theirs:
            stdlib.poll().register(one, mask)
        with pytest.raises(theirs.type):
            select.poll().register(one, mask)


@pytest.mark.parametrize("timeout", [1 << 31, 1 << 43, 1 << 44, -(1 << 31)])
def test_the_longest_poll(pair, timeout):
    one, _ = pair
    found = []
    for poller in stdlib.poll(), select.poll():
        poller.register(one, stdlib.POLLOUT)
        try:
            found.append(poller.poll(timeout))
        except OverflowError:
            found.append(OverflowError)
    assert found[0] == found[1]


def test_a_killed_poll_leaves_nothing_armed(pair):
    one, other = pair
    poller = select.poll()
    poller.register(one, stdlib.POLLIN)
    job = spawn(poller.poll)
    sleep(0.01)
    job.kill()
    with pytest.raises(Timeout), Timeout(0.01):
        poller.poll()
    other.send(b"x")
    assert poller.poll() == [(one.fileno(), stdlib.POLLIN)]


# ---- epoll


def test_epoll(pair):
    one, other = pair
    with select.epoll() as poller:
        assert poller.fileno() >= 0
        poller.register(one, select.EPOLLIN)
        poller.register(other, select.EPOLLIN)
        assert poller.poll(0) == []
        assert poller.poll(0.02) == []
        job = soon(other.send, b"x")
        assert poller.poll() == [(one.fileno(), select.EPOLLIN)]
        assert poller.poll(timeout=-1, maxevents=1) != []
        job.join()
        poller.modify(one, select.EPOLLOUT)
        assert poller.poll(1) == [(one.fileno(), select.EPOLLOUT)]
        poller.unregister(one)
        assert poller.poll(0) == []
    assert poller.closed
    with pytest.raises(ValueError):
        poller.poll(0)
    with pytest.raises(ValueError):
        poller.fileno()


def test_closing_an_epoll_ends_its_wait(pair):
    one, _ = pair
    poller = select.epoll()
    poller.register(one, select.EPOLLIN)
    job = spawn(poller.poll)
    sleep(0.01)
    poller.close()
    with pytest.raises((OSError, ValueError)):
        job.get(timeout=5)


def test_epoll_fromfd():
    with select.epoll() as first:
        second = select.epoll.fromfd(os.dup(first.fileno()))
        assert second.poll(0) == []
        second.close()


# ---- selectors


@pytest.mark.parametrize(
    "name",
    ["DefaultSelector", "EpollSelector", "PollSelector", "SelectSelector"],
)
def test_selectors(name, pair):
    one, other = pair
    cls = getattr(selectors, name)
    assert issubclass(cls, stdlib_selectors.BaseSelector)
    with cls() as selector:
        selector.register(one, selectors.EVENT_READ, "data")
        assert selector.select(0) == []
        assert selector.select(0.01) == []
        job = soon(other.send, b"x")
        [(key, events)] = selector.select()
        assert (key.fileobj, key.data) == (one, "data")
        assert events == selectors.EVENT_READ
        job.join()
        selector.modify(one, selectors.EVENT_WRITE)
        [(key, events)] = selector.select(5)
        assert events == selectors.EVENT_WRITE


def test_an_event_loop_in_a_greenlet():
    # asyncio beside other greenlets, over our selector.
    import asyncio

    async def work():
        while len(ticks) < 3:
            await asyncio.sleep(0.005)
        return "done"

    ticks = []

    def tick():
        while True:
            ticks.append(1)
            sleep(0.005)

    loop = asyncio.SelectorEventLoop(selectors.DefaultSelector())
    job = spawn(tick)
    try:
        assert loop.run_until_complete(work()) == "done"
    finally:
        loop.close()
        job.kill()


# ---- bare descriptors


def test_wait_read_and_wait_write(pipe):
    reading, writing = pipe
    wait_write(writing, timeout=1)
    wait_readwrite(writing)
    job = soon(os.write, writing, b"x")
    wait_read(reading)
    job.join()
    wait_read(reading, 1)
    os.read(reading, 1)
    with pytest.raises(TimeoutError, match="^timed out$"):
        wait_read(reading, 0.01)
    with pytest.raises(KeyError):
        wait_read(reading, 0.01, KeyError)
    with pytest.raises(KeyError, match="mine"):
        wait_read(reading, timeout=0.01, timeout_exc=KeyError("mine"))


def test_wait_read_of_a_file(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        wait_read(file.fileno())
        wait_write(file.fileno())


def test_wait_mistakes():
    for arguments in ((), ("x",), (-1,), (1, "x"), (1, 2, 3, 4)):
        with pytest.raises((TypeError, ValueError)):
            wait_read(*arguments)
    with pytest.raises(OSError) as caught:
        wait_read(987)
    assert caught.value.errno == errno.EBADF


def test_cancel_wait(pair, pipe):
    one, other = pair
    jobs = [spawn(wait_read, pipe[0]), spawn(wait_read, pipe[0])]
    sleep(0.01)
    socket.cancel_wait(pipe[0])
    for job in jobs:
        with pytest.raises(OSError) as caught:
            job.get(timeout=5)
        assert caught.value.errno == errno.EBADF
    job = spawn(wait_read, one.fileno())
    sleep(0.01)
    cancel_wait(one, errno.ECONNABORTED)
    with pytest.raises(ConnectionAbortedError):
        job.get(timeout=5)
    reader = spawn(one.recv, 1)
    sleep(0.01)
    other.send(b"x")
    assert reader.get(timeout=5) == b"x"


def test_closing_a_socket_ends_wait_read(pair):
    one, _ = pair
    job = spawn(wait_read, one.fileno())
    sleep(0.01)
    one.close()
    with pytest.raises(OSError) as caught:
        job.get(timeout=5)
    assert caught.value.errno == errno.EBADF


def test_all_names_of_the_standard_library_are_there():
    for ours, theirs in ((select, stdlib), (selectors, stdlib_selectors)):
        missing = [
            name
            for name in vars(theirs)
            if not name.startswith("_") and not hasattr(ours, name)
        ]
        assert not missing
