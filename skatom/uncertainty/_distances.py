"""Features before the last step, or the last layer, of a pipeline, and their distances."""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline

from skatom._runtime.state import State
from skatom.base import sum_atoms
from skatom.base._inside import fitted_part
from skatom.features import AtomFeatures
from skatom.features._kinds_of_x import count_rows
from skatom.neighbors import NeighborPairs
from skatom.potential.answers import Context
from skatom.potential.steps import follow
from skatom.structures import Structures

# Structures whose features are computed together, which bounds the memory of pairs.
CHUNK = 256
# Entries of the matrix of distances that are held at once (32 MB).
BLOCK = 1 << 22


def last_features(
    estimator, X, pairs: NeighborPairs | None = None, seen: tuple = ()
) -> AtomFeatures:
    """Compute what the last step of a pipeline sees, before any pooling of atoms.

    Parameters
    ----------
    estimator : Pipeline or model
        Fitted. Of a network that takes structures itself, what its last layer sees.
    X : Structures, or array-like of shape (n_structures, n_features)
    pairs : NeighborPairs, optional
        Pairs of the structures, at least up to the cutoff of the first step.
    seen : tuple of (transformer, output), default=()
        Outputs for X that are known already, those of the same first steps if any.

    Returns
    -------
    features : AtomFeatures
        Per atom if any step gives per-atom features, else one row a structure.
    """
    features = _entering(estimator, X, pairs, seen)
    if isinstance(features, Structures):
        return _latent_of_structures(_last_of(estimator), features, pairs)
    return features


def _entering(estimator, X, pairs, seen) -> AtomFeatures | Structures:
    """Give what enters the last step, before any pooling of atoms."""
    steps = estimator.steps[:-1] if isinstance(estimator, Pipeline) else []
    steps = [s for _, s in steps if s is not None and s != "passthrough"]
    features, context, is_known = X, Context(pairs=pairs), True
    for k, step in enumerate(steps):
        is_known = is_known and k < len(seen) and seen[k][0] is step
        after = seen[k][1] if is_known else follow(step, features, context)[0]
        if isinstance(features, AtomFeatures) and not isinstance(after, AtomFeatures):
            break  # pooled: distances are between atoms
        features = after
    if isinstance(features, AtomFeatures | Structures):
        return features
    return AtomFeatures.from_rows(dense(features))


def _last_of(estimator):
    """Give the model of a pipeline, without what is around it."""
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    return fitted_part(last)


def _latent_of_structures(model, X: Structures, pairs) -> AtomFeatures:
    if hasattr(model, "environments"):  # of a calculator
        return model.environments(X)
    if not hasattr(model, "latent"):
        raise TypeError(
            "FeatureDistance, LatentDistance and DomainFlags look at features of atoms, "
            f"and {type(model).__name__} sees none: it takes structures without a "
            "featurizer in front and has no last layer. Give a pipeline that starts with "
            "a featurizer, or a network."
        )
    return AtomFeatures(model.latent(X, pairs), X.offsets, X.numbers, X)


def dense(rows) -> np.ndarray:
    """Give rows of numbers, sparse ones too, as a matrix of float64."""
    return np.asarray(rows.toarray() if issparse(rows) else rows, dtype=np.float64)


def latent_features(
    estimator, X, pairs: NeighborPairs | None = None, seen: tuple = ()
) -> AtomFeatures:
    """Compute what the last, linear layer of a pipeline sees.

    Parameters
    ----------
    estimator : Pipeline or model
        Fitted. The features of a model without ``latent`` are what enters it.
    X : Structures, AtomFeatures, or array-like of shape (n_structures, n_features)
    pairs, seen
        As in `last_features`.

    Returns
    -------
    latent : AtomFeatures
        Plain numbers, without derivatives.
    """
    known = isinstance(X, AtomFeatures)
    features = X if known else _entering(estimator, X, pairs, seen)
    model = _last_of(estimator)
    if isinstance(features, Structures):
        return _latent_of_structures(model, features, pairs)
    values = model.latent(features) if hasattr(model, "latent") else features.values
    return AtomFeatures(values, features.offsets, features.numbers, features.structures)


