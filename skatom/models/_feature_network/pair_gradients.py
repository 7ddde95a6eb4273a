"""From dE/dfeatures of a batch to forces and virials, and back, for training on forces.

Two ways to the same numbers. `StoredJacobian` keeps the derivatives of all features in
memory: fastest, for data sets that fit. `RecomputedJacobian` runs the featurizer's
pullback and pushforward for every batch: any size, no memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from skatom.features import AtomFeatures
from skatom.models._feature_network.jacobian_kernels import multiply, multiply_transpose


class PairSums(torch.autograd.Function):
    """Forces and virials as a differentiable function of dE/dfeatures.

    Both are linear in the gradient, so the backward pass is the transposed product.
    Differentiable once: training needs no more.
    """

    @staticmethod
    def forward(ctx, gradient, batch):
        """Give forces (n_atoms, 3) and virials (n_structures or 0, 3, 3)."""
        ctx.batch = batch
        forces, virials = batch.forces(gradient.detach().cpu().numpy())
        return gradient.new_tensor(forces), gradient.new_tensor(virials)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, forces, virials):
        """Give the cotangent of dE/dfeatures."""
        g = ctx.batch.transpose(forces.cpu().numpy(), virials.cpu().numpy())
        return forces.new_tensor(g), None


class RecomputedJacobian:
    """Derivatives of features by the featurizer's own kernels, batch by batch.

    Parameters
    ----------
    X : AtomFeatures
    dtype : numpy dtype
        Of what goes in and comes out; the kernels work in float64.
    virials : bool
        Whether virials are asked for.
    """

    def __init__(self, X: AtomFeatures, dtype, virials: bool):
        self.X = X
        self.dtype = dtype
        self.virials = virials

    def batch(self, structures: np.ndarray) -> RecomputedBatch:
        """Select the structures of a batch."""
        return RecomputedBatch(self.X[structures], self.dtype, self.virials)


@dataclass(frozen=True, eq=False)
class RecomputedBatch:
    """A batch of `RecomputedJacobian`."""

    X: AtomFeatures
    dtype: np.dtype
    virials: bool

    def forces(self, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Carry dE/dfeatures to forces and virials."""
        pairs = self.X.pairs
        gradient = self.X.pullback(g)
        virials = np.zeros((0, 3, 3))
        if self.virials:
            virials = pairs.virial(gradient, self.X.offsets)
        forces = pairs.forces(gradient)
        return forces.astype(self.dtype), virials.astype(self.dtype)

    def transpose(self, forces: np.ndarray, virials: np.ndarray) -> np.ndarray:
        """Carry cotangents of forces and virials to that of dE/dfeatures."""
        pairs = self.X.pairs
        v = pairs.forces_transpose(forces.astype(np.float64))
        if self.virials:
            v += pairs.virial_transpose(virials.astype(np.float64), self.X.offsets)
        return self.X.pushforward(v).astype(self.dtype)


