"""Patching: what is replaced, when, how often, and what stays."""

import pytest
from support import check_script, run_script


def test_the_talks_server_serves_with_two_lines():
    check_script(
        """
        import logging, socket, threading

        def handle_request(s):
            try:
                s.recv(1024)
                s.send(b'HTTP/1.0 200 OK\\r\\n')
                s.send(b'Content-Length: 5\\r\\n')
                s.send(b'\\r\\n')
                s.send(b'hello')
                s.close()
            except Exception as e:
                logging.exception(e)

        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        s.listen(512)

        def serve():
            while True:
                cli, addr = s.accept()
                t = threading.Thread(target=handle_request, args=(cli,))
                t.daemon = True
                t.start()

        def get(answers):
            c = socket.create_connection(s.getsockname())
            c.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
            answer = b''
            while block := c.recv(1024):
                answer += block
            answers.append(answer[-5:])

        answers = []
        threading.Thread(target=serve, daemon=True).start()
        clients = [threading.Thread(target=get, args=(answers,))
                   for _ in range(50)]
        for client in clients: client.start()
        for client in clients: client.join()
        print(len(answers), set(answers))
        """,
        "50 {b'hello'}",
    )


def test_twice_does_nothing_more():
    check_script(
        """
        import threading, socket, time
        from celadon import monkey
        before = {m: dict(i) for m, i in monkey.saved.items()}
        kept = (time.sleep, socket.socket, threading.Thread.start)
        print(monkey.patch_all())
        print(before == monkey.saved)
        print(kept == (time.sleep, socket.socket, threading.Thread.start))
        """,
        "False True True",
    )


def test_other_arguments_the_second_time_warn():
    ended = run_script(
        """
        from celadon.monkey import patch_all
        patch_all(dns=False)
        """
    )
    assert "MonkeyPatchWarning" in ended.err
    assert "dns=False" in ended.err
    assert ended.err.count("Warning") == 1


def test_parts_left_out_first_can_be_had_later():
    ended = run_script(
        """
        import time
        from celadon.monkey import patch_all, is_module_patched
        patch_all(time=False)
        print(is_module_patched("time"))
        patch_all()
        print(is_module_patched("time"))
        """,
        patched=False,
    )
    assert ended.out.split() == ["False", "True"]


def test_unknown_parts_are_an_error_that_names_them():
    ended = run_script(
        """
        from celadon.monkey import patch_all
        try:
            patch_all(sockets=True)
        except TypeError as error:
            print(error)
        """,
        patched=False,
    )
    assert "no part called sockets" in ended.out
    assert "subprocess" in ended.out


@pytest.mark.parametrize(
    "part, module, item",
    [
        ("socket", "socket", "socket"),
        ("dns", "socket", "getaddrinfo"),
        ("time", "time", "sleep"),
        ("select", "select", "poll"),
        ("selectors", "selectors", "DefaultSelector"),
        ("thread", "_thread", "start_new_thread"),
        ("queue", "queue", "SimpleQueue"),
        ("signal", "signal", "signal"),
        ("os", "os", "waitpid"),
        ("subprocess", "subprocess", "io"),
    ],
)
def test_each_part_alone(part, module, item):
    check_script(
        f"""
        import {module}
        from celadon import monkey
        old = {module}.{item}
        print(monkey.is_object_patched("{module}", "{item}"))
        monkey.patch_{part}()
        monkey.patch_{part}()
        print(monkey.is_module_patched("{module}"))
        print(monkey.is_object_patched("{module}", "{item}"))
        print({module}.{item} is not old)
        print(monkey.get_original("{module}", "{item}") is old)
        print(monkey.get_original("{module}", ["{item}"]) == [old])
        """,
        "False True True True True True",
        patched=False,
    )


def test_originals_of_what_was_never_patched():
    check_script(
        """
        import math
        from celadon.monkey import get_original
        print(get_original("math", "sin") is math.sin)
        """,
        "True",
        patched=False,
    )


