"""Lennard-Jones potential whose lengths follow from the elements."""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii

from skatom._validation import Interval, Real
from skatom.bases._base import Base
from skatom.bases._pair_potential import PairPotential


class LennardJones(Base):
    """Sum of 4 epsilon ((sigma / r)^12 - (sigma / r)^6) over pairs.

    Parameters
    ----------
    sigma : float or None, default=None
        Distance of zero energy, in Å. None puts the minimum of each pair at the sum of
        the covalent radii of its elements.
    epsilon : float, default=1.0
        Depth of the minimum, in eV, before the switch at ``r_cut``.
    r_cut : float, default=6.0
        Where pairs are switched off smoothly, in Å.

    See Also
    --------
    ZBL : Repulsion alone.

    Examples
    --------
    >>> from ase import Atoms
    >>> from skatom.bases import LennardJones
    >>> pair = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.82]])
    >>> pair.calc = LennardJones(sigma=3.405, epsilon=0.0103, r_cut=10.0).calculator()
    >>> round(float(pair.get_potential_energy()), 3)
    -0.01
    """

    name = "lj"
    _parameter_constraints: dict = {
        "sigma": [Interval(Real, 0, None, closed="neither"), None],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "r_cut": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, sigma=None, epsilon=1.0, r_cut=6.0):
        self.sigma = sigma
        self.epsilon = epsilon
        self.r_cut = r_cut

    def calculator(self):
        """Make a calculator."""
        return PairPotential(self._terms, self.r_cut)

    def _terms(self, r, z_i, z_j):
        sigma = self.sigma
        if sigma is None:
            sigma = (covalent_radii[z_i] + covalent_radii[z_j]) / 2.0 ** (1.0 / 6.0)
        sixth = (sigma / r) ** 6
        energy = 4.0 * self.epsilon * sixth * (sixth - 1.0)
        slope = -24.0 * self.epsilon / r * sixth * (2.0 * sixth - 1.0)
        return energy, slope, np.full(len(r), self.r_cut)
