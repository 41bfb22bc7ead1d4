"""Packages and patterns that stand on greenlet, on the drop-in; unpatched.

SQLAlchemy's asyncio extension runs its blocking half in a greenlet that
switches out to a running asyncio loop; playwright's sync API does the
reverse, a dispatcher greenlet runs the loop and blocking callers switch into
it.
"""

from importlib.util import find_spec

import pytest
from support import run_python

needs_sqlalchemy = pytest.mark.skipif(
    not (find_spec("sqlalchemy") and find_spec("aiosqlite")),
    reason="scripts/venv.sh installs SQLAlchemy and aiosqlite",
)


def run(code):
    """Run *code* with the drop-in and nothing else; check what it printed."""
    ended = run_python(
        "-W", "error", "-m", "celadon", "--dropin", "--no-patch", "-c", code,
    )  # fmt: skip
    assert (ended.code, ended.err) == (0, ""), ended
    assert ended.out == "done\n", ended


DATABASE = """\
import asyncio, contextvars, gc, greenlet
from sqlalchemy import ForeignKey, event, func, select
from sqlalchemy.exc import IntegrityError, MissingGreenlet
from sqlalchemy.ext.asyncio import (
    AsyncSession, async_sessionmaker, create_async_engine)
from sqlalchemy.orm import (
    DeclarativeBase, Mapped, mapped_column, relationship, selectinload)
from sqlalchemy.util import await_only, greenlet_spawn

assert greenlet.CELADON

class Base(DeclarativeBase):
    pass

class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list["Book"]] = relationship(back_populates="author")

class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")

async def with_database(path, program):
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    # The disk may be busy, and nothing here has to last.
    @event.listens_for(engine.sync_engine, "connect")
    def hurry(connection, record):
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.close()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    try:
        await program(async_sessionmaker(engine, expire_on_commit=False))
    finally:
        await engine.dispose()

def main(path, program):
    asyncio.run(with_database(path, program))
    print("done")
"""


@needs_sqlalchemy
def test_sqlalchemy_stores_and_loads(tmp_path):
    run(DATABASE + f"""
async def program(new_session):
    async with new_session() as session, session.begin():
        for number in range(20):
            session.add(Author(name=f"a{{number}}", books=[
                Book(title=f"b{{number}}.{{i}}") for i in range(3)]))
    async with new_session() as session:
        count = await session.scalar(select(func.count(Book.id)))
        assert count == 60
        found = await session.scalars(
            select(Author).options(selectinload(Author.books))
            .where(Author.name == "a7"))
        assert [b.title for b in found.one().books] == [
            "b7.0", "b7.1", "b7.2"]
        rows = await session.stream_scalars(select(Book.id))
        assert [id async for id in rows] == list(range(1, 61))
        # What would block the loop needs a greenlet to do it in.
        try:
            await_only(asyncio.sleep(0))
        except MissingGreenlet:
            pass
        else:
            raise AssertionError("blocked without a greenlet")
        author = await session.get(Author, 3)
        assert len(await session.run_sync(lambda s: list(author.books))) == 3

main({str(tmp_path / "db")!r}, program)
""")


@needs_sqlalchemy
def test_sqlalchemy_passes_errors_and_cancellation(tmp_path):
    run(DATABASE + f"""
async def program(new_session):
    async with new_session() as session:
        session.add(Author(name="one"))
        await session.commit()
        session.add(Author(name="one"))
        try:
            await session.commit()
        except IntegrityError as error:
            assert "author.name" in str(error)
            await session.rollback()
        else:
            raise AssertionError("stored twice")
    # Cancelled inside the greenlet: what the task does is undone.
    entered = asyncio.Event()
    ends = []
    def blocking():
        try:
            await_only(asyncio.sleep(30))
        finally:
            ends.append("blocking")
    async def slow():
        async with new_session() as session, session.begin():
            session.add(Author(name="two"))
            await session.flush()
            entered.set()
            await greenlet_spawn(blocking)
    task = asyncio.create_task(slow())
    await entered.wait()
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        ends.append("cancelled")
    assert ends == ["blocking", "cancelled"]
    async with new_session() as session:
        names = (await session.scalars(select(Author.name))).all()
        assert names == ["one"], names

main({str(tmp_path / "db")!r}, program)
""")


@needs_sqlalchemy
def test_sqlalchemy_from_many_tasks(tmp_path):
    run(DATABASE + f"""
who = contextvars.ContextVar("who")
seen = []

async def program(new_session):
    # A hook runs in the greenlet, with the context of the task.
    engine = new_session.kw["bind"].sync_engine
    @event.listens_for(engine, "before_cursor_execute")
    def note(connection, cursor, statement, *rest):
        if statement.startswith("INSERT"):
            seen.append(who.get())
            parent = greenlet.getcurrent().parent
            assert parent is greenlet_of_loop
            assert greenlet.getcurrent().gr_context is not None
    greenlet_of_loop = greenlet.getcurrent()
    lock = asyncio.Lock()
    async def store(number):
        who.set(number)
        for _ in range(3):
            async with lock, new_session() as session, session.begin():
                session.add(Author(name=f"{{number}}.{{_}}"))
            async with new_session() as session:
                assert await session.scalar(select(func.count(Author.id)))
            assert who.get() == number
    await asyncio.gather(*(store(number) for number in range(10)))
    async with new_session() as session:
        assert await session.scalar(select(func.count(Author.id))) == 30
    assert sorted(seen) == [n for n in range(10) for _ in range(3)]

main({str(tmp_path / "db")!r}, program)
gc.collect()
left = [g for g in gc.get_objects() if isinstance(g, greenlet.greenlet)]
assert not [g for g in left if g and g.parent], left
""")


