"""What greenlet's module offers, under greenlet's names.

The type here is the raw greenlet (celadon.Greenlet is the one to wait for).
An extension module that uses greenlet's C interface is compiled with the
header in get_include(), as ``#include <greenlet/greenlet.h>``, or with
greenlet's own; it finds the interface in the module named greenlet.
"""

from pathlib import Path

from celadon import _core
from celadon._core import (
    _C_API,
    CLOCKS_PER_SEC,
    GREENLET_USE_CONTEXT_VARS,
    GREENLET_USE_GC,
    GREENLET_USE_STANDARD_THREADING,
    GREENLET_USE_TRACING,
    GreenletExit,
    UnswitchableGreenlet,
    enable_optional_cleanup,
    error,
    get_clocks_used_doing_optional_cleanup,
    get_pending_cleanup_count,
    get_total_main_greenlets,
    getcurrent,
    gettrace,
    greenlet,
    set_thread_local,
    settrace,
)

__all__ = [
    "CLOCKS_PER_SEC",
    "GREENLET_USE_CONTEXT_VARS",
    "GREENLET_USE_GC",
    "GREENLET_USE_STANDARD_THREADING",
    "GREENLET_USE_TRACING",
    "GreenletExit",
    "UnswitchableGreenlet",
    "_C_API",
    "enable_optional_cleanup",
    "error",
    "get_clocks_used_doing_optional_cleanup",
    "get_include",
    "get_pending_cleanup_count",
    "get_total_main_greenlets",
    "getcurrent",
    "gettrace",
    "greenlet",
    "set_thread_local",
    "settrace",
]

# The release of greenlet whose interface this is.
GREENLET_VERSION = "3.5.6"

# Greenlet has it up to 3.12 only.
if hasattr(_core, "get_tstate_trash_delete_nesting"):
    from celadon._core import get_tstate_trash_delete_nesting  # noqa: F401

    __all__ += ["get_tstate_trash_delete_nesting"]


def get_include():
    """The folder to compile with, so that greenlet/greenlet.h is found."""
    return str(Path(__file__).with_name("include"))
