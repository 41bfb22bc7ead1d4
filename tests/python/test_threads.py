"""What threads share: each object under the load of several hubs at once.

Everything is drawn from a seed; where there is no GIL the threads run at the
same time.
"""

import gc
import random
import threading
import time

import pytest
from celadon import Greenlet, Timeout, get_hub, sleep, socket, spawn
from celadon._core import (
    AsyncResult,
    Channel,
    Event,
    GreenletExit,
    Queue,
    RLock,
    Semaphore,
    error,
    getcurrent,
    greenlet,
    local,
    lock,
)

THREADS = 3
SEEDS = [1, 2, 3]


def run_threads(function, count=THREADS, limit=60):
    """Run *function*(number) in *count* threads; raise what one raises."""
    errors = []

    def run(number):
        try:
            function(number)
        except BaseException as exc:  # noqa: BLE001
            errors.append(exc)

    threads = [
        threading.Thread(target=run, args=(number,), daemon=True)
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads)


def run_greenlets(function, count):
    """Run *function*(number) in *count* greenlets of this thread."""
    jobs = [spawn(function, number) for number in range(count)]
    for job in jobs:
        job.get(timeout=50)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("maxsize", [1, 3, 0])
def test_a_queue(seed, maxsize):
    queue = Queue(maxsize)
    got = [[] for _ in range(THREADS)]

    def work(thread):
        chance = random.Random(seed * 100 + thread)

        def put(number):
            for i in range(40):
                queue.put((thread, number, i))
                if chance.random() < 0.2:
                    sleep(0)

        def get(_):
            for _ in range(40):
                if chance.random() < 0.2:
                    try:
                        got[thread].append(queue.get(timeout=0.0005))
                        continue
                    except Exception:  # noqa: BLE001
                        assert True
                got[thread].append(queue.get())

        jobs = [spawn(put, n) for n in range(5)] + [
            spawn(get, n) for n in range(5)
        ]
        for job in jobs:
            job.get(timeout=50)

    run_threads(work)
    items = sorted(item for part in got for item in part)
    assert items == [
        (t, n, i) for t in range(THREADS) for n in range(5) for i in range(40)
    ]
    assert queue.empty()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [lock, RLock, lambda: Semaphore(1)])
def test_mutual_exclusion(seed, make):
    mutex = make()
    state = {"inside": 0, "count": 0}

    def work(thread):
        chance = random.Random(seed * 100 + thread)

        def enter(_):
            for _ in range(60):
                with mutex:
                    assert state["inside"] == 0
                    state["inside"] = 1
                    if chance.random() < 0.3:
                        sleep(0)
                    state["count"] += 1
                    state["inside"] = 0

        run_greenlets(enter, 4)

    run_threads(work)
    assert state == {"inside": 0, "count": THREADS * 4 * 60}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_semaphore_bounds_those_inside(seed):
    semaphore = Semaphore(3)
    inside = Queue()
    most = []

    def work(thread):
        chance = random.Random(seed * 100 + thread)

        def enter(_):
            for _ in range(40):
                timeout = 0.0005 if chance.random() < 0.3 else None
                if not semaphore.acquire(timeout=timeout):
                    continue
                inside.put(None)
                most.append(inside.qsize())
                if chance.random() < 0.5:
                    sleep(0)
                inside.get()
                semaphore.release()

        run_greenlets(enter, 4)

    run_threads(work)
    assert max(most) <= 3 and semaphore.counter == 3


def test_an_event_wakes_all():
    rounds = 60
    events = [Event() for _ in range(rounds)]
    woken = [Semaphore(0) for _ in range(rounds)]

    def work(thread):
        if thread == 0:
            for event, done in zip(events, woken):
                event.set()
                for _ in range((THREADS - 1) * 3):
                    assert done.acquire(timeout=50)
            return

        def wait(_):
            for event, done in zip(events, woken):
                assert event.wait(50)
                done.release()

        run_greenlets(wait, 3)

    run_threads(work)


def test_results():
    results = [AsyncResult() for _ in range(100)]
    told = Queue()

    def work(thread):
        if thread == 0:
            for number, result in enumerate(results):
                if number % 3 == 0:
                    result.set_exception(KeyError(number))
                else:
                    result.set(number)
            return

        def get(_):
            for number, result in enumerate(results):
                if number % 10 == 0:
                    result.rawlink(lambda r: told.put(r.exception is None))
                try:
                    assert result.get(timeout=50) == number
                except KeyError:
                    assert number % 3 == 0

        run_greenlets(get, 3)
        for _ in range(30):
            told.get(timeout=50)

    run_threads(work)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_channel(seed):
    channel = Channel()
    got = []

    def work(thread):
        chance = random.Random(seed * 100 + thread)

        def run(number):
            for i in range(50):
                if chance.random() < 0.2:
                    sleep(0)
                if number % 2:
                    channel.put((thread, number, i))
                else:
                    got.append(channel.get())

        run_greenlets(run, 4)

    run_threads(work)
    assert len(set(got)) == len(got) == THREADS * 2 * 50


