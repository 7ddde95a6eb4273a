"""Per-atom preprocessing that keeps derivatives, and pooling into rows."""

from skatom.preprocessing._derivatives import (
    register_transformer,
    transform_pullback,
    transform_pushforward,
)
from skatom.preprocessing.per_atom import PerAtom
from skatom.preprocessing.pool import Pool
from skatom.preprocessing.union import AtomFeatureUnion

__all__ = [
    "AtomFeatureUnion",
    "PerAtom",
    "Pool",
    "register_transformer",
    "transform_pullback",
    "transform_pushforward",
]
