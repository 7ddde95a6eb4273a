"""Iterative solutions of the process, and kernels of blocks, against the dense one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from conftest import labelled, rattled
from differences import numerical_gradient
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning

from skatom._runtime import threads as _parallel
from skatom.featurizers import ACSF, SOAP
from skatom.models import AtomicGaussianProcessRegressor
from skatom.models._gaussian_process import product
from skatom.models._gaussian_process.blocks import Blocks
from skatom.models._gaussian_process.data import collect
from skatom.models._gaussian_process.hyperparameters import draw
from skatom.models._gaussian_process.iterative import conjugate_gradients
from skatom.models._gaussian_process.likelihood import Likelihood, _climb, _score
from skatom.models._gaussian_process.variance import energy_prior
from skatom.models._kernels import covariance
from skatom.models._labelled.training_set import training_set
from skatom.potential import evaluate, make_potential
from skatom.preprocessing import AtomFeatureUnion
from skatom.structures import Structures, read_energies, read_labels

FIXED = {
    "length_scale": 2.0,
    "variance": 4.0,
    "noise_energy": 0.02,
    "noise_forces": 0.05,
    "optimizer": None,
    "baseline": None,
}


@pytest.fixture(scope="module")
def molecules():
    """Molecules of several sizes with labels of a pair potential."""
    names = ("H2O", "CH3OH", "H2CO")
    frames = [
        labelled(rattled(molecule(names[k % 3]), seed=k, stdev=0.1)) for k in range(9)
    ]
    return Structures(frames), read_energies(frames)


def near():
    return ACSF(r_cut=3.0, n_radial=4, n_angular=1, zetas=(1, 2))


def union():
    far = SOAP(r_cut=4.0, n_max=3, l_max=2)
    return AtomFeatureUnion([("near", near()), ("far", far)])


def fitted(molecules, featurizer=None, kernel="rbf", **params):
    frames, y = molecules
    model = AtomicGaussianProcessRegressor(kernel, **FIXED | params)
    return make_potential(featurizer or near(), model).fit(frames[:6], y[:6])


@pytest.mark.parametrize("kernel", ["rbf", "matern52", "polynomial"])
@pytest.mark.parametrize("energies", [True, False])
def test_iteration_finds_the_dense_mean(molecules, kernel, energies):
    shared = {"kernel": kernel, "energies": energies}
    dense = fitted(molecules, solver="dense", **shared)
    iterative = fitted(
        molecules, solver="iterative", tol=1e-10, n_inducing_labels=30, **shared
    )
    assert iterative[-1].residual_ < 1e-10
    assert iterative[-1].n_iter_ > 1
    one, other = (evaluate(m, molecules[0][6:]) for m in (dense, iterative))
    np.testing.assert_allclose(other.energies, one.energies, rtol=1e-6)
    for a, b in zip(other.forces, one.forces):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_all_labels_as_inducing_ones_give_the_dense_deviations(molecules):
    dense = fitted(molecules, solver="dense")
    iterative = fitted(molecules, solver="iterative", tol=1e-8, n_inducing_labels=10**6)
    assert iterative[-1].n_iter_ <= 3  # the preconditioner is the matrix
    one, other = (
        evaluate(m, molecules[0][6:], std=True, atomic=True) for m in (dense, iterative)
    )
    np.testing.assert_allclose(other.energy_std, one.energy_std, rtol=1e-3)
    np.testing.assert_allclose(other.forces_std[0], one.forces_std[0], rtol=1e-3)
    np.testing.assert_allclose(
        other.atomic_energy_std[0], one.atomic_energy_std[0], rtol=1e-3
    )
    X = iterative[:-1].transform(molecules[0][6:])
    cov = iterative[-1].predict(X, return_cov=True)[1]
    np.testing.assert_allclose(np.sqrt(np.diag(cov)), other.energy_std, rtol=1e-8)
    assert iterative[-1].log_marginal_likelihood_value_ == pytest.approx(
        dense[-1].log_marginal_likelihood_value_, rel=1e-2
    )


def test_deviations_of_few_inducing_labels_are_those_of_the_projected_process():
    """Quiñonero-Candela and Rasmussen (2005), eq. 20b, beside the exact prior."""
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(40, 3)), rng.normal(size=(6, 3))
    held = {name: FIXED[name] for name in ("length_scale", "variance", "noise_energy")}
    model = AtomicGaussianProcessRegressor(
        **held, optimizer=None, solver="iterative", n_inducing_labels=10, random_state=0
    ).fit(X, np.sin(X[:, 0]))
    chosen = X[draw(np.ones(40, dtype=int), 10, np.random.RandomState(0))]

    def k(a, b):
        return 4.0 * np.exp(-0.5 * cdist(a, b, "sqeuclidean") / 2.0**2)

    corner = k(chosen, chosen) + 1e-3 * 0.02**2 * np.eye(10)
    across, asked = k(chosen, X), k(chosen, new)
    inner = corner + across @ across.T / 0.02**2
    known = asked.T @ (np.linalg.inv(corner) - np.linalg.inv(inner)) @ asked
    expected = np.sqrt(4.0 - np.diag(known) + 0.02**2)
    _, std = model.predict(new, return_std=True)
    np.testing.assert_allclose(std, expected, rtol=1e-5)


def test_too_few_iterations_are_told(molecules):
    with pytest.warns(ConvergenceWarning, match=r"after 1 iterations.*tol=1e-12"):
        fitted(
            molecules, solver="iterative", n_inducing_labels=1, max_iter=1, tol=1e-12
        )


def test_progress_is_shown_when_asked_for(molecules, capsys):
    fitted(molecules, solver="iterative", n_inducing_labels=30, verbose=1)
    assert "conjugate gradients" in capsys.readouterr().err


def test_iterated_models_are_not_extended(molecules):
    frames, y = molecules
    X = near().fit_transform(frames)
    model = AtomicGaussianProcessRegressor(**FIXED, solver="iterative")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'") as told:
        model.fit(X, y).set_params(solver="dense").partial_fit(X[:1], y[:1])
    assert "is solved by iteration: fit to all structures" in str(told.value.__cause__)
    dense = AtomicGaussianProcessRegressor(**FIXED).fit(X, y)
    assert hasattr(dense.set_params(solver="iterative"), "partial_fit")


def test_conjugate_gradients_solve_a_system_and_keep_the_best_iterate():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(30, 30))
    A, b = root @ root.T + np.eye(30), rng.normal(size=30)
    x, residual, n_iter = conjugate_gradients(
        lambda v: A @ v, lambda v: v / np.diag(A), b, 1e-10, 200
    )
    np.testing.assert_allclose(x, np.linalg.solve(A, b), rtol=1e-7)
    assert residual <= 1e-10
    assert 1 < n_iter < 200


def test_sums_of_kernels_are_sums_of_processes(molecules):
    """The prior of a sum of independent functions is the sum of their priors."""
    frames, _ = molecules
    shared = {"additive": True, "length_scale": [2.0, 0.5], "variance": [4.0, 1.0]}
    model = fitted(molecules, union(), **shared)
    X = union().fit(frames[:6]).transform(frames)
    blocks = [X.block_widths[0], X.values.shape[1]]
    prior = np.zeros((3, 3))
    for columns, length, variance in (
        (slice(0, blocks[0]), 2.0, 4.0),
        (slice(*blocks), 0.5, 1.0),
    ):
        for s in range(3):
            for t in range(3):
                a, b = X[[6 + s]], X[[6 + t]]
                d = a.values[:, None, columns] - b.values[:, columns]
                k = variance * np.exp(-0.5 * np.sum(d**2, axis=2) / length**2)
                prior[s, t] += np.sum(k * (a.numbers[:, None] == b.numbers))
    process = model[-1]._process
    far = fitted(molecules, union(), **shared, forces=None)
    cov = far[-1].predict(X[6:], return_cov=True)[1]
    known = far[-1].predict(X[:6], return_cov=True)[1]
    assert np.all(np.diag(cov) < np.diag(prior) + 0.02**2 * X[6:].n_atoms)
    assert np.all(np.diag(known) < 4 * 0.02**2 * X[:6].n_atoms)
    kernel = process.hyperparameters.kernel
    np.testing.assert_allclose(energy_prior(X[6:], kernel), np.diag(prior), rtol=1e-10)


def test_sums_of_kernels_have_their_gradient_and_iterate_to_the_dense_mean(molecules):
    shared = {"additive": True, "length_scale": [2.0, 0.5], "variance": [4.0, 1.0]}
    dense = fitted(molecules, union(), **shared)
    new = molecules[0][6:]
    found = evaluate(dense, new, std=True)
    moved = new[0].copy()
    moved.positions[1, 2] += 1e-4
    up = dense.predict([moved])[0]
    moved.positions[1, 2] -= 2e-4
    slope = (up - dense.predict([moved])[0]) / 2e-4
    assert found.forces[0][1, 2] == pytest.approx(-slope, rel=1e-5, abs=1e-7)
    iterative = fitted(
        molecules,
        union(),
        **shared,
        solver="iterative",
        tol=1e-10,
        n_inducing_labels=30,
    )
    np.testing.assert_allclose(iterative.predict(new), found.energies, rtol=1e-6)
    model = dense[-1]
    theta = np.log([3.0, 2.0, 1.5, 0.7, 0.03**2, 0.04**2])
    _, gradient = model.log_marginal_likelihood(theta, eval_gradient=True)
    expected = numerical_gradient(
        lambda rows: np.array([model.log_marginal_likelihood(row) for row in rows]),
        theta[None],
    )[0]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-5)
    assert np.abs(gradient).min() > 1e-4


def test_sums_of_kernels_choose_a_number_for_each(molecules):
    frames, y = molecules
    model = AtomicGaussianProcessRegressor(additive=True)
    model = make_potential(union(), model).fit(frames, y)[-1]
    assert model.length_scale_.shape == model.variance_.shape == (2,)
    at_scale = AtomicGaussianProcessRegressor(additive=True, optimizer=None)
    start = make_potential(union(), at_scale).fit(frames, y)[-1]
    assert model.log_marginal_likelihood_value_ > start.log_marginal_likelihood_value_


@pytest.mark.parametrize("length", [[1.0, 2.0, 3.0], [1.0, -1.0]])
def test_wrong_numbers_of_lengths_are_refused(molecules, length):
    with pytest.raises(ValueError, match="one for each of the 2 kernels"):
        fitted(molecules, union(), additive=True, length_scale=length)


def test_species_have_kernels_of_their_own(molecules):
    """Equal numbers make the shared kernel; a variance of one species is its alone."""
    frames, _ = molecules
    shared = fitted(molecules, union(), additive=True)
    alike = fitted(molecules, union(), additive=True, by_species=True)
    new = frames[6:]
    one, other = (evaluate(m, new, std=True, atomic=True) for m in (shared, alike))
    np.testing.assert_allclose(other.energies, one.energies, rtol=1e-8)
    np.testing.assert_allclose(other.energy_std, one.energy_std, rtol=1e-6)
    np.testing.assert_allclose(other.forces_std[0], one.forces_std[0], rtol=1e-6)
    np.testing.assert_allclose(
        other.atomic_energy_std[0], one.atomic_energy_std[0], rtol=1e-6
    )
    numbers = alike[-1].numbers_.tolist()
    variances = np.ones(2 * len(numbers))
    variances[[numbers.index(8), len(numbers) + numbers.index(8)]] = 9.0
    model = fitted(
        molecules, union(), additive=True, by_species=True, variance=variances
    )
    kernel = model[-1]._process.hyperparameters.kernel
    x = np.ones((1, model[-1].references_.shape[1]))
    assert kernel.of(8).diagonal(x)[0] == pytest.approx(18.0)
    assert kernel.of(1).diagonal(x)[0] == pytest.approx(2.0)


def test_the_likelihood_has_a_gradient_by_the_numbers_of_every_species(molecules):
    model = fitted(molecules, by_species=True)[-1]
    theta = np.log([3.0, 2.0, 1.5, 0.7, 1.1, 2.5, 0.03**2, 0.04**2])
    _, gradient = model.log_marginal_likelihood(theta, eval_gradient=True)
    expected = numerical_gradient(
        lambda rows: np.array([model.log_marginal_likelihood(row) for row in rows]),
        theta[None],
    )[0]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-5)
    assert np.abs(gradient).min() > 1e-4


def test_information_is_that_of_fisher():
    """Half the trace of K^-1 dK K^-1 dK', with dK by differences."""
    X = np.random.default_rng(0).normal(size=(12, 2))
    held = {name: FIXED[name] for name in ("length_scale", "variance", "noise_energy")}
    model = AtomicGaussianProcessRegressor(**held, optimizer=None).fit(X, X[:, 0])
    process = model._process

    def K(theta):
        variance, length, noise = np.exp(theta)
        d = cdist(X, X, "sqeuclidean")
        return variance * np.exp(-0.5 * d / length**2) + noise * np.eye(len(X))

    theta = np.log([4.0, 2.0, 0.02**2])
    inverse = np.linalg.inv(K(theta))
    A = [
        inverse @ (K(theta + step) - K(theta - step)) / 2e-5
        for step in 1e-5 * np.eye(3)
    ]
    expected = [[0.5 * np.trace(a @ b) for b in A] for a in A]
    found = process.hyperparameters.log_likelihood(
        process.posterior.batches, gradient=True
    )
    np.testing.assert_allclose(found.information[:3, :3], expected, rtol=1e-5)


