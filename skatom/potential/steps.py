"""The chain rule through steps: outputs now, gradients on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce, singledispatch
from operator import add

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer

from skatom._validation import BaseSearchCV, check_is_fitted
from skatom.base import AtomFeaturizer
from skatom.base._inside import bare
from skatom.features import AtomFeatures, NoDerivativeError, hstack
from skatom.potential.answers import Context, Motion, motion_of_features
from skatom.preprocessing import transform_pullback
from skatom.structures import Structures

Pull = Callable[[np.ndarray], object]


@singledispatch
def follow(step, X, context: Context) -> tuple[object, Pull]:
    """Transform X by a fitted step, and give the way back for gradients.

    Parameters
    ----------
    step : fitted transformer
    X : Structures, AtomFeatures or array-like of shape (n_samples, n_features)
    context : Context

    Returns
    -------
    Y : AtomFeatures or array
        ``step.transform(X)``.
    pull : callable
        Carries the gradient by Y back to the gradient by X.
    """
    Y = step.transform(X)
    if isinstance(X, Structures):
        if isinstance(Y, AtomFeatures):
            return Y, lambda g: motion_of_features(Y, g, context)
        if hasattr(step, "pullback_structures"):
            return Y, lambda g: _motion_of_structures(step, X, g, context)
        return Y, _no_way_back(step)
    if not isinstance(X, AtomFeatures):
        return Y, lambda g: transform_pullback(step, X, g)
    if not hasattr(step, "pullback"):
        return Y, _no_way_back(step)
    if isinstance(Y, AtomFeatures):
        return Y, lambda g: step.pullback(X.values, X.numbers, g)
    return Y, lambda g: step.pullback(X, g)


@follow.register(AtomFeaturizer)
def _featurizer(step, X, context):
    if context.pairs is None:
        Y = step.transform(X)
    else:
        if not hasattr(step, "n_atom_features_"):
            check_is_fitted(step)
        step._check_species(X)
        Y = step.transform_pairs(X, context.pairs)
    return Y, lambda g: motion_of_features(Y, g, context)


@follow.register(FunctionTransformer)
def _function(step, X, context):
    if step.func is None:
        return X, lambda g: g
    return follow.dispatch(object)(step, X, context)


@follow.register(BaseSearchCV)
@follow.register(FrozenEstimator)
def _bare(step, X, context):
    return follow(bare(step), X, context)


@follow.register(Pipeline)
def _pipeline(step, X, context):
    return follow_steps(step.steps, X, context)


@follow.register(FeatureUnion)
def _union(step, X, context):
    parts = [s for _, s in step.transformer_list if s != "drop"]
    names = [name for name, s in step.transformer_list if s != "drop"]
    found = [follow(part, X, context) for part in parts]
    weights = [(step.transformer_weights or {}).get(name) for name in names]
    edges = np.cumsum([Y.shape[1] for Y, _ in found])[:-1]

    def pull(g):
        shares = [
            back(part if w is None else w * part)
            for (_, back), part, w in zip(found, np.split(g, edges, axis=1), weights)
        ]
        return reduce(add, shares)

    blocks = [Y if w is None else Y * w for (Y, _), w in zip(found, weights)]
    if any(hasattr(Y, "iloc") for Y in blocks):  # data frames are joined by names
        return step.transform(X), pull
    joined = isinstance(blocks[0], AtomFeatures)
    return (hstack if joined else np.hstack)(blocks), pull


@dataclass(frozen=True, eq=False)
class Way:
    """The way through several steps: what each gave, and back for gradients.

    Attributes
    ----------
    names : tuple of str
    seen : tuple of (transformer, output)
    backs : tuple of callable
        The way back through each.
    """

    names: tuple[str, ...]
    seen: tuple
    backs: tuple[Pull, ...]

    def __call__(self, g):
        """Carry the gradient by the last output back to the first input."""
        for name, back in zip(reversed(self.names), reversed(self.backs)):
            try:
                g = back(g)
            except NoDerivativeError as error:
                raise NoDerivativeError(f"Step {name!r}: {error}") from error
        return g


def follow_steps(steps, X, context: Context) -> tuple[object, Way]:
    """Follow a list of named steps, one after the other.

    Parameters
    ----------
    steps : list of (str, transformer)
    X : Structures, AtomFeatures or array-like
    context : Context

    Returns
    -------
    Y : AtomFeatures or array
    way : Way
    """
    names, seen, backs = [], [], []
    for name, step in steps:
        if step is None or step == "passthrough":
            continue
        X, back = follow(step, X, context)
        names.append(name)
        seen.append((step, X))
        backs.append(back)
    return X, Way(tuple(names), tuple(seen), tuple(backs))


def _motion_of_structures(step, X: Structures, g, context: Context) -> Motion:
    """Carry a gradient by features of whole structures back to the positions."""
    g = np.asarray(g)
    virial = None
    if context.stress:
        if not hasattr(step, "pullback_strain"):
            raise NoDerivativeError(
                f"{type(step).__name__} has derivatives by positions, but none by the "
                "cell: ask for forces only."
            )
        virial = step.pullback_strain(X, g)
    return Motion(-step.pullback_structures(X, g), virial)


def _no_way_back(step) -> Pull:
    def pull(g):
        raise NoDerivativeError(
            f"{type(step).__name__} does not carry derivatives back to the atoms, so "
            "there are no forces or stress through it (energies there are). Use a "
            "featurizer that gives AtomFeatures, then PerAtom and Pool steps."
        )

    return pull
