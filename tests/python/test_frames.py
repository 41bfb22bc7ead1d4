"""What the collector sees of suspended greenlets: what their frames own."""

import contextvars
import functools
import gc
import operator
import sys
import threading
import weakref

import pytest
from celadon._core import GreenletExit, getcurrent, greenlet
from support import overvisited, run_script

class Back(Exception):
    """Thrown to come back."""


class Thing:
    """May be in a cycle and be watched."""


def wait(seen, *kept):
    """Wait for a switch, or to be killed; keep *kept* meanwhile."""
    try:
        return main_of(getcurrent()).switch()
    finally:
        seen.append(kept[0] if kept and isinstance(kept[0], int) else None)
        del kept


def main_of(g):
    while g.parent is not None:
        g = g.parent
    return g


def collected(ref):
    """Whether what *ref* refers to is gone after two collections: the first
    kills, and what its frames held goes with it or at the second."""
    gc.collect()
    gc.collect()
    return ref() is None


def test_a_cycle_through_a_local_variable_dies():
    seen = []

    def run():
        me = getcurrent()
        try:
            main_of(me).switch()
        except GreenletExit:
            seen.append("killed")
            raise
        finally:
            seen.append("finally")

    g = greenlet(run)
    g.switch()
    ref = weakref.ref(g)
    del g
    assert seen == []
    assert collected(ref)
    assert seen == ["killed", "finally"]


def test_a_cycle_through_an_object_of_an_outer_frame_dies():
    seen = []
    thing = Thing()

    def inner(n):
        if n:
            return inner(n - 1)
        return wait(seen)

    def run(thing):
        local = [thing]
        inner(20)
        return local

    thing.g = greenlet(run)
    thing.g.switch(thing)
    refs = weakref.ref(thing), weakref.ref(thing.g)
    del thing
    assert collected(refs[0]) and refs[1]() is None
    assert seen == [None]


def test_a_ring_that_holds_itself_by_locals_dies():
    seen = []

    def run(number, other):
        try:
            main_of(getcurrent()).switch()
        finally:
            seen.append(number)
            del other

    ring = [greenlet(run) for _ in range(100)]
    for i, g in enumerate(ring):
        g.switch(i, ring[i - 1])
    refs = [weakref.ref(g) for g in ring]
    del ring, g
    assert collected(refs[0])
    assert sorted(seen) == list(range(100))
    assert [r for r in refs if r() is not None] == []


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_a_chain_that_started_each_other_dies(depth):
    """Each is the parent of the next, and in a local variable of it."""
    seen = []

    def run(depth):
        try:
            if depth:
                child = greenlet(run)
                child.switch(depth - 1)
            else:
                main_of(getcurrent()).switch()
        finally:
            seen.append(depth)

    g = greenlet(run)
    g.switch(depth)
    ref = weakref.ref(g)
    del g
    assert collected(ref)
    assert sorted(seen) == list(range(depth + 1))


@pytest.mark.parametrize("how", [
    lambda g, x: g.switch(x),
    lambda g, x: [x, g.switch(x, x, y=x)],
    lambda g, x: g.switch(*[x], **{"y": x}),
    lambda g, x: getattr(g, "switch")(x),
    lambda g, x: greenlet.switch(g, x),
    lambda g, x: [x, {1: x, 2: g.switch(x)}],
    lambda g, x: functools.partial(g.switch, x)(x),
    lambda g, x: functools.partial(greenlet.switch, g)(x),
    lambda g, x: functools.partial(g.switch)(x),
    lambda g, x: sorted([g], key=lambda g: (x, g.switch(x))),
    lambda g, x: list(map(g.switch, [x])),
    lambda g, x: operator.methodcaller("switch", x)(g),
    lambda g, x: g.throw(Back(x)),
    lambda g, x: [x, g.switch(x), g.throw(Back(x))],
])
def test_no_way_to_switch_shows_too_much(how):
    """Nor does one that came before another at the same place."""
    def run(x):
        other = greenlet(inner)
        for _ in range(3):
            other.switch(x)
            how(other, x)
        return how(other, x)

    def inner(*args, **kwargs):
        while True:
            try:
                main_of(getcurrent()).switch()
                getcurrent().parent.switch()
            except Back:
                pass

    many = []
    for steps in range(8):
        many.append(greenlet(run))
        many[-1].switch([Thing(), many[-1]])
        for _ in range(steps):
            if not many[-1].dead:
                many[-1].switch()
    assert overvisited() == []
    many.clear()
    gc.collect()
    assert overvisited() == []


