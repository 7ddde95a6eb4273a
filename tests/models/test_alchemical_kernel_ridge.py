"""AlchemicalKernelRidge against kernel ridge, differences and hidden elements."""

import pickle
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from conftest import rattled
from differences import numerical_forces
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import Normalizer

from skatom.elements._channels import SpeciesChannels
from skatom.featurizers import ACSF, GMP, SOAP
from skatom.models import AlchemicalKernelRidge
from skatom.models._alchemical.pooled import mean_rows, pool_channels
from skatom.potential import make_potential
from skatom.preprocessing import AlchemicalCompression, AtomFeatureUnion, Pool

ELEMENTS = ["Li", "F", "Na", "Al", "Cl", "K", "Rb", "Br"]


def salts(n: int, seed: int = 0) -> tuple[list, np.ndarray]:
    """Rattled cells of six random elements; energies from one hidden number of each."""
    rng = np.random.default_rng(seed)
    hidden = dict(zip(ELEMENTS, np.random.default_rng(7).normal(size=8)))
    frames, y = [], []
    for _ in range(n):
        atoms = bulk("NaCl", "rocksalt", a=5.0, cubic=True)
        atoms.symbols = rng.choice(ELEMENTS, size=8)
        frames.append(rattled(atoms, seed=int(rng.integers(10**6))))
        q = np.array([hidden[s] for s in atoms.symbols])
        d = atoms.get_all_distances(mic=True) + 10 * np.eye(8)
        y.append(np.sum(np.outer(q, q) * np.exp(-d)) / 2 * 20)
    return frames, np.array(y)


@pytest.fixture(scope="module")
def data():
    frames, y = salts(90)
    return SOAP(4.0, n_max=3, l_max=2, species=ELEMENTS).fit_transform(frames), y


@pytest.mark.parametrize("n_steps", [0, 25])
def test_it_is_kernel_ridge_on_compressed_mean_features(data, n_steps):
    X, y = data
    model = AlchemicalKernelRidge(
        3, n_steps=n_steps, baseline="mean", alpha=1e-2, gamma=2.0, random_state=0
    ).fit(X[:60], y[:60])
    step = AlchemicalCompression(3, init=model.alchemical_components_)
    rows = Pool("mean").fit_transform(step.fit_transform(X))
    rows = Normalizer().fit_transform(rows)
    stock = KernelRidge(alpha=model.alpha_, kernel="rbf", gamma=model.gamma_)
    e, mean = y / 8, np.mean(y[:60] / 8)
    stock.fit(rows[:60], e[:60] - mean)
    np.testing.assert_allclose(
        model.predict(X[60:]), 8 * (stock.predict(rows[60:]) + mean), rtol=1e-8
    )
    assert (model.alpha_ == 1e-2) == (n_steps == 0)


@pytest.mark.parametrize("featurizer", ["SOAP", "ACSF", "union"])
def test_learning_contracts_as_the_compression_does(featurizer):
    """The tensors that are learned on, over present species only, and the sparse map."""
    torch = pytest.importorskip("torch")
    from skatom.models._alchemical.learning import contract

    frames = [rattled(molecule(n)) for n in ("CH3SH", "H2O", "CH4", "CH3OH")]
    acsf, soap = ACSF(4.0), SOAP(4.0, n_max=2, l_max=1)
    X = {
        "SOAP": soap,
        "ACSF": acsf,
        "union": AtomFeatureUnion([("a", acsf), ("g", GMP()), ("s", soap)]),
    }[featurizer].fit_transform(frames)
    channels = SpeciesChannels.from_columns(X.columns)
    pooled = pool_channels(X, channels)
    assert pooled.species.shape == (4, 3)  # at most three of H, C, O, S
    U = np.random.default_rng(0).normal(size=(4, 2))
    found = contract(
        [torch.from_numpy(p) for p in pooled], torch.from_numpy(U), channels
    )
    expected = mean_rows(X, channels.matrix(U))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_gradient_goes_through_the_solution(data):
    """One step of the couplings is downhill by central differences of the whole solve."""
    torch = pytest.importorskip("torch")
    from skatom.models._alchemical import learning

    X, y = data
    channels = SpeciesChannels.from_columns(X.columns)
    pooled = [torch.from_numpy(p) for p in pool_channels(X[:40], channels)]
    target = torch.from_numpy((y[:40] - y[:40].mean()) / y[:40].std())

    def loss(U, logs):
        rows = learning.contract(pooled, U, channels)
        rows = rows / rows.norm(dim=1, keepdim=True)
        return learning._held_out_error(rows, target, logs, 20)

    U = torch.tensor(np.random.default_rng(0).normal(size=(8, 2)), requires_grad=True)
    logs = torch.tensor([-4.0, 0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (U, logs), atol=1e-6, rtol=1e-4)
    slope = torch.autograd.grad(loss(U, logs), U)[0]
    assert slope.abs().max() > 1e-4


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.02), ("sgd", 0.2)])
def test_learned_couplings_beat_those_it_started_from(data, optimizer, rate):
    X, y = data
    how = {"optimizer": optimizer, "learning_rate": rate, "baseline": "mean"}
    fixed, learned = (
        AlchemicalKernelRidge(2, n_steps=n, **how, random_state=0) for n in (0, 150)
    )
    errors = [
        np.abs(m.fit(X[:60], y[:60]).predict(X[60:]) - y[60:]).mean()
        for m in (fixed, learned)
    ]
    assert errors[1] < 0.75 * errors[0]
    assert learned.losses_[-20:].mean() < 0.8 * learned.losses_[:5].mean()
    start = AlchemicalCompression(2).fit(X).alchemical_components_
    np.testing.assert_allclose(fixed.alchemical_components_, start, rtol=1e-12)
    assert not np.allclose(learned.alchemical_components_, start, atol=0.05)


