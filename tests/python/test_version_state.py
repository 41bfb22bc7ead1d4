"""What of the interpreter's state belongs to a greenlet, on every version.

Contexts, tracing, handled exceptions, the trashcan: each has fields in
CPython's thread state that differ from version to version.  Recursion is in
test_recursion.py.
"""

import contextvars
import gc
import sys

import pytest
from celadon import sleep, spawn
from celadon._core import getcurrent, gettrace, greenlet, settrace
from support import run_script


def switch_up(*args):
    return getcurrent().parent.switch(*args)


@pytest.fixture
def quiet():
    """No trace or profile function from outside, and none left."""
    traced, profiled = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    yield
    sys.setprofile(profiled)
    sys.settrace(traced)
    settrace(None)


# ---- the trashcan


def test_destructors_run_deep_inside_greenlets():
    class Noisy:
        def __init__(self, inner):
            self.inner = inner

        def __del__(self):
            gone.append(getcurrent())

    def run():
        for _ in range(1000):
            Noisy([])
        return len(gone)

    gone = []
    assert greenlet(run).switch() == 1000


def test_deep_structures_are_freed_inside_greenlets():
    class Cell:
        pass

    def run():
        tuples = ()
        cell = None
        for _ in range(200_000):
            tuples = (tuples,)
            outer = Cell()
            outer.inner = cell
            cell = outer
        del tuples, cell, outer
        return "freed"

    assert greenlet(run).switch() == "freed"
    assert spawn(run).get() == "freed"


def test_a_destructor_may_switch():
    class Noisy:
        def __del__(self):
            switch_up("from __del__")

    def run():
        things = [Noisy() for _ in range(5)]
        deep = ()
        for thing in things:
            deep = (thing, deep)
        things.clear()
        del thing, deep
        return "end"

    g = greenlet(run)
    got = [g.switch() for _ in range(6)]
    assert got == ["from __del__"] * 5 + ["end"]


# ---- contexts

var = contextvars.ContextVar("var", default="default")


def test_each_greenlet_has_its_context():
    def run(value):
        seen = [var.get()]
        var.set(value)
        switch_up()
        seen.append(var.get())
        return seen

    var.set("main")
    a, b = greenlet(run), greenlet(run)
    a.switch("a")
    b.switch("b")
    assert var.get() == "main"
    assert a.switch() == ["default", "a"]
    assert b.switch() == ["default", "b"]
    assert var.get() == "main"


def test_a_context_may_be_given_and_taken():
    var.set("main")
    context = contextvars.copy_context()
    g = greenlet(lambda: (var.get(), var.set("inside"), switch_up()))
    assert g.gr_context is None
    g.gr_context = context
    assert g.gr_context is context
    g.switch()
    assert g.gr_context is context and context[var] == "inside"
    other = contextvars.Context()
    g.gr_context = other
    assert g.gr_context is other
    g.switch()
    assert g.dead and g.gr_context is other
    assert var.get() == "main"


def test_the_running_context():
    def check():
        assert getcurrent().gr_context is None
        var.set(1)
        mine = getcurrent().gr_context
        assert mine[var] == 1
        getcurrent().gr_context = contextvars.Context()
        assert var.get() == "default"
        getcurrent().gr_context = mine
        assert var.get() == 1
        getcurrent().gr_context = None
        assert var.get() == "default"

    greenlet(check).switch()


def test_bad_contexts():
    g = greenlet(switch_up)
    with pytest.raises(TypeError) as caught:
        g.gr_context = {}
    assert str(caught.value) == (
        "greenlet context must be a contextvars.Context or None"
    )
    with pytest.raises(AttributeError):
        del g.gr_context


def test_another_threads_running_context_is_out_of_reach():
    import threading

    box = []
    ready, done = threading.Event(), threading.Event()

    def run():
        box.append(getcurrent())
        ready.set()
        done.wait(5)

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(5)
    try:
        with pytest.raises(ValueError):
            box[0].gr_context
        with pytest.raises(ValueError):
            box[0].gr_context = None
    finally:
        done.set()
        thread.join()
    assert box[0].gr_context is None


def test_contexts_are_entered_across_switches():
    def run():
        context = contextvars.Context()
        context.run(lambda: (var.set("entered"), switch_up()))
        return context[var], var.get()

    g = greenlet(run)
    g.switch()
    assert g.switch() == ("entered", "default")


def test_contexts_of_dead_greenlets_are_freed():
    import weakref

    class Thing:
        pass

    def run(thing):
        var.set(thing)
        switch_up()

    for finish in (lambda g: g.switch(), lambda g: None):
        thing = Thing()
        ref = weakref.ref(thing)
        g = greenlet(run)
        g.switch(thing)
        del thing
        finish(g)
        del g
        gc.collect()
        assert ref() is None


