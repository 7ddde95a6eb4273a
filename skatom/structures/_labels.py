"""Labels that travel with the structures: energies, forces and stress."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from skatom._validation import check_n_structures, closest, listing
from skatom.structures._checks import check_structures
from skatom.structures._hashing import IDENTITY_INFO
from skatom.structures._sequence import Structures
from skatom.structures._voigt import has_volume, to_voigt

# Spin is written as S or as the multiplicity 2 S + 1.
USUAL_INFO = {"charge": (0,), "spin": (0, 1)}


@dataclass(frozen=True)
class Labels:
    """Forces and stress of a set of structures, with what is missing masked.

    Attributes
    ----------
    forces : ndarray of shape (n_atoms_total, 3)
        Forces in eV/Å; rows of structures without forces are zero.
    has_forces : ndarray of bool, shape (n_structures,)
    stress : ndarray of shape (n_structures, 6)
        Stress in eV/Å³, Voigt xx yy zz yz xz xy, positive = tension; zero where missing.
    has_stress : ndarray of bool, shape (n_structures,)
    """

    forces: np.ndarray
    has_forces: np.ndarray
    stress: np.ndarray
    has_stress: np.ndarray

    def take(self, keep: np.ndarray, offsets: np.ndarray) -> Labels:
        """Select structures, given the first atom of each of them all."""
        parts = [self.forces[a:b] for a, b in zip(offsets[keep], offsets[keep + 1])]
        forces = np.concatenate([np.empty((0, 3)), *parts])
        return Labels(
            forces, self.has_forces[keep], self.stress[keep], self.has_stress[keep]
        )


def read_energies(
    X: Sequence[Atoms], key: str = "auto", *, required: bool = True
) -> np.ndarray:
    """Read the energies that are stored with the structures, ready to use as y.

    Parameters
    ----------
    X : sequence of ase.Atoms
    key : str, default="auto"
        ``"calc"``: the results of the attached calculators. Another name: ``info[name]``.
        ``"auto"``: the calculators, or else ``info["energy"]``.
    required : bool, default=True
        Refuse structures without an energy instead of giving NaN for them.

    Returns
    -------
    y : ndarray of shape (n_structures,)
        Total energies in eV. Nothing is calculated and no calculator is started.

    Raises
    ------
    ValueError
        If an energy is required and a structure has none; the message names them.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.structures import read_energies
    >>> water = molecule("H2O")
    >>> water.info["energy"] = -14.2
    >>> read_energies([water])
    array([-14.2])
    """
    structures = check_structures(X, allow_empty=True)
    found = [
        _lookup(atoms, s, "energy", key, atoms.info)
        for s, atoms in enumerate(structures)
    ]
    missing = [s for s, value in enumerate(found) if value is None]
    if missing:
        if required:
            raise ValueError(_missing("energy", missing, key, structures))
        found = [np.nan if value is None else value for value in found]
    return np.array(found, dtype=np.float64)


def read_labels(
    X: Structures,
    *,
    forces: str | Sequence | None = "auto",
    stress: str | Sequence | None = None,
    required: bool = False,
) -> Labels:
    """Read forces and stress once, at the start of a fit.

    Parameters
    ----------
    X : Structures
        Checked structures.
    forces : {"auto", "calc"} or str, sequence of arrays, or None, default="auto"
        Where forces are: ``"calc"`` in the results of the attached calculators, another
        name in ``arrays[name]``, ``"auto"`` in the calculators or ``arrays["forces"]``.
        Or the forces themselves: one array of shape (n_atoms, 3), or None, a structure.
        None trains on energies alone.
    stress : {"auto", "calc"} or str, sequence of arrays, or None, default=None
        The same for stress, with names looked up in ``info``; arrays of shape (6,) in
        Voigt order or (3, 3). Only structures with a volume have one:
        ``"auto"`` ignores the stress that a calculator has for others, all else refuses it.
    required : bool, default=False
        Refuse structures without forces (and stress, when asked for) instead of masking
        them.

    Returns
    -------
    labels : Labels

    Raises
    ------
    ValueError
        If labels are not finite, have a wrong shape or, when required, are missing.
        ``"calc"`` or a name finds labels in at least one structure, or is an error.
    """
    n = len(X)
    raw_forces = _collect(X, "forces", forces, "arrays", required)
    raw_stress = _collect(X, "stress", stress, "info", required)
    offsets = X.offsets
    labels = Labels(
        forces=np.zeros((offsets[-1], 3)),
        has_forces=np.array([f is not None for f in raw_forces], dtype=bool),
        stress=np.zeros((n, 6)),
        has_stress=np.array([t is not None for t in raw_stress], dtype=bool),
    )
    for s, atoms in enumerate(X):
        if raw_forces[s] is not None:
            rows = slice(offsets[s], offsets[s + 1])
            labels.forces[rows] = _check_forces(raw_forces[s], len(atoms), s)
        if raw_stress[s] is not None:
            labels.stress[s] = _check_stress(raw_stress[s], atoms, s)
    return labels


def read_property(X: Structures, name: str, store: str) -> tuple[list, list]:
    """Find a property that is stored with structures.

    Parameters
    ----------
    X : Structures
    name : str
    store : {"info", "arrays"}
        Where it is beside the results of calculators.

    Returns
    -------
    stored : list of object or None
        Of the results of calculators, in their units.
    named : list of object or None
        Of ``info`` or ``arrays``.

    Raises
    ------
    ValueError
        If a structure was moved after its property was stored.
    """
    stored = [_lookup(a, s, name, "calc", {}) for s, a in enumerate(X)]
    return stored, [getattr(atoms, store).get(name) for atoms in X]


def relabel(
    X: Structures,
    energies: np.ndarray,
    forces: Sequence[np.ndarray | None],
    stress: Sequence[np.ndarray | None],
) -> Structures:
    """Copy structures with other labels attached, as delta learning needs.

    Parameters
    ----------
    X : Structures
    energies : array-like of shape (n_structures,)
        In eV.
    forces : sequence of ndarray of shape (n_atoms, 3) or None
        In eV/Å.
    stress : sequence of ndarray of shape (6,) or None
        In eV/Å³, Voigt order.

    Returns
    -------
    relabelled : Structures
        Copies; the input keeps its labels.
    """
    copies = []
    for atoms, e, f, t in zip(X, energies, forces, stress):
        copy = atoms.copy()
        copy.arrays.pop("forces", None)  # the old labels must not be found again
        copy.info.pop("stress", None)
        results = {"energy": float(e)} | _beside_energies(atoms)
        if f is not None:
            results["forces"] = f
        if t is not None:
            results["stress"] = t
        copy.calc = SinglePointCalculator(copy, **results)
        copies.append(copy)
    return Structures(copies)


def _beside_energies(atoms: Atoms) -> dict:
    """Give stored results that do not change with the energies."""
    results = getattr(atoms.calc, "results", {})
    return {n: results[n] for n in ("dipole", "charges") if results.get(n) is not None}


def warn_of_ignored_info(X: Structures, used: Sequence[str] = (), by: str = "") -> None:
    """Warn that models do not see charges and spins that structures carry in info.

    Parameters
    ----------
    X : Structures
    used : sequence of str
        What is seen, such as "charge" by dipole moments.
    by : str
        What does not see the others; all there is by default.

    Warns
    -----
    UserWarning
        Names the structures with a charge that is not 0 or a spin that is not 0 or 1.
    """
    for key in [key for key in IDENTITY_INFO if key not in used]:
        unusual = [
            s for s, atoms in enumerate(X) if _is_unusual(key, atoms.info.get(key))
        ]
        if unusual:
            warnings.warn(
                f"info[{key!r}] of structures {listing(unusual)} is ignored{by}: features "
                f"are made of elements and positions alone, so structures that differ in "
                f"{key} only get the same prediction. Fit the structures of each {key} "
                "by themselves.",
                stacklevel=_to_caller(),
            )


def _to_caller() -> int:
    """Count the frames from here to the first that is not of this package, or sklearn."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and _package_of(frame) in ("skatom", "sklearn"):
        frame, level = frame.f_back, level + 1
    return level


