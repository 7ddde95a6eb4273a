"""Members of an ensemble: how each is made and fitted, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from skatom._validation import _check_method_params, _safe_indexing
from skatom.base import NoStandardDeviationError
from skatom.features import AtomFeatures
from skatom.potential.answers import (
    Answer,
    Context,
    Deviations,
    Motion,
    motion_of_features,
)
from skatom.potential.steps import Way


def seeded(estimator, rng):
    """Clone an estimator and give every ``random_state`` inside a number of its own."""
    estimator = clone(estimator)
    names = [n for n in sorted(estimator.get_params()) if _is(n, "random_state")]
    estimator.set_params(**{name: int(rng.randint(2**31 - 1)) for name in names})
    return estimator


def is_random(estimator) -> bool:
    """Whether anything inside an estimator has a ``random_state``."""
    return any(_is(name, "random_state") for name in estimator.get_params())


def split_pipelines(estimators: list) -> tuple[list, list]:
    """Find the leading steps that all pipelines have in common.

    Parameters
    ----------
    estimators : list of estimators

    Returns
    -------
    shared : list of (str, transformer)
        Empty if there is nothing to share.
    rests : list of estimators
        What is left of each: its last step, or a pipeline of several.
    """
    if not all(isinstance(one, Pipeline) for one in estimators):
        return [], estimators
    shared = []
    for steps in zip(*(one.steps[:-1] for one in estimators)):
        if not _alike([step for _, step in steps]):
            break
        shared.append(steps[0])
    if not shared:
        return [], estimators
    rests = [Pipeline(one.steps[len(shared) :]) for one in estimators]
    return shared, [r.steps[0][1] if len(r) == 1 else r for r in rests]


def fit_member(estimator, X, y: np.ndarray, counts: np.ndarray, params: dict):
    """Fit an estimator to rows that count several times, or not at all.

    Counts go in as weights where the estimator takes any, so that copies of a structure
    never stand on both sides of a validation split inside it; else rows are repeated.
    """
    rows, name = np.flatnonzero(counts), _weight_name(estimator)
    if name is None:
        rows = np.repeat(rows, counts[rows])
    params = _check_method_params(X, params, indices=rows)
    if name is not None and (counts[rows] != 1).any():
        params[name] = counts[rows] * np.asarray(params.get(name, 1.0), dtype=float)
    return estimator.fit(_safe_indexing(X, rows), y[rows], **params)


def fit_snapshots(
    estimator, X, y: np.ndarray, n_members: int, params: dict
) -> Iterator:
    """Train on and on, and keep a copy of the estimator after every training."""
    names = [name for name in estimator.get_params() if _is(name, "warm_start")]
    if not names:
        raise ValueError(
            f"diversity='snapshots' goes on from one fit to the next, but "
            f"{type(estimator).__name__} has no warm_start. Choose 'bagging', or 'seeds' "
            "for estimators with a random_state."
        )
    estimator.set_params(**dict.fromkeys(names, True))
    return (deepcopy(estimator.fit(X, y, **params)) for _ in range(n_members))


@dataclass(frozen=True, eq=False)
class Members:
    """Predictions of all members for one X.

    Attributes
    ----------
    found : list of Answer
        One a member, at the features that members see.
    X : Structures, AtomFeatures or rows
        What the ensemble sees.
    way : Way
        From X to the features, and back for gradients.
    context : Context
    member_std : bool
        Whether the members' own standard deviations count.
    lift : callable
        Lifts standard deviations to their floor.
    """

    found: list[Answer]
    X: object
    way: Way
    context: Context
    member_std: bool
    lift: Callable[[np.ndarray], np.ndarray]

    def together(self) -> Answer:
        """Give the mean of the members, and their scatter as standard deviations."""
        return Answer(
            np.mean([one.values for one in self.found], axis=0),
            self._pull,
            lambda: np.mean([one.atoms() for one in self.found], axis=0),
            Deviations(
                lambda: self._std(
                    [one.values for one in self.found], lambda one: one.std.energies()
                ),
                lambda: self._std(
                    [motion.forces for motion in self.motions],
                    lambda one: one.std.forces(),
                ),
                lambda: self._std(
                    [one.atoms() for one in self.found], lambda one: one.std.atoms()
                ),
            ),
            self.way.seen,
            self.found[0].target,
        )

    @cached_property
    def motions(self) -> list[Motion]:
        """Forces and virials of every member."""
        if not hasattr(self.X, "offsets"):
            raise NoStandardDeviationError(
                "Rows of numbers have no forces: predict structures, or AtomFeatures "
                "from a featurizer."
            )
        ones = np.ones(len(self.X))
        pulled = [self.way(one.pull(ones)) for one in self.found]
        if isinstance(self.X, AtomFeatures):
            return [motion_of_features(self.X, g, self.context) for g in pulled]
        return pulled

    def _pull(self, weights):
        if self.context.std and not isinstance(self.X, AtomFeatures):
            offsets = self.X.offsets  # the motions are needed anyway
            mean = weights / len(self.found)
            return reduce(add, [one.scaled(mean, offsets) for one in self.motions])
        shares = [one.pull(weights / len(self.found)) for one in self.found]
        return self.way(reduce(add, shares))

    def _std(self, values: list, own: Callable[[Answer], np.ndarray]) -> np.ndarray:
        scatter = np.std(values, axis=0, ddof=1)
        if self.member_std:
            squares = [own(one) ** 2 for one in self.found]
            scatter = np.sqrt(scatter**2 + np.mean(squares, axis=0))
        return self.lift(scatter)


def _is(name: str, parameter: str) -> bool:
    return name == parameter or name.endswith("__" + parameter)


def _alike(steps: list) -> bool:
    """Whether steps are the same object, or of one class with equal parameters."""
    first = steps[0]
    others = [step for step in steps[1:] if step is not first]
    if not others or isinstance(first, str) or first is None:
        return all(step == first for step in others)
    try:
        return len({joblib.hash(clone(step)) for step in steps}) == 1
    except (
        Exception
    ):  # what cannot be hashed, such as a lambda, is not known to be equal
        return False


def _weight_name(estimator) -> str | None:
    """Name under which fit takes sample weights, if it does."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = _weight_name(last)
        return None if inner is None else f"{name}__{inner}"
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None
