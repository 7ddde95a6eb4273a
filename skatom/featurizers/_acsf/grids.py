"""Parameter lists of symmetry functions: grids, schemes, checks, arrays and texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from skatom.featurizers._acsf.moment_tables import MAX_ZETA, crossover, expansion
from skatom.featurizers._simd.padding import whole_lanes

ALL = 2**62  # more neighbours than there are
# Where the schemes have no room for functions, in Å.
SMALLEST_AUTO_RADIUS = 1.5
# Cutoff functions as the kernels number them.
CUTOFFS = {"cosine": 0, "polynomial": 1, "tanh3": 2}


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


def radial_rows(rows, r_cut: float, n_radial: int, eta_unit: float = 1.0) -> np.ndarray:
    """Give the rows of ``g2``: none, those of a scheme by name, or those given.

    Parameters
    ----------
    rows : None, "auto", "centered" or array-like of shape (n, 2)
    r_cut : float
        In Å.
    n_radial : int
        Number of Gaussians of a scheme.
    eta_unit : float
        Factor of the etas of a scheme.

    Returns
    -------
    rows : ndarray of shape (n, 2)
    """
    if rows is None:
        return np.empty((0, 2))
    if not isinstance(rows, str):
        return check_rows("g2", rows, 2)
    _check_room("g2", rows, r_cut)
    if rows == "centered":
        found = acsf_grid(0.5 / np.linspace(1.0, r_cut - 0.5, n_radial) ** 2, [0.0])
    elif n_radial > 1:
        centres = np.linspace(0.5, r_cut - 0.5, n_radial)
        found = acsf_grid([0.5 / (centres[1] - centres[0]) ** 2], centres)
    else:
        found = acsf_grid([0.5 / (0.5 * r_cut) ** 2], [0.0])
    return found * [eta_unit, 1.0]


def angular_rows(
    name: str,
    rows,
    r_cut: float,
    n_angular: int,
    zetas: Sequence[float],
    eta_unit: float = 1.0,
) -> np.ndarray:
    """Give the rows of ``g4`` or ``g5``: none, those of the scheme, or those given.

    Parameters
    ----------
    name : {"g4", "g5"}
    rows : None, "auto" or array-like of shape (n, 3)
    r_cut : float
        In Å.
    n_angular : int
        Number of widths of the scheme.
    zetas : sequence of float
        Of the scheme; each comes with both lambda.
    eta_unit : float
        Factor of the etas of the scheme.

    Returns
    -------
    rows : ndarray of shape (n, 3)
    """
    if rows is None:
        return np.empty((0, 3))
    if not isinstance(rows, str):
        return check_rows(name, rows, 3)
    _check_room(name, rows, r_cut)
    widths = np.linspace(1.0, r_cut - 0.5, n_angular)
    grid = acsf_grid(0.5 / widths**2, zetas, (-1.0, 1.0))
    return check_rows(f"{name} (from zetas)", grid, 3) * [eta_unit, 1.0, 1.0]


def _check_room(name: str, scheme: str, r_cut: float) -> None:
    """Refuse a scheme where its functions have nowhere to go."""
    if r_cut <= SMALLEST_AUTO_RADIUS:
        raise ValueError(
            f'{name}="{scheme}" places functions from 0.5 Å to r_cut - 0.5 Å with widths '
            f"from 1 Å, and r_cut={r_cut:g} Å leaves no room for them: use a larger "
            f"r_cut, or give the rows of {name} yourself."
        )


def refuse_no_rows(*kinds: np.ndarray) -> None:
    """Refuse symmetry functions without any."""
    if not any(len(rows) for rows in kinds):
        raise ValueError(
            "g2, g4 and g5 are all empty: there is no function to compute. Give rows "
            'to one of them, or "auto".'
        )


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


def radial_arrays(rows: np.ndarray, height: float = 1.0) -> tuple[np.ndarray, int]:
    """Give eta, r_s and the factor of all functions in whole lanes, and their number."""
    heights = np.full((len(rows), 1), height)
    return whole_lanes(np.hstack([rows, heights]).T), len(rows)


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


def texts(rows: np.ndarray, labels: Sequence[str]) -> list[tuple[str, ...]]:
    """Write parameters with 6 digits, and with all of them where 6 do not tell apart."""
    for digits in (6, 17):
        written = [
            tuple(f"{label}{value:.{digits}g}" for label, value in zip(labels, row))
            for row in rows
        ]
        if len(set(written)) == len(written):
            break
    return written
