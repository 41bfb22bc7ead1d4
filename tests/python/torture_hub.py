"""Do random things to greenlets and their hub, and see that nothing mixes.

    python torture_hub.py [SEED [STEPS [TOTAL]]] [--collect]

Every greenlet keeps a token in its locals, in a context variable and in a
handled exception, and compares them after each step.  What is random: who
switches to whom and with what, who throws, who is dropped, where generators,
destructors, C functions, finally blocks and trace functions switch, sleeps,
timeouts, kills, links, threads that end with greenlets suspended, and when
the collector runs.  Who dies may do all of that, too, and live on; what must
come of it no model says: for that see torture_greenlet.py.
"""

import contextvars
import functools
import gc
import random
import sys
import threading
import time

from celadon import Timeout, get_hub, sleep, spawn, spawn_raw
from celadon._core import (
    Event,
    GreenletExit,
    InvalidSwitchError,
    LoopExit,
    error,
    getcurrent,
    greenlet,
    settrace,
)
from torture import main

token_var = contextvars.ContextVar("token", default=None)


class Boom(Exception):
    """What is raised and thrown."""


# What a step may end in.
EXPECTED = (Boom, error, InvalidSwitchError, LoopExit, Timeout,
            RecursionError, AttributeError)


def profile(frame, event, arg):
    """Never freed: 3.11 calls it by a reference that it does not own."""


class Dropper:
    """Acts when it is freed."""

    def __init__(self, torture):
        self.torture = torture

    def __del__(self):
        try:
            self.torture.step(quiet=True)
        except EXPECTED + (GreenletExit, ValueError):
            pass


class Looked(greenlet):
    """Its run is looked up in a roundabout way."""

    torture = None

    def __getattribute__(self, name):
        if name == "run" and self.torture and self.torture.chance(3):
            try:
                self.torture.step(quiet=True)
            except EXPECTED:
                pass
        return greenlet.__getattribute__(self, name)