def _package_of(frame) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]


def _is_unusual(key: str, value) -> bool:
    """Whether a charge or a spin (or multiplicity) is there and not that of most."""
    try:
        return value is not None and float(value) not in USUAL_INFO[key]
    except (TypeError, ValueError):  # a word, or one number an atom
        return True


def _collect(X: Structures, what: str, source, store: str, required: bool) -> list:
    """One raw label or None for each structure."""
    if source is None:
        return [None] * len(X)
    if not isinstance(source, str):
        if isinstance(source, Mapping) or not hasattr(source, "__len__"):
            raise TypeError(
                f"{what} must be a sequence with one array, or None, per structure, or "
                f"the name under which they are stored; got {type(source).__name__}."
            )
        found = list(source)
        check_n_structures(len(X), found, what)
    else:
        found = [
            _lookup(a, s, what, source, getattr(a, store)) for s, a in enumerate(X)
        ]
        if source != "auto" and X.frames and all(f is None for f in found):
            raise ValueError(_missing(what, range(len(X)), source, X))
    missing = [s for s, value in enumerate(found) if value is None]
    if required and missing:
        raise ValueError(_missing(what, missing, source, X))
    return found


def _lookup(atoms: Atoms, s: int, what: str, source: str, store: dict):
    """Find a stored label without ever starting a calculation or applying constraints."""
    if what == "stress" and source == "auto" and not atoms.pbc.all():
        return None  # EMT, for one, stores a stress of slabs in passing
    if source in ("auto", "calc"):
        value = getattr(atoms.calc, "results", {}).get(what)
        if value is not None:
            _refuse_stale(atoms, s, what)
        if value is not None or source == "calc":
            return value
        return store.get(what)
    return store.get(source)


