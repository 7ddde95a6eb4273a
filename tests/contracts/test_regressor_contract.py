"""Every public model passes the checks that are shipped for those of users."""

import pytest
from exemplars import MODELS, REGRESSORS, others

from skatom.testing import regressor_checks

CASES = [
    pytest.param(check, id=f"{name}-{check.func.__name__}")
    for name, regressor in {**MODELS, **REGRESSORS, **others("regressor")}.items()
    for check in regressor_checks(regressor)
]


@pytest.mark.parametrize("check", CASES)
def test_regressor(check):
    check()
