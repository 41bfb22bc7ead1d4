"""fork: the child has a working hub, and the forking thread only."""

from support import check_script


def test_parent_and_child_use_sockets():
    check_script(
        """
        import os, socket, threading
        def talk(word):
            a, b = socket.socketpair()
            threading.Timer(0.01, a.sendall, (word,)).start()
            return b.recv(10)
        talk(b"warm")
        pid = os.fork()
        if pid == 0:
            os._exit(0 if talk(b"child") == b"child" else 1)
        print(talk(b"parent"), os.waitpid(pid, 0)[1])
        """,
        "b'parent' 0",
    )


def test_threads_of_the_parent_do_not_run_in_the_child():
    check_script(
        """
        import os, threading, time
        def tick():
            while True:
                time.sleep(0.005)
                os.write(1, b"%d\\n" % (os.getpid() == parent))
        parent = os.getpid()
        t = threading.Thread(target=tick, daemon=True)
        t.start()
        pid = os.fork()
        if pid == 0:
            time.sleep(0.05)
            ok = not t.is_alive() and threading.active_count() == 1
            os._exit(not ok)
        status = os.waitpid(pid, 0)[1]
        os.write(1, b"status %d" % status)
        """.replace('b"%d\\n" % (os.getpid() == parent)',
                    'b"" if os.getpid() == parent else b"child"'),
        "status 0",
    )


def test_fork_in_a_thread():
    check_script(
        """
        import os, threading, time
        def work():
            pid = os.fork()
            if pid == 0:
                me = threading.current_thread()
                time.sleep(0.01)
                os._exit(me is not threading.main_thread()
                         or threading.active_count() != 1)
            print(os.waitpid(pid, 0)[1])
        t = threading.Thread(target=work)
        t.start(); t.join()
        print(threading.active_count())
        """,
        "0 1",
    )


def test_a_child_can_start_threads():
    check_script(
        """
        import os, threading, time
        t = threading.Thread(target=time.sleep, args=(0.01,))
        t.start(); t.join()
        pid = os.fork()
        if pid == 0:
            got = []
            ts = [threading.Thread(target=got.append, args=(n,))
                  for n in range(3)]
            for t in ts: t.start()
            for t in ts: t.join()
            os._exit(got != [0, 1, 2])
        print(os.waitpid(pid, 0)[1])
        """,
        "0",
    )


def test_locks_in_the_child():
    check_script(
        """
        import logging, os, threading
        logging.getLogger().addHandler(logging.NullHandler())
        pid = os.fork()
        if pid == 0:
            logging.warning("from the child")
            with threading.Lock(), threading.RLock(), threading.Condition():
                os._exit(0)
        print(os.waitpid(pid, 0)[1])
        """,
        "0",
    )


def test_multiprocessing_process():
    check_script(
        """
        import multiprocessing, socket, threading, time
        def work(n, connection):
            a, b = socket.socketpair()
            threading.Timer(0.01, a.send, (b"x",)).start()
            connection.send((n, b.recv(1)))
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        children = [context.Process(target=work, args=(n, theirs))
                    for n in range(2)]
        for c in children: c.start()
        print(*sorted(str(ours.recv()) for c in children))
        for c in children:
            c.join(10)
            print(c.exitcode)
        """,
        "(0, b'x') (1, b'x') 0 0",
    )


def test_multiprocessing_queue_pool_and_locks():
    check_script(
        """
        import multiprocessing, threading, time
        context = multiprocessing.get_context("fork")
        def feed(q):
            time.sleep(0.05)
            for n in range(4): q.put(n)
        q = context.Queue()
        child = context.Process(target=feed, args=(q,))
        child.start()
        got = []
        ts = [threading.Thread(target=lambda: got.append(q.get(timeout=10)))
              for _ in range(4)]
        for t in ts: t.start()
        for t in ts: t.join()
        print(sorted(got))
        child.join()
        lock, held = context.RLock(), []
        def hold(n):
            with lock, lock:
                held.append(n)
                time.sleep(0.005)
                assert held[-1] == n
        ts = [threading.Thread(target=hold, args=(n,)) for n in range(5)]
        for t in ts: t.start()
        for t in ts: t.join()
        print(len(held), lock.acquire(timeout=0.01))
        with context.Pool(2) as pool:
            print(pool.map(abs, [-1, -2, -3]))
        """,
        "[0, 1, 2, 3] 5 True [1, 2, 3]",
    )


def test_a_child_that_ends_normally_runs_its_exit_handlers():
    check_script(
        """
        import atexit, os, sys, threading, time
        # The child does not have this thread, so it does not wait for it.
        gate, opener = os.pipe()
        threading.Thread(target=os.read, args=(gate, 1)).start()
        sys.stdout.flush()
        if os.fork() == 0:
            atexit.register(print, "child")
        else:
            print("parent", os.wait()[1])
            os.write(opener, b"x")
        """,
        "child parent 0",
    )
