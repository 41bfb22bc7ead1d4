"""Do random things to greenlets, by a seed; a model says what must come of it.

    python torture_greenlet.py [SEED [STEPS [TOTAL]]] [--collect]

The model is torture_model.py.  Greenlets switch, throw and end from within
generators, handlers, contexts, C callbacks, destructors and recursion; they
are dropped with and without cycles, here and in other threads, and threads end
with greenlets suspended.  At the end every `finally` must have run exactly
once, and no object may be left.

Who is killed because nobody can reach it may be so at any moment and in
anybody's place.  It ends without leaving to others, and who was interrupted
must not notice.

test_torture.py runs slices of this; scripts/torture.sh the long ones.
"""

import contextlib
import contextvars
import functools
import gc
import random
import sys
import threading

from celadon._core import (
    GreenletExit,
    error,
    getcurrent,
    greenlet,
    settrace,
)
from support import overvisited
from torture import main
from torture_model import Model, Token, token_var, waits_for_current

# Frames of steps in one greenlet, and greenlets that are kept.
NESTED = 6
POOL = 40


class Boom(Exception):
    """What is raised and thrown."""


class Acts:
    """Acts when it is freed.

    Out here, for 3.13t keeps each class that is made after the first thread,
    and what its methods refer to, for ever.
    """

    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()


class Mine(greenlet):
    """A subclass with a slot."""

    __slots__ = ("rec",)


class Plain(greenlet):
    """A subclass with a dictionary, which finds its run by a property."""

    @property
    def run(self):
        return self.body


