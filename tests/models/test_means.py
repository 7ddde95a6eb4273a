"""Closed-form models of means over atoms, and of sums that are no energies."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel

from skatom.base import Target, target_of
from skatom.base._targets import one_number
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.featurizers import ACSF
from skatom.models import (
    AtomicGaussianProcessRegressor,
    AtomicKernelRidge,
    AtomicKernelRidgeCV,
    AtomicRidge,
    AtomicRidgeCV,
)
from skatom.models._labelled.sum_or_mean import SumOrMean
from skatom.persistence import load, save
from skatom.potential import evaluate, make_potential, predict_forces
from skatom.preprocessing import Pool
from skatom.structures._samples import with_labels
from skatom.testing import all_estimators
from skatom.testing._matrix.models import small
from skatom.uncertainty import EnsembleRegressor, LastLayerRigidity

GAP = Target("band gap", "eV", "mean")
ACSF_ = ACSF(4.0, n_radial=3, g4=None)
MEANS = {n: c for n, c in all_estimators("regressor") if issubclass(c, SumOrMean)}


def alloys(n=9):
    """Crystals of one to four atoms of two elements."""
    frames = []
    for k in range(n):
        atoms = bulk("Cu", "fcc", a=3.5 + 0.03 * k) * (1 + k % 2, 1, 1 + k % 3 // 2)
        atoms.rattle(0.05, seed=k)
        atoms.numbers[: k % 3] = 28
        frames.append(atoms)
    return frames


FRAMES = alloys()
Y = np.array([2.0 + np.sin(a.get_volume() / len(a)) for a in FRAMES])
NEW, SUPERCELLS = FRAMES[-2:], [a.repeat((2, 1, 2)) for a in FRAMES[-2:]]


def mean_rows(X):
    return Pool("mean").fit_transform(ACSF_.fit(FRAMES).transform(X))


def fractions(X):
    return np.array([[np.mean(a.numbers == z) for z in (28, 29)] for a in X])


def species_shares(X):
    """How much each atom counts in the mean of its structure, (n_structures, n_atoms)."""
    features = ACSF_.fit(FRAMES).transform(X)
    owner = features.structure_index == np.arange(len(X))[:, None]
    return features, owner / features.n_atoms[:, None]


@pytest.mark.parametrize("name", MEANS)
def test_supercells_have_the_same_mean_and_the_same_std(name):
    model = make_potential(ACSF_, small(MEANS[name]).set_params(target=GAP))
    model.fit(FRAMES, Y)
    one, many = model.predict(NEW), model.predict(SUPERCELLS)
    np.testing.assert_allclose(many, one, rtol=1e-7)
    assert np.ptp(model.predict(FRAMES)) > 1e-3
    if hasattr(model[-1], "forces_std"):
        std = [evaluate(model, X, forces=False, std=True) for X in (NEW, SUPERCELLS)]
        one, many = (found.properties_std["band gap"] for found in std)
        np.testing.assert_allclose(many, one, rtol=1e-6)
    with pytest.raises(NoDerivativeError, match="a mean over atoms: forces belong"):
        predict_forces(model, NEW)


@pytest.mark.parametrize("name", MEANS)
def test_slopes_by_features_are_those_of_the_mean(name):
    features = ACSF_.fit_transform(FRAMES)
    model = small(MEANS[name]).set_params(target="mean").fit(features, Y)
    v = np.random.default_rng(0).normal(size=features.values.shape)
    ends = [
        AtomFeatures(features.values + h * v, features.offsets, features.numbers)
        for h in (1e-5, -1e-5)
    ]
    slope = np.subtract(*(model.predict(end).sum() for end in ends)) / 2e-5
    found = (model.feature_gradient(features) * v).sum()
    assert found == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("name", MEANS)
def test_what_is_no_sum_or_mean_is_refused(name):
    features = ACSF_.fit_transform(FRAMES)
    model = small(MEANS[name]).set_params(target="dipole")
    with pytest.raises(ValueError, match=f"{name} adds up.*the target is dipole"):
        model.fit(features, Y)
    with pytest.raises(ValueError, match="several sums or means, fit one model each"):
        one_number(model.set_params(target=Target("x", "", "sum", 2)))


def test_ridge_is_that_of_scikit_learn_on_mean_rows():
    copper = [a for a in FRAMES if (a.numbers == 29).all()]
    y, new = Y[: len(copper)], [copper[0].repeat(2)]
    model = make_potential(ACSF_, AtomicRidge(0.3, target=GAP)).fit(copper, y)
    rows = [Pool("mean").fit_transform(ACSF_.fit(copper).transform(X))
            for X in (copper, new)]  # fmt: skip
    expected = Ridge(0.3).fit(rows[0], y)
    np.testing.assert_allclose(model.predict(new), expected.predict(rows[1]), rtol=1e-9)
    np.testing.assert_allclose(model[-1].coef_[0], expected.coef_, rtol=1e-7)


def test_ridge_and_its_deviations_are_those_of_least_squares_on_mean_rows():
    model = make_potential(ACSF_, AtomicRidge(0.3, by_species=False, target="mean"))
    model.fit(FRAMES, Y)
    rows, new = (np.hstack([fractions(X), mean_rows(X)]) for X in (FRAMES, SUPERCELLS))
    penalty = 0.3 * np.diag([0.0, 0.0, *np.ones(rows.shape[1] - 2)])
    normal = rows.T @ rows + penalty
    coef = np.linalg.solve(normal, rows.T @ Y)
    y, std = model.predict(SUPERCELLS, return_std=True)
    np.testing.assert_allclose(y, new @ coef, rtol=1e-9)
    left = Y - rows @ coef
    noise = (left @ left + coef @ penalty @ coef) / len(Y)
    assert model[-1].noise_variance_ == pytest.approx(noise, rel=1e-6)
    # energies of species count as known: what is left of features beside fractions
    hat = np.linalg.solve(rows[:, :2].T @ rows[:, :2], rows[:, :2].T @ rows[:, 2:])
    own, asked = (part[:, 2:] - part[:, :2] @ hat for part in (rows, new))
    matrix = own.T @ own + 0.3 * np.eye(own.shape[1])
    spread = np.einsum("nf,fg,ng->n", asked, np.linalg.inv(matrix), asked)
    np.testing.assert_allclose(std, np.sqrt(noise * (1.0 + spread)), rtol=1e-6)


def test_contributions_add_up_and_so_does_their_noise():
    X = ACSF_.fit_transform(FRAMES)
    model = AtomicRidge(1e9, by_species=False, target="mean").fit(X, Y)
    atoms, std = model.predict_atoms(X, return_std=True)
    y, of_mean = model.predict(X, return_std=True)
    np.testing.assert_allclose(np.add.reduceat(atoms, X.offsets[:-1]), y, rtol=1e-9)
    squares = np.add.reduceat(std**2, X.offsets[:-1])  # nothing but noise is left
    np.testing.assert_allclose(squares, of_mean**2, rtol=1e-3)


def test_ridge_of_batches_is_that_of_one_fit():
    X = ACSF_.fit_transform(FRAMES)
    model = AtomicRidge(0.3, target=GAP).partial_fit(X[:5], Y[:5])
    model.set_params(target="energy").partial_fit(X[5:], Y[5:])
    assert model.target_ == GAP
    once = AtomicRidge(0.3, target=GAP).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), once.predict(X), rtol=1e-7)


def test_penalties_are_chosen_by_the_errors_of_means():
    X = ACSF_.fit_transform(FRAMES)
    model = AtomicRidgeCV([1e-2, 1.0], cv=3, target=GAP).fit(X, Y)
    losses = []
    for alpha in (1e-2, 1.0):
        errors = []
        for k in range(3):
            held = np.arange(3 * k, 3 * k + 3)
            rest = np.setdiff1d(np.arange(9), held)
            one = AtomicRidge(alpha, target=GAP).fit(X[rest], Y[rest])
            errors.extend(one.predict(X[held]) - Y[held])
        losses.append(np.mean(np.square(errors)))
    np.testing.assert_allclose(model.cv_losses_, losses, rtol=1e-6)


# -- Gaussian process ------------------------------------------------------------------

FIXED = {
    "length_scale": 1.3, "variance": 0.7, "noise_energy": 0.05, "optimizer": None,
    "baseline": None,
}  # fmt: skip


def dense_process():
    """Condition a Gaussian process with the kernel of means, in plain NumPy."""
    (old, left), (new, right) = species_shares(FRAMES), species_shares(SUPERCELLS)

    def kernel(one, two, a, b):
        k = 0.7 * rbf_kernel(one.values, two.values, gamma=0.5 / 1.3**2)
        return a @ (k * (one.numbers[:, None] == two.numbers)) @ b.T

    K = kernel(old, old, left, left) + 0.05**2 * np.eye(len(Y))
    across = kernel(new, old, right, left)
    prior = kernel(new, new, right, right)
    mean = across @ np.linalg.solve(K, Y)
    cov = prior - across @ np.linalg.solve(K, across.T) + 0.05**2 * np.eye(len(prior))
    return K, mean, cov


@pytest.mark.parametrize(
    ("solver", "projected"), [("dense", 1e-6), ("iterative", 1e-3), ("sparse", 1e-3)]
)
def test_the_process_is_a_dense_one_with_the_kernel_of_means(solver, projected):
    """Projected ones add a thousandth of the noise to their inducing labels."""
    _, mean, cov = dense_process()
    model = AtomicGaussianProcessRegressor(
        solver=solver, n_inducing_labels=1000, tol=1e-10, target=GAP, **FIXED
    )
    model = make_potential(ACSF_, model).fit(FRAMES, Y)
    y, std = model.predict(SUPERCELLS, return_std=True)
    np.testing.assert_allclose(y, mean, rtol=projected)
    np.testing.assert_allclose(std, np.sqrt(np.diagonal(cov)), rtol=projected)
    X = model[:-1].transform(SUPERCELLS)
    found = model[-1].predict(X, return_cov=True)[1]
    np.testing.assert_allclose(found, cov, rtol=10 * projected)


def test_likelihood_and_residuals_are_those_of_means():
    K, *_ = dense_process()
    model = AtomicGaussianProcessRegressor(target=GAP, **FIXED)
    model.fit(ACSF_.fit_transform(FRAMES), Y)
    expected = multivariate_normal(np.zeros(len(Y)), K).logpdf(Y)
    assert model.log_marginal_likelihood_value_ == pytest.approx(expected, rel=1e-9)
    inverse = np.linalg.inv(K)
    left_out = inverse @ Y / np.diagonal(inverse)
    np.testing.assert_allclose(model.left_out_residuals()[0], left_out, rtol=1e-7)


def test_means_seen_twice_are_those_of_weight_two():
    X = ACSF_.fit_transform(FRAMES)
    twice = np.concatenate([np.arange(9), np.arange(9)])
    weights = np.full(9, 2.0)
    one = AtomicGaussianProcessRegressor(target=GAP, **FIXED).fit(X, Y, weights)
    two = AtomicGaussianProcessRegressor(target=GAP, **FIXED).fit(X[twice], Y[twice])
    np.testing.assert_allclose(one.predict(X), two.predict(X), rtol=1e-7)
    assert one.log_marginal_likelihood_value_ == pytest.approx(
        two.log_marginal_likelihood_value_, rel=1e-7
    )
    np.testing.assert_allclose(
        one.left_out_residuals()[0],
        AtomicGaussianProcessRegressor(
            target=GAP, **FIXED | {"noise_energy": 0.05 / 2**0.5}
        ).fit(X, Y).left_out_residuals()[0],
        rtol=1e-7,
    )  # fmt: skip


def test_the_process_goes_on_learning_means():
    X = ACSF_.fit_transform(FRAMES)
    model = AtomicGaussianProcessRegressor(target=GAP, **FIXED).partial_fit(
        X[:5], Y[:5]
    )
    model.partial_fit(X[5:], Y[5:])
    once = AtomicGaussianProcessRegressor(target=GAP, **FIXED).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), once.predict(X), rtol=1e-7)


def test_processes_of_means_learn_from_no_forces():
    model = AtomicGaussianProcessRegressor(energies=False, target=GAP)
    with pytest.raises(NoDerivativeError, match="band gap in eV, a mean over atoms"):
        model.fit(ACSF_.fit_transform(FRAMES), Y)


# -- what only energies have -----------------------------------------------------------

LABELLED = with_labels([molecule(n) for n in ("H2O", "H2O2", "H2O", "H2O2")])
for _k, _atoms in enumerate(LABELLED):
    _atoms.positions += 0.01 * (_k + 1) * np.arange(3 * len(_atoms)).reshape(-1, 3)
LABELLED = with_labels(LABELLED)
ENERGIES = np.array([a.get_potential_energy() for a in LABELLED])
WITH_FORCES = {
    "AtomicRidge": AtomicRidge(1e-3),
    "AtomicRidgeCV": AtomicRidgeCV([1e-3], cv=2),
    "AtomicKernelRidge": AtomicKernelRidge(gamma=0.1),
    "AtomicKernelRidgeCV": AtomicKernelRidgeCV([1e-7], gammas=[0.1]),
    "AtomicGaussianProcessRegressor": AtomicGaussianProcessRegressor(**FIXED),
}


@pytest.mark.parametrize("kind", ["sum", "mean"])
@pytest.mark.parametrize("model", WITH_FORCES.values(), ids=WITH_FORCES)
def test_forces_are_trained_with_energies_only(model, kind):
    X = ACSF_.fit_transform(LABELLED)
    target = Target("volume", "Å³", kind)
    y = np.array([1.0, 2.5, 1.1, 2.2])
    without = clone(model).set_params(target=target, forces=None).fit(X, y)
    beside = clone(model).set_params(target=target).fit(X, y)
    np.testing.assert_array_equal(beside.predict(X), without.predict(X))
    with pytest.raises(NoDerivativeError, match="forces and stress to train on belong"):
        beside.fit(X, y, forces="calc")
    if hasattr(beside, "forces_std"):
        with pytest.raises(NoDerivativeError, match=r"volume in Å³.*: forces belong"):
            beside.forces_std(X)


@pytest.mark.parametrize("model", WITH_FORCES.values(), ids=WITH_FORCES)
def test_energies_of_any_unit_are_trained_with_stored_forces(model):
    unit = units.kcal / units.mol
    target = Target("energy", "kcal/mol")
    params = {"target": target}
    if "noise_energy" in model.get_params():
        params |= {"variance": 0.7 / unit**2, "noise_energy": 0.05 / unit,
                   "noise_forces": 1e-3 / unit}  # fmt: skip
    plain = make_potential(ACSF_, clone(model)).fit(LABELLED, ENERGIES)
    other = make_potential(ACSF_, clone(model).set_params(**params))
    other.fit(LABELLED, ENERGIES / unit)
    np.testing.assert_allclose(
        unit * other.predict(LABELLED), plain.predict(LABELLED), rtol=1e-5, atol=1e-6
    )
    for found, expected in zip(predict_forces(other, LABELLED),
                               predict_forces(plain, LABELLED)):  # fmt: skip
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# -- wrappers --------------------------------------------------------------------------


def test_error_bars_around_means_are_those_of_means():
    for wrapper in (
        LastLayerRigidity(
            make_potential(ACSF_, AtomicRidge(target=GAP)).fit(FRAMES, Y)
        ),
        EnsembleRegressor(
            make_potential(ACSF_, AtomicKernelRidge(target=GAP)), 3, random_state=0
        ),
    ):
        model = wrapper.fit(FRAMES, Y)
        assert target_of(model) == GAP
        one, many = (model.predict(X, return_std=True) for X in (NEW, SUPERCELLS))
        np.testing.assert_allclose(many, one, rtol=1e-6)


def test_files_keep_the_kind(tmp_path):
    model = AtomicGaussianProcessRegressor(target=GAP, **FIXED)
    model = make_potential(ACSF_, model).fit(FRAMES, Y)
    again = load(save(model, tmp_path / "model"))
    assert target_of(again) == GAP
    np.testing.assert_array_equal(
        again.predict(SUPERCELLS, return_std=True),
        model.predict(SUPERCELLS, return_std=True),
    )
