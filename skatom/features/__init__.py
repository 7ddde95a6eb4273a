"""Features of atoms that remember how they were made, and can be differentiated."""

from skatom.features._features import (
    AtomFeatures,
    NoDerivativeError,
    NoStandardDeviationError,
    Origin,
    hstack,
)

__all__ = [
    "AtomFeatures",
    "NoDerivativeError",
    "NoStandardDeviationError",
    "Origin",
    "hstack",
]
