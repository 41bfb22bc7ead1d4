"""Patching `socket`: what becomes of sockets that were made before.

A socket cannot become an object of another kind, but its class may change to
one of the same shape.  So each open one that may wait gets a class whose calls
are made by a socket of ours on the same descriptor.
"""

import gc
import socket
import sys

from celadon.monkey import _saved
from celadon.monkey._warn import warn

# What waits, and what says how long.
_CALLS = (
    "accept",
    "connect",
    "connect_ex",
    "dup",
    "getblocking",
    "gettimeout",
    "recv",
    "recv_into",
    "recvfrom",
    "recvfrom_into",
    "recvmsg",
    "recvmsg_into",
    "send",
    "sendall",
    "sendfile",
    "sendmsg",
    "sendto",
    "setblocking",
    "settimeout",
)

# By the id() of the old socket, which takes its entry out when it closes.
_stand_ins = {}


def _call(name, original):
    """The method *name*: the stand-in's, or the original once it is gone."""

    def method(self, /, *args, **kwargs):
        stand_in = _stand_ins.get(id(self))
        if stand_in is None:
            return original(self, *args, **kwargs)
        return getattr(stand_in, name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = original.__doc__
    return method


def _release(self):
    """Let go of the stand-in; who waits on it gets EBADF."""
    stand_in = _stand_ins.pop(id(self), None)
    if stand_in is not None:
        stand_in.detach()


def _adopted_class(kind):
    """A class for sockets of the class *kind*, the standard library's."""

    def _real_close(self, *args):
        _release(self)
        kind._real_close(self, *args)

    def detach(self):
        _release(self)
        return kind.detach(self)

    def __del__(self):
        _release(self)
        kind.__del__(self)

    namespace = {name: _call(name, getattr(kind, name)) for name in _CALLS}
    namespace.update(
        __slots__=(),
        __module__=kind.__module__,
        __qualname__=kind.__qualname__,
        __doc__=kind.__doc__,
        __del__=__del__,
        _real_close=_real_close,
        detach=detach,
        timeout=property(namespace["gettimeout"]),
    )
    return type(kind.__name__, (kind,), namespace)


class _Adopter:
    """Makes the classes, and the sockets that stand behind theirs."""

    def __init__(self, kind, ours):
        class StandIn(ours):
            __slots__ = ()

            def __del__(self):
                self.detach()  # the descriptor is the old socket's

            def dup(self):
                copy = ours(fileno=socket.dup(self.fileno()))
                copy.settimeout(self.gettimeout())
                return copy

        self.plain = _adopted_class(kind)
        self.classes = {kind: self.plain}
        self.make = StandIn

    def adopt(self, sock):
        """Let *sock* wait through the hub."""
        kind = type(sock)
        if kind not in self.classes:
            # Its own methods stay in front of ours.
            self.classes[kind] = type(
                kind.__name__,
                (kind, self.plain),
                {
                    "__slots__": (),
                    "__module__": kind.__module__,
                    "__qualname__": kind.__qualname__,
                },
            )
        timeout = sock.gettimeout()
        sock.__class__ = self.classes[kind]
        stand_in = self.make(
            sock.family, sock.type, sock.proto, sock.fileno()
        )
        stand_in.settimeout(timeout)
        _stand_ins[id(sock)] = stand_in


def adopt_existing():
    """Let sockets that exist already cooperate; say which can't."""
    from celadon.socket import socket as ours

    kind = _saved.get_original("socket", "socket")
    adopter = _Adopter(kind, ours)
    left = 0
    for thing in gc.get_objects():
        if (
            not issubclass(type(thing), kind)
            or issubclass(type(thing), (ours, adopter.plain))
            or thing.fileno() < 0
            or thing.gettimeout() == 0
        ):
            continue
        try:
            # OpenSSL has its own idea of the descriptor.
            if "ssl" in sys.modules and isinstance(
                thing, sys.modules["ssl"].SSLSocket
            ):
                raise TypeError("a TLS connection")
            adopter.adopt(thing)
        except (OSError, TypeError):
            left += 1
    if left:
        warn(
            f"{left} sockets were made before patch_all() and stay sockets "
            "of the system: a call of theirs that waits stops all "
            "greenlets.  Make them later."
        )
