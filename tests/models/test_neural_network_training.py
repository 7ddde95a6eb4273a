"""How NeuralNetworkRegressor is trained: losses, schedules, logs, checkpoints."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import csv
import os
import pickle
import signal
import subprocess
import sys
import time
from copy import deepcopy

import numpy as np
import pytest
from sklearn.ensemble import BaggingRegressor, VotingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from skatom._training import lean_optimizers
from skatom._training.checkpoint import sealed, unsealed
from skatom._training.layerwise_adam import LayerwiseAdam
from skatom._training.loss import Prediction, Targets, WeightedLoss
from skatom._training.tensor_files import from_bytes, to_bytes
from skatom.models import NeuralNetworkRegressor, TrainingDivergedError


def curve(n=60, seed=0):
    X = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] - 5.0


def quick(**params):
    settings = {"hidden_layers": (16,), "max_epochs": 20, "random_state": 0}
    return NeuralNetworkRegressor(**(settings | params))


def weights(model):
    return [p.detach().numpy().copy() for p in model.net_.module_.parameters()]


def same_bits(a, b):
    return all(map(np.array_equal, weights(a), weights(b)))


# -- loss ------------------------------------------------------------------------------


def loss_of(kind, **kwargs):
    """Two structures, one of a single atom and one of four atoms with forces."""
    targets = Targets(
        2,
        values=torch.zeros(2, 1),
        factors=torch.tensor([1.0, 4.0**-0.5]),
        weights=torch.tensor([1.0, 1.0]),
        forces=torch.zeros(5, 3),
        force_weights=torch.tensor([0.0] + 4 * [1 / 12]),
    )
    predicted = Prediction(torch.tensor([[0.1], [4.0]]), torch.full((5, 3), 0.5))
    loss = WeightedLoss(2.0, 3.0, 0.0, kind, **({"delta": 1.0} | kwargs))
    return loss.eval()(predicted, targets).item()


def test_losses_are_those_worked_out_by_hand():
    # errors 0.1 and 4 / sqrt(4) = 2 of energies, 0.5 of all known forces
    assert loss_of("mse") == pytest.approx((2 * (0.01 + 4) + 3 * 0.25) / 2)
    assert loss_of("mae") == pytest.approx((2 * (0.1 + 2) + 3 * 0.5) / 2)
    # beyond delta = 1 the square goes on as a line: 2 x - 1
    assert loss_of("huber") == pytest.approx((2 * (0.01 + 3) + 3 * 0.25) / 2)


def test_weights_move_along_powers_and_validation_uses_the_last():
    loss = WeightedLoss((1.0, 100.0), (0.0, 2.0), 0.1, "mse", 1.0)
    loss.advance(0.5)
    assert loss.current == [pytest.approx(10.0), 1.0, pytest.approx(0.1)]
    targets = Targets(1, torch.zeros(1, 1), torch.ones(1), torch.ones(1))
    predicted = Prediction(torch.ones(1, 1))
    assert loss.train()(predicted, targets).item() == pytest.approx(10.0)
    assert loss.eval()(predicted, targets).item() == pytest.approx(100.0)


def test_a_schedule_of_weights_runs_from_first_to_last_epoch():
    X, y = curve()
    seen = []

    class Look(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.criterion_.current[0])

    quick(
        energy_weight=(1.0, 16.0), max_epochs=5, net_params={"callbacks": [Look()]}
    ).fit(X, y)
    np.testing.assert_allclose(seen, [1, 2, 4, 8, 16], rtol=1e-12)


def test_absolute_errors_resist_outliers():
    X, y = curve(200)
    wrong = y.copy()
    wrong[::10] += 30.0
    fits = {
        loss: quick(
            loss=loss, lr=3e-2, max_epochs=30, huber_delta=0.3, batch_size=20
        ).fit(X, wrong)
        for loss in ("mse", "mae", "huber")
    }
    errors = {loss: np.median(np.abs(m.predict(X) - y)) for loss, m in fits.items()}
    assert errors["mae"] < 0.5 * errors["mse"]
    assert errors["huber"] < 0.5 * errors["mse"]


# -- optimizers ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_lean_steps_have_the_bits_of_torch(name):
    """Also where a gradient is missing, and after a state was loaded."""
    ends = []
    for place in (lean_optimizers, torch.optim):
        rng = torch.Generator().manual_seed(0)
        moved = [torch.randn(5, 3, generator=rng).requires_grad_() for _ in range(3)]
        optimizer = getattr(place, name)(moved, lr=0.1, weight_decay=0.1, fused=True)
        for k in range(8):
            optimizer.zero_grad()
            for i, p in enumerate(moved):
                if (k, i) != (4, 1):
                    p.grad = torch.randn(5, 3, generator=rng)
            if k == 6:
                optimizer.load_state_dict(deepcopy(optimizer.state_dict()))
            optimizer.step()
        ends.append(moved)
    assert all(map(torch.equal, *ends))


def test_soap_on_diagonal_gradients_is_adam():
    """Where the axes of gradients are those of the weights, nothing is rotated."""
    start = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    moved = []
    for kind, extra in ((LayerwiseAdam, {"floor": 0.0}), (torch.optim.AdamW, {})):
        p = start.clone().requires_grad_()
        optimizer = kind([p], lr=0.1, betas=(0.95, 0.95), weight_decay=0.1, **extra)
        slopes = torch.tensor([4.0, 3.0, 2.0, 1.0])
        for k in range(7):
            p.grad = torch.diag(slopes * (1 + 0.1 * k))
            optimizer.step()
        moved.append(p.detach())
    # eps beside gradients of zero; rounding of float32
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-5, atol=1e-5)


def test_soap_does_not_care_how_inputs_are_mixed():
    """Rotating the inputs rotates the solution: Adam's path depends on the axes."""
    X, y = curve(100)
    Q = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    first = np.array([[1.0, 0.2, -0.5], [0.3, 1.0, 0.4]])
    shifts = {}
    for kind in (LayerwiseAdam, torch.optim.AdamW):
        ends = []
        for axes in (np.eye(3), Q):
            inputs = torch.tensor(X @ axes)
            W = torch.tensor(first @ axes).requires_grad_()
            v = torch.tensor([1.0, 0.5], dtype=torch.float64)
            optimizer = kind([W], lr=0.02, betas=(0.95, 0.95), weight_decay=0.0)
            for _ in range(40):
                optimizer.zero_grad()
                residual = torch.tanh(inputs @ W.T) @ v - torch.tensor(y)
                residual.square().mean().backward()
                optimizer.step()
            ends.append(W.detach().numpy() @ axes.T)
        shifts[kind] = np.abs(ends[0] - ends[1]).max()
    # equal up to the order of eigenvalues that nearly agree
    assert shifts[LayerwiseAdam] < 0.1 * shifts[torch.optim.AdamW]


