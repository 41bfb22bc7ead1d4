"""Events that greenlets, of any thread, wait for."""

from celadon._core import AsyncResult, Event

__all__ = ["AsyncResult", "Event"]