def flat_features(
    estimator, X, of=last_features
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the features of many structures, a chunk at a time.

    Parameters
    ----------
    estimator : Pipeline or model
    X : Structures, or array-like of shape (n_structures, n_features)
    of : {last_features, latent_features}

    Returns
    -------
    values : ndarray of shape (n_atoms_total, n_features)
    numbers : ndarray of int64, shape (n_atoms_total,)
    structure : ndarray of int64, shape (n_atoms_total,)
        Structure of each row.
    """
    n = count_rows(X)
    parts = []
    for start in range(0, n, CHUNK):
        features = of(estimator, X[start : start + CHUNK])
        parts.append(
            (features.values, features.numbers, features.structure_index + start)
        )
    values, numbers, structure = (np.concatenate(part) for part in zip(*parts))
    return values, numbers, structure


class References(State):
    """Reference environments of one species, and mean distances to the nearest of them.

    Parameters
    ----------
    values : ndarray of shape (n_references, n_features)
    n_neighbors : int
        How many of the nearest to average over; all if there are fewer.

    Notes
    -----
    Twice as many candidates as needed are ranked by |r|² - 2 x·r, one matrix product in
    single precision. Distances of candidates are taken from differences in double
    precision and those of the nearest are averaged. The ranking is off by 1e-7 of the
    largest |r|², so that only references that are next to equally near, beyond twice the
    number wanted, can be missed. With 1000 references of 228 features this takes a tenth
    of the time of a tree.
    """

    _name = "references"
    _not_stored = ("centre", "columns", "squares")

    def __init__(self, values: np.ndarray, n_neighbors: int):
        self.values = values
        self.centre = values.mean(axis=0)
        centred = values - self.centre
        self.columns = np.ascontiguousarray(centred.T, dtype=np.float32)
        self.squares = np.einsum("nf,nf->n", centred, centred).astype(np.float32)
        self.n_neighbors = min(n_neighbors, len(values))

    @classmethod
    def _from_state(cls, state: dict) -> References:
        return cls(**state)

    def mean_distances(self, x: np.ndarray) -> np.ndarray:
        """Average the Euclidean distances to the nearest references.

        Parameters
        ----------
        x : ndarray of shape (n, n_features)

        Returns
        -------
        distances : ndarray of shape (n,)
        """
        out = np.empty(len(x))
        k = self.n_neighbors
        candidates = min(2 * k, len(self.values))
        rows = max(1, BLOCK // max(len(self.values), candidates * x.shape[1]))
        for start in range(0, len(x), rows):
            block = x[start : start + rows]
            shifted = (block - self.centre).astype(np.float32)
            ranking = self.squares - 2 * (shifted @ self.columns)
            near = np.argpartition(ranking, candidates - 1, axis=1)[:, :candidates]
            apart = (
                self.values[near] - block[:, None, :]
            )  # (rows, candidates, n_features)
            squares = np.einsum("ikf,ikf->ik", apart, apart)
            squares.partition(k - 1, axis=1)
            out[start : start + rows] = np.sqrt(squares[:, :k]).mean(axis=1)
        return out

    def own_distances(self) -> np.ndarray:
        """Average the distances of each reference to the nearest of the others.

        Returns
        -------
        distances : ndarray of shape (n_references,)
            Infinite for one alone.
        """
        if len(self.values) == 1:
            return np.array([np.inf])
        k = min(self.n_neighbors, len(self.values) - 1)
        # each is its own nearest, at no distance
        one_more = References(self.values, k + 1).mean_distances(self.values)
        return one_more * (k + 1) / k


def references_by_species(
    values: np.ndarray, numbers: np.ndarray, n_neighbors: int, limit: int, rng
) -> dict[int, References]:
    """Keep environments of each species, drawn at random where there are too many.

    Parameters
    ----------
    values : ndarray of shape (n_atoms, n_features)
    numbers : ndarray of int, shape (n_atoms,)
    n_neighbors, limit : int
    rng : numpy.random.RandomState

    Returns
    -------
    references : dict of int to References
    """
    references = {}
    for z in np.unique(numbers):
        rows = np.flatnonzero(numbers == z)
        if len(rows) > limit:
            rows = np.sort(rng.choice(rows, limit, replace=False))
        references[int(z)] = References(values[rows], n_neighbors)
    return references


def species_distances(
    references: dict[int, References], values: np.ndarray, numbers: np.ndarray
) -> np.ndarray:
    """Average the distances of atoms to the nearest references of their species.

    Returns
    -------
    distances : ndarray of shape (n_atoms,)
        Infinite for species without references.
    """
    out = np.full(len(numbers), np.inf)
    for z in np.unique(numbers):
        if int(z) in references:
            rows = np.flatnonzero(numbers == z)
            out[rows] = references[int(z)].mean_distances(values[rows])
    return out


def structure_features(estimator, X) -> np.ndarray:
    """Average the features of atoms over each structure.

    Parameters
    ----------
    estimator : fitted Pipeline or model
    X : Structures, AtomFeatures or array-like of shape (n_structures, n_features)

    Returns
    -------
    features : ndarray of shape (n_structures, n_features)
    """
    values, _, structure = flat_features(estimator, X)
    sizes = np.bincount(structure)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return sum_atoms(values, offsets) / sizes[:, None]
