"""Patching `socket`: what becomes of sockets that were made before."""

import gc

from celadon.monkey import _saved
from celadon.monkey._warn import warn


def warn_of_existing():
    """Say how many open sockets there are that still block."""
    from celadon.socket import socket as ours

    kind = _saved.get_original("socket", "socket")
    existing = [
        thing
        for thing in gc.get_objects()
        if issubclass(type(thing), kind)
        and not issubclass(type(thing), ours)
        and thing.fileno() >= 0
        and thing.gettimeout() != 0
    ]
    if existing:
        warn(
            f"{len(existing)} sockets were made before patch_all() and stay "
            "sockets of the system: a call of theirs that waits stops all "
            "greenlets.  Make them later, or hand each over: "
            "socket.socket(fileno=old.detach())."
        )
