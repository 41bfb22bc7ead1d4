"""The standard library's `selectors`, over the cooperative `select`."""

import selectors as _stdlib

from celadon import select as _select

_ours = dict(globals())
globals().update(
    (name, value)
    for name, value in vars(_stdlib).items()
    if not name.startswith("__") and name not in _ours
)

__all__ = [name for name in vars(_stdlib) if not name.startswith("_")]


class SelectSelector(_stdlib.SelectSelector):
    """`selectors.SelectSelector` that lets other greenlets run."""

    _select = staticmethod(_select.select)


class PollSelector(_stdlib.PollSelector):
    """`selectors.PollSelector` that lets other greenlets run."""

    _selector_cls = _select.poll


class EpollSelector(_stdlib.EpollSelector):
    """`selectors.EpollSelector` that lets other greenlets run."""

    _selector_cls = _select.epoll


DefaultSelector = EpollSelector