def test_soap_leaves_networks_alone_that_a_batch_does_not_meet():
    p, q = (torch.ones(3, 2).requires_grad_() for _ in range(2))
    optimizer = LayerwiseAdam([p, q], lr=0.1)
    for _ in range(3):
        p.grad, q.grad = torch.ones(3, 2), None
        optimizer.step()
    assert torch.equal(q, torch.ones(3, 2))
    q.grad = torch.ones(3, 2)
    p.grad = None
    before = p.detach().clone()
    optimizer.step()
    assert torch.equal(p, before)
    assert optimizer.state[p]["step"].flatten().tolist() == [3.0, 1.0]


def test_soap_leaves_the_report_of_divergence_to_the_loss():
    X, y = curve()
    with pytest.raises(TrainingDivergedError):
        quick(optimizer="layerwise_adam", lr=1e30, dtype="float32").fit(1e3 * X, y)


@pytest.mark.parametrize("optimizer", ["layerwise_adam", "adagrad"])
@pytest.mark.parametrize("lr_schedule", ["step", "onecycle"])
def test_further_optimizers_and_schedules_lower_the_loss(optimizer, lr_schedule):
    model = quick(optimizer=optimizer, lr_schedule=lr_schedule).fit(*curve())
    assert model.history_["train_loss"][-1] < 0.7 * model.history_["train_loss"][0]
    rates = model.history_["lr"]
    assert len(set(rates)) > 3
    assert rates[-1] < 0.1 * max(rates)


