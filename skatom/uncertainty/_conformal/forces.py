"""Forces calibrated on structures that the estimator was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase.data import chemical_symbols

from skatom._runtime.state import State
from skatom.base import NoStandardDeviationError
from skatom.features import NoDerivativeError
from skatom.potential import predict_forces
from skatom.structures import Structures, read_labels
from skatom.uncertainty._conformal.groups import group_labels
from skatom.uncertainty._conformal.rankings import ForceScores, atom_labels, table_name
from skatom.uncertainty._conformal.scores import Floor, check_sizes
from skatom.uncertainty.latent_distance import LatentDistance

SYMBOLS = np.array(chemical_symbols)


@dataclass(frozen=True)
class ForceCalibration(State):
    """Ranked errors of force components and of force vectors.

    Attributes
    ----------
    scores : ForceScores
    floors : dict of str to Floor, or None
        Of the sizes of a "component" and of a "norm"; None if there are none and errors
        are ranked as they are.
    groups : object
        What tells the group of a structure.
    source : None, "std" or fitted object
        What gives sizes, as :func:`forces_with_sizes` takes it.
    """

    _name: ClassVar[str] = "force calibration"
    _states: ClassVar[tuple[type, ...]] = (ForceScores, Floor)

    scores: ForceScores
    floors: dict[str, Floor] | None
    groups: Any
    source: Any = "std"

    @classmethod
    def of(
        cls, estimator, X, *, labels_in: str | None, source, floor, groups
    ) -> ForceCalibration | None:
        """Rank the errors of the structures that have force labels.

        Parameters
        ----------
        estimator : fitted estimator
        X : object
            Held-out structures; anything else has no forces.
        labels_in : {"auto", "calc"} or str or None
            Where forces are, as in :func:`~skatom.structures.read_labels`.
        source : None, "std" or fitted object
            Gives what errors are divided by, as :func:`forces_with_sizes` takes it.
        floor, groups : object
            As for energies.

        Returns
        -------
        calibration : ForceCalibration or None
            None if there is nothing to rank: no labels, or, with "auto", no derivative.
        """
        if labels_in is None or not isinstance(X, Structures):
            return None
        labels = read_labels(X, forces=labels_in)
        labelled = np.flatnonzero(labels.has_forces)
        if not len(labelled):
            return None
        chosen = X[labelled]
        try:
            forces, std = forces_with_sizes(source, estimator, chosen)
        except NoDerivativeError:
            if labels_in == "auto":
                return None
            raise
        of_chosen = np.repeat(labels.has_forces, X.n_atoms)
        errors = labels.forces[of_chosen] - np.concatenate(forces)
        norms = np.linalg.norm(errors, axis=1)
        errors, floors = np.abs(errors), None
        if std is not None:
            sizes = {"component": np.concatenate(std)}
            sizes["norm"] = np.linalg.norm(sizes["component"], axis=1)
            floors = {what: Floor.of(size, floor) for what, size in sizes.items()}
            errors = errors / floors["component"].above(sizes["component"])
            norms = norms / floors["norm"].above(sizes["norm"])
        structure = np.repeat(np.arange(len(chosen)), chosen.n_atoms)
        names = group_labels(groups, chosen)
        scores = ForceScores.of(
            errors,
            norms,
            structure,
            SYMBOLS[chosen.numbers],
            None if names is None else names[structure],
        )
        return cls(scores, floors, groups, source)

    def widths(
        self,
        what: str,
        X,
        std,
        levels: np.ndarray,
        by_element: bool,
        simultaneous: bool,
    ) -> np.ndarray:
        """Bound the errors of components, or of force vectors.

        Parameters
        ----------
        what : {"component", "norm"}
        X : Structures or None
            Needed by element and with groups.
        std : ndarray of shape (n_atoms_total, 3) or None
        levels : ndarray of shape (k,)
        by_element, simultaneous : bool

        Returns
        -------
        widths : ndarray of shape (n, 3, k) for components, (n, k) for vectors
            n is the number of atoms, or 1 where every atom has the same width.
        """
        groups = group_labels(self.groups, X)
        if groups is not None:
            groups = np.repeat(groups, X.n_atoms)
        labels = atom_labels(SYMBOLS[X.numbers] if by_element else None, groups)
        table = self.scores.tables[table_name(what, by_element, simultaneous)]
        quantiles = table.quantiles(levels, labels)
        component = what == "component"
        if self.floors is not None:
            size = std if component else np.linalg.norm(std, axis=1)
            size = self.floors[what].above(size)
            return size[..., None] * (quantiles[:, None, :] if component else quantiles)
        if component:
            return np.broadcast_to(
                quantiles[:, None, :], (len(quantiles), 3, len(levels))
            )
        return quantiles


def forces_with_sizes(source, estimator, X: Structures):
    """Predict forces, with what their errors are divided by, where there is anything.

    Parameters
    ----------
    source : None, "std" or fitted object
        "std": standard deviations of the estimator, if it has any of forces. An object
        grades atoms, or predicts forces with standard deviations.
    estimator : fitted estimator
    X : Structures

    Returns
    -------
    forces : list of ndarray of shape (n_atoms, 3)
    sizes : list of ndarray of shape (n_atoms, 3), or None
    """
    if source is None:
        return predict_forces(estimator, X), None
    if isinstance(source, str):
        try:
            forces, sizes = predict_forces(estimator, X, return_std=True)
        except NoStandardDeviationError:
            return predict_forces(estimator, X), None
    else:
        forces = predict_forces(estimator, X)
        if isinstance(source, LatentDistance):
            of_atoms = source.distance_atoms(X)
            sizes = [np.repeat(one[:, None], 3, axis=1) for one in of_atoms]
        else:
            sizes = predict_forces(source, X, return_std=True)[1]
    return forces, [check_sizes(s, f.shape) for s, f in zip(sizes, forces)]


def source_of_forces(score, source, estimator, X_train):
    """Give what sizes of force errors come from, for a score of energies.

    Parameters
    ----------
    score : str or object
        The score as it was given.
    source : object
        What gives sizes of energies.
    estimator : fitted estimator
    X_train : Structures, or anything else

    Returns
    -------
    source : None, "std" or fitted object
        A distance of structures is asked of their atoms; functions know energies only.
    """
    if isinstance(source, str) or source is None:
        return source
    if score == "latent" and isinstance(X_train, Structures):
        return LatentDistance(estimator, level="atom").fit(X_train)
    if isinstance(source, LatentDistance):
        return source if source.level == "atom" else None
    return source if hasattr(source, "predict_forces") else None
