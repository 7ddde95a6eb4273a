"""Tensors of molecules: learned, turned with the molecule, refused where they are none."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from numpy.testing import assert_allclose
from sklearn.pipeline import make_pipeline

from skatom.featurizers import ACSF
from skatom.models import NeuralNetworkRegressor, PaiNNRegressor
from skatom.uncertainty import EnsembleRegressor

pytest.importorskip("torch")
pytest.importorskip("skorch")

FIRST, SECOND = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]  # xx yy zz yz xz xy


def rattled(names):
    frames = [molecule(name) for name in names]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=seed)
    return frames


def polarizability(atoms):
    """Isotropic parts by element, and charges that are pushed outwards."""
    r, z = atoms.positions - atoms.get_center_of_mass(), atoms.numbers
    tensor = 0.3 * z.sum() * np.eye(3) + np.einsum("i,ia,ib->ab", 0.1 + 0.02 * z, r, r)
    return tensor[FIRST, SECOND]


def square(six):
    tensor = np.zeros((3, 3))
    tensor[FIRST, SECOND] = tensor[SECOND, FIRST] = six
    return tensor


FRAMES = rattled(["H2O", "NH3", "CH4", "CH3OH"] * 4)
Y = np.array([polarizability(atoms) for atoms in FRAMES])


def networks(**params):
    common = {"target": "polarizability", "random_state": 0, "lr": 1e-2, **params}
    feed_forward = NeuralNetworkRegressor((8,), **common)
    return [
        make_pipeline(ACSF(4.0, n_radial=3, n_angular=1), feed_forward),
        PaiNNRegressor(n_features=4, n_interactions=1, n_basis=4, **common),
    ]


def test_tensors_are_learned():
    settings = {"max_epochs": 200, "patience": None, "validation_fraction": 0.0}
    model = networks(**settings)[0].fit(FRAMES, Y)
    errors = np.sqrt(np.mean((model.predict(FRAMES) - Y) ** 2, axis=0))
    assert (errors < 0.2 * Y.std(axis=0)).all()


@pytest.mark.parametrize("k", [0, 1])
def test_tensors_turn_with_the_molecule(k):
    model = networks(max_epochs=2)[k].fit(FRAMES, Y)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = FRAMES[3].copy()
    turned.positions = turned.positions @ rotation.T + 5.0
    before, after = model.predict([FRAMES[3], turned])
    expected = rotation @ square(before) @ rotation.T
    assert_allclose(square(after), expected, rtol=0, atol=1e-10)
    assert np.abs(before[3:]).max() > 1e-3
    assert model.predict([]).shape == (0, 6)


def test_ensembles_average_tensors():
    model = EnsembleRegressor(networks(max_epochs=2)[0], 2, diversity="seeds")
    mean, std = model.fit(FRAMES, Y).predict(FRAMES[:3], return_std=True)
    X = model.features_.transform(FRAMES[:3])
    members = np.array([one.predict(X) for one in model.estimators_])
    assert_allclose(mean, members.mean(axis=0), rtol=1e-12)
    assert_allclose(std, members.std(axis=0, ddof=1), rtol=1e-9)


def test_what_is_no_tensor_of_a_molecule_is_refused():
    model = networks(max_epochs=1)[0]
    with pytest.raises(ValueError, match="needs the six numbers xx yy zz yz xz xy"):
        model.fit(FRAMES, Y[:, :3])
    with pytest.raises(ValueError, match="Structures 0, 1 are periodic"):
        model.fit([bulk("Cu")] * 2, np.zeros((2, 6)))
