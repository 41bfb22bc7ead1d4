"""Names that other modules took before patching: from time import sleep."""

import sys

from celadon.monkey import _saved

# Modules that are there to have the originals.
_KEEP = {
    "_queue",
    "_signal",
    "_socket",
    "_thread",
    "_threading_local",
    "builtins",
    "importlib._bootstrap",
    "importlib._bootstrap_external",
    "posix",
    "select",
    "sys",
    "time",
}
_KEEP_PACKAGES = ("celadon", "gevent", "eventlet", "greenlet")


def _is_left_alone(name):
    return name in _KEEP or name.partition(".")[0] in _KEEP_PACKAGES


def replace_everywhere():
    """Let module globals that hold an original hold its replacement.

    Whether somebody imported a function before or after patching should make
    no difference.
    """
    # By identity: originals may define a strange == or no hash.
    new_by_id = {id(old): new for old, new in _saved.replacements()}
    for name, module in list(sys.modules.items()):
        namespace = getattr(module, "__dict__", None)
        if type(namespace) is not dict or _is_left_alone(name):
            continue
        found = [
            (key, new_by_id[id(value)])
            for key, value in list(namespace.items())
            if id(value) in new_by_id
        ]
        for key, value in found:
            _saved.patch_item(module, key, value)
