"""Distance to training structures in the last hidden layer of a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_is_fitted,
    check_random_state,
)
from skatom.base import sum_atoms
from skatom.base._inside import fitted_part
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.neighbors import NeighborPairs
from skatom.uncertainty._distances import (
    References,
    dense,
    flat_features,
    latent_features,
    references_by_species,
    species_distances,
)
from skatom.uncertainty._outliers import OutlierDetector


class LatentDistance(OutlierDetector):
    """Mean distance to the nearest training structures in the last hidden layer [1]_.

    A network has seen enough of what it maps close together. Latent features are scaled
    to unit variance over the training structures; the distance of a structure is the mean
    Euclidean distance to the nearest ones. A ConformalRegressor makes intervals of it,
    a CalibratedStdRegressor standard deviations.

    Parameters
    ----------
    estimator : fitted estimator
        A pipeline or model, or a wrapper that holds one. Latent features are what its
        last step gives by ``latent(X)``, or, for other models, the features that enter
        the last step.
    n_neighbors : int, default=10
        Number of nearest training structures, or atoms, to average over.
    level : {"structure", "atom"}, default="structure"
        Whether to measure structures, by the mean latent features of their atoms as in
        [1]_, or atoms, among training atoms of their species. A structure is then as far
        as its farthest atom, which an average would hide in a large structure.
    floor : {"median"} or float, default=0.0
        Added to every distance: a number, or the median distance of training structures
        from each other. A copy of a training structure has no distance, but an error.
    contamination : float, default=0.01
        Share of training structures whose distance from the others counts as far; it sets
        the threshold of `predict`.
    max_references : int, default=20000
        Training structures, or atoms of each species, that are kept; drawn at random if
        there are more.
    random_state : int, RandomState instance or None, default=None
        Draws what is kept.

    Attributes
    ----------
    estimator_ : estimator
        The one that was given to fit.
    scaler_ : StandardScaler
        Of the latent features.
    references_ : dict of int to References
        Scaled latent features of training atoms of each atomic number; of structures
        under 0.
    floor_ : float
        What is added to distances.
    offset_ : float
        Minus the distance above which `predict` tells outliers.

    See Also
    --------
    FeatureDistance : Grades atoms in units of the worst held-out one; for dynamics.
    ConformalRegressor : Intervals as wide as the distance asks for.
    CalibratedStdRegressor : Standard deviations from the distance.

    Notes
    -----
    Two structures that a network maps to one point are equal to it, whatever differs
    between them: a distance misses what the network never learned to see. Distances of
    the training structures leave the structure itself out, but the network was trained
    on them; structures of the same source that are new lie slightly farther.

    References
    ----------
    .. [1] Y. Hu, J. Musielewicz, Z. W. Ulissi, A. J. Medford, Mach. Learn.: Sci.
       Technol. 3, 045028 (2022), doi:10.1088/2632-2153/aca7b1

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import AtomicRidge
    >>> from skatom.uncertainty import LatentDistance
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = AtomicRidge().fit(X, X.sum(axis=1))
    >>> distance = LatentDistance(model).fit(X)
    >>> distance.distance([[0.0, 0.0], [9.0, 0.0]]).round(1)
    array([0.3, 7.4])
    >>> distance.predict([[0.0, 0.0], [9.0, 0.0]])
    array([ 1, -1])
    """

    _states = (References,)
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["predict"])],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "level": [StrOptions({"structure", "atom"})],
        "floor": [StrOptions({"median"}), Interval(Real, 0, None, closed="left")],
        "contamination": [Interval(Real, 0, 0.5, closed="both")],
        "max_references": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        n_neighbors=10,
        level="structure",
        floor=0.0,
        contamination=0.01,
        max_references=20000,
        random_state=None,
    ):
        self.estimator = estimator
        self.n_neighbors = n_neighbors
        self.level = level
        self.floor = floor
        self.contamination = contamination
        self.max_references = max_references
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Store the latent features of what the estimator was trained on.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)
        y : ignored

        Returns
        -------
        self : object
        """
        self.estimator_, self._level = self.estimator, self.level
        check_is_fitted(fitted_part(self.estimator_))
        values, numbers, _ = self._latent(X)
        self.scaler_ = StandardScaler().fit(values)
        rng = check_random_state(self.random_state)
        self.references_ = references_by_species(
            self.scaler_.transform(values),
            numbers, self.n_neighbors, self.max_references, rng,
        )  # fmt: skip
        own = np.concatenate([r.own_distances() for r in self.references_.values()])
        self.floor_ = float(np.median(own) if self.floor == "median" else self.floor)
        threshold = np.quantile(own, 1 - self.contamination, method="higher")
        self.offset_ = -float(threshold) - self.floor_
        return self

    def distance(self, X) -> NDArray[np.float64]:
        """Measure how far structures are from those of training.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)

        Returns
        -------
        distances : ndarray of shape (n_structures,)
            In units of the spread of training structures, `floor_` included.
        """
        distances, structure = self._distances(X)
        edges = np.flatnonzero(np.diff(structure, prepend=-1))
        return np.maximum.reduceat(distances, edges) if len(edges) else distances

    def distance_of_latent(self, latent) -> NDArray[np.float64]:
        """Measure how far latent features that are known are from those of training.

        Parameters
        ----------
        latent : array-like of shape (n_structures, n_latent)
            Means over the atoms of each structure, for ``level="structure"``.

        Returns
        -------
        distances : ndarray of shape (n_structures,)
        """
        check_is_fitted(self)
        kinds = np.zeros(len(latent), dtype=np.int64)
        scaled = self.scaler_.transform(latent)
        return species_distances(self.references_, scaled, kinds) + self.floor_

    def distance_atoms(self, X) -> list[NDArray[np.float64]]:
        """Measure how far atoms are from those of training, with ``level="atom"``.

        Parameters
        ----------
        X : sequence of ase.Atoms, or AtomFeatures

        Returns
        -------
        distances : list of ndarray of shape (n_atoms,)
        """
        if self._level != "atom":
            raise ValueError(
                "level='structure' measures whole structures: set level='atom' for "
                "distances of atoms."
            )
        distances, structure = self._distances(X)
        edges = np.flatnonzero(np.diff(structure)) + 1
        return np.split(distances, edges) if len(distances) else []

    def grade_atoms(
        self, X, pairs: NeighborPairs | None = None, seen: tuple = ()
    ) -> list[NDArray[np.float64]]:
        """Grade atoms, or whole structures: 1.0 is where `predict` tells outliers.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        pairs, seen
            As of :meth:`FeatureDistance.grade_atoms`, from a caller that has them.

        Returns
        -------
        grades : list of ndarray of shape (n_atoms,)
            With ``level="structure"`` arrays of one entry.
        """
        check_is_fitted(self)
        X = X if pairs is not None else rows_and_structures(X)[0]
        found = latent_features(fitted_part(self.estimator_), X, pairs, seen)
        rows = found.values, found.numbers, found.structure_index
        distances, structure = self._far(*self._of_level(*rows))
        grades = distances / -self.offset_
        return np.split(grades, np.flatnonzero(np.diff(structure)) + 1)

    def score_samples(self, X) -> NDArray[np.float64]:
        """Give minus the distance: the larger, the more like training structures.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)

        Returns
        -------
        scores : ndarray of shape (n_structures,)
        """
        return -self.distance(X)

    def _latent(self, X) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Latent features of structures, or of atoms, with species and structure."""
        X, structures = rows_and_structures(X)
        if structures is None and not hasattr(X, "shape"):
            X = dense(X)
        values, numbers, structure = flat_features(
            fitted_part(self.estimator_), X, latent_features
        )
        return self._of_level(values, numbers, structure)

    def _of_level(self, values, numbers, structure):
        """Give rows of atoms as they are, or their means over structures."""
        if self._level == "atom":
            return values, numbers, structure
        sizes = np.bincount(structure)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        means = sum_atoms(values, offsets) / sizes[:, None]
        return means, np.zeros(len(sizes), dtype=np.int64), np.arange(len(sizes))

    def _distances(self, X) -> tuple[np.ndarray, np.ndarray]:
        check_is_fitted(self)
        X = rows_and_structures(X)[0]
        if not count_rows(X):
            return np.empty(0), np.empty(0, dtype=np.int64)
        return self._far(*self._latent(X))

    def _far(self, values, numbers, structure) -> tuple[np.ndarray, np.ndarray]:
        scaled = self.scaler_.transform(values)
        found = species_distances(self.references_, scaled, numbers)
        return found + self.floor_, structure
