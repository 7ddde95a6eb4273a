"""AtomicRidge against scikit-learn's Ridge, differences and what it must reproduce."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from conftest import labelled, rattled
from differences import numerical_forces, numerical_stress, relative_error
from radial import RadialSums
from sklearn.linear_model import LinearRegression, Ridge

from skatom.models import AtomicRidge
from skatom.models._labelled.derivative_rows import derivative_rows
from skatom.models._labelled.training_set import training_set
from skatom.potential import Potential
from skatom.structures import Structures, read_energies, read_labels

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 4)) + 3.0
TARGETS = ROWS @ [1.0, 2.0, 3.0, 4.0] + np.sin(ROWS[:, 0]) + 5.0
WEIGHTS = RNG.uniform(0.1, 2.0, size=60)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-6, 1.0, 100.0])
def test_it_is_ridge_on_a_matrix(alpha, fit_intercept, weights):
    shared = {"alpha": alpha, "fit_intercept": fit_intercept}
    ours = AtomicRidge(**shared).fit(ROWS, TARGETS, sample_weight=weights)
    stock = Ridge(**shared, solver="svd").fit(ROWS, TARGETS, sample_weight=weights)
    np.testing.assert_allclose(ours.coef_, stock.coef_, rtol=1e-8)
    np.testing.assert_allclose(ours.intercept_, stock.intercept_, rtol=1e-8)
    np.testing.assert_allclose(ours.predict(ROWS), stock.predict(ROWS), rtol=1e-8)


def test_no_penalty_is_least_squares_on_columns_of_unlike_scale():
    # the condition number is 1e10: its square would leave no digits
    scales = np.array([1e-5, 1.0, 1e2, 1e5])
    ours = AtomicRidge(alpha=0.0).fit(ROWS * scales, TARGETS)
    stock = LinearRegression().fit(ROWS, TARGETS)
    np.testing.assert_allclose(ours.coef_ * scales, stock.coef_, rtol=1e-6)


def test_equal_columns_share_a_coefficient_without_penalty():
    doubled = np.hstack([ROWS, ROWS[:, :1]])
    coef = AtomicRidge(alpha=0.0).fit(doubled, TARGETS).coef_
    assert coef[0] == pytest.approx(coef[4])  # smallest norm
    alone = AtomicRidge(alpha=0.0).fit(ROWS, TARGETS).coef_
    assert coef[0] + coef[4] == pytest.approx(alone[0])


def cells(n: int) -> Structures:
    frames = []
    for seed in range(n):
        atoms = bulk("Cu", a=3.6, cubic=True)
        atoms.symbols[: 1 + seed % 3] = "Ni"
        frames.append(labelled(rattled(atoms, seed=seed, stdev=0.1), stress=True))
    return Structures(frames)


@pytest.fixture(scope="module")
def crystals() -> tuple[Structures, np.ndarray]:
    frames = cells(8)
    return frames, read_energies(frames)


def potential(**params) -> Potential:
    return Potential([("features", RadialSums()), ("model", AtomicRidge(**params))])


@pytest.mark.parametrize("by_species", [True, False])
def test_forces_and_stress_are_slopes_of_the_energy(by_species, crystals):
    frames, y = crystals
    fitted = potential(alpha=1e-4, by_species=by_species, stress="calc").fit(frames, y)
    atoms = rattled(frames[2], seed=9)
    assert relative_error(
        fitted.predict_forces([atoms])[0], numerical_forces(fitted.predict, atoms)
    ) < 1e-8  # fmt: skip
    assert relative_error(
        fitted.predict_stress([atoms])[0], numerical_stress(fitted.predict, atoms)
    ) < 1e-8  # fmt: skip


@pytest.mark.parametrize("by_species", [True, False])
def test_it_solves_the_normal_equations_of_its_loss(by_species, crystals):
    """The slope of the documented loss by every coefficient is zero at the solution."""
    frames, y = crystals
    weights = np.linspace(0.5, 2.0, len(frames))
    params = {"alpha": 1e-2, "force_weight": 0.3, "stress_weight": 0.7}
    fitted = potential(by_species=by_species, stress="calc", **params).fit(
        frames, y, model__sample_weight=weights
    )
    model, base = fitted.named_steps["model"], loss(fitted, frames, y, weights)
    for parameter in (model.coef_, model.intercept_):
        for k in np.ndindex(parameter.shape):
            slopes = []
            for step in (1e-3, -1e-3):
                parameter[k] += step
                slopes.append(loss(fitted, frames, y, weights) - base)
                parameter[k] -= step
            assert min(slopes) > 0  # a minimum, both ways up
            # equal rises both ways: no slope, but rounding of the loss itself
            assert abs(slopes[0] - slopes[1]) < 1e-6 * max(slopes) + 1e-12 * base


def loss(fitted: Potential, frames: Structures, y, weights) -> float:
    model = fitted.named_steps["model"]
    labels = read_labels(frames, stress="calc")
    n = frames.n_atoms
    of_atoms = np.repeat(weights, n)[:, None]
    has_forces = np.repeat(labels.has_forces, n)[:, None]
    forces = has_forces * np.concatenate(fitted.predict_forces(frames))
    volumes = np.array([atoms.get_volume() for atoms in frames])
    virial = (labels.stress - fitted.predict_stress(frames)) * volumes[:, None]
    return (
        np.sum(weights * (y - fitted.predict(frames)) ** 2 / n)
        + model.force_weight * np.sum(of_atoms * (labels.forces - forces) ** 2)
        + model.stress_weight * np.sum((weights / n)[:, None] * virial**2)
        + model.alpha * np.sum(model.coef_**2)
    )


def test_small_chunks_give_the_same_model(crystals, monkeypatch):
    frames, y = crystals
    whole = potential(stress="calc").fit(frames, y).predict(frames)
    monkeypatch.setattr("skatom.models._labelled.derivative_rows.CHUNK_BYTES", 1000)
    pieces = potential(stress="calc").fit(frames, y).predict(frames)
    np.testing.assert_allclose(pieces, whole, rtol=1e-10)


def test_derivative_rows_reproduce_forces_and_virials(crystals):
    """D . dE/dx of any model is its force and its stress times the volume."""
    frames, y = crystals
    fitted = potential(alpha=1e-4).fit(frames, y)
    features = fitted[:-1].transform(frames)
    gradient = fitted.named_steps["model"].feature_gradient(features)
    given = training_set(fitted[-1], features, y, stress="calc")
    (block,) = derivative_rows(given, n_columns=1)
    found = np.zeros(block.n_targets)
    np.add.at(
        found, block.targets, np.sum(block.rows * gradient[block.centers], axis=1)
    )
    volumes = np.array([atoms.get_volume() for atoms in frames])
    stress = fitted.predict_stress(frames) * volumes[:, None]
    expected = [
        np.concatenate([forces.ravel(), virial])
        for forces, virial in zip(fitted.predict_forces(frames), stress)
    ]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-12)


def test_a_linear_truth_is_found_from_its_forces(crystals):
    frames, y = crystals
    teacher = potential(alpha=1e-2).fit(frames, y)
    forces, energies = teacher.predict_forces(frames), teacher.predict(frames)
    bare = [atoms.copy() for atoms in frames]
    learner = potential(alpha=1e-10, force_weight=1.0).fit(
        bare, energies, forces=forces
    )
    new = cells(12)[8:]
    np.testing.assert_allclose(learner.predict(new), teacher.predict(new), rtol=1e-6)
    # and from the forces alone, up to a constant, when energies have no weight
    deaf = potential(alpha=1e-10, force_weight=1e12)
    deaf.fit(bare, np.zeros(len(bare)), forces=forces)
    found = np.concatenate(deaf.predict_forces(new))
    np.testing.assert_allclose(
        found, np.concatenate(teacher.predict_forces(new)), atol=1e-5
    )


def test_energies_of_species_are_found_without_penalty():
    """Composition alone: features vanish where atoms are out of each other's reach."""
    frames = [
        Atoms("H" * a + "O" * b, [[20.0 * k, 0, 0] for k in range(a + b)])
        for a, b in [(1, 0), (0, 1), (2, 1), (1, 3)]
    ]
    y = np.array([len(f) * -1.0 + 3.0 * np.sum(f.numbers == 8) for f in frames])
    model = potential(alpha=1e3).fit(frames, y).named_steps["model"]
    np.testing.assert_allclose(model.intercept_, [-1.0, 2.0], atol=1e-10)


def test_one_composition_shares_its_energy_by_smallest_norm(crystals):
    frames, _ = crystals
    same = [frames[0], frames[3], frames[6]]
    y = np.array([10.0, 10.0, 10.0])
    fitted = potential(alpha=1e6, forces=None).fit(same, y)
    counts = np.array([np.sum(same[0].numbers == z) for z in (28, 29)])
    np.testing.assert_allclose(
        fitted.named_steps["model"].intercept_,
        10.0 * counts / (counts @ counts),
        atol=1e-4,
    )


def test_shared_coefficients_have_one_row(crystals):
    frames, y = crystals
    apart = potential().fit(frames, y).named_steps["model"]
    shared = potential(by_species=False).fit(frames, y).named_steps["model"]
    assert apart.coef_.shape == (2, 6)
    assert shared.coef_.shape == (1, 6)


def test_forces_of_plain_numbers_are_refused():
    with pytest.raises(ValueError, match="must come from a featurizer"):
        AtomicRidge().fit(ROWS, TARGETS, forces=[np.zeros((1, 3))] * 60)
