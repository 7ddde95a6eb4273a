import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111
from ase.calculators.calculator import (
    CalculatorSetupError,
    PropertyNotImplementedError,
)
from ase.calculators.emt import EMT
from ase.calculators.fd import (
    calculate_numerical_forces,
    calculate_numerical_stress,
)
from ase.calculators.mixing import SumCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS, FIRE
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base import AtomFeaturizer, _featurizer
from skatom.calculator import SkatomCalculator
from skatom.featurizers import ACSF
from skatom.models import AtomicGaussianProcessRegressor, AtomicRidge
from skatom.neighbors import _skin
from skatom.potential import DeltaRegressor, evaluate, make_potential
from skatom.preprocessing import PerAtom, Pool
from skatom.structures import _checks, check_structures, read_energies
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    CalibratedStdRegressor,
    ConformalRegressor,
    CrossConformalRegressor,
    EnsembleRegressor,
    ExtrapolationError,
    ExtrapolationWarning,
    FeatureDistance,
    LastLayerRigidity,
)

R_CUT = 4.5


def labelled(atoms):
    live = atoms.copy()
    live.calc = EMT()
    energy, forces = live.get_potential_energy(), live.get_forces()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def metal(rng, size=(2, 2, 1)):
    """A strained, rattled copper-gold crystal."""
    atoms = bulk("Cu", a=3.65, cubic=True).repeat(size)
    atoms.symbols[rng.random(len(atoms)) < 0.3] = "Au"
    atoms.set_cell(
        atoms.cell.array @ (np.eye(3) + rng.normal(scale=0.02, size=(3, 3))),
        scale_atoms=True,
    )
    atoms.positions += rng.normal(scale=0.08, size=(len(atoms), 3))
    return atoms


def potential():
    return make_pipeline(
        ACSF(r_cut=R_CUT), PerAtom(StandardScaler()), AtomicRidge(alpha=1e-3)
    )


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    return [labelled(metal(rng)) for _ in range(40)]


@pytest.fixture(scope="module")
def model(frames):
    return potential().fit(frames, read_energies(frames))


@pytest.fixture(scope="module")
def conformal(frames):
    model = ConformalRegressor(potential(), calibration_size=0.4, random_state=0)
    return model.fit(frames, read_energies(frames))


@pytest.fixture(scope="module")
def novelty(frames, model):
    return FeatureDistance(model, random_state=0).fit(frames)


@pytest.fixture
def crystal():
    return metal(np.random.default_rng(99))


@pytest.fixture
def cluster():
    atoms = bulk("Cu", a=3.65, cubic=True).repeat((1, 1, 2))
    atoms.pbc = False
    atoms.rattle(0.1, seed=0)
    return atoms


def attached(atoms, estimator, **options):
    atoms = atoms.copy()
    atoms.calc = SkatomCalculator(estimator, **options)
    return atoms


# -- what it computes -------------------------------------------------------------------


def test_results_are_those_of_evaluate(model, crystal):
    expected = evaluate(model, [crystal], forces=True, stress=True, atomic=True)
    atoms = attached(crystal, model)
    # another list of neighbours sums in another order: rounding of sums of 1e3 terms
    close = {"rtol": 1e-11, "atol": 1e-11}
    energy = atoms.get_potential_energy()
    np.testing.assert_allclose(energy, expected.energies[0], **close)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces[0], **close)
    np.testing.assert_allclose(atoms.get_stress(), expected.stress[0], **close)
    energies = atoms.get_potential_energies()
    np.testing.assert_allclose(energies, expected.atomic_energies[0], **close)
    assert energies.sum() == pytest.approx(energy, abs=1e-9)


def test_free_energy_is_the_energy(model, crystal):
    atoms = attached(crystal, model)
    free = atoms.get_potential_energy(force_consistent=True)
    assert free == atoms.get_potential_energy()


@pytest.mark.parametrize("kind", ["crystal", "cluster", "slab"])
def test_forces_are_minus_the_derivative_of_the_energy(model, kind, request):
    if kind == "slab":
        atoms = fcc111("Cu", (1, 2, 3), a=3.6, vacuum=5.0)
        atoms.rattle(0.1, seed=1)
    else:
        atoms = request.getfixturevalue(kind)
    atoms = attached(atoms, model)
    for h in (1e-3, 1e-4):
        numerical = calculate_numerical_forces(atoms, eps=h)
        # error of central differences: h² times a third derivative of about 1e2 eV/Å³
        np.testing.assert_allclose(
            atoms.get_forces(), numerical, atol=200 * h**2 + 1e-8
        )
    assert np.abs(numerical).max() > 0.1