# A sync face of an asyncio program, as playwright's: small, but with its
# traits, events whose handlers call the sync face again among them.
SYNC = """\
import asyncio, contextlib, greenlet, signal, sys, threading

assert greenlet.CELADON

class Sync:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.closed = asyncio.Event()
        self.dispatcher = greenlet.greenlet(self._dispatch)

    def _dispatch(self):
        asyncio.set_event_loop(self.loop)
        while True:
            asyncio._set_running_loop(None)
            try:
                return self.loop.run_until_complete(self._serve())
            except KeyboardInterrupt:
                # For the caller; the loop goes on when it comes back.
                self.dispatcher.parent.throw(KeyboardInterrupt)

    async def _serve(self):
        self.caller.switch()
        await self.closed.wait()

    def __enter__(self):
        self.caller = greenlet.getcurrent()
        self.dispatcher.switch()
        return self

    def __exit__(self, *unused):
        self.loop.call_soon(self.closed.set)
        while not self.dispatcher.dead:
            self.dispatcher.switch()
        self.loop.close()

    def wait(self, coroutine):
        me = greenlet.getcurrent()
        waiting = True
        def resume(task):
            if waiting:
                me.switch()
        task = self.loop.create_task(coroutine)
        task.add_done_callback(resume)
        try:
            while not task.done():
                self.dispatcher.switch()
        except BaseException:
            task.cancel()
            raise
        finally:
            waiting = False
            asyncio._set_running_loop(self.loop)
        return task.result()

    def on(self, delay, handler):
        \"\"\"Let the loop call a handler, which may wait.\"\"\"
        def call():
            greenlet.greenlet(handler).switch()
        self.loop.call_later(delay, call)

async def answer(value, delay=0.001):
    await asyncio.sleep(delay)
    if isinstance(value, Exception):
        raise value
    return value
"""


def test_blocking_callers_over_a_running_loop():
    run(SYNC + """
with Sync() as sync:
    for number in range(200):
        assert sync.wait(answer(number, 0)) == number
    try:
        sync.wait(answer(KeyError("no")))
    except KeyError as error:
        assert error.args == ("no",)
        assert error.__traceback__.tb_next is not None
    else:
        raise AssertionError("no error")
    try:
        sync.wait(asyncio.wait_for(answer(1, 30), 0.01))
    except TimeoutError:
        pass
    else:
        raise AssertionError("no timeout")
assert sync.dispatcher.dead
print("done")
""")


def test_handlers_of_events_wait_too():
    run(SYNC + """
with Sync() as sync:
    log = []
    def handler():
        log.append(sync.wait(answer("in a handler", 0.01)))
        sync.on(0, lambda: log.append(sync.wait(answer("nested"))))
    for _ in range(3):
        sync.on(0.001, handler)
    # The three wait at the same time as the main caller.
    assert sync.wait(answer("main", 0.005)) == "main" and not log
    while len(log) < 6:
        sync.wait(answer(None))
    assert sorted(log) == ["in a handler"] * 3 + ["nested"] * 3, log
print("done")
""")


def test_a_caller_in_each_thread():
    run(SYNC + """
results = []
def work(number):
    with Sync() as sync:
        results.append(sum(sync.wait(answer(number)) for _ in range(20)))
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert sorted(results) == [0, 20, 40, 60]
print("done")
""")


def test_interrupted_while_the_loop_waits():
    run(SYNC + """
with Sync() as sync:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        sync.wait(answer(None, 30))
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("not interrupted")
    assert sync.wait(answer("goes on")) == "goes on"
print("done")
""")


@pytest.mark.parametrize(
    ("module", "name"),
    [("gevent.hub", "Hub"), ("eventlet.hubs.hub", "BaseHub")],
)
@pytest.mark.parametrize("embeds", [True, False])
def test_a_thread_ends_without_the_loop_of_others(module, name, embeds):
    """Which is a greenlet, or runs in one, and survives GreenletExit."""
    run(f"""
import greenlet, sys, threading, types, weakref

log = []

class Loop({"greenlet.greenlet" if embeds else ""}):
    def run(self):
        while True:
            try:
                main.switch()
            except greenlet.GreenletExit:
                log.append("taken for an error")

class Local:
    pass

def other(local):
    try:
        main.switch()
    finally:
        log.append("finally")

def work():
    global main
    main = greenlet.getcurrent()
    loop = Loop()
    runner = loop if {embeds} else greenlet.greenlet(loop.run)
    runner.switch()
    local = Local()
    gone.append(weakref.ref(local))
    task = greenlet.greenlet(other, runner)
    task.switch(local)
    kept.append((loop, runner, task))

sys.modules[{module!r}] = types.SimpleNamespace({name}=Loop)
gone, kept = [], []
thread = threading.Thread(target=work)
thread.start()
thread.join(10)
assert not thread.is_alive()
assert log == ["finally"], log
(loop, runner, task), = kept
assert task.dead and runner.dead and gone[0]() is None
del loop, runner, task
kept.clear()
print("done")
""")
