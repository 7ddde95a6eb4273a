"""Parameter lists of symmetry functions: grids, the default scheme, checks and names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, product

import numpy as np

from skatom.featurizers._acsf.moment_tables import MAX_ZETA, crossover, expansion

ALL = 2**62  # more neighbours than there are


def acsf_grid(etas: Sequence[float], *others: Sequence[float]) -> np.ndarray:
    """Give all combinations of parameters, as rows for ``g2``, ``g4`` or ``g5``.

    A full grid is also what is computed fastest: functions of one eta share their
    exponentials, functions of one (zeta, lambda) their powers.

    Parameters
    ----------
    etas : sequence of float
        Exponents eta, in 1/Å² (or times r_cut² with ``eta_scale="rc2"``).
    *others : sequences of float
        One more sequence, the centres r_s in Å, for ``g2``; or two, zeta and lambda, for
        ``g4`` and ``g5``.

    Returns
    -------
    grid : ndarray of shape (n_functions, 2) or (n_functions, 3)
        The last parameter varies fastest.

    See Also
    --------
    ACSF : Takes these rows.

    Examples
    --------
    >>> from skatom.featurizers import acsf_grid
    >>> acsf_grid([0.005], [1, 4], [-1, 1]).tolist()
    [[0.005, 1.0, -1.0], [0.005, 1.0, 1.0], [0.005, 4.0, -1.0], [0.005, 4.0, 1.0]]
    """
    return np.array(list(product(etas, *others)), dtype=np.float64)


def default_radial(r_cut: float, n_radial: int) -> np.ndarray:
    """Give the default G2 rows: Gaussians on a grid, as wide as its spacing."""
    centres = np.linspace(0.5, r_cut - 0.5, n_radial) if n_radial > 1 else [0.0]
    width = centres[1] - centres[0] if n_radial > 1 else 0.5 * r_cut
    return np.array([[0.5 / width**2, centre] for centre in centres])


def default_angular(r_cut: float, n_angular: int, zetas: Sequence[float]) -> np.ndarray:
    """Give the default angular rows: centred Gaussians of several widths."""
    widths = np.linspace(1.0, max(r_cut - 0.5, 1.0), n_angular)
    return acsf_grid(0.5 / widths**2, zetas, (-1.0, 1.0))


def check_rows(name: str, rows, n_columns: int) -> np.ndarray:
    """Check the rows of g2, g4 or g5 and return them as an array of float64."""
    columns = ("eta", "r_s") if n_columns == 2 else ("eta", "zeta", "lambda")
    wanted = f"rows of ({', '.join(columns)})"
    try:
        table = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold {wanted}, all numbers.") from None
    if table.size == 0:
        return table.reshape(0, n_columns)
    if table.ndim != 2 or table.shape[1] != n_columns:
        raise ValueError(f"{name} must hold {wanted}; its shape is {table.shape}.")
    for k, row in enumerate(table):
        fault = _fault(row)
        if fault:
            raise ValueError(f"Row {k} of {name} is {row.tolist()}: {fault}.")
    unique, first = np.unique(table, axis=0, return_index=True)
    if len(unique) < len(table):
        again = np.setdiff1d(np.arange(len(table)), first)[0]
        raise ValueError(
            f"Row {again} of {name}, {table[again].tolist()}, stands there twice: two "
            "equal columns carry nothing new. Leave one out."
        )
    return table


def _fault(row: np.ndarray) -> str | None:
    """Say what is wrong with the parameters of one function, if anything."""
    if not np.isfinite(row).all():
        return "all parameters must be finite"
    if row[0] < 0.0:
        return "eta must not be negative, or the function would grow with distance"
    if len(row) == 2:
        return None
    if row[1] < 1.0:
        return "zeta must be at least 1, or slopes are infinite for atoms in a line"
    if row[2] not in (-1.0, 1.0):
        return "lambda must be -1 or 1"
    return None


def radial_arrays(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Return (2, n) parameters padded to whole groups of eight, and their number."""
    n = len(rows)
    padded = np.zeros((2, -(-n // 8) * 8))
    padded[:, :n] = rows.T
    return padded, n


def angular_parts(g4: np.ndarray, g5: np.ndarray, n_species: int, first: int) -> list:
    """Arrange angular functions for the kernels, those that moments suit by themselves.

    Parameters
    ----------
    g4, g5 : arrays of shape (n, 3)
        Rows of eta in 1/Å², zeta and lambda.
    n_species : int
    first : int
        Number of columns in front.

    Returns
    -------
    parts : list of (grid, expansion or None, part)
        Arguments of the kernels, with an expansion where there is one in moments.
    """
    whole = (g5[:, 1] == np.round(g5[:, 1])) & (g5[:, 1] <= MAX_ZETA)
    parts = []
    g5_first = first + n_species * (n_species + 1) // 2 * len(g4)
    for side, rows, chosen, start in (
        (True, g4, np.ones(len(g4), bool), first),
        (False, g5, whole, g5_first),
        (False, g5, ~whole, g5_first),
    ):
        if not chosen.any():
            continue
        grid, moments, most = angular_arrays(rows, np.flatnonzero(chosen)), None, ALL
        if chosen is whole:
            moments = expansion(grid)
            most = crossover(moments[1].shape[1] - 1, n_species)
        parts.append((grid, moments, (side, start, len(rows), most)))
    return parts


def angular_arrays(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the distinct etas and (zeta, lambda) of some rows, and who uses which.

    Powers are sorted by lambda, then zeta, and come with the step up from the last
    whole zeta (-1 where zeta is not whole) and a mark where lambda changes.
    """
    rows = rows[columns]
    etas, eta_of = np.unique(rows[:, 0], return_inverse=True)
    turned, power_of = np.unique(rows[:, [2, 1]], axis=0, return_inverse=True)
    powers, last, height = np.zeros((len(turned), 4)), None, 1.0
    for q, (sign, zeta) in enumerate(turned):
        new = sign != last
        height = 1.0 if new else height
        whole = zeta == int(zeta)
        powers[q] = zeta, sign, zeta - height if whole else -1.0, new
        last, height = sign, zeta if whole else height
    terms = np.stack([eta_of.ravel(), power_of.ravel(), columns], axis=1)
    terms = terms[np.lexsort((terms[:, 2], terms[:, 0]))].astype(np.int64)
    starts = np.searchsorted(terms[:, 0], np.arange(len(etas) + 1))
    return etas[None, :].copy(), powers, terms, starts


def function_names(
    species: Sequence[str], g2: np.ndarray, g4: np.ndarray, g5: np.ndarray
) -> list[str]:
    """Name every column: species, then parameters in the units they were given in."""
    names = [f"G2_{a}_{text}" for a in species for text in _texts(g2, ("eta", "rs"))]
    for kind, rows in (("G4", g4), ("G5", g5)):
        texts = _texts(rows, ("eta", "zeta", "lambda"))
        for a, b in combinations_with_replacement(species, 2):
            names += [f"{kind}_{a}-{b}_{text}" for text in texts]
    return names


def _texts(rows: np.ndarray, labels: Sequence[str]) -> list[str]:
    """Write parameters with 6 digits, and with all of them where 6 do not tell apart."""
    for digits in (6, 17):
        texts = [
            "_".join(f"{label}{value:.{digits}g}" for label, value in zip(labels, row))
            for row in rows
        ]
        if len(set(texts)) == len(texts):
            break
    return texts
