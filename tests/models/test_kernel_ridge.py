"""AtomicKernelRidge against scikit-learn, differences and what it must reproduce."""

import warnings

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from conftest import labelled, rattled
from differences import numerical_forces
from sklearn.base import clone
from sklearn.gaussian_process.kernels import (
    RBF,
    DotProduct,
    Matern,
    RationalQuadratic,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from skatom.features import AtomFeatures
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge
from skatom.models import kernel_ridge as module
from skatom.models._kernel_ridge import exact
from skatom.models._labelled import rigid_motions as rigid
from skatom.models._labelled.derivative_rows import derivative_rows
from skatom.models._labelled.training_set import training_set
from skatom.potential import Potential
from skatom.structures import Structures, read_energies, read_labels

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 4))
TARGETS = ROWS @ [1.0, 2.0, 3.0, 4.0] + np.sin(ROWS[:, 0]) + 5.0
WEIGHTS = RNG.uniform(0.1, 2.0, size=60)
NEW_ROWS = RNG.normal(size=(7, 4))


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "polynomial", "linear"])
def test_it_is_kernel_ridge_on_a_matrix(kernel, weights):
    shared = {"alpha": 1e-3, "kernel": kernel, "degree": 2, "coef0": 0.5}
    ours = AtomicKernelRidge(gamma=None, **shared).fit(ROWS, TARGETS, weights)
    stock = KernelRidge(**shared).fit(ROWS, TARGETS, sample_weight=weights)
    np.testing.assert_allclose(
        ours.predict(NEW_ROWS), stock.predict(NEW_ROWS), rtol=1e-8
    )
    np.testing.assert_allclose(ours.dual_coef_, stock.dual_coef_, rtol=1e-8)


STOCK_KERNELS = {
    "matern32": Matern(1.5, nu=1.5),
    "matern52": Matern(1.5, nu=2.5),
    "exponential": Matern(1.5, nu=0.5),
    "cosine": "cosine",
}


@pytest.mark.parametrize("name", STOCK_KERNELS)
def test_other_names_are_kernel_ridge_too(name):
    params = {"alpha": 1e-3, "gamma": 0.5 / 1.5**2, "degree": 1}
    ours = AtomicKernelRidge(kernel=name, **params).fit(ROWS, TARGETS)
    stock = KernelRidge(alpha=1e-3, kernel=STOCK_KERNELS[name]).fit(ROWS, TARGETS)
    np.testing.assert_allclose(
        ours.predict(NEW_ROWS), stock.predict(NEW_ROWS), rtol=1e-8
    )


@pytest.mark.parametrize("kernel", ["rbf", "matern52", "polynomial", "linear"])
def test_references_at_every_row_give_the_exact_solution(kernel):
    common = {"alpha": 1e-2, "kernel": kernel, "gamma": 0.2}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The kernel among", UserWarning)
        sparse = AtomicKernelRidge(n_references=10**6, **common).fit(ROWS, TARGETS)
    exact = AtomicKernelRidge(n_references=None, **common).fit(ROWS, TARGETS)
    np.testing.assert_allclose(
        sparse.predict(NEW_ROWS), exact.predict(NEW_ROWS), rtol=1e-6
    )


def cells(n: int) -> Structures:
    """Small CuO-like cells with EMT labels: two species, images of atoms themselves."""
    frames = []
    for seed in range(n):
        atoms = bulk("Cu", a=3.6, cubic=True)
        atoms.symbols[: 1 + seed % 2] = "Ni"
        atoms = rattled(atoms, seed=seed, stdev=0.15)
        frames.append(labelled(atoms, stress=True))
    return Structures(frames)


def potential(**params) -> Potential:
    features = ACSF(r_cut=4.0, n_radial=5, n_angular=1, zetas=(1, 2))
    return Potential([("features", features), ("model", AtomicKernelRidge(**params))])


@pytest.fixture(scope="module")
def crystals() -> tuple[Structures, np.ndarray]:
    frames = cells(10)
    return frames, read_energies(frames)


def errors(fitted: Potential, frames: Structures) -> tuple[float, float]:
    """RMS of a force component and of a virial component."""
    labels = read_labels(frames, stress="calc")
    forces = np.concatenate(fitted.predict_forces(frames)) - labels.forces
    stress = fitted.predict_stress(frames) - labels.stress
    return np.sqrt(np.mean(forces**2)), np.sqrt(np.mean(stress**2))