@pytest.mark.parametrize("search", [_climb, _score])
def test_both_searches_find_the_likeliest_numbers(molecules, search):
    frames, y = molecules
    model = AtomicGaussianProcessRegressor(**FIXED)
    start = make_potential(near(), model).fit(frames, y)[-1]._process
    at = start.hyperparameters
    at = replace(at, free=np.ones(4, dtype=bool), bounds=np.tile([1e-3, 1e3], (4, 1)))
    batches = start.posterior.batches

    def likelihood(theta):
        return at.with_theta(theta).log_likelihood(batches, gradient=True)

    options = () if search is _climb else (1e-6,)
    value, theta = search(likelihood, at.theta, at.theta_bounds, *options)
    found = likelihood(theta)
    assert found.value == pytest.approx(value)
    inside = np.all(np.abs(theta[:, None] - at.theta_bounds) > 1e-6, axis=1)
    assert inside.sum() >= 2
    np.testing.assert_allclose(found.gradient[inside], 0.0, atol=0.02)
    assert value > likelihood(at.theta).value + 1.0


def test_net_forces_and_torques_are_no_labels_whatever_the_radius():
    """They are zero without noise, which would pass for a proof that there is none."""
    frame = Structures([labelled(rattled(molecule("C3H4_C3v"), seed=0, stdev=0.1))])
    X = ACSF(r_cut=2.0, n_radial=4, n_angular=1, zetas=(1,)).fit_transform(frame)
    given = training_set(AtomicGaussianProcessRegressor(), X, np.zeros(1))
    seen = collect(given, Blocks((0, X.values.shape[1])))
    assert len(seen.targets) == 1 + 3 * len(frame[0]) - 6


