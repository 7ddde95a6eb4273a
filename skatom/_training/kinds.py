"""Kinds of targets of networks of atoms: what makes a number of a structure.

A kind is one class: checks of y, what elements contribute by themselves and the units of
training, in float64 and without torch; and `read`, from what a network says of atoms to
predictions, in NumPy and in torch by the same lines, see `ArrayAtoms` and `TensorAtoms`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skatom._training.atom_rows import ArrayAtoms, AtomRows
from skatom._validation import check_n_structures, check_targets, listing
from skatom.base import Target
from skatom.base._targets import WIDTHS
from skatom.elements._counts import fit_composition, species_counts
from skatom.structures import Structures


@dataclass(frozen=True)
class Kind(ABC):
    """Base of kinds.

    Attributes
    ----------
    target : Target
    """

    target: Target
    used_info: ClassVar[tuple[str, ...]] = ()  # of the info of structures

    @abstractmethod
    def check(self, X: AtomRows, y) -> np.ndarray:
        """Give y as (n_structures, n_columns), or with a row an atom."""

    def n_shares(self, y: np.ndarray) -> int:
        """Count what a network says of every atom."""
        return y.shape[1]

    @abstractmethod
    def baseline(self, X: AtomRows, y, weights, numbers) -> np.ndarray:
        """Fit what elements contribute by themselves, (n_elements, n_shares)."""

    @abstractmethod
    def subtract(self, X: AtomRows, y, baseline, numbers) -> np.ndarray:
        """Give what is left for the networks."""

    @abstractmethod
    def scales(self, X: AtomRows, left, weights) -> np.ndarray:
        """Give units of training of what is said of an atom: (n_shares,), or one."""

    def beside(self, X: AtomRows, unit: float = 1.0) -> dict[str, np.ndarray]:
        """Give what `read` takes beside what the network says, charges over a unit."""
        return {}

    @abstractmethod
    def read(self, atoms, shares):
        """Make predictions, (n_structures, n_columns), of (n_atoms, n_shares)."""

    def contributions(self, atoms, shares):
        """Give what stands for an atom: what adds up, where anything does."""
        return shares


class Additive(Kind):
    """A sum, or a mean, over atoms."""

    def check(self, X: AtomRows, y) -> np.ndarray:
        """Give y as (n_structures, n_columns)."""
        return check_columns(X, y)

    def baseline(self, X: AtomRows, y, weights, numbers) -> np.ndarray:
        """Fit what elements contribute by themselves."""
        n_atoms = X.n_atoms
        if self.target.kind == "mean":  # errors of N y have N times the spread
            y, weights = y * n_atoms[:, None], weights / n_atoms**2
        else:
            weights = weights / n_atoms
        fits = [fit_composition(X, column, weights, numbers) for column in y.T]
        return np.stack(fits, axis=1)

    def subtract(self, X: AtomRows, y, baseline, numbers) -> np.ndarray:
        """Give what is left for the networks."""
        contributed = species_counts(X, numbers) @ baseline
        if self.target.kind == "mean":
            contributed = contributed / X.n_atoms[:, None]
        return y - contributed

    def scales(self, X: AtomRows, left, weights) -> np.ndarray:
        """Give the spread of what is left, of one atom."""
        square = left**2 / (X.n_atoms[:, None] if self.target.kind == "sum" else 1.0)
        return np.sqrt(np.average(square, axis=0, weights=weights))

    def read(self, atoms, shares):
        """Make predictions, (n_structures, n_columns)."""
        return atoms.total(self.contributions(atoms, shares))

    def contributions(self, atoms, shares):
        """Give what adds up to a prediction."""
        return atoms.shared(shares) if self.target.kind == "mean" else shares

    def slopes(self, atoms: ArrayAtoms, shares: np.ndarray) -> np.ndarray:
        """Differentiate the predictions by what is said of atoms, (n_atoms, 1)."""
        return self.contributions(atoms, np.ones_like(shares[:, :1]))


class Pooled(Kind):
    """The largest number of an atom, or the mean with weights that grow with them.

    Of K. Chen, C. Kunkel, K. Reuter, J. T. Margraf, Digital Discovery 1, 147 (2022),
    doi:10.1039/D1DD00036E; weights are exponentials in the unit of training.
    """

    def check(self, X: AtomRows, y) -> np.ndarray:
        """Give y as (n_structures, n_columns)."""
        return check_columns(X, y)

    def baseline(self, X: AtomRows, y, weights, numbers) -> np.ndarray:
        """Give the same number to every element: the largest is no sum."""
        return np.tile(np.average(y, axis=0, weights=weights), (len(numbers), 1))

    def subtract(self, X: AtomRows, y, baseline, numbers) -> np.ndarray:
        """Give what is left for the networks."""
        return y - baseline[0]

    def scales(self, X: AtomRows, left, weights) -> np.ndarray:
        """Give the spread of what is left."""
        return np.sqrt(np.average(left**2, axis=0, weights=weights))

    def read(self, atoms, shares):
        """Make predictions, (n_structures, n_columns)."""
        if self.target.kind == "max":
            return atoms.largest(shares)
        return atoms.total(atoms.softmax(shares) * shares)

    def slopes(self, atoms: ArrayAtoms, shares: np.ndarray) -> np.ndarray:
        """Differentiate the predictions by what is said of atoms."""
        if self.target.kind == "max":
            return (shares == atoms.spread(atoms.largest(shares))) * 1.0
        above = (shares - atoms.spread(self.read(atoms, shares))) / atoms.unit
        return atoms.softmax(shares) * (1.0 + above)


class Dipole(Kind):
    """The dipole moment of charges that add up to that of the molecule, or its length."""

    used_info = ("charge",)

    def check(self, X: AtomRows, y) -> np.ndarray:
        """Give the targets as (n_structures, 3), or (n_structures, 1) for lengths."""
        molecules_of(X, self.target)
        name = self.target.name
        if self.target.kind == "magnitude":
            y = check_targets(y, len(X))
            if (y < 0).any():
                raise ValueError(
                    f"y is negative at structures {listing(np.flatnonzero(y < 0))}, but "
                    f"target {name!r} is a length: give lengths, or vectors with a "
                    "target of kind 'vector', such as 'dipole'."
                )
            return y[:, None]
        y = np.asarray(y, dtype=np.float64)
        if y.ndim != 2 or y.shape[1] != 3:
            raise ValueError(
                f"y has shape {y.shape}; target {name!r} needs one vector a structure, "
                f"shape ({len(X)}, 3). Lengths go with a target of kind 'magnitude', "
                "such as 'dipole_magnitude'."
            )
        return np.stack([check_targets(column, len(X)) for column in y.T], axis=1)

    def n_shares(self, y: np.ndarray) -> int:
        """One charge an atom."""
        return 1

    def baseline(self, X: AtomRows, y, weights, numbers) -> np.ndarray:
        """No charges of elements: conservation fixes their sum, not their zero."""
        return np.zeros((len(numbers), 1))

    def subtract(self, X: AtomRows, y, baseline, numbers) -> np.ndarray:
        """Give the targets themselves."""
        return y

    def scales(self, X: AtomRows, left, weights) -> np.ndarray:
        """Give the unit of charges: the usual length, over 1 Å."""
        square = np.sum(left**2, axis=1)
        return np.sqrt(np.average(square, weights=weights, keepdims=True))

    def beside(self, X: AtomRows, unit: float = 1.0) -> dict[str, np.ndarray]:
        """Give positions in Å and the charges of molecules."""
        return {
            "positions": centred_positions(X, self.target),
            "charges": total_charges(X, self.target) / unit,
        }

    def read(self, atoms, shares):
        """Make moments, (n_structures, 3), or their lengths, (n_structures, 1)."""
        moments = atoms.total(self.contributions(atoms, shares) * atoms.positions)
        return atoms.length(moments) if self.target.kind == "magnitude" else moments

    def contributions(self, atoms, shares):
        """Give charges that add up to that of the molecule."""
        charges = shares[:, :1]
        excess = (atoms.total(charges)[:, 0] - atoms.charges) / atoms.n_atoms
        return charges - atoms.spread(excess)[:, None]


class Tensor(Kind):
    """A symmetric tensor such as the polarizability: isotropic parts and moments of atoms.

    Sum over atoms of a_i I + b_i r_i r_i^T, with two numbers a_i and b_i of an atom and
    r_i from the centre of mass: eq. 15 of K. T. Schütt, O. T. Unke, M. Gastegger, ICML
    2021, arXiv:2102.03150, with vectors of atoms along r_i, so that networks without
    vectors have it too. It rotates with the structure by construction.
    """

    # of xx, yy, zz, yz, xz, xy
    first, second = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]
    isotropic = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)

    def check(self, X: AtomRows, y) -> np.ndarray:
        """Give the targets as (n_structures, 6)."""
        molecules_of(X, self.target)
        y = np.asarray(y, dtype=np.float64)
        if y.ndim != 2 or y.shape[1] != 6:
            raise ValueError(
                f"y has shape {y.shape}; target {self.target.name!r} needs the six numbers "
                f"xx yy zz yz xz xy of every structure, shape ({len(X)}, 6)."
            )
        return np.stack([check_targets(column, len(X)) for column in y.T], axis=1)

    def n_shares(self, y: np.ndarray) -> int:
        """Two numbers an atom."""
        return 2

    def baseline(self, X: AtomRows, y, weights, numbers) -> np.ndarray:
        """Fit isotropic parts of elements to a third of the trace."""
        third = y[:, :3].mean(axis=1)
        fit = fit_composition(X, third, weights / X.n_atoms, numbers)
        return np.stack([fit, np.zeros_like(fit)], axis=1)

    def subtract(self, X: AtomRows, y, baseline, numbers) -> np.ndarray:
        """Give what is left for the networks."""
        contributed = species_counts(X, numbers) @ baseline[:, :1]
        return y - contributed * np.array(self.isotropic)

    def scales(self, X: AtomRows, left, weights) -> np.ndarray:
        """Give the spread of what is left, of one atom."""
        square = np.mean(left**2, axis=1) / X.n_atoms
        return np.sqrt(np.average(square, weights=weights, keepdims=True))

    def beside(self, X: AtomRows, unit: float = 1.0) -> dict[str, np.ndarray]:
        """Give positions in Å."""
        return {"positions": centred_positions(X, self.target)}

    def read(self, atoms, shares):
        """Make tensors, (n_structures, 6)."""
        r = atoms.positions
        moments = shares[:, 1:2] * (r[:, self.first] * r[:, self.second])
        return atoms.total(shares[:, :1] * atoms.row(self.isotropic) + moments)


class AtomProperty(Kind):
    """Numbers of atoms themselves, such as charges."""

    def check(self, X: AtomRows, y) -> np.ndarray:
        """Give the targets as (n_atoms_total, n_columns)."""
        if y is None:
            raise ValueError(
                "This estimator requires y to be passed, but the target y is None: give "
                "one array of numbers of atoms a structure."
            )
        check_n_structures(len(X), y, "y")
        rows = [np.asarray(one, dtype=np.float64) for one in y]
        for s, (row, n) in enumerate(zip(rows, X.n_atoms)):
            if row.ndim == 0 and n == 1:
                rows[s] = row[None]
            elif row.ndim == 0 or len(row) != n:
                raise ValueError(
                    f"y of structure {s} has shape {row.shape}, but the structure has "
                    f"{n} atoms: target {self.target.name!r} needs one entry an atom."
                )
            if not np.isfinite(row).all():
                raise ValueError(f"y of structure {s} contains NaN or infinity.")
        flat = np.concatenate(rows)
        return flat[:, None] if flat.ndim == 1 else flat

    def baseline(self, X: AtomRows, y, weights, numbers) -> np.ndarray:
        """Give the mean of each element."""
        means = np.zeros((len(numbers), y.shape[1]))
        of_atoms = np.repeat(weights, X.n_atoms)
        for k, z in enumerate(numbers):
            chosen = (X.numbers == z) & (of_atoms > 0)
            if chosen.any():
                means[k] = np.average(y[chosen], axis=0, weights=of_atoms[chosen])
        return means

    def subtract(self, X: AtomRows, y, baseline, numbers) -> np.ndarray:
        """Give what is left for the networks."""
        return y - baseline[np.searchsorted(numbers, X.numbers)]

    def scales(self, X: AtomRows, left, weights) -> np.ndarray:
        """Give the spread of what is left."""
        of_atoms = np.repeat(weights, X.n_atoms)
        return np.sqrt(np.average(left**2, axis=0, weights=of_atoms))

    def read(self, atoms, shares):
        """Give the numbers as they are, in the order of the structures."""
        return atoms.in_order(shares)


def kind_of(target: Target) -> Kind:
    """Give the kind of a target, which trains and reads it."""
    classes = {
        "sum": Additive,
        "mean": Additive,
        "max": Pooled,
        "softmax": Pooled,
        "atoms": AtomProperty,
        "vector": Dipole,
        "magnitude": Dipole,
        "tensor": Tensor,
    }
    return classes[target.kind](target)


def why_no_slopes(kind: Kind, name: str) -> str | None:
    """Say why predictions cannot be differentiated, where that is so."""
    if kind.target.width == 1 and isinstance(kind, (Additive, Pooled)):
        return None
    return (
        f"{name} predicts {kind.target.words}: there is no single number of a structure "
        "to differentiate. Fit one of a target of kind 'sum', 'mean', 'max' or 'softmax' "
        "to one column."
    )


def with_columns_of(target: Target, y: np.ndarray) -> Target:
    """Give a target the columns of y, where it has any."""
    if target.kind in WIDTHS or target.kind == "magnitude":
        return target
    if target.n_columns not in (1, y.shape[1]):
        raise ValueError(
            f"y has {y.shape[1]} columns, but the target {target.name!r} has "
            f"{target.n_columns}: give as many, or another n_columns."
        )
    return target.with_columns(y.shape[1])


def check_columns(X: AtomRows, y) -> np.ndarray:
    """Give numbers of structures as (n_structures, n_columns)."""
    try:
        given = np.asarray(y)
    except ValueError:  # ragged: check_targets says what is wrong
        given = np.empty(0)
    if given.ndim == 2 and given.shape[1] > 1:
        return np.stack([check_targets(c, len(X)) for c in given.T], axis=1)
    return check_targets(y, len(X))[:, None]


def squeezed(columns: np.ndarray) -> np.ndarray:
    """Drop the second axis of a single column."""
    return columns[:, 0] if columns.shape[1] == 1 else columns


def total_charges(X: AtomRows, target: Target) -> np.ndarray:
    """Read the charges of molecules from their info, 0 where nothing is said."""
    molecules = molecules_of(X, target)
    charges = np.array([float(a.info.get("charge") or 0) for a in molecules])
    if charges.any():  # of atoms, in the unit of moments over Å
        charges /= target.factor_to("e·Å")
    return charges


def centred_positions(X: AtomRows, target: Target) -> np.ndarray:
    """Give positions from the centre of mass: where dipoles of ions are measured."""
    centred = [a.positions - a.get_center_of_mass() for a in molecules_of(X, target)]
    return np.concatenate(centred) if centred else np.zeros((0, 3))


def molecules_of(X: AtomRows, target: Target) -> Structures:
    """Give the structures of a target that depends on where atoms are."""
    if X.structures is None:
        raise ValueError(
            f"Target {target.name!r} needs the positions of the atoms: X must come from "
            "a featurizer."
        )
    periodic = [s for s, atoms in enumerate(X.structures) if atoms.pbc.any()]
    if periodic:
        raise ValueError(
            f"Structures {listing(periodic)} are periodic, and the {target.name} of a "
            "crystal is not a sum over its atoms. Give molecules."
        )
    return X.structures