@pytest.mark.parametrize("kernel", ["rbf", "matern52", "matern32", "polynomial"])
@pytest.mark.parametrize("n_references", [None, 30])
def test_forces_are_the_slope_of_the_energy(kernel, n_references, crystals):
    frames, y = crystals
    params = {"kernel": kernel, "n_references": n_references, "gamma": 0.1}
    fitted = potential(alpha=1e-3, **params).fit(frames, y)
    atoms = rattled(frames[3], seed=5, stdev=0.05)
    forces = fitted.predict_forces([atoms])[0]
    for step in (1e-3, 1e-4):  # errors of order step^2, then rounding
        ahead, behind = atoms.copy(), atoms.copy()
        ahead.positions[1, 2] += step
        behind.positions[1, 2] -= step
        slope = np.diff(fitted.predict([behind, ahead]))[0] / (2.0 * step)
        assert forces[1, 2] == pytest.approx(-slope, rel=1e-4)
    assert abs(forces[1, 2]) > 1e-2


@pytest.mark.parametrize("kernel", ["rbf", "matern52", "matern32", "polynomial"])
def test_exact_solution_meets_all_labels_without_noise(kernel, crystals):
    frames, y = crystals
    fitted = potential(
        alpha=1e-9, kernel=kernel, gamma=0.5, stress="calc", baseline=None
    ).fit(frames, y)
    force_error, stress_error = errors(fitted, frames)
    # alpha is 1e-9 of the kernel's own size; labels are of order 1 and 0.1
    assert np.abs(fitted.predict(frames) - y).max() < 1e-3
    assert force_error < 1e-2
    assert stress_error < 1e-3


@pytest.mark.parametrize("stress", [None, "calc"])
def test_exact_solution_is_the_minimum_of_its_loss(stress, crystals):
    """Along any direction in the space of kernels the loss has slope zero.

    Checked against the sparse solution: with other atoms as references it can come
    close to the exact loss on training data and penalty, but never below.
    """
    frames, y = crystals
    params = {"alpha": 1e-2, "gamma": 0.1, "stress": stress, "baseline": None}
    exact = potential(n_references=None, **params).fit(frames, y)
    sparse = potential(n_references=1000, **params).fit(frames, y)
    assert loss(exact, frames, y, stress) < loss(sparse, frames, y, stress)


def loss(fitted: Potential, frames: Structures, y, stress) -> float:
    """Loss of the documentation, with the norm from the identity a . (t - alpha a)."""
    model = fitted.named_steps["model"]
    labels = read_labels(frames, stress=stress)
    n = frames.n_atoms
    left = y - fitted.predict(frames)
    forces = np.concatenate(fitted.predict_forces(frames))
    total = np.sum(left**2 / n) + np.sum((labels.forces - forces) ** 2)
    if stress is not None:
        volumes = np.array([atoms.get_volume() for atoms in frames])
        virial = (labels.stress - fitted.predict_stress(frames)) * volumes[:, None]
        total += np.sum(virial**2 / n[:, None])
    return total + model.alpha * squared_norm(model)


def squared_norm(model: AtomicKernelRidge) -> float:
    """|f|^2 of the fitted function, from values and slopes at its own references."""
    total = 0.0
    kernel = model.kernel_.function
    for number in model.numbers_:
        at = model.reference_numbers_ == number
        points, coef = model.references_[at], model.dual_coef_[at]
        slopes = None if model.dual_slopes_ is None else model.dual_slopes_[at]
        total += coef @ kernel.expansion(points, points, coef, slopes)
        if slopes is not None:
            gradient = kernel.expansion_with_gradient(points, points, coef, slopes)[1]
            total += np.sum(slopes * gradient)
    return total


def test_more_references_come_closer_to_the_exact_solution(crystals):
    frames, y = crystals
    params = {"alpha": 1e-4, "gamma": 0.1}
    exact = potential(n_references=None, **params).fit(frames, y)
    new = cells(14)[10:]
    away = [
        np.abs(
            potential(n_references=m, **params).fit(frames, y).predict(new)
            - exact.predict(new)
        ).mean()
        for m in (4, 40)
    ]
    assert away[1] < 0.5 * away[0]