@pytest.mark.parametrize("seed", SEEDS)
def test_greenlets_are_killed_by_other_threads(seed):
    shared = [[] for _ in range(THREADS)]
    ready = threading.Barrier(THREADS)
    ended = []

    def work(thread):
        chance = random.Random(seed * 100 + thread)
        ident = threading.get_ident()

        def victim():
            try:
                while True:
                    sleep(chance.choice([0, 0.001, 10]))
            finally:
                assert threading.get_ident() == ident
                ended.append(1)

        mine = shared[thread]
        for i in range(30):
            if i % 3 == 0:
                mine.append(Greenlet.spawn_later(0.01 * (i % 2), victim))
            else:
                mine.append(spawn(victim))
        if chance.random() < 0.5:
            sleep(0.001)
        get_hub()
        ready.wait(30)
        others = shared[(thread + 1) % THREADS]
        for i, job in enumerate(others):
            job.kill(block=i % 2 == 0, timeout=30)
        for job in mine:
            job.join(30)
            assert job.ready()
            assert isinstance(job.value, GreenletExit)

    run_threads(work)


@pytest.mark.parametrize("how", ["drop", "collect"])
def test_suspended_greenlets_dropped_by_other_threads_die_at_home(how):
    ended = []
    shared = [[] for _ in range(THREADS)]
    ready = threading.Barrier(THREADS)

    def work(thread):
        ident = threading.get_ident()

        def run():
            try:
                getcurrent().parent.switch()
            finally:
                assert threading.get_ident() == ident
                ended.append(thread)

        for _ in range(50):
            g = greenlet(run)
            g.switch()
            if how == "collect":
                g.cycle = g
            shared[thread].append(g)
        del g
        ready.wait(30)
        others = shared[(thread + 1) % THREADS]
        while others:
            others.pop()
            if len(others) % 10 == 0:
                getcurrent()
        ready.wait(30)
        gc.collect()
        deadline = time.monotonic() + 30
        while ended.count(thread) < 50 and time.monotonic() < deadline:
            getcurrent()
            sleep(0.001)
        assert ended.count(thread) == 50

    run_threads(work)


def test_threads_end_while_others_wait_for_their_greenlets():
    for _ in range(10):
        jobs = []
        made = threading.Event()

        def leave(jobs=jobs, made=made):
            jobs.extend(spawn(sleep, 100) for _ in range(5))
            sleep(0)
            made.set()
            sleep(0.001)

        thread = threading.Thread(target=leave)
        thread.start()
        made.wait(30)
        for number, job in enumerate(jobs):
            if number % 2:
                job.kill(block=False)
            job.join(30)
            assert job.ready()
        thread.join(30)


def test_one_greenlet_is_switched_to_by_its_own_thread_only():
    box = []
    ready = threading.Barrier(2)

    def work(thread):
        if thread == 0:

            def run():
                total = 0
                while total < 3000:
                    total += getcurrent().parent.switch(total)
                return "done"

            g = greenlet(run)
            g.switch()
            box.append(g)
            ready.wait(30)
            last = 0
            while not g.dead:
                last = g.switch(1)
            assert last == "done"
            return
        ready.wait(30)
        (g,) = box
        refused = 0
        for _ in range(3000):
            repr(g), g.parent, g.gr_frame, bool(g)
            try:
                g.switch(1)
            except error:
                refused += 1
            if g.dead:
                break
        assert refused

    run_threads(work, count=2)


def test_a_local():
    shared = local()

    def work(thread):
        def run(number):
            for i in range(100):
                shared.value = (thread, number, i)
                if i % 3 == 0:
                    sleep(0)
                assert shared.value == (thread, number, i)
                assert shared.__dict__ == {"value": (thread, number, i)}

        run_greenlets(run, 5)

    run_threads(work)


def test_sockets_closed_by_other_threads():
    for _ in range(30):
        one, other = socket.socketpair()
        waits = threading.Event()
        failed = []

        def read(one=one, waits=waits, failed=failed):
            spawn(waits.set)
            try:
                one.recv(1)
            except OSError as exc:
                failed.append(exc)

        thread = threading.Thread(target=read)
        thread.start()
        waits.wait(30)
        one.close()
        thread.join(30)
        assert not thread.is_alive() and len(failed) == 1
        other.close()


def test_one_socket_is_written_and_read_by_two_threads():
    one, other = socket.socketpair()
    data = bytes(range(256)) * 400

    def work(thread):
        if thread == 0:
            one.sendall(data)
            return
        got = b""
        while len(got) < len(data):
            got += other.recv(5000)
        assert got == data
        other.sendall(b"!")

    run_threads(work, count=2)
    assert one.recv(1) == b"!"
    one.close()
    other.close()


def test_timeouts_cancelled_by_other_threads():
    for _ in range(20):
        timeout = Timeout(0.03)
        timeout.start()
        thread = threading.Thread(target=timeout.cancel)
        thread.start()
        thread.join()
        assert not timeout.pending
        sleep(0.001)
    sleep(0.05)


def test_greenlets_made_here_and_started_there():
    done = []

    def work(thread):
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(30)

    jobs = [Greenlet(done.append, number) for number in range(100)]
    run_threads(work)
    assert sorted(done) == list(range(100))