class Torture(Model):
    """Does things."""

    def __init__(self, seed, steps, thread=False):
        super().__init__()
        self.random = random.Random(seed)
        self.left = steps
        self.thread = thread
        self.pool = []  # greenlets; their records are found by `rec`
        self.foreign = []  # of another thread
        self.done = {}
        self.looks = 3
        self.traced = 0
        names = [name for name in sorted(dir(type(self)))
                 if name.startswith("act_")]
        self.acts = [getattr(self, name) for name in names]
        # Switching is what it is about.
        self.acts += [self.act_switch] * 12 + [self.act_make] * 5
        self.acts += [self.act_throw, self.act_drop] * 2
        # What surely comes back, for those that are dying.
        self.calm = [
            self.act_child, self.act_collect, self.act_hot, self.act_sort,
            self.act_generator, self.act_deep, self.act_context,
            self.act_cycle, self.act_drop_fresh, self.act_look,
        ]

    def chance(self, n):
        return self.random.randrange(n) == 0

    def tokens(self):
        return tuple(Token() for _ in range(self.random.choice((0, 1, 1, 2))))

    def me(self):
        return getcurrent().rec if self.main.ref() is not getcurrent() \
            else self.main

    def step(self, rec):
        """Do one random thing in the greenlet of `rec`."""
        if self.left <= 0 or rec.depth > NESTED or self.failures:
            return
        self.left -= 1
        act = self.random.choice(self.calm if self.killing else self.acts)
        name = act.__name__
        self.done[name] = self.done.get(name, 0) + 1
        rec.depth += 1
        try:
            act(rec)
        finally:
            rec.depth -= 1
        if token_var.get() is not rec.token:
            self.fail("context", rec.ref())

    # ---- what a greenlet is

    def body(self, *args, **kwargs):
        """What runs in each: says how it ends as the last thing."""
        rec = getcurrent().rec
        rec.state = "active"
        token_var.set(rec.token)
        self.arrive(rec, "start", (args, kwargs))
        del args, kwargs
        kind, result = "value", None
        try:
            result = self.life(rec)
        except (Boom, GreenletExit) as raised:
            kind, result = "raise", raised
        if sys.exc_info()[0] is not None:
            self.fail("exception", sys.exc_info())
        return self.finish(rec, kind, result)

    def finish(self, rec, kind, result):
        if rec.finallies != 1:
            self.fail("finally", rec.finallies)
        if kind == "raise":
            result.__traceback__ = None
            result.__context__ = None
        self.ended(rec, kind, result)
        if self.chance(8):
            gc.collect()  # others may be killed in between
        if kind == "raise":
            try:
                raise result
            finally:
                del result
        return result

    def life(self, rec):
        try:
            for _ in range(self.random.randrange(1, 14)):
                try:
                    self.step(rec)
                except Boom:
                    if self.chance(4):
                        raise
            if self.chance(10):
                raise Boom(Token())
            return self.tokens()
        finally:
            rec.finallies += 1
            if self.chance(3):
                self.step(rec)
            if self.chance(12):
                raise Boom(Token())

    # ---- switching

    def send(self, me, rec, args, kwargs):
        """Switch to the greenlet of `rec`; see what comes back."""
        g = rec.ref()
        self.expect(rec, "switch", (args, kwargs))
        try:
            got = g.switch(*args, **kwargs)
        except BaseException as raised:
            self.arrive(me, "raise", raised)
            raise
        self.arrive(me, "value", got)

    def hurl(self, me, rec, what):
        """Throw `what` (None: the default) there; see what comes back."""
        g = rec.ref()
        self.expect(rec, "raise", GreenletExit if what is None else what)
        try:
            got = g.throw() if what is None else g.throw(what)
        except BaseException as raised:
            self.arrive(me, "raise", raised)
            raise
        self.arrive(me, "value", got)

    def pick(self):
        return self.random.choice(self.pool).rec if self.pool else self.main

    def make(self, parent=None):
        kind = self.random.choice((Mine, Plain))
        if kind is Mine:
            g = Mine(self.body)
        else:
            g = Plain()
            g.body = self.body
        g.rec = self.enlist(g, self.me())
        if parent is not None:
            g.parent = parent.ref()
            g.rec.parent = parent
        return g

    def act_make(self, rec):
        parent = self.pick() if self.chance(4) else None
        g = self.make(parent)
        self.pool.append(g)
        if self.chance(8):
            g.me = self.pool if self.chance(2) and type(g) is Plain else g
        del g
        while len(self.pool) > POOL:
            self.act_drop(rec)

    def act_switch(self, rec):
        kwargs = {"x": Token()} if self.chance(6) else {}
        if self.chance(8):
            self.send(rec, rec.parent or rec, self.tokens(), kwargs)
        else:
            self.send(rec, self.pick(), self.tokens(), kwargs)

    def act_throw(self, rec):
        target = self.pick()
        if target is self.main and not self.chance(4):
            return
        self.hurl(rec, target, self.random.choice((
            Boom(Token()), Boom(Token()), GreenletExit(Token()), None,
        )))

    def act_reparent(self, rec):
        a, b = self.pick(), self.pick()
        up = b
        while up is not None and up is not a:
            up = up.parent
        g = a.ref()
        may = up is None and a is not self.main
        if may:
            a.parent = b  # first, for the old one may die of it
        try:
            g.parent = b.ref()
        except (ValueError, AttributeError):
            if may:
                self.fail("parent refused", g, b.ref())
        else:
            if not may:
                self.fail("cyclic parent", g)

    # ---- dropping

    def act_drop(self, rec):
        if self.pool:
            self.drop(self.random.randrange(len(self.pool)))

    def drop(self, index):
        g = self.pool[index]
        g.rec.dropped = True
        # A finished one is of no more use in a slot or a dictionary.
        del g, self.pool[index]

    def asleep(self, *kept):
        """For a greenlet that only waits for its death."""
        me = getcurrent()
        rec = me.rec
        up = me.parent
        del me
        rec.state = "active"
        try:
            up.switch()
            self.fail("woken", rec.ref())
        except GreenletExit:
            if not rec.dropped:
                self.fail("killed", rec.ref())
            raise
        finally:
            rec.state = "dead"
            rec.finallies += 1
            del kept

    def suspended(self, me, *kept):
        g = Mine(self.asleep)
        g.rec = self.enlist(g, me)
        g.switch(*kept)
        return g

    def act_drop_fresh(self, rec):
        g = self.suspended(rec, Token())
        fresh = g.rec
        fresh.dropped = True
        del g
        if fresh.finallies != 1 or fresh.ref() is not None:
            self.fail("not killed when dropped", fresh.finallies)

    def act_cycle(self, rec):
        """A ring of greenlets that hold each other by local variables."""
        if not self.chance(20):
            return
        links = [[Token()] for _ in range(self.random.randrange(1, 5))]
        ring = [self.suspended(rec, link) for link in links]
        for link, g in zip(links, ring[1:] + ring[:1]):
            link.append(g)
            g.rec.dropped = True
        recs = [g.rec for g in ring]
        ring.clear()
        links.clear()
        del g, link
        gc.collect()
        if not self.killing and any(r.finallies != 1 for r in recs):
            self.fail("cycle not collected", [r.finallies for r in recs])

    def act_collect(self, rec):
        gc.collect(0 if self.random.randrange(50) else 2)

    # ---- from within what

    def act_child(self, rec):
        """A greenlet of its own that runs to its end, in parts."""
        token = Token()
        up = getcurrent()
        child = greenlet(lambda x: up.switch(x) is token and x)
        if child.switch(token) is not token:
            self.fail("child's first")
        if child.switch(token) is not token or not child.dead:
            self.fail("child's end")

    def act_handler(self, rec):
        try:
            raise Boom(rec.token)
        except Boom as mine:
            with contextlib.suppress(Boom):
                self.step(rec)
            if sys.exc_info()[1] is not mine:
                self.fail("handled", sys.exc_info())

    def act_generator(self, rec):
        def numbers():
            for i in range(3):
                self.step(rec)
                yield i

        if list(numbers()) != [0, 1, 2]:
            self.fail("generator")

    def act_coroutine(self, rec):
        async def inner(n):
            self.step(rec)
            return n

        async def outer():
            return [await inner(1), await inner(2)]

        try:
            outer().send(None)
        except StopIteration as stop:
            if stop.value != [1, 2]:
                self.fail("coroutine", stop.value)

    def act_sort(self, rec):
        def key(x):
            self.step(rec)
            return -x

        if sorted([1, 3, 2], key=key) != [3, 2, 1]:
            self.fail("sort")

    def act_reduce(self, rec):
        def add(a, b):
            if self.chance(2):
                self.step(rec)
            return a + b

        if functools.reduce(add, range(4)) != 6:
            self.fail("reduce")

    def act_deep(self, rec):
        def down(n):
            if n:
                return down(n - 1) + 1
            self.step(rec)
            return 0

        n = self.random.choice((1, 5, 20, 100))
        if down(n) != n:
            self.fail("deep")

    def act_context(self, rec):
        def inside():
            token_var.set(mine)
            rec.token = mine
            try:
                self.step(rec)
            finally:
                rec.token = outer

        outer, mine = rec.token, Token()
        contextvars.copy_context().run(inside)

    def act_destructor(self, rec):
        def act():
            self.act_child(rec)
            done.append(getcurrent())

        done = []
        thing = [Acts(act)]
        thing.append(thing)
        thing.pop()
        del thing
        if done != [getcurrent()]:
            self.fail("destructor", done)

    def act_recursion(self, rec):
        if not self.chance(20):
            return

        def python():
            python()

        def callback(x):
            return sorted([x], key=callback)

        # What the collector frees at the limit CPython frees without calling
        # its __del__, and without a word, for that call has no room either.
        gc.disable()
        try:
            self.random.choice((python, lambda: callback(1)))()
        except RecursionError:
            return
        finally:
            gc.enable()
        self.fail("no RecursionError")

    def act_hot(self, rec):
        """Loops that a JIT compiles, left and entered in the middle."""
        if not self.chance(4):
            return

        def count(n):
            total = 0
            for i in range(n):
                total += i & 3
                if i % 500 == 499:
                    total = up.switch(total)
            return total

        up = getcurrent()
        n = 2000
        child = greenlet(count)
        total = child.switch(n)
        while not child.dead:
            total = child.switch(total)
        if total != sum(i & 3 for i in range(n)):
            self.fail("hot", total)

    # ---- looking on

    def act_look(self, rec):
        other = self.pick()
        if self.expected is not None and self.expected.rec is other:
            return  # who was interrupted is about to run it
        g = other.ref()
        if other.state == "dead" and not g.dead and waits_for_current(g):
            return  # it was interrupted between its last word and its end
        if bool(g) is not (other.state == "active"):
            self.fail("active", g, other.state)
        if g.dead is not (other.state == "dead"):
            self.fail("dead", g, other.state)
        if other.parent is not None and g.parent is not other.parent.ref():
            self.fail("parent", g, g.parent)
        frame = g.gr_frame
        while frame is not None:
            frame = frame.f_back
        if other.state == "active" and other is not rec:
            context = g.gr_context
            if context is None or context[token_var] is not other.token:
                self.fail("gr_context", g)

    def act_overvisited(self, rec):
        if self.looks and self.chance(20) and not self.thread:
            self.looks -= 1
            gc.disable()
            try:
                found = overvisited()
            finally:
                gc.enable()
            if found:
                self.fail("overvisited", found)

    def act_trace(self, rec):
        def trace(event, pair):
            self.traced += 1
            if event not in ("switch", "throw") or pair[1] is not getcurrent():
                self.fail("trace", event, pair)

        if self.chance(10):
            settrace(None if self.chance(2) else trace)

    def act_profile(self, rec):
        if self.chance(20) and sys.gettrace() is None:
            sys.setprofile(None if self.chance(2) else profile)

    # ---- threads

    def act_thread(self, rec):
        """Another thread tortures, drops some of ours, and ends."""
        if self.thread or not self.chance(40):
            return
        other = None

        def run():
            nonlocal other
            other = Torture(seed, 150, thread=True)
            other.foreign = given
            other.run()
            other.ending = True

        seed = self.random.random()
        given = []
        while self.pool and len(given) < 3:
            g = self.pool.pop()
            g.rec.dropped = True
            given.append(g)
            del g
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        given.clear()
        self.failures.extend(other.failures)
        if other.unraisable:
            self.unraisable += other.unraisable
        kept = [g for g in other.pool]
        for g in kept:
            if not g.dead and g.rec.state != "unstarted":
                self.fail("survived its thread", g)
        other.close()
        self.failures.extend(other.failures)

    def act_foreign(self, rec):
        if not self.foreign:
            return
        g = self.random.choice(self.foreign)
        state = g.rec.state
        if self.chance(3):
            self.foreign.remove(g)
        elif state == "active":
            try:
                g.switch()
            except error as raised:
                if "different thread" not in str(raised):
                    self.fail("foreign", raised)
            else:
                self.fail("switched to another thread's", g)

    # ---- all of it

    def run(self):
        """Until no step is left; greenlets stay suspended."""
        while self.left > 0 and not self.failures:
            try:
                self.step(self.main)
            except (Boom, GreenletExit):
                pass
        settrace(None)
        sys.setprofile(None)

    def clean(self):
        """Let all end that have not; then nothing may be left."""
        # Rings that were dropped while something was being killed.
        gc.collect()
        for rec in self.recs:
            rounds = 0
            while rec.state == "active" and rec is not self.main:
                if rec.ref() is None or rounds > 100:
                    self.fail("left over", rec.ref(), rec.state)
                    break
                rounds += 1
                with contextlib.suppress(Boom, GreenletExit):
                    self.hurl(self.main, rec, None)
        self.pool.clear()
        self.foreign.clear()
        gc.collect()
        self.close()

    def close(self):
        """All that started must have had its `finally`, once."""
        for rec in self.recs:
            if rec is not self.main and rec.finallies > 1:
                self.fail("finally ran twice", rec.finallies)
            if rec.state == "active" and rec is not self.main:
                self.fail("not ended", rec.ref())
        self.recs.clear()
        self.pool.clear()
        self.main.token = None


