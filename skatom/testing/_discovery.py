"""Find every public estimator of the package."""

from __future__ import annotations

import inspect
from importlib import import_module

from sklearn.base import BaseEstimator

from skatom._validation import closest
from skatom.base import AtomFeaturizer, AtomicRegressor

# Where public estimators live; a new area of the package adds its line here.
AREAS = (
    "skatom.featurizers",
    "skatom.preprocessing",
    "skatom.models",
    "skatom.potential",
    "skatom.uncertainty",
)
KINDS = {
    "featurizer": lambda cls: issubclass(cls, AtomFeaturizer),
    "model": lambda cls: issubclass(cls, AtomicRegressor),
    "transformer": lambda cls: hasattr(cls, "transform"),
    "regressor": lambda cls: hasattr(cls, "predict"),
}


def all_estimators(kind: str | None = None) -> list[tuple[str, type]]:
    """List the public estimators of skatom, as scikit-learn's function of that name.

    Parameters
    ----------
    kind : {"featurizer", "model", "transformer", "regressor"}, optional
        Featurizers turn structures into AtomFeatures, models those into energies; the
        other two are whatever has ``transform`` or ``predict``. By default all.

    Returns
    -------
    estimators : list of (str, class)
        Name and class, by name.

    Raises
    ------
    ValueError
        If the kind is unknown.

    Examples
    --------
    >>> from skatom.testing import all_estimators
    >>> "ACSF" in dict(all_estimators("featurizer"))
    True
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(
            f"kind is {kind!r}; one of {', '.join(KINDS)} or None is expected."
            + closest(str(kind), KINDS)
        )
    found = {}
    for area in AREAS:
        module = import_module(area)
        for name in module.__all__:
            value = getattr(module, name)
            if (
                inspect.isclass(value)
                and issubclass(value, BaseEstimator)
                and not inspect.isabstract(value)
                and (kind is None or KINDS[kind](value))
            ):
                found[name] = value
    return sorted(found.items())