def test_seeds_decide_and_global_generators_are_left_alone(data):
    torch = pytest.importorskip("torch")
    X, y = data
    torch.manual_seed(0)
    before = torch.random.get_rng_state()

    def fitted(seed):
        model = AlchemicalKernelRidge(2, n_steps=10, random_state=seed)
        return model.fit(X[:30], y[:30])

    first, again, other = fitted(0), fitted(0), fitted(1)
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
    assert not np.array_equal(first.losses_, other.losses_)
    assert torch.equal(before, torch.random.get_rng_state())


def test_forces_and_energies_of_atoms():
    frames, y = salts(20)
    model = make_potential(
        SOAP(4.0, n_max=3, l_max=2, species=ELEMENTS),
        AlchemicalKernelRidge(2, n_steps=5, random_state=0),
    ).fit(frames, y)
    forces = model.predict_forces(frames[:1])[0]
    np.testing.assert_allclose(
        forces, numerical_forces(model.predict, frames[0], 1e-3), rtol=1e-4, atol=1e-5
    )
    assert np.abs(forces).max() > 0.05
    atoms = model.predict_atomic_energies(frames[:3])
    np.testing.assert_allclose(
        [e.sum() for e in atoms], model.predict(frames[:3]), rtol=1e-10
    )
    assert np.ptp(atoms[0]) > 1e-3


def test_a_supercell_has_the_energy_of_its_cells():
    frames, y = salts(20)
    model = make_potential(
        SOAP(4.0, n_max=3, l_max=2, species=ELEMENTS),
        AlchemicalKernelRidge(2, n_steps=0),
    ).fit(frames, y)
    cell = frames[0]
    np.testing.assert_allclose(
        model.predict([cell * (2, 1, 1)]), 2 * model.predict([cell]), rtol=1e-9
    )


def test_it_is_searched_cloned_and_pickled():
    frames, y = salts(24)
    pipeline = make_potential(
        SOAP(4.0, n_max=2, l_max=1, species=ELEMENTS),
        AlchemicalKernelRidge(n_steps=3, random_state=0),
    )
    name = pipeline.steps[-1][0]
    search = GridSearchCV(pipeline, {f"{name}__n_components": [1, 2]}, cv=2)
    search.fit(frames, y)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(frames), search.predict(frames))
    assert clone(pipeline).fit(frames, y)[-1].alchemical_components_.shape == (4, 8)


def test_single_precision_is_read_a_few_rows_at_a_time(data):
    X, y = data
    models = [
        AlchemicalKernelRidge(2, n_steps=0).fit(Z[:60], y[:60])
        for Z in (X, X.astype(np.float32))
    ]
    np.testing.assert_allclose(
        models[1].predict(X.astype(np.float32)), models[0].predict(X), rtol=1e-3
    )


def test_progress_is_told_when_asked_for(data, capsys):
    X, y = data
    AlchemicalKernelRidge(2, n_steps=2, verbose=1).fit(X[:10], y[:10])
    assert "AlchemicalKernelRidge: 2 steps in" in capsys.readouterr().err


def test_features_without_species_are_refused():
    X = GMP().fit_transform([molecule("H2O"), molecule("CH4")])
    with pytest.raises(ValueError, match="No column is resolved by species"):
        AlchemicalKernelRidge().fit(X, [0.0, 1.0])


def test_a_missing_torch_is_named(data, monkeypatch):
    X, y = data
    monkeypatch.setitem(sys.modules, "torch", None)
    from skatom.models import _alchemical

    monkeypatch.delitem(sys.modules, f"{_alchemical.__name__}.learning", raising=False)
    monkeypatch.delattr(_alchemical, "learning", raising=False)
    with pytest.raises(
        ImportError, match=r'pip install "skatom\[torch\]", or set n_st'
    ):
        AlchemicalKernelRidge().fit(X, y)


def test_one_structure_is_enough_to_fit():
    X = ACSF(4.0).fit_transform([Atoms("HF", [[0, 0, 0], [0, 0, 0.9]])])
    model = AlchemicalKernelRidge(2, baseline="mean").fit(X, [-3.0])
    np.testing.assert_allclose(model.predict(X), [-3.0], rtol=1e-2)
