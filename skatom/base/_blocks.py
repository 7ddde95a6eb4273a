"""Blocks of centres with their neighbour pairs, and the kernels that work on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class PairBlock(NamedTuple):
    """The neighbour pairs of some centres, which the functions of a featurizer work on.

    Attributes
    ----------
    start, stop : int
        Centres to work on.
    offsets : ndarray of int64, shape (n_atoms + 1,)
        The pairs of centre i are ``offsets[i]:offsets[i + 1]``.
    channels : ndarray of int64, shape (n_pairs,)
        Index into ``species_`` of the neighbour; ascending inside each row.
    vectors : ndarray of shape (n_pairs, 3)
        From centre to neighbour, in Å. Pairs longer than r_cut may be present.
    centre_channels : ndarray of int64, shape (n_atoms,)
        Index into ``species_`` of the centre; -1 for an ignored species.
    """

    start: int
    stop: int
    offsets: np.ndarray
    channels: np.ndarray
    vectors: np.ndarray
    centre_channels: np.ndarray

    @property
    def pairs(self) -> tuple:
        """All of it as a plain tuple, which is what compiled kernels take."""
        return tuple(self)

    @property
    def rows(self) -> slice:
        """Rows of the pairs of these centres."""
        return slice(self.offsets[self.start], self.offsets[self.stop])

    @property
    def counts(self) -> np.ndarray:
        """Number of pairs of each of these centres."""
        return np.diff(self.offsets[self.start : self.stop + 1])


class Kernels(NamedTuple):
    """Some features of atoms, and their three derivatives, as functions of arrays.

    Each takes the tuple of a PairBlock and the arguments that :meth:`AtomFeaturizer.terms`
    gives with it, and writes to rows of its last argument, which are zero or hold what
    other terms have written.

    Attributes
    ----------
    values : callable
        ``values(pairs, *arguments, out)`` with out of shape (n_atoms, n_features).
    pullback : callable
        ``pullback(pairs, *arguments, g, out)`` from g of shape (n_atoms, n_features) to
        out of shape (n_pairs, 3).
    pushforward : callable
        ``pushforward(pairs, *arguments, v, out)`` from v of shape (n_pairs, 3) to out of
        shape (n_atoms, n_features).
    jacobian : callable
        ``jacobian(pairs, *arguments, out)`` with out of shape (n_pairs, 3, n_features).
    """

    values: Callable
    pullback: Callable
    pushforward: Callable
    jacobian: Callable
