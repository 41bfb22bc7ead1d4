"""Recursion inside greenlets: an exception, not a crash.

How CPython counts it, or does not, differs from version to version.
"""

import functools
import json
import pickle
import re
import sys

import pytest
from celadon._core import getcurrent, greenlet
from support import run_script


def deep_python():
    def down():
        down()

    down()


def deep_sorted():
    def down(x):
        return sorted([x], key=down)

    down(1)


def deep_map():
    def down(x):
        return list(map(down, [x]))

    down(1)


def deep_getattr():
    class Down:
        def __getattr__(self, name):
            return getattr(self, name)

    Down().x


def deep_init():
    class Down:
        def __init__(self):
            Down()

    Down()


def deep_call():
    class Down:
        def __call__(self):
            self()

    Down()()


def deep_property():
    class Down:
        @property
        def x(self):
            return self.x

    Down().x


def deep_add():
    class Down:
        def __add__(self, other):
            return self + other

    Down() + 1


def deep_repr():
    class Down:
        def __repr__(self):
            return f"{self!r}"

    repr(Down())


def deep_reduce():
    def down(a, b):
        return functools.reduce(down, [1, 2])

    down(1, 2)


def deep_generators():
    def down():
        yield from down()

    list(down())


def deep_regex():
    def down(match):
        return re.sub("a", down, "a")

    down(None)


def deep_eval():
    def down():
        eval("down()", {"down": down})

    down()


def nested(depth):
    thing = []
    for _ in range(depth):
        thing = [thing]
    return thing


def deep_list_repr():
    repr(nested(100_000))


def deep_list_compare():
    nested(100_000) == nested(100_000)


def deep_json():
    json.dumps(nested(100_000))


def deep_pickle():
    pickle.dumps(nested(100_000))


def deep_isinstance():
    kinds = (int,)
    for _ in range(100_000):
        kinds = (kinds,)
    isinstance("", kinds)


def deep_ctypes():
    import ctypes

    stop = []

    @ctypes.CFUNCTYPE(None)
    def down():
        if not stop:
            try:
                down()
            except RecursionError:
                stop.append(1)

    down()
    if stop:
        raise RecursionError


DEEP = [
    value for name, value in list(globals().items())
    if name.startswith("deep_")
]


@pytest.mark.parametrize("function", DEEP, ids=lambda f: f.__name__)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_recursion_ends_in_an_exception(function, depth):
    def run(depth):
        if depth:
            return greenlet(run).switch(depth - 1)
        try:
            function()
        except (RecursionError, MemoryError):
            return "error"  # the second is the parser's
        return "no error"

    assert greenlet(run).switch(depth) in ("error", "no error")
    # All is as before: it can be done again, here and there.
    assert greenlet(run).switch(0) in ("error", "no error")
    assert run(0) in ("error", "no error")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 190 + "1" + ")" * 190,
        "-" * 100_000 + "1",
        "1+" * 100_000 + "1",
        "not " * 100_000 + "1",
        "lambda:" * 100_000 + "1",
        "[" * 190 + "]" * 190,
        "a" + ".b" * 100_000,
        "1 if 1 else " * 100_000 + "1",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_the_compiler_has_the_stack_it_needs(text):
    """Which it does not count as recursion, on some versions."""
    ended = run_script(
        """
        import sys
        from celadon._core import greenlet
        def run():
            try:
                compile(sys.stdin.read(), "text", "eval")
            except (RecursionError, MemoryError, SyntaxError):
                pass
            return "survived"
        print(greenlet(run).switch())
        """,
        patched=False,
        stdin=text,
    )
    assert ended.out == "survived\n"


def test_depths_do_not_add_up():
    """Each greenlet has the whole recursion limit to itself."""
    limit = sys.getrecursionlimit()

    def down(n):
        if n:
            return down(n - 1)
        child = greenlet(down)
        chain.append(child)
        if len(chain) < 10:
            child.switch(limit // 2)
        else:
            main.switch("bottom")

    chain = []
    main = getcurrent()
    first = greenlet(down)
    assert first.switch(limit // 2) == "bottom"
    for child in reversed(chain):
        child.throw()
    first.throw()


def test_the_recursion_limit_applies_at_once():
    def down(n):
        return n if n == 0 else down(n - 1)

    main = getcurrent()
    old = sys.getrecursionlimit()
    g = greenlet(lambda: [main.switch(), down(3000)][1])
    g.switch()
    try:
        sys.setrecursionlimit(5000)
        assert g.switch() == 0
    finally:
        sys.setrecursionlimit(old)
    with pytest.raises(RecursionError):
        greenlet(down).switch(3000)


def test_a_real_overflow_is_reported():
    """C code that CPython does not count: the engine names whom it hit."""
    ended = run_script(
        """
        import ctypes
        from celadon._core import greenlet
        chain = iter([1])
        for _ in range(1_000_000):
            chain = map(abs, chain)
        class Mine(greenlet):
            pass
        Mine(next).switch(chain)
        """,
        patched=False,
        fails=True,
    )
    assert ended.code in (-11, -7), ended
    assert "celadon: stack overflow in coroutine 'Mine'" in ended.err
    assert "CELADON_STACK_SIZE" in ended.err or "stack size" in ended.err


def test_the_stack_size_can_be_chosen():
    code = """
        import sys
        from celadon._core import greenlet
        chain = iter([1])
        for _ in range(20_000):
            chain = map(abs, chain)
        print(greenlet(next).switch(chain))
        """
    ended = run_script(
        code, patched=False, env={"CELADON_STACK_SIZE": "32768"}
    )
    assert ended.out == "1\n"
    ended = run_script(
        code, patched=False, fails=True, env={"CELADON_STACK_SIZE": "128"}
    )
    assert ended.code in (-11, -7)
    for bad in ("", "x", "1", "-5", "999999999999"):
        run_script(
            "from celadon._core import greenlet; greenlet(int).switch()",
            patched=False,
            env={"CELADON_STACK_SIZE": bad},
        )
