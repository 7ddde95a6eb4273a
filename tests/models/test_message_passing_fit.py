"""Networks of structures as estimators: training, tools of scikit-learn, own modules."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
import io
import pickle
import zipfile

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.optimize import BFGS
from conftest import labelled, rattled
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

torch = pytest.importorskip("torch")

from skatom import SkatomCalculator, predict_forces, predict_stress
from skatom.features import NoDerivativeError
from skatom.models import MessagePassingRegressor, PaiNNRegressor, SchNetRegressor
from skatom.persistence import load, save
from skatom.uncertainty import ConformalRegressor

TINY = {"n_features": 8, "n_interactions": 2, "n_basis": 8, "r_cut": 4.0}
REGRESSORS = [SchNetRegressor, PaiNNRegressor]


class Springs(torch.nn.Module):
    """Harmonic bonds, cut off smoothly, with one stiffness for all."""

    def __init__(self, r_cut, numbers, n_outputs, seed, length=1.0):
        super().__init__()
        self.r_cut, self.length = r_cut, length
        self.stiffness = torch.nn.Parameter(torch.ones(1))

    def forward(self, batch):
        r = batch.distances()
        u = self.stiffness * (r - self.length) ** 2 * (1 - r / self.r_cut) ** 2
        return 0.5 * batch.pairs.scatter(u, u)


def ethanols(n=20):
    return [labelled(rattled(molecule("CH3CH2OH"), seed=s)) for s in range(n)]


def crystals(n=12):
    frames = []
    for s in range(n):
        atoms = bulk("Cu", "fcc", a=3.5 + 0.02 * s) * (2, 1, 1)
        frames.append(labelled(rattled(atoms, seed=s), stress=True))
    return frames


def energies(frames):
    return np.array([atoms.get_potential_energy() for atoms in frames])


def force_error(model, frames):
    found = np.concatenate(predict_forces(model, frames))
    return np.abs(found - np.concatenate([a.get_forces() for a in frames])).mean()


@pytest.mark.parametrize("cls", REGRESSORS)
def test_forces_are_learned(cls):
    frames = ethanols(24)
    model = cls(**TINY, max_epochs=60, lr=2e-2, lr_schedule="cosine", random_state=0)
    model.fit(frames[:20], energies(frames[:20]))
    size = np.abs(np.concatenate([a.get_forces() for a in frames[20:]])).mean()
    assert force_error(model, frames[20:]) < 0.5 * size
    assert model.n_epochs_ == len(model.history_["valid_force_mae"]) == 60


@pytest.mark.parametrize("cls", REGRESSORS)
def test_stress_is_learned(cls):
    frames = crystals()
    settings = {
        "lr": 5e-3,
        "lr_schedule": "cosine",
        "random_state": 0,
        "max_epochs": 60,
    }
    model = cls(**TINY, **settings, stress="auto", stress_weight=1.0)
    model.fit(frames, energies(frames))
    stored = np.array([a.get_stress() for a in frames])
    error = np.abs(predict_stress(model, frames) - stored).mean()
    assert error < 0.5 * np.abs(stored - stored.mean(axis=0)).mean()


def test_a_module_of_ones_own_is_trained_with_forces_and_runs_in_a_calculator():
    rng = np.random.default_rng(0)
    frames, stiffness, r_cut = [], 3.0, 3.0
    for _ in range(10):
        r = rng.uniform(0.7, 1.6)
        atoms = Atoms("H2", positions=[[0, 0, 0], [r, 0, 0]])
        u = stiffness * (r - 1.0) ** 2 * (1 - r / r_cut) ** 2
        slope = stiffness * (
            2 * (r - 1.0) * (1 - r / r_cut) ** 2
            - 2 * (r - 1.0) ** 2 * (1 - r / r_cut) / r_cut
        )
        atoms.info["energy"] = u
        atoms.arrays["forces"] = np.array([[slope, 0, 0], [-slope, 0, 0]])
        frames.append(atoms)
    model = MessagePassingRegressor(
        Springs, r_cut=r_cut, max_epochs=100, lr=0.5, lr_schedule="cosine",
        energy_weight=0.0, dtype="float64", validation_fraction=0, random_state=0,
    )  # fmt: skip
    model.fit(frames, [atoms.info["energy"] for atoms in frames])
    assert_allclose(model.net_.module_.inner.stiffness.item() * model.scale_, 3.0, 1e-2)
    atoms = Atoms("H2", positions=[[0, 0, 0], [0.8, 0, 0]], calculator=None)
    atoms.calc = SkatomCalculator(model)
    BFGS(atoms, logfile=None).run(fmax=1e-4)
    assert_allclose(atoms.get_distance(0, 1), 1.0, rtol=1e-3)


def test_a_module_without_latent_says_so():
    frames = [molecule("H2"), molecule("H2O")]
    model = MessagePassingRegressor(Springs, max_epochs=1).fit(frames, [-6.0, -14.0])
    with pytest.raises(
        TypeError, match="Springs of MessagePassingRegressor does not say"
    ):
        model.latent(frames)


@pytest.mark.parametrize("cls", REGRESSORS)
def test_latents_span_the_energies_of_atoms(cls):
    frames = ethanols(6)
    model = cls(**TINY, max_epochs=2, random_state=0).fit(frames, energies(frames))
    latent = model.latent(frames)
    atoms = np.concatenate(model.predict_atomic_energies(frames))
    hot = np.concatenate([a.numbers for a in frames])[:, None] == model.numbers_
    design = np.hstack([latent, hot])
    left = atoms - design @ np.linalg.lstsq(design, atoms, rcond=None)[0]
    assert_allclose(left, 0.0, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cls", REGRESSORS)
def test_a_pickle_predicts_the_same_bits(cls):
    frames = ethanols(6)
    model = cls(**TINY, max_epochs=2, random_state=0).fit(frames, energies(frames))
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.predict(frames), model.predict(frames))
    again = clone(model).fit(frames, energies(frames))
    assert np.array_equal(again.predict(frames), model.predict(frames))


@pytest.mark.parametrize("cls", REGRESSORS)
def test_a_file_names_no_private_module(cls, tmp_path):
    pytest.importorskip("skops")
    frames = ethanols(6)
    model = cls(**TINY, max_epochs=1, random_state=0).fit(frames, energies(frames))
    path = save(model, tmp_path / "model.skatom")
    with zipfile.ZipFile(path) as archive:
        body = io.BytesIO(archive.read("estimator.skops"))
    with zipfile.ZipFile(body) as archive:
        schema = archive.read("schema.json").decode()
    assert "_message_passing" not in schema
    assert np.array_equal(load(path).predict(frames), model.predict(frames))


def test_a_fitted_module_survives_a_changed_parameter():
    frames = ethanols(6)
    model = MessagePassingRegressor(Springs, max_epochs=1)
    expected = model.fit(frames, energies(frames)).predict(frames)
    model.set_params(module=torch.nn.Linear, module_params=None)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(frames), expected)


def test_a_search_finds_an_architecture_and_intervals_are_put_around_it():
    frames = ethanols(12)
    model = SchNetRegressor(**TINY, max_epochs=2, random_state=0)
    search = GridSearchCV(model, {"n_features": [4, 8]}, cv=2)
    wrapped = ConformalRegressor(search, calibration_size=4, random_state=0)
    wrapped.fit(frames, energies(frames))
    _, intervals = wrapped.predict_interval(frames[:2], confidence_level=0.5)
    assert (intervals[:, 1] > intervals[:, 0]).all()


def test_dipoles_follow_the_molecule():
    frames = [rattled(molecule("H2O"), seed=s) for s in range(12)]
    charge = {1: 0.3, 8: -0.6}
    moments = [np.array([charge[z] for z in a.numbers]) @ a.positions for a in frames]
    model = SchNetRegressor(
        **TINY, target="dipole", max_epochs=80, lr=1e-2, random_state=0
    )
    model.fit(frames, moments)
    turned = frames[0].copy()
    turned.rotate(90, "z", center=(1, 2, 3))
    expected = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]) @ model.predict(frames)[0]
    assert_allclose(model.predict([turned])[0], expected, rtol=0, atol=1e-6)
    assert np.abs(model.predict(frames) - moments).mean() < 0.05
    with pytest.raises(NoDerivativeError, match="predicts dipole in e·Å"):
        model.predict_forces(frames)


def test_means_over_atoms_do_not_grow_and_have_no_forces():
    frames = crystals(6)
    model = PaiNNRegressor(**TINY, target="mean", max_epochs=2, random_state=0)
    model.fit(frames, energies(frames) / 2)
    assert_allclose(
        model.predict([frames[0].repeat(2)]), model.predict(frames[:1]), rtol=1e-9
    )
    with pytest.raises(NoDerivativeError, match="property, a mean over atoms: forces"):
        model.predict_forces(frames)


def test_warm_starts_go_on_and_adapt_to_other_energies():
    frames = ethanols(8)
    y = energies(frames)
    model = SchNetRegressor(**TINY, max_epochs=3, warm_start=True, random_state=0)
    first = model.fit(frames, y).history_["train_loss"]
    assert model.fit(frames, y).history_["train_loss"][0] < first[0]
    model.set_params(warm_start="transfer", max_epochs=1, lr=1e-9)
    adapted = model.fit(frames, y + 7.0).predict(frames)
    assert_allclose(adapted.mean(), y.mean() + 7.0, rtol=1e-3)


def test_unseen_elements_and_contradictions_are_refused():
    frames = ethanols(4)
    y = energies(frames)
    model = SchNetRegressor(**TINY, max_epochs=1, random_state=0).fit(frames, y)
    with pytest.raises(
        ValueError, match="Structure 0, atom 0 is N, but SchNetRegressor"
    ):
        model.predict([molecule("NH3")])
    model.set_params(warm_start=True)
    with pytest.raises(ValueError, match="y has 2 columns, but the network"):
        model.fit(frames, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match="belong to one energy"):
        SchNetRegressor(target="mean").fit(frames, y, forces="calc")
    with pytest.raises(ValueError, match="energy_weight is 0"):
        SchNetRegressor(energy_weight=0.0, forces=None).fit(frames, y)


def test_no_structures_have_no_energies():
    frames = ethanols(4)
    model = SchNetRegressor(**TINY, max_epochs=1).fit(frames, energies(frames))
    assert model.predict([]).shape == (0,)
    assert model.predict_forces([]) == []
