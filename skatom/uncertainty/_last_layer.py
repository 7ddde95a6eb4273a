"""Features of the last, linear layer of a fitted model, and how they move with atoms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.sparse import csr_array
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from skatom.base import NoStandardDeviationError, sum_atoms, target_of
from skatom.base._inside import bare
from skatom.features import AtomFeatures
from skatom.neighbors import NeighborPairs
from skatom.potential import DeltaRegressor
from skatom.potential.answers import Answer, Context
from skatom.potential.estimators import answer
from skatom.potential.steps import follow_steps
from skatom.structures import Structures
from skatom.uncertainty._distances import dense, latent_features
from skatom.uncertainty._last_step import with_latent_sums


@dataclass(frozen=True, eq=False)
class LastLayer:
    """What the last, linear layer of a model sees of the atoms of one X.

    Attributes
    ----------
    model : fitted regressor
    inputs : AtomFeatures or Structures
        What enters the model.
    pairs : NeighborPairs or None
        Of the structures, where they are known.
    known_sums : ndarray of shape (n_structures, n_latent) or None
        Sums over structures, where they are known.
    row_slopes : callable or None
        Gives the derivatives of pooled rows, where these come from structures.
    """

    model: object
    inputs: AtomFeatures | Structures
    pairs: NeighborPairs | None = None
    known_sums: np.ndarray | None = None
    row_slopes: Callable[[], np.ndarray] | None = None

    @property
    def averages(self) -> bool:
        """Whether predictions are means over atoms, not sums."""
        return target_of(self.model).kind == "mean"

    @cached_property
    def shares(self) -> np.ndarray:
        """How much the row of each atom counts, (n_atoms_total,): 1, or that of a mean."""
        n_atoms = self.inputs.n_atoms
        each = 1.0 / n_atoms if self.averages else np.ones(len(n_atoms))
        return np.repeat(each, n_atoms)

    @cached_property
    def atoms(self) -> np.ndarray:
        """Share of all atoms in the row of their structure, (n_atoms_total, n_latent)."""
        if isinstance(self.inputs, Structures):
            latent = self.model.latent(self.inputs, self.pairs)
        else:
            latent = latent_features(self.model, self.inputs).values
        return self.shares[:, None] * latent

    @property
    def sums(self) -> np.ndarray:
        """Rows that predictions are linear in, (n_structures, n_latent)."""
        if self.known_sums is not None:
            firsts = self.inputs.offsets[:-1]
            return self.shares[firsts][:, None] * self.known_sums
        return sum_atoms(self.atoms, self.inputs.offsets)

    def slopes(self) -> np.ndarray:
        """Differentiate the rows by all coordinates, (n_atoms_total, 3, n_latent)."""
        if isinstance(self.inputs, Structures):
            slopes = -self.model.latent_forces(self.inputs, self.pairs)
            return self.shares[:, None, None] * slopes
        has_layer = hasattr(self.model, "latent")
        if self.row_slopes is not None and not has_layer:
            return self.row_slopes()
        if has_layer and not hasattr(self.model, "latent_pushforward"):
            raise NoStandardDeviationError(
                f"{type(self.model).__name__} does not say how its last layer moves with "
                "its features (latent_pushforward), so there are no error bars of "
                "forces: ask for those of energies only."
            )
        n = len(self.inputs)
        slopes = np.concatenate([self._slopes_of(self.inputs[[s]]) for s in range(n)])
        return self.shares[:, None, None] * slopes

    def _slopes_of(self, one: AtomFeatures) -> np.ndarray:
        """Differentiate the sum over one structure, (n_atoms, 3, n_latent)."""
        if hasattr(self.model, "latent"):
            values = latent_features(self.model, one).values
            one = one.transformed(_Latent(self.model), values)
        moved = one.jacobian()  # (n_pairs, 3, n_latent)
        pairs, n_atoms = one.pairs, len(one.values)
        ends = np.concatenate([pairs.neighbors, pairs.centers])
        signs = np.repeat([1.0, -1.0], pairs.n_pairs)
        columns = np.tile(np.arange(pairs.n_pairs), 2)
        to_atoms = csr_array((signs, (ends, columns)), (n_atoms, pairs.n_pairs))
        moved = to_atoms @ moved.reshape(pairs.n_pairs, -1)
        return moved.reshape(n_atoms, 3, -1)


def look(estimator, X, context: Context) -> tuple[Answer, LastLayer]:
    """Predict, and give what the last layer of the model sees of X.

    Parameters
    ----------
    estimator : fitted estimator
    X : Structures, AtomFeatures, or array-like of shape (n_structures, n_features)
    context : Context

    Returns
    -------
    found : Answer
    layer : LastLayer
        Of rows as structures of one atom.
    """
    at_once = with_latent_sums(estimator, X, context)
    if at_once is not None:
        found, Z, sums = at_once
        return found, LastLayer(linear_model(estimator), Z, context.pairs, sums)
    found = answer(estimator, X, context)
    Z, slopes = found.model_input(X), None
    if not isinstance(Z, AtomFeatures | Structures):
        Z = AtomFeatures.from_rows(dense(Z))
        if isinstance(X, Structures):
            slopes = partial(_row_slopes, estimator, X, context)
    return found, LastLayer(
        linear_model(estimator), Z, context.pairs, row_slopes=slopes
    )


def _row_slopes(estimator, X: Structures, context: Context) -> np.ndarray:
    """Differentiate rows of structures by all coordinates, a column at a time."""
    pipeline = _opened(estimator)
    rows, way = follow_steps(pipeline.steps[:-1], X, context)
    shape = rows.shape
    slopes = np.empty((X.offsets[-1], 3, shape[1]))
    for column in range(shape[1]):
        g = np.zeros(shape)
        g[:, column] = 1.0
        slopes[:, :, column] = -way(g).forces
    return slopes


def linear_model(estimator):
    """Give the model that predictions are linear in the last layer of.

    It stands at the end of pipelines, and inside of what adds to its predictions or
    scales them.
    """
    estimator = _opened(estimator)
    while isinstance(estimator, Pipeline):
        estimator = _opened(estimator.steps[-1][1])
    return estimator


def _opened(estimator):
    """Take an estimator out of what adds to its predictions, scales or keeps them."""
    while True:
        estimator = bare(estimator)
        if isinstance(estimator, DeltaRegressor):
            estimator = estimator.estimator_
        elif _scales(estimator):
            estimator = estimator.regressor_
        else:
            return estimator


def _scales(estimator) -> bool:
    is_around = isinstance(estimator, TransformedTargetRegressor)
    return is_around and _is_affine(estimator.transformer_)


def _is_affine(transformer) -> bool:
    y = transformer.inverse_transform(np.array([[-1.0], [0.0], [1.0]])).ravel()
    return bool(np.isclose(y[2] - y[1], y[1] - y[0], rtol=1e-9, atol=0.0))


class _Latent:
    """The last hidden layer as a step of features."""

    def __init__(self, model):
        self.model = model

    def pushforward(self, values, numbers, v):
        return self.model.latent_pushforward(values, numbers, v)
