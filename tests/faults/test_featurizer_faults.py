"""What can go wrong before a featurizer: each case the right number or the right words.

The ids are those of the list of faults (A01 to A44).
"""

import pickle
import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from sklearn.exceptions import NotFittedError

from skatom.featurizers import ACSF
from skatom.testing import all_estimators

R_CUT = 4.0
SMALL = {"r_cut": R_CUT, "n_radial": 4, "n_angular": 2, "zetas": (1, 2)}


@pytest.fixture(
    scope="module", params=[name for name, _ in all_estimators("featurizer")]
)
def featurizer(request):
    """Every public featurizer, with species that all frames here are made of."""
    cls = dict(all_estimators("featurizer"))[request.param]
    params = SMALL if cls is ACSF else {"r_cut": R_CUT}
    species = ["H", "C", "N", "O", "Cu", "Og"]
    return cls(**params, species=species).fit([molecule("H2O")])


def values(featurizer, *frames):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return featurizer.transform(list(frames)).values


def same(one, two, tolerance=1e-10):
    np.testing.assert_allclose(
        one, two, rtol=0, atol=tolerance * max(1, np.abs(two).max())
    )


def crystal():
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.positions += np.random.default_rng(0).normal(scale=0.1, size=(4, 3))
    return atoms


def water(**changes):
    atoms = molecule("H2O", vacuum=0.4)
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


# -- the right number ------------------------------------------------------------------


def test_A01_an_isolated_atom_is_finite(featurizer):
    assert np.isfinite(values(featurizer, Atoms("O"))).all()


def test_A02_an_atom_in_a_large_box_is_an_isolated_atom(featurizer):
    box = Atoms("O", cell=[3 * R_CUT] * 3, pbc=True)
    np.testing.assert_array_equal(
        values(featurizer, box), values(featurizer, Atoms("O"))
    )


def test_A03_a_stretched_dimer_is_two_atoms(featurizer):
    dimer = Atoms("OH", [[0, 0, 0], [0, 0, 1.001 * R_CUT]])
    alone = [values(featurizer, Atoms(symbol)) for symbol in "OH"]
    np.testing.assert_array_equal(values(featurizer, dimer), np.concatenate(alone))


@pytest.mark.parametrize("end", [1e-6, 1e-9])
def test_A05_values_are_continuous_at_the_radius(featurizer, end):
    inside, outside = (
        values(featurizer, Atoms("OH", [[0, 0, 0], [0, 0, R_CUT * (1 + x)]]))
        for x in (-end, end)
    )
    same(inside, outside, tolerance=1e-6 * end / 1e-6)


@pytest.mark.parametrize("length", [1.2, 2.0, 3.9])
def test_A07_a_cell_smaller_than_the_radius_is_its_repetition(featurizer, length):
    atoms = Atoms("Cu", cell=[length] * 3, pbc=True)
    repeated = values(featurizer, atoms.repeat(4))
    same(np.repeat(values(featurizer, atoms), 64, axis=0), repeated)


def test_A09_a_sheet_without_third_vector_is_one_in_a_high_cell(featurizer):
    sheet = Atoms("CuO", [[0, 0, 0], [1.3, 1.4, 0.5]], cell=[2.9, 2.8, 0])
    sheet.pbc = [True, True, False]
    high = sheet.copy()
    high.cell[2, 2] = 50
    same(values(featurizer, sheet), values(featurizer, high))


@pytest.mark.parametrize("turns", [[[0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]], None])
def test_A13_unwrapped_atoms_are_their_images(featurizer, turns):
    atoms = crystal()
    turns = np.random.default_rng(0).integers(-9, 9, (4, 3)) if turns is None else turns
    expected = values(featurizer, atoms)
    atoms.positions += np.array(turns) @ atoms.cell.array
    same(values(featurizer, atoms), expected)


def test_A14_order_of_atoms_is_order_of_rows(featurizer):
    atoms, order = crystal(), [2, 0, 3, 1]
    same(values(featurizer, atoms[order]), values(featurizer, atoms)[order])