def profile(frame, event, arg):
    """Never freed: 3.11 calls it by a reference that it does not own."""


class Errors:
    """Counts what nobody could be told."""

    def __init__(self):
        self.count = 0
        self.wrong = []

    def __call__(self, args):
        if isinstance(args.exc_value, Boom):
            self.count += 1
        else:
            self.wrong.append(repr(args.exc_value))


def torture(seed, steps, collect=False):
    """Return the failures of one run, and what was done how often."""
    token_var.set(None)
    gc.collect()
    live = Token.live
    thresholds = gc.get_threshold()
    hook, sys.unraisablehook = sys.unraisablehook, Errors()
    if collect:
        gc.set_threshold(1)
    this = Torture(seed, steps)
    watched = this.recs
    try:
        this.run()
        refs = [rec.ref for rec in watched if rec is not this.main]
        this.clean()
    finally:
        errors, sys.unraisablehook = sys.unraisablehook, hook
        gc.set_threshold(*thresholds)
    failures, done = this.failures, this.done
    if errors.wrong or errors.count != this.unraisable:
        failures.append(("unraisable", errors.wrong, errors.count,
                         this.unraisable))
    token_var.set(None)
    del this, watched
    for _ in range(3):
        gc.collect()
    if not failures:
        left = [ref() for ref in refs if ref() is not None]
        if left or Token.live != live:
            failures.append(("left", len(left), left[:3], Token.live - live))
    return failures, done


if __name__ == "__main__":
    sys.exit(main(torture, sys.argv[1:]))
