"""AtomicGaussianProcessRegressor against scikit-learn, brute force and its own limits."""

import pickle

import numpy as np
import pytest
from ase.build import bulk, molecule
from conftest import labelled, rattled
from differences import numerical_gradient
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    Matern,
    RationalQuadratic,
    WhiteKernel,
)

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import AtomicGaussianProcessRegressor, AtomicKernelRidge
from skatom.potential import evaluate, make_potential, predict_forces
from skatom.structures import Structures, read_energies, read_labels

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(40, 3))
TARGETS = np.sin(ROWS[:, 0]) + ROWS[:, 1] ** 2 + 0.1 * RNG.normal(size=40)
NEW_ROWS = RNG.normal(size=(6, 3))
STOCK = {
    "rbf": RBF(1.3),
    "matern52": Matern(1.3, nu=2.5),
    "matern32": Matern(1.3, nu=1.5),
}
HELD = {"length_scale": 1.3, "variance": 2.0, "noise_energy": 0.1, "optimizer": None}


@pytest.mark.parametrize("kernel", STOCK)
def test_it_is_scikit_learns_process_on_a_matrix(kernel):
    ours = AtomicGaussianProcessRegressor(kernel, **HELD).fit(ROWS, TARGETS)
    whole = ConstantKernel(2.0) * STOCK[kernel] + WhiteKernel(0.01)
    stock = GaussianProcessRegressor(whole, alpha=0.0, optimizer=None)
    stock.fit(ROWS, TARGETS)
    for kind in ("return_std", "return_cov"):
        found = ours.predict(NEW_ROWS, **{kind: True})
        expected = stock.predict(NEW_ROWS, **{kind: True})
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)
    value, slope = ours.log_marginal_likelihood(eval_gradient=True)
    expected, gradient = stock.log_marginal_likelihood(
        stock.kernel_.theta, eval_gradient=True
    )
    assert value == pytest.approx(expected, rel=1e-10)
    assert ours.log_marginal_likelihood_value_ == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(slope[:3], gradient, rtol=1e-8)


def test_it_is_scikit_learns_process_with_a_polynomial_kernel():
    held = {**HELD, "length_scale": 0.5**0.5}
    ours = AtomicGaussianProcessRegressor("polynomial", **held).fit(ROWS, TARGETS)
    whole = ConstantKernel(2.0) * DotProduct(1.0) ** 3 + WhiteKernel(0.01)
    stock = GaussianProcessRegressor(whole, alpha=0.0, optimizer=None)
    expected = stock.fit(ROWS, TARGETS).predict(NEW_ROWS, return_std=True)
    for one, other in zip(ours.predict(NEW_ROWS, return_std=True), expected):
        np.testing.assert_allclose(one, other, rtol=1e-7)


@pytest.mark.parametrize(
    ("shape", "stock"),
    [
        (Matern(nu=1.7), Matern(1.3, nu=1.7)),
        (RationalQuadratic(alpha=0.6), RationalQuadratic(1.3, 0.6)),
    ],
    ids=["matern", "rational"],
)
def test_it_is_scikit_learns_process_with_kernels_of_any_shape(shape, stock):
    ours = AtomicGaussianProcessRegressor(shape, **HELD).fit(ROWS, TARGETS)
    whole = ConstantKernel(2.0) * stock + WhiteKernel(0.01)
    oracle = GaussianProcessRegressor(whole, alpha=0.0, optimizer=None)
    expected = oracle.fit(ROWS, TARGETS).predict(NEW_ROWS, return_std=True)
    for one, other in zip(ours.predict(NEW_ROWS, return_std=True), expected):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)


def test_kernels_without_two_derivatives_are_refused():
    model = AtomicGaussianProcessRegressor(Matern(nu=1.0))
    with pytest.raises(ValueError, match=r"nu=1\).*choose nu larger than 1"):
        model.fit(ROWS, TARGETS)


