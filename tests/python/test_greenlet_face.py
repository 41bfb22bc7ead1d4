"""The raw greenlet: what it shows of itself."""

import abc
import contextvars
import copy
import gc
import pickle
import signal
import sys
import weakref

import pytest
from celadon import _core, greenlet_api
from celadon._core import error, getcurrent, greenlet
from support import FREE_THREADED, in_thread, run_python, switch_up


def test_truth_and_death():
    g = greenlet(switch_up)
    assert not g and not g.dead
    g.switch()
    assert g and not g.dead
    g.switch()
    assert not g and g.dead
    assert getcurrent() and not getcurrent().dead


def test_repr_of_another_threads_greenlet_is_never_the_current_one():
    main = getcurrent()
    text = in_thread(lambda: repr(main))
    assert text.endswith(" suspended active started main>")
    assert repr(main).endswith(" current active started main>")


def test_repr_says_what_it_does():
    def words(g):
        text = repr(g)
        assert text.startswith(f"<{type(g).__module__}.") or text[0] == "<"
        assert " object at 0x" in text and "(otid=0x" in text
        return text[text.index(") ") + 2 :].rstrip(">")

    def run():
        assert words(getcurrent()) == "current active started"
        switch_up()

    g = greenlet(run)
    assert words(g) == "pending"
    g.switch()
    assert words(g) == "suspended active started"
    g.switch()
    assert words(g) == "dead"

    def main():
        assert words(getcurrent()) == "current active started main"
        g = greenlet(lambda: words(getcurrent().parent))
        assert g.switch() == "suspended active started main"
        return getcurrent()

    assert words(in_thread(main)) == "(thread exited) dead"


def test_weak_references_and_attributes():
    class Mine(greenlet):
        pass

    for cls in (greenlet, Mine):
        g = cls()
        g.name = "one"
        assert g.__dict__ == {"name": "one"}
        g.__dict__ = {"other": 2}
        assert g.other == 2
        with pytest.raises(TypeError):
            del g.__dict__
        ref = weakref.ref(g)
        assert ref() is g
        del g
        gc.collect()
        assert ref() is None


def test_instances_are_as_small_as_compiled_users_expect():
    head = object.__basicsize__
    assert head == 16 or FREE_THREADED
    assert greenlet.__basicsize__ == head + 24
    assert greenlet.__weakrefoffset__ == head
    assert greenlet.__dictoffset__ == head + 8


def test_greenlets_are_neither_pickled_nor_copied():
    g = greenlet()
    for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            refuse(g)
    with pytest.raises(TypeError, match="cannot serialize .*greenlet"):
        g.__getstate__()


def test_subclasses_with_slots_and_init():
    class Slots(greenlet):
        __slots__ = ("x", "y")

        def __init__(self, x):
            super().__init__(self.work)
            self.x = x

        def work(self):
            return self.x

    assert Slots(5).switch() == 5


def test_frames_of_suspended_greenlets():
    def inner():
        switch_up()

    def run():
        assert getcurrent().gr_frame is None
        inner()

    g = greenlet(run)
    assert g.gr_frame is None
    g.switch()
    frame = g.gr_frame
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    assert names == ["switch_up", "inner", "run"]
    assert g.gr_frame is g.gr_frame
    kept = g.gr_frame
    assert kept.f_back.f_locals == {}
    g.switch()
    assert g.gr_frame is None
    gc.collect()
    assert kept.f_code.co_name == "switch_up"
    assert getcurrent().gr_frame is None


def test_frames_through_c_functions():
    def run():
        return sorted([1], key=lambda x: switch_up(x))

    g = greenlet(run)
    g.switch()
    names = []
    frame = g.gr_frame
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    assert names == ["switch_up", "<lambda>", "run"]
    g.switch(0)
    assert g.dead


def test_frames_of_another_threads_greenlets():
    def check(g):
        return g.gr_frame.f_code.co_name

    g = greenlet(switch_up)
    g.switch()
    if FREE_THREADED:
        # It may be switched to while one looks.
        assert in_thread(lambda: g.gr_frame) is None
    else:
        assert in_thread(lambda: check(g)) == "switch_up"
    g.switch()


def test_frames_outlive_the_greenlet():
    def run(n):
        if n:
            return run(n - 1)
        switch_up(sys._getframe())

    g = greenlet(run)
    frame = g.switch(10)
    assert frame.f_locals["n"] == 0
    g.switch()
    del g
    gc.collect()
    depth = 0
    while frame is not None:
        assert frame.f_locals["n"] == depth
        depth += 1
        frame = frame.f_back
        if frame is not None and frame.f_code.co_name != "run":
            break
    assert depth == 11


def test_stack_saved_is_positive_while_suspended():
    g = greenlet(switch_up)
    assert g._stack_saved == 0
    g.switch()
    assert g._stack_saved > 0
    g.switch()
    assert g._stack_saved == 0


def test_fifty_frames_deep_costs_nothing_more():
    def run(n):
        if n:
            return run(n - 1) + 1
        while True:
            if switch_up() == "end":
                return 0

    g = greenlet(run)
    g.switch(50)
    for _ in range(100):
        g.switch()
    assert g.switch("end") == 50


