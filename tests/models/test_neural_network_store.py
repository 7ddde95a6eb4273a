"""Networks trained on a store of features, which is never in memory as a whole."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import numpy as np
import pytest
from ase.build import bulk
from conftest import labelled, rattled

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from skatom.featurizers import ACSF
from skatom.models import NeuralNetworkRegressor
from skatom.models._feature_network import streamed_data
from skatom.store import FeatureStore


@pytest.fixture
def store(tmp_path):
    frames = [
        labelled(rattled(bulk("Cu", cubic=True, a=3.5 + 0.02 * s), seed=s), stress=True)
        for s in range(12)
    ]
    acsf = ACSF(r_cut=4.0, n_radial=4, g4=None).fit(frames)
    made = FeatureStore(tmp_path / "features", acsf)
    made.extend(frames)
    return made


def quick(**params):
    settings = {
        "hidden_layers": (8,), "max_epochs": 5, "random_state": 0, "dtype": "float64",
        "batch_size": 4,
    }  # fmt: skip
    return NeuralNetworkRegressor(**(settings | params))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"stress": "auto", "loss": "gaussian_nll"},
        {"forces": None, "networks": "single"},
    ],
)
def test_a_store_trains_to_the_weights_of_its_features(store, params, monkeypatch):
    monkeypatch.setattr(streamed_data, "CHUNK", 5)  # several, of unequal size
    y = store.energies
    streamed = quick(**params).fit(store, y)
    loaded = quick(**params, cache_size=0).fit(store[:], y)
    for name in ("baseline_", "scale_", "feature_means_", "feature_gains_"):
        # sums in another order
        np.testing.assert_allclose(
            getattr(streamed, name), getattr(loaded, name), rtol=1e-10
        )
    X = store[:]
    np.testing.assert_allclose(streamed.predict(X), loaded.predict(X), rtol=1e-9)
    np.testing.assert_allclose(
        streamed.feature_gradient(X), loaded.feature_gradient(X), rtol=1e-5, atol=1e-8
    )


def test_no_more_than_a_batch_is_read_at_a_time(store, monkeypatch):
    read, original = [], FeatureStore.__getitem__
    monkeypatch.setattr(streamed_data, "CHUNK", 5)

    def watched(self, key):
        found = original(self, key)
        read.append(len(found))
        return found

    monkeypatch.setattr(FeatureStore, "__getitem__", watched)
    quick(batch_size=3).fit(store, store.energies)
    assert max(read) == 5
    assert max(read[3:]) == 3


def test_partial_fit_passes_over_a_store(store):
    model = quick(optimizer="layerwise_adam", lr=1e-2)
    errors = []
    for _ in range(15):
        for X, y in store.batches(4):
            model.partial_fit(X, y)
        errors.append(np.abs(model.predict(store[:]) - store.energies).mean())
    assert errors[-1] < 0.5 * errors[0]


def test_a_store_is_refused_for_other_targets_and_for_going_on(store):
    with pytest.raises(ValueError, match="A store is trained on afresh"):
        quick(target="mean").fit(store, store.energies)
    model = quick(max_epochs=1, warm_start=True).fit(store, store.energies)
    with pytest.raises(ValueError, match="A store is trained on afresh"):
        model.fit(store, store.energies)
