"""Structures: a light sequence of frames that scikit-learn can index, hash and copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from skatom.structures._flat import FlatStructures, flatten

# Calculator results that are labels of a structure and survive a copy to a worker.
LABEL_NAMES = ("energy", "free_energy", "forces", "stress", "dipole", "charges")


class Structures(Sequence):
    """Sequence of structures that scikit-learn takes for a column of objects.

    A list of :class:`ase.Atoms` works almost everywhere. A few of scikit-learn's
    meta-estimators (bagging, AdaBoost, permutation importance) turn X into an array
    first, and NumPy would take structures of equal size apart into single atoms.
    `Structures` has a shape, converts to an ``(n, 1)`` column of objects, and is copied
    to worker processes as a few flat arrays instead of thousands of small ones.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        The structures. They are referenced, never copied or changed.

    Notes
    -----
    Copies made by pickling keep numbers, positions, cell, pbc, the other per-atom
    arrays, ``info``, constraints and stored calculator results. A live calculator is
    replaced by an :class:`~ase.calculators.singlepoint.SinglePointCalculator` that holds
    the results it had, for the geometry it had them for. The same goes for the column of
    objects, which scikit-learn sends to workers as it is.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom import Structures
    >>> X = Structures([molecule("H2O"), molecule("CH4")])
    >>> X.shape, len(X[:1]), X.n_atoms.tolist()
    ((2, 1), 1, [3, 5])
    """

    ndim = 2
    _flat: FlatStructures | None = None

    def __init__(self, frames: Iterable[Atoms]):
        self.frames = list(frames)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (n_structures, 1), that of a column."""
        return (len(self.frames), 1)

    @property
    def flat(self) -> FlatStructures:
        """Numbers, positions, cells and pbc of all structures, not to be changed.

        Read from the frames as they are now; but `check_structures`, which every estimator
        calls anew, keeps what it has checked.
        """
        return flatten(self.frames) if self._flat is None else self._flat

    @property
    def n_atoms(self) -> np.ndarray:
        """Number of atoms of each structure, shape (n_structures,)."""
        if self._flat is not None:
            return np.diff(self._flat.offsets)
        return np.array([len(atoms) for atoms in self.frames], dtype=np.int64)

    @property
    def offsets(self) -> np.ndarray:
        """First atom of each structure in the flat list, shape (n_structures + 1,)."""
        if self._flat is not None:
            return self._flat.offsets
        return np.concatenate([[0], np.cumsum(self.n_atoms)]).astype(np.int64)

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers of all atoms, shape (n_atoms_total,)."""
        if self._flat is not None:
            return self._flat.numbers
        if not self.frames:
            return np.empty(0, dtype=np.int64)
        return np.concatenate([atoms.numbers for atoms in self.frames]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Atoms]:
        return iter(self.frames)

    def __getitem__(self, key):
        if isinstance(key, tuple):  # scikit-learn indexes with X[key, ...]
            key = key[0]
        if isinstance(key, Integral):
            return self.frames[key]
        if isinstance(key, slice):
            return Structures(self.frames[key])
        return Structures([self.frames[s] for s in np.arange(len(self))[key]])

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if dtype is not None and np.dtype(dtype) != object:
            raise TypeError(
                f"Structures cannot become an array of {np.dtype(dtype)}: this step wants "
                "numbers. Put a featurizer (ACSF, ...) and, for a stock estimator, Pool "
                "in front of it."
            )
        column = np.empty((len(self), 1), dtype=object)
        for s, atoms in enumerate(self.frames):
            column[s, 0] = _portable(atoms)
        return column

    def __repr__(self) -> str:
        return f"Structures({len(self)} structures, {int(self.n_atoms.sum())} atoms)"

    def __reduce__(self):
        return _unpack, (_pack(self.frames),)


def holds_structures(X) -> bool:
    """Whether X is a sequence of structures, in any form, and not rows of numbers.

    An iterator, which is not read here, can be nothing else.
    """
    if isinstance(X, (Structures, Atoms, Iterator)):
        return True
    if hasattr(X, "iloc"):  # pandas: a Series, or a DataFrame of one column
        if len(X) == 0 or (X.ndim == 2 and X.shape[1] != 1):
            return False
        return isinstance(X.iloc[0] if X.ndim == 1 else X.iloc[0, 0], Atoms)
    if hasattr(X, "dtype"):
        return X.dtype == object and X.size > 0 and isinstance(X.flat[0], Atoms)
    if not hasattr(X, "__len__") or not hasattr(X, "__getitem__"):
        return False
    return len(X) > 0 and isinstance(X[0], Atoms)


def refuse_structures(X, who: str) -> None:
    """Refuse structures where a model expects features of them."""
    if holds_structures(X):
        raise TypeError(
            f"{who} takes features, and X holds structures: put a featurizer in front of "
            f"it, as in Pipeline([('features', ACSF()), ('model', {who}())])."
        )


def _pack(frames: list[Atoms]) -> dict:
    """Turn frames into a few flat arrays, and what is ragged into plain lists."""
    names = [sorted(set(a.arrays) - {"numbers", "positions"}) for a in frames]
    shared = set(names[0]).intersection(*names[1:]) if names else set()
    # one flat array only where type and shape agree in every frame
    shared = {n for n in shared if len({_kind(a.arrays[n]) for a in frames}) == 1}
    return {
        "n_atoms": np.array([len(a) for a in frames], dtype=np.int64),
        "numbers": _flat([a.numbers for a in frames]),
        "positions": _flat([a.positions for a in frames]),
        "cells": np.array([a.cell.array for a in frames]),
        "pbc": np.array([a.pbc for a in frames]),
        "celldisp": np.array([a.get_celldisp().ravel() for a in frames]),
        "arrays": {n: _flat([a.arrays[n] for a in frames]) for n in sorted(shared)},
        "extra_arrays": [
            {n: a.arrays[n] for n in own if n not in shared}
            for a, own in zip(frames, names)
        ],
        "info": [dict(a.info) for a in frames],
        "constraints": [list(a.constraints) for a in frames],
        "labels": [_stored_results(a) for a in frames],
        "labelled": [_labelled_geometry(a) for a in frames],
    }


def _unpack(packed: dict) -> Structures:
    edges = np.concatenate([[0], np.cumsum(packed["n_atoms"])])
    frames = []
    for s, (start, stop) in enumerate(zip(edges[:-1], edges[1:])):
        atoms = Atoms(
            numbers=packed["numbers"][start:stop],
            positions=packed["positions"][start:stop],
            cell=packed["cells"][s],
            pbc=packed["pbc"][s],
            celldisp=packed["celldisp"][s],
            info=packed["info"][s],
            constraint=packed["constraints"][s],
        )
        for name, flat in packed["arrays"].items():
            atoms.arrays[name] = flat[start:stop].copy()
        atoms.arrays.update(packed["extra_arrays"][s])
        if packed["labels"][s]:
            labelled = packed["labelled"][s] or atoms
            atoms.calc = SinglePointCalculator(labelled, **packed["labels"][s])
        frames.append(atoms)
    return Structures(frames)


def _kind(array: np.ndarray) -> tuple:
    return array.dtype.str, array.shape[1:]


def _flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.empty(0)


def _portable(atoms: Atoms) -> Atoms:
    """Give the frame, or where its calculator may not be copied, one with the results."""
    if atoms.calc is None or isinstance(atoms.calc, SinglePointCalculator):
        return atoms
    copy, results = atoms.copy(), _stored_results(atoms)
    if results:
        copy.calc = SinglePointCalculator(_labelled_geometry(atoms) or atoms, **results)
    return copy


def _stored_results(atoms: Atoms) -> dict:
    """Labels that the calculator holds."""
    results = getattr(atoms.calc, "results", {})
    return {n: results[n] for n in LABEL_NAMES if results.get(n) is not None}


def _labelled_geometry(atoms: Atoms) -> Atoms | None:
    """Give the geometry that stale labels belong to, so that they stay refused."""
    geometry = getattr(atoms.calc, "atoms", None)
    changes = getattr(atoms.calc, "check_state", None)
    if geometry is None or changes is None or not changes(atoms):
        return None
    return Atoms(
        geometry.numbers, geometry.positions, cell=geometry.cell, pbc=geometry.pbc
    )
