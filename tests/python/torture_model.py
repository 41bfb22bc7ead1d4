"""What must come of switching, throwing and ending, for torture_greenlet.py.

It follows the rules of greenlet's documentation.  Before each switch it works
out who will run and what that one will get; who then arrives compares.
"""

import contextvars
import weakref

from celadon._core import GreenletExit, getcurrent

token_var = contextvars.ContextVar("token", default=None)


class Token:
    """Something to pass on, counted."""

    live = 0

    def __init__(self):
        Token.live += 1

    def __del__(self):
        Token.live -= 1


class Rec:
    """What the model knows of a greenlet."""

    def __init__(self, g, parent):
        self.ref = weakref.ref(g)
        self.parent = parent
        self.state = "unstarted"  # then "active", then "dead"
        self.token = Token()
        self.finallies = 0
        self.dropped = False  # nobody may be able to reach it
        self.killed = False  # GreenletExit came for that
        self.saved = None  # what was expected when it came
        self.depth = 0


class Expected:
    """Who arrives next, and with what."""

    def __init__(self, rec, kind, payload):
        self.rec = rec
        self.kind = kind  # "start", "value", "raise"
        self.payload = payload


def pack(args, kwargs):
    """What a switch() returns that is ended by switch(*args, **kwargs)."""
    if not kwargs:
        return args[0] if len(args) == 1 else args
    return (args, kwargs) if args else kwargs


class Model:
    """Predicts and compares."""

    def __init__(self):
        self.recs = []
        self.failures = []
        self.expected = None
        self.ending = False  # the thread: all may be killed
        self.killing = 0
        self.unraisable = 0  # errors that killed ones have ended with
        self.main = self.enlist(getcurrent(), None)
        self.main.state = "active"
        token_var.set(self.main.token)

    def enlist(self, g, parent):
        rec = Rec(g, parent)
        self.recs.append(rec)
        return rec

    def fail(self, *what):
        self.failures.append(tuple(map(repr, what)))

    def expect(self, rec, kind, payload):
        """`payload` goes to `rec`; follow the parents of what is dead.

        It is (args, kwargs) for "switch", else a value or an exception.
        """
        while True:
            if rec.state == "active":
                if kind == "switch":
                    kind, payload = "value", pack(*payload)
                break
            if rec.state == "unstarted":
                if kind == "value":
                    kind, payload = "switch", ((payload,), {})
                if kind == "switch":
                    kind = "start"
                    break
                rec.state = "dead"  # of the exception, without having run
            if kind == "raise" and is_exit(payload):
                kind = "value"
            rec = rec.parent
        self.expected = Expected(rec, kind, payload)

    def arrive(self, rec, kind, payload):
        """`rec` runs, and was given `payload`: compare."""
        was = self.expected
        if was is None or was.rec is not rec or not same(was, kind, payload):
            if kind == "raise" and isinstance(payload, GreenletExit) and (
                rec.dropped or self.ending
            ):
                rec.killed = True
                rec.saved = was
                self.killing += 1
                return
            self.fail("arrived", kind, payload, "instead of",
                      was and (was.kind, was.payload, was.rec is rec))
        self.expected = None
        if getcurrent() is not rec.ref():
            self.fail("current", getcurrent(), rec.ref())

    def ended(self, rec, kind, payload):
        """`rec` is about to end with a value or an exception."""
        rec.state = "dead"
        if rec.killed:
            self.killing -= 1
            self.expected = rec.saved
            rec.saved = None
            if kind == "raise" and not isinstance(payload, GreenletExit):
                self.unraisable += 1
            return
        if kind == "raise" and isinstance(payload, GreenletExit):
            kind = "value"
        self.expect(rec.parent, kind, payload)


def waits_for_current(g):
    """Whether what now runs will return to `g`, from parent to parent."""
    up = getcurrent().parent
    while up is not None and up is not g:
        up = up.parent
    return up is g


def is_exit(payload):
    return payload is GreenletExit or isinstance(payload, GreenletExit)


def same(was, kind, payload):
    if was.kind != kind:
        return False
    if was.payload is GreenletExit:
        return type(payload) is GreenletExit
    if was.payload == ((GreenletExit,), {}):
        return type(payload[0][0]) is GreenletExit
    return was.payload == payload  # by identity, but for tuples and dicts
