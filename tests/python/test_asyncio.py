"""An event loop of asyncio belongs to the greenlet that runs it."""

import asyncio
import sys

import pytest
from celadon import sleep, spawn
from celadon.greenlet import greenlet
from support import check_script


@pytest.fixture(autouse=True)
def untouched():
    """No test leaves a loop or its hooks behind in the thread."""
    yield
    assert asyncio._get_running_loop() is None
    assert sys.get_asyncgen_hooks() == (None, None)


def ambient():
    """What asyncio takes for the calling thread's."""
    loop = asyncio._get_running_loop()
    task = None if loop is None else asyncio.current_task()
    return loop, task, sys.get_asyncgen_hooks()


NOTHING = (None, None, (None, None))


def test_who_runs_while_a_task_waits_sees_no_loop():
    async def work():
        before = ambient()
        assert None not in before
        job = spawn(ambient)
        sleep(0.001)
        assert ambient() == before
        await asyncio.sleep(0)
        assert ambient() == before
        return job.get()

    assert asyncio.run(work()) == NOTHING


@pytest.mark.parametrize("wait", [lambda: sleep(0), lambda: sleep(0.001)])
def test_two_loops_take_turns_in_one_thread(wait):
    async def step(name):
        task = asyncio.current_task()
        for _ in range(10):
            seen.append(name)
            wait()
            assert asyncio.current_task() is task
            await asyncio.sleep(0)

    async def work(name):
        loop = asyncio.get_running_loop()
        await asyncio.gather(step(name), step(name))
        assert asyncio.get_running_loop() is loop
        return name

    seen = []
    jobs = [spawn(asyncio.run, work(name)) for name in "ab"]
    assert [job.get() for job in jobs] == ["a", "b"]
    assert "a" in seen[:4] and "b" in seen[:4]


def test_what_a_wait_raises_comes_out_in_the_task():
    async def work():
        before = ambient()
        with pytest.raises(KeyError):
            sleep(10)
        assert ambient() == before
        return "done"

    def run():
        return asyncio.run(work())

    job = spawn(run)
    sleep(0.001)
    job.kill(KeyError)
    assert job.get() == "done"


def test_asynchronous_generators_are_of_the_loop_that_began_them():
    async def numbers():
        try:
            yield 1
        finally:
            closed.append(asyncio._get_running_loop())

    async def begin():
        ours = numbers()
        kept.append(ours)
        await anext(ours)
        spawn(lambda: begun.append(sys.get_asyncgen_hooks())).join()

    begun, closed, kept = [], [], []
    asyncio.run(begin())
    assert begun == [(None, None)]
    assert len(closed) == 1 and closed[0] is not None


def test_greenlets_switched_to_by_hand_share_the_loop():
    async def work():
        loop = asyncio.get_running_loop()
        child = greenlet(lambda: (ambient(), sleep(0.001), ambient()))
        first, _, second = child.switch()
        assert first == second == ambient()
        return first[0] is loop

    assert asyncio.run(work())


def test_a_patched_thread_wakes_the_loop():
    check_script(
        """
        import asyncio, threading
        def call(loop, done):
            loop.call_soon_threadsafe(done.set)
        async def hello():
            await asyncio.sleep(0)
            return "hello"
        async def main():
            loop = asyncio.get_running_loop()
            done = asyncio.Event()
            threading.Thread(target=call, args=(loop, done)).start()
            await done.wait()
            print(await asyncio.to_thread(lambda: "to_thread"))
            print(await asyncio.to_thread(
                lambda: asyncio.run_coroutine_threadsafe(
                    hello(), loop).result()))
            print(await asyncio.to_thread(asyncio.run, hello()))
        asyncio.run(main())
        """,
        "to_thread hello hello",
    )


def test_patched_threads_each_run_a_loop():
    check_script(
        """
        import asyncio, threading
        async def client(port, i):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"%d\\n" % i)
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return int(line)
        async def echo(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
        async def main():
            server = await asyncio.start_server(echo, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            def run(i):
                found[i] = asyncio.run(client(port, i))
            def run_all():
                threads = [threading.Thread(target=run, args=(i,))
                           for i in range(10)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            await asyncio.to_thread(run_all)
            server.close()
        found = {}
        asyncio.run(main())
        print(found == {i: i for i in range(10)})
        """,
        "True",
    )
