"""AtomFeatures: per-atom values that remember where they came from.

What flows between featurizers, per-atom preprocessing and models. The values of all atoms
stand in one flat matrix. An *origin* records how they were made, so that the features can
be differentiated with respect to the neighbour vectors without ever storing dG/dR.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Protocol

import numpy as np

from skatom.features._columns import Column
from skatom.features._origins import Joined, Transformed
from skatom.neighbors import NeighborPairs, ranges
from skatom.structures import Structures


class NoDerivativeError(ValueError):
    """A step or model has no derivative rule, so forces and stress cannot pass it."""


class Origin(Protocol):
    """Steps that made the values, and their derivatives by the pair vectors."""

    steps: tuple

    @property
    def pairs(self) -> NeighborPairs:
        """Pairs that the values depend on."""

    @property
    def feature_names(self) -> Sequence[str]:
        """Names of the columns."""

    @property
    def columns(self) -> Sequence[Column]:
        """What the columns are functions of."""

    def pullback(self, g: np.ndarray) -> np.ndarray:
        """Carry (n_atoms, n_features) to (n_pairs, 3)."""

    def pushforward(self, v: np.ndarray) -> np.ndarray:
        """Carry (n_pairs, 3) to (n_atoms, n_features)."""

    def jacobian(self) -> np.ndarray:
        """Give d values / d vectors, (n_pairs, 3, n_features)."""

    def of_structures(self, keep: np.ndarray) -> Origin:
        """Select structures."""


class AtomFeatures:
    """Per-atom features of a set of structures, which scikit-learn sees as its rows.

    Parameters
    ----------
    values : ndarray of shape (n_atoms_total, n_features)
        Features of all atoms, structure after structure.
    offsets : ndarray of int64, shape (n_structures + 1,)
        First atom of each structure.
    numbers : ndarray of int64, shape (n_atoms_total,)
        Atomic numbers. Zeros where rows are not atoms.
    structures : Structures or None
        The structures that the values describe; labels are read from them.
    origin : Origin or None
        How the values were made. None for plain numbers, which have no derivatives.

    See Also
    --------
    skatom.preprocessing.PerAtom : Apply a scikit-learn transformer to every atom.
    skatom.preprocessing.Pool : Turn per-atom features into one row a structure.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import ACSF
    >>> features = ACSF(r_cut=4.0).fit_transform([molecule("H2O"), molecule("CH4")])
    >>> len(features), features.values.shape[0], features[1:].values.shape[0]
    (2, 8, 5)
    """

    ndim = 2

    def __init__(
        self,
        values: np.ndarray,
        offsets: np.ndarray,
        numbers: np.ndarray,
        structures: Structures | None = None,
        origin: Origin | None = None,
    ):
        self.values = values
        self.offsets = offsets
        self.numbers = numbers
        self.structures = structures
        self.origin = origin

    @classmethod
    def from_rows(cls, values: np.ndarray) -> AtomFeatures:
        """Read every row of a matrix as a structure of one atom of one kind."""
        n = len(values)
        return cls(values, np.arange(n + 1), np.zeros(n, dtype=np.int64))

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (n_structures, n_features)."""
        return (len(self), self.values.shape[1])

    @property
    def n_atoms(self) -> np.ndarray:
        """Number of atoms of each structure, shape (n_structures,)."""
        return np.diff(self.offsets)

    @property
    def structure_index(self) -> np.ndarray:
        """Structure that each atom belongs to, shape (n_atoms_total,)."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

    @property
    def block_widths(self) -> list[int]:
        """Numbers of columns of the blocks that were joined last, in their order."""
        blocks = getattr(self.origin, "blocks", ())
        return [b.values.shape[1] for b in blocks] or [self.values.shape[1]]

    @property
    def frames(self) -> Structures | None:
        """The structures that the values describe."""
        return self.structures

    @property
    def steps(self) -> tuple:
        """Fitted steps that the values came through, the featurizer first."""
        return self.origin.steps if self.origin is not None else ()

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns, x0, x1, ... for plain numbers."""
        if self.origin is None:
            return [f"x{k}" for k in range(self.values.shape[1])]
        return list(self.origin.feature_names)

    @property
    def columns(self) -> list[Column]:
        """What each column is a function of; names alone where that is not known."""
        known = getattr(self.origin, "columns", None)
        return known or [Column(str(name)) for name in self.feature_names]

    @property
    def pairs(self) -> NeighborPairs:
        """Neighbour pairs that the values depend on.

        Features joined from several featurizers depend on the pairs of each, one set
        after the other; sums over pairs (forces, virial) do not mind.
        """
        return self._differentiable().pairs

    def pullback(self, g: np.ndarray) -> np.ndarray:
        """Carry a gradient with respect to the values back to the pair vectors.

        Parameters
        ----------
        g : ndarray of shape (n_atoms_total, n_features)
            dE/dvalues.

        Returns
        -------
        gradient : ndarray of shape (n_pairs, 3)
            dE/dr_ij for :attr:`pairs`, in eV/Å when E is in eV.
        """
        return self._differentiable().pullback(
            np.ascontiguousarray(g, dtype=np.float64)
        )

    def pushforward(self, v: np.ndarray) -> np.ndarray:
        """Carry a change of the pair vectors forward to the values.

        Parameters
        ----------
        v : ndarray of shape (n_pairs, 3)
            Change of the vectors of :attr:`pairs`.

        Returns
        -------
        tangent : ndarray of shape (n_atoms_total, n_features)
        """
        return self._differentiable().pushforward(
            np.ascontiguousarray(v, dtype=np.float64)
        )

    def jacobian(self, s: int | None = None) -> np.ndarray:
        """Differentiate the values of one structure by its pair vectors, in full.

        Parameters
        ----------
        s : int, optional
            Index of the structure; by default the features hold one only.

        Returns
        -------
        jacobian : ndarray of shape (n_pairs, 3, n_features)
            d values[centre of p] / d r_p for the pairs p of ``self[[s]].pairs``.
        """
        one = self if s is None else self[[s]]
        if len(one) != 1:
            raise ValueError(
                f"The features hold {len(one)} structures: say which one, jacobian(s). "
                "Full derivatives of a whole data set would not fit in memory."
            )
        return one._differentiable().jacobian()

    def transformed(self, step, values: np.ndarray) -> AtomFeatures:
        """Give the features that a per-atom step makes of these.

        Parameters
        ----------
        step : object with pullback(values, numbers, g) and pushforward(values, numbers, v)
            A fitted step that works on each atom's row by itself.
        values : ndarray of shape (n_atoms_total, n_new_features)
        """
        origin = None if self.origin is None else Transformed(step, self)
        return AtomFeatures(values, self.offsets, self.numbers, self.structures, origin)

    def astype(self, dtype) -> AtomFeatures:
        """Give the same features with values of another type.

        Parameters
        ----------
        dtype : numpy dtype
            float32 halves memory; derivatives stay those of double precision.

        Returns
        -------
        features : AtomFeatures
        """
        values = self.values.astype(dtype, copy=False)
        return AtomFeatures(
            values, self.offsets, self.numbers, self.structures, self.origin
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, key) -> AtomFeatures:
        if isinstance(key, tuple):  # scikit-learn indexes with X[key, ...]
            key = key[0]
        if isinstance(key, Integral):
            key = [key]
        keep = np.arange(len(self))[key]
        rows = ranges(self.offsets[keep], self.offsets[keep + 1])
        return AtomFeatures(
            self.values[rows],
            np.concatenate([[0], np.cumsum(self.n_atoms[keep])]).astype(np.int64),
            self.numbers[rows],
            None if self.structures is None else self.structures[keep],
            None if self.origin is None else self.origin.of_structures(keep),
        )

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Per-atom features are ragged and cannot become an array: pool them with "
            "skatom.preprocessing.Pool for a stock estimator, wrap a transformer in "
            "PerAtom, or use the flat matrix .values."
        )

    def __array_function__(self, func, types, args, kwargs):
        joins = func is np.hstack or (
            func is np.concatenate and kwargs.get("axis") == 1
        )
        return hstack(args[0]) if joins else NotImplemented

    def __repr__(self) -> str:
        n_atoms, n_features = self.values.shape
        return (
            f"AtomFeatures({len(self)} structures, {n_atoms} atoms, "
            f"{n_features} features)"
        )

    def _differentiable(self) -> Origin:
        if self.origin is None:
            raise NoDerivativeError(
                "These features are plain numbers without a featurizer behind them, so "
                "they have no derivatives: put a featurizer into the pipeline."
            )
        return self.origin