def _refuse_stale(atoms: Atoms, s: int, what: str) -> None:
    """Refuse results that the calculator holds for another geometry."""
    if getattr(atoms.calc, "atoms", None) is None or not hasattr(
        atoms.calc, "check_state"
    ):
        return
    changed = {"positions", "numbers", "cell", "pbc"} & set(
        atoms.calc.check_state(atoms)
    )
    if changed:
        raise ValueError(
            f"Structure {s} has changed ({listing(sorted(changed))}) since its calculator "
            f"stored its {what}: compute it again, or attach a SinglePointCalculator for "
            "the structure as it is."
        )


def _missing(what: str, missing, source, X: Structures) -> str:
    missing = list(missing)
    known = set().union(*(set(X[s].arrays) | set(X[s].info) for s in missing[:5]))
    text = f"No {what} at structures {listing(missing)}"
    if isinstance(source, str) and source not in ("auto", "calc"):
        return (
            f"{text} under the name {source!r}.{closest(source, known)} "
            f"Names found there: {listing(sorted(known), 8) or 'none'}."
        )
    return (
        f"{text}: attach a calculator that holds them (atoms.copy() drops it), or give "
        f"the name under which they are stored."
    )


def _real(raw, what: str, s: int) -> np.ndarray:
    """Give a label as float64, or say whose label is no array of real numbers."""
    try:
        array = np.asarray(raw)
        if array.dtype.kind in "biuf" or array.dtype == object:
            return array.astype(np.float64)
        kind = f"an array of {array.dtype}"
    except (TypeError, ValueError):
        kind = "ragged, or holds what is no number"
    raise ValueError(
        f"{what} of structure {s}: expected real numbers, but it is {kind}."
    )


def _check_forces(raw, n_atoms: int, s: int) -> np.ndarray:
    forces = _real(raw, "Forces", s)
    if forces.shape != (n_atoms, 3):
        raise ValueError(
            f"Forces of structure {s} have shape {forces.shape}; it has {n_atoms} atoms, "
            f"so ({n_atoms}, 3) is expected."
        )
    if not np.isfinite(forces).all():
        bad = np.flatnonzero(~np.isfinite(forces).all(axis=1))
        raise ValueError(
            f"Forces of structure {s} are NaN or infinite at atoms {listing(bad)}."
        )
    return forces


def _check_stress(raw, atoms: Atoms, s: int) -> np.ndarray:
    stress = _real(raw, "Stress", s)
    if stress.shape == (3, 3):
        stress = to_voigt(stress)
    if stress.shape != (6,):
        raise ValueError(
            f"Stress of structure {s} has shape {stress.shape}; expected (6,) in Voigt "
            "order or (3, 3)."
        )
    if not np.isfinite(stress).all():
        raise ValueError(f"Stress of structure {s} is NaN or infinite.")
    if not has_volume(atoms):
        raise ValueError(
            f"Structure {s} has a stress label but no volume, which stress is defined by: "
            "remove the label, or set pbc and the cell."
        )
    return stress
