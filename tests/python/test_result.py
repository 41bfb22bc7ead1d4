"""AsyncResult: a value or an exception to come."""

import _thread
import gc
import sys
import traceback
import weakref

import pytest

from celadon import Timeout, sleep, spawn
from celadon.event import AsyncResult, Event


def test_a_value():
    result = AsyncResult()
    assert not result.ready()
    assert not result.successful()
    assert not result.done()
    assert result.value is None
    assert result.exception is None
    assert result.exc_info == ()
    assert result.set("x") is None
    assert result.ready() and result.successful() and result.done()
    assert result.get() == result.value == result.wait() == "x"
    assert result.result() == result.get_nowait() == "x"
    assert result.get(block=False) == "x"
    result.set()
    assert result.get() is None
    result.set_result(3)
    assert result.get() == 3


def test_an_exception():
    result = AsyncResult()
    error = ValueError("x")
    result.set_exception(error)
    assert result.ready() and not result.successful()
    assert result.exception is error
    assert result.exc_info == (ValueError, error, None)
    assert result.value is None
    assert result.wait() is None
    lengths = []
    for _ in range(3):
        with pytest.raises(ValueError) as caught:
            result.get()
        assert caught.value is error
        lengths.append(len(traceback.extract_tb(error.__traceback__)))
    assert len(set(lengths)) == 1
    result.set(4)
    assert result.get() == 4
    assert result.exception is None


def test_an_exception_with_its_traceback():
    result = AsyncResult()
    try:
        raise KeyError("here")
    except KeyError as error:
        result.set_exception(error, sys.exc_info())
    with pytest.raises(KeyError) as caught:
        result.get()
    lines = [line.line for line in traceback.extract_tb(caught.tb)]
    assert 'raise KeyError("here")' in lines
    assert result.exc_info[2] is not None
    result.set_exception(ValueError("a"), exc_info=(KeyError, None, None))
    assert isinstance(result.exception, ValueError)
    with pytest.raises(TypeError):
        result.set_exception(ValueError(), [1, 2, 3])
    with pytest.raises(TypeError):
        result.set_exception()


def test_what_cannot_be_raised():
    result = AsyncResult()
    result.set_exception("text")
    with pytest.raises(TypeError):
        result.get()
    result.set_exception(KeyError)
    with pytest.raises(KeyError):
        result.get()


def test_everybody_gets_it_in_order():
    result = AsyncResult()
    log = []

    def waiter(number):
        log.append((number, result.get()))

    greenlets = [spawn(waiter, number) for number in range(5)]
    sleep(0)
    result.set("v")
    for greenlet in greenlets:
        greenlet.get()
    assert log == [(number, "v") for number in range(5)]


def test_timeouts():
    result = AsyncResult()
    with pytest.raises(Timeout) as caught:
        result.get(timeout=0.01)
    assert caught.value.seconds == 0.01
    for call in (
        result.get_nowait,
        lambda: result.get(block=False),
        lambda: result.get(False, 3),
        lambda: result.get(timeout=0),
        lambda: result.result(0.001),
        lambda: result.result(timeout=0.001),
    ):
        with pytest.raises(Timeout):
            call()
    assert result.wait(0.01) is None
    assert result.wait(timeout=0) is None
    with pytest.raises(TypeError):
        result.get(1, 2, 3)


def test_kills():
    result = AsyncResult()
    one = spawn(result.get)
    two = spawn(result.get)
    sleep(0)
    one.kill()
    result.set(1)
    two.kill(block=False)
    three = spawn(result.get)
    assert three.get() == 1
    assert two.get() in (1, two.value)


def test_cannot_be_cancelled():
    result = AsyncResult()
    assert result.cancel() is False
    assert result.cancelled() is False
    result.set(1)
    assert result.cancel() is False


def test_as_a_link():
    def good():
        return 5

    def bad():
        raise KeyError(6)

    result = AsyncResult()
    spawn(good).link(result)
    assert result.get() == 5
    result = AsyncResult()
    greenlet = spawn(bad)
    greenlet.link(result)
    with pytest.raises(KeyError):
        result.get()
    assert result.exc_info[2] is not None
    again = AsyncResult()
    again(result)
    with pytest.raises(KeyError):
        again.get()
    with pytest.raises(AttributeError):
        again(object())
    with pytest.raises(TypeError):
        again()


def test_links():
    result = AsyncResult()
    log = []
    result.rawlink(log.append)
    result.rawlink(print)
    result.unlink(print)
    result.set(1)
    result.set(2)
    sleep(0)
    assert log == [result]
    result.rawlink(log.append)
    sleep(0)
    assert log == [result, result]


def test_between_threads():
    result = AsyncResult()
    _thread.start_new_thread(result.set, (7,))
    assert result.get(timeout=10) == 7
    ready = Event()
    values = []
    result = AsyncResult()

    def thread():
        values.append(result.get())
        ready.set()

    _thread.start_new_thread(thread, ())
    sleep(0.02)
    result.set(8)
    assert ready.wait(10)
    assert values == [8]


def test_shown():
    result = AsyncResult()
    assert "pending" in repr(result)
    result.set("val")
    assert "'val'" in repr(result)
    result.set_exception(KeyError("k"))
    assert "KeyError('k')" in repr(result)


def test_nothing_leaks():
    class Value:
        pass

    value = Value()
    result = AsyncResult()
    greenlet = spawn(result.get)
    sleep(0)
    result.set(value)
    assert greenlet.get() is value
    del greenlet
    gone = weakref.ref(value)
    del value
    result.set(1)
    assert gone() is None
    gone = weakref.ref(result)
    result.set(result)
    del result
    gc.collect()
    assert gone() is None


def test_subclasses():
    class Named(AsyncResult):
        def __init__(self, name):
            super().__init__()
            self.name = name

    result = Named("n")
    result.set(result.name)
    assert result.get() == "n"
    with pytest.raises(TypeError):
        AsyncResult(1)