def test_the_likelihood_finds_what_scikit_learn_finds():
    ours = AtomicGaussianProcessRegressor(n_restarts=1, random_state=0)
    ours.fit(ROWS, TARGETS)
    whole = ConstantKernel(2.0, (1e-5, 1e9)) * RBF(1.3) + WhiteKernel(0.01)
    stock = GaussianProcessRegressor(whole, alpha=0.0, n_restarts_optimizer=2)
    stock.fit(ROWS, TARGETS)
    assert ours.log_marginal_likelihood_value_ == pytest.approx(
        stock.log_marginal_likelihood_value_, abs=1e-4
    )
    found = [ours.variance_, ours.length_scale_, ours.noise_energy_**2]
    np.testing.assert_allclose(np.log(found), stock.kernel_.theta, atol=0.05)


def test_samples_have_the_mean_and_covariance_of_the_posterior():
    model = AtomicGaussianProcessRegressor(**HELD).fit(ROWS, TARGETS)
    mean, cov = model.predict(NEW_ROWS, return_cov=True)
    drawn = model.sample_y(NEW_ROWS, 4000, random_state=0)
    assert drawn.shape == (6, 4000)
    error = np.sqrt(np.diag(cov) / 4000)
    assert np.all(np.abs(drawn.mean(axis=1) - mean) < 4 * error)
    np.testing.assert_allclose(np.cov(drawn), cov, atol=0.1 * np.diag(cov).max())


def mixed(n: int) -> Structures:
    """Crystals with two species and images of atoms themselves, and molecules."""
    frames = []
    for seed in range(n):
        atoms = bulk("Cu", a=3.6, cubic=True)
        atoms.symbols[: 1 + seed % 2] = "Ni"
        frames.append(labelled(rattled(atoms, seed=seed, stdev=0.15), stress=True))
    return Structures(frames)


def features():
    return ACSF(r_cut=4.0, n_radial=5, n_angular=1, zetas=(1, 2))


FIXED = {
    "length_scale": 3.0,
    "variance": 4.0,
    "noise_energy": 0.02,
    "noise_forces": 0.05,
    "optimizer": None,
    "baseline": None,
}


def potential(kernel="rbf", **params):
    model = AtomicGaussianProcessRegressor(kernel, **FIXED | params)
    return make_potential(features(), model)


@pytest.fixture(scope="module")
def crystals():
    frames = mixed(7)
    return frames, read_energies(frames)


def feature_jacobian(featurizer, atoms, step=1e-5):
    """Central differences of all features, (n_atoms, n_features, n_atoms, 3)."""
    out = []
    for k in range(len(atoms)):
        for c in range(3):
            shifted = []
            for sign in (step, -step):
                moved = atoms.copy()
                moved.positions[k, c] += sign
                shifted.append(featurizer.transform([moved]).values)
            out.append((shifted[0] - shifted[1]) / (2 * step))
    out = np.array(out).reshape(len(atoms), 3, len(atoms), -1)
    return out.transpose(2, 3, 0, 1)


class Brute:
    """Every covariance by loops over atoms, from features and their differences."""

    def __init__(self, frames, length, variance):
        self.featurizer = features().fit(frames)
        self.length, self.variance = length, variance

    def observe(self, frames, forces=True):
        """Linear functionals: for each, its structure's features and two weights."""
        found = []
        for atoms in frames:
            x, z = self.featurizer.transform([atoms]).values, atoms.numbers
            n, n_features = x.shape
            found.append((x, z, np.ones(n), np.zeros((n, n_features))))
        for atoms in frames if forces else []:
            x, z = self.featurizer.transform([atoms]).values, atoms.numbers
            slopes = feature_jacobian(self.featurizer, atoms)
            for k in range(len(atoms)):
                for c in range(3):
                    found.append((x, z, np.zeros(len(x)), -slopes[:, :, k, c]))
        return found

    def matrix(self, left, right):
        return np.array([[self.between(a, b) for b in right] for a in left])

    def between(self, a, b):
        x, z, wx, ux = a
        y, v, wy, uy = b
        k = self.variance * np.exp(-0.5 * cdist(x, y, "sqeuclidean") / self.length**2)
        k *= z[:, None] == v
        d = (x[:, None] - y) / self.length**2  # minus the slope of log k by x
        along_x, along_y = (
            np.einsum("if,ijf->ij", ux, d),
            np.einsum("jf,ijf->ij", uy, d),
        )
        terms = wx[:, None] * wy - along_x * wy + wx[:, None] * along_y
        terms += ux @ uy.T / self.length**2 - along_x * along_y
        return float((k * terms).sum())