def test_a_chain_through_cells_defaults_and_arguments_dies():
    seen = []

    def make(number, other):
        def run(extra, *args, keyword, **more):
            try:
                main_of(getcurrent()).switch()
            finally:
                seen.append((number, other is None, len(args), len(more)))

        return greenlet(run)

    chain = None
    first = None
    for number in range(10):
        chain = make(number, chain)
        first = first or chain
        chain.switch(chain, chain, chain, keyword=first, x=first, y=[chain])
    refs = weakref.ref(first), weakref.ref(chain)
    del chain, first
    assert collected(refs[0]) and refs[1]() is None
    assert len(seen) == 10


def test_a_cycle_through_a_frame_object_dies():
    seen = []

    def run(thing):
        thing.frame = sys._getframe()
        wait(seen)

    thing = Thing()
    thing.g = greenlet(run)
    thing.g.switch(thing)
    ref = weakref.ref(thing)
    del thing
    assert collected(ref)
    assert seen == [None]


def test_a_cycle_through_a_handled_exception_dies():
    seen = []

    def run(thing):
        try:
            raise KeyError(thing)
        except KeyError:
            del thing
            wait(seen)

    thing = Thing()
    thing.g = greenlet(run)
    thing.g.switch(thing)
    ref = weakref.ref(thing)
    del thing
    assert collected(ref)
    assert seen == [None]


def test_a_cycle_through_a_context_dies():
    seen = []
    var = contextvars.ContextVar("var")

    def run(thing):
        var.set(thing)
        del thing
        wait(seen)

    thing = Thing()
    thing.g = greenlet(run)
    thing.g.switch(thing)
    ref = weakref.ref(thing)
    del thing
    assert collected(ref)
    assert seen == [None]


def test_a_cycle_through_a_suspended_generator_dies():
    seen = []

    def numbers(thing):
        yield 1
        yield thing

    def run(thing):
        it = numbers(thing)
        del thing
        next(it)
        wait(seen)
        next(it)

    thing = Thing()
    thing.g = greenlet(run)
    thing.g.switch(thing)
    ref = weakref.ref(thing)
    del thing
    assert collected(ref)
    assert seen == [None]


def test_one_in_a_running_generator_is_left_alone(monkeypatch):
    """The collector would close the generator first, and complain."""
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    seen = []

    def numbers(thing):
        try:
            wait(seen)
            yield thing
        finally:
            seen.append("closed")

    thing = Thing()
    thing.g = greenlet(next)
    thing.g.switch(numbers(thing))
    g = thing.g
    ref = weakref.ref(thing)
    del thing
    gc.collect()
    assert ref() is not None and seen == []
    ref().g = None
    del g
    assert seen == [None, "closed"] and said == []
    assert collected(ref)


def test_what_a_reachable_one_holds_stays():
    def run():
        thing = Thing()
        thing.me = getcurrent()
        refs.append(weakref.ref(thing))
        main_of(getcurrent()).switch()
        return thing.me is getcurrent()

    refs = []
    many = [greenlet(run) for _ in range(20)]
    for g in many:
        g.switch()
    for _ in range(3):
        gc.collect()
    assert all(ref() is not None for ref in refs)
    assert [g.switch() for g in many] == [True] * 20


