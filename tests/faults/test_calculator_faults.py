"""What can go wrong while a calculator drives ASE (C01 to C19)."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from conftest import labelled, rattled
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom import SkatomCalculator
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge, AtomicRidge
from skatom.preprocessing import PerAtom
from skatom.structures import read_energies

R_CUT = 4.0
MODELS = {
    "ridge": AtomicRidge(alpha=1e-4),
    "kernel": AtomicKernelRidge(random_state=0),
}


@pytest.fixture(scope="module", params=MODELS)
def calc(request):
    crystals = [rattled(bulk("Cu", cubic=True, a=3.6), s) for s in range(6)]
    molecules = [rattled(molecule("H2O"), s) for s in range(6)]
    slab = rattled(fcc111("Cu", (1, 1, 3), a=3.6, vacuum=5), 1)
    frames = [labelled(a) for a in [*crystals, *molecules, slab]]
    acsf = ACSF(r_cut=R_CUT, n_radial=4, n_angular=2, zetas=(1,))
    model = make_pipeline(acsf, PerAtom(StandardScaler()), MODELS[request.param])
    return SkatomCalculator(model.fit(frames, read_energies(frames)))


def with_(calc, atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.calc = calc
    return atoms


CASES = {
    "water": lambda: rattled(molecule("H2O"), 9),
    "copper": lambda: rattled(bulk("Cu", cubic=True, a=3.7), 9),
    "slab": lambda: rattled(fcc111("Cu", (1, 1, 3), a=3.7, vacuum=5), 9),
}


@pytest.mark.parametrize("case", CASES)
def test_C01_forces(calc, case):
    atoms = with_(calc, CASES[case]())
    forces = atoms.get_forces()
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(
        forces, numerical, atol=1e-6 * max(1, np.abs(forces).max())
    )
    assert np.abs(forces).max() > 1e-3


def test_C02_stress(calc):
    atoms = with_(calc, CASES["copper"]())
    stress = atoms.get_stress()
    numerical = calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(stress, numerical, atol=1e-7)
    assert np.abs(stress).max() > 1e-3


def test_C03_an_isolated_atom(calc):
    atom = with_(calc, Atoms("Cu"))
    assert np.isfinite(atom.get_potential_energy())
    np.testing.assert_array_equal(atom.get_forces(), 0)


def test_C06_arrays_that_were_handed_out_may_be_changed(calc):
    atoms = with_(calc, CASES["copper"]())
    forces, stress = atoms.get_forces(), atoms.get_stress()
    kept = forces.copy(), stress.copy()
    forces *= 0
    stress *= 0
    np.testing.assert_array_equal(atoms.get_forces(), kept[0])
    np.testing.assert_array_equal(atoms.get_stress(), kept[1])


@pytest.mark.parametrize("name", ["dipole", "magmom", "nonsense"])
def test_C07_an_unknown_property(calc, name):
    atoms = with_(calc, CASES["water"]())
    with pytest.raises(PropertyNotImplementedError, match=name):
        calc.get_property(name, atoms)


def test_C08_stress_of_an_open_system(calc):
    with pytest.raises(PropertyNotImplementedError, match="periodic"):
        with_(calc, CASES["water"]()).get_stress()
    wire = CASES["slab"]()
    wire.cell[2] = 0.0  # two periodic directions, and no volume
    with pytest.raises(PropertyNotImplementedError, match="with 2 cell vectors"):
        with_(calc, wire).get_stress()
    assert np.isfinite(with_(calc, CASES["slab"]()).get_stress()).all()


def test_C09_an_element_that_fit_did_not_see(calc):
    atoms = CASES["water"]()
    atoms.symbols[0] = "N"
    with pytest.raises(ValueError, match="atom 0 is N, but"):
        with_(calc, atoms).get_potential_energy()


def test_C09_an_element_that_comes_during_a_run(calc):
    atoms = with_(calc, CASES["water"]())
    atoms.get_forces()
    atoms.numbers[2] = 7
    with pytest.raises(ValueError, match="atom 2 is N, but"):
        atoms.get_forces()


@pytest.mark.parametrize("step", [1e-3, 1e-5])
def test_C10_energy_and_forces_are_continuous_at_the_radius(calc, step):
    atoms = with_(calc, Atoms("OCu", [[0, 0, 0], [0, 0, R_CUT - step]]))
    inside = atoms.get_potential_energy(), atoms.get_forces()
    atoms.positions[1, 2] = R_CUT + step
    outside = atoms.get_potential_energy(), atoms.get_forces()
    # a cutoff with a continuous slope: quadratic and linear in the distance to it
    assert inside[0] == pytest.approx(outside[0], abs=100 * step**2 + 1e-9)
    np.testing.assert_allclose(inside[1], outside[1], atol=100 * step)
    np.testing.assert_array_equal(outside[1], 0)


def test_C11_a_supercell_has_the_energy_of_its_cells(calc):
    atoms = CASES["copper"]()
    one, eight = with_(calc, atoms), with_(calc, atoms.repeat(2))
    energy = one.get_potential_energy()
    assert eight.get_potential_energy() == pytest.approx(8 * energy, rel=1e-9)
    np.testing.assert_allclose(
        eight.get_forces(), np.tile(one.get_forces(), (8, 1)), atol=1e-8
    )
    np.testing.assert_allclose(eight.get_stress(), one.get_stress(), atol=1e-9)


def test_C12_the_force_consistent_energy(calc):
    atoms = with_(calc, CASES["water"]())
    free = atoms.get_potential_energy(force_consistent=True)
    assert free == atoms.get_potential_energy()


@pytest.mark.parametrize("case", CASES)
def test_C13_forces_and_torque_sum_to_zero(calc, case):
    atoms = with_(calc, CASES[case]())
    forces = atoms.get_forces()
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-10)
    if not atoms.pbc.any():
        torque = np.cross(atoms.positions, forces).sum(axis=0)
        np.testing.assert_allclose(torque, 0, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_C15_a_thousand_angstrom_away(calc, case):
    atoms = with_(calc, CASES[case]())
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.positions += 1e3
    assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-9, abs=1e-8)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-7)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_C16_a_position_that_is_no_number(calc, value):
    atoms = with_(calc, CASES["water"]())
    atoms.get_forces()
    atoms.positions[1, 0] = value
    with pytest.raises(ValueError, match="NaN or infinite at atoms 1 in"):
        atoms.get_forces()


@pytest.mark.parametrize("used", [False, True])
def test_C17_copies(calc, used):
    fresh = copy.deepcopy(calc)
    if used:
        with_(fresh, CASES["copper"]()).get_forces()
    expected = with_(calc, CASES["water"]()).get_forces()
    for twin in (copy.deepcopy(fresh), pickle.loads(pickle.dumps(fresh))):
        np.testing.assert_array_equal(
            with_(twin, CASES["water"]()).get_forces(), expected
        )


def test_C18_a_zero_third_vector(calc):
    sheet = fcc111("Cu", (1, 1, 1), a=3.7, vacuum=None)
    sheet.pbc = [True, True, False]
    high = sheet.copy()
    high.cell[2] = [0, 0, 60]
    sheet.cell[2] = 0
    energy = with_(calc, high).get_potential_energy()
    assert with_(calc, sheet).get_potential_energy() == pytest.approx(energy, rel=1e-10)


def test_C19_a_cell_smaller_than_the_radius(calc):
    tiny = bulk("Cu", a=3.7)
    energy = with_(calc, tiny).get_potential_energy()
    many = with_(calc, tiny.repeat(3))
    assert many.get_potential_energy() == pytest.approx(27 * energy, rel=1e-9)
    np.testing.assert_allclose(many.get_forces(), 0, atol=1e-8)


def test_C20_many_threads_with_calculators_of_their_own(calc):
    cases = [rattled(molecule("H2O"), s) for s in range(16)]
    expected = [with_(copy.deepcopy(calc), a).get_potential_energy() for a in cases]
    copies = [copy.deepcopy(calc) for _ in cases]
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda c, a: with_(c, a).get_potential_energy(), copies, cases)
        )
    assert found == expected


def test_C21_one_calculator_for_structures_in_turn(calc):
    one, two = CASES["water"](), CASES["copper"]()
    expected = [
        with_(copy.deepcopy(calc), a).get_potential_energy() for a in (one, two)
    ]
    one, two = with_(calc, one), with_(calc, two)
    for _ in range(2):
        assert one.get_potential_energy() == expected[0]
        assert two.get_potential_energy() == expected[1]


def test_C22_atoms_that_are_added_and_removed(calc):
    atoms = with_(calc, CASES["water"]())
    before = atoms.get_potential_energy()
    atoms.append("Cu")
    atoms.positions[-1] = [0, 0, 2.5]
    assert len(atoms.get_forces()) == 4
    del atoms[-1]
    assert atoms.get_potential_energy() == before
