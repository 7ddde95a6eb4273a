"""Features of structures that were seen before, in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from itertools import repeat
from threading import Lock
from typing import NamedTuple

import numpy as np

from skatom.preprocessing._contents import Contents, equal

# A place is a number: the block in the high bits, the structure in it in the low ones.
STRUCTURE_BITS = 32


class Block(NamedTuple):
    """Features that were computed together."""

    what: bytes
    contents: Contents
    values: np.ndarray
    offsets: np.ndarray


class Found(NamedTuple):
    """Structures that were found in one block.

    Attributes
    ----------
    block : Block
    asked : ndarray of int64, shape (n_found,)
        Which structures of the query they are.
    stored : ndarray of int64, shape (n_found,)
        Their places in the block.
    """

    block: Block
    asked: np.ndarray
    stored: np.ndarray


class FeatureCache:
    """Blocks of features, found by structure; the longest unused ones go first.

    What was computed together is one block and is forgotten together, so that memory is
    given back at once. Structures are looked up by a hash and then compared whole, so two
    that share a hash are still told apart. Safe in threads: blocks are never changed.
    """

    def __init__(self):
        self._lock = Lock()
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._places: dict[bytes, dict[int, int]] = {}
        self._count = 0
        self.n_bytes = 0

    def find(self, what: bytes, contents: Contents) -> list[Found]:
        """Look structures up, given what else their features follow from.

        Parameters
        ----------
        what : bytes
            Identity of the featurizer.
        contents : Contents
            Identities of the structures.

        Returns
        -------
        found : list of Found
            No structure is in two of them; those that are in none are not known.
        """
        with self._lock:
            table = self._places.get(what)
            if not table:
                return []
            places = np.fromiter(
                map(table.get, contents.hashes, repeat(-1)),
                np.int64,
                len(contents.hashes),
            )
            numbers = places >> STRUCTURE_BITS
            present = np.unique(numbers[numbers >= 0]).tolist()
            blocks = {number: self._blocks[number] for number in present}
            for number in present:
                self._blocks.move_to_end(number)
        found = []
        for number, block in blocks.items():
            asked = np.flatnonzero(numbers == number)
            stored = places[asked] - (number << STRUCTURE_BITS)
            same = equal(contents, asked, block.contents, stored)
            found.append(Found(block, asked[same], stored[same]))
        return found

    def add(self, block: Block, limit: float) -> None:
        """Keep the features of some structures, if they are within the limit.

        They are not copied, which would cost as much as computing small ones; from now on
        nobody can change them.
        """
        if block.values.nbytes > limit:
            return
        block.values.flags.writeable = False
        with self._lock:
            self._count += 1
            first = self._count << STRUCTURE_BITS
            hashes = block.contents.hashes
            table = self._places.setdefault(block.what, {})
            table.update(zip(hashes, range(first, first + len(hashes))))
            self._blocks[self._count] = block
            self.n_bytes += block.values.nbytes
            while self.n_bytes > limit:
                self._forget_oldest()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._blocks.clear()
            self._places.clear()
            self.n_bytes = 0

    def _forget_oldest(self) -> None:
        number, block = self._blocks.popitem(last=False)
        self.n_bytes -= block.values.nbytes
        table = self._places[block.what]
        for key in block.contents.hashes:
            if table.get(key, -1) >> STRUCTURE_BITS == number:
                del table[key]
        if not table:
            del self._places[block.what]


CACHE = FeatureCache()
