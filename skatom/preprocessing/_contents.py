"""Contents of structures and their hashes, for many structures at once."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from skatom.neighbors import ranges
from skatom.structures import Structures
from skatom.structures._flat import FlatStructures

HALF = np.uint64(32)


class Contents(NamedTuple):
    """Everything that the features of each structure follow from, and a hash of it.

    Attributes
    ----------
    hashes : list of int
        One a structure. Structures that are equal bit for bit have equal ones.
    flat : FlatStructures
        The structures.
    """

    hashes: list[int]
    flat: FlatStructures


def contents_of(structures: Structures) -> Contents:
    """Read the contents of structures.

    Parameters
    ----------
    structures : Structures

    Returns
    -------
    contents : Contents
    """
    flat = structures.flat
    return Contents(_hashes(flat).tolist(), flat)


def _hashes(flat: FlatStructures) -> np.ndarray:
    """Sum all words of each structure, times odd random numbers, modulo 2**64.

    Short decimal fractions have zeros in their low bits, which products would keep: high
    bits are folded down before.
    """
    starts, n = flat.offsets[:-1], len(flat.pbc)
    sizes = np.diff(flat.offsets)
    place = np.arange(flat.offsets[-1]) - np.repeat(starts, sizes)
    factors = _factors(1 << int(sizes.max(initial=1)).bit_length())
    of_cell = factors[0].ravel()
    of_atoms = factors[1][place]
    sums = np.einsum("ac,ac->a", _folded(flat.positions), of_atoms[:, 1:])
    sums += flat.numbers.view(np.uint64) * of_atoms[:, 0]
    sums = np.add.reduceat(sums, starts) if n else sums
    sums += _folded(flat.cells.reshape(n, 9)) @ of_cell[:9]
    sums += flat.pbc.astype(np.uint64) @ of_cell[9:]
    return sums ^ (sums >> HALF)


def _folded(values: np.ndarray) -> np.ndarray:
    bits = values.view(np.uint64)
    return bits ^ (bits >> HALF)


@cache
def _factors(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Odd random numbers of a cell and of atoms, the same for any number of these."""
    rng = np.random.default_rng(0)
    rows = rng.integers(2**64, size=(3 + n_rows, 4), dtype=np.uint64) | np.uint64(1)
    return rows[:3], rows[3:]


def equal(a: Contents, of_a: np.ndarray, b: Contents, of_b: np.ndarray) -> np.ndarray:
    """Compare structures ``of_a`` of one with ``of_b`` of the other, one by one.

    Returns
    -------
    same : ndarray of bool, shape (len(of_a),)
        Whether they are equal bit for bit.
    """
    mine, theirs = a.flat, b.flat
    starts, others = mine.offsets[of_a], theirs.offsets[of_b]
    sizes = mine.offsets[of_a + 1] - starts
    same = sizes == theirs.offsets[of_b + 1] - others
    for left, right in ((mine.cells, theirs.cells), (mine.pbc, theirs.pbc)):
        axes = tuple(range(1, left.ndim))
        same &= (_bits(left[of_a]) == _bits(right[of_b])).all(axis=axes)
    starts, sizes, others = starts[same], sizes[same], others[same]
    if not len(sizes):
        return same
    rows, other_rows = _rows(starts, sizes), _rows(others, sizes)
    alike = mine.numbers[rows] == theirs.numbers[other_rows]
    alike &= (_bits(mine.positions[rows]) == _bits(theirs.positions[other_rows])).all(
        axis=1
    )
    if not alike.all():
        same[same] = np.logical_and.reduceat(alike, np.cumsum(sizes) - sizes)
    return same


def _bits(values: np.ndarray) -> np.ndarray:
    """Numbers as words, of which zero and minus zero are two."""
    return values.view(np.uint64) if values.dtype == np.float64 else values


def _rows(starts: np.ndarray, sizes: np.ndarray) -> slice | np.ndarray:
    """Rows of structures, without a copy where they follow each other."""
    stops = starts + sizes
    if (starts[1:] == stops[:-1]).all():
        return slice(starts[0], stops[-1])
    return ranges(starts, stops)
