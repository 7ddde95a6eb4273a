"""Effective medium theory of ASE."""

from __future__ import annotations

from ase.data import atomic_numbers

from skatom.bases._base import Base

SPECIES = ("H", "C", "N", "O", "Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")


class EMT(Base):
    """Effective medium theory [1]_ as ASE computes it: metals, and H, C, N, O crudely.

    Made for Al, Ni, Cu, Pd, Ag, Pt and Au; the parameters of H, C, N and O are for
    demonstrations.

    See Also
    --------
    GFN1xTB : Tight binding for all of these elements.

    References
    ----------
    .. [1] K. W. Jacobsen, P. Stoltze, J. K. Nørskov, Surf. Sci. 366, 394 (1996),
       doi:10.1016/0039-6028(96)00816-3

    Examples
    --------
    >>> from skatom.bases import EMT
    >>> EMT().name
    'emt'
    """

    name = "emt"
    numbers = frozenset(atomic_numbers[symbol] for symbol in SPECIES)

    def calculator(self):
        """Make a calculator."""
        from ase.calculators.emt import EMT as Calculator

        return Calculator()
