"""Units that labels are often in, and the slopes that they make."""

from __future__ import annotations

from typing import NamedTuple

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


def explain(slope: Slope, of: str) -> list[Unit]:
    """Give at most two units that explain the size of a slope, the closest first.

    Parameters
    ----------
    slope : Slope
    of : {"forces", "stress"}
    """
    table = FORCES if of == "forces" else STRESSES
    found = [Unit(of, name, factor, factor) for name, factor in table.items()]
    found += [Unit("energies", name, f, 1 / f) for name, f in ENERGIES.items()]
    size = abs(slope.value)
    found.sort(key=lambda unit: ratio(unit.slope, size))
    sign = -1 if slope.value < 0 else 1
    inside = [unit for unit in found if slope.may_be(sign * unit.slope)]
    near = [unit for unit in found if ratio(unit.slope, size) < CLOSE]
    return near[:2] or inside[:1]


def ratio(a: float, b: float) -> float:
    """How many times the larger of two positive numbers is the smaller."""
    return max(a / b, b / a)


def closer(units: list[Unit], slope: Slope, other: Slope) -> bool:
    """Whether a unit explains a slope better than another slope is 1 or -1."""
    if not other.known:
        return True
    size, rest = abs(slope.value), ratio(abs(other.value), 1.0)
    return any(ratio(unit.slope, size) < rest for unit in units)
