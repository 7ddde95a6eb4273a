"""One model of the matrix: fitted once, and shared by all checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skatom.base import target_of
from skatom.base._inside import walk
from skatom.potential import evaluate, predict_forces
from skatom.structures import Structures, read_energies

N_TRAIN, N_HELD = 10, 5
STEP_IN_ANGSTROM = 1e-4


@dataclass(eq=False)
class Case:
    """A model, what it is fitted and calibrated on, and new structures.

    Attributes
    ----------
    name : str
    estimator : estimator
        Not fitted.
    frames : Structures
    """

    name: str
    estimator: object
    frames: Structures
    _shared: dict = field(default_factory=dict)

    @cached_property
    def y(self) -> np.ndarray:
        """Targets of all structures, of the kind that the model predicts."""
        return labels_of(self.frames, target_of(self.estimator).kind)

    @property
    def train(self) -> tuple[Structures, np.ndarray]:
        """Give what models are fitted on."""
        return self.frames[:N_TRAIN], self.y[:N_TRAIN]

    @property
    def held(self) -> tuple[Structures, np.ndarray]:
        """Give what prefit wrappers are calibrated on."""
        kept = slice(N_TRAIN, N_TRAIN + N_HELD)
        return self.frames[kept], self.y[kept]

    @property
    def new(self) -> Structures:
        """Structures that nothing has seen."""
        return self.frames[N_TRAIN + N_HELD :]

    def unfitted(self, **params):
        """Give a clone of the model, its inner one fitted where it has to come so."""
        fresh = clone(self.estimator).set_params(**params)
        if getattr(type(fresh), "__name__", "") == "LastLayerRigidity":
            inner = FrozenEstimator(fresh.estimator.fit(*self.train))
            fresh.set_params(estimator=inner)
        return fresh

    @cached_property
    def fitted(self):
        """Give the model, fitted."""
        return self.unfitted().fit(*self.train)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Predictions of new structures, numbers of atoms one after the other."""
        return flat_of(self.fitted.predict(self.new))

    @cached_property
    def names(self) -> set[str]:
        """Names of the classes that the model is made of."""
        return {type(part).__name__ for part in walk(self.estimator)}


def labels_of(frames: Structures, kind: str) -> np.ndarray:
    """Make up labels of a kind: energies, or what charges of atoms amount to."""
    charges = [a.arrays["charges"] for a in frames]
    centred = [a.positions - a.get_center_of_mass() for a in frames]
    moments = np.array([q @ r for q, r in zip(charges, centred)])
    if kind == "vector":
        return moments
    if kind == "magnitude":
        return np.linalg.norm(moments, axis=1)
    if kind == "tensor":
        squares = [
            (q**2 * r.T) @ r + len(r) * np.eye(3) for q, r in zip(charges, centred)
        ]
        return np.array(
            [one[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] for one in squares]
        )
    if kind == "atoms":
        rows = np.empty(len(frames), dtype=object)
        rows[:] = charges
        return rows
    return read_energies(frames)


def flat_of(values) -> np.ndarray:
    """Give numbers of atoms one after the other, and all else as an array."""
    if isinstance(values, list) or getattr(values, "dtype", np.dtype(float)).hasobject:
        rows = [np.asarray(one, dtype=float) for one in values]
        if any(row.ndim for row in rows):
            return np.concatenate(rows)
    return np.asarray(values, dtype=float)


def with_std_of(estimator, X: Structures) -> tuple[np.ndarray, np.ndarray]:
    """Predict with standard deviations, through searches and pipelines too."""
    found, name = (
        evaluate(estimator, X, forces=False, std=True),
        target_of(estimator).name,
    )
    return found.properties[name], found.properties_std[name]


def differences(estimator, atoms, direction: np.ndarray) -> float:
    """Differentiate the prediction of a structure along a direction of its atoms."""
    ends = []
    for step in (STEP_IN_ANGSTROM, -STEP_IN_ANGSTROM):
        moved = atoms.copy()
        moved.positions += step * direction
        ends.append(moved)
    ahead, behind = np.asarray(estimator.predict(Structures(ends)))
    return float(ahead - behind) / (2 * STEP_IN_ANGSTROM)


def require_forces_of(estimator, X: Structures) -> None:
    """Fail unless forces of the first structure are slopes of predictions."""
    atoms = X[0]
    direction = np.random.default_rng(0).normal(size=atoms.positions.shape)
    forces = predict_forces(estimator, X[:1])[0]
    slope = differences(estimator, atoms, direction)
    require(
        abs(slope + (forces * direction).sum()) < 1e-5 + 1e-4 * np.abs(forces).sum(),
        "forces are no slopes of predictions",
    )


def require(true: bool, what: str) -> None:
    """Fail with a sentence unless something is true."""
    if not true:
        raise AssertionError(what)


def require_same(one, two, what: str, tolerance: float = 1e-8) -> None:
    """Fail with a sentence unless numbers agree, 0 is to the last bit."""
    one, two = flat_of(one), flat_of(two)
    scale = 1.0 + np.abs(two[np.isfinite(two)]).max(initial=0.0)
    close = one.shape == two.shape and np.allclose(
        one, two, rtol=0, atol=tolerance * scale, equal_nan=True
    )
    require(close, what)
