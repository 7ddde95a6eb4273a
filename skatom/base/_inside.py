"""Estimators inside estimators: the one walk through pipelines, searches and wrappers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skatom._runtime.state import State
from skatom._validation import BaseSearchCV, check_is_fitted

# Where wrappers keep what they have fitted; one of several members stands for all.
# Parameters that hold the estimator which predicts.
_GIVEN = ("estimator", "conformal", "regressor")
_FITTED = ("best_estimator_", "conformal_", "regressor_", "estimators_", "estimator_")


def children(estimator) -> list:
    """Give the estimators directly inside another, the fitted ones where there are any.

    Parameters
    ----------
    estimator : estimator
        Its steps are taken, else what its fitted attributes hold, else its parameters.

    Returns
    -------
    inside : list of estimator
    """
    for name in ("steps", "transformer_list"):
        if hasattr(estimator, name):
            return list(_estimators([step for _, step in getattr(estimator, name)]))
    fitted = [v for name, v in vars(estimator).items() if name.endswith("_")]
    found = list(_estimators(fitted))
    return found or list(_estimators(estimator.get_params(deep=False)))


def walk(estimator, *, frozen: bool = True) -> Iterator:
    """Yield an estimator and all that are inside of it, outermost first, each once.

    Parameters
    ----------
    estimator : estimator
    frozen : bool, default=True
        Whether steps of pipelines that are frozen, and so were fitted elsewhere, count.
    """
    waiting, seen = [estimator], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inside = children(one)
        if not frozen and isinstance(one, Pipeline):
            inside = [step for step in inside if not isinstance(step, FrozenEstimator)]
        waiting += reversed(inside)


def bare(estimator):
    """Take an estimator out of what does not change its predictions.

    Searches and frozen estimators are such wrappers, and those of ours that name the
    attribute of what predicts, standard deviations too, in ``_predicts_as``.
    """
    while (inner := _same_predictions(estimator)) is not None:
        estimator = inner
    return estimator


def last_model(estimator):
    """Give what predicts at the end of pipelines and of wrappers that `bare` opens."""
    estimator = bare(estimator)
    while isinstance(estimator, Pipeline):
        estimator = bare(estimator.steps[-1][1])
    return estimator


def name_of_model(estimator) -> str:
    """Name the class that predicts at the end of pipelines and wrappers, fitted or not."""
    while True:
        if isinstance(estimator, Pipeline):
            inner = estimator.steps[-1][1]
        else:
            held = [getattr(estimator, name, None) for name in _GIVEN]
            inner = next((one for one in held if hasattr(one, "predict")), None)
        if inner is None:
            return type(estimator).__name__
        estimator = inner


def the_one(estimator, kind: type):
    """Find what is of a kind at the end of pipelines, or around what predicts there.

    Parameters
    ----------
    estimator : fitted estimator
    kind : type

    Returns
    -------
    found : estimator or None
    """
    while estimator is not None and not isinstance(estimator, kind):
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        else:
            estimator = _same_predictions(estimator)
    return estimator


def _same_predictions(estimator):
    """Give the estimator inside that predicts the same, None if there is none."""
    if isinstance(estimator, BaseSearchCV):
        if not hasattr(estimator, "best_estimator_"):
            check_is_fitted(estimator)
        return estimator.best_estimator_
    if isinstance(estimator, FrozenEstimator):
        return estimator.estimator
    return getattr(estimator, getattr(type(estimator), "_predicts_as", ""), None)


def fitted_part(estimator):
    """Look inside wrappers for the fitted pipeline or model that predicts.

    Parameters
    ----------
    estimator : fitted estimator
        A pipeline or model, or a wrapper of one: a search, an interval, an ensemble, of
        which the first member is taken, a DeltaRegressor, a TransformedTargetRegressor.

    Returns
    -------
    inner : estimator
    """
    while not isinstance(estimator, Pipeline):
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
            continue
        held = [name for name in _FITTED if hasattr(estimator, name)]
        if not held:
            return estimator
        inner = getattr(estimator, held[0])
        shared = getattr(estimator, "features_", None)  # steps before all members
        estimator = inner[0] if isinstance(inner, list) else inner
        if isinstance(shared, Pipeline):
            return Pipeline([*shared.steps, ("member", fitted_part(estimator))])
    return estimator


def r_cut_of(estimator) -> float | None:
    """Give the largest radius that any featurizer of an estimator looks at.

    Parameters
    ----------
    estimator : estimator
        Searched through all its steps and inner estimators.

    Returns
    -------
    r_cut : float or None
        In Å; None where no step has an ``r_cut``.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skatom.featurizers import ACSF
    >>> from skatom.potential import r_cut_of
    >>> from skatom.preprocessing import AtomFeatureUnion, Pool
    >>> union = AtomFeatureUnion([("near", ACSF(r_cut=3.0)), ("far", ACSF(r_cut=6.0))])
    >>> r_cut_of(make_pipeline(union, Pool()))
    6.0
    """
    radii = [
        float(getattr(one, "r_cut_", one.r_cut))  # that of fit, where there was one
        for one in walk(estimator)
        if hasattr(one, "r_cut")
    ]
    return max(radii, default=None)


def _estimators(values) -> Iterator:
    """Find estimators in a container, and in what it contains."""
    if isinstance(values, Mapping):
        values = values.values()
    for value in values:
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield value
        elif isinstance(value, State):
            yield from _estimators(vars(value))
        elif isinstance(value, list | tuple | Mapping):
            yield from _estimators(value)
