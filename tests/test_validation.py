"""Checks that every estimator shares."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning

from skatom._runtime.threads import run_chunks
from skatom._validation import (
    check_n_structures,
    check_sample_weight,
    check_targets,
    closest,
    listing,
    locate_atom,
    refuse_unseen,
)


@pytest.mark.parametrize(
    "y",
    [
        [1, 2, 3],
        (1.0, 2.0, 3.0),
        np.array([1, 2, 3], dtype=np.int32),
        np.array([1, 2, 3], dtype=np.float32),
        np.array([1, 2, 3], dtype=object),
        pd.Series([1.0, 2.0, 3.0], index=[7, 8, 9]),
    ],
)
def test_targets_of_every_kind_become_a_vector(y):
    checked = check_targets(y, 3)
    assert checked.dtype == np.float64
    assert checked.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "y", [np.array([[1.0], [2.0], [3.0]]), pd.DataFrame({"energy": [1.0, 2.0, 3.0]})]
)
def test_a_column_is_read_with_the_warning_of_scikit_learn(y):
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        assert check_targets(y, 3).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None: give one energy"),
        ([1.0, None, 2.0], "y is None at structures 1. Drop those structures"),
        ([1.0, np.nan, 2.0], "Input y contains NaN or infinity at structures 1"),
        ([-np.inf, 1.0, 2.0], "contains NaN or infinity at structures 0"),
        ([1.0, 2.0], "X has 3 structures, but y has 2 entries"),
        (np.ones((3, 2)), r"y has shape \(3, 2\); .*Forces and stress travel with"),
        (1.0, r"y has shape \(\)"),
        (np.arange(3).astype("M8[D]"), r"y holds times \(datetime64\[D\]\)"),
        ([1j, 2, 3], "Complex data not supported: y must hold real energies"),
        (["a", "b", "c"], "y must hold numbers, one per structure: could not convert"),
        ([np.ones((2, 3)), np.ones((3, 3)), np.ones((1, 3))], "y is ragged; expected one"),
    ],
)  # fmt: skip
def test_wrong_targets_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        check_targets(y, 3)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, -1, 1], "sample_weight is negative at structures 1"),
        ([0, 0, 0], "(?i)sample.weight.*zero"),
        ([1, np.nan, 1], "sample_weight contains NaN or infinity at structures 1;"),
        ([1, 1], "X has 3 structures, but sample_weight has 2 entries"),
        ([1, np.inf, 1], "NaN or infinity at structures 1; weights must be"),
    ],
)
def test_wrong_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        check_sample_weight(weight, 3)


def test_no_weights_are_ones():
    assert check_sample_weight(None, 2).tolist() == [1.0, 1.0]
    assert check_sample_weight(3.0, 2).tolist() == [3.0, 3.0]


def test_lengths_are_compared():
    check_n_structures(2, [1, 2], "groups")
    with pytest.raises(
        ValueError, match="X has 2 structures, but groups has 1 entries"
    ):
        check_n_structures(2, [1], "groups")


def test_the_closest_name_is_offered():
    assert closest("forcs", ["forces", "stress"]) == " Did you mean 'forces'?"
    assert closest("zzz", ["forces"]) == ""


def test_long_lists_are_cut():
    assert listing(range(3)) == "0, 1, 2"
    assert listing(range(9), limit=2) == "0, 1 and 7 more"


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 3, -1])
@pytest.mark.parametrize("n_atoms", [1, 999, 2500, 10_000])
def test_chunks_cover_all_centres_once(n_atoms, n_jobs):
    hits = np.zeros(n_atoms, dtype=int)
    weights = np.concatenate([[0], np.cumsum(np.arange(n_atoms) % 7)])

    def task(start, stop):
        hits[start:stop] += 1

    run_chunks(task, weights, n_jobs)
    assert (hits == 1).all()


def test_chunks_without_work_are_still_visited():
    hits = np.zeros(5000, dtype=int)
    run_chunks(lambda i, j: hits.__setitem__(slice(i, j), 1), np.zeros(5001), n_jobs=2)
    assert hits.all()


def test_atoms_of_a_flat_list_are_located_in_their_structure():
    offsets = np.array([0, 3, 4, 9])
    found = [locate_atom(atom, offsets) for atom in (0, 2, 3, 4, 8)]
    assert found == [(0, 0), (0, 2), (1, 0), (2, 0), (2, 4)]


def test_unseen_elements_are_named_with_the_first_atom_and_all_of_them():
    numbers, offsets = np.array([1, 8, 26, 1, 28, 26]), np.array([0, 2, 4, 6])
    with pytest.raises(
        ValueError,
        match=r"^Structure 1, atom 0 is Fe, but SOAP knows H, O only \(unknown here: Fe, "
        r"Ni\)\. List them in species\.$",
    ):
        refuse_unseen(numbers, offsets, [1, 8], "SOAP", "List them in species.")
    refuse_unseen(numbers, offsets, [1, 8, 26, 28], "SOAP", "")
    refuse_unseen(numbers[:0], offsets[:1], [], "SOAP", "")
