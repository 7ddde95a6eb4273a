"""Answers of estimators, and how forces and strain derivatives add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skatom.base import Target
from skatom.base._targets import ENERGY
from skatom.features import AtomFeatures
from skatom.neighbors import NeighborPairs


@dataclass(frozen=True)
class Context:
    """What is asked for, and neighbour pairs that are known already.

    Attributes
    ----------
    forces : bool
        Whether gradients will be asked for, so that work can be shared.
    stress : bool
        Whether gradients are by a strain too.
    atomic : bool
        Whether energies of atoms will be asked for.
    pairs : NeighborPairs or None
        Pairs of all structures, at least up to the largest r_cut.
    std : bool
        Whether standard deviations will be asked for, of energies and of what else is.
    """

    forces: bool = True
    stress: bool = False
    atomic: bool = False
    pairs: NeighborPairs | None = None
    std: bool = False


@dataclass(frozen=True)
class Motion:
    """Gradient with respect to structures: to the positions and to a strain.

    Attributes
    ----------
    forces : ndarray of shape (n_atoms_total, 3)
        Minus the gradient with respect to positions, in eV/Å.
    virial : ndarray of shape (n_structures, 3, 3) or None
        Derivative by the strain, in eV; None when stress is not asked for.
    """

    forces: np.ndarray
    virial: np.ndarray | None

    def __add__(self, other: Motion) -> Motion:
        virial = None if self.virial is None else self.virial + other.virial
        return Motion(self.forces + other.forces, virial)

    def scaled(self, weights: np.ndarray, offsets: np.ndarray) -> Motion:
        """Multiply what belongs to each structure by its weight."""
        per_atom = np.repeat(weights, np.diff(offsets))[:, None]
        virial = None
        if self.virial is not None:
            virial = self.virial * weights[:, None, None]
        return Motion(self.forces * per_atom, virial)


def motion_of_features(X: AtomFeatures, g: np.ndarray, context: Context) -> Motion:
    """Carry a gradient by the values of features back to the structures."""
    pairs = X.pairs
    gradient = X.pullback(g)
    virial = pairs.virial(gradient, X.offsets) if context.stress else None
    return Motion(pairs.forces(gradient), virial)


def as_rows(predicted, target: Target) -> tuple[np.ndarray, Target]:
    """Give predictions as one array, and the target with as many columns as there are."""
    if target.per_atom:
        predicted = np.concatenate(predicted) if len(predicted) else np.zeros(0)
    predicted = np.asarray(predicted, dtype=np.float64)
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted[:, 0]
    if predicted.ndim == 2 and predicted.shape[1] != target.width:
        target = target.with_columns(predicted.shape[1])
    return predicted, target


@dataclass(frozen=True)
class Deviations:
    """Standard deviations, each computed when it is called for.

    Attributes
    ----------
    energies : callable
        Gives those of the energies, or of what is predicted in their place, in the shape
        of the values.
    forces : callable
        Gives those of force components, shape (n_atoms_total, 3), in eV/Å.
    atoms : callable
        Gives those of the energies of atoms, shape (n_atoms_total,), in eV.
    """

    energies: Callable[[], np.ndarray]
    forces: Callable[[], np.ndarray]
    atoms: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Answer:
    """Predictions of one estimator at one X, and what can be had from them later.

    Everything besides the values is computed when it is called for, from features that
    are computed once, whether or not the context has announced it.

    Attributes
    ----------
    values : ndarray of shape (n_structures,) or (n_structures, n)
        In the unit of the target; of numbers of atoms, (n_atoms_total,) or with columns.
    pull : callable
        Carries weights of shape (n_structures,) to the gradient of ``weights @ values``
        with respect to X: an array for rows and features, a Motion for structures.
    atoms : callable
        Gives what atoms contribute to sums and means, shape (n_atoms_total,).
    std : Deviations
    seen : tuple of (transformer, output)
        Steps of pipelines that X went through, one after the other, and what each gave.
    target : Target
        What the values are.
    further : callable
        Gives predictions of other targets of the same estimator, by their names.
    """

    values: np.ndarray
    pull: Callable[[np.ndarray], object]
    atoms: Callable[[], np.ndarray]
    std: Deviations
    seen: tuple = ()
    target: Target = ENERGY
    further: Callable[[], dict] = dict

    def like(self, y: np.ndarray, X) -> np.ndarray:
        """Give the values in the form of a checked y of the same structures."""
        if not self.target.per_atom:
            return self.values.reshape(y.shape)
        rows = np.empty(len(y), dtype=object)
        rows[:] = [row.reshape(one.shape) for row, one in zip(self.predictions(X), y)]
        return rows

    def predictions(self, X):
        """Give the values as `predict` does: numbers of atoms in one array a structure."""
        return self.in_rows(self.values, X)

    def in_rows(self, values: np.ndarray, X):
        """Give what has the shape of the values, such as deviations, as `predict` does."""
        if not self.target.per_atom:
            return values
        offsets = X.offsets if hasattr(X, "offsets") else np.arange(len(X) + 1)
        return np.split(values, offsets[1:-1]) if len(offsets) > 1 else []

    def model_input(self, X):
        """Give what enters the model behind the steps: X itself if there are none."""
        return self.seen[-1][1] if self.seen else X