def test_gamma_follows_the_scale_of_the_features(crystals):
    frames, y = crystals
    fitted = potential().fit(frames, y)
    features = fitted[:-1].transform(frames)
    spread = np.concatenate(
        [
            features.values[features.numbers == z]
            - features.values[features.numbers == z].mean(axis=0)
            for z in (28, 29)
        ]
    )
    variance = np.mean(np.sum(spread**2, axis=1))
    gamma = fitted.named_steps["model"].gamma_
    assert gamma == pytest.approx(0.01 / variance)


def test_equal_features_leave_gamma_at_one():
    same = AtomicKernelRidge().fit(np.ones((3, 2)), [1.0, 2.0, 3.0])
    assert same.gamma_ == 1.0


def test_energies_alone_follow_the_atomic_decomposition_ansatz(crystals):
    frames, y = crystals
    fitted = potential(alpha=1e-3, gamma=0.1, forces=None, baseline=None).fit(frames, y)
    features = fitted[:-1].transform(frames)
    x, z, owner = features.values, features.numbers, features.structure_index
    distances = np.sum((x[:, None] - x) ** 2, axis=2)
    k = np.exp(-0.1 * distances) * (z[:, None] == z)
    L = (owner == np.arange(len(frames))[:, None]).astype(float)
    noise = 1e-3 * np.diag(frames.n_atoms)
    energies = L @ k @ L.T @ np.linalg.solve(L @ k @ L.T + noise, y)
    np.testing.assert_allclose(fitted.predict(frames), energies, rtol=1e-8)


def test_training_on_forces_lowers_force_errors(crystals):
    frames, y = crystals
    new = cells(14)[10:]
    with_forces = potential(gamma=0.1).fit(frames, y)
    without = potential(gamma=0.1, forces=None).fit(frames, y)
    assert errors(with_forces, new)[0] < 0.5 * errors(without, new)[0]


def test_training_on_stress_lowers_stress_errors(crystals):
    frames, y = crystals
    # energies of crystals of one volume say little about stress
    params = {"gamma": 0.1, "force_weight": 1e-4}
    with_stress = potential(stress="calc", **params).fit(frames, y)
    without = potential(**params).fit(frames, y)
    assert errors(with_stress, frames)[1] < 0.5 * errors(without, frames)[1]


@pytest.mark.parametrize("n_references", [None, 25])
def test_partial_forces_count_where_they_are(n_references, crystals):
    frames, y = crystals
    bare = [atoms.copy() for atoms in frames]
    mixed = Structures([*frames.frames[:4], *bare[4:]])
    given = [atoms.calc.results["forces"] for atoms in frames][:4] + [None] * 6
    params = {"n_references": n_references, "gamma": 0.1}
    read = potential(**params).fit(mixed, y)
    passed = potential(**params).fit(Structures(bare), y, forces=given)
    np.testing.assert_array_equal(read.predict(frames), passed.predict(frames))


@pytest.mark.parametrize("n_references", [None, 25])
def test_weight_zero_is_as_good_as_absent(n_references, crystals):
    frames, y = crystals
    weights = np.array([1.0] * 6 + [0.0] * 4)
    params = {"n_references": n_references, "alpha": 1e-4}
    weighted = potential(**params).fit(frames, y, model__sample_weight=weights)
    fewer = potential(**params).fit(frames[:6], y[:6])
    # the same numbers summed in another order, times the condition of the problem
    np.testing.assert_allclose(
        weighted.predict(frames), fewer.predict(frames), rtol=1e-6
    )


def test_weight_two_is_as_good_as_twice(crystals):
    frames, y = crystals
    weights = np.array([2.0] * 3 + [1.0] * 7)
    twice = Structures([*frames.frames[:3], *frames.frames])
    params = {"alpha": 1e-4, "gamma": 0.1}
    weighted = potential(**params).fit(frames, y, model__sample_weight=weights)
    repeated = potential(**params).fit(twice, np.concatenate([y[:3], y]))
    np.testing.assert_allclose(
        weighted.predict(frames), repeated.predict(frames), rtol=1e-6
    )


def test_a_constant_per_atom_moves_into_the_baseline(crystals):
    frames, y = crystals
    shift = 1000.0 * frames.n_atoms
    near = potential().fit(frames, y).predict(frames)
    far = potential().fit(frames, y + shift).predict(frames)
    np.testing.assert_allclose(far - shift, near, atol=1e-8)


def test_fits_are_equal_bit_for_bit(crystals):
    frames, y = crystals
    model = potential(n_references=20, reference_selection="random", random_state=3)
    first, second = clone(model).fit(frames, y), clone(model).fit(frames, y)
    np.testing.assert_array_equal(first.predict(frames), second.predict(frames))