def test_one_that_lives_on_keeps_all_that_it_needs():
    """The collector must not clear what its frames still use."""
    seen = []

    def run(thing):
        me = getcurrent()
        thing.values = {"a": [1, 2, 3]}

        def inside():
            return thing.values["a"], me, len(seen)

        while True:
            try:
                main_of(me).switch()
            except GreenletExit:
                seen.append("caught")
                kept.append(me)
            assert inside()[0] == [1, 2, 3]

    kept = []
    thing = Thing()
    thing.g = greenlet(run)
    thing.g.switch(thing)
    del thing
    gc.collect()
    assert seen == ["caught"]
    for _ in range(3):
        assert kept[0].switch() == ()
        gc.collect()
    assert seen == ["caught"]
    # A cycle does not kill it twice, but its last reference does.
    frame = kept[0].gr_frame
    thing = frame.f_locals["thing"]
    del frame
    assert thing.values == {"a": [1, 2, 3]} and thing.g is kept[0]


def test_one_that_will_not_die_is_left_alone():
    """Neither reachable nor willing: nothing of it is touched."""
    ended = run_script(
        """
        import gc
        from celadon._core import getcurrent, greenlet
        main = getcurrent()
        def run(thing):
            me = getcurrent()
            while True:
                try:
                    main.switch()
                except BaseException:
                    print(thing["x"]["me"] is me, len(thing["x"]))
        g = greenlet(run)
        thing = {"x": {}}
        thing["x"]["me"] = g
        g.switch(thing)
        del g, thing
        for _ in range(5):
            gc.collect()
        """,
        patched=False,
    )
    assert ended.out == "True 1\n"
    assert ended.err == ""


def test_collected_in_another_thread_it_dies_in_its_own():
    seen = []

    def run():
        me = getcurrent()
        try:
            main_of(me).switch()
        finally:
            seen.append(threading.get_ident())

    g = greenlet(run)
    g.switch()
    ref = weakref.ref(g)
    gc.collect()
    gc.disable()
    try:
        del g
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()
    finally:
        gc.enable()
    assert seen == []
    getcurrent()
    assert seen == [threading.get_ident()]
    assert collected(ref)


def test_locals_go_with_the_last_reference_after_the_thread():
    """One that will not die with its thread can't be switched to."""
    kept = []
    refs = []

    def run(thing):
        refs.append(weakref.ref(thing))
        while True:
            try:
                main_of(getcurrent()).switch()
            except GreenletExit:
                pass

    def in_thread():
        g = greenlet(run)
        g.switch(Thing())
        kept.append(g)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert refs[0]() is not None and kept[0].dead
    kept.clear()
    gc.collect()
    assert refs[0]() is None


def test_a_cycle_through_locals_after_the_thread_is_collected():
    refs = []

    def run(thing):
        thing.me = getcurrent()
        refs.append(weakref.ref(thing))
        while True:
            try:
                main_of(getcurrent()).switch()
            except GreenletExit:
                pass

    def in_thread():
        greenlet(run).switch(Thing())

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    gc.collect()
    gc.collect()
    assert refs[0]() is None


# ---- never more than is owned


SHAPES = []


def shape(function):
    SHAPES.append(function)
    return function


@shape
def plain(a, b=1, *args, c=3, **more):
    local = [a, b, args, c, more]
    getcurrent().parent.switch(local)


@shape
def deep(n, *args):
    return deep(n - 1, n, *args) if n else getcurrent().parent.switch(args)


@shape
def in_generator(n):
    def numbers():
        yield from (getcurrent().parent.switch(i) for i in range(n))

    return list(numbers())


@shape
def in_coroutine(n):
    async def inner(thing):
        return getcurrent().parent.switch(thing)

    async def outer():
        thing = Thing()
        return [await inner(thing) for _ in range(n)]

    try:
        outer().send(None)
    except StopIteration as stop:
        return stop.value


@shape
def in_sort(n):
    return sorted(range(n), key=lambda x: (getcurrent().parent.switch(x), x))


@shape
def in_handler(n):
    try:
        raise KeyError(Thing())
    except KeyError as error:
        try:
            raise ValueError from error
        except ValueError:
            getcurrent().parent.switch(n)


@shape
def in_finally(n):
    try:
        return [Thing()]
    finally:
        getcurrent().parent.switch(n)


@shape
def in_with(n):
    class Manager:
        def __enter__(self):
            getcurrent().parent.switch(self)

        def __exit__(self, *args):
            getcurrent().parent.switch(args)

    with Manager():
        getcurrent().parent.switch(n)