def test_energies_forces_and_their_deviations_equal_a_brute_force_computation(crystals):
    frames, y = crystals
    train, new = frames[:3], frames[5:6]
    model = potential().fit(train, y[:3])
    brute = Brute(frames, 3.0, 2.0**2)
    labels = brute.observe(train)
    t = np.concatenate([y[:3], read_labels(train).forces.ravel()])
    noise = np.repeat([4 * 0.02**2, 0.05**2], [3, 36])
    K = brute.matrix(labels, labels) + np.diag(noise)
    asked = brute.observe(new)
    k = brute.matrix(asked, labels)
    prior = np.array([brute.between(a, a) for a in asked])
    mean = k @ np.linalg.solve(K, t)
    variance = prior - np.einsum("an,na->a", k, np.linalg.solve(K, k.T))
    found = evaluate(model, new, std=True, atomic=True)
    np.testing.assert_allclose(found.energies, mean[:1], rtol=1e-6)
    np.testing.assert_allclose(found.forces[0].ravel(), mean[1:], rtol=1e-5, atol=1e-6)
    std = np.sqrt(variance + np.repeat([4 * 0.02**2, 0.05**2], [1, 12]))
    np.testing.assert_allclose(found.energy_std, std[:1], rtol=1e-6)
    np.testing.assert_allclose(found.forces_std[0].ravel(), std[1:], rtol=1e-6)
    assert std[1:].max() > 2 * 0.05  # forces are not all known to their noise


def test_deviations_of_atoms_are_those_of_one_atom_of_the_brute_force(crystals):
    frames, y = crystals
    train, new = frames[:2], frames[5:6]
    model = potential(forces=None).fit(train, y[:2])
    brute = Brute(frames, 3.0, 2.0**2)
    labels = brute.observe(train, forces=False)
    K = brute.matrix(labels, labels) + np.eye(2) * 4 * 0.02**2
    x, z, _, none = brute.observe(new, forces=False)[0]
    asked = [(x, z, one, none) for one in np.eye(len(x))]
    k = brute.matrix(asked, labels)
    variance = 4.0 - np.einsum("an,na->a", k, np.linalg.solve(K, k.T))
    found = evaluate(model, new, forces=False, std=True, atomic=True)
    np.testing.assert_allclose(
        found.atomic_energy_std[0], np.sqrt(variance + 0.02**2), rtol=1e-6
    )


def test_the_mean_is_that_of_exact_kernel_ridge(crystals):
    frames, y = crystals
    held = {"noise_forces": 0.02, "variance": 1.0, "stress": "auto"}
    process = potential(**held).fit(frames, y)
    ridge = AtomicKernelRidge(
        0.02**2, gamma=0.5 / 9.0, n_references=None, baseline=None, stress="auto"
    )
    ridge = make_potential(features(), ridge).fit(frames, y)
    one, other = (evaluate(m, frames[:2], stress=True) for m in (process, ridge))
    np.testing.assert_allclose(one.energies, other.energies, rtol=1e-8)
    np.testing.assert_allclose(one.stress, other.stress, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "kernel", ["rbf", "matern52", "matern32", Matern(nu=1.7), RationalQuadratic()]
)
@pytest.mark.parametrize("energies", [True, False])
def test_the_gradient_of_the_likelihood_is_its_difference(crystals, kernel, energies):
    frames, y = crystals
    model = potential(kernel, energies=energies, stress="auto").fit(frames[:3], y[:3])
    model = model.named_steps["atomicgaussianprocessregressor"]
    theta = np.log([3.0, 2.5, 0.03**2, 0.04**2])
    value, slope = model.log_marginal_likelihood(theta, eval_gradient=True)
    assert value == model.log_marginal_likelihood(theta)
    expected = numerical_gradient(
        lambda rows: np.array([model.log_marginal_likelihood(row) for row in rows]),
        theta[None],
    )[0]
    # the third derivative of matern32 is infinite at distance zero, which rounds to 1e-7
    rtol = 1e-3 if kernel == "matern32" else 1e-6
    np.testing.assert_allclose(slope, expected, rtol=rtol, atol=1e-5)
    assert np.all(np.abs(slope[[0, 1, 3]]) > 1e-2)


