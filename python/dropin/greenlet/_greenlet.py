"""What is greenlet's extension module elsewhere: names of celadon's."""

from celadon import greenlet_api
from celadon.greenlet_api import *  # noqa: F403

CELADON = True

__all__ = greenlet_api.__all__
