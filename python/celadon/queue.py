"""Queues for greenlets, of any thread."""

from heapq import heappop, heappush
from queue import Empty, Full

from celadon._core import Channel, LifoQueue, Queue, ShutDown, SimpleQueue

__all__ = [
    "Channel",
    "Empty",
    "Full",
    "JoinableQueue",
    "LifoQueue",
    "PriorityQueue",
    "Queue",
    "ShutDown",
    "SimpleQueue",
]

JoinableQueue = Queue


class PriorityQueue(Queue):
    """A Queue that gives the smallest item first."""

    def _init(self, maxsize):
        self.queue = []

    def _put(self, item):
        heappush(self.queue, item)

    def _get(self):
        return heappop(self.queue)
