"""Semaphores and locks for greenlets, of any thread."""

from celadon._core import BoundedSemaphore, RLock, Semaphore

__all__ = ["BoundedSemaphore", "DummySemaphore", "RLock", "Semaphore"]


class DummySemaphore:
    """A Semaphore that never runs out, for where no limit is wanted."""

    def __init__(self, value=None):
        del value

    def __enter__(self):
        pass

    def __exit__(self, *unused):
        pass

    def __str__(self):
        return f"<{type(self).__name__}>"

    def acquire(self, blocking=True, timeout=None):
        """Return True at once."""
        return True

    def release(self):
        """Do nothing."""

    def locked(self):
        """Return False: it can always be acquired."""
        return False

    def ready(self):
        """Return True: it can always be acquired."""
        return True

    def wait(self, timeout=None):
        """Return at once."""
        return 1

    def rawlink(self, callback):
        """Do nothing: nobody need wait."""

    def unlink(self, callback):
        """Do nothing: there are no links."""
