"""Units that labels are often in, and the slopes that they make."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import units

from skatom.labels._slopes import Slope

KCAL, KJ = units.kcal / units.mol, units.kJ / units.mol
# What energies in a unit are multiplied by to be in eV.
ENERGIES = {
    "Hartree": units.Hartree,
    "Rydberg": units.Rydberg,
    "meV": 1e-3,
    "kcal/mol": KCAL,
    "kJ/mol": KJ,
}
# The same for forces and eV/Å, and for stress and eV/Å³.
FORCES = {
    "Hartree/Bohr": units.Hartree / units.Bohr,
    "Hartree/Å": units.Hartree,
    "Rydberg/Bohr": units.Rydberg / units.Bohr,
    "eV/Bohr": 1 / units.Bohr,
    "meV/Å": 1e-3,
    "kcal/mol/Å": KCAL,
    "kcal/mol/Bohr": KCAL / units.Bohr,
    "kJ/mol/Å": KJ,
    "kJ/mol/nm": KJ / 10,
}
STRESSES = {
    "kbar": 0.1 * units.GPa,
    "GPa": units.GPa,
    "MPa": 1e-3 * units.GPa,
    "bar": 1e-4 * units.GPa,
    "Hartree/Bohr³": units.Hartree / units.Bohr**3,
    "Rydberg/Bohr³": units.Rydberg / units.Bohr**3,
}
# Within this factor two units may both explain a slope; beyond it, only between its bounds.
CLOSE = 1.15


class Unit(NamedTuple):
    """Unit that would explain a slope.

    Attributes
    ----------
    of : {"energies", "forces", "stress"}
    name : str
    factor : float
        What these labels are multiplied by to be in eV and Å.
    slope : float
        Of energies in eV, or in this unit, over the work of forces or stress.
    """

    of: str
    name: str
    factor: float
    slope: float


def explain(slope: Slope, of: str, bias: float = 1.0) -> list[Unit]:
    """Give at most two units that explain the size of a slope, the closest first.

    Parameters
    ----------
    slope : Slope
    of : {"forces", "stress"}
    bias : float, default=1.0
        The slope may be off by such a factor beyond its bounds.
    """
    table = FORCES if of == "forces" else STRESSES
    found = [Unit(of, name, factor, factor) for name, factor in table.items()]
    found += [Unit("energies", name, f, 1 / f) for name, f in ENERGIES.items()]
    size = abs(slope.value)
    found.sort(key=lambda unit: ratio(unit.slope, size))
    sign = -1 if slope.value < 0 else 1
    inside = [unit for unit in found if slope.may_be(sign * unit.slope, bias)]
    near = [unit for unit in found if ratio(unit.slope, size) < CLOSE]
    return near[:2] or inside[:1]


def ratio(a: float, b: float) -> float:
    """How many times the larger of two positive numbers is the smaller."""
    return max(a / b, b / a)


def rivals(
    units: list[Unit], slope: Slope, other: Slope, factor: float
) -> tuple[list[Unit], bool]:
    """Keep what explains a slope about as well as the best of all does.

    Parameters
    ----------
    units : list of Unit
    slope : Slope
    other : Slope
        Of the same energies over something else, which is right if it is 1.
    factor : float
        Its bounds may be moved apart by so much.

    Returns
    -------
    units : list of Unit
    other : bool
        Whether the other slope explains it.
    """
    sign = -1 if slope.value < 0 else 1
    off = [ratio(unit.slope, abs(slope.value)) for unit in units]
    other_off = np.inf
    if other.known and other.may_be(sign, factor):
        other_off = ratio(abs(other.value), 1.0)
    # two standard deviations: the bounds are certain to four or five
    low, high = sorted((abs(slope.low), abs(slope.high)))
    blur = max(CLOSE, np.sqrt(factor), (high / low) ** 0.25)
    most = blur * min([other_off, *off])
    kept = [unit for unit, by in zip(units, off) if by <= most]
    return kept, np.isfinite(other_off) and other_off <= most
