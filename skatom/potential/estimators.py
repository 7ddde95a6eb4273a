"""The chain rule through models and the meta-estimators that combine them.

One rule serves each meta-estimator wherever it stands: over structures, over per-atom
features inside a pipeline, or over rows of pooled features.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial, reduce, singledispatch
from operator import add

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skatom._validation import BaseSearchCV
from skatom.base import AtomicRegressor, Target, sum_atoms, target_of
from skatom.base._inside import bare
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.models import input_gradient
from skatom.potential._inverse_slope import inverse_slope
from skatom.potential._structures import answer_of_structures
from skatom.potential.answers import Answer, Context, as_rows
from skatom.potential.deviations import deviations, no_deviations, scaled
from skatom.potential.steps import follow_steps
from skatom.structures import Structures


@singledispatch
def answer(estimator, X, context: Context) -> Answer:
    """Predict, and give the way back for gradients.

    Parameters
    ----------
    estimator : fitted regressor
    X : Structures, AtomFeatures or array-like of shape (n_structures, n_features)
    context : Context

    Returns
    -------
    answer : Answer
    """
    if isinstance(X, Structures):
        return answer_of_structures(estimator, X, context)
    target, std = target_of(estimator), deviations(estimator, X)
    further = dict
    if len(getattr(estimator, "targets_", ())) > 1:
        further = partial(estimator.predict_targets, X)
    has_atoms = isinstance(X, AtomFeatures) and hasattr(estimator, "predict_atoms")
    if has_atoms and target.adds_up:
        atoms, pull = _atoms_and_pull(estimator, X, context, target)
        values = sum_atoms(atoms, X.offsets)
        return Answer(values, pull, lambda: atoms, std, target=target, further=further)
    values, target = as_rows(estimator.predict(X), target)
    pull = _leaf(estimator, X, target)
    atoms = _no_atoms(estimator)
    return Answer(values, pull, atoms, std, target=target, further=further)


def _atoms_and_pull(estimator, X: AtomFeatures, context: Context, target: Target):
    """Energies of atoms and the way back, in one pass where both are wanted."""
    shares_work = isinstance(estimator, AtomicRegressor) and target.width == 1
    if not (shares_work and context.forces):
        return estimator.predict_atoms(X), _leaf(estimator, X, target)
    atoms, gradient = estimator.predict_with_gradient(X)
    return atoms, lambda weights: _on_atoms(weights, X) * gradient


def _leaf(estimator, X, target: Target):
    def pull(weights):
        if target.width > 1 or target.per_atom:
            raise NoDerivativeError(
                f"{type(estimator).__name__} predicts {target.words}: there is no single "
                "number of a structure to differentiate."
            )
        return _on_atoms(weights, X) * input_gradient(estimator, X)

    return pull


def _on_atoms(weights: np.ndarray, X):
    """Give weights of structures to the rows of X."""
    if len(weights) == 1:  # without a pass over indices
        return weights[0]
    if isinstance(X, AtomFeatures):
        weights = weights[X.structure_index]
    return weights[:, None]


@answer.register(Pipeline)
def _pipeline(estimator, X, context):
    Y, way = follow_steps(estimator.steps[:-1], X, context)
    inner = answer(estimator.steps[-1][1], Y, context)
    seen = way.seen + inner.seen
    return replace(inner, pull=lambda w: way(inner.pull(w)), seen=seen)


@answer.register(BaseSearchCV)
@answer.register(FrozenEstimator)
def _bare(estimator, X, context):
    return answer(bare(estimator), X, context)


@answer.register(VotingRegressor)
def _voting(estimator, X, context):
    weights = np.ones(len(estimator.estimators_))
    if estimator.weights is not None:
        kept = zip(estimator.estimators, estimator.weights)
        weights = np.array([w for (_, one), w in kept if one != "drop"], dtype=float)
    members = [answer(one, X, context) for one in estimator.estimators_]
    return _average(estimator, members, weights / weights.sum())


@answer.register(BaggingRegressor)
def _bagging(estimator, X, context):
    if isinstance(X, (Structures, AtomFeatures)):
        members = [answer(one, X, context) for one in estimator.estimators_]
    else:
        X = np.asarray(X)
        members = [
            _on_columns(one, X, columns, context)
            for one, columns in zip(
                estimator.estimators_, estimator.estimators_features_
            )
        ]
    return _average(estimator, members, np.full(len(members), 1.0 / len(members)))


def _on_columns(estimator, X, columns, context) -> Answer:
    """Energies of an estimator that sees some of the columns."""
    inner = answer(estimator, X[:, columns], context)

    def pull(w):
        out = np.zeros(X.shape)
        np.add.at(out, (slice(None), columns), inner.pull(w))  # drawn with replacement
        return out

    return Answer(inner.values, pull, inner.atoms, inner.std, target=inner.target)


def _average(estimator, members: list[Answer], shares: np.ndarray) -> Answer:
    target_of(estimator)  # refuses members of different targets
    return Answer(
        sum(share * one.values for share, one in zip(shares, members)),
        lambda w: reduce(add, [one.pull(s * w) for s, one in zip(shares, members)]),
        lambda: sum(share * one.atoms() for share, one in zip(shares, members)),
        no_deviations(estimator),
        target=members[0].target,
    )


@answer.register(StackingRegressor)
def _stacking(estimator, X, context):
    members = [answer(one, X, context) for one in estimator.estimators_]
    rows = np.stack([one.values for one in members], axis=1)
    if estimator.passthrough:
        rows = np.concatenate([rows, np.asarray(X)], axis=1)
    final = answer(estimator.final_estimator_, rows, context)

    def pull(w):
        g = final.pull(w)
        shares = [one.pull(column) for one, column in zip(members, g.T)]
        if estimator.passthrough:
            shares.append(g[:, len(members) :])
        return reduce(add, shares)

    return Answer(
        final.values,
        pull,
        _no_atoms(estimator),
        no_deviations(estimator),
        target=target_of(estimator),
    )


@answer.register(TransformedTargetRegressor)
def _transformed_target(estimator, X, context):
    inner = answer(estimator.regressor_, X, context)
    column = inner.values.reshape(len(inner.values), -1)
    values = estimator.transformer_.inverse_transform(column)
    values = values.reshape(inner.values.shape)

    def slopes():
        return inverse_slope(estimator.transformer_, column, values)

    return Answer(
        values,
        lambda w: inner.pull(w * slopes()),
        _no_atoms(estimator),
        scaled(inner.std, slopes, estimator),
        inner.seen,
        inner.target,
    )


def _no_atoms(estimator):
    def atoms():
        raise NoDerivativeError(
            f"{type(estimator).__name__} predicts energies of whole structures, which it "
            "does not share out among the atoms. Use a model of atoms, such as "
            "AtomicRidge or AtomicKernelRidge, behind a featurizer without Pool."
        )

    return atoms
