"""Importance of groups of features: what predictions lose when a group is shuffled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from skatom._validation import check_random_state, check_targets, listing
from skatom.inspection._front import split, with_values


@dataclass(frozen=True, eq=False)
class GroupImportance:
    """Increase of the error when a group of features is shuffled.

    Attributes
    ----------
    groups : list of str
    importances : ndarray of shape (n_groups, n_repeats)
        In the unit of the error.
    error : float
        Without shuffling.
    """

    groups: list[str]
    importances: np.ndarray
    error: float

    @property
    def importances_mean(self) -> np.ndarray:
        """Means over repeats, shape (n_groups,)."""
        return self.importances.mean(axis=1)

    @property
    def importances_std(self) -> np.ndarray:
        """Standard deviations over repeats, shape (n_groups,)."""
        return self.importances.std(axis=1)


def feature_groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Put features together that differ in parameters only.

    Names of features begin with the kind of function and the elements it sees, such as
    ``G2_H``, ``G4_H-O`` or ``SOAP_C-H``; parameters follow.

    Parameters
    ----------
    names : sequence of str
        From ``get_feature_names_out`` of a featurizer.

    Returns
    -------
    groups : dict of str to list of int
        Columns of each group.

    Examples
    --------
    >>> from skatom.inspection import feature_groups
    >>> feature_groups(["G2_H_eta1_rs0", "G2_H_eta2_rs0", "G2_O_eta1_rs0"])
    {'G2_H': [0, 1], 'G2_O': [2]}
    """
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        groups.setdefault("_".join(str(name).split("_")[:2]), []).append(column)
    return groups


def group_permutation_importance(
    estimator,
    X: Sequence[Atoms],
    y,
    *,
    groups: Mapping[str, Sequence[int | str]] | None = None,
    error: Callable[[np.ndarray, np.ndarray], float] | None = None,
    n_repeats: int = 5,
    random_state=None,
) -> GroupImportance:
    """Shuffle groups of features among atoms of the same element, and see what is lost.

    Symmetry functions of one kind are so alike that a model makes up for a single one
    with its neighbours; only a whole group shows what it is worth [1]_.

    Parameters
    ----------
    estimator : fitted Pipeline
        A featurizer of atoms, further steps and any regressor.
    X : sequence of ase.Atoms
        Structures, best those that the estimator was not fitted on.
    y : array-like of shape (n_structures,)
        Their energies in eV.
    groups : dict of str to list of int or str, default=None
        Columns of each group, or names of features. None is `feature_groups`.
    error : callable, default=None
        ``error(y, predicted)``; None is the mean absolute error.
    n_repeats : int, default=5
    random_state : int, RandomState or None, default=None

    Returns
    -------
    importance : GroupImportance

    Raises
    ------
    ValueError
        If a group is empty or names what is no feature.
    TypeError
        If the estimator does not begin with features of atoms.

    See Also
    --------
    attribute_features : Shares of features in single predictions.
    sklearn.inspection.permutation_importance : For rows of structures.

    References
    ----------
    .. [1] L. Breiman, Machine Learning 45, 5 (2001), doi:10.1023/A:1010933404324, section
       10; groups: B. Gregorutti, B. Michel and P. Saint-Pierre, Comput. Stat. Data Anal.
       90, 15 (2015), doi:10.1016/j.csda.2015.04.002.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sklearn.pipeline import make_pipeline
    >>> from skatom.featurizers import ACSF
    >>> from skatom.inspection import group_permutation_importance
    >>> from skatom.models import AtomicRidge
    >>> frames = [molecule("H2O"), molecule("CH3OH"), molecule("CH4")]
    >>> y = [-14.0, -30.0, -24.0]
    >>> model = make_pipeline(ACSF(r_cut=4.0, g4=None), AtomicRidge()).fit(frames, y)
    >>> group_permutation_importance(model, frames, y, random_state=0).groups
    ['G2_H', 'G2_C', 'G2_O']
    """
    if n_repeats < 1:
        raise ValueError(f"n_repeats is {n_repeats}: shuffle at least once.")
    features, rest = split(estimator, X)
    y = check_targets(y, len(features))
    names = list(features.feature_names)
    columns = _columns(feature_groups(names) if groups is None else groups, names)
    error = _mean_absolute_error if error is None else error
    rng = check_random_state(random_state)
    before = float(error(y, rest.predict(features)))
    lost = np.empty((len(columns), n_repeats))
    for g, chosen in enumerate(columns.values()):
        for r in range(n_repeats):
            values = features.values.copy()
            order = _within_elements(features.numbers, rng)
            values[:, chosen] = values[order][:, chosen]
            shuffled = rest.predict(with_values(features, values))
            lost[g, r] = float(error(y, shuffled)) - before
    return GroupImportance(list(columns), lost, before)


def _columns(groups: Mapping, names: list[str]) -> dict[str, list[int]]:
    """Turn names of features into columns."""
    place = {name: k for k, name in enumerate(names)}
    found: dict[str, list[int]] = {}
    for group, members in groups.items():
        known = {*place, *range(len(names))}
        unknown = [m for m in members if m not in known]
        if unknown or not len(members):
            raise ValueError(
                f"The group {group!r} holds {listing(map(repr, unknown)) or 'nothing'}: "
                f"give names of features, or columns from 0 to {len(names) - 1}."
            )
        found[str(group)] = [place.get(m, m) for m in members]
    return found


def _within_elements(numbers: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Permute atoms among those of their element."""
    order = np.arange(len(numbers))
    for z in np.unique(numbers):
        atoms = np.flatnonzero(numbers == z)
        order[atoms] = rng.permutation(atoms)
    return order


def _mean_absolute_error(y: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.abs(y - predicted).mean())
