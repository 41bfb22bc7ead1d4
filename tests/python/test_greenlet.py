"""The raw greenlet: values, exceptions, run, parents."""

import gc
import sys
import threading
import weakref

import pytest
from celadon._core import GreenletExit, error, getcurrent, greenlet
from support import in_thread, switch_up


# ---- what is handed over


def test_switches_go_back_and_forth():
    seen = []

    def run():
        seen.append(1)
        switch_up()
        seen.append(3)

    g = greenlet(run)
    g.switch()
    seen.append(2)
    g.switch()
    seen.append(4)
    assert seen == [1, 2, 3, 4]
    assert g.dead and not g


@pytest.mark.parametrize(
    "args, kwargs, received",
    [
        ((), {}, ()),
        ((1,), {}, 1),
        (((),), {}, ()),
        (((1, 2),), {}, (1, 2)),
        ((1, 2), {}, (1, 2)),
        ((None,), {}, None),
        ((), {"a": 1}, {"a": 1}),
        ((1,), {"a": 2}, ((1,), {"a": 2})),
        ((1, 2), {"a": 3}, ((1, 2), {"a": 3})),
        (({},), {}, {}),
    ],
)
def test_a_switch_returns_what_the_next_one_was_given(args, kwargs, received):
    g = greenlet(lambda: switch_up())
    g.switch()
    assert g.switch(*args, **kwargs) == received
    g = greenlet(lambda: switch_up(*args, **kwargs))
    assert g.switch() == received


def test_the_first_switch_calls_run():
    g = greenlet(lambda *args, **kwargs: (args, kwargs))
    assert g.switch(1, 2, a=3) == ((1, 2), {"a": 3})


@pytest.mark.parametrize("value", [None, (), (1,), (1, 2), {}, [3]])
def test_the_result_comes_unchanged(value):
    assert greenlet(lambda: value).switch() is value


def test_a_switch_to_oneself_returns_its_arguments():
    me = getcurrent()
    assert me.switch() == ()
    assert me.switch(1) == 1
    assert me.switch(1, a=2) == ((1,), {"a": 2})
    with pytest.raises(ZeroDivisionError):
        me.throw(ZeroDivisionError)


def test_a_generator_of_greenlets():
    def numbers(n):
        for i in range(n):
            switch_up(i)

    g = greenlet(numbers)
    assert [g.switch(5)] + [g.switch() for _ in range(5)] == [
        0, 1, 2, 3, 4, None,
    ]


def test_two_children_and_their_order():
    seen = []

    def run(name):
        for i in range(3):
            seen.append((name, i))
            switch_up()

    a, b = greenlet(run), greenlet(run)
    a.switch("a")
    b.switch("b")
    while a or b:
        a.switch()
        b.switch()
    assert seen == [(n, i) for i in range(3) for n in "ab"]


def test_threads_have_greenlets_of_their_own():
    def run():
        assert getcurrent().parent is None
        return [greenlet(lambda: i * 2).switch() for i in range(100)]

    main = getcurrent()
    assert in_thread(run) == [i * 2 for i in range(100)]
    assert getcurrent() is main


# ---- exceptions


def test_an_exception_goes_to_the_parent():
    def run():
        switch_up(1)
        raise KeyError("x")

    g = greenlet(run)
    assert g.switch() == 1
    with pytest.raises(KeyError):
        g.switch()
    assert g.dead


def test_the_traceback_shows_the_greenlet():
    def culprit():
        1 / 0

    try:
        greenlet(culprit).switch()
    except ZeroDivisionError as raised:
        names = []
        tb = raised.__traceback__
        while tb is not None:
            names.append(tb.tb_frame.f_code.co_name)
            tb = tb.tb_next
        assert names[-1] == "culprit"


def test_greenlet_exit_is_a_result():
    g = greenlet(lambda: switch_up())
    g.switch()
    result = g.throw()
    assert isinstance(result, GreenletExit)
    assert g.dead
    assert not issubclass(GreenletExit, Exception)


