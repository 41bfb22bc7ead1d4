"""The standard library's `socket`, whose calls let other greenlets run.

All names of that module are here.  The sockets are C objects (see
`celadon._core.socket`), names are looked up on a pool of threads, and what is
made of these in Python runs as it stands there, over ours.
"""

import errno
import socket as _stdlib
import types

from celadon._core import (
    cancel_wait as _cancel_wait,
    offload as _offload,
    socket,
    wait_read,
    wait_readwrite,
    wait_write,
)

_ours = dict(globals())
globals().update(
    (name, value)
    for name, value in vars(_stdlib).items()
    if not name.startswith("__") and name not in _ours
)

SocketType = socket

__all__ = [
    "SocketType",
    "cancel_wait",
    "cancel_wait_ex",
    "socket",
    "wait_read",
    "wait_readwrite",
    "wait_write",
]
__all__ += [name for name in _stdlib.__all__ if name not in __all__]


def _rebind(function):
    """Return the same function, but one that finds our names."""
    copy = types.FunctionType(
        function.__code__,
        globals(),
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__doc__ = function.__doc__
    copy.__annotations__ = function.__annotations__
    copy.__module__ = __name__
    return copy


# What the standard library makes of sockets and names, made of ours.
for _name in (
    "_fallback_socketpair",
    "create_connection",
    "create_server",
    "fromfd",
    "getfqdn",
    "has_dualstack_ipv6",
    "recv_fds",
    "send_fds",
    "socketpair",
):
    _function = getattr(_stdlib, _name, None)
    if isinstance(_function, types.FunctionType):
        globals()[_name] = _rebind(_function)
del _name, _function


cancel_wait_ex = OSError(
    errno.EBADF, "File descriptor was closed in another greenlet"
)


def cancel_wait(watcher, error=cancel_wait_ex):
    """End the waits for a descriptor, or an object with one, with *error*.

    Only this thread's waits are meant, and of the error only its number
    counts.
    """
    _cancel_wait(watcher, error.errno or errno.EBADF)


def _is_number(host):
    """Return whether *host* is an address that needs no looking up."""
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "replace")
    if not isinstance(host, str):
        return True  # None, or a mistake: either way nothing to look up
    for family in (_stdlib.AF_INET, _stdlib.AF_INET6):
        try:
            _stdlib.inet_pton(family, host)
            return True
        except (OSError, UnicodeError, ValueError):
            pass
    return host == "localhost"


_getaddrinfo = _stdlib.getaddrinfo
_gethostbyaddr = _stdlib.gethostbyaddr
_gethostbyname = _stdlib.gethostbyname
_gethostbyname_ex = _stdlib.gethostbyname_ex
_getnameinfo = _stdlib.getnameinfo


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """Resolve host and port into the arguments that sockets take.

    Returns a list of (family, type, proto, canonname, sockaddr).
    """
    if _is_number(host) or flags & _stdlib.AI_NUMERICHOST:
        return _getaddrinfo(host, port, family, type, proto, flags)
    return _offload(_getaddrinfo, host, port, family, type, proto, flags)


def gethostbyname(hostname, /):
    """Return the IPv4 address of a host as a string."""
    if _is_number(hostname):
        return _gethostbyname(hostname)
    return _offload(_gethostbyname, hostname)


def gethostbyname_ex(hostname, /):
    """Return (name, aliases, addresses) of a host."""
    return _offload(_gethostbyname_ex, hostname)


def gethostbyaddr(ip_address, /):
    """Return (name, aliases, addresses) of the host with an address."""
    return _offload(_gethostbyaddr, ip_address)


def getnameinfo(sockaddr, flags, /):
    """Return (host, port) for a socket address."""
    return _offload(_getnameinfo, sockaddr, flags)
