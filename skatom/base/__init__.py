"""The contracts of featurizers and of models. No numerics live here."""

from skatom.base._blocks import Kernels, PairBlock
from skatom.base._evaluation import NoStandardDeviationError
from skatom.base._featurizer import AtomFeaturizer
from skatom.base._regressor import AtomicRegressor, sum_atoms
from skatom.base._targets import Target, target_of
from skatom.features._columns import Column, columns_by_species

__all__ = [
    "AtomFeaturizer",
    "AtomicRegressor",
    "Column",
    "Kernels",
    "NoStandardDeviationError",
    "PairBlock",
    "Target",
    "columns_by_species",
    "sum_atoms",
    "target_of",
]
