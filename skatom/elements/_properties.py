"""Properties of the elements by atomic number, NaN where there is no value."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_masses, covalent_radii

from skatom._validation import refuse_unseen

N_ELEMENTS = 118
NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)
# Where Cordero et al., Dalton Trans. 2832 (2008), end; ASE goes on with a stand-in.
LAST_RADIUS = 96
# Pauling's scale as revised by A. L. Allred, J. Inorg. Nucl. Chem. 17, 215 (1961), with
# the later additions of the usual tables. Row after row of the periodic table, "-" where
# there is none.
PAULING = """
2.20 -
0.98 1.57 2.04 2.55 3.04 3.44 3.98 -
0.93 1.31 1.61 1.90 2.19 2.58 3.16 -
0.82 1.00 1.36 1.54 1.63 1.66 1.55 1.83 1.88 1.91 1.90 1.65 1.81 2.01 2.18 2.55 2.96 3.00
0.82 0.95 1.22 1.33 1.60 2.16 1.90 2.20 2.28 2.20 1.93 1.69 1.78 1.96 2.05 2.10 2.66 2.60
0.79 0.89 1.10 1.12 1.13 1.14 1.13 1.17 1.20 1.20 1.20 1.22 1.23 1.24 1.25 1.10 1.27
1.30 1.50 2.36 1.90 2.20 2.20 2.28 2.54 2.00 1.62 2.33 2.02 2.00 2.20 2.20
0.70 0.90 1.10 1.30 1.50 1.38 1.36 1.28 1.30
"""


def _electronegativities() -> np.ndarray:
    values = [np.nan if x == "-" else float(x) for x in PAULING.split()]
    out = np.full(N_ELEMENTS + 1, np.nan)
    out[1 : len(values) + 1] = values
    return out


def _periods() -> np.ndarray:
    return np.searchsorted(NOBLE_GASES, np.arange(N_ELEMENTS + 1)).astype(np.float64)


def _groups() -> np.ndarray:
    """Count groups 1 to 18; lanthanides and actinides are in group 3."""
    out = np.full(N_ELEMENTS + 1, np.nan)
    for first, last in zip(NOBLE_GASES[:-1], NOBLE_GASES[1:]):
        for z in range(first + 1, last + 1):
            from_left, from_right = z - first, 18 - (last - z)
            if from_left <= 2 and z != 2:
                out[z] = from_left
            else:
                out[z] = max(3, from_right)
    return out


def _radii() -> np.ndarray:
    radii = np.full(N_ELEMENTS + 1, np.nan)
    radii[1 : LAST_RADIUS + 1] = covalent_radii[1 : LAST_RADIUS + 1]
    return radii


# Each property: values by atomic number, and the unit.
PROPERTIES = {
    "number": np.arange(N_ELEMENTS + 1.0),
    "mass": atomic_masses[: N_ELEMENTS + 1].astype(np.float64),
    "covalent_radius": _radii(),
    "electronegativity": _electronegativities(),
    "group": _groups(),
    "period": _periods(),
}


def values_of(name: str, numbers: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Look up a property of all atoms, and refuse elements without a value.

    Parameters
    ----------
    name : str
        One of PROPERTIES.
    numbers : ndarray of int64, shape (n_atoms_total,)
    offsets : ndarray of int64, shape (n_structures + 1,)

    Returns
    -------
    values : ndarray of shape (n_atoms_total,)
    """
    values = PROPERTIES[name]
    refuse_unseen(
        numbers,
        offsets,
        np.flatnonzero(~np.isnan(values)),
        f"the table of {name}",
        f"Leave {name!r} out of properties.",
    )
    return values[numbers]
