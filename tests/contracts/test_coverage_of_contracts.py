"""No public estimator escapes the contract tests."""

from exemplars import ELSEWHERE, covered, others

from skatom.testing import all_estimators


def test_every_public_estimator_is_checked():
    checked = covered() | set(others("featurizer")) | set(others("regressor"))
    names = {name for name, _ in all_estimators()}
    assert not names - checked, "give them an instance in tests/contracts/exemplars.py"


def test_exceptions_still_exist():
    assert set(ELSEWHERE) <= {name for name, _ in all_estimators()}