def test_names_imported_before_are_replaced():
    check_script(
        """
        import sys, types
        early = types.ModuleType("early")
        sys.modules["early"] = early
        exec('''
        from time import sleep
        from socket import socket, create_connection
        from threading import Thread, Lock, Event, local
        from select import select
        from queue import SimpleQueue
        '''.replace(' ' * 8, ''), vars(early))
        Thread = early.Thread
        from celadon.monkey import patch_all
        patch_all()
        import queue, select, socket, threading, time
        print(early.sleep is time.sleep, early.socket is socket.socket,
              early.Thread is threading.Thread is Thread,
              early.Lock is threading.Lock, early.local is threading.local,
              early.Event is threading.Event,
              early.select is select.select,
              early.SimpleQueue is queue.SimpleQueue)
        """,
        "True " * 8,
        patched=False,
    )


def test_locks_made_before_are_replaced():
    check_script(
        """
        import concurrent.futures, logging, threading, queue
        import concurrent.futures.thread
        class Slotted:
            __slots__ = ("lock",)
        slotted = Slotted()
        slotted.lock = threading.Lock()
        class Shared:
            lock = threading.Lock()
        def shared():
            return Shared.lock
        for _ in range(100): shared()
        lock, rlock = threading.Lock(), threading.RLock()
        condition = threading.Condition()
        many = [threading.Lock(), {"a": threading.RLock()}]
        handler = logging.StreamHandler()
        waiting = queue.Queue()
        def closure():
            mine = threading.Lock()
            return lambda: mine
        closed = closure()
        from celadon.monkey import patch_all
        patch_all()
        from celadon import thread
        Lock, RLock = thread.LockType, thread.RLock
        for each in (
            lock, slotted.lock, shared(), many[0], waiting.mutex, closed(),
            waiting.not_empty._lock, waiting.not_empty.acquire.__self__,
            concurrent.futures.thread._global_shutdown_lock,
        ):
            assert isinstance(each, Lock), each
        for each in (
            rlock, condition._lock, many[1]["a"], handler.lock,
            logging._lock, condition._release_save.__self__,
        ):
            assert isinstance(each, RLock), each
        assert waiting.mutex is waiting.not_empty._lock
        """,
        patched=False,
    )


def test_a_lock_that_is_held_stays_and_is_said():
    ended = run_script(
        """
        import threading
        lock = threading.Lock()
        with lock:
            from celadon.monkey import patch_all
            patch_all()
        print(type(lock).__module__)
        """,
        patched=False,
    )
    assert ended.out.split() == ["_thread"]
    assert "were held while patch_all() ran" in ended.err


def test_late_after_threads_were_started():
    ended = run_script(
        """
        import threading, time
        woken = []
        event = threading.Event()
        def wait():
            woken.append(event.wait(5))
        early = threading.Thread(target=wait, name="early-bird")
        early.start()
        time.sleep(0.05)
        from celadon.monkey import patch_all
        patch_all()
        threading.Timer(0.01, event.set).start()
        print(early.is_alive(), early.ident in threading._active)
        early.join()
        print(woken, early.is_alive())
        """,
        patched=False,
    )
    assert ended.out.split() == ["True", "True", "[True]", "False"], ended
    assert "early-bird" in ended.err and "MonkeyPatchWarning" in ended.err


def test_late_after_an_executor_was_made():
    """As a server does that loads an application, which patches."""
    check_script(
        """
        import queue, threading
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(4)
        kept = queue.SimpleQueue()
        get = kept.get
        kept.put(1)
        class Holder:
            __slots__ = ("queue",)
        holder = Holder()
        holder.queue = queue.SimpleQueue()
        holder.queue.put(2)
        from celadon.monkey import patch_all
        patch_all()
        barrier = threading.Barrier(4)
        def work(n):
            barrier.wait()
            return n
        print(*pool.map(work, range(4)))
        print(*pool.map(work, range(4)))
        pool.shutdown()
        print(get(), holder.queue.get())
        threading.Timer(0.01, holder.queue.put, (3,)).start()
        print(holder.queue.get())
        """,
        "0 1 2 3 0 1 2 3 1 2 3",
        patched=False,
    )


