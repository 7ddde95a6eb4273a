"""Estimators of structures behind a front that reads rows of numbers as molecules."""

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skatom.featurizers import (
    ACSF,
    LMBTR,
    MBTR,
    Composition,
    CoulombMatrix,
    EwaldSumMatrix,
    SineMatrix,
    ValleOganov,
)
from skatom.models import CompositionBaseline, SchNetRegressor
from skatom.potential import CalculatorRegressor, DeltaRegressor, Potential
from skatom.testing import RowsToAtoms
from skatom.testing._front import molecules_of_rows

SMALL = {"r_cut": 4.0, "n_radial": 4, "n_angular": 2, "zetas": (1, 2)}


class PoorScore:
    """All rows have the same elements, and sums over atoms do not see which bond is which.

    What is left of a row cannot tell y well, so scikit-learn is told not to expect it.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class Molecules(TransformerMixin, BaseEstimator):
    """The front as a first step, since a Pipeline asks its first step about its input."""

    def fit(self, X, y=None):
        validate_data(self, X, dtype=float)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return molecules_of_rows(validate_data(self, X, reset=False, dtype=float))


class Boxed:
    """Puts the molecules that rows become into a cell."""

    def fit(self, X, y=None):
        return super().fit(boxed(X), y)

    def transform(self, X):
        return super().transform(boxed(X))


def boxed(X):
    for atoms in X:
        atoms.set_cell([20.0, 6.0, 7.0])
        atoms.pbc = True
    return X


class FrontedACSF(RowsToAtoms, ACSF):
    pass


class FrontedCalculator(PoorScore, RowsToAtoms, CalculatorRegressor):
    pass


class FrontedComposition(RowsToAtoms, Composition):
    pass


class FrontedCoulomb(RowsToAtoms, CoulombMatrix):
    pass


class FrontedEwald(RowsToAtoms, Boxed, EwaldSumMatrix):
    pass


class FrontedLMBTR(RowsToAtoms, LMBTR):
    pass


class FrontedMBTR(RowsToAtoms, MBTR):
    pass


class FrontedSine(RowsToAtoms, Boxed, SineMatrix):
    pass


class FrontedValleOganov(RowsToAtoms, Boxed, ValleOganov):
    pass


class FrontedBaseline(PoorScore, RowsToAtoms, CompositionBaseline):
    pass


class FrontedDelta(PoorScore, RowsToAtoms, DeltaRegressor):
    pass


class FrontedPotential(PoorScore, Potential):
    pass


class FrontedSchNet(PoorScore, RowsToAtoms, SchNetRegressor):
    pass
