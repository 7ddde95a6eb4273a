"""How the checks compare: one number for a difference, one sentence for a failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from unittest import SkipTest

import numpy as np
from ase import Atoms

from skatom.features import AtomFeatures

# Rounding in sums of some hundred terms of float64.
EXACT = 1e-10
# An extrapolated central difference with steps of 2e-4 and 1e-4 Å.
DIFFERENCE = 1e-6
STEP_IN_ANGSTROM = 2e-4
# A strain without symmetry, and its shares in a stress in Voigt order.
STRAIN = np.array([[0.3, 0.5, -0.2], [0.5, -0.4, 0.1], [-0.2, 0.1, 0.6]])
STRAIN_IN_VOIGT = np.array([0.3, -0.4, 0.6, 2 * 0.1, 2 * -0.2, 2 * 0.5])


@dataclass(frozen=True)
class Limits:
    """How near results must be, and how far central differences step.

    Attributes
    ----------
    exact : float
        Relative difference that rounding explains.
    far : float
        The same for coordinates of 1e4 Å.
    difference : float
        Relative error of central differences.
    step : float
        First step of central differences, in Å.
    noise : float
        Smaller slopes, in eV/Å, need not be more accurate than this one.
    extensive : bool
        Whether y adds up over parts of a system.
    """

    exact: float = 1e-8
    far: float = 1e-6
    difference: float = DIFFERENCE
    step: float = STEP_IN_ANGSTROM
    noise: float = 1e-2
    extensive: bool = True


def deviation(one: np.ndarray, two: np.ndarray, floor: float = 1e-12) -> float:
    """Largest difference of two arrays, relative to the largest entry of the second."""
    one, two = np.asarray(one), np.asarray(two)
    if one.shape != two.shape:
        raise AssertionError(f"shapes differ: {one.shape} and {two.shape}")
    if not one.size:
        return 0.0
    return float(np.abs(one - two).max() / max(np.abs(two).max(), floor))


def require_close(one, two, what: str, tolerance: float = EXACT, floor: float = 1e-12):
    """Fail with a sentence when two arrays differ by more than a tolerance."""
    found = deviation(one, two, floor)
    if not found <= tolerance:
        raise AssertionError(
            f"{what} by {found:.2g} relative to the largest entry; at most "
            f"{tolerance:.0e} is rounding."
        )


def require_equal(one, two, what: str):
    """Fail with a sentence when two arrays are not equal to the last bit."""
    if not np.array_equal(np.asarray(one), np.asarray(two)):
        raise AssertionError(f"{what} by {deviation(one, two):.2g} relative.")


def require_error(
    action: Callable[[], object], kinds: tuple, words: tuple[str, ...], when: str
):
    """Fail unless an action raises one of the kinds with all words in its message."""
    try:
        action()
    except kinds as error:
        missing = [word for word in words if word not in str(error)]
        if missing:
            raise AssertionError(
                f"The error {when} does not mention {missing}: {error}"
            ) from error
        return
    except Exception as error:
        raise AssertionError(
            f"{when}: {type(error).__name__} was raised instead of "
            f"{' or '.join(kind.__name__ for kind in kinds)}: {error}"
        ) from error
    raise AssertionError(f"No error {when}.")


def values_of(features) -> np.ndarray:
    """Flat values of per-atom features, or the rows of features of structures."""
    return (
        features.values if isinstance(features, AtomFeatures) else np.asarray(features)
    )


def slope(
    function: Callable[[float], np.ndarray], first_step: float = STEP_IN_ANGSTROM
) -> np.ndarray:
    """Differentiate at 0 by central differences at two steps, extrapolated.

    The error is of fourth order in the step, so that rounding dominates.
    """
    central = []
    for step in (first_step, first_step / 2):
        difference = np.asarray(function(step)) - np.asarray(function(-step))
        central.append(difference / (2 * step))
    return (4 * central[1] - central[0]) / 3


def require_forces(
    energy_of: Callable[[Atoms], float],
    atoms: Atoms,
    forces: np.ndarray,
    direction: np.ndarray,
    limits: Limits,
):
    """Fail unless forces along a direction are minus the slope of the energy."""
    require_close(
        -(forces * direction).sum(),
        slope(lambda h: energy_of(moved(atoms, direction, h)), limits.step),
        f"Forces on {atoms.symbols} differ from central differences",
        limits.difference,
        floor=np.abs(forces).sum() + limits.noise,
    )


def require_stress(
    energy_of: Callable[[Atoms], float],
    atoms: Atoms,
    stress: np.ndarray,
    limits: Limits,
):
    """Fail unless a stress is the slope of the energy by strain over the volume."""
    volume = atoms.cell.volume
    require_close(
        volume * stress @ STRAIN_IN_VOIGT,
        slope(lambda h: energy_of(strained(atoms, STRAIN, h)), limits.step),
        f"The stress of {atoms.symbols} differs from central differences",
        limits.difference,
        floor=volume * np.abs(stress).sum() + limits.noise,
    )


def moved(atoms: Atoms, direction: np.ndarray, step: float) -> Atoms:
    """Copy of a structure with all atoms moved along a direction."""
    atoms = atoms.copy()
    atoms.positions += step * direction
    return atoms


def strained(atoms: Atoms, strain: np.ndarray, step: float) -> Atoms:
    """Copy of a structure with cell and positions strained."""
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + step * strain), scale_atoms=True)
    return atoms


def periodic(frames: list[Atoms], directions: int = 1) -> list[Atoms]:
    """Structures that repeat in at least so many directions; skip the check without any."""
    found = [atoms for atoms in frames if atoms.pbc.sum() >= directions]
    if not found:
        raise SkipTest(f"no structure is periodic in {directions} directions")
    return found