class Torture:
    def __init__(self, seed, steps):
        self.random = random.Random(seed)
        self.left = steps
        self.pool = []
        self.tasks = []
        self.failures = []
        self.done = {}
        self.threads = 0
        self.depth = 0
        self.event = Event()
        self.acts = [
            getattr(self, name) for name in sorted(dir(type(self)))
            if name.startswith("act_")
        ]
        # Switching is what it is about.
        self.acts += [self.act_switch] * 12 + [self.act_make] * 4
        self.quiet = [
            self.act_switch, self.act_make, self.act_drop, self.act_up,
            self.act_collect,
        ]

    def chance(self, n):
        return self.random.randrange(n) == 0

    def pick(self):
        return self.random.choice(self.pool) if self.pool else None

    def fail(self, *what):
        self.failures.append(what)
        self.left = 0

    def step(self, quiet=False):
        """Do one random thing."""
        if self.left <= 0 or self.depth > 30:
            return
        self.left -= 1
        act = self.random.choice(self.quiet if quiet else self.acts)
        name = act.__name__
        self.done[name] = self.done.get(name, 0) + 1
        self.depth += 1
        try:
            act()
        finally:
            self.depth -= 1

    # ---- what a greenlet is

    def body(self, *args, **kwargs):
        me = getcurrent()
        token = object()
        token_var.set(token)
        dropper = Dropper(self) if self.chance(10) else None
        try:
            for _ in range(self.random.randrange(1, 20)):
                try:
                    if self.chance(4):
                        self.handle(token)
                    else:
                        self.step()
                except EXPECTED:
                    pass
                if token_var.get() is not token:
                    self.fail("context", me)
                if getcurrent() is not me:
                    self.fail("current", me)
                if sys.exc_info()[0] is not None:
                    self.fail("exception", me, sys.exc_info())
        finally:
            if self.chance(3):
                self.step()
        del dropper
        if self.chance(8):
            raise Boom
        return args or kwargs

    def handle(self, token):
        """A step while an exception is handled."""
        try:
            raise Boom(token)
        except Boom as raised:
            try:
                self.step()
            except EXPECTED:
                pass
            if sys.exc_info()[1] is not raised or raised.args[0] is not token:
                self.fail("handled", sys.exc_info())

    # ---- things to do

    def act_make(self):
        kind = self.random.choice((greenlet, greenlet, Looked))
        g = kind(self.body)
        if kind is Looked:
            g.torture = self
        if self.chance(4) and self.pool:
            try:
                g.parent = self.pick()
            except ValueError:
                pass
        if self.chance(6):
            g.me = g
        self.pool.append(g)
        if len(self.pool) > 60:
            self.act_drop()
        if self.chance(2):
            g.switch(self)

    def act_switch(self):
        g = self.pick()
        if g is not None:
            args = [object()] * self.random.randrange(3)
            kwargs = {"x": 1} if self.chance(5) else {}
            g.switch(*args, **kwargs)

    def act_up(self):
        parent = getcurrent().parent
        if parent is not None and parent is not get_hub():
            parent.switch(1)

    def act_throw(self):
        g = self.pick()
        if g is not None:
            kind = self.random.choice((Boom, Boom("x"), GreenletExit, None))
            if kind is None:
                g.throw()
            else:
                g.throw(kind)

    def act_drop(self):
        if self.pool:
            del self.pool[self.random.randrange(len(self.pool))]

    def act_drop_many(self):
        if self.chance(5):
            old, self.pool = self.pool, []
            del old

    def act_collect(self):
        if self.chance(3):
            gc.collect(self.random.randrange(3))

    def act_reparent(self):
        a, b = self.pick(), self.pick()
        if a is not None:
            try:
                a.parent = b
            except (ValueError, AttributeError):
                pass

    def act_generator(self):
        def numbers():
            for i in range(3):
                self.step()
                yield i

        if list(numbers()) != [0, 1, 2]:
            self.fail("generator")

    def act_coroutine(self):
        async def inner():
            self.step()
            return 5

        async def outer():
            return [await inner(), await inner()]

        try:
            outer().send(None)
        except StopIteration as stop:
            if stop.value != [5, 5]:
                self.fail("coroutine")

    def act_sort(self):
        def key(x):
            self.step()
            return -x

        if sorted([1, 3, 2], key=key) != [3, 2, 1]:
            self.fail("sort")

    def act_reduce(self):
        def add(a, b):
            self.step()
            return a + b

        if functools.reduce(add, range(5)) != 10:
            self.fail("reduce")

    def act_deep(self):
        def down(n):
            if n:
                return down(n - 1) + 1
            self.step()
            return 0

        n = self.random.choice((1, 10, 100, 300))
        if down(n) != n:
            self.fail("deep")

    def act_recursion(self):
        if self.chance(10):
            def down():
                down()

            down()

    def act_finally(self):
        try:
            self.step()
        finally:
            self.step(quiet=True)

    def act_look(self):
        g = self.pick()
        if g is not None:
            repr(g), g.dead, bool(g), g.parent, g._stack_saved
            frame = g.gr_frame
            while frame is not None:
                frame = frame.f_back
            try:
                context = g.gr_context
                if not g and not g.dead:
                    g.gr_context = context
            except ValueError:
                pass

    def act_trace(self):
        def trace(event, pair):
            if self.chance(20):
                raise Boom
            if self.chance(20):
                self.step(quiet=True)

        if self.chance(10):
            settrace(None if self.chance(2) else trace)

    def act_profile(self):
        if self.chance(10) and sys.gettrace() is None:
            sys.setprofile(None if self.chance(2) else profile)

    # ---- the hub

    def act_sleep(self):
        sleep(self.random.choice((0, 0, 0, 1e-5, 1e-4)))

    def act_timeout(self):
        with Timeout(self.random.choice((0, 1e-5, 1e-3)), Boom):
            self.step()
            if self.chance(2):
                sleep(self.random.choice((0, 1e-4, 2e-3)))

    def act_spawn(self):
        if len(self.tasks) < 40:
            task = spawn(self.body)
            if self.chance(3):
                task.rawlink(lambda it: None)
            if self.chance(3):
                task.link(lambda it: self.step())
            self.tasks.append(task)

    def act_kill(self):
        if self.tasks:
            task = self.tasks.pop(self.random.randrange(len(self.tasks)))
            kind = self.random.choice((GreenletExit, Boom))
            task.kill(kind, block=self.chance(3), timeout=1e-3)

    def act_join(self):
        if self.tasks:
            task = self.random.choice(self.tasks)
            if task is not getcurrent():
                task.join(timeout=self.random.choice((0, 1e-4, 1e-3)))

    def act_forget_tasks(self):
        self.tasks = [t for t in self.tasks if not t.dead]

    def act_raw(self):
        spawn_raw(self.body)

    def act_callback(self):
        callback = get_hub().run_callback(self.step, True)
        if self.chance(3):
            callback.stop()

    def act_event(self):
        if self.chance(2):
            self.event.set()
        elif self.chance(2):
            self.event.clear()
        else:
            self.event.wait(self.random.choice((0, 1e-4, 1e-3)))

    # ---- threads

    def act_thread(self):
        if self.threads > 2 or not self.chance(20):
            return
        seed = self.random.random()
        given = [self.pool.pop() for _ in range(min(3, len(self.pool)))]

        def run():
            other = Torture(seed, 100)
            other.threads = 3
            other.pool.extend(given)
            given.clear()
            try:
                other.main(abandon=True)
            finally:
                self.failures.extend(other.failures)

        self.threads += 1
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        self.threads -= 1

    # ---- all of it

    def main(self, abandon=False):
        """Run until no step is left; with *abandon* leave all as it is."""
        main = getcurrent()
        hub = get_hub()
        hub.handle_error = lambda *args: None
        hook, sys.unraisablehook = sys.unraisablehook, self.unraisable
        if abandon:
            spawn_raw(self.nag)
        while self.left > 0:
            try:
                self.depth = 0
                self.step()
            except EXPECTED + (GreenletExit, ValueError):
                pass
            if getcurrent() is not main:
                self.fail("main")
        settrace(None)
        sys.setprofile(None)
        if not abandon:
            self.clean()
            sys.unraisablehook = hook

    def nag(self):
        """Bring the main greenlet back: where other threads run nobody says
        that it can't come back by itself."""
        while self.left > 0:
            try:
                sleep(0.01)
            except EXPECTED + (GreenletExit,):
                pass  # the collector may have run anything right here
            get_hub().throw_main(Boom())

    def clean(self):
        """Let all end; nothing must be left."""
        for _ in range(100):
            self.pool.clear()
            self.tasks.clear()
            try:
                gc.collect()
                sleep(0)
            except EXPECTED + (GreenletExit, ValueError):
                pass
        deadline = time.monotonic() + 0.1
        while time.monotonic() < deadline:
            try:
                sleep(0.01)
            except EXPECTED + (GreenletExit, ValueError):
                pass

    def unraisable(self, args):
        if not isinstance(
            args.exc_value, EXPECTED + (GreenletExit, ValueError)
        ):
            self.fail("unraisable", args.exc_value, args.object)


def torture(seed, steps, collect=False):
    """Return the failures of one run, and what was done how often."""
    thresholds = gc.get_threshold()
    if collect:
        gc.set_threshold(1)
    try:
        this = Torture(seed, steps)
        this.main()
    finally:
        gc.set_threshold(*thresholds)
    return this.failures, this.done


if __name__ == "__main__":
    sys.exit(main(torture, sys.argv[1:]))
