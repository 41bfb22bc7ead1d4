"""Signals that come while greenlets wait, and KeyboardInterrupt."""

import os
import signal
import threading
import time

import pytest
from celadon import get_hub, sleep, spawn
from celadon._core import Event, getcurrent
from support import run_script


@pytest.fixture
def handled():
    """The numbers of the SIGUSR1 and SIGALRM that were handled."""
    seen = []
    old = {
        number: signal.signal(number, lambda n, frame: seen.append(n))
        for number in (signal.SIGUSR1, signal.SIGALRM)
    }
    yield seen
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in old.items():
        signal.signal(number, handler)


def later(seconds, function, *args):
    thread = threading.Timer(seconds, function, args)
    thread.start()
    return thread


def test_a_handler_runs_while_main_sleeps(handled):
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    sleep(0.1)
    assert handled == [signal.SIGALRM]


def test_a_sleep_lasts_though_signals_come(handled):
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    while len(handled) < 5:
        began = time.monotonic()
        sleep(0.1)
        assert time.monotonic() - began >= 0.1


def test_a_handler_runs_at_once_though_all_sleep(handled):
    event = Event()
    signal.signal(signal.SIGUSR1, lambda *unused: event.set())
    g = spawn(sleep, 100)
    sleep(0)
    thread = later(0.03, os.kill, os.getpid(), signal.SIGUSR1)
    assert event.wait(20)
    thread.join()
    g.kill()


