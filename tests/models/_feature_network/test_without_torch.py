"""Networks without torch give torch's numbers, of the weights that torch has now."""

from copy import deepcopy
from itertools import product

import numpy as np
import pytest
import torch

from skatom.models import NeuralNetworkRegressor
from skatom.models._feature_network import prediction, without_torch
from skatom.models._feature_network.element_scaling import ElementScaling
from skatom.models._feature_network.modules import AtomicNetworks
from skatom.models._feature_network.without_torch import plain_networks

SMOOTH = ("tanh", "sigmoid", "silu", "gelu", "softplus")
ARCHITECTURE = {
    "n_features": 7,
    "n_elements": 3,
    "n_outputs": 1,
    "hidden_layers": (9, 9),
    "activations": ("tanh", "tanh"),
    "networks": "per_element",
    "residual": False,
    "batch_norm": False,
    "dropout": 0.0,
    "initialization": "xavier",
    "frozen_layers": 0,
    "seed": 0,
    "dtype": torch.float64,
}
# the second element is absent; large values reach the linear part of softplus
NUMBERS = np.array([8, 1, 1, 8, 8, 1])
VALUES = np.random.default_rng(0).normal(scale=9.0, size=(6, 7))
ELEMENTS = np.array([1, 6, 8])
SCALING = ElementScaling(
    ELEMENTS, np.random.default_rng(1).normal(size=(3, 7)), np.array([0.7, 1.0, 1.4])
)


def networks(**changes):
    module = AtomicNetworks(**ARCHITECTURE | changes).eval()
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in module.parameters():
            weights += torch.randn(weights.shape, generator=rng, dtype=weights.dtype)
    return module


def by_torch(monkeypatch, module, values=VALUES, numbers=NUMBERS):
    with monkeypatch.context() as patch:
        patch.setattr(without_torch, "ATOMS_WORTH_TORCH", -1)
        assert plain_networks(module, SCALING, len(values)) is None
        return (
            prediction.contributions(module, SCALING, values, numbers),
            *prediction.with_gradient(module, SCALING, values, numbers),
        )


def require_equal(module, monkeypatch):
    rows, again, gradient = by_torch(monkeypatch, module)
    plain = plain_networks(module, SCALING, len(VALUES))
    found, slopes = plain.with_gradient(VALUES, NUMBERS)
    scale, steepest = np.abs(rows).max(), np.abs(gradient).max()
    np.testing.assert_allclose(found, rows, rtol=1e-12, atol=1e-12 * scale)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-12, atol=1e-12 * steepest)
    np.testing.assert_array_equal(found, plain.contributions(VALUES, NUMBERS))
    np.testing.assert_array_equal(rows, again)


@pytest.mark.parametrize(
    ("activation", "kind", "residual"),
    list(product(SMOOTH, ("per_element", "single", "trunk"), (False, True))),
)
def test_values_and_gradients_are_those_of_torch(
    activation, kind, residual, monkeypatch
):
    module = networks(
        activations=(activation, "tanh"), networks=kind, residual=residual
    )
    require_equal(module, monkeypatch)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_layers": (), "activations": ()},
        {"hidden_layers": (5, 3, 3), "activations": ("gelu", "silu", "tanh")},
        {"n_outputs": 4},
        {"dropout": 0.5},
    ],
)
def test_other_shapes_too(changes, monkeypatch):
    require_equal(networks(**changes), monkeypatch)


@pytest.mark.parametrize(
    "changes",
    [{"batch_norm": True}, {"n_outputs": 2, "n_spreads": 1}, {"dtype": torch.float32}],
)
def test_what_has_no_rule_is_left_to_torch(changes):
    module = AtomicNetworks(**ARCHITECTURE | changes).eval()
    assert plain_networks(module, SCALING, 3) is None


def test_activations_with_other_parameters_are_left_to_torch():
    module = networks(activations=("tanh", "gelu"))
    assert plain_networks(module, SCALING, 3) is not None
    other = deepcopy(module)
    for stack in other.stacks:
        stack[1].activation = torch.nn.GELU(approximate="tanh")
    assert plain_networks(other, SCALING, 3) is None
    for stack in other.stacks:
        stack[1].activation = torch.nn.ReLU()
    assert plain_networks(deepcopy(other), SCALING, 3) is None