@pytest.mark.parametrize("name", ["Default", "Epoll", "Poll", "Select"])
def test_late_after_a_selector_was_made(name):
    check_script(
        f"""
        import selectors, socket
        one, other = socket.socketpair()
        selector = selectors.{name}Selector()
        selector.register(one, selectors.EVENT_READ, "read")
        selector.register(other, selectors.EVENT_WRITE, "write")
        class Mine(selectors.{name}Selector):
            pass
        mine = Mine()
        from celadon.monkey import patch_all
        patch_all()
        import threading
        def send():
            other.send(b"x")
        print(*[key.data for key, _ in selector.select()])
        selector.unregister(other)
        threading.Timer(0.01, send).start()
        print(*[key.data for key, _ in selector.select()])
        mine.register(one, selectors.EVENT_READ, "mine")
        one.recv(1)
        threading.Timer(0.01, send).start()
        print(*[key.data for key, _ in mine.select()])
        selector.close(); mine.close()
        """,
        "write read mine",
        patched=False,
    )


# As psycopg chooses how it waits.
PSYCOPG = """
import os
def wait_c(): return "in C"
def wait_poll(): return "by poll"
def wait_selector(): return "by a selector"
wait = globals()[os.environ.get("PSYCOPG_WAIT_FUNC", "wait_c")]
"""


@pytest.mark.parametrize(
    ("before", "chosen", "how"),
    [
        ("pass", {}, "by a selector"),
        ("import psycopg.waiting", {}, "by a selector"),
        ("pass", {"PSYCOPG_WAIT_FUNC": "wait_poll"}, "by poll"),
        ("import psycopg.waiting", {"PSYCOPG_WAIT_FUNC": "wait_poll"},
         "by poll"),
    ],
)  # fmt: skip
def test_psycopg_waits_by_what_is_patched(tmp_path, before, chosen, how):
    (tmp_path / "psycopg").mkdir()
    (tmp_path / "psycopg" / "waiting.py").write_text(PSYCOPG)
    check_script(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        {before}
        from celadon.monkey import patch_all
        patch_all()
        import psycopg.waiting
        print(psycopg.waiting.wait())
        """,
        how,
        patched=False,
        env=chosen,
    )


def test_from_a_thread_that_is_not_the_main_one():
    ended = run_script(
        """
        import threading, time
        def work():
            from celadon.monkey import patch_all
            patch_all()
            order = []
            begin = time.monotonic()
            def tick(n):
                time.sleep(max(0, begin + 0.05 * n - time.monotonic()))
                order.append(n)
            threads = [threading.Thread(target=tick, args=(n,))
                       for n in (3, 1, 2)]
            for t in threads: t.start()
            for t in threads: t.join()
            print(order)
        from celadon.monkey import get_original
        start = get_original("_thread", "start_new_thread")
        done = get_original("_thread", "allocate_lock")()
        done.acquire()
        def run():
            try:
                work()
            finally:
                done.release()
        start(run, ())
        done.acquire()
        print(threading.main_thread().ident == threading.get_ident())
        """,
        patched=False,
    )
    assert ended.out == "[1, 2, 3]\nTrue\n", ended
    assert "not the main one" in ended.err


def test_after_ssl_and_its_users_were_imported():
    check_script(
        """
        import ssl, urllib.request, http.client
        context = ssl.create_default_context()
        kind = ssl.SSLSocket
        from celadon.monkey import patch_all
        patch_all()
        import celadon.ssl
        print(context.sslsocket_class is celadon.ssl.SSLSocket)
        print(issubclass(celadon.ssl.SSLSocket, kind))
        print(ssl.SSLSocket is kind)
        """,
        "True True True",
        patched=False,
    )


def test_the_main_thread_stays_the_main_thread():
    check_script(
        """
        import threading
        main, ident = threading.main_thread(), threading.get_ident()
        from celadon.monkey import patch_all
        patch_all()
        print(threading.main_thread() is main is threading.current_thread())
        print(main.ident == ident == threading.get_ident())
        print(main.is_alive(), main.name)
        """,
        "True True True MainThread",
        patched=False,
    )


def test_importing_celadon_does_nothing_else():
    check_script(
        """
        import os, signal, sys, threading
        fds = len(os.listdir("/proc/self/fd"))
        handlers = [signal.getsignal(s) for s in signal.valid_signals()]
        before = set(sys.modules)
        import celadon, celadon.monkey
        print(len(os.listdir("/proc/self/task")))
        print(len(os.listdir("/proc/self/fd")) - fds)
        print(handlers == [signal.getsignal(s)
                           for s in signal.valid_signals()])
        new = set(sys.modules) - before
        print([n for n in ("ssl", "subprocess", "asyncio", "logging")
               if n in new])
        """,
        "1 0 True []",
        patched=False,
    )


def test_urllib_and_http_server_in_one_process():
    check_script(
        """
        import http.server, threading, urllib.request
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.path.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *args):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        found = []
        def get(n):
            with urllib.request.urlopen(url + str(n)) as answer:
                found.append(int(answer.read()[1:]))
        threads = [threading.Thread(target=get, args=(n,)) for n in range(20)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(sorted(found) == list(range(20)))
        server.shutdown()
        server.server_close()
        """,
        "True",
    )


def test_the_hub_of_a_patched_process_serves_selectors_and_poll():
    check_script(
        """
        import select, selectors, socket, threading, time
        a, b = socket.socketpair()
        threading.Timer(0.02, a.send, (b"x",)).start()
        selector = selectors.DefaultSelector()
        selector.register(b, selectors.EVENT_READ)
        print(len(selector.select(5)))
        poll = select.poll()
        poll.register(b, select.POLLIN)
        print(len(poll.poll(1000)), len(select.select([b], [], [], 1)[0]))
        """,
        "1 1 1",
    )


EARLY_SOCKETS = """
import errno, gc, os, socket, sys
class Mine(socket.socket):
    def recv(self, size):
        return super().recv(size) + b"!"
listener = socket.create_server(("127.0.0.1", 0))
a, b = socket.socketpair()
timed, other = socket.socketpair()
timed.settimeout(0.01)
file = b.makefile("rb", 0)
mine = Mine(fileno=os.dup(b.fileno()))
mine.note = 1
shown = repr(a)
from celadon.monkey import patch_all
patch_all()
import threading, time
def background(call, *args):
    def run():
        try:
            done.append(call(*args))
        except OSError as error:
            done.append(error.errno or type(error))
    done = []
    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0)
    return thread, done
