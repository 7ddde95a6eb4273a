"""Every public featurizer passes the checks that are shipped for those of users."""

import pytest
from exemplars import FEATURES, others

from skatom.testing import check_frames, featurizer_checks

CASES = [
    pytest.param(check, id=f"{name}-{check.func.__name__}")
    for name, featurizer in {**FEATURES, **others("featurizer")}.items()
    for check in featurizer_checks(featurizer, check_frames())
]


@pytest.mark.parametrize("check", CASES)
def test_featurizer(check):
    check()