def test_thrown_values():
    def catch():
        try:
            switch_up()
        except BaseException as raised:
            return raised

    def thrown(*args):
        g = greenlet(catch)
        g.switch()
        return g.throw(*args)

    assert isinstance(thrown(), GreenletExit)
    assert thrown(ValueError).args == ()
    assert thrown(ValueError, "text").args == ("text",)
    assert thrown(ValueError, (1, 2)).args == (1, 2)
    assert thrown(ValueError, None).args == ()
    one = ValueError("one")
    assert thrown(one) is one
    assert thrown(one, None) is one
    assert thrown(ValueError, one) is one


def test_a_traceback_is_thrown_with_it():
    try:
        raise ValueError
    except ValueError:
        tb = sys.exc_info()[2]

    def lines(*args):
        g = greenlet(switch_up)
        g.switch()
        try:
            g.throw(*args)
        except ValueError as raised:
            at = raised.__traceback__
            while at is not None:
                if at is tb:
                    return True
                at = at.tb_next
        return False

    assert lines(ValueError, None, tb)
    assert lines(ValueError(), None, tb)
    assert not lines(ValueError, None, None)


@pytest.mark.parametrize(
    "args, text",
    [
        ((ValueError, None, 1), "throw() third argument must be a traceback"),
        ((ValueError(), 1), "instance exception may not have a separate"),
        ((1,), "exceptions must be classes, or instances, not int"),
        (("text",), "exceptions must be classes, or instances, not str"),
    ],
)
def test_bad_throws_are_refused_here(args, text):
    g = greenlet(switch_up)
    g.switch()
    with pytest.raises(TypeError) as caught:
        g.throw(*args)
    assert str(caught.value).startswith(text)
    assert g and not g.dead


def test_a_class_that_cannot_be_made_fails_here():
    class Odd(Exception):
        def __init__(self, needed):
            pass

    g = greenlet(switch_up)
    g.switch()
    with pytest.raises(TypeError):
        g.throw(Odd)


def test_throwing_into_one_that_has_not_started():
    ran = []
    g = greenlet(lambda: ran.append(1))
    with pytest.raises(ValueError):
        g.throw(ValueError)
    assert g.dead and not ran
    g = greenlet(lambda: ran.append(1))
    assert isinstance(g.throw(), GreenletExit)
    assert g.dead and not ran


def test_throwing_into_a_dead_one():
    g = greenlet(lambda: None)
    g.switch()
    assert isinstance(g.throw(), GreenletExit)
    with pytest.raises(ValueError):
        g.throw(ValueError)


def test_handled_exceptions_stay_apart():
    def run():
        assert sys.exc_info() == (None, None, None)
        try:
            raise KeyError("inner")
        except KeyError:
            switch_up()
            assert sys.exc_info()[0] is KeyError
            with pytest.raises(KeyError):
                raise
        assert sys.exc_info() == (None, None, None)
        return "end"

    try:
        raise ValueError("outer")
    except ValueError:
        g = greenlet(run)
        g.switch()
        assert sys.exc_info()[0] is ValueError
        assert g.switch() == "end"
        assert sys.exc_info()[0] is ValueError


def test_generators_inside_greenlets():
    def numbers():
        for i in range(3):
            try:
                switch_up(i)
            except KeyError:
                yield "caught"
            else:
                yield i

    def run():
        return list(numbers())

    g = greenlet(run)
    assert [g.switch(), g.switch()] == [0, 1]
    assert g.throw(KeyError) == 2
    assert g.switch() == [0, "caught", 2]


def test_a_generator_that_runs_elsewhere_is_busy():
    def numbers():
        switch_up()
        yield 1

    it = numbers()
    g = greenlet(next)
    g.switch(it)
    with pytest.raises(ValueError, match="already executing"):
        next(it)
    assert g.switch() == 1


# ---- who is reached


def test_a_switch_to_a_dead_one_goes_to_its_parent():
    g = greenlet(lambda: None)
    g.switch()
    assert g.switch() == ()
    assert g.switch(1) == 1
    assert g.switch(1, a=2) == ((1,), {"a": 2})


