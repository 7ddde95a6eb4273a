"""Mean features of structures, as small tensors over the species that each contains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skatom.elements._channels import SpeciesChannels
from skatom.features import AtomFeatures


class PooledChannels(NamedTuple):
    """Functions of the neighbours of an average atom, by the species that are present.

    Attributes
    ----------
    species : ndarray of int64, shape (n_structures, n_present)
        Indices of the species of each structure, filled up with any others.
    singles : ndarray of shape (n_structures, n_present, n_singles)
    pairs : ndarray of shape (n_structures, n_present, n_present, n_pairs)
        For both orders of the species, so that sums over both are right.
    others : ndarray of shape (n_structures, n_others)
        Features without species.
    """

    species: np.ndarray
    singles: np.ndarray
    pairs: np.ndarray
    others: np.ndarray


def mean_rows(X: AtomFeatures, matrix=None, block: int = 256) -> np.ndarray:
    """Average over the atoms of each structure, a few structures at a time.

    Parameters
    ----------
    X : AtomFeatures
    matrix : sparse array of shape (n_columns, n_new_columns), optional
        Multiplied from the right.
    block : int
        Number of structures.

    Returns
    -------
    rows : ndarray of shape (n_structures, n_features)
    """
    n_columns = X.values.shape[1] if matrix is None else matrix.shape[1]
    rows = np.empty((len(X), n_columns))
    for start in range(0, len(X), block):
        stop = min(start + block, len(X))
        first, last = X.offsets[start], X.offsets[stop]
        sums = np.add.reduceat(
            X.values[first:last], X.offsets[start:stop] - first, dtype=np.float64
        )
        sums /= np.diff(X.offsets[start : stop + 1])[:, None]
        rows[start:stop] = sums if matrix is None else sums @ matrix
    return rows


def pool_channels(X: AtomFeatures, channels: SpeciesChannels) -> PooledChannels:
    """Take the features of every structure apart by the species that are in them.

    Species of which a structure has no features are left out: crystals of four elements
    in a set of forty keep 4 x 4 of 40 x 40 blocks.
    """
    n = len(channels.species)
    rows = [mean_rows(X[s : s + 256]) for s in range(0, len(X), 256)]
    present = np.concatenate([_present(part, channels) for part in rows])
    width = max(1, int(present.sum(axis=1).max(initial=0)))
    # the species that are there first; what follows has features of zero
    species = np.argsort(~present, axis=1, kind="stable")[:, :width]
    once = np.where(np.eye(n, dtype=bool), 2.0, 1.0)
    singles, pairs, others = [], [], []
    start = 0
    for part in rows:
        mine = species[start : start + len(part)]
        s = np.arange(len(part))
        singles.append(_take(part, channels.singles[mine], s[:, None, None]))
        a, b = mine[:, :, None], mine[:, None, :]
        block = _take(part, channels.pairs[a, b], s[:, None, None, None])
        block *= np.where(channels.counted_once, once[a, b][..., None], 1.0)
        pairs.append(block)
        others.append(part[:, channels.others])
        start += len(part)
    return PooledChannels(
        species, *(np.concatenate(p) for p in (singles, pairs, others))
    )


def _take(rows: np.ndarray, columns: np.ndarray, s: np.ndarray) -> np.ndarray:
    return np.where(columns >= 0, rows[s, np.maximum(columns, 0)], 0.0)


def _present(rows: np.ndarray, channels: SpeciesChannels) -> np.ndarray:
    """Tell which species have any feature that is not zero, (n_structures, n_species)."""
    nonzero = rows != 0
    present = np.zeros((len(rows), len(channels.species)), dtype=bool)
    for a in range(len(channels.species)):
        columns = np.concatenate([channels.singles[a], channels.pairs[a].ravel()])
        present[:, a] = nonzero[:, columns[columns >= 0]].any(axis=1)
    return present