def test_long_gradients_are_shortened():
    seen = []

    class Look(skorch.callbacks.Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if training:
                squares = [p.grad.square().sum() for p in net.module_.parameters()]
                seen.append(float(sum(squares)) ** 0.5)

    quick(max_grad_norm=1e-3, net_params={"callbacks": [Look()]}).fit(*curve())
    assert max(seen) == pytest.approx(1e-3, rel=1e-3)


def test_averaged_weights_are_what_is_validated_and_kept():
    X, y = curve()
    params = {"validation_fraction": 0.0, "lr_schedule": None, "max_epochs": 3}
    seen = []

    class Look(skorch.callbacks.Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if training:
                seen.append(next(net.module_.parameters()).detach().numpy().copy())

    look = {"callbacks": [Look()]}
    model = quick(ema=0.5, net_params=look, **params).fit(X, y)
    first = weights(quick(max_epochs=1, lr=1e-30, validation_fraction=0.0).fit(X, y))[0]
    mean = first.astype(np.float64)
    for k, w in enumerate(seen):
        decay = min(0.5, (k + 1) / (k + 10))
        mean = decay * mean + (1 - decay) * w
    # sums of float32
    np.testing.assert_allclose(weights(model)[0], mean, atol=1e-6)
    valid = {"validation_fraction": 0.2, "max_epochs": 4, "patience": None}
    model = quick(ema=0.9, **valid).fit(X, y)
    assert model.history_["valid_mae"] != quick(**valid).fit(X, y).history_["valid_mae"]


# -- stopping and validation -----------------------------------------------------------


def test_given_structures_are_held_out():
    X, y = curve()
    mask = np.arange(60) >= 50
    model = quick(max_epochs=4, patience=None).fit(X, y, validation=mask)
    moved = y.copy()
    moved[mask] += 3.0
    other = quick(max_epochs=4, patience=None).fit(
        X, moved, validation=np.arange(50, 60)
    )
    assert model.history_["valid_mae"] != other.history_["valid_mae"]
    rmse = np.sqrt(np.mean((model.predict(X[mask]) - y[mask]) ** 2))
    best = model.history_["valid_rmse"][model.best_epoch_ - 1]
    # trained in float32, predicted in float64
    assert best == pytest.approx(rmse, rel=1e-4)


def test_groups_are_held_out_as_a_whole():
    X, y = curve()
    groups = np.repeat(np.arange(6), 10)
    seen = {}

    class Look(skorch.callbacks.Callback):
        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen["train"] = set(groups[dataset_train.structures])
            seen["valid"] = set(groups[dataset_valid.structures])

    model = quick(
        max_epochs=1, validation_fraction=0.3, net_params={"callbacks": [Look()]}
    )
    model.fit(X, y, groups=groups)
    assert not seen["train"] & seen["valid"]
    assert len(seen["valid"]) == 2


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"validation": [0.5]}, "must be a mask of the structures"),
        ({"validation": [60]}, "indices from 0 to 59"),
        ({"validation": np.ones(60, bool)}, "none is left to learn from"),
        ({"validation": np.ones(3, bool)}, "X has 60 structures, but validation has 3"),
        ({"groups": [1, 2]}, "X has 60 structures, but groups has 2"),
    ],
)
def test_validation_parts_that_cannot_be_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(*curve(), **kwargs)


def test_training_stops_when_errors_are_small_enough():
    X, y = curve(200)
    model = quick(energy_tol=0.2, max_epochs=300, lr=1e-2).fit(X, y)
    assert model.history_["valid_rmse"][-1] <= 0.2
    assert (np.array(model.history_["valid_rmse"][:-1]) > 0.2).all()
    assert model.n_epochs_ < 300
    blind = quick(energy_tol=0.2, max_epochs=300, lr=1e-2, validation_fraction=0.0)
    assert blind.fit(X, y).history_["train_rmse"][-1] <= 0.2


@pytest.mark.parametrize("weight", [(1.0,), (1.0, -2.0)])
def test_weights_that_are_no_range_are_refused(weight):
    with pytest.raises(ValueError, match="give one number, or the first and the last"):
        quick(energy_weight=weight).fit(*curve())


# -- going on --------------------------------------------------------------------------


def test_frozen_layers_keep_their_bits():
    X, y = curve()
    model = quick(hidden_layers=(8, 8), warm_start=True).fit(X, y)
    before = weights(model)
    model.set_params(frozen_layers=1).fit(X, -y)
    after = weights(model)
    kept = [np.array_equal(a, b) for a, b in zip(before, after)]
    assert kept == [True, True, False, False, False, False]


