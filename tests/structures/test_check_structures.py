"""What goes into every estimator is checked once, and every mistake has its sentence."""

import numpy as np
import pandas as pd
import pytest
from ase import Atom, Atoms
from ase.io import Trajectory, write

from skatom.structures import Structures, check_structures


def column(frames):
    objects = np.empty(len(frames), dtype=object)
    objects[:] = frames
    return objects


WAYS = {
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "object array": column,
    "object column": lambda frames: column(frames)[:, None],
    "Structures": Structures,
    "Series": pd.Series,
    "DataFrame": lambda frames: pd.DataFrame({"atoms": frames}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_sequence_of_frames_gives_the_same_structures(way, frames):
    checked = check_structures(WAYS[way](frames))
    assert isinstance(checked, Structures)
    assert len(checked) == len(frames)
    assert all(a is b for a, b in zip(checked, frames))


@pytest.mark.parametrize("way", WAYS)
def test_structures_of_equal_size_stay_whole(way, equal_sized):
    checked = check_structures(WAYS[way](equal_sized))
    assert [str(a.symbols) for a in checked] == ["H2", "O2"]


def test_a_trajectory_file_is_a_sequence(tmp_path, frames):
    write(tmp_path / "a.traj", frames)
    with Trajectory(tmp_path / "a.traj") as trajectory:
        assert check_structures(trajectory).n_atoms.tolist() == [len(a) for a in frames]


def test_frames_are_not_touched(frames):
    before = [(a.positions.copy(), a.cell.array.copy(), dict(a.info)) for a in frames]
    check_structures(frames)
    for a, (positions, cell, info) in zip(frames, before):
        np.testing.assert_array_equal(a.positions, positions)
        np.testing.assert_array_equal(a.cell.array, cell)
        assert a.info == info


def test_an_empty_sequence_is_refused_unless_allowed():
    with pytest.raises(ValueError, match="X is empty: at least one structure"):
        check_structures([])
    assert len(check_structures([], allow_empty=True)) == 0


H2 = [[0, 0, 0], [0, 0, 0.74]]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (Atoms("H"), r"X is a single ase\.Atoms; give a list of structures"),
        ("train.xyz", r"got str\. Read the file first, for example with ase\.io\.read"),
        (b"train.xyz", r"got bytes\. Read the file first"),
        ({"a": Atoms("H")}, "got dict"),
        (3, "got int"),
        (None, "got NoneType"),
        (np.zeros((2, 3)), r"array of float64 with shape \(2, 3\)"),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), "DataFrame with 2 columns"),
        ([Atoms("H"), 1.0], "Element 1 of X is float; every element must be an ase.Atoms"),
        ([Atoms("H"), None], "Element 1 of X is NoneType"),
        ([[Atoms("H")]], "Element 0 of X is list"),
        ([Atom("H")], r"Element 0 of X is a single ase\.Atom, not a structure"),
        (Atoms("H2", H2)[:1][0:1], r"single ase\.Atoms"),
        (np.full((2, 2), None), r"object array of shape \(2, 2\)"),
    ],
)  # fmt: skip
def test_what_is_not_a_sequence_of_frames_is_a_type_error(X, message):
    with pytest.raises(TypeError, match=message):
        check_structures(X)


def test_structures_that_numpy_took_apart_are_recognised(equal_sized):
    with pytest.raises(
        TypeError, match="NumPy has taken structures of equal size apart"
    ):
        check_structures(np.asarray(equal_sized, dtype=object))


def atoms_with(**changes):
    atoms = Atoms("H2", H2, cell=[5, 5, 5], pbc=True)
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Atoms(), "There are no atoms in structure 1 of X; drop it"),
        (
            atoms_with(positions=[[0, 0, 0], [0, np.nan, 0]]),
            "Positions are NaN or infinite at atoms 1 in structure 1 of X",
        ),
        (
            atoms_with(positions=[[0, 0, -np.inf], [0, 0, 0]]),
            "Positions are NaN or infinite at atoms 0 in",
        ),
        (
            atoms_with(positions=[[0, 0, 1e15], [0, 0, 0]]),
            "Positions lie beyond 1e[+]07 Å at atoms 0 in structure 1",
        ),
        (atoms_with(numbers=[1, 0]), "Atomic number 0 of atom 1 in structure 1"),
        (atoms_with(numbers=[119, 1]), "Atomic number 119 of atom 0 .*1 to 118 are"),
        (atoms_with(cell=[5, 5, 0]), "Direction c of structure 1 .* is periodic, but"),
        (atoms_with(cell=[0, 0, 0]), "Direction a of structure 1 .* cell vector is zero"),
        (atoms_with(cell=[5, np.nan, 5]), "The cell of structure 1 of X has NaN"),
        (
            atoms_with(cell=[np.inf, 5, 5], pbc=False),
            "The cell of structure 1 of X has NaN or infinite entries",
        ),
        (
            atoms_with(cell=[[5, 0, 0], [0, 5, 0], [5, 5, 0]]),
            "cell vectors of structure 1 of X are linearly dependent",
        ),
        (atoms_with(cell=[5, 5, 1e-3]), r"repeats every 0\.001 Å, which no crystal does"),
        (
            atoms_with(cell=[[5, 0, 0], [5, 1e-5, 0], [0, 0, 5]]),
            r"repeats every 1e-05 Å, which no crystal does",
        ),
    ],
)  # fmt: skip
def test_a_broken_frame_is_named_with_its_place(broken, message):
    with pytest.raises(ValueError, match=message):
        check_structures([Atoms("H"), broken])


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        ([5, 5, 0], [True, True, False]),
        ([0, 0, 2], [False, False, True]),
        ([5, 5, -5], True),
        ([[1, 0, 0], [1000, 1, 0], [0, 0, 1]], True),
        ([[5, 0, 0], [0, 5, 0], [5, 5, 0]], [True, True, False]),
        ([0, 0, 0], False),
    ],
)
def test_unusual_but_sound_cells_are_accepted(cell, pbc):
    assert len(check_structures([Atoms("H", cell=cell, pbc=pbc)])) == 1


def test_the_message_uses_the_name_of_the_argument():
    with pytest.raises(ValueError, match="calibration frames is empty"):
        check_structures([], name="calibration frames")
