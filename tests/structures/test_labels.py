"""Labels are read once, from where the user says, and never computed."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from conftest import labelled
from sklearn.pipeline import make_pipeline

from skatom import Structures
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.structures import read_energies, read_labels, relabel


class Untouchable(Calculator):
    """A live calculator that must not be started."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, *args, **kwargs):
        raise AssertionError("a calculation was started")


def pair(distance=1.0) -> Atoms:
    return Atoms("H2", [[0, 0, 0], [0, 0, distance]])


# -- energies ------------------------------------------------------------------------


def test_energies_come_from_calculators_or_info(water):
    stored = pair()
    stored.info["energy"] = -3.0
    one = labelled(water)
    expected = [one.calc.results["energy"], -3.0]
    np.testing.assert_array_equal(read_energies([one, stored]), expected)


def test_energies_come_from_the_name_that_was_given(water):
    water.info["dft_energy"] = -7.5
    water.info["energy"] = 99.0
    assert read_energies([water], "dft_energy").tolist() == [-7.5]


def test_missing_energies_are_named_and_nothing_is_calculated(water):
    water.calc = Untouchable()
    with pytest.raises(
        ValueError, match=r"No energy at structures 1: attach a calculator"
    ):
        read_energies([labelled(pair()), water])


def test_a_wrong_name_is_answered_with_the_closest(water):
    water.info["dft_energy"] = -7.5
    with pytest.raises(ValueError, match="Did you mean 'dft_energy'"):
        read_energies([water], "dft_enrgy")


def test_no_structures_have_no_energies():
    assert read_energies([]).shape == (0,)


# -- forces and stress ---------------------------------------------------------------


def test_forces_of_calculators_are_read_flat(frames):
    X = Structures([labelled(a) for a in frames])
    labels = read_labels(X)
    expected = np.concatenate([a.calc.results["forces"] for a in X])
    np.testing.assert_array_equal(labels.forces, expected)
    assert labels.has_forces.all()
    assert not labels.has_stress.any()


def test_forces_are_found_in_arrays_under_the_usual_or_a_given_name(water):
    water.arrays["forces"] = np.full((3, 3), 1.0)
    water.arrays["dft"] = np.full((3, 3), 2.0)
    X = Structures([water])
    assert read_labels(X).forces[0, 0] == 1.0
    assert read_labels(X, forces="dft").forces[0, 0] == 2.0
    with pytest.raises(ValueError, match="No forces at structures 0: attach"):
        read_labels(X, forces="calc")


def test_calculators_come_before_arrays(water):
    water = labelled(water)
    water.arrays["forces"] = np.zeros((3, 3))
    assert read_labels(Structures([water])).forces.any()


def test_structures_without_forces_are_masked(water):
    labels = read_labels(Structures([pair(), labelled(water), pair()]))
    assert labels.has_forces.tolist() == [False, True, False]
    assert not labels.forces[:2].any()
    assert labels.forces[2:5].any()


def test_structures_without_forces_are_named_when_all_are_required(water):
    X = Structures([pair(), labelled(water), pair()])
    with pytest.raises(ValueError, match="No forces at structures 0, 2: attach a calc"):
        read_labels(X, required=True)


def test_forces_can_be_given_by_hand_some_missing(water):
    given = np.arange(9.0).reshape(3, 3)
    labels = read_labels(Structures([pair(), water]), forces=[None, given])
    np.testing.assert_array_equal(labels.forces[2:], given)
    assert labels.has_forces.tolist() == [False, True]


def test_none_reads_nothing(water):
    labels = read_labels(Structures([labelled(water)]), forces=None)
    assert not labels.has_forces.any()
    assert not labels.forces.any()


def test_a_live_calculator_is_never_started(water):
    water.calc = Untouchable()
    assert not read_labels(Structures([water])).has_forces.any()


def test_constraints_do_not_zero_forces(water):
    water = labelled(water)
    water.set_constraint(FixAtoms([0, 1, 2]))
    assert not water.get_forces().any()
    assert read_labels(Structures([water])).forces.any(axis=1).all()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda a: a.positions.__iadd__(0.1), "positions"),
        (lambda a: a.set_cell(a.cell.array * 1.1), "cell"),
        (lambda a: a.set_pbc(False), "pbc"),
        (lambda a: a.numbers.__setitem__(0, 1), "numbers"),
    ],
)
def test_labels_of_another_geometry_are_refused(skewed_crystal, change, field):
    atoms = labelled(skewed_crystal)
    change(atoms)
    with pytest.raises(ValueError, match=rf"Structure 1 has changed \({field}\) since"):
        read_labels(Structures([labelled(pair()), atoms]))
    with pytest.raises(ValueError, match="stored its energy"):
        read_energies([atoms])


def test_initial_moments_and_charges_do_not_make_labels_stale(water):
    water = labelled(water)
    water.set_initial_magnetic_moments([1, 0, 0])
    assert read_labels(Structures([water])).has_forces.all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((3, 3)), r"Forces of structure 1 have shape \(3, 3\); it has 2 atoms"),
        (np.zeros(6), r"so \(2, 3\) is expected"),
        ([[0, 0, 0], [0, 0, np.nan]], "Forces of structure 1 are NaN or inf.* at atoms 1"),
    ],
)  # fmt: skip
def test_wrong_forces_are_named(water, given, message):
    with pytest.raises(ValueError, match=message):
        read_labels(Structures([water, pair()]), forces=[None, given])


def test_forces_of_another_number_of_structures_are_refused(water):
    with pytest.raises(
        ValueError, match="X has 1 structures, but forces has 2 entries"
    ):
        read_labels(Structures([water]), forces=[None, None])