def test_stress_is_the_strain_derivative_in_the_sign_and_order_of_ase(model, crystal):
    atoms = attached(crystal, model)
    numerical = calculate_numerical_stress(atoms, eps=1e-5, voigt=True)
    np.testing.assert_allclose(atoms.get_stress(), numerical, atol=1e-8)
    assert len(np.unique(np.round(np.abs(numerical), 6))) == 6  # no component hides
    stretched = attached(crystal, model)
    stretched.set_cell(stretched.cell * 1.1, scale_atoms=True)
    pull = np.trace(stretched.get_stress(voigt=False)) - np.trace(
        atoms.get_stress(voigt=False)
    )
    assert pull > 0  # tension is positive


def test_predictions_are_close_to_the_reference(model):
    atoms = metal(np.random.default_rng(7))
    expected = labelled(atoms.copy()).calc.results
    atoms.calc = SkatomCalculator(model)
    error = np.abs(atoms.get_forces() - expected["forces"]).mean()
    assert error < 0.2 * np.abs(expected["forces"]).mean()


def test_an_isolated_atom_has_no_forces(model):
    atoms = attached(Atoms("Cu", [[0.3, 0, 0]]), model)
    np.testing.assert_array_equal(atoms.get_forces(), np.zeros((1, 3)))
    boxed = attached(Atoms("Cu", cell=[40] * 3, pbc=True), model)
    assert boxed.get_potential_energy() == pytest.approx(
        atoms.get_potential_energy(), abs=1e-12
    )


def test_energy_and_forces_are_continuous_at_the_cutoff(model):
    def dimer(r):
        atoms = attached(Atoms("CuAu", [[0, 0, 0], [0, 0, r]]), model)
        return atoms.get_potential_energy(), atoms.get_forces()[1, 2]

    apart, near, inside = dimer(R_CUT + 1e-6), dimer(R_CUT - 1e-6), dimer(R_CUT - 0.5)
    assert near[0] == pytest.approx(apart[0], abs=1e-9)
    assert near[1] == pytest.approx(0.0, abs=1e-4)
    assert apart[1] == 0.0
    assert abs(inside[0] - apart[0]) > 1e-4


def test_energy_is_extensive_and_stress_intensive(model, crystal):
    one, eight = attached(crystal, model), attached(crystal.repeat(2), model)
    ratio = eight.get_potential_energy() / one.get_potential_energy()
    assert ratio == pytest.approx(8.0, rel=1e-11)
    np.testing.assert_allclose(eight.get_stress(), one.get_stress(), atol=1e-11)
    n = len(crystal)
    np.testing.assert_allclose(eight.get_forces()[-n:], one.get_forces(), atol=1e-10)


def test_a_cell_smaller_than_the_cutoff_equals_its_repetition(model):
    tiny = bulk("Cu", a=3.5)
    one, many = attached(tiny, model), attached(tiny.repeat(3), model)
    energy = 27 * one.get_potential_energy()
    assert energy == pytest.approx(many.get_potential_energy(), rel=1e-11)
    np.testing.assert_allclose(one.get_stress(), many.get_stress(), atol=1e-11)


def test_a_zero_third_vector_is_no_obstacle(model):
    flat = Atoms(
        "CuAu", [[0, 0, 0], [1.8, 1.8, 0.2]], cell=[3.6, 3.6, 0], pbc=[1, 1, 0]
    )
    boxed = flat.copy()
    boxed.cell[2, 2] = 60.0
    forces = attached(flat, model).get_forces()
    np.testing.assert_allclose(forces, attached(boxed, model).get_forces(), atol=1e-11)


@pytest.mark.parametrize("kind", ["crystal", "cluster"])
def test_net_force_and_torque_vanish(model, kind, request):
    atoms = attached(request.getfixturevalue(kind), model)
    forces = atoms.get_forces()
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-10)
    if kind == "cluster":
        torque = np.cross(atoms.positions, forces).sum(axis=0)
        np.testing.assert_allclose(torque, 0, atol=1e-9)


