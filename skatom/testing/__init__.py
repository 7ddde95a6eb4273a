"""The checks that skatom runs on itself, for featurizers and models of your own."""

from skatom.structures._samples import check_frames, with_labels
from skatom.testing._calculator import calculator_checks, check_calculator
from skatom.testing._discovery import all_estimators
from skatom.testing._featurizer import check_featurizer, featurizer_checks
from skatom.testing._front import RowsToAtoms
from skatom.testing._matrix.table import check_matrix
from skatom.testing._parametrize import parametrize_with_checks
from skatom.testing._regressor import check_regressor, regressor_checks
from skatom.testing._report import CheckReport

__all__ = [
    "CheckReport",
    "RowsToAtoms",
    "all_estimators",
    "calculator_checks",
    "check_calculator",
    "check_featurizer",
    "check_frames",
    "check_matrix",
    "check_regressor",
    "featurizer_checks",
    "parametrize_with_checks",
    "regressor_checks",
    "with_labels",
]
