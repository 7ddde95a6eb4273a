"""scikit-learn's own checks on estimators of structures, through the rows front.

scikit-learn feeds matrices to what it checks. `RowsToAtoms` reads every row as a molecule,
so that all of its checks run, where the true tags of these estimators admit one.
"""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from skatom.featurizers import ACSF
from skatom.models import AtomicRidge, CompositionBaseline, SchNetRegressor
from skatom.potential import DeltaRegressor, Potential
from skatom.preprocessing import PerAtom, Pool
from skatom.testing import RowsToAtoms
from skatom.testing._front import molecules_of_rows

SMALL = {"r_cut": 4.0, "n_radial": 4, "n_angular": 2, "zetas": (1, 2)}


class FrontedACSF(RowsToAtoms, ACSF):
    pass


class PoorScore:
    """All rows have the same elements, and sums over atoms do not see which bond is which.

    What is left of a row cannot tell y well, so scikit-learn is told not to expect it.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class FrontedComposition(PoorScore, RowsToAtoms, CompositionBaseline):
    pass


class FrontedSchNet(PoorScore, RowsToAtoms, SchNetRegressor):
    pass


class FrontedDelta(PoorScore, RowsToAtoms, DeltaRegressor):
    pass


class Molecules(TransformerMixin, BaseEstimator):
    """The front as a first step, since a Pipeline asks its first step about its input."""

    def fit(self, X, y=None):
        validate_data(self, X, dtype=float)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return molecules_of_rows(validate_data(self, X, reset=False, dtype=float))


class FrontedPotential(PoorScore, Potential):
    pass


def pipeline():
    return make_pipeline(
        ACSF(**SMALL), Pool("sum"), StandardScaler(), Ridge(alpha=1e-3)
    )


FRONTED = [
    FrontedACSF(**SMALL),
    FrontedACSF(r_cut=3.0, g4=None, species=["H", "O"]),
    FrontedComposition(),
    FrontedDelta(pipeline()),
    FrontedSchNet(
        n_features=4, n_interactions=1, n_basis=6, max_epochs=3, random_state=0
    ),
    FrontedPotential(
        [
            ("rows", Molecules()),
            ("acsf", ACSF(**SMALL)),
            ("scale", PerAtom(StandardScaler())),
            ("model", AtomicRidge()),
        ]
    ),
]


def expected_failures(estimator) -> dict[str, str]:
    """Names of checks that may fail, with the reason."""
    if isinstance(estimator, Potential):
        reason = "scikit-learn's own Pipeline replaces its steps by the fitted ones"
        return {
            "check_dont_overwrite_parameters": reason,
            "check_estimators_overwrite_params": reason,
        }
    return {}


@parametrize_with_checks(FRONTED, expected_failed_checks=expected_failures)
def test_follows_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", FRONTED, ids=lambda e: type(e).__name__)
def test_the_front_lets_all_checks_run(estimator):
    # the tags of structures admit one check; those of matrices about fifty
    assert len(list(estimator_checks_generator(estimator))) > 35


class FrontedForgetful(FrontedACSF):
    """A featurizer that depends on the companions of a structure."""

    def transform(self, X):
        values = super().transform(X)
        return values - values.mean(axis=0)


class FrontedMeddler(FrontedACSF):
    """A featurizer that changes its parameters in fit."""

    def fit(self, X, y=None):
        super().fit(X, y)
        self.species = ["H", "O"]
        return self


@pytest.mark.parametrize(
    ("mutant", "caught_by"),
    [
        (FrontedForgetful(**SMALL), "check_methods_subset_invariance"),
        (
            FrontedMeddler(**SMALL),
            "check_dont_overwrite_parameters",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_mistakes_are_caught_behind_the_front(mutant, caught_by):
    failed = set()
    for estimator, check in estimator_checks_generator(mutant):
        try:
            check(estimator)
        except Exception:
            failed.add(check.func.__name__)
    assert failed & set(caught_by.split("|"))


def test_different_rows_become_different_molecules():
    X = np.random.default_rng(0).normal(size=(20, 3))
    values = FrontedACSF(**SMALL).fit_transform(X)
    assert len(np.unique(values.round(9), axis=0)) == 20