def test_transfer_adapts_the_baseline_to_another_reference():
    X, y = curve(80)
    model = quick(warm_start=True, max_epochs=50, lr=2e-2).fit(X, y)
    shifted = y + 1000.0
    near = deepcopy(model)
    near.set_params(warm_start="transfer", max_epochs=1).fit(X, shifted)
    assert near.baseline_[0] == pytest.approx(1000.0 + model.baseline_[0], abs=0.5)
    assert near.score(X, shifted) > 0.9
    model.set_params(max_epochs=1).fit(X, shifted)
    assert model.score(X, shifted) < 0.0


def test_a_saved_model_can_be_fine_tuned(tmp_path):
    pytest.importorskip("skops")
    from skatom.persistence import load, save

    X, y = curve()
    path = save(quick().fit(X, y), tmp_path / "model.skatom")
    model = load(path).set_params(
        warm_start=True, frozen_layers=1, lr=1e-3, max_epochs=2
    )
    before = weights(model)
    after = weights(model.fit(X[:20], y[:20]))
    assert np.array_equal(before[0], after[0])
    assert np.abs(before[2] - after[2]).max() < 0.1


def test_partial_fit_goes_on_with_the_same_optimizer():
    X, y = curve()
    model = quick(lr=1e-2)
    losses = []
    for _ in range(30):
        model.partial_fit(X, y)
        losses.append(1 - r2_score(y, model.predict(X)))
    assert losses[-1] < 0.3 * losses[0]
    assert model.n_epochs_ == 30
    step = model.net_.optimizer_.state_dict()["state"][0]["step"]
    assert float(step) == 30 * 8  # batches of 8 of 60 structures
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.partial_fit(X, y).predict(X).shape, y.shape)
    assert np.abs(again.predict(X) - model.predict(X)).max() < 0.5


def test_partial_fit_after_fit_starts_from_its_weights():
    X, y = curve()
    model = quick(max_epochs=60, lr=1e-2).fit(X, y)
    score = model.score(X, y)
    assert model.set_params(lr=1e-5).partial_fit(X, y).score(X, y) > score - 0.01


# -- logs ------------------------------------------------------------------------------


def test_csv_has_a_line_an_epoch(tmp_path):
    path = tmp_path / "log.csv"
    model = quick(max_epochs=3, log_to=path).fit(*curve())
    with open(path) as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert [float(row["valid_loss"]) for row in rows] == model.history_["valid_loss"]


def test_tensorboard_has_the_losses(tmp_path):
    name = "tensorboard.backend.event_processing.event_accumulator"
    EventAccumulator = pytest.importorskip(name, exc_type=ImportError).EventAccumulator
    model = quick(max_epochs=3, log_to=[tmp_path / "run"]).fit(*curve())
    events = EventAccumulator(str(tmp_path / "run")).Reload().Scalars("train_loss")
    assert [event.step for event in events] == [1, 2, 3]
    np.testing.assert_allclose(
        [event.value for event in events], model.history_["train_loss"], rtol=1e-6
    )


def test_losses_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "loss.svg"
    quick(max_epochs=3, log_to=str(path)).fit(*curve())
    assert "validation" in path.read_text() or path.stat().st_size > 5000


def test_a_log_of_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"log_to names 'a\.txt'"):
        quick(log_to="a.txt").fit(*curve())


@pytest.mark.parametrize(
    ("module", "path"),
    [("matplotlib.figure", "a.png"), ("torch.utils.tensorboard", "a")],
)
def test_missing_packages_of_logs_are_named(module, path, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match="pip install"):
        quick(log_to=tmp_path / path).fit(*curve())


# -- checkpoints -----------------------------------------------------------------------

PARAMS = {
    "hidden_layers": (16, 16), "max_epochs": 12, "dropout": 0.1, "ema": 0.9,
    "patience": 8, "random_state": 3,
}  # fmt: skip


