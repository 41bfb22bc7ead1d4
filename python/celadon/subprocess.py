"""Pipes of child processes that other greenlets need not wait for.

`subprocess` itself is plain Python over `os`, `selectors`, `threading` and
`time`: once those are patched it waits for children cooperatively.  What is
left are the files at this end of the pipes, which the module opens with its
own `io`: here is an `io` that opens them as files of ours.
"""

import io
import types
import warnings

from celadon import os as _os

# Read at a time by read() without a size.
_BLOCK = 65536


class PipeFile(io.FileIO):
    """A pipe's end, unbuffered, whose calls wait without blocking others.

    The descriptor stays in blocking mode: it may be handed to a child.
    """

    def read(self, size=-1, /):
        """Read up to *size* bytes, at least one unless at the end."""
        if size is None or size < 0:
            return self.readall()
        return _os.read(self.fileno(), size)

    def readall(self):
        """Read until the end."""
        blocks = []
        while True:
            block = _os.read(self.fileno(), _BLOCK)
            if not block:
                return b"".join(blocks)
            blocks.append(block)

    def readinto(self, buffer, /):
        """Read into *buffer*; how many bytes."""
        with memoryview(buffer).cast("B") as view:
            data = _os.read(self.fileno(), len(view))
            view[: len(data)] = data
        return len(data)

    def write(self, data, /):
        """Write all of *data*, unless an error comes between."""
        return _os.write(self.fileno(), data)


class _Io(types.ModuleType):
    """Stands for the module `io` inside `subprocess`."""

    def __getattr__(self, name):
        return getattr(io, name)

    @staticmethod
    def open(file, mode="r", buffering=-1, *args, **kwargs):
        """As io.open(), with pipes that are waited for."""
        if not isinstance(file, int) or mode not in ("rb", "wb"):
            return io.open(file, mode, buffering, *args, **kwargs)
        raw = PipeFile(file, mode, *args, **kwargs)
        if buffering == 0:
            return raw
        if buffering == 1:
            warnings.warn(
                "line buffering (buffering=1) isn't supported in binary "
                "mode, the default buffer size will be used",
                RuntimeWarning,
                stacklevel=2,
            )
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        if mode == "rb":
            return io.BufferedReader(raw, size)
        return io.BufferedWriter(raw, size)


cooperative_io = _Io("io")