def test_duplicates_do_not_make_the_matrix_singular(crystals):
    frames, y = crystals
    twice = Structures([*frames.frames, *frames.frames])
    fitted = potential(n_references=10**4).fit(twice, np.concatenate([y, y]))
    assert len(fitted.named_steps["model"].references_) == frames.n_atoms.sum()


def test_auto_takes_references_when_there_are_many_labels(crystals, monkeypatch):
    frames, y = crystals
    monkeypatch.setattr(module, "EXACT_LABELS", 50)
    monkeypatch.setattr(module, "AUTO_REFERENCES", 17)
    model = potential().fit(frames, y).named_steps["model"]
    assert len(model.references_) == 17
    assert model.dual_slopes_ is None


def test_laplacian_kernel_refuses_forces(crystals):
    with pytest.raises(ValueError, match="has a kink"):
        potential(kernel="laplacian").fit(*crystals)


def test_matrix_larger_than_memory_is_refused(crystals):
    for n_references, remedy in ((None, "Set n_references='auto'"), (30, "to fewer")):
        message = rf"would take \d+ .B, more than max_memory='100kB'\. .*{remedy}"
        with pytest.raises(MemoryError, match=message):
            potential(n_references=n_references, max_memory="100kB").fit(*crystals)
    with pytest.raises(MemoryError, match=r"more than max_memory=100000\.0"):
        potential(n_references=None, max_memory=1e5).fit(*crystals)
    with pytest.raises(ValueError, match="'much' is no amount of memory"):
        potential(max_memory="much").fit(*crystals)


def test_rescaled_energies_with_forces_are_refused(crystals):
    frames, y = crystals
    with pytest.raises(ValueError, match="times the energies stored"):
        potential().fit(frames, 23.06 * y)


def test_structures_without_forces_train_on_energies(crystals):
    frames, y = crystals
    bare = [atoms.copy() for atoms in frames]
    fitted = potential(gamma=0.1).fit(bare, y)
    reference = potential(gamma=0.1, forces=None).fit(frames, y)
    np.testing.assert_array_equal(fitted.predict(bare), reference.predict(bare))


def test_labels_are_not_read_at_predict(crystals):
    frames, y = crystals
    fitted = potential().fit(frames, y)
    liars = [atoms.copy() for atoms in frames]
    for atoms in liars:
        atoms.calc = SinglePointCalculator(atoms, energy=1e6)
    np.testing.assert_array_equal(fitted.predict(liars), fitted.predict(frames))


def molecules(n: int) -> Structures:
    """Rattled formic acid with made-up energies and forces of springs."""
    frames = []
    for seed in range(n):
        atoms = rattled(molecule("HCOOH"), seed=seed, stdev=0.05)
        frames.append(springs(atoms))
    return Structures(frames)


def springs(atoms):
    """Label with springs of strength one between all atoms, at 1.5 Å."""
    vectors = atoms.positions[:, None] - atoms.positions
    distances = np.linalg.norm(vectors, axis=2) + 1e-300
    np.fill_diagonal(distances, 1.5)
    pull = (distances - 1.5)[:, :, None] * vectors / distances[:, :, None]
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=0.25 * np.sum((distances - 1.5) ** 2),
        forces=-pull.sum(axis=1),
    )
    return atoms


@pytest.fixture(scope="module")
def acids() -> tuple[Structures, np.ndarray]:
    frames = molecules(8)
    return frames, read_energies(frames)


def test_net_forces_and_torques_are_left_out(acids, monkeypatch):
    """The smaller problem has the solution of the whole one."""
    frames, y = acids
    reduced = potential(gamma=0.1).fit(frames, y)
    monkeypatch.setattr(exact, "without_rigid_motion", lambda block: block)
    whole = potential(gamma=0.1).fit(frames, y)
    # solutions of different matrices, of condition 1e8
    np.testing.assert_allclose(
        reduced.predict(frames), whole.predict(frames), atol=1e-7
    )
    np.testing.assert_allclose(
        reduced.predict_forces(frames), whole.predict_forces(frames), atol=1e-6
    )


