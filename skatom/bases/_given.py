"""Any ASE calculator as a base."""

from __future__ import annotations

from copy import deepcopy

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from skatom._runtime.state import KeepsState
from skatom.bases._base import Base, digest_of


class GivenCalculator(KeepsState, Base):
    """A calculator that the user made, of which copies work in its place.

    The calculator itself is never run and no structure ever sees it, because many
    calculators cannot be pickled once they have run.

    Parameters
    ----------
    given : ase.calculators.calculator.BaseCalculator

    See Also
    --------
    skatom.potential.CalculatorRegressor : What predicts with it.

    Examples
    --------
    >>> from ase.calculators.lj import LennardJones
    >>> from skatom.bases import GivenCalculator
    >>> GivenCalculator(LennardJones()).label
    'base calculator LennardJones'
    """

    _parameter_constraints: dict = {"given": [BaseCalculator]}

    def __init__(self, given):
        self.given = given

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"base calculator {type(self.given).__name__}"

    def calculator(self):
        """Copy the calculator."""
        return deepcopy(self.given)

    def content(self, atoms: Atoms) -> str | None:
        """Hash all of a structure, since a calculator may read any array or info."""
        return digest_of((super().content(atoms), atoms.arrays, atoms.info))
