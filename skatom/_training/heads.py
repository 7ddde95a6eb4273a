"""Heads of networks of atoms: one for each target, read from columns of their own.

The first target is the y of fit. Labels of the others travel with the structures, as those
of forces do: what calculators stored under the name of the target, or else
``info[name]``, ``arrays[name]`` for numbers of atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skatom._training.atom_rows import ArrayAtoms, AtomRows
from skatom._training.kinds import Kind, kind_of, squeezed, with_columns_of
from skatom._validation import Real, listing
from skatom.base import Target
from skatom.base._targets import ASE_UNITS
from skatom.structures import Structures
from skatom.structures._hashing import IDENTITY_INFO
from skatom.structures._labels import read_property, warn_of_ignored_info


@dataclass(frozen=True)
class Head:
    """What a network says of one target, and what is made of it.

    Attributes
    ----------
    target : Target
    numbers : ndarray of int64, shape (n_elements,)
    baseline : ndarray of shape (n_elements, n_shares)
        What the elements contribute by themselves.
    scales : ndarray of shape (n_shares,) or (1,)
        Units of training.
    first : int
        First column of the network that belongs to it.
    """

    target: Target
    numbers: np.ndarray
    baseline: np.ndarray
    scales: np.ndarray
    first: int = 0

    @property
    def kind(self) -> Kind:
        """Kind of the target."""
        return kind_of(self.target)

    @property
    def stop(self) -> int:
        """Column after the last."""
        return self.first + self.baseline.shape[1]

    def shares(self, atoms: AtomRows, rows: np.ndarray) -> np.ndarray:
        """Put scale and baseline back to what the network says of atoms."""
        baseline = self.baseline[np.searchsorted(self.numbers, atoms.numbers)]
        return baseline + self.scales * rows[:, self.first : self.stop]

    def reading(self, atoms: AtomRows) -> ArrayAtoms:
        """Give atoms as predictions are read from them, in the unit of the target."""
        return ArrayAtoms(atoms.offsets, self.scales, **self.kind.beside(atoms))

    def predictions(self, atoms: AtomRows, rows: np.ndarray):
        """Give predictions in the shape of labels."""
        columns = self.kind.read(self.reading(atoms), self.shares(atoms, rows))
        if self.target.per_atom:
            edges = atoms.offsets[1:-1]
            return np.split(squeezed(columns), edges) if len(atoms) else []
        return squeezed(columns)

    def scaled(self, atoms: AtomRows, y: np.ndarray) -> np.ndarray:
        """Put checked labels above the baseline in units of training."""
        return self.kind.subtract(atoms, y, self.baseline, self.numbers) / self.scales


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labels of a target beside the first.

    Attributes
    ----------
    target : Target
        With the columns of the labels.
    y : ndarray of shape (n_structures or n_atoms, n_columns)
        Zeros where there is none.
    weights : ndarray of shape (n_structures,)
        Zero where there is none.
    """

    target: Target
    y: np.ndarray
    weights: np.ndarray

    def head(self, atoms: AtomRows, numbers: np.ndarray, first: int) -> Head:
        """Measure baseline and scales."""
        kind, of_structures = kind_of(self.target), self.weights
        baseline = kind.baseline(atoms, self.y, of_structures, numbers)
        left = kind.subtract(atoms, self.y, baseline, numbers)
        scales = kind.scales(atoms, left, of_structures)
        scales = np.where(scales > 0.0, scales, 1.0)
        return Head(self.target, numbers, baseline, scales, first)


def read_beside(
    atoms: AtomRows, targets: Sequence[Target], weights: np.ndarray, factors
) -> list[Labelled]:
    """Read the labels of the targets beside the first from the structures.

    Parameters
    ----------
    atoms : AtomRows
    targets : sequence of Target
        The first one first.
    weights : ndarray of shape (n_structures,)
        Of the structures.
    factors : sequence of float or None
        Weights of the others, 1 by default.

    Returns
    -------
    labelled : list of Labelled

    Raises
    ------
    ValueError
        If labels are missing everywhere or of a wrong shape, or weights are not positive.

    Warns
    -----
    UserWarning
        If structures carry charges or spins that a target does not see.
    """
    if atoms.structures is not None:
        _warn_of_unseen(targets, atoms.structures)
    targets = targets[1:]
    factors = [1.0] * len(targets) if factors is None else list(factors)
    positive = all(isinstance(f, Real) and 0 < f < np.inf for f in factors)
    if len(factors) != len(targets) or not positive:
        raise ValueError(
            f"target_weights is {factors}: give one positive number for each of the "
            f"{len(targets)} targets beside the first."
        )
    if targets and atoms.structures is None:
        raise ValueError(
            f"Labels of {targets[0].name!r} are read from structures: X must come from a "
            "featurizer, or give one target."
        )
    return [_read(atoms, *one, weights) for one in zip(targets, factors)]


def _read(atoms: AtomRows, target: Target, factor: float, weights) -> Labelled:
    """Check labels as those of y are, with zeros where there are none."""
    found = _labels(atoms.structures, target)
    has = np.array([one is not None for one in found])
    if not (has & (weights > 0)).any():
        where = "arrays" if target.per_atom else "info"
        raise ValueError(
            f"No structure to learn from has {target.name!r}, which is to be predicted: "
            f"store atoms.{where}[{target.name!r}], or leave the target out."
        )
    shape = np.shape(found[int(np.argmax(has))])
    for s, one in enumerate(found):
        if one is None:
            own = (int(atoms.n_atoms[s]), *shape[1:]) if target.per_atom else shape
            found[s] = np.zeros(own)
    kind = kind_of(target)
    try:
        y = kind.check(atoms, found)
        target = with_columns_of(target, y)
    except ValueError as error:
        raise ValueError(
            f"Labels {target.name!r} of the structures: {error}"
        ) from error
    return Labelled(target, y, factor * weights * has)


def _labels(structures: Structures, target: Target) -> list:
    """Look labels up; those that calculators stored are in the units of ASE."""
    store = "arrays" if target.per_atom else "info"
    stored, named = read_property(structures, target.name, store)
    unit = 1.0
    if target.name in ASE_UNITS and any(one is not None for one in stored):
        unit = target.factor_to(ASE_UNITS[target.name])
    return [
        other if one is None else np.asarray(one, dtype=np.float64) / unit
        for one, other in zip(stored, named)
    ]


def beside_all(heads: Sequence[Head], atoms: AtomRows) -> dict[str, np.ndarray]:
    """Give positions in Å and, in a column a head, charges in units of training."""
    found = [head.kind.beside(atoms, head.scales[0]) for head in heads]
    given = {}
    for one in found:
        if "positions" in one:
            given["positions"] = one["positions"]
    if any("charges" in one for one in found):
        nothing = np.zeros(len(atoms))
        given["charges"] = np.stack([one.get("charges", nothing) for one in found], 1)
    return given


def _warn_of_unseen(targets: Sequence[Target], structures: Structures) -> None:
    """Warn of charges and spins of structures that some target does not see."""
    for key in IDENTITY_INFO:
        blind = [t.name for t in targets if key not in kind_of(t).used_info]
        if blind:
            by = f" by {listing(blind)}" if len(blind) < len(targets) else ""
            others = [name for name in IDENTITY_INFO if name != key]
            warn_of_ignored_info(structures, others, by)
