"""Dropout at prediction: fixed thinned networks, whose forces are derivatives."""

import pickle

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.metrics import neg_energy_crps
from skatom.models import NeuralNetworkRegressor
from skatom.potential import predict_forces
from skatom.preprocessing import PerAtom
from skatom.structures import Structures
from skatom.uncertainty import DropoutRegressor, calibrate_std


def methanols(n, seed=0, stdev=0.06):
    start = molecule("CH3OH")
    return Structures([rattled(start, 100 * seed + s, stdev) for s in range(n)])


@pytest.fixture(scope="module")
def frames():
    return methanols(30)


@pytest.fixture(scope="module")
def y(frames):
    return np.array([a.get_distance(0, 1) for a in frames])


NETWORK = NeuralNetworkRegressor((16, 12), dropout=0.15, max_epochs=15, random_state=0)
PIPELINE = make_pipeline(RadialSums(), PerAtom(StandardScaler()), NETWORK)


@pytest.fixture(scope="module")
def model(frames, y):
    return DropoutRegressor(PIPELINE, 6, random_state=0).fit(frames, y)


def test_mean_and_scatter_are_those_of_thinned_networks(model, frames):
    network = model.estimator_[-1]
    members = [
        make_pipeline(*model.estimator_[:-1], network.thinned(int(s)))
        for s in model.seeds_
    ]
    values = [m.predict(frames) for m in members]
    y_pred, std = model.predict(frames, return_std=True)
    np.testing.assert_allclose(y_pred, np.mean(values, axis=0), rtol=1e-10)
    np.testing.assert_allclose(std, np.std(values, axis=0, ddof=1), rtol=1e-6)
    assert std.min() > 1e-3
    values = [np.concatenate(predict_forces(m, frames)) for m in members]
    forces, std = map(np.concatenate, model.predict_forces(frames, return_std=True))
    np.testing.assert_allclose(forces, np.mean(values, axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        std, np.std(values, axis=0, ddof=1), rtol=1e-6, atol=1e-9
    )


def test_thinned_networks_lack_the_share_of_units_that_dropout_asks_for(model):
    network = model.estimator_[-1]
    layers = [network.thinned(s).net_.module_.stacks[0][0] for s in range(60)]
    kept = np.array([layer.dropout.factors.numpy() for layer in layers])
    assert set(np.unique(kept).round(6)) == {0.0, round(1 / 0.85, 6)}
    share = (kept == 0).mean()
    assert abs(share - 0.15) < 4 * np.sqrt(0.15 * 0.85 / kept.size)


def test_the_network_itself_stays_whole(frames, y):
    pipeline = clone(PIPELINE).fit(frames, y)
    before = pipeline.predict(frames)
    pipeline[-1].thinned(0).predict(pipeline[:-1].transform(frames))
    np.testing.assert_array_equal(pipeline.predict(frames), before)


def test_the_mean_force_is_the_derivative_of_the_mean_energy(model):
    atoms = methanols(1, seed=3)[0]
    forces = model.predict_forces([atoms])[0]
    h = 1e-4
    for i, axis in [(0, 0), (1, 1), (4, 2)]:
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, axis] += sign * h
            ends.append(moved)
        plus, minus = model.predict(ends)
        assert forces[i, axis] == pytest.approx(-(plus - minus) / (2 * h), rel=1e-5)


def test_error_bars_grow_away_from_the_training_structures(model, frames):
    near = model.predict(methanols(20, seed=1), return_std=True)[1]
    far = model.predict(methanols(20, seed=2, stdev=0.25), return_std=True)[1]
    assert np.median(far) > 1.3 * np.median(near)


def test_predictions_are_the_same_at_every_call_and_after_pickling(model, frames):
    first = model.predict(frames, return_std=True)
    for other in (model, pickle.loads(pickle.dumps(model))):
        for a, b in zip(first, other.predict(frames, return_std=True)):
            np.testing.assert_array_equal(a, b)


def test_inside_a_pipeline_and_a_search(model, frames, y):
    inside = make_pipeline(
        RadialSums(),
        PerAtom(StandardScaler()),
        DropoutRegressor(NETWORK, 6, random_state=0),
    )
    std = inside.fit(frames, y).predict(frames, return_std=True)[1]
    np.testing.assert_allclose(
        std, model.predict(frames, return_std=True)[1], rtol=1e-9
    )
    search = GridSearchCV(
        DropoutRegressor(PIPELINE, 3, random_state=0),
        {"estimator__neuralnetworkregressor__dropout": [0.02, 0.6]},
        scoring=neg_energy_crps, cv=2,
    ).fit(frames, y)  # fmt: skip
    assert len(search.predict(frames)) == 30


def test_it_is_calibrated_like_any_other(model, y):
    new = methanols(40, seed=5)
    labels = np.array([a.get_distance(0, 1) for a in new])
    calibrated = calibrate_std(model, new, labels)
    y_pred, std = calibrated.predict(new, return_std=True)
    np.testing.assert_allclose(np.mean(((labels - y_pred) / std) ** 2), 1.0, rtol=1e-6)


def test_models_without_dropout_are_refused(frames, y):
    with pytest.raises(ValueError, match="all samples would be the same"):
        DropoutRegressor(clone(PIPELINE).set_params(
            neuralnetworkregressor__dropout=0.0
        )).fit(frames, y)  # fmt: skip
    with pytest.raises(
        TypeError, match=r"DropoutRegressor leaves out.*Ridge is trained without"
    ):
        DropoutRegressor(Ridge()).fit([[0.0], [1.0]], [0.0, 1.0])
