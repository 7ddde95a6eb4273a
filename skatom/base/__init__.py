"""The contracts of featurizers and of models. No numerics live here."""

from skatom.base._evaluation import NoStandardDeviationError
from skatom.base._featurizer import AtomFeaturizer, PairBlock
from skatom.base._regressor import AtomicRegressor, sum_atoms

__all__ = [
    "AtomFeaturizer",
    "AtomicRegressor",
    "NoStandardDeviationError",
    "PairBlock",
    "sum_atoms",
]