def test_the_dead_are_passed_by():
    a = greenlet(lambda: switch_up("a waits"))
    b = greenlet(lambda value: None, a)
    c = greenlet(lambda: 1, b)
    assert a.switch() == "a waits"
    # The result of c starts b, whose result goes to a.
    assert c.switch() is None
    assert a.dead and b.dead and c.dead
    a = greenlet(lambda: [switch_up() for _ in range(4)])
    b = greenlet(lambda: None, a)
    c = greenlet(lambda: None, b)
    a.switch()
    b.throw()
    c.throw()
    assert c.switch(3) == ()
    results = c.switch(4)
    assert [type(each) for each in results[:2]] == [GreenletExit] * 2
    assert results[2:] == [3, 4]


def test_an_unstarted_parent_is_started_with_the_result():
    a = greenlet(lambda value: ("parent got", value))
    b = greenlet(lambda: 7, a)
    assert b.switch() == ("parent got", 7)
    a = greenlet(lambda value: ("parent got", value))
    b = greenlet(lambda: (1, 2), a)
    assert b.switch() == ("parent got", (1, 2))


def test_an_error_passes_an_unstarted_parent_by():
    a = greenlet(lambda value: "not called")
    b = greenlet(lambda: 1 / 0, a)
    with pytest.raises(ZeroDivisionError):
        b.switch()
    assert a.dead and b.dead


def test_a_parent_that_cannot_start_passes_its_error_on():
    class NoRun(greenlet):
        pass

    a = NoRun()
    b = greenlet(lambda: 1, a)
    with pytest.raises(AttributeError, match="run"):
        b.switch()
    assert b.dead and not a.dead


def test_throw_looks_run_up_too():
    class NoRun(greenlet):
        pass

    g = NoRun()
    with pytest.raises(AttributeError):
        g.throw(ValueError)
    assert not g.dead


def test_another_threads_greenlets_are_out_of_reach():
    out = []
    done = threading.Event()
    ready = threading.Event()

    def run():
        g = greenlet(switch_up)
        g.switch()
        out.extend([g, greenlet(lambda: None), getcurrent()])
        ready.set()
        done.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(10)
    try:
        for g in out:
            with pytest.raises(error) as caught:
                g.switch()
            text = str(caught.value)
            assert text.startswith("Cannot switch to a different thread\n")
            assert "\tCurrent:  <" in text and "\tExpected: <" in text
            with pytest.raises(error):
                g.throw()
        mine = greenlet(lambda: None)
        with pytest.raises(error):
            in_thread(mine.switch)
        with pytest.raises(ValueError, match="on a different thread"):
            out[0].parent = getcurrent()
    finally:
        done.set()
        thread.join()
    assert out[0].dead and out[2].dead
    # Reached through its unstarted and finished parents there is nobody.
    for g in out:
        with pytest.raises(error, match="cannot switch to a "):
            g.switch()


# ---- run


def test_run_is_there_until_the_start():
    def run():
        with pytest.raises(AttributeError):
            getcurrent().run
        switch_up()

    g = greenlet(run)
    assert g.run is run
    other = greenlet()
    with pytest.raises(AttributeError, match="^run$"):
        other.run
    other.run = run
    assert other.run is run
    del other.run
    with pytest.raises(AttributeError):
        other.run
    g.switch()
    for _ in range(2):
        with pytest.raises(AttributeError, match="^run$"):
            g.run
        with pytest.raises(AttributeError) as caught:
            g.run = run
        assert str(caught.value) == (
            "run cannot be set after the start of the greenlet"
        )
        g.switch()
    with pytest.raises(AttributeError):
        g.__init__(run)


def test_main_has_no_run():
    def check():
        with pytest.raises(AttributeError) as caught:
            getcurrent().run
        assert "Main greenlets do not have a run attribute" in str(
            caught.value
        )

    in_thread(check)


def test_none_is_stored_as_run():
    g = greenlet(None)
    assert g.run is None
    with pytest.raises(TypeError):
        g.switch()
    assert g.dead