@pytest.mark.parametrize("case", ["A15 molecule", "A16 crystal", "A17 inversion"])
def test_A15_to_A17_rotation_and_inversion(featurizer, case):
    atoms = molecule("CH3OH") if "molecule" in case else crystal()
    matrix = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    matrix = -np.eye(3) if "inversion" in case else matrix * np.linalg.det(matrix)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ matrix)
    turned.positions = atoms.positions @ matrix
    same(values(featurizer, turned), values(featurizer, atoms))


def test_A18_far_from_the_origin(featurizer):
    atoms = molecule("CH3OH")
    expected = values(featurizer, atoms)
    atoms.positions += 1e4
    same(values(featurizer, atoms), expected, tolerance=1e-8)  # 1e4 Å round to 2e-12 Å


def test_A19_a_supercell_repeats_its_cell(featurizer):
    atoms = crystal()
    tiled = np.tile(values(featurizer, atoms), (6, 1))
    same(values(featurizer, atoms.repeat((1, 2, 3))), tiled)


@pytest.mark.parametrize("way", ["tuple", "object array", "generator"])
def test_A24_A25_sequences_are_alike(featurizer, way):
    frames = [molecule("H2"), molecule("O2")]
    objects = np.empty(2, dtype=object)
    objects[:] = frames
    X = {"tuple": tuple(frames), "object array": objects, "generator": iter(frames)}[
        way
    ]
    same(featurizer.transform(X).values, values(featurizer, *frames))


def test_A28_a_left_handed_cell(featurizer):
    atoms = crystal()
    expected = values(featurizer, atoms)
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    assert np.linalg.det(atoms.cell.array) < 0
    same(values(featurizer, atoms), expected)


def test_A31_order_of_species_and_frames_does_not_matter():
    frames = [molecule("H2O"), molecule("CH4"), molecule("NH3")]
    learned = ACSF(**SMALL).fit(frames[::-1])
    given = ACSF(**SMALL, species=["O", "H", "N", "C"]).fit(frames)
    assert learned.species_ == given.species_ == ["H", "C", "N", "O"]
    same(values(learned, *frames), values(given, *frames), tolerance=0)


def test_A32_a_species_given_twice_counts_once():
    assert ACSF(**SMALL, species=["H", "O", "H"]).fit([water()]).species_ == ["H", "O"]


def test_A33_frames_one_by_one_are_the_batch(featurizer):
    frames = [molecule("H2O"), crystal(), Atoms("O")]
    alone = np.concatenate([values(featurizer, atoms) for atoms in frames])
    np.testing.assert_array_equal(values(featurizer, *frames), alone)


@pytest.mark.parametrize("n_jobs", [2, 8, -1])
def test_A34_A35_any_number_of_threads(featurizer, n_jobs):
    atoms = crystal().repeat(9)
    one = values(featurizer.set_params(n_jobs=1), atoms)
    try:
        many = values(featurizer.set_params(n_jobs=n_jobs), atoms)
        few = values(featurizer, Atoms("O"))
    finally:
        featurizer.set_params(n_jobs=None)
    np.testing.assert_array_equal(many, one)
    assert np.isfinite(few).all()


def test_A37_a_pickled_copy(featurizer):
    twin = pickle.loads(pickle.dumps(featurizer))
    same(values(twin, crystal()), values(featurizer, crystal()), tolerance=0)


def test_A40_the_heaviest_element(featurizer):
    assert values(featurizer, Atoms("OgH", [[0, 0, 0], [0, 0, 1.7]])).any()


@pytest.mark.parametrize("cell", [[80, 80, 0.9], [0.9, 80, 80]])
def test_A43_a_needle_of_a_cell(featurizer, cell):
    found = values(featurizer, Atoms("Cu", cell=cell, pbc=True))
    wire = Atoms("Cu", cell=cell, pbc=np.array(cell) < 1)
    same(found, values(featurizer, wire))


def test_A43_a_flat_cell_of_the_same_lattice(featurizer):
    atoms = Atoms("Cu", cell=np.eye(3) * 2.6, pbc=True)
    skewed = atoms.copy()
    skewed.set_cell([[2.6, 0, 0], [2600, 2.6, 0], [0, 0, 2.6]])
    same(values(featurizer, skewed), values(featurizer, atoms), tolerance=1e-9)