def test_units_left_out_for_good_are_left_to_torch():
    module = networks(dropout=0.5)
    assert plain_networks(prediction.thinned(module, 0), SCALING, 3) is None


def test_dropout_at_work_is_that_of_torch():
    module = networks(dropout=0.5)
    drawn = prediction.dropped_contributions(
        module, VALUES, np.array([2, 0, 0, 2, 2, 0]), 3, seed=0
    )
    assert (np.ptp(drawn, axis=0) > 0).all()


def test_many_atoms_are_faster_in_torch():
    module = networks()
    most = without_torch.ATOMS_WORTH_TORCH
    assert plain_networks(module, SCALING, most) is plain_networks(module, SCALING, 1)
    assert plain_networks(module, SCALING, most + 1) is None


def test_no_atoms_contribute_nothing():
    rows, gradient = prediction.with_gradient(
        networks(), SCALING, VALUES[:0], NUMBERS[:0]
    )
    assert rows.shape == (0, 1)
    assert gradient.shape == (0, 7)


# -- weights that change ---------------------------------------------------------------


def test_weights_written_in_place_are_seen(monkeypatch):
    module = networks()
    require_equal(module, monkeypatch)
    with torch.no_grad():
        module.heads[0].weight += 1.0
    require_equal(module, monkeypatch)
    module.load_state_dict(networks(seed=5).state_dict())
    require_equal(module, monkeypatch)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_weights_put_in_place_of_others_are_seen(name, monkeypatch):
    module = networks()
    require_equal(module, monkeypatch)
    old = getattr(module.stacks[2][1].linear, name)
    setattr(module.stacks[2][1].linear, name, torch.nn.Parameter(2.0 * old.detach()))
    require_equal(module, monkeypatch)


def test_a_module_on_its_way_to_training_and_back_is_seen(monkeypatch):
    module = networks()
    require_equal(module, monkeypatch)
    module.to(torch.float32)
    assert plain_networks(module, SCALING, 6) is None
    with torch.no_grad():
        module.heads[2].bias += 1.0
    module.to(torch.float64)
    require_equal(module, monkeypatch)


def test_a_copy_has_weights_of_its_own(monkeypatch):
    module = networks()
    plain_networks(module, SCALING, 6)
    copy = deepcopy(module)
    with torch.no_grad():
        copy.heads[0].bias += 1.0
    require_equal(copy, monkeypatch)
    require_equal(module, monkeypatch)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fits_that_go_on_are_seen_by_predictions(dtype, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = np.sin(X).sum(axis=1)
    model = NeuralNetworkRegressor(
        (8,), max_epochs=2, dtype=dtype, random_state=0, validation_fraction=0.0
    )

    def both(model):
        with monkeypatch.context() as patch:
            patch.setattr(without_torch, "ATOMS_WORTH_TORCH", -1)
            slow = model.predict(X), model.feature_gradient(X)
        fast = model.predict(X), model.feature_gradient(X)
        for a, b in zip(fast, slow):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())
        return fast[0]

    first = both(model.fit(X, y))
    further = both(model.partial_fit(X, y))
    again = both(model.partial_fit(X, y))
    warm = both(model.set_params(warm_start=True).fit(X, y))
    predictions = [first, further, again, warm]
    assert all((a != b).any() for a, b in zip(predictions, predictions[1:]))
    copy = deepcopy(model)
    np.testing.assert_array_equal(both(copy), warm)
    copy.partial_fit(X, y)
    assert (both(copy) != warm).any()
    np.testing.assert_array_equal(both(model), warm)


def test_networks_that_nobody_holds_are_forgotten():
    module = networks()
    plain_networks(module, SCALING, 6)
    n_known = len(without_torch._KNOWN)
    del module
    assert len(without_torch._KNOWN) == n_known - 1
