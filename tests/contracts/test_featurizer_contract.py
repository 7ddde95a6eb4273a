"""Every public featurizer passes the checks that are shipped for those of users."""

from functools import cache

import pytest
from exemplars import FEATURES, others

from skatom.featurizers import ACSF
from skatom.testing import featurizer_checks

EXEMPLARS = {**FEATURES, **others("featurizer")}
NAMES = [check.func.__name__ for check in featurizer_checks(ACSF())]


@cache
def checks_of(exemplar: str) -> dict:
    """Checks by name; they share one fit."""
    return {c.func.__name__: c for c in featurizer_checks(EXEMPLARS[exemplar])}


@pytest.mark.parametrize("check", NAMES)
@pytest.mark.parametrize("exemplar", EXEMPLARS)
def test_featurizer(exemplar, check):
    checks_of(exemplar)[check]()