def test_A44_the_same_bits_again(featurizer):
    np.testing.assert_array_equal(
        values(featurizer, crystal()), values(featurizer, crystal())
    )


def test_A45_a_molecule_flat_but_for_rounding(featurizer):
    flat, rounded = water(), water()
    flat.positions[:, 0] = 0.0
    rounded.positions[:, 0] = [0.0, 1e-20, -1e-300]
    same(values(featurizer, rounded), values(featurizer, flat))


# -- the right words -------------------------------------------------------------------

NOWHERE = [[np.nan, 0, 0], [0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        pytest.param([Atoms("OH", [[0, 0, 0]] * 2)], ValueError,
                     "Atoms 0 and 1 of structure 0 are at the same place", id="A04"),
        pytest.param([water(), Atoms("Fe")], ValueError,
                     "Structure 1, atom 0 is Fe, but \\w+ knows H, C, N", id="A06"),
        pytest.param([water(), Atoms("H", pbc=True)], ValueError,
                     "Direction a of structure 1 of X is periodic, but", id="A11"),
        pytest.param([Atoms("H", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True)],
                     ValueError, "linearly dependent: the cell is singular", id="A12"),
        pytest.param([Atoms("H", cell=[5, 5, 1e-4], pbc=True)], ValueError,
                     "repeats every 0.0001 Å, which no crystal does", id="A12-tiny"),
        pytest.param([water(positions=NOWHERE)], ValueError,
                     "Positions are NaN or infinite at atoms 0 in structure 0", id="A20"),
        pytest.param([water(), water(positions=np.full((3, 3), np.inf))], ValueError,
                     "NaN or infinite at atoms 0, 1, 2 in structure 1", id="A21"),
        pytest.param([water(positions=np.eye(3) * 1e12)], ValueError,
                     "Positions lie beyond 1e[+]07 Å at atoms 0, 1, 2", id="A21-far"),
        pytest.param([water(), Atoms()], ValueError,
                     "There are no atoms in structure 1 of X; drop it", id="A22"),
        pytest.param([water(), "H2O"], TypeError,
                     "Element 1 of X is str; every element must be an ase", id="A26"),
        pytest.param([water(), None], TypeError, "Element 1 of X is NoneType", id="A26b"),
        pytest.param(water(), TypeError, "X is a single ase.Atoms; give a list", id="A27"),
        pytest.param([[1.0, 2.0]], TypeError, "Element 0 of X is list", id="A29-list"),
        pytest.param(np.ones((4, 3)), TypeError,
                     "got an array of float64 with shape", id="A29-array"),
        pytest.param([Atoms("X")], ValueError,
                     "Atomic number 0 of atom 0 in structure 0 of X", id="A30-dummy"),
        pytest.param([Atoms("H", cell=[np.nan, 1, 1], pbc=True)], ValueError,
                     "cell of structure 0 of X has NaN or infinite", id="A36-cell"),
    ],
)  # fmt: skip
def test_wrong_structures_are_named(featurizer, X, error, words):
    with pytest.raises(error, match=words):
        featurizer.transform(X)


def test_A23_an_empty_list_is_no_rows_and_no_training_set(featurizer):
    assert featurizer.transform([]).shape[0] == 0
    with pytest.raises(
        ValueError, match="X is empty: at least one structure is needed"
    ):
        ACSF(**SMALL).fit([])


def test_A27_structures_taken_apart_by_numpy(featurizer):
    apart = np.asarray([molecule("H2"), molecule("O2")], dtype=object)
    with pytest.raises(
        TypeError, match="NumPy has taken structures of equal size apart"
    ):
        featurizer.transform(apart)


def test_A41_before_fit():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        ACSF().transform([water()])


@pytest.mark.parametrize("r_cut", [0, -3.0, np.nan, np.inf, None, "5"])
def test_A42_a_radius_that_is_none(r_cut):
    with pytest.raises(ValueError, match="'r_cut' parameter of ACSF must be a float"):
        ACSF(r_cut=r_cut).fit([water()])


def test_A06_a_species_that_is_none():
    with pytest.raises(ValueError, match="species holds 'Xx', which is no chemical"):
        ACSF(species=["H", "Xx"]).fit([water()])
