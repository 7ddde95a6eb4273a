"""A structure is what it consists of; duplicates are found and contradictions named."""

import pickle

import numpy as np
import pytest
from ase.constraints import FixAtoms
from conftest import labelled

from skatom import Structures
from skatom.structures import content_hash, duplicate_report


def changed(atoms, change):
    atoms = atoms.copy()
    change(atoms)
    return atoms


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.positions.__setitem__((0, 0), a.positions[0, 0] + 1e-12),
        lambda a: a.numbers.__setitem__(0, 13),
        lambda a: a.set_cell(a.cell.array * 1.01),
        lambda a: a.set_pbc([True, True, False]),
        lambda a: a.info.update(charge=1),
        lambda a: a.info.update(spin=3),
    ],
    ids=["position", "species", "cell", "pbc", "charge", "spin"],
)
def test_what_makes_another_structure_makes_another_hash(skewed_crystal, change):
    assert content_hash(skewed_crystal) != content_hash(changed(skewed_crystal, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.info.update(energy=1.0, comment="b", charge=None),
        lambda a: a.arrays.update(forces=np.ones((4, 3))),
        lambda a: a.set_constraint(FixAtoms([0])),
        lambda a: a.set_tags(1),
        lambda a: a.positions.__imul__(np.where(a.positions == 0, -1.0, 1.0)),
    ],
    ids=["info", "arrays", "constraint", "tags", "minus zero"],
)
def test_labels_and_marks_do_not_change_the_hash(skewed_crystal, change):
    skewed_crystal.positions[0] = 0
    assert content_hash(skewed_crystal) == content_hash(changed(skewed_crystal, change))


def test_the_hash_survives_calculators_and_pickling(frames):
    X = pickle.loads(pickle.dumps(Structures([labelled(a) for a in frames])))
    assert [content_hash(a) for a in frames] == [content_hash(a) for a in X]


def test_the_hash_is_the_same_in_every_process(water):
    water.positions = [[0, 0, 0.119], [0, 0.763, -0.477], [0, -0.763, -0.477]]
    assert content_hash(water) == "64d4dd3dfb877e5165308232d6e138b3"


def test_duplicates_are_grouped_in_the_order_of_the_frames(frames):
    X = [*frames, frames[2].copy(), frames[0].copy(), frames[2].copy()]
    n = len(frames)
    report = duplicate_report(X)
    assert report.groups == [[0, n + 1], [2, n, n + 2]]
    assert report.n_redundant == 3
    assert str(report) == "3 structures repeat an earlier one"


def test_frames_that_differ_in_cell_or_pbc_only_are_no_duplicates(skewed_crystal):
    stretched, open_ = skewed_crystal.copy(), skewed_crystal.copy()
    stretched.set_cell(stretched.cell.array * 1.1)
    open_.pbc = False
    report = duplicate_report([skewed_crystal, stretched, open_])
    assert report.groups == []
    assert str(report) == "no structure occurs twice"


def test_labels_that_contradict_are_reported(frames):
    X = [*frames[:2], frames[0].copy(), frames[1].copy()]
    report = duplicate_report(X, [1.0, 2.0, 1.0 + 5e-7, 2.1])
    assert report.groups == [[0, 2], [1, 3]]
    assert report.contradicting == [[1, 3]]
    assert "1 groups have contradicting labels (first: structures 1, 3)" in str(report)
    assert duplicate_report(X, [1, 2, 1, 2.1], tolerance=0.2).contradicting == []


def test_targets_of_another_length_are_refused(frames):
    with pytest.raises(ValueError, match="X has 8 structures, but y has 3 entries"):
        duplicate_report(frames, [1, 2, 3])


def test_there_are_no_duplicates_among_no_structures():
    assert duplicate_report([]).groups == []


def test_charges_and_spins_of_any_kind_tell_structures_apart(water):
    def of(**info):
        return content_hash(changed(water, lambda a: a.info.update(info)))

    assert of(charge=1) == of(charge=1.0) == of(charge=np.int64(1))
    words = {of(spin="singlet"), of(spin="triplet"), of(charge=np.array([1, 0])), of()}
    assert len(words) == 4