@pytest.mark.parametrize("kind", ["crystal", "cluster"])
def test_a_shift_by_a_thousand_angstrom_changes_nothing(model, kind, request):
    near = attached(request.getfixturevalue(kind), model)
    far = near.copy()
    far.calc = SkatomCalculator(model)
    far.positions += [1e3, -1e3, 1e3]
    # positions at 1e3 Å are rounded at 1e-13 Å
    np.testing.assert_allclose(far.get_forces(), near.get_forces(), atol=1e-8)
    assert far.get_potential_energy() == pytest.approx(
        near.get_potential_energy(), abs=1e-8
    )


def test_open_systems_have_no_stress(model, cluster):
    atoms = attached(cluster, model)
    with pytest.raises(PropertyNotImplementedError, match="Stress is defined by a vol"):
        atoms.get_stress()
    atoms.get_forces()
    assert "stress" not in atoms.calc.results


def test_slabs_have_the_stress_of_their_box(model):
    slab = fcc111("Cu", (2, 2, 2), vacuum=4.0)
    slab.rattle(0.05, seed=0)
    slab.pbc = [True, True, False]
    slab = attached(slab, model)
    stress, expected = slab.get_stress(voigt=False), np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        energies = []
        for step in (1e-5, -1e-5):
            strain = np.eye(3)
            strain[i, j] += step
            strained = slab.copy()
            strained.set_cell(slab.cell @ strain.T, scale_atoms=True)
            energies.append(attached(strained, model).get_potential_energy())
        expected[i, j] = (energies[0] - energies[1]) / 2e-5 / slab.cell.volume
    scale = np.abs(expected).max()
    np.testing.assert_allclose(stress, expected, atol=1e-6 * scale)
    box = FrechetCellFilter(slab, mask=[1, 1, 0, 0, 0, 1])
    FIRE(box, logfile=None).run(steps=2)
    assert np.isfinite(slab.get_potential_energy())


# -- how it behaves ---------------------------------------------------------------------


def test_arrays_that_the_caller_edits_are_copies(model, crystal):
    atoms = attached(crystal, model)
    for name in ("forces", "stress", "energies"):
        value = atoms.calc.get_property(name, atoms)
        expected = value.copy()
        value += 1.0
        np.testing.assert_array_equal(atoms.calc.get_property(name, atoms), expected)


def test_unknown_properties_are_refused_and_the_nearest_offered(model, crystal):
    calc = SkatomCalculator(model)
    with pytest.raises(PropertyNotImplementedError, match="no property 'dipole'"):
        calc.get_property("dipole", crystal)
    with pytest.raises(PropertyNotImplementedError, match="mean 'energy_interval'"):
        calc.get_property("energy_intervall", crystal)


def test_a_calculator_without_a_structure_says_so(model):
    calc = SkatomCalculator(model)
    for name in ("energy", "extrapolation"):
        with pytest.raises(CalculatorSetupError, match="no structure to calculate"):
            calc.get_property(name)


def test_unseen_elements_are_refused(model):
    with pytest.raises(ValueError, match=r"is Ni, but \w+ knows Cu, Au only"):
        attached(bulk("Ni"), model).get_potential_energy()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_that_are_not_finite_are_refused(model, crystal, bad):
    atoms = attached(crystal, model)
    atoms.get_forces()
    atoms.positions[3, 1] = bad
    with pytest.raises(ValueError, match="NaN or infinite at atoms 3"):
        atoms.get_forces()


