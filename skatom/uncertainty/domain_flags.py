"""Flags of structures outside of what a model knows, from several sides."""

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
    closest,
)
from skatom.base import NoStandardDeviationError
from skatom.base._inside import fitted_part
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.model_selection._content_groups import SIZES
from skatom.potential.answers import Context
from skatom.potential.deviations import with_std
from skatom.potential.estimators import answer
from skatom.structures import Structures
from skatom.uncertainty._conformal.scores import check_sizes
from skatom.uncertainty._conformal.trained_on import refuse_trained_on
from skatom.uncertainty._distances import (
    CHUNK,
    References,
    flat_features,
    last_features,
)
from skatom.uncertainty._maxvol import Volume
from skatom.uncertainty._outliers import Grader
from skatom.uncertainty._ranges import Range

FLAGS = ("std", "distance", "range", "d_optimality")


class DomainFlags(Grader):
    """Grade structures from several sides; 1.0 is the worst calibration structure.

    No single flag sees everything: a distance in many dimensions misses what a standard
    deviation sees, and the reverse. Grades of all of them are in one unit, so no
    threshold has to be tuned for a system.

    Parameters
    ----------
    estimator : fitted estimator
        A pipeline, or a wrapper that holds one (a search, a ConformalRegressor, ...).
    flags : sequence of str, default=("std", "distance", "range", "d_optimality")
        - ``"std"``: the standard deviation of ``estimator.predict(X, return_std=True)``;
        - ``"distance"``: mean distance to the nearest training environments of the same
          species, in the features that enter the last step [1]_;
        - ``"range"``: how far any feature lies from the middle of its training range, in
          half ranges;
        - ``"d_optimality"``: the extrapolation grade of moment tensor potentials [2]_,
          the largest share of an environment of the training set that spans the largest
          volume.
    n_neighbors : int, default=10
        Number of nearest training environments for ``"distance"``.
    max_environments : int, default=2000
        Training environments of each species kept for ``"distance"``, drawn at random if
        there are more.
    max_directions : int, default=100
        Leading directions of features that span the volume of ``"d_optimality"``.
    calibration_size : float or int, default=0.2
        Share, or number, of the structures of fit that are held out to find the units.
    random_state : int, RandomState instance or None, default=None
        Draws held-out structures and kept environments.

    Attributes
    ----------
    estimator_ : estimator
        The one that was given to fit.
    units_ : dict of str to float
        Raw value of grade 1.0 of each flag.
    n_calibration_ : int
        Number of held-out structures.
    offset_ : float
        -1.0: score_samples below it are outliers.

    See Also
    --------
    FeatureDistance : Grades of atoms by distance, for dynamics.
    exchangeability_test : Whether a set of structures is alike to another.

    Notes
    -----
    A structure that is exchangeable with those held out is flagged by any one flag with a
    probability of at most ``1 / (n_calibration_ + 1)``, and by one or more of them with
    at most ``n_flags / (n_calibration_ + 1)``. To the letter this needs an
    ``X_calibration`` that no step of the pipeline was fitted on.

    A structure is graded by its worst atom, among training atoms of its species. Species
    that were not trained on have infinite grades of all flags of features.

    References
    ----------
    .. [1] Y. Hu, J. Musielewicz, Z. W. Ulissi, A. J. Medford, Mach. Learn.: Sci.
       Technol. 3, 045028 (2022), doi:10.1088/2632-2153/aca7b1
    .. [2] E. V. Podryabinkin, A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017),
       doi:10.1016/j.commatsci.2017.08.031

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import BayesianRidge
    >>> from skatom.uncertainty import DomainFlags
    >>> rng = np.random.default_rng(0)
    >>> X, X_new = rng.normal(size=(300, 2)), np.array([[0.0, 0.0], [0.0, 20.0]])
    >>> model = BayesianRidge().fit(X, X.sum(axis=1) + 0.1 * rng.normal(size=300))
    >>> flags = DomainFlags(model, random_state=0).fit(X)
    >>> flags.predict(X_new)
    array([ 1, -1])
    >>> {name: bool(g[1] > 1) for name, g in flags.grades(X_new).items()}
    {'std': True, 'distance': True, 'range': True, 'd_optimality': True}
    """

    _states = (References, Range, Volume)
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["predict"])],
        "flags": ["array-like"],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_environments": [Interval(Integral, 1, None, closed="left")],
        "max_directions": [Interval(Integral, 1, None, closed="left")],
        "calibration_size": SIZES,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        flags=FLAGS,
        *,
        n_neighbors=10,
        max_environments=2000,
        max_directions=100,
        calibration_size=0.2,
        random_state=None,
    ):
        self.estimator = estimator
        self.flags = flags
        self.n_neighbors = n_neighbors
        self.max_environments = max_environments
        self.max_directions = max_directions
        self.calibration_size = calibration_size
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, X_calibration=None):
        """Learn what the training structures cover, and find the units of grades.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
            What the estimator was trained on.
        y : ignored
        X_calibration : like X, optional
            Structures that the estimator was not trained on. By default part of X is held
            out: of the flags, not of the training of the estimator, whose standard
            deviations there are then too small for a unit.

        Returns
        -------
        self : object
        """
        self._check_flags()
        self._flags = tuple(self.flags)
        self.estimator_ = self.estimator
        check_is_fitted(fitted_part(self.estimator_))
        rng = check_random_state(self.random_state)
        X, structures = rows_and_structures(X)
        X = X if structures is not None else np.asarray(X)
        if X_calibration is None:
            train, held_out = self._hold_out(structures, len(X), rng)
            X, X_calibration = _safe_indexing(X, train), _safe_indexing(X, held_out)
        else:
            X_calibration = rows_and_structures(X_calibration)[0]
            refuse_trained_on(self.estimator_, X_calibration, None)
        self._learn(X, rng)
        raw = self._raw(X_calibration)
        self.n_calibration_ = len(next(iter(raw.values())))
        self.units_ = {}
        for name, values in raw.items():
            finite = values[np.isfinite(values)]
            if not len(finite) or not finite.max() > 0:
                raise ValueError(
                    f"No calibration structure has a positive finite value of {name!r}, "
                    "so its grades have no unit. Give an X_calibration of the species "
                    "trained on, or leave that flag out."
                )
            self.units_[name] = float(finite.max())
        self.offset_ = -1.0
        return self

    def grades(self, X) -> dict[str, NDArray[np.float64]]:
        """Grade structures by each flag: above 1.0 is beyond every calibration structure.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)

        Returns
        -------
        grades : dict of str to ndarray of shape (n_structures,)
        """
        check_is_fitted(self)
        raw = self._raw(rows_and_structures(X)[0])
        return {name: values / self.units_[name] for name, values in raw.items()}

    def grade(self, X) -> NDArray[np.float64]:
        """Grade structures by the flag that sees most.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)

        Returns
        -------
        grades : ndarray of shape (n_structures,)
        """
        return np.max(list(self.grades(X).values()), axis=0)

    def grade_atoms(self, X, pairs=None, seen: tuple = ()) -> list[NDArray[np.float64]]:
        """Grade whole structures, as a calculator asks for grades.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        pairs, seen : ignored
            A standard deviation and features are needed both, and made anew.

        Returns
        -------
        grades : list of ndarray of shape (1,)
        """
        return [np.array([grade]) for grade in self.grade(X)]

    def _check_flags(self) -> None:
        for name in self.flags:
            if name not in FLAGS:
                raise ValueError(
                    f"flags must be of {', '.join(map(repr, FLAGS))}; got {name!r}."
                    f"{closest(str(name), FLAGS)}"
                )
        if not len(self.flags):
            raise ValueError("flags is empty: name at least one.")

    def _learn(self, X, rng) -> None:
        self.graders_ = {}
        if set(self.flags) == {"std"}:
            return
        values, numbers, _ = flat_features(fitted_part(self.estimator_), X)
        for z in np.unique(numbers):
            rows = values[numbers == z]
            graders = {}
            if "distance" in self.flags:
                kept = rows
                if len(rows) > self.max_environments:
                    kept = rows[rng.choice(len(rows), self.max_environments, False)]
                graders["distance"] = References(kept, self.n_neighbors)
            if "range" in self.flags:
                graders["range"] = Range(rows)
            if "d_optimality" in self.flags:
                graders["d_optimality"] = Volume(rows, self.max_directions)
            self.graders_[int(z)] = graders

    def _raw(self, X) -> dict[str, np.ndarray]:
        """Value of each flag for every structure, that of its worst atom."""
        n = count_rows(X)
        parts = [self._raw_of_some(X[k : k + CHUNK]) for k in range(0, n, CHUNK)]
        return {
            name: np.concatenate([np.zeros(0)] + [part[name] for part in parts])
            for name in self._flags
        }

    def _raw_of_some(self, X) -> dict[str, np.ndarray]:
        """Predict and grade with features that are computed once."""
        n, seen = count_rows(X), ()
        raw = {name: np.zeros(n) for name in self._flags}
        if "std" in raw:
            std, seen = self._std_of_some(X)
            raw["std"] = check_sizes(std, (n,))
        if set(raw) == {"std"}:
            return raw
        features = last_features(fitted_part(self.estimator_), X, seen=seen)
        for z in np.unique(features.numbers):
            own = features.numbers == z
            graders = self.graders_.get(int(z))
            for name in set(raw) - {"std"}:
                grade = np.inf
                if graders is not None:
                    grade = GRADES[name](graders[name], features.values[own])
                np.maximum.at(raw[name], features.structure_index[own], grade)
        return raw

    def _std_of_some(self, X) -> tuple[np.ndarray, tuple]:
        """Give standard deviations, and what the steps on the way gave."""
        try:
            if not isinstance(X, Structures):
                return with_std(self.estimator_, "predict", X)[1], ()
            found = answer(self.estimator_, X, Context(forces=False, std=True))
            return found.std.energies(), found.seen
        except NoStandardDeviationError as error:
            raise NoStandardDeviationError(
                f"The flag 'std' of DomainFlags is the standard deviation of the "
                f"estimator, and {type(self.estimator_).__name__} has none: leave it out "
                f"of flags, or wrap the estimator. {error}"
            ) from error


# What each flag keeps of the training rows of a species gives grades by this.
GRADES = {
    "distance": References.mean_distances,
    "range": Range.excursions,
    "d_optimality": Volume.grades,
}