def test_trees_come_back_from_bytes_with_types_and_bits():
    tree = {
        "a": [1, 2.5, None, "text", True, (1, float("inf"))],
        3: torch.tensor(1.5),
        "b": {"c": np.arange(3, dtype=np.uint32), "d": torch.zeros(2, 0)},
    }
    again = from_bytes(to_bytes(tree))
    assert again["a"] == tree["a"]
    assert again[3].shape == ()
    assert again["b"]["c"].dtype == np.uint32
    assert again["b"]["d"].shape == (2, 0)


class Stop(skorch.callbacks.Callback):
    """The power fails in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == self.epoch and training:
            raise KeyboardInterrupt


@pytest.mark.parametrize("optimizer", ["adam", "layerwise_adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("lr_schedule", ["plateau", "onecycle"])
def test_an_interrupted_training_ends_with_the_same_bits(
    optimizer, lr_schedule, tmp_path
):
    X, y = curve()
    params = PARAMS | {"optimizer": optimizer, "lr_schedule": lr_schedule}
    if optimizer == "lbfgs":
        params |= {"dropout": 0.0, "max_epochs": 6}
    whole = quick(**params).fit(X, y)
    often = {"callbacks__checkpoint__seconds": 0}
    path = tmp_path / "state"
    for epoch in (3, 5):
        broken = quick(**params, checkpoint=path)
        broken.set_params(net_params=often | {"callbacks": [Stop(epoch)]})
        with pytest.raises(KeyboardInterrupt):
            broken.fit(X, y)
        # the callback that fails is no part of the training
        state = unsealed(path.read_bytes(), path)
        assert len(state["history"]) == epoch - 1
    resumed = quick(**params, checkpoint=path, net_params=often).fit(X, y)
    assert same_bits(resumed, whole)
    for name in ("train_loss", "valid_loss", "lr"):
        assert resumed.history_[name] == whole.history_[name]
    assert resumed.best_epoch_ == whole.best_epoch_
    at_once = quick(**params, checkpoint=path, net_params=often).fit(X, y)
    assert same_bits(at_once, whole)


def test_an_unseeded_training_goes_on_with_its_own_seed(tmp_path):
    X, y = curve()
    path = tmp_path / "state"
    params = PARAMS | {"random_state": None, "checkpoint": path}
    first = quick(**params).fit(X, y)
    assert same_bits(quick(**params).fit(X, y), first)
    path.unlink()
    assert not same_bits(quick(**params).fit(X, y), first)


def test_checkpoints_of_other_trainings_are_refused(tmp_path):
    X, y = curve()
    path = tmp_path / "state"
    quick(max_epochs=2, checkpoint=path).fit(X, y)
    with pytest.raises(ValueError, match="another training: its data differs"):
        quick(max_epochs=2, checkpoint=path).fit(X, y + X[:, 0])
    with pytest.raises(
        ValueError, match=r"seed differs, lr was None and is 0\.1\. Name"
    ):
        quick(max_epochs=2, random_state=1, lr=0.1, checkpoint=path).fit(X, y)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="is no checkpoint of a network: delete it"):
        quick(max_epochs=2, checkpoint=path).fit(X, y)


SPLITS = {
    "none": {},
    "validation": {"validation": [0, 1]},
    "other": {"validation": [2, 3, 4]},
    "groups": {"groups": np.arange(60) // 6},
    "more groups": {"groups": np.arange(60) // 3},
    "weights": {"sample_weight": 1.0 + np.arange(60) / 60},
}


def test_every_argument_of_fit_tells_a_checkpoint_from_others(tmp_path):
    X, y = curve()
    for name, split in SPLITS.items():
        quick(max_epochs=1, checkpoint=tmp_path / name).fit(X, y, **split)
    for name in SPLITS:
        for other, split in SPLITS.items():
            model = quick(max_epochs=1, checkpoint=tmp_path / name)
            if name == other:
                model.fit(X, y, **split)
                continue
            with pytest.raises(ValueError, match=r"another training: its .* differs"):
                model.fit(X, y, **split)
    same = np.isin(np.arange(60), [0, 1])  # the same set as a mask
    quick(max_epochs=1, checkpoint=tmp_path / "validation").fit(X, y, validation=same)


@pytest.mark.parametrize("schedule", ["plateau", None])
def test_a_finished_training_goes_on_for_more_epochs(schedule, tmp_path):
    """To the bits of a training that was as long from the start."""
    X, y = curve()
    path = tmp_path / "state"
    params = PARAMS | {"lr_schedule": schedule}
    quick(**params | {"max_epochs": 3}, checkpoint=path).fit(X, y)
    longer = quick(**params | {"max_epochs": 6}, checkpoint=path).fit(X, y)
    assert same_bits(longer, quick(**params | {"max_epochs": 6}).fit(X, y))
    assert longer.n_epochs_ == 6
    with pytest.raises(ValueError, match="has 6 epochs behind it, and max_epochs is 5"):
        quick(**params | {"max_epochs": 5}, checkpoint=path).fit(X, y)


def test_a_training_that_stopped_by_itself_has_no_more_epochs(tmp_path):
    X, y = curve()
    path = tmp_path / "state"
    params = PARAMS | {"patience": 1, "lr": 0.3, "checkpoint": path}
    first = quick(**params | {"max_epochs": 50}).fit(X, y)
    assert first.n_epochs_ < 50
    again = quick(**params | {"max_epochs": 90}).fit(X, y)
    assert again.n_epochs_ == first.n_epochs_
    assert same_bits(again, first)


@pytest.mark.parametrize(
    "params", [{"lr_schedule": "cosine"}, {"energy_weight": (1.0, 2.0)}], ids=repr
)
def test_what_was_laid_out_over_epochs_is_not_continued(params, tmp_path):
    X, y = curve()
    path = tmp_path / "state"
    quick(max_epochs=2, checkpoint=path, **params).fit(X, y)
    with pytest.raises(
        ValueError, match=r"=.* was laid out over max_epochs=2 .* warm_"
    ):
        quick(max_epochs=3, checkpoint=path, **params).fit(X, y)
    quick(max_epochs=2, checkpoint=path, **params).fit(X, y)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "state"
    quick(hidden_layers=(4,), max_epochs=2, ema=0.9, checkpoint=path).fit(*curve())
    return path.read_bytes()


def test_no_flipped_bit_of_a_checkpoint_goes_unnoticed(checkpoint, tmp_path):
    path = tmp_path / "state"
    rng = np.random.default_rng(0)
    for place in [*range(60), *rng.integers(0, len(checkpoint), 200)]:
        damaged = bytearray(checkpoint)
        damaged[place] ^= 1 << rng.integers(8)
        with pytest.raises(ValueError, match=r"delete it, or name another file"):
            unsealed(bytes(damaged), path)
    for size in (0, 10, 40, len(checkpoint) - 1):
        with pytest.raises(ValueError, match=r"checkpoint.*: delete it"):
            unsealed(checkpoint[:size], path)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.clear(),
        lambda state: state.pop("history"),
        lambda state: state.update(parameters=[]),
        lambda state: state.update(parameters={"lr": None}, max_epochs="many"),
        lambda state: state["module"].popitem(),
        lambda state: state.update(callbacks={"nobody": {}}),
        lambda state: state.update(seed=None, optimizer={}),
        lambda state: state["optimizer"]["state"][0].update(exp_avg=torch.zeros(1, 2)),
        lambda state: state.update(
            order=("MT19937", np.ones(624, "u4"), 10**9, 0, 0.0)
        ),
    ],
)
def test_forged_states_with_right_checksums_are_refused(change, checkpoint, tmp_path):
    path = tmp_path / "state"
    state = unsealed(checkpoint, path)
    change(state)
    path.write_bytes(sealed(state))
    with pytest.raises(ValueError, match="checkpoint") as caught:
        quick(hidden_layers=(4,), max_epochs=3, ema=0.9, checkpoint=path).fit(*curve())
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_other_bytes_is_refused(tmp_path):
    import hashlib

    from skatom._training.checkpoint import BEGINNING

    for content in (b"", b"x" * 50, to_bytes([1, 2])):
        data = BEGINNING + hashlib.sha256(content).digest() + content
        with pytest.raises(ValueError, match="no checkpoint of a network, though it"):
            unsealed(data, tmp_path / "state")


TRAIN = """
import sys, numpy as np
from skatom.models import NeuralNetworkRegressor
X = np.random.default_rng(0).uniform(-1, 1, (60, 3))
y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] - 5.0
NeuralNetworkRegressor(
    (16, 16), max_epochs=4000, dropout=0.1, ema=0.9, patience=None, random_state=3,
    checkpoint=sys.argv[1], net_params={"callbacks__checkpoint__seconds": 0},
).fit(X, y)
"""


def test_a_killed_process_resumes_to_the_same_bits(tmp_path):
    """SIGKILL at a moment that nobody chose; the rest is done by this process."""
    path = tmp_path / "state"
    process = subprocess.Popen([sys.executable, "-c", TRAIN, str(path)])
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and len(unsealed(path.read_bytes(), path)["history"]) > 5:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reached = len(unsealed(path.read_bytes(), path)["history"])
    assert 5 < reached < 4000
    # what the killed process would have come to: run it in memory to the same epoch
    X, y = curve()
    params = {
        "hidden_layers": (16, 16), "max_epochs": 4000, "dropout": 0.1, "ema": 0.9,
        "patience": None, "random_state": 3,
    }  # fmt: skip
    end = reached + 10
    stop = {"callbacks": [EndAfter(end)]}
    whole = quick(**params, net_params=stop).fit(X, y)
    killed = quick(**params, checkpoint=path, net_params=stop)
    assert same_bits(killed.fit(X, y), whole)
    assert len(killed.history_["lr"]) == end


class EndAfter(skorch.callbacks.Callback):
    """End the training in good order."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        from skatom._training.callbacks import StopTraining

        if len(net.history) == self.epoch:
            raise StopTraining


