"""AtomicRidge by evidence and its deviations: BayesianRidge, and dense algebra."""

import warnings

import numpy as np
import pytest
from conftest import labelled, rattled
from radial import RadialSums
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import BayesianRidge
from test_atomic_ridge import ROWS, TARGETS, WEIGHTS, cells

from skatom.models import AtomicRidge
from skatom.models._labelled.derivative_rows import derivative_rows
from skatom.models._labelled.training_set import training_set
from skatom.potential import Potential, predict_forces
from skatom.structures import read_energies

NEW = np.random.default_rng(5).normal(size=(9, 4)) * 3.0


def stock(**params) -> BayesianRidge:
    """Without priors of its own, and run to the fixed point."""
    flat = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0.0)
    return BayesianRidge(max_iter=10_000, tol=1e-15, **flat, **params)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n", [60, 12])
def test_it_is_bayesian_ridge_on_a_matrix(n, fit_intercept, weights):
    rows, y = ROWS[:n], TARGETS[:n]
    weights = None if weights is None else weights[:n]
    ours = AtomicRidge("evidence", fit_intercept=fit_intercept).fit(rows, y, weights)
    peer = stock(fit_intercept=fit_intercept).fit(rows, y, weights)
    np.testing.assert_allclose(ours.noise_variance_, 1 / peer.alpha_, rtol=1e-8)
    np.testing.assert_allclose(ours.alpha_, peer.lambda_ / peer.alpha_, rtol=1e-8)
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-8)
    found, expected = (m.predict(NEW, return_std=True) for m in (ours, peer))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-8)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-8)


def test_more_columns_than_rows_are_bayesian_ridge_too():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(20, 50))
    y = rows[:, :5] @ np.arange(1.0, 6.0) + rng.normal(size=20)
    ours = AtomicRidge("evidence", fit_intercept=False).fit(rows, y)
    peer = stock(fit_intercept=False).fit(rows, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-7)
    np.testing.assert_allclose(
        ours.predict(rows, return_std=True)[1],
        peer.predict(rows, return_std=True)[1],
        rtol=1e-7,
    )


def test_evidence_is_the_density_of_all_targets_together():
    """alpha and the noise maximise the probability of y, coefficients integrated out."""
    model = AtomicRidge("evidence", fit_intercept=False).fit(ROWS[:15], TARGETS[:15])

    def log_density(noise, alpha):
        cov = noise * (np.eye(15) + ROWS[:15] @ ROWS[:15].T / alpha)
        return multivariate_normal(cov=cov).logpdf(TARGETS[:15])

    best = log_density(model.noise_variance_, model.alpha_)
    for factor in (0.98, 1.02):
        assert log_density(model.noise_variance_ * factor, model.alpha_) < best
        assert log_density(model.noise_variance_, model.alpha_ * factor) < best


def test_evidence_that_has_no_maximum_is_told():
    with pytest.warns(ConvergenceWarning, match="the weakest penalty"):
        AtomicRidge("evidence").fit(ROWS, ROWS @ [1.0, 2.0, 3.0, 4.0])
    zero = np.zeros((5, 2))
    model = AtomicRidge("evidence").fit(zero, np.arange(5.0))
    assert model.alpha_ == 1.0
    assert model.predict(zero[:1]) == pytest.approx(2.0)
    # a target that is orthogonal to the only feature
    even = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    with pytest.warns(ConvergenceWarning, match="the strongest penalty"):
        AtomicRidge("evidence").fit(even, [1.0, 1.0, -1.0, -1.0])


def test_deviations_without_a_penalty_may_not_exist():
    doubled = np.hstack([ROWS, ROWS[:, :1]])
    model = AtomicRidge(alpha=0.0).fit(doubled, TARGETS)
    with pytest.raises(ValueError, match="set alpha to more than zero"):
        model.predict(doubled, return_std=True)
    plain = AtomicRidge(alpha=0.0).fit(ROWS, TARGETS)
    assert (plain.predict(ROWS, return_std=True)[1] > 0).all()


# -- atoms ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crystals():
    frames = cells(9)
    return frames, read_energies(frames)


