"""Which features of which atoms an energy comes from: gradients and their integrals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from skatom._validation import check_n_structures
from skatom.base import sum_atoms
from skatom.features import AtomFeatures
from skatom.inspection._front import split, with_values
from skatom.potential.answers import Context
from skatom.potential.estimators import answer

METHODS = ("gradient", "gradient_times_input", "integrated")


@dataclass(frozen=True, eq=False)
class Attributions:
    """Shares of features of atoms in predicted energies.

    Attributes
    ----------
    values : ndarray of shape (n_atoms_total, n_features)
        In eV; for plain gradients in eV per unit of the feature.
    feature_names : list of str
    offsets : ndarray of shape (n_structures + 1,)
        First atom of each structure.
    numbers : ndarray of shape (n_atoms_total,)
        Atomic numbers.
    """

    values: np.ndarray
    feature_names: list[str]
    offsets: np.ndarray
    numbers: np.ndarray

    def of_atoms(self) -> list[np.ndarray]:
        """Sum over features.

        Returns
        -------
        shares : list of ndarray of shape (n_atoms,)
        """
        return np.split(self.values.sum(axis=1), self.offsets[1:-1])

    def of_structures(self) -> np.ndarray:
        """Sum over features and atoms.

        Returns
        -------
        shares : ndarray of shape (n_structures,)
        """
        return sum_atoms(self.values.sum(axis=1), self.offsets)

    def of_features(self) -> dict[str, float]:
        """Average the magnitude over atoms, the largest first.

        Returns
        -------
        magnitudes : dict of str to float
        """
        mean = np.abs(self.values).mean(axis=0)
        order = np.argsort(-mean, kind="stable")
        return {self.feature_names[k]: float(mean[k]) for k in order}


def attribute_features(
    estimator,
    X: Sequence[Atoms],
    *,
    method: str = "integrated",
    baseline: Sequence[Atoms] | np.ndarray | None = None,
    n_steps: int = 20,
) -> Attributions:
    r"""Share predicted energies out among the features of atoms.

    Parameters
    ----------
    estimator : fitted Pipeline
        A featurizer, per-atom steps and any regressor with a gradient; searches and
        frozen estimators over one too.
    X : sequence of ase.Atoms
    method : {"integrated", "gradient", "gradient_times_input"}, default="integrated"
        "gradient" is the derivative of the energy by each feature of each atom. It is
        multiplied with the feature's distance from the baseline in
        "gradient_times_input", and averaged over the way from there before that in
        "integrated": integrated gradients [1]_.
    baseline : sequence of ase.Atoms or ndarray, default=None
        Where the way begins: the mean features of each element in these structures, by
        default in X itself; or features themselves, of shape (n_features,) for all atoms
        or (n_atoms_total, n_features). Zeros are an atom without neighbours.
    n_steps : int, default=20
        Points on the way, those of Gauss and Legendre.

    Returns
    -------
    attributions : Attributions

    Raises
    ------
    ValueError
        For an unknown method, no steps, or a baseline that does not fit.
    TypeError
        If the estimator does not begin with features of atoms.
    NoDerivativeError
        If a step or the model has no derivative rule.

    See Also
    --------
    skatom.potential.predict_atomic_energies : How a model itself shares energies out.
    group_permutation_importance : Importance by what is lost without.

    Notes
    -----
    Integrated gradients are complete: with features :math:`x` and a baseline :math:`x_0`,

    .. math:: \sum (x - x_0) \int_0^1 \nabla E(x_0 + t (x - x_0)) dt = E(x) - E(x_0),

    as far as `n_steps` resolve the way.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly and Q. Yan, Proc. 34th ICML, PMLR 70, 3319 (2017).

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sklearn.pipeline import make_pipeline
    >>> from skatom.featurizers import ACSF
    >>> from skatom.inspection import attribute_features
    >>> from skatom.models import AtomicRidge
    >>> frames = [molecule("H2O"), molecule("CH3OH"), molecule("CH4")]
    >>> model = make_pipeline(ACSF(r_cut=4.0), AtomicRidge())
    >>> model = model.fit(frames, [-14.0, -30.0, -24.0])
    >>> shares = attribute_features(model, frames)
    >>> shares.values.shape == (14, len(shares.feature_names))
    True
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}: give one of {', '.join(METHODS)}.")
    if n_steps < 1:
        raise ValueError(f"n_steps is {n_steps}: give at least one point.")
    features, rest = split(estimator, X)
    values = np.asarray(features.values, dtype=np.float64)
    if method == "gradient":
        shares = _gradient(rest, features, values)
    else:
        start = _baseline(estimator, features, baseline)
        way = values - start
        if method == "integrated":
            points, weights = np.polynomial.legendre.leggauss(n_steps)
            slopes = sum(
                0.5 * w * _gradient(rest, features, start + 0.5 * (t + 1.0) * way)
                for t, w in zip(points, weights)
            )
        else:
            slopes = _gradient(rest, features, values)
        shares = way * slopes
    return Attributions(
        shares, list(features.feature_names), features.offsets, features.numbers
    )


def _gradient(rest, features: AtomFeatures, values: np.ndarray) -> np.ndarray:
    """Differentiate energies by features at other values, (n_atoms_total, n_features)."""
    found = answer(rest, with_values(features, values), Context())
    return found.pull(np.ones(len(features)))


def _baseline(estimator, features: AtomFeatures, baseline) -> np.ndarray:
    """Features that the way begins at, of every atom."""
    shape = features.values.shape
    if isinstance(baseline, np.ndarray) and baseline.dtype != object:
        if baseline.shape not in (shape, shape[1:]):
            raise ValueError(
                f"baseline has shape {baseline.shape}; give {shape[1:]} for all atoms, "
                f"{shape} for each, or structures."
            )
        return np.broadcast_to(baseline.astype(np.float64), shape)
    reference = features
    if baseline is not None:
        if not len(baseline):
            check_n_structures(1, baseline, "baseline")
        reference = split(estimator, baseline)[0]
    start = np.empty(shape)
    for z in np.unique(features.numbers):
        there = reference.numbers == z
        if not there.any():
            raise ValueError(
                f"The structures of baseline have no atom of number {z}, which X has: "
                "give structures with all elements of X."
            )
        start[features.numbers == z] = reference.values[there].mean(axis=0)
    return start
