"""Labels under names that are not read, labels that were lost, and free energies."""

from __future__ import annotations

import re

import numpy as np
from ase import Atoms

from skatom._validation import listing
from skatom.labels.report import Finding
from skatom.structures import Labels, Structures

# Names of labels in files of today: REF_forces, dft_forces, forces_xtb, gradients ...
FORCES = re.compile(r"forces?(?![a-z])|grad", re.IGNORECASE)
STRESS = re.compile(r"stress|virial", re.IGNORECASE)
ENERGY = re.compile(r"energy(?![a-z])|energies|(^|_)(etot|toten)", re.IGNORECASE)
# ... and of what is no label of the method: errors, weights, parts, predictions.
OTHER = re.compile(
    r"std|err|unc|var|weight|mask|max|norm|rms|pred|free|_per_", re.IGNORECASE
)
# In eV per atom. Free energies and energies that differ by less are the same to a model.
SAME_ENERGY = 1e-4


def judge_names(
    structures: Structures, labels: Labels, forces, stress
) -> list[Finding]:
    """Find forces and stress that "auto" does not see.

    Parameters
    ----------
    structures : Structures
    labels : Labels
        As they were read.
    forces, stress : str, sequence or None
        Where they were read from.
    """
    findings = []
    if isinstance(forces, str) and forces == "auto":
        findings += _unread("forces", structures, labels.has_forces)
    if isinstance(stress, str) and stress == "auto":
        periodic = np.array([atoms.pbc.all() for atoms in structures], dtype=bool)
        findings += _unread("stress", structures, labels.has_stress | ~periodic)
    return findings


def unread_energies(structures: Structures, known: np.ndarray) -> list[Finding]:
    """Find energies that "auto" does not see."""
    return _unread("energy", structures, known)


def judge_free_energies(
    structures: Structures, y: np.ndarray, labels: Labels
) -> list[Finding]:
    """Find targets that are energies where the forces belong to free energies."""
    results = [getattr(atoms.calc, "results", {}) for atoms in structures]
    energy, free = (
        np.array([_number(r.get(key)) for r in results])
        for key in ("energy", "free_energy")
    )
    n_atoms = structures.n_atoms
    # the difference counts where it differs: a constant an atom belongs to the elements
    gap = (free - energy) / n_atoms
    told = np.isfinite(gap) & np.isfinite(y) & labels.has_forces
    if told.sum() < 2 or np.ptp(gap[told]) < SAME_ENERGY:
        return []
    apart = told & (np.abs(gap) > SAME_ENERGY)
    unfree = np.flatnonzero(apart & (np.abs(y - energy) < SAME_ENERGY * n_atoms))
    n_free = np.sum(apart & (np.abs(y - free) < SAME_ENERGY * n_atoms))
    if not len(unfree):
        return []
    mixed = f", and the free energy at {n_free} others" if n_free else ""
    return [
        Finding(
            "warning",
            "energies",
            f"y is the energy of structures {listing(unfree)}{mixed}, but their free "
            f"energies differ by up to {np.abs(gap[apart]).max():.2g} eV per atom",
            "with smeared occupations, forces and stress are slopes of the free energy",
            "Train on it: `y = [atoms.calc.results['free_energy'] for atoms in frames]`.",
            tuple(unfree.tolist()),
        )
    ]


def _unread(what: str, structures: Structures, known: np.ndarray) -> list[Finding]:
    """Find what looks like a label in structures that have none."""
    found: dict[str, list[int]] = {}
    for s in np.flatnonzero(~known).tolist():
        for name in _candidates(what, structures[s]):
            found.setdefault(name, []).append(s)
    if not found:
        return []
    name, where = max(found.items(), key=lambda item: len(item[1]))
    store = {"forces": "arrays", "stress": "info", "energy": "info"}[what]
    line = f"{what}={name!r}"
    gradients = "grad" in name.lower() and what == "forces"
    if gradients:
        line = f"atoms.arrays['forces'] = -atoms.arrays[{name!r}]"
        remedy = f"Store forces: `{line}` for every structure"
    elif what == "energy":
        remedy = f"Read it: `y = read_energies(frames, {name!r})`"
    else:
        remedy = f"Give the model `{line}`"
        if what == "forces":
            remedy += ", or forces=None to train on energies alone"
    others = [other for other in found if other != name]
    also = f" (there are also {listing(others)})" if others else ""
    return [
        Finding(
            "warning",
            "energies" if what == "energy" else what,
            f"No {what} of structures {listing(where)} is read, but {store}[{name!r}] "
            f"looks like it{also}",
            'only the usual places are read under "auto"',
            f"{remedy}.",
            tuple(where),
        )
    ]


def _candidates(what: str, atoms: Atoms) -> list[str]:
    pattern = {"forces": FORCES, "stress": STRESS, "energy": ENERGY}[what]
    store, shapes = (
        (atoms.arrays, {(len(atoms), 3)})
        if what == "forces"
        else (atoms.info, {(6,), (9,), (3, 3)} if what == "stress" else {()})
    )
    return [
        name
        for name, value in store.items()
        if isinstance(name, str)
        and pattern.search(name)
        and not OTHER.search(name)
        and np.shape(value) in shapes
        and np.asarray(value).dtype.kind == "f"
    ]


def judge_lost(structures: Structures, known: np.ndarray) -> list[Finding]:
    """Find structures without results among others that have forces."""
    if not known.any():
        return []
    lost = [s for s in np.flatnonzero(~known).tolist() if structures[s].calc is None]
    if not lost or not any(atoms.calc is not None for atoms in structures):
        return []
    return [
        Finding(
            "warning",
            "forces",
            f"Structures {listing(lost)} have no results attached, where others have "
            "forces",
            "atoms.copy() drops them",
            "Hand them on, `copy.calc = atoms.calc`, or give forces=[..., None, ...] for "
            "structures that have none.",
            tuple(lost),
        )
    ]


def _number(value) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