@pytest.mark.parametrize("by_species", [True, False])
def test_deviations_are_those_of_a_dense_posterior(by_species, crystals):
    """Energies, atoms and forces against the covariance of all coefficients."""
    frames, y = crystals
    model = AtomicRidge(1e-2, by_species=by_species, stress="calc")
    pipeline = Potential([("features", RadialSums()), ("model", model)]).fit(frames, y)
    model, X = pipeline.named_steps["model"], pipeline[:-1].transform(frames)
    species = (model.numbers_ == X.numbers[:, None]).astype(float)
    atoms = model.latent(X)
    mean, std = pipeline.predict(frames, return_std=True)
    counts, rows = (np.add.reduceat(a, X.offsets[:-1]) for a in (species, atoms))
    given = training_set(model, X, y, stress="calc")
    (block,) = derivative_rows(given, model._n_columns)
    derivatives = model._derivative_design(block)[:, 2:]
    root = np.sqrt(np.concatenate([1 / X.n_atoms, block.weights]))[:, None]
    design = root * np.vstack([rows, derivatives])
    base = root * np.vstack([counts, np.zeros((len(derivatives), 2))])
    # the energies of species are as for the best coefficients
    hat = base @ np.linalg.pinv(base)
    centred = design - hat @ design
    n = len(design)
    cov = model.noise_variance_ * np.linalg.inv(
        centred.T @ centred + model.alpha_ * np.eye(design.shape[1])
    )
    targets = root[:, 0] * np.concatenate([y, block.labels])
    left = targets - hat @ targets - centred @ model.coef_.ravel()
    loss = left @ left + model.alpha_ * np.sum(model.coef_**2)
    np.testing.assert_allclose(model.noise_variance_, loss / n, rtol=1e-8)
    means = np.linalg.pinv(base) @ design

    def deviations(rows, counts, noise):
        rows = rows - counts @ means
        spread = np.einsum("ra,ab,rb->r", rows, cov, rows)
        return np.sqrt(spread + model.noise_variance_ * noise)

    np.testing.assert_allclose(std, deviations(rows, counts, X.n_atoms), rtol=1e-8)
    of_atoms = model.predict_atoms(X, return_std=True)
    np.testing.assert_allclose(of_atoms[1], deviations(atoms, species, 1), rtol=1e-8)
    np.testing.assert_allclose(np.add.reduceat(of_atoms[0], X.offsets[:-1]), mean)
    forces = [t for k in range(9) for t in block_rows(derivatives, X, given.labels, k)]
    expected = deviations(np.array(forces), np.zeros((len(forces), 2)), 1 / 0.1)
    _, found = predict_forces(pipeline, frames, return_std=True)
    np.testing.assert_allclose(np.concatenate(found).ravel(), expected, rtol=1e-8)


def block_rows(derivatives, X, labels, k):
    """Rows of force components of structure k, which six of virials follow."""
    first = 3 * X.offsets[k] + 6 * k
    return derivatives[first : first + 3 * X.n_atoms[k]]


def test_latent_features_give_the_energies_of_atoms(crystals):
    frames, y = crystals
    X = RadialSums().fit_transform(frames)
    for by_species in (True, False):
        model = AtomicRidge(1e-3, by_species=by_species).fit(X, y)
        own = model.intercept_[np.searchsorted(model.numbers_, X.numbers)]
        np.testing.assert_allclose(
            model.latent(X) @ model.coef_.ravel() + own, model.predict_atoms(X)
        )
    np.testing.assert_array_equal(model.latent(X), X.values)


def test_forces_that_do_not_count_have_no_deviation(crystals):
    frames, y = crystals
    X = RadialSums().fit_transform(frames)
    model = AtomicRidge(1e-3, force_weight=0.0).fit(X, y)
    with pytest.raises(ValueError, match="force_weight is 0"):
        model.forces_std(X)
    assert AtomicRidge(1e-3).fit(X, y).forces_std(X[:0]).shape == (0, 3)


def test_deviations_say_how_large_errors_are():
    """On new cells, two in three errors of energies and forces are inside one of them."""
    frames = cells(60)
    pipeline = Potential(
        [("features", RadialSums(5.0)), ("model", AtomicRidge("evidence"))]
    ).fit(frames[:40], read_energies(frames[:40]))
    test = frames[40:]
    energies, std = pipeline.predict(test, return_std=True)
    assert 0.4 < np.mean(np.abs(energies - read_energies(test)) < std) < 0.98
    forces, stds = predict_forces(pipeline, test, return_std=True)
    errors = np.concatenate(forces) - np.concatenate(
        [atoms.calc.results["forces"] for atoms in test]
    )
    assert 0.55 < np.mean(np.abs(errors) < np.concatenate(stds)) < 0.85