def test_learning_in_parts_is_learning_at_once(crystals):
    frames, y = crystals
    X = features().fit_transform(frames)
    at_once = AtomicGaussianProcessRegressor(**FIXED).fit(X, y)
    parts = AtomicGaussianProcessRegressor(**FIXED)
    for part in (slice(0, 3), slice(3, 4), slice(4, 7)):
        parts.partial_fit(X[part], y[part])
    new = features().fit(frames).transform(mixed(9)[7:])
    np.testing.assert_allclose(parts.predict(new), at_once.predict(new), rtol=1e-8)
    for name in ("predict", "predict_atoms"):
        one = getattr(parts, name)(new, return_std=True)[1]
        other = getattr(at_once, name)(new, return_std=True)[1]
        np.testing.assert_allclose(one, other, rtol=1e-7)
    np.testing.assert_allclose(
        parts.forces_std(new), at_once.forces_std(new), rtol=1e-7
    )
    assert parts.log_marginal_likelihood() == pytest.approx(
        at_once.log_marginal_likelihood(), rel=1e-9
    )
    assert parts.log_marginal_likelihood_value_ == pytest.approx(
        at_once.log_marginal_likelihood_value_, rel=1e-9
    )


def test_forces_alone_teach_forces_and_energies_up_to_the_baseline(crystals):
    frames, y = crystals
    shifted = y + 100.0
    alone = potential(energies=False, baseline="composition").fit(frames, shifted)
    forces = np.concatenate(predict_forces(alone, frames))
    reference = read_labels(frames).forces
    assert np.abs(forces - reference).mean() < 0.1 * np.abs(reference).mean()
    left = alone.predict(frames) - shifted
    assert np.abs(left).max() < 0.3
    # energies of other values at the same forces change nothing but the baseline
    other = potential(energies=False, baseline="composition").fit(frames, y)
    np.testing.assert_allclose(
        predict_forces(other, frames)[3], forces[12:16], atol=1e-9
    )


def test_weights_of_structures_divide_their_noise(crystals):
    frames, y = crystals
    X = features().fit_transform(frames)
    held = FIXED | {"noise_energy": 0.02 / 2**0.5, "noise_forces": 0.05 / 2**0.5}
    heavy = AtomicGaussianProcessRegressor(**FIXED).fit(X, y, np.full(7, 2.0))
    precise = AtomicGaussianProcessRegressor(**held).fit(X, y)
    np.testing.assert_allclose(heavy.predict(X), precise.predict(X), rtol=1e-8)
    some = AtomicGaussianProcessRegressor(**FIXED).fit(X, y, np.arange(7) % 2)
    without = AtomicGaussianProcessRegressor(**FIXED).fit(X[1::2], y[1::2])
    np.testing.assert_allclose(some.predict(X), without.predict(X), rtol=1e-8)


def test_the_likelihood_of_weights_is_that_of_rows_given_so_often():
    times = np.arange(40) % 3 + 1
    model = AtomicGaussianProcessRegressor(**HELD)
    weighted = model.fit(ROWS, TARGETS, times).log_marginal_likelihood(
        eval_gradient=True
    )
    again = np.repeat(np.arange(40), times)
    repeated = clone(model).fit(ROWS[again], TARGETS[again])
    value, gradient = repeated.log_marginal_likelihood(eval_gradient=True)
    assert weighted[0] == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(weighted[1], gradient, rtol=1e-8, atol=1e-8)


