"""What tests share: programs of their own, threads, what is left over."""

import collections
import gc
import os
import subprocess
import sys
import sysconfig
import textwrap
import threading
import types
import weakref

from celadon._core import getcurrent

# Sanitizers and valgrind make everything slower.
SLOW = float(os.environ.get("CELADON_TEST_SLOW", "1"))

# Threads run at the same time; a reference dropped in another thread than that
# which made the object is given back there.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

PATCHED = """\
from celadon.monkey import patch_all
patch_all()
"""


class Ended:
    """How a program ended: its code, what it wrote."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}\n{self.err}"


def run_python(
    *arguments, timeout=20, stdin="", cwd=None, env=None, executable=None
):
    """Run this interpreter, or *executable*, with *arguments*.

    Returns how it ended.

    A program that takes longer than *timeout* seconds is killed, and the
    test fails.
    """
    environment = {**os.environ, **(env or {})}
    # Tracebacks of what hangs, shortly before the end.
    environment["PYTHONFAULTHANDLER"] = "1"
    process = subprocess.Popen(
        [executable or sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(stdin, timeout * SLOW)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 6)
        out, err = process.communicate()
        raise AssertionError(
            f"did not end within {timeout} s; {out}\n{err}"
        ) from None
    return Ended(process.returncode, out, err)


def run_script(code, *arguments, patched=True, fails=False, **options):
    """Run the program *code* with all patched, unless *patched* is false.

    Returns how it ended; unless *fails*, with exit code 0 or not at all.
    """
    program = textwrap.dedent(code)
    if patched:
        program = PATCHED + program
    ended = run_python("-c", program, *arguments, **options)
    if not fails:
        assert ended.code == 0, ended
    return ended


def check_script(code, expected="", **options):
    """Run *code* and compare what it prints, line by line."""
    ended = run_script(code, **options)
    assert ended.out.split() == expected.split(), ended
    assert ended.err == "", ended
    return ended


# Their frames show what they only borrow; the collector itself knows better.
BORROWERS = (types.GeneratorType, types.CoroutineType,
             types.AsyncGeneratorType)


def overvisited(more=()):
    """Objects that the collector is shown more references to than there are.

    Each would be freed while it is in use.  *more* are further objects that
    it is taken to be shown.  CPython's own faults, with strings and weak
    references, are left out.
    """
    shown = []
    # That of 3.12 shows the dead objects of its free list: referred to again,
    # they die again and make a ring of it, round which the collector runs.
    free_list = sys.modules.get("_asyncio")
    for thing in gc.get_objects():
        if not isinstance(thing, BORROWERS) and thing is not free_list:
            shown.append(thing)
    visits = gc.get_referents(*shown)
    visits.extend(more)
    del shown, thing
    sentinel = object()
    visits.append(sentinel)
    counts = collections.Counter(map(id, visits))
    objects = {id(visit): visit for visit in visits}
    # References less those shown and those in `visits`; the sentinel's one
    # real one, its name, stands for one that is shown.
    unseen = [
        (sys.getrefcount(visit) - 2 * counts[id(visit)], visit)
        for visit in objects.values()
    ]
    least = next(n for n, visit in unseen if visit is sentinel)
    return [
        visit for n, visit in unseen
        if n < least and gc.is_tracked(visit)
        and not isinstance(visit, weakref.ref)
    ]


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