class Poor(RegressorMixin, BaseEstimator):
    """An estimator on structures that has gone wrong."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.full(len(check_structures(X)), np.nan)


def test_predictions_that_are_not_finite_are_errors(crystal):
    atoms = attached(crystal, Poor().fit([crystal], [0.0]))
    with pytest.raises(ValueError, match="gives energy that are NaN or infinite"):
        atoms.get_potential_energy()


def test_models_without_derivatives_give_energies_and_name_what_is_missing(frames):
    forest = make_pipeline(ACSF(r_cut=R_CUT), Pool(), RandomForestRegressor(5))
    forest.fit(frames, read_energies(frames))
    atoms = attached(frames[0], forest)
    assert atoms.get_potential_energy() == forest.predict(frames[:1])[0]
    with pytest.raises(PropertyNotImplementedError, match="RandomForestRegressor"):
        atoms.get_forces()


def counted_from_now(monkeypatch):
    """Count how often atoms are featurized, neighbours searched, structures checked."""
    counts = {"features": 0, "search": 0, "check": 0}

    def counted(name, function):
        def counting(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return counting

    ways = {
        "features": (AtomFeaturizer, "_transform_pairs"),
        "search": (_skin, "neighbor_pairs"),
        "check": (_checks, "flatten"),
    }
    for name, (home, attribute) in ways.items():
        monkeypatch.setattr(home, attribute, counted(name, getattr(home, attribute)))
    monkeypatch.setattr(_featurizer, "neighbor_pairs", None)  # never without the list
    return counts


def test_everything_is_computed_once(model, crystal, monkeypatch):
    atoms = attached(crystal, model)
    counts = counted_from_now(monkeypatch)
    atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    atoms.get_potential_energy(force_consistent=True), atoms.get_potential_energies()
    assert counts == {"features": 1, "search": 1, "check": 1}
    atoms.info["note"] = "not a change"
    atoms.set_initial_charges(np.ones(len(atoms)))
    atoms.get_forces()
    assert counts["check"] == 1
    atoms.positions[0, 0] += 0.01
    atoms.get_potential_energies(), atoms.get_forces()
    assert counts == {"features": 2, "search": 1, "check": 2}


EVERYTHING = ("energy", "forces", "energy_std", "forces_std", "extrapolation")


@pytest.fixture(scope="module")
def uncertain(model, frames):
    """Estimators that know all their standard deviations, by how they are built."""
    y = read_energies(frames)
    process = AtomicGaussianProcessRegressor(optimizer=None)
    process = make_pipeline(ACSF(r_cut=R_CUT), PerAtom(StandardScaler()), process)
    process.fit(frames[:4], y[:4])
    calibrated = CalibratedStdRegressor(process, cv="prefit")
    return {
        "process": process,
        "delta": DeltaRegressor(process).fit(frames[:4], y[:4]),
        "ensemble": EnsembleRegressor(potential(), 2, random_state=0).fit(frames, y),
        "rigidity": LastLayerRigidity(model).fit(frames),
        "calibrated": calibrated.fit(frames[4:12], y[4:12]),
    }


@pytest.fixture(scope="module")
def novelties(uncertain, frames):
    """Distances in the features of each."""
    return {
        kind: FeatureDistance(
            estimator.estimator if kind == "rigidity" else estimator, random_state=0
        ).fit(frames)
        for kind, estimator in uncertain.items()
    }


@pytest.mark.parametrize("first", range(len(EVERYTHING)))
@pytest.mark.parametrize(
    "kind", ["process", "delta", "ensemble", "rigidity", "calibrated"]
)
def test_a_step_with_error_bars_and_grades_featurizes_once(
    kind, first, uncertain, novelties, crystal, monkeypatch
):
    estimator = uncertain[kind]
    novelty = novelties[kind]
    atoms = attached(crystal, estimator, novelty=novelty)
    atoms.get_forces()
    atoms.rattle(0.01, seed=1)
    with monkeypatch.context() as patch:
        counts = counted_from_now(patch)
        for name in (*EVERYTHING[first:], *EVERYTHING[:first]):
            atoms.calc.get_property(name, atoms)
    if kind == "delta":  # public methods of the baseline check what they are given
        counts["check"] = 1
    assert counts == {"features": 1, "search": 0, "check": 1}
    found = evaluate(estimator, [atoms], std=True)
    apart = {
        "energy": found.energies[0],
        "forces": found.forces[0],
        "energy_std": found.energy_std[0],
        "forces_std": found.forces_std[0],
        "extrapolation": novelty.grade([atoms])[0],
    }
    for name in EVERYTHING:
        np.testing.assert_allclose(
            atoms.calc.get_property(name, atoms), apart[name], rtol=1e-8, atol=1e-10
        )


@pytest.mark.parametrize("change", ["positions", "numbers", "cell", "pbc"])
def test_every_change_of_the_structure_is_noticed(model, crystal, change):
    atoms = attached(crystal, model)
    before = atoms.get_potential_energy()
    if change == "positions":
        atoms.positions[0, 0] += 1e-3
    elif change == "numbers":
        atoms.symbols[0] = "Au" if atoms.symbols[0] == "Cu" else "Cu"
    elif change == "cell":
        atoms.cell[2, 2] += 1e-2
    else:
        atoms.pbc = [True, True, False]
    fresh = attached(atoms, model)
    assert atoms.get_potential_energy() == pytest.approx(
        fresh.get_potential_energy(), abs=1e-10
    )
    assert atoms.get_potential_energy() != before


def test_kept_neighbours_give_the_results_of_fresh_ones(model, crystal):
    kept, rng = attached(crystal, model, skin=0.6), np.random.default_rng(0)
    for _ in range(15):
        kept.positions += rng.normal(scale=0.03, size=kept.positions.shape)
        fresh = attached(kept, model, skin=0.0)
        scale = np.abs(fresh.get_forces()).max()
        np.testing.assert_allclose(
            kept.get_forces(), fresh.get_forces(), atol=1e-12 * max(scale, 1.0) * 10
        )
        np.testing.assert_allclose(
            kept.get_potential_energy(), fresh.get_potential_energy(), rtol=1e-12
        )
    assert 1 < kept.calc._neighbors.n_searches < 15


def test_copies_and_pickles_give_the_same(conformal, crystal):
    atoms = attached(crystal, conformal)
    expected = atoms.get_forces()
    interval = atoms.calc.get_property("energy_interval", atoms)
    for other in (deepcopy(atoms), pickle.loads(pickle.dumps(atoms))):
        np.testing.assert_array_equal(other.get_forces(), expected)
        other.positions += 0.01
        other.positions -= 0.01
        np.testing.assert_allclose(other.get_forces(), expected, atol=1e-10)
        np.testing.assert_allclose(
            other.calc.get_property("energy_interval", other), interval, atol=1e-9
        )


def test_threads_may_share_a_calculator(model):
    rng = np.random.default_rng(5)
    many = [metal(rng, (1, 1, 1)) for _ in range(60)]
    expected = evaluate(model, many).forces
    calc = SkatomCalculator(model)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # change threads as often as possible
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda a: calc.get_property("forces", a), many))
    finally:
        sys.setswitchinterval(before)
    for f, e in zip(found, expected):
        np.testing.assert_allclose(f, e, atol=1e-10)


def test_the_structure_and_its_constraints_are_left_alone(model, crystal):
    atoms = attached(crystal, model)
    atoms.set_constraint(FixAtoms([0]))
    before = (atoms.positions.copy(), atoms.cell.array.copy(), set(atoms.arrays))
    raw = atoms.get_forces(apply_constraint=False)
    np.testing.assert_array_equal(atoms.get_forces()[0], np.zeros(3))
    assert np.abs(raw[0]).max() > 0
    np.testing.assert_array_equal(atoms.positions, before[0])
    np.testing.assert_array_equal(atoms.cell.array, before[1])
    assert set(atoms.arrays) == before[2]
    assert not atoms.info


def test_any_fitted_wrapper_of_a_pipeline_serves(model, frames, conformal, crystal):
    search = GridSearchCV(potential(), {"atomicridge__alpha": [1e-3]}, cv=2)
    search.fit(frames, read_energies(frames))
    expected = attached(crystal, model).get_forces()
    for wrapped in (search, FrozenEstimator(model)):
        np.testing.assert_allclose(
            attached(crystal, wrapped).get_forces(), expected, atol=1e-9
        )
    delta = DeltaRegressor(potential(), EMT()).fit(frames, read_energies(frames))
    thin = make_potential(*potential()).fit(frames, read_energies(frames))
    np.testing.assert_allclose(
        attached(crystal, thin).get_forces(), expected, atol=1e-8
    )
    reference = labelled(crystal.copy()).calc.results["forces"]
    # the base is what the labels are: the difference that is learned is nothing
    found = attached(crystal, delta).get_forces()
    np.testing.assert_allclose(found, reference, atol=1e-6)
    inner = attached(crystal, conformal.estimator_).get_forces()
    np.testing.assert_allclose(
        attached(crystal, conformal).get_forces(), inner, atol=1e-9
    )


# -- with the rest of ASE ---------------------------------------------------------------


def test_results_hold_only_what_ase_can_export(conformal, novelty, crystal, tmp_path):
    atoms = attached(crystal, conformal, novelty=novelty)
    calc = atoms.calc
    for name in calc.extra_properties[:2] + calc.extra_properties[3:]:
        calc.get_property(name, atoms)
    atoms.get_forces()
    exported = calc.export_properties()
    assert set(exported) <= {"natoms", *calc.implemented_properties}
    found = calc.calculate_properties(atoms, ["energy", "forces", "stress"])
    np.testing.assert_array_equal(found["forces"], atoms.get_forces())
    path = tmp_path / "frame.extxyz"
    write(path, atoms)
    again = read(path)
    assert again.get_potential_energy() == pytest.approx(atoms.get_potential_energy())
    write(tmp_path / "frame.traj", atoms)
    np.testing.assert_allclose(
        read(tmp_path / "frame.traj").get_forces(), atoms.get_forces()
    )


def test_it_adds_up_with_other_calculators(model, cluster):
    one = attached(cluster, model)
    two = cluster.copy()
    two.calc = SumCalculator([SkatomCalculator(model), SkatomCalculator(model)])
    np.testing.assert_allclose(two.get_forces(), 2 * one.get_forces(), atol=1e-10)


def test_bfgs_relaxes_a_crystal_and_its_cell(model):
    atoms = bulk("Cu", a=3.75, cubic=True)
    atoms.rattle(0.05, seed=0)
    atoms = attached(atoms, model)
    before = atoms.get_potential_energy()
    optimizer = BFGS(FrechetCellFilter(atoms), logfile=None)
    assert optimizer.run(fmax=0.01, steps=100)
    assert np.abs(atoms.get_stress()).max() < 0.01
    assert atoms.get_potential_energy() < before - 0.01
    assert 3.4 < atoms.cell.lengths().mean() < 3.8  # EMT copper has 3.58


def test_energy_is_conserved_over_a_picosecond(model):
    atoms = attached(bulk("Cu", a=3.61, cubic=True).repeat((2, 2, 1)), model)
    rng = np.random.default_rng(0)
    momenta = rng.normal(size=(len(atoms), 3)) * np.sqrt(
        atoms.get_masses()[:, None] * units.kB * 600
    )
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    dynamics = VelocityVerlet(atoms, timestep=4 * units.fs)
    total, kinetic = [], []

    def record():
        total.append(atoms.get_total_energy())
        kinetic.append(atoms.get_kinetic_energy())

    dynamics.attach(record)
    dynamics.run(250)
    total, kinetic = np.array(total), np.array(kinetic)
    slope = np.polyfit(np.arange(len(total)), total, 1)[0]
    drift = abs(slope) * len(total)
    assert drift < 0.01 * kinetic.mean()
    assert kinetic[50:].mean() < 0.8 * kinetic[0]  # energy did flow into the potential
    assert atoms.calc._neighbors.n_searches < 125


# -- what ASE has no names for ----------------------------------------------------------


def test_intervals_are_those_of_the_conformal_regressor(conformal, crystal):
    atoms = attached(crystal, conformal)
    _, energy = conformal.predict_interval([crystal])
    _, forces = conformal.predict_forces_interval([crystal])
    found = atoms.calc.get_property("energy_interval", atoms)
    np.testing.assert_allclose(found, energy[0], atol=1e-9)
    assert found[0] < atoms.get_potential_energy() < found[1]
    found = atoms.calc.get_property("forces_interval", atoms)
    assert found.shape == (len(atoms), 3, 2)
    np.testing.assert_allclose(found, forces[0], atol=1e-9)


def test_intervals_are_those_of_any_estimator_that_has_some(conformal, frames, crystal):
    y = read_energies(frames)
    folds = CrossConformalRegressor(potential(), cv=3, conformity_score="llpr")
    stream = AdaptiveConformalRegressor(conformal, cv="prefit", step_size=0.1)
    new = [labelled(metal(np.random.default_rng(seed))) for seed in (7, 8)]
    stream.fit(None, None).partial_fit(new, read_energies(new) + 1.0)
    plain = conformal.predict_interval([crystal])[1]
    for model in (folds.fit(frames, y), stream):
        _, energy = model.predict_interval([crystal], 0.9)
        assert abs(energy - plain).max() > 1e-6
        calc = SkatomCalculator(model)
        found = calc.get_property("energy_interval", crystal)
        np.testing.assert_allclose(found, energy[0], atol=1e-9)
        with pytest.raises(PropertyNotImplementedError, match="of energies only"):
            calc.get_property("forces_interval", crystal)


def test_extras_follow_the_structure(conformal, novelty, crystal):
    atoms = attached(crystal, conformal, novelty=novelty)
    calc = atoms.calc
    names = ("energy_interval", "extrapolation")
    first = [calc.get_property(name, atoms) for name in names]
    first[0] += 1.0
    assert (calc.get_property(names[0], atoms) == first[0] - 1.0).all()  # was a copy
    atoms.positions[0] += 0.3
    assert calc.get_property("energy_interval", atoms, allow_calculation=False) is None
    second = [calc.get_property(name, atoms) for name in names]
    fresh = attached(atoms, conformal, novelty=novelty)
    for name, value in zip(names, second):
        np.testing.assert_allclose(
            value, fresh.calc.get_property(name, fresh), atol=1e-9
        )
    assert second[1] != first[1]
    atoms.positions[0] -= 0.3
    atoms.get_potential_energy()  # clears what belonged to the other structure
    assert calc.extras == {}


def test_energy_std_comes_from_models_that_have_one(frames, crystal):
    y = read_energies(frames)
    gp = make_pipeline(
        ACSF(r_cut=R_CUT),
        Pool(),
        StandardScaler(),
        GaussianProcessRegressor(alpha=1e-3),
    ).fit(frames, y)
    atoms = attached(crystal, gp)
    _, std = gp.predict([crystal], return_std=True)
    assert atoms.calc.get_property("energy_std", atoms) == pytest.approx(std[0])
    assert std[0] > 0
    plain = make_pipeline(ACSF(r_cut=R_CUT), Pool(), Ridge()).fit(frames, y)
    for name in ("energy_std", "forces_std"):
        with pytest.raises(PropertyNotImplementedError, match="no standard deviations"):
            SkatomCalculator(plain).get_property(name, crystal)


def test_error_bars_are_those_of_the_outermost_estimator(frames, crystal):
    y = read_energies(frames)
    pipeline = make_pipeline(ACSF(r_cut=R_CUT), AtomicRidge(1e-3))
    ensemble = EnsembleRegressor(pipeline, 3, random_state=0)
    calibrated = CalibratedStdRegressor(ensemble, calibration_size=4, random_state=0)
    calibrated.fit(frames, y)
    atoms = attached(crystal, calibrated)
    std = calibrated.predict([crystal], return_std=True)[1][0]
    assert atoms.calc.get_property("energy_std", atoms) == pytest.approx(std, rel=1e-6)
    of_forces = calibrated.predict_forces([crystal], return_std=True)[1][0]
    np.testing.assert_allclose(
        atoms.calc.get_property("forces_std", atoms), of_forces, rtol=1e-6
    )
    raw = calibrated.estimator_.predict([crystal], return_std=True)[1][0]
    assert abs(std / raw - 1) > 1e-3


def test_extras_say_what_they_need(model, crystal):
    calc = SkatomCalculator(model)
    for name in ("energy_interval", "forces_interval"):
        with pytest.raises(
            PropertyNotImplementedError, match="fitted ConformalRegressor"
        ):
            calc.get_property(name, crystal)
    with pytest.raises(PropertyNotImplementedError, match="novelty=FeatureDistance"):
        calc.get_property("extrapolation", crystal)


# -- extrapolation ----------------------------------------------------------------------


def distorted(atoms):
    atoms = atoms.copy()
    atoms.positions[5] += [0.7, 0.5, 0.3]
    return atoms


def test_grades_are_those_of_the_novelty(model, novelty, crystal):
    atoms = attached(crystal, model, novelty=novelty)
    grades = atoms.calc.get_property("extrapolation_per_atom", atoms)
    np.testing.assert_allclose(grades, novelty.grade_atoms([crystal])[0], rtol=1e-8)
    assert atoms.calc.get_property("extrapolation", atoms) == grades.max()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "ignore" is silent
        far = attached(distorted(crystal), model, novelty=novelty)
        assert far.calc.get_property("extrapolation", far) > 1


def test_it_warns_once_per_crossing(model, novelty, crystal):
    options = {"novelty": novelty, "on_extrapolation": "warn", "threshold": 1.2}
    atoms = attached(crystal, model, **options)
    inside, outside = crystal.positions, distorted(crystal).positions
    caught = []
    for positions in (inside, outside, outside + 1e-3, inside, outside):
        atoms.positions[:] = positions
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            atoms.get_forces()
            atoms.get_potential_energies()  # the same structure: no second warning
        caught.append([w for w in found if w.category is ExtrapolationWarning])
    assert [len(c) for c in caught] == [0, 1, 0, 0, 1]
    assert "extrapolation grade of" in str(caught[1][0].message)


def test_it_stops_and_names_the_worst_atom(model, novelty, crystal):
    options = {"novelty": novelty, "on_extrapolation": "stop", "threshold": 1.2}
    atoms = attached(crystal, model, **options)
    atoms.get_forces()
    atoms.positions[:] = distorted(crystal).positions
    for _ in range(2):  # asking again does not get round it
        with pytest.raises(ExtrapolationError, match=r"threshold of 1\.2") as caught:
            atoms.get_forces()
    error = caught.value
    grades = novelty.grade_atoms([atoms])[0]
    assert error.atom == np.argmax(grades)
    assert f"Atom {error.atom} ({atoms.symbols[error.atom]})" in str(error)
    assert error.grade == pytest.approx(grades.max(), rel=1e-8)
    np.testing.assert_array_equal(error.atoms.positions, atoms.positions)
    again = pickle.loads(pickle.dumps(error))
    assert (again.atom, again.grade) == (error.atom, error.grade)
    atoms.positions[:] = crystal.positions
    atoms.get_forces()


def test_a_novelty_with_a_larger_cutoff_gets_its_neighbours(model, frames, crystal):
    wide = make_pipeline(ACSF(r_cut=6.0), AtomicRidge()).fit(
        frames, read_energies(frames)
    )
    novelty = FeatureDistance(wide, random_state=0).fit(frames)
    atoms = attached(crystal, model, novelty=novelty)
    found = atoms.calc.get_property("extrapolation", atoms)
    assert found == pytest.approx(novelty.grade([crystal])[0], rel=1e-8)


def test_bad_options_are_refused(model, novelty):
    for options, sentence in (
        ({"skin": -0.1}, "skin must be zero or a positive length"),
        ({"skin": np.nan}, "skin must be"),
        ({"skin": "wide"}, "skin must be"),
        ({"novelty": novelty, "threshold": "high"}, "threshold must be positive"),
        ({"novelty": novelty, "on_extrapolation": "wran"}, "Did you mean 'warn'"),
        ({"novelty": novelty, "threshold": 0.0}, "threshold must be positive"),
        ({"on_extrapolation": "stop"}, "needs something that grades"),
    ):
        with pytest.raises(ValueError, match=sentence):
            SkatomCalculator(model, **options)
    with pytest.raises(TypeError, match=r"novelty must have grade_atoms.*'far'"):
        SkatomCalculator(model, novelty="far")
    with pytest.raises(NotFittedError, match="AtomicRidge"):
        SkatomCalculator(model, novelty=AtomicRidge())


def test_an_estimator_must_be_fitted():
    with pytest.raises(NotFittedError):
        SkatomCalculator(potential())


def test_it_loads_saved_models(model, crystal, tmp_path):
    pytest.importorskip("skops")
    from skatom.persistence import save

    save(model, tmp_path / "model.skatom")
    calc = SkatomCalculator.from_file(tmp_path / "model.skatom", skin=0.2)
    assert calc.skin == 0.2
    np.testing.assert_allclose(
        calc.get_property("forces", crystal),
        attached(crystal, model).get_forces(),
        atol=1e-10,
    )


@pytest.mark.parametrize("path", ["model.skatom", Path("runs") / "model.skatom"])
def test_a_path_is_told_to_be_loaded(path):
    with pytest.raises(TypeError, match=r"is a path: SkatomCalculator.from_file\('"):
        SkatomCalculator(path)


@pytest.mark.parametrize("steps", [[ACSF(3.0)], [ACSF(3.0), Pool()]])
def test_a_pipeline_without_its_model_is_refused_at_once(steps):
    fitted = make_pipeline(*steps).fit([bulk("Cu").repeat(2)])
    last = type(steps[-1]).__name__
    for estimator in (fitted, fitted[-1]):
        with pytest.raises(
            TypeError, match=f"predicts nothing, it ends in {last}: put"
        ):
            SkatomCalculator(estimator)
