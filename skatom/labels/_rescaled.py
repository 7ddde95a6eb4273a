"""Find targets on another scale than the forces that are trained with them."""

from __future__ import annotations

import numpy as np

from skatom.elements._counts import species_counts
from skatom.labels.report import Finding
from skatom.structures import Structures

# y follows the stored energies when what is left is this share of their spread ...
SAME = 1e-4
# ... and is on their scale when the slope is one to this accuracy (float32 labels pass).
SLOPE_TOLERANCE = 1e-3


def judge_scale(
    y: np.ndarray, structures: Structures, *, stored: bool = True
) -> list[Finding]:
    """Find energies that were rescaled while the forces were not.

    ``TransformedTargetRegressor`` and similar wrappers change y only: forces travel with
    the structures, so a model would be trained on energies and forces of different units.
    Where structures carry energies of their own, y is compared with them. Any baseline
    that is a sum over elements may have been subtracted; what then remains of y must
    follow the stored energies with slope one.

    Parameters
    ----------
    y : ndarray of shape (n_structures,)
        Targets of fit.
    structures : Structures
        Structures, some or all with an energy in ``calc.results`` or ``info["energy"]``.
        Without stored energies only what StandardScaler and MinMaxScaler make of y is
        recognised.
    stored : bool, default=True
        Whether the forces in use are stored beside these energies. Others may have been
        converted, as y was.

    Returns
    -------
    findings : list of Finding
        An error if y is a multiple of the stored energies, or their value per atom.
    """
    energies = np.array([_stored_energy(atoms) for atoms in structures])
    known = np.isfinite(energies)
    if not stored or known.sum() < 3:
        return _standard_scales(y)
    energies, y = energies[known], y[known]
    n_atoms = structures.n_atoms[known]
    if n_atoms.max() > 1 and np.any(y) and _same(y * n_atoms, energies):
        return [
            Finding(
                "error",
                "energies",
                "y holds energies per atom, but the forces trained with them are slopes of "
                "total energies",
                "",
                "Give total energies as y, or train on energies alone with forces=None.",
            )
        ]
    slope = _slope(y, energies, _composition(structures)[known])
    if slope is None or abs(slope - 1) <= SLOPE_TOLERANCE:
        return []
    return [
        Finding(
            "error",
            "energies",
            f"y is {slope:.3g} times the energies stored with the structures (up to a "
            "constant for each element), but the forces trained with them were not "
            "rescaled",
            "",
            "Do not wrap a model that trains on forces in TransformedTargetRegressor: "
            "skatom's models scale energies and forces together. Or train on energies "
            "alone with forces=None.",
        )
    ]


def _standard_scales(y: np.ndarray) -> list[Finding]:
    """Find what scalers leave behind to the last digit, and energies hardly hit."""
    standard = np.allclose([y.mean(), y.std()], [0, 1], rtol=0, atol=1e-9)
    if len(y) < 3 or not (standard or (y.min() == 0 and y.max() == 1)):
        return []
    return [
        Finding(
            "error" if standard else "warning",
            "energies",
            "y has been scaled to "
            + ("mean 0 and standard deviation 1" if standard else "the range 0 to 1")
            + ", but the forces trained with it are in eV/Å",
            "",
            "Do not wrap a model that trains on forces in TransformedTargetRegressor, or "
            "set forces=None.",
        )
    ]


def _stored_energy(atoms) -> float:
    energy = getattr(atoms.calc, "results", {}).get("energy")
    if energy is None:
        energy = atoms.info.get("energy")
    try:
        return float(energy)
    except (TypeError, ValueError):
        return np.nan


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=0, atol=SAME * max(b.std(), np.finfo(float).tiny))


def _composition(structures: Structures) -> np.ndarray:
    """Numbers of atoms of each element and a constant, (n_structures, n_columns)."""
    counts = species_counts(structures, np.unique(structures.numbers))
    return np.column_stack([counts, np.ones(len(counts))])


def _slope(y: np.ndarray, stored: np.ndarray, columns: np.ndarray) -> float | None:
    """Slope of y over the stored energies beside a baseline; None where not linear."""
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    basis = basis[:, sizes > 1e-10 * sizes[0]]
    if len(y) < basis.shape[1] + 3:
        return None  # a baseline could explain so few energies by itself
    y = y - basis @ (basis.T @ y)
    left = stored - basis @ (basis.T @ stored)
    # energies that follow from composition alone do not show a slope
    if np.linalg.norm(left) <= 1e-8 * np.linalg.norm(stored):
        return None
    slope = float(left @ y / (left @ left))
    linear = np.linalg.norm(y - slope * left) <= SAME * np.linalg.norm(y)
    return slope if linear else None