# ---- tracing of switches


def test_settrace_tells_of_switches(quiet):
    events = []

    def trace(*args):
        events.append(args)

    def run():
        switch_up()

    main = getcurrent()
    g = greenlet(run)
    assert settrace(trace) is None
    assert gettrace() is trace
    g.switch()
    g.switch()
    with pytest.raises(ValueError):
        g.throw(ValueError)
    h = greenlet(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        h.switch()
    assert settrace(None) is trace
    assert gettrace() is None
    assert events == [
        ("switch", (main, g)),
        ("switch", (g, main)),
        ("switch", (main, g)),
        ("switch", (g, main)),
        ("throw", (main, main)),
        ("switch", (main, h)),
        ("throw", (h, main)),
    ]


def test_a_throw_is_an_event(quiet):
    events = []
    main = getcurrent()
    g = greenlet(switch_up)
    g.switch()
    settrace(lambda event, pair: events.append((event, pair)))
    g.throw()
    settrace(None)
    assert events == [("throw", (main, g)), ("switch", (g, main))]


def test_a_failing_trace_function_is_removed(quiet):
    def trace(event, pair):
        raise KeyError(event)

    def run():
        try:
            switch_up()
        except BaseException as raised:
            return type(raised)

    g = greenlet(run)
    g.switch()
    settrace(trace)
    assert g.switch() is KeyError
    assert gettrace() is None


def test_a_trace_function_may_switch(quiet):
    seen = []

    def trace(event, pair):
        settrace(None)
        seen.append(greenlet(lambda: "other").switch())

    settrace(trace)
    assert greenlet(lambda: "value").switch() == "value"
    assert seen == ["other"]


# ---- sys.settrace and sys.setprofile


def test_profiling_goes_on_across_switches(quiet):
    events = []

    def profile(frame, event, arg):
        if event.startswith("c_"):
            if getattr(arg, "__name__", "") == "switch":
                events.append(event)

    def run():
        main.switch()

    main = getcurrent()
    g = greenlet(run)
    sys.setprofile(profile)
    g.switch()
    g.switch()
    sys.setprofile(None)
    assert events == ["c_call", "c_call", "c_return", "c_call", "c_return",
                      "c_return"]


def test_a_profiler_set_inside_stays_outside(quiet):
    def profile(frame, event, arg):
        pass

    greenlet(sys.setprofile).switch(profile)
    assert sys.getprofile() is profile
    sys.setprofile(None)


def test_tracing_goes_on_across_switches(quiet):
    lines = []

    def trace(frame, event, arg):
        if frame.f_code.co_filename == __file__:
            lines.append((frame.f_code.co_name, event))
            return trace

    def inner():
        switch_up()
        return 1

    def run():
        inner()

    g = greenlet(run)
    sys.settrace(trace)
    g.switch()
    g.switch()
    sys.settrace(None)
    assert ("inner", "return") in lines and ("run", "return") in lines
    assert g.dead


def test_a_switch_in_a_trace_function_blinds_nobody(quiet):
    seen = []
    inside = []

    def trace(frame, event, arg):
        if frame.f_code.co_name == "traced" and not inside:
            inside.append(1)
            other.switch()
        seen.append(frame.f_code.co_name)

    def traced():
        pass

    def others_own():
        pass

    def run():
        others_own()
        switch_up()

    other = greenlet(run)
    sys.settrace(trace)
    traced()
    sys.settrace(None)
    assert "others_own" in seen and "traced" in seen
    other.throw()


@pytest.mark.parametrize("backend", ["settrace", "monitoring"])
def test_a_debugger_may_switch_where_it_stops(quiet, backend):
    import bdb

    if backend == "monitoring" and sys.version_info < (3, 14):
        pytest.skip("bdb has no backends before 3.14")

    class Debugger(bdb.Bdb):
        def user_line(self, frame):
            name, i = frame.f_code.co_name, frame.f_locals.get("i")
            self.set_continue()
            if i is not None:
                stops.append((name, i))
            if i is not None and name == "first":
                other.switch()

    def first():
        for i in range(3):
            last = i  # stops here
        return last

    def second():
        for i in range(3):
            last = i  # stops here too
            main.switch()
        return last

    stops = []
    main = getcurrent()
    other = greenlet(second)
    options = {"backend": backend} if sys.version_info >= (3, 14) else {}
    debugger = Debugger(**options)
    for function, ahead in ((first, 2), (second, 2)):
        line = function.__code__.co_firstlineno + ahead
        assert debugger.set_break(__file__, line) is None
    assert debugger.runcall(first) == 2
    assert other.switch() == 2
    assert stops == [
        (name, i) for i in range(3) for name in ("first", "second")
    ]


def test_tracing_set_while_one_is_suspended(quiet):
    seen = []

    def trace(frame, event, arg):
        seen.append(frame.f_code.co_name)

    def later():
        pass

    def run():
        switch_up()
        later()

    g = greenlet(run)
    g.switch()
    sys.settrace(trace)
    g.switch()
    sys.settrace(None)
    assert "later" in seen


@pytest.mark.skipif(
    not hasattr(sys, "monitoring"), reason="sys.monitoring is of 3.12"
)
def test_monitoring_callbacks_may_switch(quiet):
    events = sys.monitoring.events
    tool = sys.monitoring.PROFILER_ID
    seen = []

    def start(code, offset):
        seen.append(code.co_name)
        if code.co_name == "watched":
            other.switch()

    def watched():
        return 1

    def run():
        while True:
            unwatched()
            main.switch()

    def unwatched():
        pass

    main = getcurrent()
    other = greenlet(run)
    sys.monitoring.use_tool_id(tool, "test")
    try:
        sys.monitoring.register_callback(tool, events.PY_START, start)
        sys.monitoring.set_events(tool, events.PY_START)
        assert [watched() for _ in range(3)] == [1] * 3
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)
    assert seen.count("watched") == 3
    other.throw()


