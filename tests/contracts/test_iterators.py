"""Iterators and slices of trajectories as X: read once, and taken for what they hold."""

import numpy as np
import pytest
from ase.build import molecule
from ase.io.trajectory import Trajectory
from exemplars import FEATURES, REGRESSORS
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skatom.featurizers import ACSF, Composition, CoulombMatrix
from skatom.models import AtomicRidge
from skatom.potential import evaluate
from skatom.report._observe import observe
from skatom.structures import check_structures
from skatom.uncertainty import (
    ConformalRegressor,
    DomainFlags,
    FeatureDistance,
    LastLayerRigidity,
    LatentDistance,
)

FRAMES = [molecule("H2O"), molecule("H2O2"), molecule("H2")] * 4
FRAMES = [atoms.copy() for atoms in FRAMES]
for seed, atoms in enumerate(FRAMES):
    atoms.rattle(0.05, seed=seed)
Y = np.array([-float(atoms.numbers.sum()) for atoms in FRAMES]) + 0.1


def ridge():
    return make_pipeline(ACSF(3.0), AtomicRidge(1e-3))


TRANSFORMERS = {**FEATURES, "rows": Composition(), "matrix": CoulombMatrix()}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_read_an_iterator_once(name):
    one, other = clone(TRANSFORMERS[name]), clone(TRANSFORMERS[name])
    rows = one.fit_transform(iter(FRAMES))
    expected = other.fit(FRAMES).transform(FRAMES)
    assert len(rows) == len(FRAMES)
    rows, expected = (getattr(x, "values", x) for x in (rows, expected))
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_read_an_iterator_once(name):
    listed = clone(REGRESSORS[name]).fit(FRAMES, Y).predict(FRAMES)
    read = clone(REGRESSORS[name]).fit(iter(FRAMES), Y).predict(iter(FRAMES))
    np.testing.assert_array_equal(read, listed)


@pytest.mark.parametrize(
    "cls", [DomainFlags, FeatureDistance, LatentDistance, LastLayerRigidity]
)
def test_what_grades_structures_reads_an_iterator_once(cls):
    model = ridge().fit(FRAMES, Y)
    draws = {} if cls is LastLayerRigidity else {"random_state": 0}
    read = cls(model, **draws).fit(iter(FRAMES[:8]))
    listed = cls(model, **draws).fit(FRAMES[:8])
    np.testing.assert_array_equal(read.predict(iter(FRAMES)), listed.predict(FRAMES))


def test_evaluations_and_reports_read_an_iterator_once():
    model = ConformalRegressor(
        ridge(), calibration_size=5, confidence_level=0.8, random_state=0
    )
    model.fit(iter(FRAMES), Y)
    assert len(evaluate(model, iter(FRAMES)).forces) == len(FRAMES)
    assert len(model.predict_interval(iter(FRAMES))[0]) == len(FRAMES)
    new = [atoms.copy() for atoms in FRAMES]
    for seed, atoms in enumerate(new):
        atoms.rattle(0.05, seed=100 + seed)
    bars = ridge().fit(FRAMES, Y)
    seen = observe(bars, iter(new), Y)
    np.testing.assert_array_equal(seen.y_pred, bars.predict(new))


def test_an_iterator_that_was_read_is_refused():
    read = iter(FRAMES)
    fitted = ACSF(3.0).fit(read)
    for use in (fitted.transform, fitted.fit, ridge().fit(FRAMES, Y).predict):
        with pytest.raises(
            ValueError, match="was read before: iterators can be read on"
        ):
            use(read)
    with pytest.raises(
        TypeError, match="AtomicRidge takes features, and X holds struct"
    ):
        AtomicRidge().fit(iter(FRAMES), Y)


def test_a_slice_of_a_trajectory_is_a_sequence_of_structures(tmp_path):
    with Trajectory(tmp_path / "frames.traj", "w") as file:
        for atoms in FRAMES:
            file.write(atoms)
    with Trajectory(tmp_path / "frames.traj") as file:
        assert len(check_structures(file[2:7])) == 5
        model = ridge().fit(file[:9], Y[:9])
        expected = ridge().fit(FRAMES[:9], Y[:9]).predict(FRAMES)
        np.testing.assert_array_equal(model.predict(file[:]), expected)
