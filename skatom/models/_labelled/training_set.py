"""The training set of closed-form models: read, checked and weighted in one place.

The loss of every closed-form model here is, over structures s with weight v_s,

    sum_s v_s [ (E_s - E^_s)^2 / n_s + w_F sum_ic (F_ic - F^_ic)^2
                + w_S sum_v (V_s (sigma_v - sigma^_v))^2 / n_s ]

with n_s atoms, volume V_s, Voigt components v: errors of an extensive number grow as the
square root of the number of atoms. On plain rows of numbers n_s = 1, the usual loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skatom._validation import check_sample_weight
from skatom.base import target_of
from skatom.elements._counts import fit_composition, species_counts
from skatom.features import AtomFeatures
from skatom.labels._judge import judge_fit
from skatom.structures import Labels

ENERGY, FORCE, VIRIAL = 0, 1, 2


class LabelTable(NamedTuple):
    """What labels are, each of shape (n_labels,).

    Attributes
    ----------
    owners : ndarray of int64
        Structures.
    kinds : ndarray of int64
        ENERGY, FORCE or VIRIAL.
    weights : ndarray
        Of their squared errors.
    """

    owners: np.ndarray
    kinds: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class TrainingSet:
    """Structures, their labels, and what each label counts.

    Attributes
    ----------
    X : AtomFeatures
    y : ndarray of shape (n_structures,)
        Energies of structures.
    labels : Labels or None
        Forces and stress, if there are any to train on.
    samples : ndarray of shape (n_structures,)
        Weights of structures.
    energy_weights : ndarray of shape (n_structures,)
        Of squared errors of y.
    force_weight, stress_weight : float
        Of squared errors of force components, in Å^2, and of virials of one atom.
    energies : bool
        Whether energies are trained on, besides forces and stress.
    means : bool
        Whether y are means over atoms, times the number of atoms.
    """

    X: AtomFeatures
    y: np.ndarray
    labels: Labels | None
    samples: np.ndarray
    energy_weights: np.ndarray
    force_weight: float = 1.0
    stress_weight: float = 1.0
    energies: bool = True
    means: bool = False

    @property
    def sizes(self) -> np.ndarray:
        """Give the variance of a label of a structure, in units of its smallest."""
        return np.ones(len(self.X)) if self.means else self.X.n_atoms

    @property
    def n_labels(self) -> int:
        """Number of energies, force components and virial components."""
        return len(self.X) + int(self.label_counts().sum())

    def label_counts(self) -> np.ndarray:
        """Count force and virial components, (2, n_structures)."""
        if self.labels is None:
            return np.zeros((2, len(self.X)), dtype=np.int64)
        forces = 3 * self.X.n_atoms * self.labels.has_forces
        return np.stack([forces, 6 * self.labels.has_stress])

    def take(self, keep: np.ndarray) -> TrainingSet:
        """Keep some of the structures."""
        labels = self.labels
        if labels is not None:
            labels = labels.take(keep, self.X.offsets)
            if not (labels.has_forces.any() or labels.has_stress.any()):
                labels = None
        return replace(
            self,
            X=self.X[keep],
            y=self.y[keep],
            labels=labels,
            samples=self.samples[keep],
            energy_weights=self.energy_weights[keep],
        )

    def as_means(self) -> TrainingSet:
        """Count y as means over atoms: n (y - mean) has the weight 1 / n^2."""
        n = self.X.n_atoms
        weights = self.samples / n**2
        return replace(self, y=self.y * n, energy_weights=weights, means=True)

    def table(self) -> LabelTable:
        """Tell what every label is: energies, then those of one structure after another."""
        every = np.arange(len(self.X))
        counts = self.label_counts().T.ravel()
        n = np.repeat(self.X.n_atoms, 2)
        each = np.tile([self.force_weight, self.stress_weight], len(every))
        each = each * np.repeat(self.samples, 2) / np.where(np.arange(len(n)) % 2, n, 1)
        kinds = np.tile([FORCE, VIRIAL], len(every))
        return LabelTable(
            np.concatenate([every, np.repeat(np.repeat(every, 2), counts)]),
            np.concatenate([np.full(len(every), ENERGY), np.repeat(kinds, counts)]),
            np.concatenate([self.energy_weights, np.repeat(each, counts)]),
        )

    def baseline(self, numbers: np.ndarray, keep: np.ndarray | None = None):
        """Fit one energy a species, on the structures where ``keep`` is true."""
        weights = self.energy_weights
        if keep is not None:
            weights = np.where(keep, weights, 0.0)
        return fit_composition(self.X, self.y, weights, numbers)

    def above(self, baseline: np.ndarray, numbers: np.ndarray) -> TrainingSet:
        """Subtract energies of species from y."""
        if not np.any(baseline):
            return self
        return replace(self, y=self.y - species_counts(self.X, numbers) @ baseline)


def training_set(
    model, X, y, sample_weight=None, forces=None, stress=None
) -> TrainingSet:
    """Read and check what a model is fitted to.

    Parameters
    ----------
    model : estimator
        Gives ``check_targets(X, y)`` and ``read_labels(X, forces, stress)``, as an
        AtomicRegressor does, declares its target, and may have ``force_weight``,
        ``stress_weight`` and ``energies``.
    X : AtomFeatures
        As `check_features` of the model gives it.
    y, sample_weight, forces, stress
        As given to fit.

    Returns
    -------
    given : TrainingSet

    Raises
    ------
    ValueError
        If y, weights or labels are missing, of the wrong length or not finite, or
        contradict each other; if forces or stress are given of what is no energy.

    Warns
    -----
    LabelWarning
        If labels are doubtful.
    """
    y = model.check_targets(X, y)
    samples = check_sample_weight(sample_weight, len(X))
    labels = _slopes(model, X, y, forces, stress)
    given = TrainingSet(
        X,
        y,
        labels,
        samples,
        samples / X.n_atoms,
        force_weight=getattr(model, "force_weight", 1.0),
        stress_weight=getattr(model, "stress_weight", 1.0),
        energies=getattr(model, "energies", True),
    )
    return given.as_means() if target_of(model).kind == "mean" else given


def _slopes(model, X: AtomFeatures, y, forces, stress) -> Labels | None:
    """Read and judge forces and stress, which energies alone have, in the unit of y."""
    target = target_of(model)
    if not target.is_energy:
        if forces is not None or stress is not None:
            target.refuse_slopes(model, "forces and stress to train on")
        return None
    unit = target.factor_to("eV")
    labels = model.read_labels(X, forces, stress)
    places = (
        getattr(model, name, None) if given is None else given
        for name, given in (("forces", forces), ("stress", stress))
    )
    judge_fit(X.structures, unit * y, labels, *places)
    if labels is None or unit == 1.0:
        return labels
    return replace(labels, forces=labels.forces / unit, stress=labels.stress / unit)


def every_force(X: AtomFeatures) -> TrainingSet:
    """Give structures forces of zero, for what is asked of forces without labels."""
    n = len(X)
    labels = Labels(
        np.zeros((len(X.numbers), 3)),
        np.ones(n, dtype=bool),
        np.zeros((n, 6)),
        np.zeros(n, dtype=bool),
    )
    ones = np.ones(n)
    return TrainingSet(X, np.zeros(n), labels, ones, ones)
