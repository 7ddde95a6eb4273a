"""The public estimators of the package, and the names that they are imported by."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from sklearn.base import BaseEstimator

# Where estimators live; a new wing with estimators adds its line here.
WINGS = (
    "skatom.bases",
    "skatom.featurizers",
    "skatom.preprocessing",
    "skatom.models",
    "skatom.potential",
    "skatom.uncertainty",
)


def public_estimators() -> Iterator[tuple[str, type]]:
    """Yield the estimators that the wings export, each with the wing."""
    for wing in WINGS:
        module = import_module(wing)
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, BaseEstimator):
                yield wing, value
