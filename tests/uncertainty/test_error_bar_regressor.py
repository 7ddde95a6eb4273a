"""Methods of uncertainty of one's own: what their base class gives them."""

from dataclasses import replace

import numpy as np
import pytest
from dimers import dimers
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skatom import SkatomCalculator
from skatom.base import NoStandardDeviationError
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.potential import Deviations, answer
from skatom.uncertainty import (
    ConformalRegressor,
    EnsembleRegressor,
    ErrorBarRegressor,
    calibrate_std,
)


class BySize(ErrorBarRegressor):
    """Error bars that grow with the sum of the features."""

    def __init__(self, estimator):
        self.estimator = estimator
        self.calls = 0

    def fit(self, X, y):
        X, y = self.check_inputs(X, y)
        self.estimator_ = clone(self.estimator).fit(X, y)
        return self

    def answer(self, X, context):
        found = answer(self.estimator_, X, context)

        def of_energies():
            self.calls += 1
            Z = found.model_input(X)
            sums = np.bincount(Z.structure_index, Z.values.sum(axis=1))
            return self.lift_std(np.maximum(sums - 3.0, 0.0))

        std = Deviations(of_energies, self.refuse_std, self.refuse_std)
        return replace(found, std=std)


@pytest.fixture(scope="module")
def fitted():
    frames, y = dimers(60)
    inside = make_pipeline(ACSF(r_cut=3.0, g4=None), AtomicRidge(forces=None))
    return BySize(inside).fit(frames, y), frames, y


def test_two_methods_make_error_bars_for_everything(fitted):
    model, frames, y = fitted
    y_pred, std = model.predict(frames, return_std=True)
    np.testing.assert_array_equal(y_pred, model.estimator_.predict(frames))
    assert std.min() == model.std_floor_ == 1e-9 * np.abs(y).max()
    assert std.max() > 0.01
    new, y_new = dimers(40, seed=1)
    calibrated = calibrate_std(model, new, y_new, forces=None)
    np.testing.assert_allclose(
        calibrated.predict(frames, return_std=True)[1],
        np.maximum(calibrated.alpha_ * std, calibrated.std_floor_),
        rtol=1e-12,
    )
    conformal = ConformalRegressor(
        model, cv="prefit", conformity_score="std", floor=0.1
    )
    ends = conformal.fit(new, y_new).predict_interval(frames, 0.8)[1]
    assert np.ptp(ends[:, 1] - ends[:, 0]) > 1e-3
    found = SkatomCalculator(model).get_property("energy_std", frames[0])
    assert found == pytest.approx(std[0])


def test_it_is_not_calibrated_on_structures_that_it_was_fitted_on(fitted):
    model, frames, y = fitted
    with pytest.raises(ValueError, match="fitted on 20 of the 20 calibration"):
        calibrate_std(model, frames[:20], y[:20])


def test_wrappers_are_as_random_as_they_and_the_estimator_inside():
    def random(model):
        return get_tags(model).non_deterministic

    assert random(ConformalRegressor(Ridge()))
    assert not random(ConformalRegressor(Ridge(), random_state=0))
    assert random(ConformalRegressor(EnsembleRegressor(Ridge()), random_state=0))
    assert random(BySize(EnsembleRegressor(Ridge())))
    assert not random(BySize(EnsembleRegressor(Ridge(), random_state=0)))


def test_deviations_that_a_method_lacks_are_refused_by_its_name(fitted):
    model, frames, _ = fitted
    for method in (model.predict_forces, model.predict_atomic_energies):
        with pytest.raises(NoStandardDeviationError, match="BySize has standard dev"):
            method(frames[:2], return_std=True)
    assert len(model.predict_forces(frames[:2])) == 2


def test_deviations_are_computed_only_when_asked_for(fitted):
    model, frames, _ = fitted
    before = model.calls
    model.predict(frames)
    model.evaluate(frames)
    assert model.calls == before
    model.evaluate(frames, forces=False, std=True)
    assert model.calls == before + 1