def test_molecules_have_six_labels_less(acids):
    frames, y = acids
    features = ACSF(r_cut=4.0).fit_transform(frames)
    given = training_set(AtomicKernelRidge(), features, y)
    block = rigid.without_rigid_motion(next(derivative_rows(given, 1)))
    assert block.n_targets == 8 * (3 * 5 - 6)
    uneven = training_set(AtomicKernelRidge(), features, y, np.arange(1.0, 9.0))
    block = rigid.without_rigid_motion(next(derivative_rows(uneven, 1)))
    np.testing.assert_array_equal(block.weights, np.repeat(np.arange(1.0, 9.0), 9))


def test_linear_molecules_have_five_rigid_motions():
    inside = rigid.internal_directions(
        np.array([[0, 0, 0.0], [0, 0, 1.2], [0, 0, 2.4]])
    )
    assert [part.shape[1] for part in inside] == [5, 4]


SCALES = np.array([0.5, 1.0, 2.0, 0.2])
LENGTHS = np.sqrt(0.5) / SCALES


@pytest.mark.parametrize("kernel", ["rbf", "matern52", "exponential", "cosine"])
def test_gamma_of_features_is_scaling_them(kernel):
    common = {"alpha": 1e-3, "kernel": kernel, "degree": 2}
    whole = AtomicKernelRidge(gamma=SCALES**2, **common).fit(ROWS, TARGETS)
    scaled = AtomicKernelRidge(gamma=1.0, **common).fit(ROWS * SCALES, TARGETS)
    np.testing.assert_allclose(
        whole.predict(NEW_ROWS), scaled.predict(NEW_ROWS * SCALES), rtol=1e-8
    )
    slope = scaled.feature_gradient(NEW_ROWS * SCALES) * SCALES
    np.testing.assert_allclose(whole.feature_gradient(NEW_ROWS), slope, rtol=1e-6)


@pytest.mark.parametrize(
    "kernel",
    [
        RBF(1.5),
        2.0 * RBF(LENGTHS),
        Matern(1.5, nu=1.5) + DotProduct(0.5) ** 2,
        RationalQuadratic(1.5, 0.7) * Matern(2.0, nu=0.8),
        (Matern(LENGTHS, nu=1.7) + 0.5) ** 2,
    ],
    ids=["rbf", "anisotropic", "sum", "shaped", "power"],
)
def test_kernel_objects_are_those_of_kernel_ridge(kernel):
    ours = AtomicKernelRidge(alpha=1e-3, kernel=kernel).fit(ROWS, TARGETS)
    stock = KernelRidge(alpha=1e-3, kernel=kernel).fit(ROWS, TARGETS)
    np.testing.assert_allclose(
        ours.predict(NEW_ROWS), stock.predict(NEW_ROWS), rtol=1e-8
    )


SPECIES = {
    "species": {"gamma": "species"},
    "each": {"gamma": {"Ni": 0.1, "Cu": 0.3}},
    "coupled": {"gamma": 0.1, "species_coupling": 0.5},
    "all": {"gamma": "species", "species_coupling": [[1.0, 0.3], [0.3, 0.5]]},
    "composed": {"kernel": RBF(2.0) + 0.1 * DotProduct(1.0) ** 2},
    "composed, coupled": {
        "kernel": Matern(2.0, nu=2.5) * DotProduct(1.0),
        "species_coupling": 0.5,
    },
    "cosine": {"kernel": "cosine", "degree": 2},
    "matern": {"kernel": Matern(2.0, nu=1.2)},
    "rational": {"kernel": RationalQuadratic(2.0, 0.7) ** 2},
}


@pytest.mark.parametrize("n_references", [None, 25])
@pytest.mark.parametrize("params", SPECIES.values(), ids=SPECIES)
def test_forces_are_slopes_with_any_species_kernel(params, n_references, crystals):
    frames, y = crystals
    fitted = potential(alpha=1e-3, n_references=n_references, **params).fit(frames, y)
    atoms = rattled(frames[3], seed=5, stdev=0.05)
    forces = fitted.predict_forces([atoms])[0]
    np.testing.assert_allclose(
        forces,
        numerical_forces(fitted.predict, atoms),
        atol=1e-5 * np.abs(forces).max(),
    )


@pytest.mark.parametrize("n_references", [None, 6, "all"])
def test_a_gamma_for_each_feature_trains_forces_as_one_for_all(n_references, crystals):
    frames, y = crystals
    X = potential()[:-1].fit_transform(frames)
    one, each = (
        AtomicKernelRidge(1e-4, gamma=gamma, n_references=n_references).fit(X, y)
        for gamma in (0.02, np.full(X.values.shape[1], 0.02))
    )
    np.testing.assert_allclose(each.predict(X), one.predict(X), rtol=1e-7)
    np.testing.assert_allclose(
        each.feature_gradient(X), one.feature_gradient(X), atol=1e-6
    )


