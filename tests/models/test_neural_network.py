"""NeuralNetworkRegressor as an estimator: on arrays, in scikit-learn's tools, on disk."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import logging
import pickle
import re
import sys
from copy import deepcopy

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")
safetensors = pytest.importorskip("safetensors.numpy")

from skatom.models import NeuralNetworkRegressor, TrainingDivergedError


def curve(n=60, seed=0):
    X = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] - 5.0


def quick(**params):
    settings = {"hidden_layers": (16,), "max_epochs": 20, "random_state": 0}
    return NeuralNetworkRegressor(**(settings | params))


def numpy_state():
    return np.random.get_state()[1].copy()  # noqa: NPY002 - it is what is looked at


def weights(model):
    return [p.detach().numpy().copy() for p in model.net_.module_.parameters()]


def test_a_curve_is_learned_from_far_away_and_badly_scaled_features():
    X, y = curve(200)
    model = quick(max_epochs=60, lr=1e-2).fit(1e4 + 1e3 * X[:150], 1e3 * y[:150])
    assert model.score(1e4 + 1e3 * X[150:], 1e3 * y[150:]) > 0.97


def test_lbfgs_finds_the_least_squares_plane():
    X, y = curve()
    model = quick(
        hidden_layers=(), optimizer="lbfgs", max_epochs=20, validation_fraction=0.0,
        dtype="float64",
    ).fit(X, y)  # fmt: skip
    plane = np.column_stack([X, np.ones(len(X))])
    expected = plane @ np.linalg.lstsq(plane, y, rcond=None)[0]
    # torch's L-BFGS stops at a gradient of 1e-7 in units of the scale
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-6)


def test_feature_gradient_is_the_derivative_of_predict():
    X, y = curve()
    model = quick().fit(X, y)
    step = 1e-5
    for k in range(3):
        moved = step * np.eye(3)[k]
        slope = (model.predict(X + moved) - model.predict(X - moved)) / (2 * step)
        # float64 evaluation of float32 weights: error of central differences only
        np.testing.assert_allclose(
            model.feature_gradient(X)[:, k], slope, atol=1e-8 * np.abs(slope).max()
        )
        assert np.abs(slope).max() > 0.1


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "lbfgs"])
@pytest.mark.parametrize("lr_schedule", ["plateau", "cosine", None])
def test_every_optimizer_and_schedule_lowers_the_loss(optimizer, lr_schedule):
    X, y = curve()
    params = {"max_epochs": 3 if optimizer == "lbfgs" else 20}
    model = quick(optimizer=optimizer, lr_schedule=lr_schedule, **params).fit(X, y)
    assert model.history_["train_loss"][-1] < 0.7 * model.history_["train_loss"][0]


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "silu", "gelu", "softplus"])
def test_every_activation_trains(activation):
    X, y = curve()
    model = quick(activation=activation, lr=3e-2, max_epochs=30).fit(X, y)
    assert model.score(X, y) > 0.8


def test_same_seed_gives_the_same_bits_and_another_seed_others():
    X, y = curve()
    first, second, other = (quick(random_state=s).fit(X, y) for s in (3, 3, 4))
    assert all(map(np.array_equal, weights(first), weights(second)))
    assert not np.array_equal(weights(first)[0], weights(other)[0])


def test_global_random_generators_are_not_touched():
    X, y = curve()
    torch_before, numpy_before = torch.get_rng_state(), numpy_state()
    quick().fit(X, y).predict(X)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(numpy_state(), numpy_before)


def test_number_of_torch_threads_is_put_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        quick(max_epochs=1).fit(*curve())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_best_epoch_is_kept_and_training_stops_after_patience():
    X, y = curve(30)
    y = y + np.random.default_rng(1).normal(size=30)  # nothing to learn for long
    model = quick(max_epochs=400, patience=15, lr=3e-2, batch_size=4).fit(X, y)
    loss = np.array(model.history_["valid_loss"])
    assert model.best_epoch_ == 1 + np.argmin(loss)
    assert model.n_epochs_ == model.best_epoch_ + 15 < 400


def test_kept_weights_are_those_of_the_best_epoch():
    X, y = curve(30)
    y = y + np.random.default_rng(1).normal(size=30)
    long = quick(max_epochs=60, patience=None, lr=3e-2, lr_schedule=None).fit(X, y)
    assert long.best_epoch_ < 60
    short = clone(long).set_params(max_epochs=long.best_epoch_).fit(X, y)
    assert all(map(np.array_equal, weights(long), weights(short)))


def test_without_validation_the_last_epoch_is_kept():
    model = quick(validation_fraction=0.0, max_epochs=5).fit(*curve())
    assert model.best_epoch_ == model.n_epochs_ == 5
    expected = {"train_loss", "train_mae", "train_rmse", "lr", "seconds"}
    assert set(model.history_) == expected


def test_cosine_schedule_ends_near_zero_and_plateau_halves():
    X, y = curve()
    cosine = quick(lr_schedule="cosine", patience=None).fit(X, y).history_["lr"]
    assert 0.9 * 3e-3 < cosine[0] < 3e-3  # at the end of the first of 20 epochs
    assert cosine[-1] < 1e-6 * cosine[0]
    noise = np.random.default_rng(0).normal(size=len(y))
    plateau = quick(lr=0.1, patience=8, max_epochs=100).fit(X, noise).history_["lr"]
    assert 0.05 in plateau


def test_structures_of_weight_zero_are_left_out():
    X, y = curve()
    keep = np.arange(len(y)) % 3 > 0
    spoilt = np.where(keep, y, 1e6)
    model = quick(dtype="float64").fit(X, spoilt, sample_weight=keep)
    without = quick(dtype="float64").fit(X[keep], y[keep])
    # the same batches; means over weights round differently
    np.testing.assert_allclose(model.predict(X), without.predict(X), rtol=1e-9)


def test_warm_start_goes_on_from_the_weights():
    X, y = curve()
    model = quick(warm_start=True, max_epochs=30, lr=1e-2).fit(X, y)
    end, baseline = model.history_["train_loss"][-1], model.baseline_
    model.fit(X, y)
    assert model.history_["train_loss"][0] < 2 * end
    assert model.baseline_ is baseline
    cold = clone(model).set_params(warm_start=False).fit(X, y)
    assert cold.history_["train_loss"][0] > 4 * end


@pytest.mark.parametrize("copy", [lambda m: pickle.loads(pickle.dumps(m)), deepcopy])
def test_copies_predict_the_same_bits(copy):
    X, y = curve()
    model = quick().fit(X, y)
    twin = copy(model)
    assert np.array_equal(twin.predict(X), model.predict(X))
    assert np.array_equal(twin.feature_gradient(X), model.feature_gradient(X))
    assert twin.history_ == model.history_


def test_weights_are_stored_as_safetensors():
    state = quick().fit(*curve()).__getstate__()
    assert "net_" not in state
    stored = safetensors.load(state["_weights"])
    assert sum(array.dtype == np.float64 for array in stored.values()) == 4


def test_joblib_file_read_as_memory_map_predicts_the_same(tmp_path):
    X, y = curve()
    model = quick().fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert np.array_equal(loaded.predict(X), model.predict(X))


def test_fitted_architecture_survives_a_changed_parameter():
    X, y = curve()
    model = quick().fit(X, y)
    model.set_params(hidden_layers=(3, 3), activation="tanh", device="cuda")
    twin = pickle.loads(pickle.dumps(model))
    assert np.array_equal(twin.predict(X), model.predict(X))


def test_grid_search_in_two_processes_equals_one():
    X, y = curve()
    pipe = make_pipeline(StandardScaler(), quick(max_epochs=5))
    name = "neuralnetworkregressor__"
    grid = {name + "hidden_layers": [(4,), (8, 8)]}
    one, two = (GridSearchCV(pipe, grid, cv=2, n_jobs=n).fit(X, y) for n in (1, 2))
    key = "mean_test_score"
    assert np.array_equal(one.cv_results_[key], two.cv_results_[key])


def test_net_params_reach_the_skorch_net():
    X, y = curve()

    class Count(skorch.callbacks.Callback):
        n = 0

        def on_epoch_end(self, net, **kwargs):
            Count.n += 1

    params = {"optimizer__betas": (0.5, 0.9), "callbacks": [("count", Count())]}
    model = quick(net_params=params, max_epochs=3).fit(X, y)
    assert Count.n == 3
    assert model.net_.optimizer_.param_groups[0]["betas"] == (0.5, 0.9)
    assert set(params) == {"optimizer__betas", "callbacks"}


def test_verbose_writes_to_standard_error_and_silence_is_the_default(capsys):
    quick(max_epochs=2).fit(*curve())
    assert capsys.readouterr() == ("", "")
    quick(max_epochs=2, verbose=1).fit(*curve())
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"training: 2 epochs in \d\.\d s  loss .*  MAE ", err)


def test_every_epoch_is_logged_at_debug_level(caplog):
    with caplog.at_level(logging.DEBUG, logger="skatom"):
        quick(max_epochs=3).fit(*curve())
    assert len(caplog.records) == 3


def test_diverging_training_raises_and_leaves_the_model_unfitted():
    X, y = curve()
    model = quick(max_epochs=3).fit(X, y)
    model.set_params(optimizer="sgd", lr=1e30)
    with pytest.raises(TrainingDivergedError, match=r"diverged.*in epoch 1.*Lower lr"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="not fitted yet"):
        model.predict(X)


def test_divergence_carries_epoch_and_last_loss_through_pickle():
    with pytest.raises(TrainingDivergedError) as caught:
        quick(optimizer="sgd", lr=1e30).fit(*curve())
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.epoch == 1
    assert np.isfinite(error.last_loss)
    assert str(error) == str(caught.value)


class Interrupt(skorch.callbacks.Callback):
    """The user presses Ctrl-C in the second epoch."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


def test_interruption_is_passed_on_and_leaves_the_model_unfitted():
    X, y = curve()
    model = quick(net_params={"callbacks": [("stop", Interrupt())]})
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    with pytest.raises(ValueError, match="not fitted yet"):
        model.predict(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_layers": (8, 0)}, r"hidden_layers holds \[8, 0\]: give positive"),
        ({"optimizer": "lbfgs", "weight_decay": 0.1}, "lbfgs.*has no weight decay"),
        ({"energy_weight": 0}, "energy_weight is 0 and there are no forces"),
        ({"activation": "relux"}, "activation is 'relux'.* Did you mean 'relu'"),
        ({"device": "tpu"}, "device='tpu' is no device that torch knows"),
        ({"device": "cuda"}, "torch finds no CUDA device here"),
    ],
)
def test_bad_parameters_are_refused(params, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(*curve())


def test_missing_torch_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skatom._training.training", None)
    monkeypatch.delattr("skatom._training.training", raising=False)
    with pytest.raises(ImportError, match=r'pip install "skatom\[torch\]"'):
        quick().fit(*curve())
