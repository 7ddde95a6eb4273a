"""Screened repulsion of nuclei at short distances."""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii
from ase.units import Bohr, Hartree

from skatom.bases._base import Base
from skatom.bases._pair_potential import PairPotential

# Universal screening function and length of [1]_, eq. 2-73 and 2-74.
FACTORS = np.array([0.18175, 0.50986, 0.28022, 0.02817])
RATES = np.array([3.19980, 0.94229, 0.40290, 0.20162])
LENGTH = 0.46850  # Å
COULOMB = Hartree * Bohr  # e²/(4 pi eps0) in eV Å


class ZBL(Base):
    """Repulsion of screened nuclei by Ziegler, Biersack and Littmark [1]_.

    What keeps atoms apart where no training structure is. Each pair is switched off
    smoothly up to the sum of the covalent radii, so bonds hardly feel it.

    See Also
    --------
    LennardJones : Repulsion and attraction.

    References
    ----------
    .. [1] J. F. Ziegler, J. P. Biersack, U. Littmark, "The Stopping and Range of Ions in
       Solids", Pergamon (1985)

    Examples
    --------
    >>> from ase import Atoms
    >>> from skatom.bases import ZBL
    >>> pair = Atoms("O2", [[0, 0, 0], [0, 0, 0.5]], calculator=ZBL().calculator())
    >>> pair.get_potential_energy() > 50.0
    True
    """

    name = "zbl"

    def calculator(self):
        """Make a calculator."""
        return PairPotential(terms, 2.0 * covalent_radii.max())


def terms(r, z_i, z_j):
    """Energies, slopes and radii of pairs."""
    length = LENGTH / (z_i**0.23 + z_j**0.23)
    waves = FACTORS * np.exp(-(r / length)[:, None] * RATES)
    screening = waves.sum(axis=1)
    of_screening = -(waves * RATES).sum(axis=1) / length
    bare = COULOMB * z_i * z_j / r
    slope = bare * (of_screening - screening / r)
    return bare * screening, slope, covalent_radii[z_i] + covalent_radii[z_j]