def test_signals_to_another_thread_wake_main(handled):
    """The kernel may choose any thread; main's poll gets no EINTR then."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    later(0.02, signal.pthread_kill, thread.ident, signal.SIGUSR1).join()
    event = Event()
    signal.signal(signal.SIGUSR1, lambda *unused: event.set())
    sender = later(
        0.02, signal.pthread_kill, thread.ident, signal.SIGUSR1
    )
    assert event.wait(5)
    sender.join()
    done.set()
    thread.join()


def test_a_raised_exception_goes_to_main(handled):
    class Alarm(Exception):
        pass

    def ring(number, frame):
        raise Alarm

    signal.signal(signal.SIGALRM, ring)
    others = [spawn(sleep, 10) for _ in range(3)]
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    with pytest.raises(Alarm):
        sleep(5)
    assert not any(g.dead for g in others)
    for g in others:
        g.kill()


def test_a_handler_that_switches_nothing_sees_the_hub(handled):
    seen = []
    signal.signal(signal.SIGALRM, lambda *unused: seen.append(getcurrent()))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    sleep(0.05)
    assert seen in ([get_hub()], [getcurrent()])


def test_keyboard_interrupt_while_main_sleeps():
    ended = run_script(
        """
        import os, signal, threading
        from celadon import sleep, spawn
        others = [spawn(sleep, 100) for _ in range(3)]
        t = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        t.start()
        try:
            sleep(100)
        except KeyboardInterrupt:
            print("caught")
        """,
        patched=False,
    )
    assert ended.out == "caught\n" and ended.err == ""


def test_keyboard_interrupt_while_another_computes():
    ended = run_script(
        """
        import os, signal, threading
        from celadon import get_hub, sleep, spawn
        def spin():
            while True:
                pass
        g = spawn(spin)
        t = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        t.start()
        try:
            sleep(100)
        except KeyboardInterrupt:
            print("caught", g.dead)
        """,
        patched=False,
    )
    assert ended.out == "caught True\n"


def test_keyboard_interrupt_that_nobody_catches():
    ended = run_script(
        """
        import os, signal, threading
        from celadon import sleep
        t = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        t.start()
        sleep(100)
        """,
        patched=False,
        fails=True,
    )
    assert ended.code == -signal.SIGINT
    assert ended.err.count("Traceback") == 1, ended


def test_no_signal_is_lost_before_the_sleep():
    """Hammered, so that some come after the last look and before the poll."""
    run_script(
        """
        import os, signal, time
        from celadon import sleep
        from celadon._core import Event, spawn
        seen = []
        event = Event()
        def handler(*unused):
            seen.append(1)
            event.set()
        signal.signal(signal.SIGUSR1, handler)
        child = os.fork()
        parent = os.getppid() if child == 0 else os.getpid()
        if child == 0:
            # One at a time: the next when this one was answered.
            signal.signal(signal.SIGUSR2, lambda *unused: None)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
            for _ in range(2000):
                os.kill(parent, signal.SIGUSR1)
                if not signal.sigtimedwait([signal.SIGUSR2], 5):
                    os._exit(1)
            os._exit(0)
        for i in range(2000):
            began = time.monotonic()
            assert event.wait(5), i
            assert time.monotonic() - began < 4, i
            event.clear()
            os.kill(child, signal.SIGUSR2)
        assert os.waitpid(child, 0)[1] == 0
        """,
        patched=False,
    )


def test_the_users_wakeup_descriptor_is_kept():
    run_script(
        """
        import os, signal, socket
        from celadon import sleep
        a, b = socket.socketpair()
        a.setblocking(False); b.setblocking(False)
        signal.signal(signal.SIGALRM, lambda *unused: None)
        def ring():
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            sleep(0.05)
        assert signal.set_wakeup_fd(b.fileno()) == -1
        ring()
        assert a.recv(10) == bytes([signal.SIGALRM])
        assert signal.set_wakeup_fd(-1) == b.fileno()
        ring()
        try:
            a.recv(10)
        except BlockingIOError:
            pass
        # And one that is set after ours was.
        sleep(0.15)
        signal.set_wakeup_fd(b.fileno())
        sleep(0.15)
        ring()
        assert a.recv(10) == bytes([signal.SIGALRM])
        ring()
        assert a.recv(10) == bytes([signal.SIGALRM])
        assert signal.set_wakeup_fd(-1) == b.fileno()
        """,
        patched=False,
    )


def test_a_forked_childs_signals_are_its_own():
    run_script(
        """
        import os, signal, time
        from celadon import sleep
        seen = []
        signal.signal(signal.SIGUSR1, lambda *unused: seen.append(1))
        sleep(0.01)
        before = len(os.listdir("/proc/self/fd"))
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGUSR1)
            sleep(0.05)
            assert seen == [1]
            assert len(os.listdir("/proc/self/fd")) == before
            os._exit(0)
        sleep(0.1)
        assert os.waitpid(child, 0)[1] == 0
        assert seen == []
        """,
        patched=False,
    )


def test_a_full_pipe_says_nothing():
    ended = run_script(
        """
        import os, signal, time
        from celadon import sleep
        signal.signal(signal.SIGUSR1, lambda *unused: None)
        sleep(0.01)
        pid = os.getpid()
        for _ in range(70000):
            os.kill(pid, signal.SIGUSR1)
        sleep(0.01)
        """,
        patched=False,
    )
    assert ended.err == ""


@pytest.mark.parametrize("backend", ["epoll", "poll"])
def test_with_each_backend(backend):
    ended = run_script(
        """
        import os, signal, threading
        from celadon import sleep
        t = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        t.start()
        try:
            sleep(100)
        except KeyboardInterrupt:
            print("caught")
        """,
        patched=False,
        env={"CELADON_BACKEND": backend},
    )
    assert ended.out == "caught\n"


def test_what_a_handler_raises_comes_out_of_a_socket_call():
    """As on CPython, where the call is interrupted and the handler run."""
    ended = run_script(
        """
        import signal, socket, threading, time

        class Alarm(Exception):
            pass

        def ring(number, frame):
            raise Alarm

        def busy():
            while True:
                one.send(b"x")
                other.recv(1)

        signal.signal(signal.SIGALRM, ring)
        a, b = socket.socketpair()
        one, other = socket.socketpair()
        listener = socket.create_server(("127.0.0.1", 0))
        plain = socket.socket(type=socket.SOCK_DGRAM)
        plain.bind(("127.0.0.1", 0))
        full = socket.create_connection(listener.getsockname())
        peer = listener.accept()
        calls = [
            lambda: a.recv(1),
            lambda: a.recv_into(bytearray(1)),
            lambda: a.recvmsg(1),
            lambda: a.makefile("rb").read(1),
            lambda: full.sendall(bytes(10_000_000)),
            lambda: plain.recvfrom(1),
            listener.accept,
        ]
        def interrupted(call):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            try:
                call()
            except Alarm:
                return True
        # Alone; with a timeout; and while others are busy, so that the
        # handler runs in another greenlet.
        rung = [interrupted(call) for call in calls]
        a.settimeout(100)
        rung += [interrupted(call) for call in calls[:4]]
        threading.Thread(target=busy, daemon=True).start()
        rung += [interrupted(call) for call in calls]
        print(rung == [True] * 18)
        """
    )
    assert ended.out == "True\n" and ended.err == ""
