"""Flat arrays of frames: what they hold, and how often frames are read for them."""

import numpy as np
import pytest

from skatom.featurizers import ACSF
from skatom.structures import Structures, _flat, check_structures


def test_flat_arrays_hold_what_frames_hold(frames):
    flat = check_structures(frames).flat
    for s, atoms in enumerate(frames):
        rows = slice(*flat.offsets[s : s + 2])
        np.testing.assert_array_equal(flat.numbers[rows], atoms.numbers)
        np.testing.assert_array_equal(flat.positions[rows], atoms.positions)
        np.testing.assert_array_equal(flat.cells[s], atoms.cell.array)
        np.testing.assert_array_equal(flat.pbc[s], atoms.pbc)
    assert flat.offsets[-1] == len(flat.numbers) == len(flat.positions)
    kinds = [flat.numbers.dtype, flat.positions.dtype, flat.pbc.dtype]
    assert kinds == [np.int64, np.float64, bool]


def test_arrays_of_other_types_are_converted(water):
    water.arrays["positions"] = water.positions.astype(np.float32)
    water.arrays["numbers"] = water.numbers.astype(np.int16)
    flat = Structures([water]).flat
    assert (flat.positions.dtype, flat.numbers.dtype) == (np.float64, np.int64)


def test_structures_follow_their_frames_and_checked_ones_what_was_checked(water):
    own, checked = Structures([water]), check_structures([water])
    before = water.positions.copy()
    water.positions += 1.0
    np.testing.assert_array_equal(own.flat.positions, water.positions)
    np.testing.assert_array_equal(checked.flat.positions, before)
    np.testing.assert_array_equal(
        check_structures(checked).flat.positions, water.positions
    )


def test_no_structures_are_flat_too():
    flat = Structures([]).flat
    assert [len(array) for array in flat] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("periodic", [False, True])
def test_frames_are_read_once_in_a_transform(frames, periodic, monkeypatch):
    some = [atoms for atoms in frames if atoms.pbc.any() == periodic]
    featurizer = ACSF(4.0).fit(some)
    read = []

    def counted(frames):
        read.append(len(frames))
        return _flat.flatten(frames)

    for module in ("_checks", "_sequence"):
        monkeypatch.setattr(f"skatom.structures.{module}.flatten", counted)
    featurizer.transform(some)
    assert read == [len(some)]