def finished(thread, done):
    thread.join()
    return done
"""


def test_sockets_made_before_cooperate():
    """Each of these calls would stop the only thread there is for good."""
    check_script(
        EARLY_SOCKETS
        + """
waiting = background(listener.accept)
client = socket.create_connection(listener.getsockname())
[(served, address)] = finished(*waiting)
print(address == client.getsockname(), type(served) is socket.socket)
for read in b.recv, file.read, mine.recv:
    waiting = background(read, 10)
    a.send(b"hello")
    print(finished(*waiting))
data = bytes(5_000_000)
waiting = background(a.sendall, data)
got = 0
while got < len(data):
    got += b.recv_into(bytearray(1 << 16))
print(finished(*waiting))
copy = b.dup()
waiting = background(copy.recvfrom, 3)
a.sendmsg([b"xyz"])
print(finished(*waiting), type(copy) is socket.socket)
""",
        """
        True True [b'hello'] [b'hello'] [b'hello!'] [None]
        [(b'xyz', None)] True
        """,
        patched=False,
    )


def test_sockets_made_before_keep_their_ways():
    check_script(
        EARLY_SOCKETS
        + """
try:
    timed.recv(1)
except TimeoutError as error:
    print(error)
print(timed.timeout, timed.gettimeout(), a.timeout, a.getblocking())
timed.settimeout(0)
try:
    timed.recv(1)
except BlockingIOError:
    print("again")
print(isinstance(mine, Mine), mine.note, repr(a) == shown)
waiting = background(a.recv, 1)
a.close()
print(finished(*waiting) == [errno.EBADF], a.fileno())
fd = timed.detach()
print(os.get_blocking(fd), timed.fileno())
os.close(fd)
fd = other.fileno()
del other
try:
    os.fstat(fd)
except OSError:
    print("closed")
""",
        """
        timed out 0.01 0.01 None True again True 1 True True -1
        False -1 closed
        """,
        patched=False,
        fails=False,
    )


def test_tls_sockets_made_before_are_said():
    ended = run_script(
        """
        import socket, ssl
        a, b = socket.socketpair()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        tls = context.wrap_socket(a, do_handshake_on_connect=False)
        from celadon.monkey import patch_all
        patch_all()
        print(type(b).recv is not type(tls).recv)
        """,
        patched=False,
    )
    assert ended.out == "True\n"
    assert "1 sockets were made before patch_all()" in ended.err
