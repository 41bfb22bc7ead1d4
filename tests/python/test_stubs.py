"""The stub of celadon._core says what the docstrings say."""

import ast
import inspect
from pathlib import Path

import pytest

import celadon._core

STUB = Path(celadon.__file__).with_name("_core.pyi")

# Types that CPython describes itself, or whose stub says more.
UNSIGNED = {
    "__bool__", "__call__", "__class_getitem__", "__delattr__", "__enter__",
    "__exit__", "__getattribute__", "__init__", "__iter__", "__len__",
    "__next__", "__setattr__",
}


def methods():
    """Yield (class, method, its definition in the stub)."""
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    yield node.name, method


def names(method):
    """The parameters of a definition in the stub, without self."""
    arguments = method.args
    positional = [argument.arg for argument in arguments.posonlyargs]
    return positional[1:], [
        argument.arg
        for argument in (arguments.args if positional else arguments.args[1:])
    ]


@pytest.mark.parametrize(
    ("owner", "method"),
    [pytest.param(o, m, id=f"{o}.{m.name}") for o, m in methods()],
)
def test_a_method(owner, method):
    there = inspect.getattr_static(getattr(celadon._core, owner), method.name)
    if method.decorator_list:
        assert hasattr(there, "__get__") and not callable(there)
        return
    if method.name in UNSIGNED:
        return
    parameters = list(inspect.signature(there).parameters.values())[1:]
    positional = [
        p.name for p in parameters if p.kind is p.POSITIONAL_ONLY
    ]
    others = [p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY]
    assert (positional, others) == names(method)
    defaults = [p for p in parameters if p.default is not p.empty]
    assert len(defaults) == len(method.args.defaults)


def test_every_public_method_is_there():
    known = {(owner, method.name) for owner, method in methods()}
    for owner in {owner for owner, _ in known}:
        kind = getattr(celadon._core, owner)
        for name, value in vars(kind).items():
            if name.startswith("_") or not callable(value):
                continue
            bases = [base.__name__ for base in kind.__mro__]
            assert any((base, name) in known for base in bases), name
