"""One walk through pipelines, searches and wrappers serves everything that looks inside."""

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base._inside import (
    bare,
    children,
    fitted_part,
    last_model,
    name_of_model,
    r_cut_of,
    the_one,
    walk,
)
from skatom.models import AtomicRidge
from skatom.potential import DeltaRegressor
from skatom.preprocessing import Pool
from skatom.testing import with_labels
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    ConformalRegressor,
    EnsembleRegressor,
    FeatureDistance,
    LastLayerRigidity,
    LatentDistance,
    WeightedConformalRegressor,
)

FRAMES = with_labels(
    [rattled(molecule(name), seed) for seed in range(6) for name in ("H2O", "H2O2")]
)
Y = np.array([atoms.get_potential_energy() for atoms in FRAMES])


def atomic() -> Pipeline:
    return make_pipeline(RadialSums(3.5), AtomicRidge())


def conformal():
    return ConformalRegressor(atomic(), calibration_size=3, random_state=0)


WRAPPERS = {
    "pipeline": atomic(),
    "search": GridSearchCV(atomic(), {"atomicridge__alpha": [0.1, 1.0]}, cv=2),
    "conformal": conformal(),
    "adaptive": AdaptiveConformalRegressor(conformal()),
    "weighted": WeightedConformalRegressor(conformal()),
    "conformal in a pipeline": make_pipeline(
        RadialSums(3.5),
        ConformalRegressor(AtomicRidge(), calibration_size=3, random_state=0),
    ),
    "ensemble": EnsembleRegressor(atomic(), 2, random_state=0),
    "ensemble without shared steps": EnsembleRegressor(
        atomic(), 2, share_features=False, random_state=0
    ),
    "delta": DeltaRegressor(atomic()),
}


@pytest.fixture(scope="module")
def fitted():
    return {name: one.fit(FRAMES, Y) for name, one in WRAPPERS.items()}


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_radius_is_seen_through_every_wrapper(fitted, name):
    assert r_cut_of(fitted[name]) == 3.5


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_walk_finds_every_fitted_model_once(fitted, name):
    found = [one for one in walk(fitted[name]) if isinstance(one, AtomicRidge)]
    assert len({id(one) for one in found}) == len(found) >= 1
    assert all(hasattr(one, "coef_") for one in found)


@pytest.mark.parametrize("grader", [FeatureDistance, LatentDistance])
@pytest.mark.parametrize("name", WRAPPERS)
def test_distances_take_every_wrapper(fitted, name, grader):
    grades = grader(fitted[name]).fit(FRAMES).score_samples(FRAMES)
    assert np.isfinite(grades).all()


@pytest.mark.parametrize("name", [n for n in WRAPPERS if "ensemble" not in n])
def test_rigidity_takes_what_holds_one_model(fitted, name):
    y, std = (
        LastLayerRigidity(fitted[name]).fit(FRAMES).predict(FRAMES, return_std=True)
    )
    np.testing.assert_allclose(y, fitted[name].predict(FRAMES))
    assert (std > 0).all()


def test_rigidity_refuses_several_models(fitted):
    with pytest.raises(
        TypeError, match=r"LastLayerRigidity.* EnsembleRegressor has none"
    ):
        LastLayerRigidity(fitted["ensemble"]).fit(FRAMES)


def test_only_fitted_estimators_are_children_where_there_are_any():
    rows = np.random.default_rng(0).normal(size=(20, 2))
    for one in (
        VotingRegressor([("a", Ridge()), ("b", Ridge())]),
        StackingRegressor([("a", Ridge())], Ridge(), cv=2),
        BaggingRegressor(Ridge(), 3, random_state=0),
    ):
        assert not any(hasattr(part, "coef_") for part in children(one))
        one.fit(rows, rows[:, 0])
        assert sum(hasattr(part, "coef_") for part in children(one)) >= 2


def test_frozen_steps_count_unless_they_are_left_out():
    model = Ridge()
    pipeline = make_pipeline(Pool(), FrozenEstimator(model))
    assert model in list(walk(pipeline))
    assert model not in list(walk(pipeline, frozen=False))


def test_what_predicts_is_found_from_outside(fitted):
    inner = fitted["conformal in a pipeline"].steps[1][1]
    assert the_one(fitted["conformal in a pipeline"], ConformalRegressor) is inner
    assert the_one(fitted["delta"], ConformalRegressor) is None
    assert bare(fitted["adaptive"]) is fitted["adaptive"].conformal_.estimator_
    assert isinstance(last_model(fitted["weighted"]), AtomicRidge)


def test_members_of_an_ensemble_stand_behind_what_they_share(fitted):
    for name in ("ensemble", "ensemble without shared steps"):
        part = fitted_part(fitted[name])
        np.testing.assert_allclose(
            part.predict(FRAMES),
            fitted_part(part).predict(FRAMES),
        )
        assert isinstance(part.steps[0][1], RadialSums)


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        make_pipeline(StandardScaler(), Ridge()),
        GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1.0]}),
        TransformedTargetRegressor(Ridge()),
        FrozenEstimator(Ridge()),
    ],
)
def test_what_predicts_is_named_before_any_fit(estimator):
    assert name_of_model(estimator) == "Ridge"
