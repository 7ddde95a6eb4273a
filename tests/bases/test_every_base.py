"""Every registered base: derivatives, refusals, copies, files, silence, one thread."""

import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT as ASEsEMT
from ase.calculators.lj import LennardJones as ASEsLJ
from ase.stress import voigt_6_to_full_3x3_stress
from conftest import rattled
from differences import numerical_forces, relative_error
from sklearn.base import clone

from skatom.bases import NAMED, Base, BaseError, LennardJones, as_base, named_bases
from skatom.bases import _base as contract
from skatom.persistence import load, save
from skatom.potential import CalculatorRegressor, evaluate

needs_tblite = pytest.mark.skipif(
    named_bases([])["gfn2-xtb"] is not None, reason="tblite is not installed"
)
EVERY = [
    pytest.param(name, marks=needs_tblite if cls.package == "tblite" else ())
    for name, cls in NAMED.items()
]


@pytest.mark.parametrize("name", EVERY)
def test_forces_are_slopes_of_energies(name):
    atoms = rattled(molecule("CH3OH"), 1)
    model = CalculatorRegressor(name)
    forces = model.predict_forces([atoms])[0]
    expected = numerical_forces(model.predict, atoms)
    assert np.abs(expected).max() > 0.1
    # charges of tight binding are self-consistent to a threshold
    assert relative_error(forces, expected) < 1e-4
    assert np.abs(forces.sum(axis=0)).max() < 1e-6


@pytest.mark.parametrize("name", EVERY)
def test_stress_is_the_slope_by_a_strain(name):
    crystal = rattled(molecule("H2O"), 2)
    crystal.positions *= 0.9  # bonds that ZBL feels
    crystal.set_cell([[4.0, 0, 0], [0.5, 4.2, 0], [0, 0.3, 4.1]])
    crystal.pbc = True
    model = CalculatorRegressor(name)
    strain = np.array([[0.5, 0.2, 0.1], [0.2, -0.3, 0.4], [0.1, 0.4, 0.6]])
    energies, step = [], 1e-4
    for sign in (1, -1):
        strained = crystal.copy()
        deformed = crystal.cell.array @ (np.eye(3) + sign * step * strain)
        strained.set_cell(deformed, scale_atoms=True)
        energies.append(model.predict([strained])[0])
    slope = (energies[0] - energies[1]) / (2 * step)
    stress = voigt_6_to_full_3x3_stress(
        evaluate(model, [crystal], stress=True).stress[0]
    )
    assert abs(slope) > 0.01
    assert (stress * strain).sum() * crystal.cell.volume == pytest.approx(
        slope, rel=1e-3
    )


@pytest.mark.parametrize("name", EVERY)
def test_energies_of_atoms_add_up(name):
    frames = [molecule("CH3OH"), molecule("H2O")]
    model = CalculatorRegressor(name)
    sums = [energies.sum() for energies in model.predict_atomic_energies(frames)]
    np.testing.assert_allclose(sums, model.predict(frames), rtol=1e-10)


@pytest.mark.parametrize("name", EVERY)
def test_results_depend_on_the_structure_alone(name):
    from skatom.bases._results import CACHE

    frames = [rattled(molecule("H2O"), k, 0.1) for k in range(4)]
    model = CalculatorRegressor(name, max_memory=1)  # nothing is kept
    there = model.predict(frames)
    CACHE.clear()
    back = CalculatorRegressor(name, max_memory=1).predict(frames[::-1])
    np.testing.assert_array_equal(there, back[::-1])


@pytest.mark.parametrize("name", EVERY)
def test_comes_back_from_pickles_files_and_clones(name, tmp_path):
    frames = [molecule("H2O"), molecule("CH4"), molecule("CH3OH")]
    model = CalculatorRegressor(name, shift=True).fit(frames, [-14.2, -24.0, -30.1])
    expected = model.predict(frames)
    again = [pickle.loads(pickle.dumps(model)), load(save(model, tmp_path / "file"))]
    again.append(clone(model).fit(frames, [-14.2, -24.0, -30.1]))
    for other in again:
        np.testing.assert_array_equal(other.predict(frames), expected)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_printed(name, capfd):
    frames = [molecule("H2O"), Atoms("UH", [[0, 0, 0], [0, 0, 2]])]
    CalculatorRegressor(name).predict(frames[:1])
    if name in ("emt", "gfn1-xtb", "gfn2-xtb"):
        message = (
            rf"base '{name}' failed for structure 1 \(HU\): there are no parameters"
        )
        with pytest.raises(BaseError, match=message + " for U"):
            CalculatorRegressor(name).predict(frames)
    out, err = capfd.readouterr()
    assert not out
    assert not err


