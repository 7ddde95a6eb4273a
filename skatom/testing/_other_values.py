"""Other valid values of the parameters of an estimator, from its own constraints."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
from sklearn.base import clone

from skatom._validation import Interval, StrOptions

# What bounds the work of every call, whatever comes out of it.
OF_EVERY_CALL = ("max_memory",)


def other_values(estimator) -> Iterator[tuple[str, object]]:
    """Yield parameters of an estimator, each with values that it could have instead.

    Parameters
    ----------
    estimator : estimator
        With ``_parameter_constraints``; estimators among its parameters are replaced by
        clones that are not fitted.

    Yields
    ------
    name : str
    value : object
        Valid by the constraints, and not the one that is set.
    """
    constraints = getattr(type(estimator), "_parameter_constraints", {})
    for name, now in estimator.get_params(deep=False).items():
        if name in OF_EVERY_CALL:
            continue
        if hasattr(now, "get_params"):
            yield name, clone(now, safe=False)
            continue
        for constraint in constraints.get(name, []):
            for value in _values(constraint, now):
                if not _equal(value, now):
                    yield name, value


def _values(constraint, now) -> Iterator[object]:
    if constraint is None:
        yield None
    elif isinstance(constraint, StrOptions):
        yield from sorted(constraint.options)
    elif constraint == "boolean":
        yield not now
    elif constraint == "random_state":
        yield 123
    elif isinstance(constraint, Interval):
        numbers = _numbers(now)
        yield from [n for n in numbers if constraint.is_satisfied_by(n)][:2]
    elif constraint == "array-like" and _is_list(now):
        yield deepcopy(now)[:-1]
        yield deepcopy(now)[::-1]


def _numbers(now) -> list:
    is_number = isinstance(now, int | float) and not isinstance(now, bool)
    near = [2 * now, now / 2, now + 1, now - 1] if is_number else []
    return [*near, *(int(n) for n in near), 1, 2, 0.5, 0.1, 3, 0, 5, 10.0]


def _is_list(now) -> bool:
    return isinstance(now, list | tuple | np.ndarray) and len(now) > 1


def _equal(one, two) -> bool:
    if type(one) is not type(two):
        return False
    return repr(one) == repr(two)
