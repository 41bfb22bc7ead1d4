"""Celadon in the place of other packages: ``import greenlet`` gives ours.

A program that can't set CELADON_DROPIN calls activate() before anything
imports greenlet:

    from celadon import dropin
    dropin.activate()
"""

from _celadon_dropin import NAMES, activate

__all__ = ["NAMES", "activate"]
