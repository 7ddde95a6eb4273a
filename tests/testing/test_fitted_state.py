"""What is set after fit changes nothing before the next one."""

import numpy as np
import pytest
from radial import RadialSums
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skatom._validation import Interval, Real, StrOptions
from skatom.models import AtomicRidge
from skatom.structures import read_energies
from skatom.testing import check_frames, regressor_checks, with_labels
from skatom.testing._other_values import other_values
from skatom.uncertainty import (
    DomainFlags,
    FeatureDistance,
    LastLayerRigidity,
    LatentDistance,
)


class Scaled(AtomicRidge):
    """Reads a parameter of its constructor when it predicts."""

    _parameter_constraints = {
        **AtomicRidge._parameter_constraints,
        "factor": [Interval(Real, 0, None, closed="neither")],
        "way": [StrOptions({"up", "down"})],
        "sizes": ["array-like"],
        "loud": ["boolean"],
    }

    def __init__(self, factor=1.0, way="up", sizes=(1, 2), loud=False):
        super().__init__()
        self.factor, self.way, self.sizes, self.loud = factor, way, sizes, loud

    def compute_atoms(self, X):
        return self.factor * super().compute_atoms(X)


def test_a_parameter_that_is_read_late_is_named():
    (check,) = [
        check
        for check in regressor_checks(Scaled(), featurizer=RadialSums())
        if check.func.__name__ == "check_fitted_state_is_complete"
    ]
    with pytest.raises(AssertionError, match=r"Scaled\.factor=2\.0") as error:
        check()
    assert "way" not in str(error.value)


def test_other_values_are_valid_and_others():
    found = {}
    for name, value in other_values(Scaled()):
        found.setdefault(name, []).append(value)
    assert found["factor"] == [2.0, 0.5]
    assert found["way"] == ["down"]
    assert found["loud"] == [True]
    assert found["sizes"] == [(1,), (2, 1)]


@pytest.mark.parametrize(
    "cls", [LastLayerRigidity, LatentDistance, FeatureDistance, DomainFlags]
)
def test_what_looks_at_a_fitted_estimator_keeps_it(cls):
    frames = with_labels(check_frames())
    pipeline = make_pipeline(RadialSums(), AtomicRidge())
    pipeline.fit(frames, read_energies(frames))
    flags = {"flags": ["distance", "range"]} if cls is DomainFlags else {}
    model = cls(pipeline, **flags).fit(frames)

    def seen():
        if cls is LastLayerRigidity:
            return np.stack(model.predict(frames, return_std=True))
        return model.score_samples(frames)

    expected = seen()
    for name, value in list(other_values(model)):
        now = getattr(model, name)
        setattr(model, name, value)
        np.testing.assert_array_equal(seen(), expected, err_msg=name)
        setattr(model, name, now)
    model.set_params(estimator=clone(pipeline))
    np.testing.assert_array_equal(seen(), expected)
