"""Valence densities of all elements as sums of Gaussians, from Slater's rules.

Slater [1]_ gave every electron of every atom a radial function r^(n*-1) exp(-zeta r)
with zeta = (Z - s)/n*, an effective quantum number n* and a screening s from simple
rules. The spherical density of such a shell has one shape for each n*, scaled by zeta;
here each shape is a least-squares fit of three Gaussians that holds its norm and is
nowhere negative, and an element is the sum of its valence shells. So one table of seven
rows serves all elements, and no element's table is taken from another code.

References
----------
.. [1] J. C. Slater, Phys. Rev. 36, 57 (1930). doi:10.1103/PhysRev.36.57
"""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers
from ase.units import Bohr

# n -> n*; Slater stops at 6, and 7 continues his series.
EFFECTIVE_N = {1: 1.0, 2: 2.0, 3: 3.0, 4: 3.7, 5: 4.0, 6: 4.2, 7: 4.3}

# n* -> exponents (1/Bohr²) and coefficients (1/Bohr³) of a shell of one electron with
# zeta = 1/Bohr. The first coefficients are positive, or are so but for the last, and sum to
# more than zero: such a sum of exponentials in r² has no zero, by Descartes' rule of signs.
FITTED_SHELLS = {
    1.0: ((0.39199259, 1.45872456, 8.01916554), (0.0277735, 0.10788161, 0.11780916)),
    2.0: ((0.13227148, 0.27765514, 2.25503823), (0.00285216, 0.01839719, -0.01844708)),
}

# n* -> exponents (1/Bohr²) and coefficients (Bohr^-3/2) of the orbital of such a shell,
# whose square has three Gaussians and is nowhere negative: these shells are hollow, which
# free Gaussians overdo.
FITTED_ORBITALS = {
    3.0: ((0.06032373, 0.57738063), (0.0921689, -0.07715119)),
    3.7: ((0.04550217, 0.29335767), (0.07901682, -0.07558219)),
    4.0: ((0.04121884, 0.23193366), (0.07560429, -0.07546662)),
    4.2: ((0.03881109, 0.20090569), (0.07386487, -0.07557481)),
    4.3: ((0.03771875, 0.18761257), (0.07313763, -0.0756849)),
}


def _squared(exponents, coefficients):
    """Give the square of a sum of two Gaussians, as exponents and coefficients."""
    (b, d), (c, e) = exponents, coefficients
    return (2 * b, b + d, 2 * d), (c * c, 2 * c * e, e * e)


# n* -> the Gaussians of all shells. Root mean square errors, weighted by r², are 2.0, 0.9,
# 1.3, 0.7, 0.5, 0.4 and 0.3 %.
SHELL_SHAPES = FITTED_SHELLS | {
    n: _squared(*orbital) for n, orbital in FITTED_ORBITALS.items()
}

# Ground states that differ from the order of filling: electrons moved into the d (or from
# the f into the d) shell. Z -> {(n, l): occupation that replaces the regular one}.
_EXCEPTIONS = {
    24: {(4, 0): 1, (3, 2): 5},
    29: {(4, 0): 1, (3, 2): 10},
    41: {(5, 0): 1, (4, 2): 4},
    42: {(5, 0): 1, (4, 2): 5},
    44: {(5, 0): 1, (4, 2): 7},
    45: {(5, 0): 1, (4, 2): 8},
    46: {(5, 0): 0, (4, 2): 10},
    47: {(5, 0): 1, (4, 2): 10},
    57: {(4, 3): 0, (5, 2): 1},
    58: {(4, 3): 1, (5, 2): 1},
    64: {(4, 3): 7, (5, 2): 1},
    78: {(6, 0): 1, (5, 2): 9},
    79: {(6, 0): 1, (5, 2): 10},
    89: {(5, 3): 0, (6, 2): 1},
    90: {(5, 3): 0, (6, 2): 2},
    91: {(5, 3): 2, (6, 2): 1},
    92: {(5, 3): 3, (6, 2): 1},
    93: {(5, 3): 4, (6, 2): 1},
    96: {(5, 3): 7, (6, 2): 1},
}


def valence_density(symbol: str) -> np.ndarray:
    """Give the valence density of an element as Gaussians.

    Parameters
    ----------
    symbol : str
        Chemical symbol, H to Og.

    Returns
    -------
    gaussians : ndarray of shape (n_gaussians, 2)
        Rows (B, beta) of rho(r) = sum B exp(-beta r²): B in electrons/Å³, beta in 1/Å².
        Three rows for each valence shell. Rho is nowhere negative.

    Notes
    -----
    Valence are the s and p electrons of the highest n, a d shell below it from the third to
    the twelfth group, and an f shell while it is being filled.

    Examples
    --------
    >>> from skatom.featurizers import valence_density
    >>> B, beta = valence_density("O").T
    >>> electrons = (B * (3.141592653589793 / beta) ** 1.5).sum()
    >>> f"{electrons:.3f}"
    '6.000'
    """
    z = atomic_numbers[symbol]
    occupation = electron_configuration(z)
    rows = []
    for n, group, count in _valence_groups(z, occupation):
        n_star = EFFECTIVE_N[n]
        zeta = (z - _screening(n, group, occupation)) / n_star / Bohr  # in 1/Å
        exponents, coefficients = SHELL_SHAPES[n_star]
        for b, c in zip(exponents, coefficients):
            rows.append((count * c * zeta**3, b * zeta**2))
    return np.array(rows)


def electron_configuration(z: int) -> dict[tuple[int, int], int]:
    """Occupation of the shells (n, l) of the neutral atom in its ground state."""
    order = sorted(
        ((n, l) for n in range(1, 8) for l in range(min(n, 4))),
        key=lambda shell: (sum(shell), shell[0]),
    )
    occupation, left = {}, z
    for n, l in order:
        count = min(left, 4 * l + 2)
        if count:
            occupation[n, l] = count
        left -= count
    occupation.update(_EXCEPTIONS.get(z, {}))
    return {shell: count for shell, count in occupation.items() if count}


def _valence_groups(z: int, occupation: dict) -> list[tuple[int, str, int]]:
    """Slater groups (n, "sp" | "d" | "f", electrons) that take part in bonds."""
    top = max(n for n, l in occupation if l < 2)
    p_block = occupation.get((top, 1), 0) > 0
    groups = []
    outer = occupation.get((top, 0), 0) + occupation.get((top, 1), 0)
    groups.append((top, "sp", outer))
    d = occupation.get((top - 1, 2), 0)
    if d and not p_block:
        groups.append((top - 1, "d", d))
    f = occupation.get((top - 2, 3), 0)
    if f and not p_block and (f < 14 or d < 2) and d < 3:
        groups.append((top - 2, "f", f))
    if z == atomic_numbers["Pd"]:  # alone without an s electron: d is outermost
        groups = [(4, "d", 10)]
    return groups


def _screening(n: int, group: str, occupation: dict) -> float:
    """Slater's screening constant of an electron in a group."""
    same = sum(
        count for (m, l), count in occupation.items() if m == n and _group(l) == group
    )
    screening = (0.30 if n == 1 else 0.35) * (same - 1)
    for (m, l), count in occupation.items():
        if m == n and _group(l) == group:
            continue
        if group == "sp":
            if m == n - 1:
                screening += 0.85 * count
            elif m < n - 1:
                screening += 1.0 * count
        elif m < n or (m == n and l < {"d": 2, "f": 3}[group]):
            screening += 1.0 * count
    return screening


def _group(l: int) -> str:
    return ("sp", "sp", "d", "f")[l]
