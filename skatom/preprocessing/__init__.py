"""Per-atom preprocessing that keeps derivatives, and pooling into rows."""

from skatom.preprocessing._derivatives import (
    register_transformer,
    transform_pullback,
    transform_pushforward,
)
from skatom.preprocessing.alchemical_compression import AlchemicalCompression
from skatom.preprocessing.cached_featurizer import CachedFeaturizer
from skatom.preprocessing.per_atom import PerAtom
from skatom.preprocessing.pool import Pool
from skatom.preprocessing.select_cur import SelectCUR
from skatom.preprocessing.select_fps import SelectFPS
from skatom.preprocessing.union import AtomFeatureUnion

__all__ = [
    "AlchemicalCompression",
    "AtomFeatureUnion",
    "CachedFeaturizer",
    "PerAtom",
    "Pool",
    "SelectCUR",
    "SelectFPS",
    "register_transformer",
    "transform_pullback",
    "transform_pushforward",
]
