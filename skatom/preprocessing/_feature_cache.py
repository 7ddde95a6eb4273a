"""Features of structures that were seen before, in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import numpy as np


class Place(NamedTuple):
    """Where the features of a structure are: rows of a block."""

    block: int
    start: int
    stop: int


class FeatureCache:
    """Blocks of features, found by structure; the longest unused ones go first.

    What was computed together is one block and is forgotten together, so that memory is
    given back at once. Safe in threads: blocks are never changed.
    """

    def __init__(self):
        self._lock = Lock()
        self._blocks: OrderedDict[int, tuple[np.ndarray, list]] = OrderedDict()
        self._places: dict[bytes, Place] = {}
        self._count = 0
        self.n_bytes = 0

    def find(self, keys: list[bytes]) -> list[np.ndarray | None]:
        """Look structures up; None where there is nothing."""
        with self._lock:
            places = [self._places.get(key) for key in keys]
            for block in dict.fromkeys(p.block for p in places if p is not None):
                self._blocks.move_to_end(block)
            return [
                None if p is None else self._blocks[p.block][0][p.start : p.stop]
                for p in places
            ]

    def add(self, keys: list[bytes], values: np.ndarray, offsets, limit: float) -> None:
        """Keep the features of some structures, if they are within the limit.

        They are not copied, which would cost as much as computing small ones; from now on
        nobody can change them.
        """
        if values.nbytes > limit:
            return
        block = values
        block.flags.writeable = False
        with self._lock:
            self._count += 1
            for key, start, stop in zip(keys, offsets[:-1], offsets[1:]):
                self._places[key] = Place(self._count, int(start), int(stop))
            self._blocks[self._count] = (block, keys)
            self.n_bytes += block.nbytes
            while self.n_bytes > limit:
                self._forget_oldest()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._blocks.clear()
            self._places.clear()
            self.n_bytes = 0

    def _forget_oldest(self) -> None:
        number, (block, keys) = self._blocks.popitem(last=False)
        self.n_bytes -= block.nbytes
        for key in keys:
            if self._places.get(key, Place(0, 0, 0)).block == number:
                del self._places[key]


CACHE = FeatureCache()
