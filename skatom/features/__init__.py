"""Features of atoms that remember how they were made, and can be differentiated."""

from skatom.features._features import (
    AtomFeatures,
    NoDerivativeError,
    Origin,
    hstack,
)

__all__ = [
    "AtomFeatures",
    "NoDerivativeError",
    "Origin",
    "hstack",
]
