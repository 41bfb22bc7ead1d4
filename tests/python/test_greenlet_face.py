"""The raw greenlet: what it shows of itself."""

import copy
import gc
import pickle
import sys
import threading
import weakref

import pytest
from celadon import _core
from celadon._core import error, getcurrent, greenlet


def switch_up(*args, **kwargs):
    """Hand over to the current greenlet's parent."""
    return getcurrent().parent.switch(*args, **kwargs)


def in_thread(function):
    """Run *function* in a thread of its own; return or raise its result."""
    ends = []

    def run():
        try:
            ends.append((function(), None))
        except BaseException as raised:
            ends.append((None, raised))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, raised = ends[0]
    if raised is not None:
        raise raised
    return result


def test_truth_and_death():
    g = greenlet(switch_up)
    assert not g and not g.dead
    g.switch()
    assert g and not g.dead
    g.switch()
    assert not g and g.dead
    assert getcurrent() and not getcurrent().dead


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
    assert greenlet.__basicsize__ == 40
    assert greenlet.__weakrefoffset__ == 16
    assert greenlet.__dictoffset__ == 24


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
