"""TLS sockets that wait through the hub.

The class is the standard library's own over a socket of ours.  All it
changes is the object that speaks TLS: where that would block, it waits for
the descriptor and asks again.  Contexts, whenever made, get it by way of
SSLContext.sslsocket_class.
"""

import ssl as _ssl
from time import monotonic

from celadon.socket import socket
from celadon.thread import remaining

__all__ = ["SSLSocket"]

_WOULD_BLOCK = (_ssl.SSLWantReadError, _ssl.SSLWantWriteError)


class _Talk:
    """CPython's TLS object, with calls that wait; made for each use."""

    __slots__ = ("_talk", "_socket")

    def __init__(self, talk, socket):
        object.__setattr__(self, "_talk", talk)
        object.__setattr__(self, "_socket", socket)

    def __getattr__(self, name):
        return getattr(self._talk, name)

    def __setattr__(self, name, value):
        setattr(self._talk, name, value)

    def _call(self, what, function, *args):
        try:
            return function(*args)
        except _WOULD_BLOCK as refusal:
            timeout = self._socket.gettimeout()
            if timeout == 0:
                raise
            # Kept no longer: it refers to this frame.
            reading = isinstance(refusal, _ssl.SSLWantReadError)
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            self._wait(reading, deadline, what)
            try:
                return function(*args)
            except _WOULD_BLOCK as refusal:
                reading = isinstance(refusal, _ssl.SSLWantReadError)

    def _wait(self, reading, deadline, what):
        wait = self._socket._wait_read if reading else self._socket._wait_write
        if not wait(remaining(deadline)):
            raise TimeoutError(f"The {what} operation timed out")

    def read(self, *args):
        return self._call("read", self._talk.read, *args)

    def write(self, data):
        return self._call("write", self._talk.write, data)

    def do_handshake(self):
        return self._call("handshake", self._talk.do_handshake)

    def shutdown(self):
        return self._call("shutdown", self._talk.shutdown)


class SSLSocket(_ssl.SSLSocket, socket):
    """As ssl.SSLSocket; what blocks there lets other greenlets run."""

    # Where _create() of the base leaves the TLS object.
    _talk = None

    @property
    def _sslobj(self):
        talk = self._talk
        return None if talk is None else _Talk(talk, self)

    @_sslobj.setter
    def _sslobj(self, talk):
        self._talk = talk._talk if isinstance(talk, _Talk) else talk