@shape
def in_class(n):
    class Body:
        x = Thing()
        y = getcurrent().parent.switch(x)


@shape
def in_del(n):
    class Switches:
        def __del__(self):
            getcurrent().parent.switch()

    def inner():
        one = Switches()
        two = [one, one, Thing()]
        del one, two
        three = Switches()
        return three is None

    return inner()


@shape
def in_init(n):
    class Made:
        def __init__(self, thing):
            self.thing = thing
            getcurrent().parent.switch(thing)

    return [Made(Thing()) for _ in range(n)]


@shape
def in_comprehension(n):
    up = getcurrent().parent
    return {x: [y + up.switch(y) for y in range(x)] for x in range(n)}


@shape
def in_arguments(n):
    up = getcurrent().parent
    return dict([Thing(), up.switch(n)][:0], x=Thing(), **{"y": up.switch()})


@shape
def in_operators(n):
    class Number:
        def __add__(self, other):
            return getcurrent().parent.switch(other)

        __getitem__ = __getattr__ = __contains__ = __add__

        def __iter__(self):
            yield from map(getcurrent().parent.switch, [self, self])

        def __eq__(self, other):
            return getcurrent().parent.switch(self)

    one = Number()
    return [one + one, one[one], one in [1, one], [*one], one == 1]


@shape
def in_del_attribute(n):
    thing = Thing()
    thing.x = [Thing()]
    getcurrent().parent.switch(thing.x, thing, n)
    del thing.x
    exec("getcurrent().parent.switch(vars())", {**globals(), "n": n})


@shape
def in_property(n):
    class Has:
        @property
        def x(self):
            return getcurrent().parent.switch(self)

    return [Has().x, Has().x, Has().x]


@shape
def in_splat(n):
    def switch_up(*args, **more):
        return getcurrent().parent.switch(*args, **more)

    return switch_up(n, Thing(), x=Thing())


@shape
def in_trace(n):
    def tracer(frame, event, arg):
        if event == "line" and n and getcurrent() is me:
            me.parent.switch(frame)
        return tracer

    me = getcurrent()
    sys.settrace(tracer)
    try:
        n = [n, n]
    finally:
        sys.settrace(None)


def many_shapes():
    """Greenlets suspended in all sorts of frames, kept by the caller."""
    many = []
    for function in SHAPES:
        for steps in range(5):
            g = greenlet(function)
            g.name = function.__name__
            many.append(g)
            g.switch(5)
            for _ in range(steps):
                if g.dead:
                    break
                g.switch(1)
    return many


def test_no_object_is_visited_more_often_than_it_is_referred_to():
    many = many_shapes()
    assert overvisited() == []
    for g in many[::2]:
        finish(g)
    gc.collect()
    assert overvisited() == []
    for g in many:
        finish(g)


def finish(g):
    while not g.dead:
        g.switch(0)


def test_the_check_sees_what_is_visited_too_often():
    holder = [[]]
    assert overvisited() == []
    # The tuple is a reference and is shown; once more is once too often.
    assert overvisited(more=(holder[0],)) == [holder[0]]


def test_suspended_in_all_shapes_they_are_collected_at_any_time():
    old = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(3):
            for g in many_shapes():
                if g.name in ("in_del", "in_with", "in_trace"):
                    # Killed they would switch away, and the collector with
                    # them.
                    finish(g)
                g.me = g
            del g
    finally:
        gc.set_threshold(*old)
    gc.collect()


@pytest.mark.parametrize("what", ["setprofile", "settrace"])
def test_tools_may_come_while_it_is_suspended(what):
    """An exception leaves frames that were entered without them."""

    def tool(frame, event, arg):
        events.append(event)

    def inner(n):
        if n:
            return inner(n - 1)
        return getcurrent().parent.switch()

    def generate(n):
        yield inner(n)

    events = []
    for run in (inner, lambda n: list(generate(n))):
        g = greenlet(run)
        g.switch(5)
        getattr(sys, what)(tool)
        try:
            with pytest.raises(KeyError):
                g.throw(KeyError)
        finally:
            getattr(sys, what)(None)
        assert g.dead and events
        events.clear()