@pytest.mark.parametrize("solver", ["dense", "iterative", "sparse"])
def test_threads_change_nothing(molecules, solver, monkeypatch):
    monkeypatch.setattr(covariance, "TILE_ROWS", 30)  # several tiles a species
    monkeypatch.setattr(product, "ROWS", 4)
    shared = {"solver": solver, "n_inducing_labels": 30, "tol": 1e-6, "random_state": 0}
    used = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, n):
            used.append(n)
            super().__init__(n)

    monkeypatch.setattr(_parallel, "ThreadPoolExecutor", Pool)
    one = fitted(molecules, n_jobs=1, **shared)
    assert not used
    two = fitted(molecules, n_jobs=2, **shared)
    assert set(used) == {2}
    np.testing.assert_array_equal(two[-1].dual_slopes_, one[-1].dual_slopes_)


def test_residuals_of_structures_left_out_are_those_of_refits(molecules):
    frames, y = molecules
    model = fitted(molecules)
    energies, forces = model[-1].left_out_residuals()
    assert len(energies) == 6
    counts = np.cumsum([0, *(3 * len(f) - 6 for f in frames[:6])])
    for s in (0, 4):
        rest = [t for t in range(6) if t != s]
        refit = make_potential(near(), AtomicGaussianProcessRegressor(**FIXED))
        refit.fit(frames[rest], y[rest])
        found = evaluate(refit, frames[[s]])
        assert energies[s] == pytest.approx(y[s] - found.energies[0], rel=1e-6)
        error = read_labels(frames[[s]]).forces - found.forces[0]
        own = forces[counts[s] : counts[s + 1]]
        assert np.linalg.norm(own) == pytest.approx(np.linalg.norm(error), rel=1e-5)


@pytest.mark.parametrize("solver", ["iterative", "sparse"])
def test_only_dense_models_have_residuals_of_structures_left_out(molecules, solver):
    with pytest.raises(ValueError, match="need the factored matrix"):
        fitted(molecules, solver=solver)[-1].left_out_residuals()


def test_search_does_not_swing_where_the_information_is_too_small():
    """Steps of twice the length lead to the other side, equally high."""
    asked = []

    def function(theta):
        asked.append(theta)
        return Likelihood(-float(theta @ theta), -2.0 * theta, np.eye(1))

    bounds = np.array([[-5.0, 5.0]])
    value, theta = _score(function, np.array([1.0]), bounds, 1e-6)
    assert len(asked) < 20
    assert theta == pytest.approx(0.0, abs=1e-2)
    assert value == pytest.approx(0.0, abs=1e-4)
