"""Memory that a kernel model will take, told before it is allocated."""

from __future__ import annotations

import numpy as np

from skatom._runtime.memory import refuse_too_much
from skatom.features import AtomFeatures
from skatom.models._labelled.derivative_rows import CHUNK_BYTES
from skatom.structures import Labels

BYTES = 8


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


def refuse_exact(needed: float, max_memory: float | str | None, n_labels: int) -> None:
    """Refuse an exact solution that does not fit."""
    refuse_too_much(
        needed,
        max_memory,
        f"The exact solution for {n_labels} labels",
        "Set n_references='auto' or to a number of atoms, say 4000; train on fewer "
        "structures; or raise max_memory.",
    )
