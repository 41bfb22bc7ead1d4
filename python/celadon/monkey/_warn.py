"""The warning that says patching came too late for something."""

import warnings


class MonkeyPatchWarning(RuntimeWarning):
    """Patching could not reach everything; the text says what to do."""


def warn(text):
    """Warn the code that called into celadon.monkey."""
    warnings.warn(text, MonkeyPatchWarning, stacklevel=_depth())


def _depth():
    import sys

    depth = 1
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith(
            "celadon.monkey"
        ):
            return depth
        depth += 1
        frame = frame.f_back
    return 2
