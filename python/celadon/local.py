"""Attributes that each greenlet has its own of."""

from celadon._core import local

__all__ = ["local"]
