"""Patching `sys`: standard input that is a pipe or a terminal."""

import io
import sys

from celadon.monkey import _saved


def patch():
    """Let reading sys.stdin wait through the hub."""
    from celadon.subprocess import PipeFile

    stdin = sys.stdin
    try:
        raw = PipeFile(stdin.fileno(), "rb", closefd=False)
    except (AttributeError, OSError, ValueError):
        # None, or not a file of the system: nothing that blocks.
        return
    _saved.patch_item(
        sys,
        "stdin",
        io.TextIOWrapper(
            io.BufferedReader(raw),
            encoding=stdin.encoding,
            errors=stdin.errors,
            newline=None,
        ),
    )
