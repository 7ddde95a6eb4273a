"""Extrapolation, graded by the distance to training environments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    _fit_context,
    _safe_indexing,
    check_is_fitted,
    check_random_state,
)
from skatom.base._inside import fitted_part
from skatom.features import AtomFeatures
from skatom.features._kinds_of_x import rows_and_structures
from skatom.model_selection._content_groups import SIZES
from skatom.neighbors import NeighborPairs
from skatom.uncertainty._conformal.trained_on import refuse_trained_on
from skatom.uncertainty._distances import (
    References,
    flat_features,
    last_features,
    references_by_species,
    species_distances,
)
from skatom.uncertainty._outliers import Grader

# Distances below this share of the size of the features are rounding errors.
SMALLEST_UNIT = 1e-6
SMALLEST = np.finfo(np.float64).tiny


class FeatureDistance(Grader):
    """Grade how far the atoms of a structure are from what a model was trained on.

    For every atom the mean distance to the nearest training environments of its species
    is taken in the features that enter the last step of the fitted pipeline [1]_, and
    divided by the largest such distance among structures that were held out. A grade of
    1.0 therefore means: as far out as the worst environment of that species in held-out
    structures. The grade of a structure is that of its worst atom.

    Parameters
    ----------
    estimator : fitted estimator
        A pipeline, or a wrapper that holds one (a search, a ConformalRegressor, ...).
        Distances are Euclidean in its features: scale them in the pipeline.
    n_neighbors : int, default=10
        Number of nearest training environments to average over.
    max_environments : int, default=1000
        Training environments kept of each species, drawn at random if there are more.
    calibration_size : float or int, default=0.2
        Share, or number, of the structures of fit that are held out to find the unit.
    random_state : int, RandomState instance or None, default=None
        Draws held-out structures and kept environments.

    Attributes
    ----------
    estimator_ : estimator
        The one that was given to fit.
    units_ : dict of int to float
        Distance of grade 1.0 for each atomic number. A species that occurs in no
        held-out structure has the largest unit of the others.
    references_ : dict of int to References
        Training environments of each atomic number.
    n_calibration_ : int
        Number of held-out structures.
    offset_ : float
        -1.0: score_samples below it are outliers.

    See Also
    --------
    skatom.uncertainty.ConformalRegressor : Intervals, valid where grades are small.
    skatom.uncertainty.LatentDistance : Plain distances, in the last hidden layer.
    skatom.calculator.SkatomCalculator : Warn or stop during dynamics.

    Notes
    -----
    A structure that is exchangeable with those held out exceeds a grade of 1.0 with a
    probability of at most ``n_species / (n_calibration_ + 1)``: each species has its own
    unit. To the letter this needs an ``X_calibration`` that no step of the pipeline was
    fitted on, such as the calibration structures of a ConformalRegressor.

    A distance sees what the features see, and knows nothing of the target. It misses
    directions in which the model is sensitive and the features hardly move.

    For a pipeline that pools atoms before the last step, the per-atom features before
    pooling are used. For features of whole structures, a structure counts as one atom.

    References
    ----------
    .. [1] Y. Hu, J. Musielewicz, Z. W. Ulissi, A. J. Medford, Mach. Learn.: Sci.
       Technol. 3, 045028 (2022), doi:10.1088/2632-2153/aca7b1

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skatom.uncertainty import FeatureDistance
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = make_pipeline(StandardScaler(), Ridge()).fit(X, X.sum(axis=1))
    >>> distance = FeatureDistance(model, random_state=0).fit(X)
    >>> distance.predict([[0.0, 0.0], [9.0, 0.0]])
    array([ 1, -1])
    """

    _states = (References,)
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["predict"])],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_environments": [Interval(Integral, 1, None, closed="left")],
        "calibration_size": SIZES,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        n_neighbors=10,
        max_environments=1000,
        calibration_size=0.2,
        random_state=None,
    ):
        self.estimator = estimator
        self.n_neighbors = n_neighbors
        self.max_environments = max_environments
        self.calibration_size = calibration_size
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, X_calibration=None):
        """Store training environments and find the unit of grades.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
            What the estimator was trained on.
        y : ignored
        X_calibration : like X, optional
            Structures that the estimator was not trained on. By default part of X is
            held out: of the distances, not of the training of the estimator.

        Returns
        -------
        self : object
        """
        self.estimator_ = self.estimator
        inner = fitted_part(self.estimator_)
        check_is_fitted(inner)
        rng = check_random_state(self.random_state)
        X, structures = rows_and_structures(X)
        X = X if structures is not None else np.asarray(X)
        if X_calibration is None:
            train, held_out = self._hold_out(structures, len(X), rng)
            train, held_out = _keep_all_species(structures, train, held_out)
            X, X_calibration = _safe_indexing(X, train), _safe_indexing(X, held_out)
        else:
            X_calibration = rows_and_structures(X_calibration)[0]
            refuse_trained_on(self.estimator_, X_calibration, None)
        values, numbers, _ = flat_features(inner, X)
        self.references_ = references_by_species(
            values, numbers, self.n_neighbors, self.max_environments, rng
        )
        self.n_calibration_ = len(X_calibration)
        floor = SMALLEST_UNIT * float(np.sqrt(np.mean(values**2)))
        self.units_ = self._find_units(inner, X_calibration, floor)
        self.offset_ = -1.0
        return self

    def grade_atoms(
        self, X, pairs: NeighborPairs | None = None, seen: tuple = ()
    ) -> list[NDArray[np.float64]]:
        """Grade every atom: 1.0 is the worst held-out environment of its species.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        pairs : NeighborPairs, optional
            Neighbour pairs of X, at least up to the cutoff of the featurizer, from a
            caller that has them; X is then checked `Structures`.
        seen : tuple of (transformer, output), default=()
            What steps of a pipeline gave for X, from a caller that has run them. Those
            of the estimator that are the same objects are not run again.

        Returns
        -------
        grades : list of ndarray of shape (n_atoms,)
            Infinite for species without training environments. For features of whole
            structures, arrays of one entry.
        """
        self._check_fitted()
        if pairs is None:  # who has pairs has checked structures, at every step
            X = rows_and_structures(X)[0]
        inner = fitted_part(self.estimator_)
        return self.grade_features(last_features(inner, X, pairs, seen))

    def grade_features(self, features: AtomFeatures) -> list[NDArray[np.float64]]:
        """Grade atoms whose features are known.

        Parameters
        ----------
        features : AtomFeatures
            What enters the last step of the estimator.

        Returns
        -------
        grades : list of ndarray of shape (n_atoms,)
        """
        self._check_fitted()
        grades = species_distances(self.references_, features.values, features.numbers)
        for z, unit in self.units_.items():
            grades[features.numbers == z] /= unit
        return np.split(grades, features.offsets[1:-1]) if len(features) else []

    def grade(self, X) -> NDArray[np.float64]:
        """Grade structures by their worst atom.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)

        Returns
        -------
        grades : ndarray of shape (n_structures,)
        """
        return np.array([grades.max() for grades in self.grade_atoms(X)], dtype=float)

    def _check_fitted(self) -> None:
        if not hasattr(self, "units_"):  # a fraction of the time of the full check
            check_is_fitted(self)

    def _find_units(self, inner, X_calibration, floor: float) -> dict[int, float]:
        values, numbers, _ = flat_features(inner, X_calibration)
        distances = species_distances(self.references_, values, numbers)
        units = {
            int(z): max(float(distances[numbers == z].max()), floor, SMALLEST)
            for z in np.unique(numbers)
            if int(z) in self.references_
        }
        if not units:
            raise ValueError(
                "No species of the training structures occurs in the calibration "
                "structures: grades have no unit. Give X_calibration of the same kind."
            )
        largest = max(units.values())
        return {z: units.get(z, largest) for z in self.references_}


def _keep_all_species(structures, train: np.ndarray, held_out: np.ndarray):
    """Move held-out structures with a species that the others lack back to training."""
    if structures is None:
        return train, held_out
    known = np.unique(structures[train].numbers)
    lacking = [not np.isin(structures[int(s)].numbers, known).all() for s in held_out]
    if all(lacking):
        raise ValueError(
            "Every held-out structure has a species that no other structure has, so "
            "grades have no unit. Give X_calibration, or raise calibration_size."
        )
    lacking = np.array(lacking)
    return np.sort(np.concatenate([train, held_out[lacking]])), held_out[~lacking]
