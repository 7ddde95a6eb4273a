"""Parameters of training stand in one place and reach every estimator with a network."""

import subprocess
import sys
from dataclasses import fields
from inspect import signature

import pytest
from sklearn.base import clone

from skatom._training.front import FRONT_CONSTRAINTS, Front
from skatom.models import (
    MessagePassingRegressor,
    NeuralNetworkRegressor,
    PaiNNRegressor,
    SchNetRegressor,
)

ON_STRUCTURES = [SchNetRegressor, PaiNNRegressor, MessagePassingRegressor]
NETWORKS = [NeuralNetworkRegressor, *ON_STRUCTURES]
SHARED = {field.name: field.default for field in fields(Front)}


@pytest.mark.parametrize("cls", NETWORKS)
def test_every_network_is_trained_by_the_same_parameters(cls):
    parameters = signature(cls).parameters
    assert set(SHARED) == set(FRONT_CONSTRAINTS)
    assert set(SHARED) <= set(parameters)
    assert set(parameters) == set(cls._parameter_constraints)
    own = {"lr", "max_epochs", "patience"} if cls in ON_STRUCTURES else set()
    different = {n for n in SHARED if parameters[n].default != SHARED[n]}
    assert different == own


@pytest.mark.parametrize("cls", NETWORKS)
def test_only_the_first_parameter_goes_without_its_name(cls):
    kinds = [p.kind for p in signature(cls).parameters.values()]
    first = next(iter(signature(cls).parameters))
    assert first in ("hidden_layers", "n_features", "module")
    assert kinds.count(kinds[0]) == 1
    with pytest.raises(TypeError, match="but 3 were given"):
        cls(object, 1)


def test_init_stores_arguments_and_clones_are_equal():
    layers = [3, 4]
    model = NeuralNetworkRegressor(layers, lr=0.1)
    assert model.hidden_layers is layers
    assert set(vars(model)) == set(model.get_params())
    assert clone(model).get_params() == model.get_params()
    assert len({model, clone(model)}) == 2  # objects, not values
    assert repr(model) == "NeuralNetworkRegressor(hidden_layers=[3, 4], lr=0.1)"


def test_training_does_not_import_the_compiler():
    """Which takes as long as importing torch itself."""
    pytest.importorskip("torch")
    pytest.importorskip("skorch")
    code = (
        "import sys; from skatom.models import NeuralNetworkRegressor as N\n"
        "for kind in ('adam', 'adamw', 'layerwise_adam'):\n"
        "    N((2,), optimizer=kind, max_epochs=1).fit([[0], [1], [2]], [0, 1, 3])\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