def test_the_likelihood_of_weighted_structures_is_that_of_their_copies(crystals):
    frames, y = crystals
    X = features().fit_transform(frames)
    times = np.array([2, 1, 3, 1, 1, 2, 1])
    again = np.repeat(np.arange(7), times)
    model = AtomicGaussianProcessRegressor(**FIXED)
    weighted = model.fit(X, y, times).log_marginal_likelihood()
    copies = clone(model).fit(X[again], y[again]).log_marginal_likelihood()
    assert weighted == pytest.approx(copies, rel=1e-9)


def test_hyperparameters_of_large_sets_are_chosen_on_a_draw(crystals):
    frames, y = crystals
    X = features().fit_transform(frames)
    drawn = {"optimizer": "likelihood", "max_likelihood_labels": 30}
    one, two = (
        AtomicGaussianProcessRegressor(**FIXED | drawn, random_state=seed).fit(X, y)
        for seed in (0, 0)
    )
    assert one.length_scale_ == two.length_scale_
    assert one.length_scale_ != 3.0
    assert len(one.dual_coef_) == 28  # all structures are learned from


def test_a_length_at_its_bound_is_told():
    model = AtomicGaussianProcessRegressor(length_scale_bounds=(1e-3, 1e-2))
    with pytest.warns(ConvergenceWarning, match="upper bound of length_scale, 0.01"):
        model.fit(ROWS, TARGETS)


@pytest.mark.parametrize("bounds", [(1.0, 0.5), (0.0, 1.0), (1.0, 2.0, 3.0), "auto"])
def test_wrong_bounds_are_refused(bounds):
    model = AtomicGaussianProcessRegressor(variance_bounds=bounds)
    with pytest.raises(ValueError, match="variance_bounds"):
        model.fit(ROWS, TARGETS)


def test_forces_alone_need_forces():
    frames = [rattled(molecule("H2O"), k, 0.1) for k in range(3)]
    X = features().fit_transform(frames)
    with pytest.raises(ValueError, match="trains on forces and stress alone"):
        AtomicGaussianProcessRegressor(energies=False).fit(X, [1.0, 2.0, 3.0])


def test_pickles_and_clones_predict_the_same(crystals):
    frames, y = crystals
    model = potential().fit(frames[:3], y[:3])
    again = pickle.loads(pickle.dumps(model))
    one, other = (
        predict_forces(m, frames[4:5], return_std=True) for m in (model, again)
    )
    np.testing.assert_array_equal(one[1][0], other[1][0])
    assert not hasattr(clone(model)[-1], "dual_coef_")


def test_few_energies_alone_are_learned_as_by_kernel_ridge():
    frames = load_dataset("malonaldehyde", "train").frames[:90]
    X, y = ACSF(4.0, g4=None).fit_transform(frames), read_energies(frames)
    process = AtomicGaussianProcessRegressor(forces=None).fit(X[:30], y[:30])
    ridge = AtomicKernelRidge(forces=None).fit(X[:30], y[:30])
    energies, std = process.predict(X[30:], return_std=True)
    np.testing.assert_allclose(energies, ridge.predict(X[30:]), atol=1e-5)
    assert process.noise_energy_ == pytest.approx(1e-7**0.5 * process.variance_**0.5)
    assert 0.2 < np.sqrt(np.mean(((energies - y[30:]) / std) ** 2)) < 5
    searched = AtomicGaussianProcessRegressor(
        forces=None, length_scale_bounds=(1e-2, 1e2), noise_energy=1e-2
    ).fit(X[:30], y[:30])
    assert searched.length_scale_ != process.length_scale_
    assert searched.noise_energy_ == 1e-2  # its bounds are not given
