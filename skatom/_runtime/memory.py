"""Amounts of memory: forecasts, limits and what is refused before it is allocated."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from numbers import Real

BYTES_A_PAIR = 44  # an int64 index, a vector of float64, a shift of int32
# Assumed where the system does not report its memory, in bytes.
UNKNOWN_MEMORY = 16e9
UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
BYTES = re.compile(r"\s*([0-9.]+(?:e[+-]?\d+)?)\s*([kMGT]?)B?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes that the features of some structures take.

    Attributes
    ----------
    n_atoms, n_pairs, n_features : int
        Atoms, ordered neighbour pairs, and features of each atom.
    values : int
        The features, as long as they are kept.
    pairs : int
        The neighbour pairs that are kept with them for derivatives.
    jacobian : int
        All derivatives of the features of one structure, the one that needs most:
        only some closed-form models ask for them, and for one structure at a time.
    """

    n_atoms: int
    n_pairs: int
    n_features: int
    values: int
    pairs: int
    jacobian: int

    @property
    def total(self) -> int:
        """Bytes of values and pairs together, which ``transform`` returns."""
        return self.values + self.pairs

    def __str__(self) -> str:
        return (
            f"{amount(self.values)} for {self.n_features} features of {self.n_atoms} "
            f"atoms, {amount(self.pairs)} for {self.n_pairs} neighbour pairs, "
            f"{amount(self.jacobian)} for the largest Jacobian of one structure"
        )


def amount(n_bytes: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("T", "G", "M", "k"):
        if n_bytes >= UNITS[unit]:
            return f"{n_bytes / UNITS[unit]:.3g} {unit}B"
    return f"{n_bytes:.0f} bytes"


def parse_bytes(max_memory: float | str) -> float:
    """Read a number of bytes, given as a number or as in "500MB" or "8 GB".

    Parameters
    ----------
    max_memory : float or str
        Powers of ten: 1 kB is 1000 bytes.

    Returns
    -------
    n_bytes : float

    Raises
    ------
    ValueError
        If it is no positive amount.
    """
    if isinstance(max_memory, Real):
        number = float(max_memory)
    else:
        match = BYTES.fullmatch(max_memory)
        # "m" is mega too: nobody means a thousandth of a byte
        unit = match and (match[2] if match[2] == "k" else match[2].upper())
        number = float(match[1]) * UNITS["k" if unit == "K" else unit] if match else 0.0
    if not number > 0:
        raise ValueError(
            f"max_memory={max_memory!r} is no amount of memory: give bytes, or a text "
            "such as '500MB' or '8GB'."
        )
    return number


def memory_limit(max_memory: float | str | None) -> float:
    """Give the bytes that a parameter max_memory allows; None is all of the machine."""
    if max_memory is not None:
        return parse_bytes(max_memory)
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN_MEMORY


def refuse_too_much(
    needed: float, max_memory: float | str | None, what: str, remedy: str
) -> None:
    """Raise before something is allocated that would exceed a limit.

    Parameters
    ----------
    needed : float
        Bytes.
    max_memory : float, str or None
        The parameter of that name.
    what, remedy : str
        Subject of the sentence, and what the user may do.

    Raises
    ------
    MemoryError
        If more is needed.
    """
    limit = memory_limit(max_memory)
    if needed > limit:
        most = f"the {amount(limit)} of this machine"
        if max_memory is not None:
            most = f"max_memory={max_memory!r}"
        raise MemoryError(
            f"{what} would take {amount(needed)}, more than {most}. {remedy}"
        )