@pytest.mark.parametrize("shape", ["voigt", "matrix"])
def test_stress_is_read_in_voigt_order(shape):
    voigt = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    matrix = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    copper = bulk("Cu")
    copper.info["virial"] = voigt if shape == "voigt" else matrix
    labels = read_labels(Structures([copper]), stress="virial")
    np.testing.assert_array_equal(labels.stress, [voigt])


def test_stress_of_emt_keeps_its_sign(one_atom_crystal):
    stretched = one_atom_crystal.copy()
    stretched.set_cell(stretched.cell.array * 1.05, scale_atoms=True)
    labels = read_labels(Structures([labelled(stretched, stress=True)]), stress="auto")
    assert (labels.stress[0, :3] > 0).all()  # ASE: positive under tension


@pytest.mark.parametrize(
    ("atoms", "given", "message"),
    [
        (bulk("Cu"), np.zeros(5), r"Stress of structure 0 has shape \(5,\)"),
        (
            bulk("Cu"),
            [0, 0, 0, 0, 0, np.inf],
            "Stress of structure 0 is NaN or infinite",
        ),
        (pair(), np.zeros(6), "Structure 0 has a stress label but no volume"),
    ],
)
def test_wrong_stress_is_named(atoms, given, message):
    with pytest.raises(ValueError, match=message):
        read_labels(Structures([atoms]), forces=None, stress=[given])


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([["a", "b", "c"]] * 2, "an array of <U1"),
        (np.ones((2, 3)) * 1j, "an array of complex128"),
        ([[0, 0, 0], [0, 0]], "ragged, or holds what is no number"),
    ],
)
def test_labels_that_are_no_real_numbers_are_named(given, kind):
    good = np.zeros((2, 3))
    with pytest.raises(
        ValueError, match=f"Forces of structure 1: expected real numbers, .* is {kind}"
    ):
        read_labels(Structures([pair(), pair()]), forces=[good, given])


@pytest.mark.parametrize("given", [3, {0: np.zeros((2, 3))}])
def test_labels_in_place_of_a_sequence_of_labels_are_refused(given):
    with pytest.raises(TypeError, match="forces must be a sequence with one array"):
        read_labels(Structures([pair()]), forces=given)


def test_stress_of_slabs_is_passed_over_unless_asked_for(slab, one_atom_crystal):
    for atoms in (slab, one_atom_crystal):
        atoms.calc = EMT()
        atoms.get_forces()
        assert "stress" in atoms.calc.results
    X = Structures([slab, one_atom_crystal])
    assert read_labels(X, stress="auto").has_stress.tolist() == [False, True]
    asked_for = read_labels(X, stress="calc")
    assert asked_for.has_stress.tolist() == [True, True]
    np.testing.assert_array_equal(asked_for.stress[0], slab.calc.results["stress"])


# -- relabelling ---------------------------------------------------------------------


def test_relabelled_copies_carry_the_new_labels_only(water):
    water = labelled(water)
    water.arrays["forces"] = np.full((3, 3), 9.0)
    water.info["keep"] = "me"
    new = np.arange(9.0).reshape(3, 3)
    (copy,) = relabel(Structures([water]), [-1.5], [new], [None])
    assert read_energies([copy]).tolist() == [-1.5]
    np.testing.assert_array_equal(read_labels(Structures([copy])).forces, new)
    assert copy.info["keep"] == "me"
    assert water.calc.results["energy"] != -1.5
    assert water.arrays["forces"][0, 0] == 9.0


def test_relabelling_without_forces_leaves_none_to_be_found(water):
    water.arrays["forces"] = np.ones((3, 3))
    copies = relabel(Structures([water]), [0.0], [None], [None])
    assert not read_labels(copies).has_forces.any()


def test_relabelling_passes_stress_on(one_atom_crystal):
    voigt = np.arange(6.0)
    copies = relabel(Structures([one_atom_crystal]), [0.0], [None], [voigt])
    np.testing.assert_array_equal(read_labels(copies, stress="auto").stress, [voigt])


def test_results_of_an_evaluated_calculator_are_labels(skewed_crystal):
    skewed_crystal.calc = EMT()
    forces = skewed_crystal.get_forces()
    np.testing.assert_array_equal(
        read_labels(Structures([skewed_crystal])).forces, forces
    )


def test_a_calculator_without_a_reference_geometry_is_believed(water):
    calc = SinglePointCalculator(water, forces=np.ones((3, 3)))
    calc.atoms = None
    water.calc = calc
    water.positions += 1
    assert read_labels(Structures([water])).has_forces.all()


def test_results_of_an_object_that_cannot_compare_geometries_are_believed(water):
    class Bare:
        atoms = water.copy()
        results = {"forces": np.ones((3, 3))}

    water.calc = Bare()
    assert read_labels(Structures([water])).has_forces.all()


# -- what no model sees ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("charge", [0, 1, None, -1]),
        ("spin", [1, 3, 0, 2]),
        ("spin", [None, "doublet", 1, [0.5, 0.5]]),
    ],
)
def test_charges_and_spins_that_features_do_not_see_are_named(key, values):
    frames = [pair() for _ in values]
    for atoms, value in zip(frames, values):
        atoms.info[key] = value
    with pytest.warns(
        UserWarning, match=rf"info\['{key}'\] of structures 1, 3 is ignored"
    ) as caught:
        make_pipeline(ACSF(r_cut=2.0), AtomicRidge()).fit(frames, np.zeros(4))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_neutral_singlets_are_no_reason_to_warn():
    atoms = pair()
    atoms.info.update(charge=0, spin=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_pipeline(ACSF(r_cut=2.0), AtomicRidge()).fit([pair(), atoms], np.zeros(2))