# -- in scikit-learn's tools -----------------------------------------------------------


def test_architecture_and_optimizer_are_searched_together():
    X, y = curve(90)
    grid = [
        {"hidden_layers": [(2,), (16, 16)], "optimizer": ["adam", "layerwise_adam"]},
        {"hidden_layers": [(8, 8)], "activation": [["silu", "tanh"]]},
    ]
    search = GridSearchCV(quick(max_epochs=15, lr=1e-2), grid, cv=2).fit(X, y)
    assert search.best_params_["hidden_layers"] != (2,)
    assert search.best_estimator_.score(X, y) > 0.8


def test_voting_and_bagging_average_networks():
    X, y = curve(90)
    members = [(str(s), quick(random_state=s, max_epochs=5)) for s in range(2)]
    vote = VotingRegressor(members).fit(X, y)
    means = np.mean([m.predict(X) for m in vote.estimators_], axis=0)
    np.testing.assert_allclose(vote.predict(X), means, rtol=1e-12)
    bag = BaggingRegressor(quick(max_epochs=30, lr=1e-2), 3, random_state=0).fit(X, y)
    assert bag.score(X, y) > 0.8
    assert not same_bits(*bag.estimators_[:2])


def test_workers_keep_to_their_threads():
    from joblib import Parallel, delayed

    counts = Parallel(n_jobs=2)(delayed(threads_in_training)() for _ in range(2))
    assert counts == [1, 1]