def test_a_hundred_thousand_greenlets():
    count = 100_000
    many = [greenlet(switch_up) for _ in range(count)]
    for i, g in enumerate(many):
        g.switch(i)
    assert [g.switch(i) for i, g in enumerate(many)] == list(range(count))
    assert all(g.dead for g in many)


def test_names_of_the_module():
    assert issubclass(error, Exception)
    assert isinstance(getcurrent(), greenlet)
    assert type(getcurrent()) is greenlet
    assert _core.gettrace() is None


def test_the_class_has_the_module_functions():
    for name in "getcurrent", "settrace", "gettrace", "error", "GreenletExit":
        assert getattr(greenlet, name) is getattr(_core, name)
    assert greenlet().getcurrent() is getcurrent()
    assert pickle.loads(pickle.dumps(greenlet)) is greenlet


def test_all_of_the_interface_is_there():
    for name in greenlet_api.__all__:
        assert getattr(greenlet_api, name) is not None
    assert greenlet_api.CLOCKS_PER_SEC > 1


def test_main_greenlets_are_counted():
    before = greenlet_api.get_total_main_greenlets()
    assert before >= 1
    inside = in_thread(
        lambda: getcurrent() and greenlet_api.get_total_main_greenlets()
    )
    assert inside == before + 1
    assert greenlet_api.get_total_main_greenlets() == before
    kept = in_thread(getcurrent)
    assert greenlet_api.get_total_main_greenlets() == before + 1
    del kept
    assert greenlet_api.get_total_main_greenlets() == before
    assert greenlet_api.get_pending_cleanup_count() == 0


def test_a_thread_that_cleans_up_is_pending():
    seen = []

    def stay():
        try:
            switch_up()
        finally:
            seen.append(greenlet_api.get_pending_cleanup_count())

    def leave_one():
        g = greenlet(stay)
        g.switch()
        g.self = g

    in_thread(leave_one)
    assert seen == [1]
    assert greenlet_api.get_pending_cleanup_count() == 0


def test_the_time_of_cleaning_up_is_measured():
    def spend():
        g = greenlet(burn)
        g.switch()
        g.self = g

    def burn():
        try:
            switch_up()
        finally:
            sum(range(1_000_000))

    clocks = greenlet_api.get_clocks_used_doing_optional_cleanup
    before = clocks()
    in_thread(spend)
    assert clocks() > before
    greenlet_api.enable_optional_cleanup(True)
    assert clocks() > before
    greenlet_api.enable_optional_cleanup(False)
    try:
        assert clocks() is None
    finally:
        greenlet_api.enable_optional_cleanup(True)
    assert clocks() == 0


def test_a_value_in_the_state_of_the_thread():
    def run():
        thing = type("Thing", (), {})()
        greenlet_api.set_thread_local("a key of ours", thing)
        return weakref.ref(thing)

    assert in_thread(run)() is None
    with pytest.raises(TypeError, match="set_thread_local"):
        greenlet_api.set_thread_local(1)


def test_one_that_refuses_to_be_switched_to():
    def run():
        switch_up(1)
        return 2

    g = greenlet_api.UnswitchableGreenlet(run)
    assert g.force_switch_error is g.force_slp_switch_error is False
    g.force_switch_error = True
    with pytest.raises(SystemError, match="into a greenlet for the first"):
        g.switch()
    assert not g
    g.force_switch_error = False
    assert g.switch() == 1
    g.force_switch_error = True
    for switch in g.switch, g.throw:
        with pytest.raises(SystemError, match="into a running greenlet"):
            switch()
    # As well where a switch is passed on to it.
    with pytest.raises(SystemError, match="into a running greenlet"):
        ended = greenlet(int, g)
        ended.switch()
    g.force_switch_error = False
    assert g.switch() == 2
    with pytest.raises(AttributeError, match="delete force_slp_switch_error"):
        del g.force_slp_switch_error


def test_one_that_ends_the_process():
    program = """if True:
        from celadon.greenlet_api import UnswitchableGreenlet
        g = UnswitchableGreenlet(print)
        g.force_slp_switch_error = True
        print("so far", flush=True)
        g.switch("no further")
    """
    ended = run_python("-c", program)
    assert ended.code == -signal.SIGABRT
    assert ended.out == "so far\n"
    assert "Failed low-level slp_switch()" in ended.err


def test_the_texts_of_refusals():
    g = greenlet(switch_up)
    for change, kind, text in [
        (lambda: setattr(getcurrent(), "run", int), AttributeError,
         "Main greenlets do not have a run attribute."),
        (lambda: delattr(g, "__dict__"), TypeError,
         "__dict__ may not be deleted"),
        (lambda: setattr(g, "__dict__", 1), TypeError,
         "__dict__ must be a dictionary"),
        (lambda: setattr(g, "parent", None), TypeError,
         "GreenletChecker: Expected any type of greenlet, not NoneType"),
        (lambda: delattr(g, "gr_context"), AttributeError,
         "can't delete context attribute"),
    ]:  # fmt: skip
        with pytest.raises(kind) as raised:
            change()
        assert str(raised.value) == text
    g.__dict__ = {"x": 1}
    assert g.x == 1


