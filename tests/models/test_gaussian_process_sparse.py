"""Sparse process: the projected one, against the dense one and plain formulas."""

import numpy as np
import pytest
from ase.build import molecule
from conftest import labelled, rattled
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal

from skatom.featurizers import ACSF
from skatom.models import AtomicGaussianProcessRegressor
from skatom.models._gaussian_process import process
from skatom.models._gaussian_process.hyperparameters import draw
from skatom.potential import evaluate, make_potential
from skatom.structures import Structures, read_energies

FIXED = {
    "length_scale": 2.0,
    "variance": 4.0,
    "noise_energy": 0.02,
    "noise_forces": 0.05,
    "optimizer": None,
}


@pytest.fixture(scope="module")
def molecules():
    names = ("H2O", "CH3OH", "H2CO")
    frames = [
        labelled(rattled(molecule(names[k % 3]), seed=k, stdev=0.1)) for k in range(9)
    ]
    return Structures(frames), read_energies(frames)


def potential(**params):
    features = ACSF(r_cut=3.0, n_radial=4, n_angular=1, zetas=(1, 2))
    return make_potential(features, AtomicGaussianProcessRegressor(**FIXED | params))


def sparse_plain(n_inducing, **params):
    """Forty points of a line in three dimensions, and new ones."""
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(40, 3)), rng.normal(size=(6, 3))
    held = {name: FIXED[name] for name in ("length_scale", "variance", "noise_energy")}
    model = AtomicGaussianProcessRegressor(
        **held,
        optimizer=None,
        solver="sparse",
        n_inducing_labels=n_inducing,
        random_state=0,
        **params,
    )
    return model, X, np.sin(X[:, 0]), new


def k(a, b):
    return 4.0 * np.exp(-0.5 * cdist(a, b, "sqeuclidean") / 2.0**2)


def test_mean_and_deviations_are_those_of_the_projected_process():
    """Quiñonero-Candela and Rasmussen (2005), eq. 20."""
    model, X, y, new = sparse_plain(10)
    chosen = X[draw(np.ones(40, dtype=int), 10, np.random.RandomState(0))]
    corner = k(chosen, chosen) + 1e-3 * 0.02**2 * np.eye(10)
    across, asked = k(chosen, X), k(chosen, new)
    inner = corner + across @ across.T / 0.02**2
    mean, std = model.fit(X, y).predict(new, return_std=True)
    expected = asked.T @ np.linalg.solve(inner, across @ y) / 0.02**2
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    known = asked.T @ (np.linalg.inv(corner) - np.linalg.inv(inner)) @ asked
    expected = np.sqrt(4.0 - np.diag(known) + 0.02**2)
    np.testing.assert_allclose(std, expected, rtol=1e-5)


def test_likelihood_is_the_variational_bound():
    """Titsias (2009), eq. 9; below the exact likelihood, and growing towards it."""
    bounds = []
    for n in (3, 10, 40):
        model, X, y, _ = sparse_plain(n)
        chosen = X[draw(np.ones(40, dtype=int), n, np.random.RandomState(0))]
        corner = k(chosen, chosen) + 1e-3 * 0.02**2 * np.eye(n)
        Q = k(X, chosen) @ np.linalg.solve(corner, k(chosen, X))
        density = multivariate_normal(np.zeros(40), Q + 0.02**2 * np.eye(40))
        expected = density.logpdf(y) - 0.5 * np.trace(k(X, X) - Q) / 0.02**2
        found = model.fit(X, y).log_marginal_likelihood_value_
        assert found == pytest.approx(expected, rel=1e-6)
        bounds.append(found)
    exact = multivariate_normal(np.zeros(40), k(X, X) + 0.02**2 * np.eye(40)).logpdf(y)
    assert bounds[0] < bounds[1] < bounds[2] <= exact + 1e-6
    assert bounds[2] == pytest.approx(exact, rel=1e-2)


@pytest.mark.parametrize("energies", [True, False])
def test_all_labels_as_inducing_ones_give_the_dense_process(molecules, energies):
    frames, y = molecules
    dense, sparse = (
        potential(solver=solver, n_inducing_labels=10**6, energies=energies).fit(
            frames[:6], y[:6]
        )
        for solver in ("dense", "sparse")
    )
    one, other = (evaluate(m, frames[6:], std=True) for m in (dense, sparse))
    assert np.all(np.abs(other.energies - one.energies) < 0.03 * one.energy_std)
    np.testing.assert_allclose(other.energy_std, one.energy_std, rtol=1e-3)
    for a, b, std in zip(other.forces, one.forces, one.forces_std):
        assert np.all(np.abs(a - b) < 0.03 * std)
    np.testing.assert_allclose(other.forces_std[0], one.forces_std[0], rtol=1e-3)


def test_labels_of_few_structures_span_the_functions_of_all(molecules):
    """More labels help at the same size of the model, which keeps the inducing atoms."""
    frames, y = molecules
    sparse = potential(solver="sparse", n_inducing_labels=25, random_state=0)
    model = sparse.fit(frames[:6], y[:6])[-1]
    kept = len(model.references_)
    assert 0 < kept < sum(map(len, frames[:6]))
    assert len(model.dual_slopes_) == kept
    model.partial_fit(sparse[:-1].transform(frames[6:]), y[6:])
    assert len(model.references_) == kept


def test_every_species_has_inducing_atoms(molecules):
    frames, y = molecules
    model = potential(solver="sparse", n_inducing_labels=1, random_state=0)
    model = model.fit(frames[:6], y[:6])[-1]
    assert set(model.reference_numbers_) == {1, 6, 8}


def test_batches_change_nothing(molecules, monkeypatch):
    frames, y = molecules
    shared = {"solver": "sparse", "n_inducing_labels": 40, "random_state": 0}
    whole = potential(**shared).fit(frames, y)
    expected = evaluate(whole, frames[:3], std=True)
    monkeypatch.setattr(process, "BATCH_LABELS", 15)  # a structure or two
    batches = evaluate(potential(**shared).fit(frames, y), frames[:3], std=True)
    np.testing.assert_allclose(batches.energies, expected.energies, rtol=1e-7)
    np.testing.assert_allclose(batches.energy_std, expected.energy_std, rtol=1e-5)


def test_later_labels_count_as_those_of_fit():
    model, X, y, new = sparse_plain(20)
    model.fit(X[:20], y[:20]).partial_fit(X[20:30], y[20:30])
    mean, std = model.partial_fit(X[30:], y[30:]).predict(new, return_std=True)
    corner = k(X[:20], X[:20]) + 1e-3 * 0.02**2 * np.eye(20)
    across, asked = k(X[:20], X), k(X[:20], new)
    inner = corner + across @ across.T / 0.02**2
    expected = asked.T @ np.linalg.solve(inner, across @ y) / 0.02**2
    np.testing.assert_allclose(mean, expected, rtol=1e-5)
    known = asked.T @ (np.linalg.inv(corner) - np.linalg.inv(inner)) @ asked
    np.testing.assert_allclose(std, np.sqrt(4 - np.diag(known) + 0.02**2), rtol=1e-4)


def test_likelihood_at_other_hyperparameters_is_refused(molecules):
    model = potential(solver="sparse").fit(molecules[0][:3], molecules[1][:3])[-1]
    with pytest.raises(ValueError, match="does not keep its labels"):
        model.log_marginal_likelihood()