# -- batches -------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1e-4, "evidence"])
@pytest.mark.parametrize("by_species", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_batches_give_the_model_of_all(alpha, by_species, fit_intercept, crystals):
    frames, y = crystals
    X = RadialSums().fit_transform(frames)
    params = {"by_species": by_species, "fit_intercept": fit_intercept}
    model = AtomicRidge(alpha, stress="calc", **params)
    weights = np.linspace(0.5, 2.0, len(frames))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for part in (slice(0, 2), slice(2, 3), slice(3, 9)):
            model.partial_fit(X[part], y[part], weights[part])
    whole = AtomicRidge(alpha, stress="calc", **params).fit(X, y, weights)
    np.testing.assert_allclose(model.alpha_, whole.alpha_, rtol=1e-8)
    for found, expected in zip(
        model.predict(X, return_std=True), whole.predict(X, return_std=True)
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-8)
    # single coefficients are known to fewer digits: features of few cells are alike
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("by_species", [True, False])
def test_new_elements_may_come_with_a_later_batch(by_species):
    """Cu alone, then with Ni (a lighter element, which comes first), then with Au."""
    frames = []
    for seed, kind in enumerate(["Cu", "Cu", "Cu", "Ni", "Ni", "Au", "Au", "Ni"]):
        atoms = cells(1)[0].copy()
        atoms.symbols = "Cu"
        atoms.symbols[: 1 + seed % 2] = kind
        frames.append(labelled(rattled(atoms, seed=seed)))
    y = read_energies(frames)
    X = RadialSums(species=["Cu", "Ni", "Au"]).fit_transform(frames)
    model = AtomicRidge(1e-3, by_species=by_species)
    for part in (slice(0, 3), slice(3, 5), slice(5, 8)):
        model.partial_fit(X[part], y[part])
    whole = AtomicRidge(1e-3, by_species=by_species).fit(X, y)
    assert model.numbers_.tolist() == [28, 29, 79]
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(model.intercept_, whole.intercept_, rtol=1e-8)
    with pytest.raises(ValueError, match="Structure 3, atom 0 is Ni, but"):
        AtomicRidge(1e-3).partial_fit(X[:3], y[:3]).predict(X)


def test_large_energies_lose_no_digits_by_batches(crystals):
    frames, y = crystals
    X = RadialSums().fit_transform(frames)
    whole = AtomicRidge(1e-4).fit(X, y)
    model = AtomicRidge(1e-4, forces="calc")
    high = y - 5e4 * X.n_atoms  # as of all electrons
    for part in (slice(0, 4), slice(4, 9)):
        model.partial_fit(X[part], high[part])
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-6, atol=1e-8)


def test_fit_forgets_batches(crystals):
    frames, y = crystals
    X = RadialSums().fit_transform(frames)
    model = AtomicRidge(1e-4).partial_fit(X[:4], y[:4]).fit(X[4:], y[4:])
    np.testing.assert_array_equal(
        model.coef_, AtomicRidge(1e-4).fit(X[4:], y[4:]).coef_
    )


def test_batches_of_another_width_or_kind_are_refused(crystals):
    frames, y = crystals
    X = RadialSums().fit_transform(frames)
    model = AtomicRidge(1e-3).partial_fit(X, y)
    narrow = RadialSums(etas=[1.0]).fit_transform(frames)
    with pytest.raises(ValueError, match="X has 2 features per atom, but"):
        model.partial_fit(narrow, y)
    with pytest.raises(ValueError, match="was fitted on atoms and cannot predict"):
        model.partial_fit(np.ones((3, 6)), np.zeros(3))
    rows = AtomicRidge().partial_fit(ROWS[:, :3], TARGETS).fit(ROWS, TARGETS)
    with pytest.raises(ValueError, match="X has 3 features"):
        rows.partial_fit(ROWS[:, :3], TARGETS)