class StoredJacobian:
    """Derivatives of features, kept in memory without the columns that are zero.

    A feature that does not look at some element does not move with atoms of it. With a
    few elements that leaves a half to a third of dG/dr.

    Attributes
    ----------
    atoms, edges : ndarray of shape (n_structures + 1,)
        First atom and first pair of every structure.
    centres, neighbors : ndarray of int32, shape (n_pairs,)
        Atoms of every pair, counted from the first of their structure.
    kinds : ndarray of int32, shape (n_pairs,)
        Element of the neighbour.
    vectors : ndarray of shape (n_pairs, 3)
    starts : ndarray of int64, shape (n_pairs,)
        Where the block of a pair begins in `blocks`.
    blocks : ndarray of shape (n_stored,)
    columns : ndarray of int64, shape (n_kinds, max_width)
    widths : ndarray of int64, shape (n_kinds,)
    """

    def __init__(self, X: AtomFeatures, dtype, virials: bool, used: np.ndarray):
        self.dtype = np.dtype(dtype)
        self.virials = virials
        self.n_features = X.values.shape[1]
        self.atoms = X.offsets
        kinds = np.unique(X.numbers, return_inverse=True)[1]
        self.widths = used.sum(axis=1)
        self.columns = np.zeros((len(used), max(1, self.widths.max())), dtype=np.int64)
        for k, row in enumerate(used):
            self.columns[k, : self.widths[k]] = np.flatnonzero(row)
        ones = [X[[s]].pairs for s in range(len(X))]
        self.edges = np.cumsum([0, *(pairs.n_pairs for pairs in ones)])
        self.centres = np.concatenate([p.centers for p in ones]).astype(np.int32)
        self.neighbors = np.concatenate([p.neighbors for p in ones]).astype(np.int32)
        self.vectors = np.concatenate([p.vectors for p in ones]).astype(dtype)
        first = np.repeat(X.offsets[:-1], np.diff(self.edges))
        self.kinds = kinds[self.neighbors + first].astype(np.int32)
        sizes = 3 * self.widths[self.kinds]
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self.blocks = np.empty(sizes.sum(), dtype=dtype)

    @classmethod
    def build(
        cls, X: AtomFeatures, dtype, virials: bool, limit: float
    ) -> StoredJacobian | None:
        """Store the derivatives of all features, or give None when they need more memory.

        Parameters
        ----------
        X : AtomFeatures
        dtype : numpy dtype
        virials : bool
        limit : float
            Largest memory of the derivatives, in bytes.
        """
        largest = max(X[[s]].pairs.n_pairs for s in range(len(X)))
        if largest * 3 * X.values.shape[1] * 8 > limit:  # in float64, while it is made
            return None
        n_kinds = len(np.unique(X.numbers))
        used = np.zeros((n_kinds, X.values.shape[1]), dtype=bool)
        kind_of = np.unique(X.numbers, return_inverse=True)[1]
        for s in _largest_of_each_chemistry(X):
            _mark(X[[s]], kind_of[X.offsets[s] : X.offsets[s + 1]], used)
        while True:
            if _n_bytes(X, kind_of, used, dtype) > limit:
                return None
            stored = cls(X, dtype, virials, used)
            if stored._fill(X, kind_of, used):
                return stored

    def _fill(self, X: AtomFeatures, kind_of: np.ndarray, used: np.ndarray) -> bool:
        """Store block after block; stop at a structure that moves further columns."""
        for s in range(len(X)):
            before = used.sum()  # `used` may grow
            one = X[[s]]
            kinds = kind_of[X.offsets[s] : X.offsets[s + 1]]
            jacobian = _mark(one, kinds, used)
            if used.sum() > before:
                return False
            pair_kinds = self.kinds[self.edges[s] : self.edges[s + 1]]
            starts = self.starts[self.edges[s] : self.edges[s + 1]]
            for k in np.unique(pair_kinds):
                chosen = np.flatnonzero(pair_kinds == k)
                columns = self.columns[k, : self.widths[k]]
                rows = jacobian[chosen][:, :, columns].reshape(len(chosen), -1)
                places = starts[chosen][:, None] + np.arange(rows.shape[1])
                self.blocks[places] = rows
        return True

    def batch(self, structures: np.ndarray) -> StoredBatch:
        """Select the structures of a batch."""
        return StoredBatch(self, structures)


@dataclass(frozen=True, eq=False)
class StoredBatch:
    """A batch of `StoredJacobian`: nothing is copied."""

    stored: StoredJacobian
    structures: np.ndarray

    def forces(self, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Carry dE/dfeatures to forces and virials."""
        store = self.stored
        n = len(self.structures) if store.virials else 0
        forces = np.zeros((len(g), 3), dtype=store.dtype)
        virials = np.zeros((n, 3, 3), dtype=store.dtype)
        multiply(*self._arguments(), np.ascontiguousarray(g), forces, virials)
        return forces, virials

    def transpose(self, forces: np.ndarray, virials: np.ndarray) -> np.ndarray:
        """Carry cotangents of forces and virials to that of dE/dfeatures."""
        shape = (len(forces), self.stored.n_features)
        g = np.zeros(shape, dtype=self.stored.dtype)
        forces, virials = np.ascontiguousarray(forces), np.ascontiguousarray(virials)
        multiply_transpose(*self._arguments(), forces, virials, g)
        return g

    def _arguments(self) -> tuple:
        store = self.stored
        return (
            self.structures, store.atoms, store.edges, store.centres, store.neighbors,
            store.kinds, store.vectors, store.starts, store.blocks, store.columns,
            store.widths,
        )  # fmt: skip


def _largest_of_each_chemistry(X: AtomFeatures) -> list[int]:
    """Give one structure for every set of elements, in which most features occur."""
    largest: dict[bytes, int] = {}
    sizes = X.n_atoms
    for s, size in enumerate(sizes):
        elements = np.unique(X.numbers[X.offsets[s] : X.offsets[s + 1]]).tobytes()
        if size > sizes[largest.setdefault(elements, s)]:
            largest[elements] = s
    return list(largest.values())


def _mark(one: AtomFeatures, kinds: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Give the Jacobian of one structure, and mark the columns that are not zero."""
    jacobian = one.jacobian()
    moves = (jacobian != 0).any(axis=1)
    pair_kinds = kinds[one.pairs.neighbors]
    for k in np.unique(pair_kinds):
        used[k] |= moves[pair_kinds == k].any(axis=0)
    return jacobian


def _n_bytes(X: AtomFeatures, kind_of: np.ndarray, used: np.ndarray, dtype) -> int:
    """Memory of the stored blocks."""
    counts = np.bincount(kind_of[X.pairs.neighbors], minlength=len(used))
    return int(3 * counts @ used.sum(axis=1)) * np.dtype(dtype).itemsize