@pytest.mark.parametrize("name", EVERY)
def test_a_file_is_refused_without_the_package(name, tmp_path, monkeypatch):
    path = save(CalculatorRegressor(name).fit([molecule("H2O")]), tmp_path / "file")
    monkeypatch.setattr(contract, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=f"The base '{name}' is computed by .* pip inst"
    ):
        load(path)
    with pytest.raises(ImportError, match="which is not installed"):
        as_base(name)


def test_what_keeps_bases_from_structures_is_told(monkeypatch):
    from skatom.bases import _names

    known = named_bases([molecule("H2O"), molecule("SiH4")])
    assert known["emt"] == "there are no parameters for Si"
    assert known["zbl"] is None
    monkeypatch.setattr(_names, "find_spec", lambda name: None)
    assert named_bases([])["gfn2-xtb"] == "tblite is not installed"


def test_unknown_names_and_things_are_refused():
    with pytest.raises(ValueError, match=r"no base 'gfn2-xtp'.*'gfn2-xtb'"):
        as_base("gfn2-xtp")
    with pytest.raises(TypeError, match="int is no base"):
        as_base(3)
    with pytest.raises(ValueError, match="'epsilon' parameter of LennardJones"):
        as_base(LennardJones(epsilon=-1.0))


def test_a_base_is_one_class():
    class Springs(Base):
        """A base of a user."""

        name = "springs"

        def calculator(self):
            return ASEsLJ(sigma=2.0)

    frames = [molecule("H2O"), molecule("CH4")]
    expected = CalculatorRegressor(ASEsLJ(sigma=2.0)).predict(frames)
    np.testing.assert_array_equal(
        CalculatorRegressor(Springs()).predict(frames), expected
    )


def test_lennard_jones_is_that_of_ase_far_from_the_switch():
    pair = Atoms("Ar2", [[0, 0, 0], [0, 0, 4.0]])
    ours = CalculatorRegressor(LennardJones(sigma=3.4, epsilon=0.01, r_cut=60.0))
    ases = CalculatorRegressor(ASEsLJ(sigma=3.4, epsilon=0.01, rc=1e3))
    np.testing.assert_allclose(ours.predict([pair]), ases.predict([pair]), rtol=1e-5)
    forces = ours.predict_forces([pair])[0]
    np.testing.assert_allclose(forces, ases.predict_forces([pair])[0], rtol=1e-5)


def test_lengths_of_lennard_jones_follow_from_the_elements():
    def slope(r):
        pair = Atoms("CO", [[0, 0, 0], [0, 0, r]])
        return CalculatorRegressor("lj").predict_forces([pair])[0][1, 2]

    minimum = 0.76 + 0.66  # covalent radii of C and O in Å
    assert slope(minimum - 0.05) > 0 > slope(minimum + 0.05)


def test_zbl_is_the_formula_at_short_distances():
    # Z Z e²/(4 pi eps0 r) times the universal screening at 0.05 Å, by hand:
    # a = 0.4685 / (2 * 14^0.23) = 0.12766 Å, x = 0.39166, phi(x) = 0.75416
    pair = Atoms("Si2", [[0, 0, 0], [0, 0, 0.05]])
    x = 0.05 / (0.4685 / (2 * 14**0.23))
    phi = (
        0.18175 * np.exp(-3.1998 * x) + 0.50986 * np.exp(-0.94229 * x)
        + 0.28022 * np.exp(-0.4029 * x) + 0.02817 * np.exp(-0.20162 * x)
    )  # fmt: skip
    expected = 14.399645 * 14 * 14 / 0.05 * phi
    found = CalculatorRegressor("zbl").predict([pair])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    far = Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]])  # beyond both covalent radii
    assert CalculatorRegressor("zbl").predict([far])[0] == 0.0


def test_emt_is_that_of_ase():
    atoms = rattled(bulk("Cu", cubic=True), 3)
    expected = CalculatorRegressor(ASEsEMT()).predict_forces([atoms])[0]
    found = CalculatorRegressor("emt").predict_forces([atoms])[0]
    np.testing.assert_array_equal(found, expected)
