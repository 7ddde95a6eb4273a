"""Targets of networks of atoms: sums, means, dipoles, and numbers of atoms themselves.

In float64 and without torch: checks of y, energies (or charges, or whatever it is) of
elements that are subtracted before training, units in which the networks work, and the
way back from contributions of atoms to predictions. `readouts` does the last in torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skatom._training.atom_rows import AtomRows
from skatom._validation import check_n_structures, check_targets, listing
from skatom.base import sum_atoms
from skatom.elements._counts import fit_composition, species_counts
from skatom.structures import Structures


@dataclass(frozen=True)
class Additive:
    """A sum, or a mean, over atoms.

    Attributes
    ----------
    mean : bool
        Whether the property is intensive.
    """

    mean: bool = False
    per_atom = False

    def check(self, X: AtomRows, y) -> np.ndarray:
        """Give the targets as (n_structures, n_outputs)."""
        try:
            given = np.asarray(y)
        except ValueError:  # ragged: check_targets says what is wrong
            given = np.empty(0)
        if given.ndim == 2 and given.shape[1] > 1:
            return np.stack([check_targets(c, len(X)) for c in given.T], axis=1)
        return check_targets(y, len(X))[:, None]

    def baseline(self, X: AtomRows, y, weights, numbers) -> np.ndarray:
        """Fit what elements contribute by themselves, (n_elements, n_outputs)."""
        n_atoms = X.n_atoms
        if self.mean:  # errors of N y have N times the spread
            y, weights = y * n_atoms[:, None], weights / n_atoms**2
        else:
            weights = weights / n_atoms
        fits = [fit_composition(X, column, weights, numbers) for column in y.T]
        return np.stack(fits, axis=1)

    def subtract(self, X: AtomRows, y, baseline, numbers) -> np.ndarray:
        """Give what is left for the networks."""
        contributed = species_counts(X, numbers) @ baseline
        return y - (contributed / X.n_atoms[:, None] if self.mean else contributed)

    def scales(self, X: AtomRows, left, weights) -> np.ndarray:
        """Give the spread of what is left, of one atom: (n_outputs,)."""
        square = left**2 if self.mean else left**2 / X.n_atoms[:, None]
        return np.sqrt(np.average(square, axis=0, weights=weights))

    def beside(self, X: AtomRows, scales: np.ndarray) -> dict[str, np.ndarray]:
        """Give nothing that goals have beside their values."""
        return {}

    def contributions(self, X: AtomRows, atoms: np.ndarray) -> np.ndarray:
        """Give what adds up to the prediction of a structure."""
        if not self.mean:
            return atoms
        return atoms / np.repeat(X.n_atoms, X.n_atoms)[:, None]

    def columns(self, X: AtomRows, atoms: np.ndarray) -> np.ndarray:
        """Add contributions up, (n_structures, n_outputs)."""
        return sum_atoms(self.contributions(X, atoms), X.offsets)

    def predict(self, X: AtomRows, atoms: np.ndarray) -> np.ndarray:
        """Give predictions in the shape of y."""
        return squeezed(self.columns(X, atoms))


@dataclass(frozen=True)
class Dipole:
    """The dipole moment of charges that add up to the charge of the molecule.

    Attributes
    ----------
    magnitude : bool
        Whether only its length is known.
    """

    magnitude: bool = False
    per_atom = False

    def check(self, X: AtomRows, y) -> np.ndarray:
        """Give the targets as (n_structures, 3), or (n_structures, 1) for lengths."""
        _molecules(X)
        if self.magnitude:
            y = check_targets(y, len(X))
            if (y < 0).any():
                raise ValueError(
                    f"y is negative at structures {listing(np.flatnonzero(y < 0))}, but "
                    "output='dipole_magnitude' predicts lengths: give them, or vectors "
                    "with output='dipole'."
                )
            return y[:, None]
        y = np.asarray(y, dtype=np.float64)
        if y.ndim != 2 or y.shape[1] != 3:
            raise ValueError(
                f"y has shape {y.shape}; output='dipole' needs one vector a structure, "
                f"shape ({len(X)}, 3). Lengths go with output='dipole_magnitude'."
            )
        return np.stack([check_targets(column, len(X)) for column in y.T], axis=1)

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

    def beside(self, X: AtomRows, scales: np.ndarray) -> dict[str, np.ndarray]:
        """Give the positions and charges that goals have beside their values."""
        return {
            "positions": centred_positions(X),
            "charges": total_charges(X) / scales[0],
        }

    def contributions(self, X: AtomRows, atoms: np.ndarray) -> np.ndarray:
        """Give charges that add up to the total charge."""
        excess = (sum_atoms(atoms[:, 0], X.offsets) - total_charges(X)) / X.n_atoms
        return atoms - np.repeat(excess, X.n_atoms)[:, None]

    def columns(self, X: AtomRows, atoms: np.ndarray) -> np.ndarray:
        """Give moments, (n_structures, 3), or their lengths, (n_structures, 1)."""
        charges = self.contributions(X, atoms)
        moments = sum_atoms(charges * centred_positions(X), X.offsets)
        if self.magnitude:
            return np.linalg.norm(moments, axis=1, keepdims=True)
        return moments

    def predict(self, X: AtomRows, atoms: np.ndarray) -> np.ndarray:
        """Give predictions in the shape of y."""
        return squeezed(self.columns(X, atoms))


@dataclass(frozen=True)
class AtomProperty:
    """Numbers of atoms themselves, such as charges."""

    per_atom = True

    def check(self, X: AtomRows, y) -> np.ndarray:
        """Give the targets as (n_atoms_total, n_outputs)."""
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
                    f"{n} atoms: output='atoms' needs one entry an atom."
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

    def beside(self, X: AtomRows, scales: np.ndarray) -> dict[str, np.ndarray]:
        """Give nothing that goals have beside their values."""
        return {}

    def contributions(self, X: AtomRows, atoms: np.ndarray) -> np.ndarray:
        """Give the numbers as they are."""
        return atoms

    def columns(self, X: AtomRows, atoms: np.ndarray) -> np.ndarray:
        """Give the numbers as they are."""
        return atoms

    def predict(self, X: AtomRows, atoms: np.ndarray) -> list[np.ndarray]:
        """Give one array a structure."""
        return np.split(squeezed(atoms), X.offsets[1:-1])


OUTPUTS = {
    "sum": Additive(),
    "mean": Additive(mean=True),
    "dipole": Dipole(),
    "dipole_magnitude": Dipole(magnitude=True),
    "atoms": AtomProperty(),
}


def squeezed(columns: np.ndarray) -> np.ndarray:
    """Drop the second axis of a single column."""
    return columns[:, 0] if columns.shape[1] == 1 else columns


def total_charges(X: AtomRows) -> np.ndarray:
    """Read the charge of every molecule from its info, 0 where nothing is said."""
    return np.array([float(a.info.get("charge") or 0) for a in _molecules(X)])


def centred_positions(X: AtomRows) -> np.ndarray:
    """Give positions from the centre of mass: where dipoles of ions are measured."""
    return np.concatenate([a.positions - a.get_center_of_mass() for a in _molecules(X)])


def _molecules(X: AtomRows) -> Structures:
    if X.structures is None:
        raise ValueError(
            "Dipole moments need the positions of the atoms: X must come from a "
            "featurizer."
        )
    periodic = [s for s, atoms in enumerate(X.structures) if atoms.pbc.any()]
    if periodic:
        raise ValueError(
            f"Structures {listing(periodic)} are periodic, and the dipole moment of a "
            "crystal is not a sum over its atoms. Give molecules."
        )
    return X.structures
