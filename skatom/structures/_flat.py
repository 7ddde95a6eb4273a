"""Flat arrays of the numbers, positions and cells of all structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms


class FlatStructures(NamedTuple):
    """Numbers, positions, cells and periodic directions, structure after structure.

    Attributes
    ----------
    offsets : ndarray of int64, shape (n_structures + 1,)
        First atom of each structure.
    numbers : ndarray of int64, shape (n_atoms,)
        Atomic numbers.
    positions : ndarray of shape (n_atoms, 3)
        In Å.
    cells : ndarray of shape (n_structures, 3, 3)
        Cell vectors in Å, one a row.
    pbc : ndarray of bool, shape (n_structures, 3)
        Periodic directions.
    """

    offsets: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    pbc: np.ndarray


def flatten(frames: Sequence[Atoms]) -> FlatStructures:
    """Copy the numbers, positions and cells of structures into flat arrays.

    Parameters
    ----------
    frames : sequence of ase.Atoms

    Returns
    -------
    flat : FlatStructures
    """
    n = len(frames)
    offsets = np.zeros(n + 1, dtype=np.int64)
    if not n:
        return FlatStructures(
            offsets,
            np.empty(0, dtype=np.int64),
            np.empty((0, 3)),
            np.empty((0, 3, 3)),
            np.empty((0, 3), dtype=bool),
        )
    if n == 1:  # what a step of dynamics has, where each call of NumPy counts
        only = frames[0]
        offsets[1] = len(only)
        return FlatStructures(
            offsets,
            only.arrays["numbers"].astype(np.int64),
            only.arrays["positions"].astype(float),
            only.cell.array.reshape(1, 3, 3).copy(),
            only.pbc.reshape(1, 3).copy(),
        )
    arrays = [atoms.arrays for atoms in frames]
    numbers = [a["numbers"] for a in arrays]
    np.cumsum([len(z) for z in numbers], out=offsets[1:])
    return FlatStructures(
        offsets,
        np.concatenate(numbers).astype(np.int64, copy=False),
        np.concatenate([a["positions"] for a in arrays]).astype(float, copy=False),
        np.concatenate([a.cell.array for a in frames]).reshape(n, 3, 3),
        np.concatenate([a.pbc for a in frames]).reshape(n, 3),
    )
