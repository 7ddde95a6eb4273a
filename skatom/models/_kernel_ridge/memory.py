"""How much memory a kernel model will take, said before any of it is taken."""

from __future__ import annotations

import os

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._labelled.derivative_rows import CHUNK_BYTES
from skatom.structures import Labels

BYTES = 8
# Where the system does not tell its memory, in bytes.
UNKNOWN_MEMORY = 16e9


def memory_limit(max_memory: float | None) -> float:
    """Give the limit in bytes: that of the user, in GB, or what the machine has."""
    if max_memory is not None:
        return max_memory * 1e9
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # pragma: no cover - not on POSIX
        return UNKNOWN_MEMORY


def exact_memory(X: AtomFeatures, labels: Labels | None, n_labels: int) -> float:
    """Forecast the bytes of the exact solution: matrix, derivative rows twice."""
    matrix = BYTES * float(n_labels) ** 2
    return matrix + 2.0 * BYTES * X.values.shape[1] * (
        len(X.numbers) + count_rows(X, labels)
    )


def sparse_memory(X: AtomFeatures, n_references: int) -> float:
    """Forecast the bytes of the solution on references: triangles and one chunk."""
    triangles = 3.0 * BYTES * float(n_references) ** 2
    return triangles + BYTES * n_references * X.values.shape[1] + 4.0 * CHUNK_BYTES


def count_rows(X: AtomFeatures, labels: Labels | None) -> float:
    """Bound the number of derivative rows, three for every atom and neighbour."""
    if labels is None:
        return 0.0
    counts = np.bincount(X.pairs.centers, minlength=X.offsets[-1])
    n_pairs = np.add.reduceat(counts, X.offsets[:-1]).astype(np.float64)
    n_atoms = X.n_atoms.astype(np.float64)
    rows = 3.0 * np.minimum(n_pairs + n_atoms, n_atoms**2)
    return float(rows[labels.has_forces].sum() + 6.0 * n_atoms[labels.has_stress].sum())


def refuse_exact(needed: float, limit: float, n_labels: int) -> None:
    """Refuse an exact solution that does not fit.

    Raises
    ------
    ValueError
        If more is needed than the limit.
    """
    if needed > limit:
        raise ValueError(
            f"The exact solution for {n_labels} labels needs {needed / 1e9:.1f} GB, and "
            f"{limit / 1e9:.1f} GB may be used: set n_references='auto' or to a number "
            "of atoms, say 4000; train on fewer structures; or raise max_memory."
        )


def refuse_sparse(needed: float, limit: float, n_references: int) -> None:
    """Refuse a solution on references that does not fit.

    Raises
    ------
    ValueError
        If more is needed than the limit.
    """
    if needed > limit:
        raise ValueError(
            f"The solution on {n_references} references needs {needed / 1e9:.1f} GB, "
            f"and {limit / 1e9:.1f} GB may be used: set n_references to fewer, or raise "
            "max_memory."
        )