# ---- coroutines and asynchronous generators


def test_coroutines_inside_greenlets():
    async def inner(x):
        return switch_up(x)

    async def outer():
        return [await inner(i) for i in range(3)]

    def run():
        try:
            outer().send(None)
        except StopIteration as stop:
            return stop.value

    g = greenlet(run)
    assert [g.switch(), g.switch("a"), g.switch("b")] == [0, 1, 2]
    assert g.switch("c") == ["a", "b", "c"]


def test_asyncio_in_a_greenlet_with_a_switch_in_a_step():
    import asyncio

    def blocking(x):
        return main.switch(x)

    async def work():
        await asyncio.sleep(0)
        return blocking("from a task")

    async def all_work():
        return await asyncio.gather(work(), asyncio.sleep(0.001, "slept"))

    main = getcurrent()
    g = greenlet(asyncio.run)
    assert g.switch(all_work()) == "from a task"
    assert g.switch("back") == ["back", "slept"]


# ---- odds and ends


def test_floating_point_modes_are_each_greenlets_own():
    import ctypes

    libm = ctypes.CDLL("libm.so.6")
    up, nearest = 0x800, 0

    def run():
        libm.fesetround(up)
        switch_up()
        return libm.fegetround()

    g = greenlet(run)
    g.switch()
    try:
        assert libm.fegetround() == nearest
        assert g.switch() == up
        assert libm.fegetround() == nearest
    finally:
        libm.fesetround(nearest)


def test_collecting_while_greenlets_switch():
    old = gc.get_threshold()
    gc.set_threshold(1)
    try:

        def run(n):
            for i in range(n):
                [[i]]
                switch_up([i])
            return "end"

        many = [greenlet(run) for _ in range(20)]
        for _ in range(10):
            for g in many:
                g.switch(10)
        for g in many:
            assert g.switch() == "end"
        ts = [spawn(lambda: [sleep(0) for _ in range(5)]) for _ in range(20)]
        for t in ts:
            t.join()
    finally:
        gc.set_threshold(*old)


def test_frames_seen_by_other_threads():
    import threading

    def look():
        for _ in range(200):
            for frame in sys._current_frames().values():
                while frame is not None:
                    frame = frame.f_back

    def run():
        while looking.is_alive():
            sleep(0)

    looking = threading.Thread(target=look)
    looking.start()
    for t in [spawn(run) for _ in range(3)]:
        t.join()
    looking.join()


def test_a_subinterpreter_is_refused():
    ended = run_script(
        """
        import sys
        names = "_interpreters", "_xxsubinterpreters"
        for name in names:
            try:
                subs = __import__(name)
                break
            except ImportError:
                pass
        sub = subs.create()
        code = "import sys; sys.path[:] = %r; " % (sys.path,)
        code += "sys.modules['celadon'] = type(sys)('celadon'); "
        code += "sys.modules['celadon'].__path__ = %r; " % (
            list(__import__("celadon").__path__),)
        code += "import celadon._core"
        run = getattr(subs, "run_string", None) or subs.exec
        try:
            failed = run(sub, code)
        except Exception as raised:
            failed = raised
        print("ImportError" in repr(failed) or "ImportError" in str(failed)
              or getattr(failed, "type", failed))
        """,
        patched=False,
    )
    assert ended.out == "True\n"
