"""Labels of a Gaussian process, and quantities to predict, as observables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skatom._runtime.state import State
from skatom.features import AtomFeatures
from skatom.models._gaussian_process.blocks import Blocks
from skatom.models._kernels.covariance import Observables, observables
from skatom.models._labelled.derivative_rows import DerivativeRows, derivative_rows
from skatom.models._labelled.rigid_motions import (
    count_rigid_motions,
    targets_of_structures,
    without_rigid_motion,
)
from skatom.models._labelled.training_set import TrainingSet, every_force
from skatom.structures import Labels


@dataclass(frozen=True)
class Seen(State):
    """Labels of a set of structures, scaled by the roots of their weights.

    Errors of energies and virials of n atoms grow as the root of n; so scaled, all of a
    kind have the same noise.

    Attributes
    ----------
    functions : list of Observables
        What is observed of the function of every kernel.
    targets : ndarray of shape (n_labels,)
        Scaled labels; energies come first, unless only derivatives are trained on.
    is_force : ndarray of bool, shape (n_labels,)
    weights : ndarray of shape (n_labels,)
        Sample weights: how often each label counts as seen.
    log_scale : float
        What the likelihood of labels that are unscaled and seen so often has besides.
    first : int
        Index of the first observable that is trained on.
    owners : ndarray of int64, shape (n_labels,)
        Structure of every label.
    blocks : Blocks
        How the functions were split.
    """

    _name = "labels seen"
    _states = (Observables, Blocks)

    functions: list[Observables]
    targets: np.ndarray
    is_force: np.ndarray
    weights: np.ndarray
    log_scale: float
    first: int
    owners: np.ndarray
    blocks: Blocks

    @property
    def sizes(self) -> np.ndarray:
        """Number of labels of every structure."""
        return np.bincount(self.owners, minlength=self.functions[0].n_energies)

    def noise(self, energy: float, force: float) -> np.ndarray:
        """Variances of the noise of every label, from those of an atom and a force."""
        return np.where(self.is_force, force, energy)

    def repetition(self, noise: np.ndarray) -> float:
        """Log-density of labels seen again, given what was seen before."""
        return float(-0.5 * (self.weights - 1.0) @ np.log(noise))


def label_sizes(given: TrainingSet) -> np.ndarray:
    """Count the labels of every structure, without net forces of molecules."""
    sizes = int(given.energies) + given.label_counts().sum(axis=0)
    if given.labels is not None:
        for s in np.flatnonzero(given.labels.has_forces):
            atoms = given.X.structures[s]
            if not atoms.pbc.any():
                sizes[s] -= count_rigid_motions(atoms.positions)
    return sizes


def batches(given: TrainingSet, n_labels: int) -> Iterator[TrainingSet]:
    """All structures in order, about so many labels at a time."""
    batch = (np.cumsum(label_sizes(given)) - 1) // n_labels
    for k in np.unique(batch):
        yield given.take(np.flatnonzero(batch == k))


def collect(given: TrainingSet, blocks: Blocks) -> Seen:
    """Collect the labels of structures.

    Parameters
    ----------
    given : TrainingSet
    blocks : Blocks
        Of features, and of species.
    """
    X, labels, samples = given.X, given.labels, given.samples
    # net forces are zero without any noise: left in, they would hide that of others
    pieces = [without_rigid_motion(b, dense=0.0) for b in derivative_rows(given, 1)]
    scale = np.sqrt(given.energy_weights)
    factors = [scale, *(np.sqrt(block.weights) for block in pieces)]
    targets = [scale * given.y, *(f * b.labels for f, b in zip(factors[1:], pieces))]
    is_force = [np.zeros(len(X), dtype=bool)]
    weights, sizes, owners = [samples], [given.sizes], [np.arange(len(X))]
    if labels is not None:
        n_virials = 6 * labels.has_stress
        n_forces = _count_targets(pieces, labels) - n_virials
        counts = np.stack([n_forces, n_virials], axis=1)
        is_force += [np.repeat([True, False], count) for count in counts]
        owners.append(np.repeat(owners[0], counts.sum(axis=1)))
        weights.append(samples[owners[1]])
        alike = np.stack([np.ones_like(X.n_atoms), X.n_atoms], axis=1)
        sizes.append(np.repeat(alike.ravel(), counts.ravel()))
    first = 0 if given.energies else len(X)
    weights, sizes = (np.concatenate(part)[first:] for part in (weights, sizes))
    return Seen(
        blocks.split(observables(X, pieces, scale)),
        np.concatenate(targets)[first:],
        np.concatenate(is_force)[first:],
        weights,
        _log_scale(weights, sizes),
        first,
        np.concatenate(owners)[first:],
        blocks,
    )


def _count_targets(blocks: list[DerivativeRows], labels: Labels) -> np.ndarray:
    """Count the targets that each structure has left."""
    counts = np.zeros(len(labels.has_forces), dtype=np.int64)
    labelled = np.flatnonzero(labels.has_forces | labels.has_stress)
    if blocks:
        counts[labelled] = np.concatenate([targets_of_structures(b) for b in blocks])
    return counts


def _log_scale(weights: np.ndarray, sizes: np.ndarray) -> float:
    """Correct the density of scaled labels to that of labels seen ``weights`` times.

    A label t with noise s n, seen w times, has the density of one with noise s n / w
    times (2 pi s n)^((1 - w) / 2) / sqrt(w); the factor of s is left to `repetition`.
    """
    scaling = 0.5 * np.log(weights / sizes).sum()
    repetition = -0.5 * ((weights - 1.0) @ np.log(2.0 * np.pi * sizes))
    return float(scaling + repetition - 0.5 * np.log(weights).sum())


def energies_of(X: AtomFeatures) -> Observables:
    """Energies of structures."""
    return observables(X)


def atoms_of(X: AtomFeatures) -> Observables:
    """Energies of atoms, each a structure by itself."""
    offsets = np.arange(len(X.numbers) + 1)
    return observables(AtomFeatures(X.values, offsets, X.numbers))


def forces_of(X: AtomFeatures) -> Observables:
    """Energies, then all force components."""
    return observables(X, derivative_rows(every_force(X), 1))
