"""Structures behave as a column of objects, and travel to workers as flat arrays."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from conftest import labelled
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import _safe_indexing, indexable, resample, shuffle
from sklearn.utils.validation import _num_samples

from skatom import Structures
from skatom.structures import check_structures, read_labels


@pytest.fixture
def X(frames):
    return Structures(frames)


@pytest.mark.parametrize(
    ("key", "picked"),
    [
        (slice(1, 3), [1, 2]),
        ([2, 0], [2, 0]),
        ((2, 0), [2, 0]),
        (np.array([3, 3]), [3, 3]),
        (np.arange(8) == 4, [4]),
        ([True] * 2 + [False] * 6, [0, 1]),
        ([], []),
    ],
)
def test_scikit_learn_selects_structures(X, frames, key, picked):
    selected = _safe_indexing(X, key)
    assert isinstance(selected, Structures)
    assert [id(a) for a in selected] == [id(frames[s]) for s in picked]


def test_an_integer_gives_one_frame(X, frames):
    assert X[1] is frames[1]
    assert X[np.int64(-1)] is frames[-1]


def test_an_index_out_of_range_is_an_index_error(X):
    with pytest.raises(IndexError):
        X[99]


def test_sizes_are_those_of_the_frames(X, frames):
    assert X.shape == (len(frames), 1)
    assert _num_samples(X) == len(frames)
    assert X.offsets.tolist() == np.cumsum([0, *map(len, frames)]).tolist()
    assert X.numbers.tolist() == [z for a in frames for z in a.numbers]
    assert repr(X) == f"Structures({len(frames)} structures, {len(X.numbers)} atoms)"
    assert Structures([]).numbers.shape == (0,)


def test_as_an_array_it_is_a_column_of_whole_structures(equal_sized):
    column = np.asarray(Structures(equal_sized))
    assert column.shape == (2, 1)
    assert column[1, 0] is equal_sized[1]
    assert [id(a) for a in check_structures(column)] == [id(a) for a in equal_sized]


def test_becoming_numbers_is_refused_with_the_remedy(X):
    with pytest.raises(
        TypeError, match=r"cannot become an array of float64.*featurizer"
    ):
        np.asarray(X, dtype=float)


def test_the_helpers_of_scikit_learn_accept_it(X):
    y = np.arange(len(X))
    assert isinstance(indexable(X, y)[0], Structures)
    train, test = train_test_split(X, random_state=0)
    assert len(train) + len(test) == len(X)
    assert len(shuffle(X, random_state=0)) == len(resample(X, random_state=0)) == len(X)
    assert [len(test) for _, test in KFold(4).split(X)] == [2] * 4


def full(atoms: Atoms) -> Atoms:
    """A frame that carries all a frame can."""
    atoms = labelled(atoms)
    atoms.info.update(name="a", charge=1)
    atoms.arrays["site"] = np.arange(len(atoms))
    atoms.set_momenta(np.ones((len(atoms), 3)))
    atoms.set_constraint(FixAtoms([0]))
    atoms.set_celldisp([0.1, 0.2, 0.3])
    return atoms


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda X: pickle.loads(pickle.dumps(X))]
)
def test_a_copy_carries_geometry_labels_info_and_constraints(duplicate, frames):
    given = [full(a) for a in frames]
    for a, b in zip(given, duplicate(Structures(given))):
        assert a is not b
        assert a == b  # numbers, positions, cell and pbc, to the last bit
        assert set(a.info) == set(b.info)
        assert (b.info["name"], b.info["charge"]) == ("a", 1)
        assert set(a.arrays) == set(b.arrays)
        np.testing.assert_array_equal(a.arrays["site"], b.arrays["site"])
        np.testing.assert_array_equal(a.get_momenta(), b.get_momenta())
        np.testing.assert_array_equal(a.constraints[0].index, b.constraints[0].index)
        np.testing.assert_array_equal(a.get_celldisp(), b.get_celldisp())
        assert a.calc.results["energy"] == b.calc.results["energy"]
        np.testing.assert_array_equal(
            a.calc.results["forces"], b.calc.results["forces"]
        )


def test_arrays_that_only_some_frames_have_survive_a_copy(water):
    tagged = molecule("CH4")
    tagged.arrays["label"] = np.array(list("abcde"))
    one, two = pickle.loads(pickle.dumps(Structures([water, tagged])))
    assert "label" not in one.arrays
    assert "".join(two.arrays["label"]) == "abcde"


def test_a_calculator_that_cannot_be_pickled_leaves_its_results(skewed_crystal):
    skewed_crystal.calc = EMT()
    energy = skewed_crystal.get_potential_energy()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(skewed_crystal.calc)
    (copied,) = pickle.loads(pickle.dumps(Structures([skewed_crystal])))
    assert isinstance(copied.calc, SinglePointCalculator)
    assert copied.get_potential_energy() == energy


def test_the_column_of_frames_with_live_calculators_can_be_pickled(skewed_crystal):
    skewed_crystal.calc = EMT()
    energy = skewed_crystal.get_potential_energy()
    waiting = molecule("CH4")
    waiting.calc = EMT()  # has not run: nothing to keep
    column = np.asarray(Structures([skewed_crystal, waiting]))
    evaluated, bare = pickle.loads(pickle.dumps(column))[:, 0]
    assert evaluated == skewed_crystal
    assert evaluated.calc.results["energy"] == energy
    assert bare.calc is None
    assert isinstance(skewed_crystal.calc, EMT)


def test_the_column_keeps_the_geometry_that_stale_labels_belong_to(skewed_crystal):
    skewed_crystal.calc = EMT()
    skewed_crystal.get_forces()
    skewed_crystal.positions[0, 0] += 0.1
    column = np.asarray(Structures([skewed_crystal]))
    with pytest.raises(ValueError, match=r"Structure 0 has changed \(positions\)"):
        read_labels(check_structures(column))


def test_stale_labels_stay_refused_in_a_copy(water):
    water = labelled(water)
    water.positions[0, 0] += 0.1
    for X in (Structures([water]), pickle.loads(pickle.dumps(Structures([water])))):
        with pytest.raises(ValueError, match=r"Structure 0 has changed \(positions\)"):
            read_labels(X)


def test_an_empty_sequence_can_be_copied():
    assert len(pickle.loads(pickle.dumps(Structures([])))) == 0


def test_the_hash_of_joblib_is_stable_over_copies_and_sees_changes(frames):
    X = Structures([labelled(a) for a in frames])
    digest = joblib.hash(X)
    assert joblib.hash(Structures([labelled(a) for a in frames])) == digest
    assert joblib.hash(pickle.loads(pickle.dumps(X))) == digest
    X[0].positions[0, 0] += 1e-9
    assert joblib.hash(X) != digest


def test_changing_a_copy_leaves_the_original(frames):
    X = Structures(frames)
    (before, *_) = [a.copy() for a in X]
    twin = pickle.loads(pickle.dumps(X))
    twin[0].positions += 1
    twin[0].numbers[:] = 6
    assert X[0] == before