@pytest.mark.parametrize("params", SPECIES.values(), ids=SPECIES)
def test_residuals_are_alpha_times_the_coefficients(params, crystals):
    """The equations of the exact solution, from predictions alone."""
    frames, y = crystals
    fitted = potential(alpha=1e-6, baseline=None, **params).fit(frames[:4], y[:4])
    model = fitted.named_steps["model"]
    coef = np.empty(len(model.dual_coef_))
    coef[model.reference_atoms_] = model.dual_coef_
    first = coef[np.cumsum([0, *frames[:3].n_atoms])]
    residual = y[:4] - fitted.predict(frames[:4])
    np.testing.assert_allclose(residual, 1e-6 * frames[:4].n_atoms * first, atol=1e-7)
    # a wrong block of curvatures would leave as much as there is
    assert errors(fitted, frames[:4])[0] < 0.02 * np.std(read_labels(frames).forces)


def test_coupled_species_learn_from_each_other(crystals):
    """With all species alike and one kernel for all, atoms count as of one species."""
    frames, y = crystals
    fitted = potential(
        alpha=1e-3, gamma=0.1, species_coupling=1.0, forces=None, baseline=None
    ).fit(frames, y)
    features = fitted[:-1].transform(frames)
    alike = AtomFeatures(
        features.values, features.offsets, np.full_like(features.numbers, 29)
    )
    one = AtomicKernelRidge(alpha=1e-3, gamma=0.1, baseline=None).fit(alike, y)
    np.testing.assert_allclose(fitted.predict(frames), one.predict(alike), rtol=1e-8)


def test_a_mean_is_what_is_left_when_structures_are_repeated(crystals):
    frames, y = crystals
    twice = Structures([atoms.repeat((2, 1, 1)) for atoms in frames])
    fitted = potential(target="mean", gamma=0.1).fit(frames, y)
    np.testing.assert_allclose(fitted.predict(twice), fitted.predict(frames), rtol=1e-8)


def test_a_mean_is_kernel_ridge_on_averaged_kernels(crystals):
    frames, y = crystals
    params = {"alpha": 1e-3, "gamma": 0.1, "baseline": None}
    fitted = potential(target="mean", **params).fit(frames, y)
    features = fitted[:-1].transform(frames)
    x, z, owner = features.values, features.numbers, features.structure_index
    k = rbf_kernel(x, gamma=0.1) * (z[:, None] == z)
    share = (owner == np.arange(len(frames))[:, None]) / frames.n_atoms[:, None]
    averaged = share @ k @ share.T
    expected = averaged @ np.linalg.solve(averaged + 1e-3 * np.eye(len(frames)), y)
    np.testing.assert_allclose(fitted.predict(frames), expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"gamma": [1.0, 2.0]}, "gamma has entries for 2"),
        ({"gamma": {"Cu": 0.1}}, "no entry for Ni"),
        ({"gamma": {"Cu": 0.1, "Ni": [1.0] * 2}}, "of Ni has entries for 2"),
        ({"gamma": {"Cu": 0.1, "Nj": 0.1}}, "'Nj', which is no chemical symbol"),
        ({"gamma": {"Cu": 0.1, "Ni": -0.1}}, "gamma of Ni must be positive"),
        ({"kernel": RBF([1.0, 2.0])}, "the kernel has lengths for 2"),
        ({"species_coupling": 1.5}, "positive semidefinite"),
        ({"species_coupling": [[1.0]]}, "but X has 2 species"),
        ({"species_coupling": [[1.0, 0.1], [0.2, 1.0]]}, "must be symmetric"),
        ({"kernel": "exponential"}, "has a kink"),
        ({"kernel": Matern(2.0, nu=1.0)}, "has a kink"),
    ],
)
def test_kernels_that_do_not_fit_are_refused(params, message, crystals):
    with pytest.raises(ValueError, match=message):
        potential(**params).fit(*crystals)


def test_means_refuse_forces(crystals):
    frames, y = crystals
    model = AtomicKernelRidge(target="mean")
    features = ACSF(r_cut=4.0).fit_transform(frames)
    with pytest.raises(
        ValueError, match="a mean over atoms: forces and stress to train"
    ):
        model.fit(features, y, forces="calc")
