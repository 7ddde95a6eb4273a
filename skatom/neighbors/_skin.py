"""Neighbour pairs that stay good for many steps of a simulation."""

from __future__ import annotations

from ase import Atoms

from skatom.neighbors import COINCIDENT, NeighborPairs, neighbor_pairs
from skatom.structures import Structures


class SkinPairs:
    """Neighbour pairs of one moving structure, searched anew only when they must be.

    The search reaches ``skin`` farther than the cutoff. While no atom has moved by more
    than half of it, two atoms cannot have come inside the cutoff unseen (Verlet's list
    [1]_), and the pairs only need new vectors. Pairs beyond the cutoff are among them;
    featurizers count them as absent.

    Parameters
    ----------
    r_cut : float
        Largest distance that counts, in Å.
    skin : float
        How much farther to search, in Å. With 0 every call searches.

    References
    ----------
    .. [1] L. Verlet, Phys. Rev. 159, 98 (1967), doi:10.1103/PhysRev.159.98
    """

    def __init__(self, r_cut: float, skin: float):
        self.r_cut = r_cut
        self.skin = skin
        self.n_searches = 0
        self._known: tuple[Atoms, NeighborPairs] | None = None

    def pairs_of(self, atoms: Atoms) -> NeighborPairs:
        """Give all pairs within r_cut, and some that are farther apart.

        Parameters
        ----------
        atoms : ase.Atoms
            A checked structure.

        Returns
        -------
        pairs : NeighborPairs

        Raises
        ------
        ValueError
            If two atoms coincide.
        """
        if self._known is not None and self._still_good(self._known[0], atoms):
            pairs, least = self._known[1].moved_with_least(
                atoms.positions, atoms.cell.array
            )
            if least >= COINCIDENT**2:
                return pairs
        return self._search(atoms)  # which refuses coincident atoms

    def _still_good(self, known: Atoms, atoms: Atoms) -> bool:
        if (
            len(known) != len(atoms)
            or (known.numbers != atoms.numbers).any()
            or (known.pbc != atoms.pbc).any()
            or (known.cell.array != atoms.cell.array).any()
        ):
            return False
        moved = atoms.positions - known.positions
        moved *= moved
        farthest = moved.sum(axis=1).max()
        return farthest <= (0.5 * self.skin) ** 2 and self.skin > 0

    def _search(self, atoms: Atoms) -> NeighborPairs:
        pairs = neighbor_pairs(Structures([atoms]), self.r_cut + self.skin)
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        self._known = (bare, pairs)
        self.n_searches += 1
        return pairs
