"""Identity of a structure by its content, and the search for duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from ase import Atoms

from skatom._validation import check_targets
from skatom.structures._checks import check_structures

# Fields of `info` that make a structure another one.
IDENTITY_INFO = ("charge", "spin")


def content_hash(atoms: Atoms) -> str:
    """Hash the content of a structure: numbers, positions, cell, pbc, charge and spin.

    Labels, the calculator, constraints and all other ``info`` do not count. Cell and
    pbc do: two frames that differ only in the cell are two structures.

    Parameters
    ----------
    atoms : ase.Atoms

    Returns
    -------
    digest : str
        32 hexadecimal digits.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from skatom.structures import content_hash
    >>> a, b = bulk("Cu", a=3.6), bulk("Cu", a=3.7)
    >>> content_hash(a) == content_hash(a.copy()), content_hash(a) == content_hash(b)
    (True, False)
    """
    digest = blake2b(digest_size=16)
    digest.update(np.asarray(atoms.numbers, dtype=np.int64).tobytes())
    for array in (atoms.positions, atoms.cell.array):
        digest.update(
            (np.asarray(array, dtype=np.float64) + 0.0).tobytes()
        )  # -0.0 -> 0
    digest.update(np.asarray(atoms.pbc, dtype=bool).tobytes())
    for key in IDENTITY_INFO:
        if atoms.info.get(key) is not None:
            digest.update(f"{key}={_number_or_text(atoms.info[key])!r}".encode())
    return digest.hexdigest()


def fingerprints(X: Sequence[Atoms]) -> np.ndarray:
    """Give a short, storable number for the content of every structure.

    Parameters
    ----------
    X : sequence of ase.Atoms

    Returns
    -------
    fingerprints : ndarray of uint64, shape (n_structures,)
        The first half of `content_hash`; two different structures of a million share one
        with a probability of 3e-8.

    See Also
    --------
    content_hash : What counts as the content.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.structures import fingerprints
    >>> a, b = fingerprints([molecule("H2O"), molecule("H2O")])
    >>> bool(a == b)
    True
    """
    return np.array([int(content_hash(a)[:16], 16) for a in X], dtype=np.uint64)


def _number_or_text(value) -> float | str:
    """Let 1, 1.0 and "1" be one charge, and take words and arrays as they are written."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


@dataclass(frozen=True)
class DuplicateReport:
    """Structures that occur more than once.

    Attributes
    ----------
    groups : list of list of int
        Indices of structures with equal content, each group in the order of X.
    contradicting : list of list of int
        The groups whose targets differ by more than the tolerance.
    """

    groups: list[list[int]]
    contradicting: list[list[int]]

    @property
    def n_redundant(self) -> int:
        """Number of structures that could be dropped without losing any."""
        return sum(len(group) - 1 for group in self.groups)

    def __str__(self) -> str:
        if not self.groups:
            return "no structure occurs twice"
        text = f"{self.n_redundant} structures repeat an earlier one"
        if self.contradicting:
            first = ", ".join(map(str, self.contradicting[0]))
            text += (
                f"; {len(self.contradicting)} groups have contradicting labels "
                f"(first: structures {first})"
            )
        return text


def duplicate_report(
    X: Sequence[Atoms], y=None, *, tolerance: float = 1e-6
) -> DuplicateReport:
    """Find structures that occur more than once, and labels that contradict.

    Parameters
    ----------
    X : sequence of ase.Atoms
    y : array-like of shape (n_structures,), optional
        Targets; groups whose targets differ are reported as contradicting.
    tolerance : float, default=1e-6
        Largest difference of targets, in their unit, that counts as equal.

    Returns
    -------
    report : DuplicateReport

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.structures import duplicate_report
    >>> water = molecule("H2O")
    >>> report = duplicate_report([water, molecule("CH4"), water.copy()], [1.0, 2.0, 1.5])
    >>> report.groups, report.contradicting
    ([[0, 2]], [[0, 2]])
    """
    structures = check_structures(X, allow_empty=True)
    found: dict[str, list[int]] = {}
    for s, atoms in enumerate(structures):
        found.setdefault(content_hash(atoms), []).append(s)
    groups = [group for group in found.values() if len(group) > 1]
    contradicting: list[list[int]] = []
    if y is not None:
        y = check_targets(y, len(structures))
        contradicting = [g for g in groups if np.ptp(y[g]) > tolerance]
    return DuplicateReport(groups, contradicting)
