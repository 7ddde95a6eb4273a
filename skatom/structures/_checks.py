"""Checks of the structures that are passed as X."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from ase import Atom, Atoms
from ase.geometry import minkowski_reduce

from skatom._validation import listing
from skatom.structures._flat import FlatStructures, flatten
from skatom.structures._sequence import Structures

MAX_ATOMIC_NUMBER = 118
# In Å. Farther out, float64 leaves less than 1e-8 Å to tell positions apart.
LARGEST_COORDINATE = 1e7
# Volume of the box of periodic vectors over the product of their lengths.
SMALLEST_RELATIVE_VOLUME = 1e-8
# In Å. A lattice that repeats more often has wrong units, and its search never ends.
SHORTEST_REPEAT = 0.1


def check_structures(X, *, name: str = "X", allow_empty: bool = False) -> Structures:
    """Check a sequence of structures and give it as :class:`Structures`.

    Parameters
    ----------
    X : sequence of ase.Atoms
        A list, tuple, trajectory or other iterable, an object array of shape (n,) or
        (n, 1), a pandas column, or `Structures`. The frames are not copied or changed;
        an iterator is read to its end.
    name : str, default="X"
        How messages call the argument.
    allow_empty : bool, default=False
        Whether a sequence without structures is accepted.

    Returns
    -------
    structures : Structures

    Raises
    ------
    TypeError
        If X is a single Atoms, numbers, or holds anything but Atoms.
    ValueError
        If X is empty, or an iterator that was read before; if a structure has no atoms, a
        position or cell vector that is not finite, an unknown atomic number, or a
        periodic direction without a usable cell vector. The message names the structure,
        the atom and the remedy.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.structures import check_structures
    >>> check_structures([molecule("H2O")])
    Structures(1 structures, 3 atoms)
    """
    structures = Structures(_frames(X, name))
    if not len(structures) and isinstance(X, Iterator):
        raise ValueError(
            f"{name} is an iterator ({type(X).__name__}) that gives no structures, or was "
            "read before: iterators can be read once. Give a list of structures."
        )
    if not len(structures) and not allow_empty:
        raise ValueError(f"{name} is empty: at least one structure is needed.")
    if all(isinstance(atoms, Atoms) for atoms in structures.frames):
        structures._flat = flatten(structures.frames)
        if _sound(structures._flat):
            return structures
    for s, atoms in enumerate(structures):
        if not isinstance(atoms, Atoms):
            raise TypeError(_not_atoms(atoms, s, name))
        _check_frame(atoms, f"structure {s} of {name}")
    return structures


def _sound(flat: FlatStructures) -> bool:
    """Whether flat arrays show at once that molecules are in order, the common case.

    False sends the frames to be looked at one by one.
    """
    if flat.pbc.any() or not len(flat.numbers):
        return False
    if len(flat.offsets) > 2 and not np.diff(flat.offsets).all():
        return False
    # unsigned, so that what is less than 1 is large; and so that NaN is not sound either
    if (flat.numbers - 1).view(np.uint64).max() >= MAX_ATOMIC_NUMBER:
        return False
    inside = np.abs(flat.positions).max() <= LARGEST_COORDINATE
    return bool(inside and np.isfinite(flat.cells).all())


def _frames(X, name: str) -> list:
    if isinstance(X, Structures):
        return X.frames
    if isinstance(X, Atoms):
        raise TypeError(
            f"{name} is a single ase.Atoms; give a list of structures: [atoms]."
        )
    if hasattr(X, "feature_names") and hasattr(X, "n_atoms"):  # on a floor above
        raise TypeError(
            f"{name} holds features of structures ({type(X).__name__}), and structures "
            "are expected: give these, or use what stands behind the featurizer alone."
        )
    sliced = hasattr(X, "__getitem__") and hasattr(X, "__len__")  # as trajectories are
    if isinstance(X, (str, bytes, Mapping)) or not (isinstance(X, Iterable) or sliced):
        hint = " Read the file first, for example with ase.io.read(name, ':')."
        raise TypeError(
            f"Expected a sequence of ase.Atoms as {name}, got {type(X).__name__}."
            + (hint if isinstance(X, (str, bytes)) else "")
        )
    if hasattr(X, "iloc"):
        X = _column(X, name)
    if hasattr(X, "dtype") and hasattr(X, "ndim"):
        X = _object_column(np.asarray(X), name)
    return list(X)


def _column(X, name: str) -> np.ndarray:
    """Values of a pandas Series or of a DataFrame with one column."""
    if X.ndim == 2 and X.shape[1] != 1:
        raise TypeError(
            f"{name} is a DataFrame with {X.shape[1]} columns; give the one column that "
            "holds the structures, such as frame['atoms']."
        )
    return (X.iloc[:, 0] if X.ndim == 2 else X).to_numpy()


def _object_column(X: np.ndarray, name: str) -> np.ndarray:
    if X.dtype != object:
        raise TypeError(
            f"Expected a sequence of ase.Atoms as {name}, got an array of {X.dtype} with "
            f"shape {X.shape}."
        )
    if X.size and isinstance(X.flat[0], Atom):
        raise TypeError(
            f"{name} is an array of single atoms, shape {X.shape}: NumPy has taken "
            "structures of equal size apart. Pass the list itself, or "
            "skatom.Structures(frames)."
        )
    if X.ndim == 2 and X.shape[1] == 1:
        X = X[:, 0]
    if X.ndim != 1:
        raise TypeError(
            f"{name} is an object array of shape {X.shape}; expected (n_structures,) or "
            "(n_structures, 1)."
        )
    return X


def _not_atoms(item, s: int, name: str) -> str:
    kind = type(item).__name__
    if isinstance(item, Atom):
        return (
            f"Element {s} of {name} is a single ase.Atom, not a structure: wrap the "
            "structure in a list, [atoms]."
        )
    return f"Element {s} of {name} is {kind}; every element must be an ase.Atoms."


def _check_frame(atoms: Atoms, where: str) -> None:
    if len(atoms) == 0:
        raise ValueError(f"There are no atoms in {where}; drop it.")
    positions = atoms.positions
    if not np.isfinite(positions).all():
        bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
        raise ValueError(
            f"Positions are NaN or infinite at atoms {listing(bad)} in {where}."
        )
    if np.abs(positions).max() > LARGEST_COORDINATE:
        bad = np.flatnonzero((np.abs(positions) > LARGEST_COORDINATE).any(axis=1))
        raise ValueError(
            f"Positions lie beyond {LARGEST_COORDINATE:.0e} Å at atoms {listing(bad)} in "
            f"{where}, too far out to tell distances: move the structure to the origin."
        )
    numbers = atoms.numbers
    if numbers.min() < 1 or numbers.max() > MAX_ATOMIC_NUMBER:
        bad = np.flatnonzero((numbers < 1) | (numbers > MAX_ATOMIC_NUMBER))
        raise ValueError(
            f"Atomic number {numbers[bad[0]]} of atom {bad[0]} in {where} is no element; "
            f"1 to {MAX_ATOMIC_NUMBER} are. Remove dummy atoms first."
        )
    if atoms.pbc.any():
        _check_cell(atoms, where)
    elif not np.isfinite(atoms.cell.array).all():
        raise ValueError(f"The cell of {where} has NaN or infinite entries.")


def _check_cell(atoms: Atoms, where: str) -> None:
    cell = atoms.cell.array
    if not np.isfinite(cell).all():
        raise ValueError(f"The cell of {where} has NaN or infinite entries.")
    vectors = cell[atoms.pbc]
    lengths = np.linalg.norm(vectors, axis=1)
    if not lengths.all():
        axis = "abc"[np.flatnonzero(atoms.pbc)[np.argmin(lengths)]]
        raise ValueError(
            f"Direction {axis} of {where} is periodic, but its cell vector is zero: set "
            "the cell, or pbc=False in that direction."
        )
    unit = vectors / lengths[:, None]
    volume = np.sqrt(max(np.linalg.det(unit @ unit.T), 0.0))
    if volume < SMALLEST_RELATIVE_VOLUME:
        raise ValueError(
            f"The periodic cell vectors of {where} are linearly dependent: the cell is "
            "singular."
        )
    if lengths.min() < SHORTEST_REPEAT or volume < SHORTEST_REPEAT:
        _check_repeat(atoms, where)


def _check_repeat(atoms: Atoms, where: str) -> None:
    """Refuse a lattice whose shortest vector is shorter than any chemistry."""
    reduced, _ = minkowski_reduce(atoms.cell.array, atoms.pbc)
    shortest = np.linalg.norm(reduced[atoms.pbc], axis=1).min()
    if shortest < SHORTEST_REPEAT:
        raise ValueError(
            f"The lattice of {where} repeats every {shortest:.2g} Å, which no crystal "
            "does: check the cell and its unit (Å)."
        )