def test_run_may_be_a_method_of_a_subclass():
    class Mine(greenlet):
        def run(self, *args):
            return self, args

    g = Mine()
    assert g.switch(1, 2) == (g, (1, 2))


def test_run_in_the_instance_or_a_property():
    class Mine(greenlet):
        @property
        def run(self):
            return lambda: "from a property"

    assert Mine().switch() == "from a property"
    g = greenlet(lambda: 1)
    g.run = lambda: 2
    assert g.switch() == 2


def test_looking_run_up_may_switch():
    main = getcurrent()

    class Mine(greenlet):
        def __getattribute__(self, name):
            if name == "run":
                main.switch("looked")
            return greenlet.__getattribute__(self, name)

    g = Mine(lambda: "ran")
    looker = greenlet(g.switch)
    assert looker.switch() == "looked"
    assert looker.switch() == "ran"


def test_looking_run_up_may_start_the_very_same():
    class Mine(greenlet):
        tries = 0

        def __getattribute__(self, name):
            value = greenlet.__getattribute__(self, name)
            if name == "run" and not Mine.tries:
                Mine.tries += 1
                self.switch("inner")
            return value

    def run(value):
        while True:
            value = switch_up(value)

    g = Mine(run)
    assert g.switch("outer") == "outer"
    assert g.switch(3) == 3
    g.throw()


def test_looking_run_up_may_end_the_very_same():
    class Mine(greenlet):
        tries = 0

        def __getattribute__(self, name):
            value = greenlet.__getattribute__(self, name)
            if name == "run" and not Mine.tries:
                Mine.tries += 1
                self.switch("inner")
            return value

    assert Mine(lambda value: value).switch("outer") == "outer"


def test_what_run_replaces_is_dropped_in_the_new_greenlet():
    seen = []

    class Noisy:
        def __del__(self):
            seen.append(getcurrent())

        def __call__(self):
            raise AssertionError

    class Mine(greenlet):
        def run(self):
            return len(seen)

    g = Mine(Noisy())
    g.switch()
    del g
    gc.collect()
    assert len(seen) == 1


def test_run_is_dropped_at_the_end():
    class Callable:
        def __call__(self):
            switch_up()

    function = Callable()
    ref = weakref.ref(function)
    g = greenlet(function)
    del function
    g.switch()
    gc.collect()
    assert ref() is not None
    g.switch()
    assert ref() is None


# ---- parents


def test_the_parent_is_who_made_it():
    assert greenlet().parent is getcurrent()
    g = greenlet(lambda: greenlet())
    assert g.switch().parent is g
    assert in_thread(lambda: getcurrent().parent) is None


def test_a_parent_may_be_given():
    a = greenlet()
    assert greenlet(None, a).parent is a
    assert greenlet(parent=a).parent is a
    assert greenlet(parent=None).parent is getcurrent()
    assert greenlet(run=None, parent=None).parent is getcurrent()


def test_parents_that_are_refused():
    a = greenlet()
    b = greenlet(parent=a)
    with pytest.raises(ValueError, match="^cyclic parent chain$"):
        a.parent = b
    with pytest.raises(ValueError):
        a.parent = a
    for bad in (None, 1, "x"):
        with pytest.raises(TypeError) as caught:
            a.parent = bad
        assert str(caught.value) == (
            "GreenletChecker: Expected any type of greenlet, not "
            + type(bad).__name__
        )
    with pytest.raises(AttributeError, match="^can't delete attribute$"):
        del a.parent
    with pytest.raises(TypeError):
        greenlet(parent=1)
    with pytest.raises(TypeError):
        greenlet(1, 2, 3)
    with pytest.raises(TypeError):
        greenlet(nonsense=1)

    def check():
        with pytest.raises(AttributeError) as caught:
            getcurrent().parent = greenlet()
        assert str(caught.value) == (
            "cannot set the parent of a main greenlet"
        )

    in_thread(check)


def test_a_running_greenlet_may_change_its_parent():
    a = greenlet(lambda value: ("a", value))

    def run():
        getcurrent().parent = a
        return 1

    assert greenlet(run).switch() == ("a", 1)
