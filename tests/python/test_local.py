"""local: attributes that each greenlet has its own of."""

import _thread
import copy
import gc
import weakref

import pytest

from celadon import getcurrent, sleep, spawn
from celadon._core import greenlet
from celadon.event import Event
from celadon.local import local


class Value:
    """Something that can be seen to go."""


def test_each_greenlet_has_its_own():
    mine = local()
    mine.x = 1
    assert mine.x == 1
    assert mine.__dict__ == vars(mine) == {"x": 1}

    def other():
        with pytest.raises(AttributeError):
            mine.x
        mine.x = 2
        sleep(0)
        assert mine.x == 2
        del mine.x
        assert not hasattr(mine, "x")
        return vars(mine)

    greenlets = [spawn(other) for _ in range(5)]
    for each in greenlets:
        assert each.get() == {}
    assert mine.x == 1
    assert "x" in dir(mine)
    with pytest.raises(AttributeError):
        mine.y
    with pytest.raises(AttributeError):
        del mine.y


def test_many_greenlets_and_locals():
    locals_ = [local() for _ in range(20)]

    def worker(number):
        for index, each in enumerate(locals_):
            each.value = (number, index)
        sleep(0)
        for index, each in enumerate(locals_):
            assert each.value == (number, index)
            if index % 3 == number % 3:
                del each.value
        sleep(0)
        return True

    for _ in range(3):
        greenlets = [spawn(worker, number) for number in range(100)]
        assert all(each.get() for each in greenlets)
    assert all(vars(each) == {} for each in locals_)


def test_init_is_run_in_every_greenlet():
    log = []

    class Mine(local):
        shared = "class"

        def __init__(self, value, *, key):
            log.append((value, key))
            self.value = [value]

    mine = Mine(3, key=4)
    assert mine.value == [3]
    mine.value.append(5)
    assert spawn(lambda: mine.value).get() == [3]
    assert spawn(lambda: mine.shared).get() == "class"
    assert log == [(3, 4)] * 3


def test_an_init_that_waits_or_fails():
    ready = Event()

    class Mine(local):
        fail = False

        def __init__(self):
            self.before = 1
            ready.wait()
            if Mine.fail:
                raise KeyError
            self.after = self.before + 1

    ready.set()
    mine = Mine()
    ready.clear()
    greenlets = [spawn(lambda: vars(mine)) for _ in range(3)]
    sleep(0)
    assert mine.after == 2
    ready.set()
    for each in greenlets:
        assert each.get() == {"before": 1, "after": 2}

    def twice():
        with pytest.raises(KeyError):
            mine.before
        Mine.fail = False
        return mine.after

    Mine.fail = True
    assert spawn(twice).get() == 2


def test_no_arguments_without_an_init():
    with pytest.raises(TypeError, match="arguments are not supported"):
        local(1)
    with pytest.raises(TypeError):
        local(x=1)


def test_slots_and_properties_of_a_subclass():
    class Mine(local):
        __slots__ = ("slot",)

        @property
        def double(self):
            return self.x * 2

        @double.setter
        def double(self, value):
            self.x = value // 2

        def method(self):
            return self.x

    mine = Mine()
    mine.slot = 1
    mine.double = 8
    assert mine.x == 4 and mine.double == 8 and mine.method() == 4

    def other():
        mine.x = 5
        return mine.slot, mine.double, mine.method()

    assert spawn(other).get() == (1, 10, 5)
    assert vars(mine) == {"x": 4}
    with pytest.raises(AttributeError):
        del mine.double


def test_the_dict_cannot_be_replaced():
    for mine in (local(), type("Mine", (local,), {})()):
        with pytest.raises(AttributeError, match="read-only"):
            mine.__dict__ = {}
        with pytest.raises(AttributeError, match="read-only"):
            del mine.__dict__
        mine.__dict__["x"] = 3
        assert mine.x == 3


def test_copy():
    class Mine(local):
        def __init__(self, value):
            self.value = value

    mine = Mine(1)
    mine.more = [2]
    other = copy.copy(mine)
    assert type(other) is Mine
    assert other.more is mine.more
    other.value = 7
    assert mine.value == 1
    assert spawn(lambda: other.value).get() == 1


def test_values_go_when_the_greenlet_ends():
    mine = local()
    gone = []

    def worker():
        mine.value = Value()
        gone.append(weakref.ref(mine.value))

    greenlets = [spawn(worker) for _ in range(5)]
    for each in greenlets:
        each.join()
    assert [ref() for ref in gone] == [None] * 5


def test_values_go_when_a_raw_greenlet_ends():
    mine = local()
    gone = []

    def worker():
        mine.value = Value()
        gone.append(weakref.ref(mine.value))
        getcurrent().parent.switch()

    raw = greenlet(worker)
    raw.switch()
    assert gone[0]() is not None
    raw.switch()
    assert raw.dead
    assert gone[0]() is None
    raw = greenlet(worker)
    raw.switch()
    assert gone[1]() is not None
    del raw
    gc.collect()
    assert gone[1]() is None


def test_values_go_when_the_local_goes():
    mine = local()
    gone = []
    stop = Event()

    def worker():
        mine.value = Value()
        gone.append(weakref.ref(mine.value))
        stop.wait()

    greenlets = [spawn(worker) for _ in range(5)]
    sleep(0)
    mine.value = Value()
    gone.append(weakref.ref(mine.value))
    del worker
    there = weakref.ref(mine)
    mine = None
    assert there() is None
    assert [ref() for ref in gone] == [None] * 6
    stop.set()
    for each in greenlets:
        each.join()


def test_cycles_are_collected():
    class Mine(local):
        pass

    for make in (local, Mine):
        mine = make()
        mine.me = mine
        spawn(setattr, mine, "me", mine).join()
        gone = weakref.ref(mine)
        del mine
        gc.collect()
        assert gone() is None


def test_values_that_look_at_it_as_they_go():
    mine = local()

    class Late:
        def __del__(self):
            mine.after = getattr(mine, "after", 0) + 1

    def worker():
        mine.value = Late()

    spawn(worker).join()
    spawn(worker).join()
    assert not hasattr(mine, "after")
    mine.value = Late()
    del mine.value
    assert mine.after == 1


def test_threads():
    mine = local()
    mine.x = "main"
    log = []
    done = Event()

    def thread():
        assert not hasattr(mine, "x")
        mine.x = Value()
        log.append(weakref.ref(mine.x))
        done.set()

    _thread.start_new_thread(thread, ())
    assert done.wait(10)
    for _ in range(1000):
        if log[0]() is None:
            break
        sleep(0.01)
    assert log[0]() is None
    assert mine.x == "main"


def test_weak_references_and_names():
    mine = local()
    gone = weakref.ref(mine)
    assert gone() is mine
    mine.__class__  # noqa: B018
    assert type(mine) is local
    assert local.__module__ == "celadon.local"
    setattr(mine, "odd name", 1)
    assert getattr(mine, "odd name") == 1
    del mine
    assert gone() is None
