"""The calculator passes the shipped checks, whatever it is made of."""

import pytest
from exemplars import MODELS, REGRESSORS, small
from sklearn.pipeline import make_pipeline

from skatom import SkatomCalculator
from skatom.base import AtomicRegressor
from skatom.structures import read_energies
from skatom.testing import calculator_checks, check_frames, with_labels

CHECKS = {check.func.__name__: check.func for check in calculator_checks(None, [])}


@pytest.fixture(scope="module")
def frames():
    return with_labels(check_frames())


@pytest.fixture(scope="module", params=[*MODELS, *REGRESSORS])
def calc(request, frames):
    estimator = {**MODELS, **REGRESSORS}[request.param]
    if isinstance(estimator, AtomicRegressor):
        estimator = make_pipeline(small(), estimator)
    return SkatomCalculator(estimator.fit(frames, read_energies(frames)))


@pytest.mark.parametrize("check", CHECKS)
def test_calculator(calc, frames, check):
    CHECKS[check](calc, frames)
