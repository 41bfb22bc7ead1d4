"""What tests share: programs of their own, threads, what is left over."""

import collections
import contextlib
import gc
import os
import signal
import subprocess
import sys
import sysconfig
import textwrap
import threading
import time
import traceback
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


def bounded(seconds):
    """The beginning of a command that ends in time, with all of its group.

    After *seconds* by SIGABRT, for tracebacks of what hangs, and soon after
    by SIGKILL; and where the thread that started it dies, killed or not.
    """
    return ["setpriv", "--pdeathsig", "TERM",
            "timeout", "-s", "ABRT", "-k", "10", str(seconds * SLOW)]


def sweep(group):
    """Kill what is left of the process group *group*."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def run_command(*command, timeout=20, stdin="", cwd=None, env=None):
    """Run *command*, of whose processes none is left; return how it ended.

    A program that takes longer than *timeout* seconds is killed, and the
    test fails.
    """
    until = time.monotonic() + timeout * SLOW
    process = subprocess.Popen(
        [*bounded(timeout), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    try:
        # What it started may keep the pipes, and is not bounded any more.
        out, err = process.communicate(stdin, timeout * SLOW + 15)
    except subprocess.TimeoutExpired:
        sweep(process.pid)
        out, err = process.communicate()
    finally:
        sweep(process.pid)
    ended = Ended(process.returncode, out, err)
    if time.monotonic() >= until:
        raise AssertionError(f"did not end within {timeout} s; {ended}")
    return ended


def run_python(*arguments, env=None, executable=None, **options):
    """Run this interpreter, or *executable*, with *arguments*.

    Otherwise as run_command().
    """
    env = {**(env or {}), "PYTHONFAULTHANDLER": "1"}
    return run_command(
        executable or sys.executable, *arguments, env=env, **options
    )


def fork(function):
    """Fork; the child calls *function* and ends.  Returns its pid.

    The child ends with 0, or with 1 where *function* raised, and not later
    than after half a minute.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(int(30 * SLOW))
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


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