def threads_in_training():
    seen = []

    class Look(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(torch.get_num_threads())

    quick(max_epochs=1, net_params={"callbacks": [Look()]}).fit(*curve())
    return seen[0]


# -- several processes -----------------------------------------------------------------

DISTRIBUTED = """
import sys, numpy as np, torch, torch.distributed as dist
from accelerate import Accelerator
from skatom.models import NeuralNetworkRegressor
accelerator = Accelerator(cpu=True)
X = np.random.default_rng(0).uniform(-1, 1, (61, 3))
y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] - 5.0
model = NeuralNetworkRegressor(
    (16,), max_epochs=5, random_state=3, dtype="float64", validation_fraction=0.1
).fit(X, y)
np.save(f"{sys.argv[1]}/{accelerator.process_index}", model.predict(X))
"""


@pytest.mark.slow
def test_two_processes_of_accelerate_train_like_one(tmp_path):
    pytest.importorskip("accelerate")
    script = tmp_path / "train.py"
    script.write_text(DISTRIBUTED)
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--master-port", "29517", str(script), str(tmp_path),
        ],
        check=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    X = np.random.default_rng(0).uniform(-1, 1, (61, 3))
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] - 5.0
    alone = quick(max_epochs=5, random_state=3, dtype="float64").fit(X, y)
    both = [np.load(tmp_path / f"{k}.npy") for k in range(2)]
    assert np.array_equal(*both)
    # sums in another order
    np.testing.assert_allclose(both[0], alone.predict(X), rtol=1e-9)
