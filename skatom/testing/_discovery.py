"""Find every public estimator of the package."""

from __future__ import annotations

import inspect

from skatom._validation import closest
from skatom.base import AtomFeaturizer, AtomicRegressor
from skatom.base._public import public_estimators

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
    found = {
        cls.__name__: cls
        for _, cls in public_estimators()
        if not inspect.isabstract(cls) and (kind is None or KINDS[kind](cls))
    }
    return sorted(found.items())
