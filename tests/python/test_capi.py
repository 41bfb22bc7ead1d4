"""greenlet's C interface, used by an extension that is compiled here."""

import gc
import importlib.util
import os
import sys
import sysconfig
import weakref
from pathlib import Path

import pytest
from celadon import greenlet_api
from celadon.greenlet_api import GreenletExit, error, getcurrent, greenlet
from support import run_command

SOURCE = Path(__file__).with_name("capi_probe.c")


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """The compiled extension; for it our greenlet is `greenlet`."""
    folder = tmp_path_factory.mktemp("capi")
    target = folder / f"capi_probe{sysconfig.get_config_var('EXT_SUFFIX')}"
    compiler = os.getenv("CC", "cc").split()
    ended = run_command(
        *compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared",
        "-fPIC", "-I", greenlet_api.get_include(),
        "-isystem", sysconfig.get_path("include"),
        "-isystem", sysconfig.get_path("platinclude"),
        SOURCE, "-o", target, timeout=60,
    )  # fmt: skip
    assert ended.code == 0, ended
    spec = importlib.util.spec_from_file_location("capi_probe", target)
    before = sys.modules.get("greenlet")
    sys.modules["greenlet"] = greenlet_api
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        if before is None:
            del sys.modules["greenlet"]
        else:
            sys.modules["greenlet"] = before
    return module


def switch_up(*args):
    return getcurrent().parent.switch(*args)


def test_the_layout(probe):
    assert probe.size == greenlet.__basicsize__ == object.__basicsize__ + 24
    assert greenlet.__weakrefoffset__ == object.__basicsize__
    assert greenlet.__dictoffset__ == object.__basicsize__ + 8


def test_new(probe):
    g = probe.new(switch_up, None)
    assert type(g) is greenlet and g.parent is getcurrent()
    assert probe.new(None, g).parent is g
    with pytest.raises(AttributeError):
        probe.new(None, None).switch()
    with pytest.raises(TypeError, match="Expected any type of greenlet, not"):
        probe.new(switch_up, 1)


def test_current_and_parent(probe):
    assert probe.get_current() is getcurrent()
    assert probe.get_parent(getcurrent()) is ...
    g = greenlet(switch_up)
    assert probe.get_parent(g) is getcurrent()
    probe.set_parent(g, greenlet())
    assert g.parent is not getcurrent()
    with pytest.raises(AttributeError, match="can't delete attribute"):
        probe.set_parent(g, None)
    with pytest.raises(TypeError, match="GreenletChecker"):
        probe.set_parent(g, "none")
    with pytest.raises(ValueError, match="cyclic parent chain"):
        probe.set_parent(g, g)


def test_what_it_is(probe):
    g = greenlet(switch_up)
    assert probe.look(getcurrent()) == (1, 1, 1)
    assert probe.look(g) == (0, 0, 0)
    g.switch()
    assert probe.look(g) == (0, 1, 1)
    g.switch()
    assert probe.look(g) == (0, 1, 0)
    assert probe.is_greenlet(g) and not probe.is_greenlet(1)


def test_switch(probe):
    def run(*args, **kwargs):
        got = args, kwargs
        while True:
            got = switch_up(got)

    g = greenlet(run)
    assert probe.switch(g, (1, 2), {"x": 3}) == ((1, 2), {"x": 3})
    assert probe.switch(g, (1,), None) == 1
    assert probe.switch(g, None, None) == ()
    assert probe.switch(g, None, {"x": 1}) == {"x": 1}
    assert probe.switch(g, (1,), {"x": 1}) == ((1,), {"x": 1})
    # What is no dict counts for nothing; what is no tuple can't be passed.
    assert probe.switch(g, (7,), [1]) == 7
    with pytest.raises(TypeError):
        probe.switch(g, [1], None)


def test_throw(probe):
    def run():
        try:
            switch_up()
        except ValueError as exc:
            return exc

    g = greenlet(run)
    g.switch()
    assert str(probe.throw(g, ValueError, "take", None)) == "take"
    g = greenlet(run)
    g.switch()
    assert isinstance(probe.throw(g, None, None, None), GreenletExit)
    for arguments, text in [
        ((ValueError, None, 1), "third argument must be a traceback"),
        ((ValueError(), 1, None), "may not have a separate value"),
        (("no", None, None), "must be classes, or instances, not str"),
    ]:
        with pytest.raises(TypeError, match=text):
            probe.throw(g, *arguments)


def test_what_is_no_greenlet_is_refused(probe):
    for call, *rest in [
        (probe.switch, None, None),
        (probe.throw, None, None, None),
        (probe.set_parent, getcurrent()),
        (probe.get_parent,),
        (probe.look,),
    ]:
        with pytest.raises(TypeError, match="bad argument type"):
            call("not one", *rest)
    assert probe.failures(object()) == 3


def test_exceptions(probe):
    with pytest.raises(error, match="from C"):
        probe.raise_(False)
    with pytest.raises(GreenletExit, match="from C"):
        probe.raise_(True)


@pytest.mark.parametrize("below", [False, True])
def test_a_static_class_that_embeds_one(probe, below):
    cls = probe.Embedded
    if below:

        class Below(cls):
            pass

        cls = Below
    assert cls.__basicsize__ >= 48
    gc.collect()
    before = sys.getrefcount(cls)
    for _ in range(100):
        g = cls(switch_up)
        g.extra = [g]
        assert g.switch(1) == 1
        assert repr(g).startswith("<Below" if below else "<capi_probe.Em")
        assert g.switch() == ()
        assert g.dead
    gone = weakref.ref(g)
    del g
    gc.collect()
    assert gone() is None
    assert sys.getrefcount(cls) == before


def test_one_that_embeds_is_killed_like_others(probe):
    ends = []

    def run():
        try:
            switch_up()
        finally:
            ends.append(type(sys.exc_info()[1]))

    for cls in (probe.Embedded, type("Below", (probe.Embedded,), {})):
        g = cls(run)
        g.switch()
        del g
        g = cls(run)
        g.extra = g
        g.switch()
        del g
        gc.collect()
    assert ends == [GreenletExit] * 4