def test_an_abstract_class_has_no_instances():
    for base in greenlet, _core.Greenlet:
        abstract = abc.ABCMeta(
            "Abstract", (base,), {"run": abc.abstractmethod(lambda self: 0)}
        )
        with pytest.raises(TypeError, match="abstract"):
            abstract()
        type("Whole", (abstract,), {"run": lambda self: 1})()


def test_what_is_not_called_is_dropped_on_the_new_stack():
    where = []

    class Given:
        def __del__(self):
            where.append(getcurrent())
            switch_up("not yet")

    class Mine(greenlet):
        def __getattribute__(self, name):
            if name == "run":
                return where.append
            return super().__getattribute__(name)

    g = Mine(Given())
    assert g.switch("called") == "not yet"
    assert where == [g]
    g.switch()
    assert where == [g, "called"]


def test_the_context_is_kept_after_the_end():
    var = contextvars.ContextVar("var")
    g = greenlet(lambda: var.set(1))
    g.switch()
    assert g.dead and g.gr_context[var] == 1
    g.gr_context = None
    assert g.gr_context is None


def test_the_stack_of_a_main_greenlet_that_waits():
    main = getcurrent()
    assert main._stack_saved == 0
    g = greenlet(lambda: switch_up(main._stack_saved))
    assert 0 < g.switch() < 1 << 30
    assert 0 < g._stack_saved < 1 << 30
    g.switch()
    assert g._stack_saved == 0
    kept = in_thread(getcurrent)
    assert kept._stack_saved == 0


def test_the_thread_of_a_finished_one_has_ended():
    def make():
        g = greenlet(switch_up)
        g.switch()
        g.switch()
        return g

    g = in_thread(make)
    assert g.dead and g.gr_frame is None
    for switch in g.switch, g.throw, g.parent.switch:
        with pytest.raises(error, match="happens to have exited"):
            switch()


def traced(run, *args):
    """What run(*args) returns or raises, and the events of its switches."""
    events = []
    before = _core.settrace(lambda *event: events.append(event))
    try:
        result = run(*args)
    except BaseException as raised:
        result = type(raised)
    finally:
        _core.settrace(before)
    return result, events


def test_a_switch_to_oneself_is_traced():
    me = getcurrent()
    assert traced(me.switch, 1) == (1, [("switch", (me, me))])
    assert traced(me.throw, KeyError) == (KeyError, [("throw", (me, me))])
    g = greenlet(int)
    g.switch()
    assert traced(g.switch, 1) == (1, [("switch", (me, me))])
    g = greenlet(lambda: getcurrent().switch())
    assert traced(g.switch) == (
        (),
        [("switch", (me, g)), ("switch", (g, g)), ("switch", (g, me))],
    )


def test_a_throw_begins_what_has_not_begun():
    me = getcurrent()
    g = greenlet(int)
    assert traced(g.throw, KeyError) == (
        KeyError,
        [("throw", (me, g)), ("throw", (g, me))],
    )
    assert g.dead
    g = greenlet(int)
    result, events = traced(g.throw)
    assert isinstance(result, _core.GreenletExit)
    assert events == [("throw", (me, g)), ("switch", (g, me))]
    g = greenlet()
    assert traced(g.throw, KeyError) == (AttributeError, [])
    assert not g.dead


def test_only_a_throw_to_a_dead_one_returns_the_exit():
    """Not one that has died by the time it comes there."""

    class Mine(greenlet):
        @property
        def run(self):
            if self.first:
                self.first = False
                self.switch()
            return int

    g = Mine()
    g.first = False
    g.switch()
    assert isinstance(g.throw(), _core.GreenletExit)
    g = Mine()
    g.first = True
    with pytest.raises(_core.GreenletExit):
        g.throw()


def test_run_is_looked_up_once():
    count = []

    class Mine(greenlet):
        @property
        def run(self):
            count.append(self)
            return lambda value: value

    g = Mine()
    dead = greenlet(int, g)
    dead.throw()
    assert count == [g]
    g = Mine()
    dead = greenlet(int)
    dead.switch()
    dead.parent = g
    assert isinstance(dead.throw(), _core.GreenletExit)
    assert len(count) == 2


def test_there_is_no_current_one_at_the_very_end():
    program = """if True:
        import atexit, os
        from celadon.greenlet_api import getcurrent

        def look(getcurrent=getcurrent, write=os.write):
            try:
                write(1, repr(type(getcurrent())).encode() + b"\\n")
            except RuntimeError as error:
                write(1, str(error).encode() + b"\\n")

        class Last:
            def __del__(self, look=look):
                look()

        atexit.register(look)
        last = Last()
    """
    ended = run_python("-c", program)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "<class 'celadon._core.greenlet'>",
        "greenlet is being finalized",
    ]
