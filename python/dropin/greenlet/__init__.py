"""The package greenlet, by Celadon: the same names, other greenlets.

Found as `greenlet` where Celadon's drop-in is active, or where the
distribution celadon-dropin is installed.
"""

from _celadon_dropin import refuse_later, refuse_loaded

# For programs that ask whose greenlet it is.
CELADON = True

refuse_loaded("greenlet")
refuse_later()

from celadon.greenlet_api import GREENLET_VERSION as __version__  # noqa: E402
from greenlet._greenlet import (  # noqa: E402, F401
    _C_API,
    CLOCKS_PER_SEC,
    GREENLET_USE_CONTEXT_VARS,
    GREENLET_USE_GC,
    GREENLET_USE_TRACING,
    GreenletExit,
    enable_optional_cleanup,
    error,
    get_clocks_used_doing_optional_cleanup,
    getcurrent,
    gettrace,
    greenlet,
    settrace,
)

__all__ = [
    "GreenletExit",
    "_C_API",
    "__version__",
    "error",
    "getcurrent",
    "gettrace",
    "greenlet",
    "settrace",
]
