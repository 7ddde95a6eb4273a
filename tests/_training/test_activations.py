"""Every elementwise activation of torch learns energies, the smooth ones forces."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import numpy as np
import pytest
from ase.build import molecule
from conftest import labelled, rattled
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from skatom import predict_forces
from skatom._training.activations import activations, is_smooth, make_activation
from skatom.featurizers import ACSF
from skatom.models import NeuralNetworkRegressor, PaiNNRegressor, SchNetRegressor
from skatom.potential import make_potential
from skatom.store import FeatureStore
from skatom.structures import read_energies

SMOOTH = {
    "gelu", "logsigmoid", "mish", "shifted_softplus", "sigmoid", "silu", "softplus",
    "tanh", "tanhshrink",
}  # fmt: skip
KINKED = {
    "celu", "elu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "prelu", "relu", "relu6", "selu", "softshrink", "softsign",
}  # fmt: skip
QUICK = {
    "max_epochs": 3, "dtype": "float64", "random_state": 0, "lr": 1e-2,
    "validation_fraction": 0,
}  # fmt: skip


def network(activation, **params):
    return NeuralNetworkRegressor((6, 6), activation=activation, **{**QUICK, **params})


def on_features(activation, **params):
    return make_potential(
        ACSF(r_cut=4.0, n_radial=3, g4=None), network(activation, **params)
    )


def on_structures(activation, cls=SchNetRegressor, **params):
    tiny = {"n_features": 6, "n_interactions": 2, "n_basis": 6, "r_cut": 4.0}
    return cls(**tiny, activation=activation, **{**QUICK, **params})


@pytest.fixture(scope="module")
def waters():
    return [labelled(rattled(molecule("H2O"), seed=s)) for s in range(6)]


def test_torch_has_these():
    """Further ones of another torch are welcome, and belong here."""
    assert set(activations()) == SMOOTH | KINKED
    assert {name for name in activations() if is_smooth(name)} == SMOOTH


@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_smooth_ones_have_second_derivatives(name):
    where = [-7.5, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0]  # where kinks would be
    x = torch.tensor(where, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(make_activation(name), x)


def test_hardsigmoid_is_that_of_torch():
    x = torch.linspace(-5, 5, 41, dtype=torch.float64)
    found = make_activation("hardsigmoid")(x)
    torch.testing.assert_close(found, torch.nn.functional.hardsigmoid(x))


@pytest.mark.parametrize("make", [on_features, on_structures])
@pytest.mark.parametrize("name", sorted(SMOOTH | KINKED))
def test_all_learn_energies(name, make, waters):
    model = make(name, forces=None, max_epochs=8).fit(waters, read_energies(waters))
    losses = getattr(model, "steps", [(None, model)])[-1][1].history_["train_loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("make", [on_features, on_structures])
@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_forces_of_smooth_ones_are_slopes(name, make, waters):
    model = make(name).fit(waters, read_energies(waters))
    direction = np.random.default_rng(0).normal(size=(3, 3))
    ahead, behind = waters[0].copy(), waters[0].copy()
    h = 3e-5
    ahead.positions += h * direction
    behind.positions -= h * direction
    first, last = model.predict([behind, ahead])
    found = -np.sum(predict_forces(model, waters[:1])[0] * direction)
    assert abs(found) > 1e-3
    assert_allclose(found, (last - first) / (2 * h), rtol=1e-6)


@pytest.mark.parametrize(
    "make", [on_features, on_structures, lambda n: on_structures(n, PaiNNRegressor)]
)
@pytest.mark.parametrize("name", sorted(KINKED))
def test_kinks_are_refused_where_forces_are_trained(name, make, waters):
    with pytest.raises(
        ValueError, match=f"activation='{name}' has kinks.*gelu, logsig"
    ):
        make(name).fit(waters, read_energies(waters))


def test_a_network_with_kinks_does_not_go_on_with_forces(waters):
    X, y = ACSF(r_cut=4.0).fit_transform(waters), read_energies(waters)
    model = network(["tanh", "relu"], forces=None, warm_start=True).fit(X, y)
    model.set_params(activation="tanh", forces="auto")
    with pytest.raises(ValueError, match="activation='relu' has kinks"):
        model.fit(X, y)


def test_a_store_with_forces_refuses_kinks(waters, tmp_path):
    store = FeatureStore(tmp_path / "features", ACSF(r_cut=4.0).fit(waters))
    store.extend(waters)
    with pytest.raises(ValueError, match="activation='celu' has kinks"):
        network("celu").fit(store, store.energies)
    assert network("celu", forces=None).fit(store, store.energies).n_epochs_ == 3


@pytest.mark.parametrize("name", sorted(SMOOTH | KINKED))
def test_latent_features_can_be_differentiated(name, waters):
    X = ACSF(r_cut=4.0, n_radial=3, g4=None).fit_transform(waters)
    model = network(name, forces=None).fit(X, read_energies(waters))
    v = np.random.default_rng(0).normal(size=X.values.shape)
    h = 1e-6
    ahead, behind = (X.values + sign * h * v for sign in (1, -1))
    moved = [model.latent(X.transformed(None, values)) for values in (behind, ahead)]
    found = model.latent_pushforward(X.values, X.numbers, v)
    assert_allclose(found, (moved[1] - moved[0]) / (2 * h), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("make", [on_features, on_structures])
def test_other_names_are_refused(make, waters):
    with pytest.raises(ValueError, match=r"'gleu', which is none of .*mean 'gelu'\?"):
        make("gleu").fit(waters, read_energies(waters))
