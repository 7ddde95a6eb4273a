"""Every public model passes the checks that are shipped for those of users."""

from functools import cache

import pytest
from exemplars import MODELS, REGRESSORS, others

from skatom.models import AtomicRidge
from skatom.testing import regressor_checks

EXEMPLARS = {**MODELS, **REGRESSORS, **others("regressor")}
NAMES = [check.func.__name__ for check in regressor_checks(AtomicRidge())]


@cache
def checks_of(exemplar: str) -> dict:
    """Checks by name; they share one fit."""
    return {c.func.__name__: c for c in regressor_checks(EXEMPLARS[exemplar])}


# folds of CrossConformalRegressor may lack an element, which Pool warns of
@pytest.mark.filterwarnings("ignore:.*a model that was trained on these has learned")
@pytest.mark.parametrize("check", NAMES)
@pytest.mark.parametrize("exemplar", EXEMPLARS)
def test_regressor(exemplar, check):
    checks_of(exemplar)[check]()