def hstack(blocks) -> AtomFeatures:
    """Join the columns of features of the same atoms.

    Parameters
    ----------
    blocks : sequence of AtomFeatures

    Returns
    -------
    joined : AtomFeatures

    Raises
    ------
    ValueError
        If there are no blocks, or they do not describe the same atoms.
    TypeError
        If a block is not per-atom features.
    """
    blocks = list(blocks)
    if not blocks:
        raise ValueError("Nothing to join: give at least one block of features.")
    plain = [b for b in blocks if not isinstance(b, AtomFeatures)]
    if plain:
        raise TypeError(
            f"Cannot join per-atom features with {type(plain[0]).__name__}: one describes "
            "atoms, the other whole structures. Pool the per-atom features first."
        )
    first = blocks[0]
    for k, block in enumerate(blocks[1:], start=1):
        if not (
            np.array_equal(block.offsets, first.offsets)
            and np.array_equal(block.numbers, first.numbers)
        ):
            raise ValueError(f"Blocks 0 and {k} do not describe the same atoms.")
    values = np.concatenate([b.values for b in blocks], axis=1)
    differentiable = all(b.origin is not None for b in blocks)
    origin = Joined(tuple(blocks)) if differentiable else None
    return AtomFeatures(values, first.offsets, first.numbers, first.structures, origin)
