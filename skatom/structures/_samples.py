"""Small structures for the shipped checks and for compiling ahead."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

# Far larger than rounding, far smaller than a bond.
RATTLE_IN_ANGSTROM = 0.06


def check_frames() -> list[Atoms]:
    """Give a few small structures of H, O and Cu that cover what frames can be.

    Returns
    -------
    frames : list of ase.Atoms
        Molecules, two of them of equal size ([H2, O2], which ``np.asarray`` takes apart),
        a crystal of one atom, a triclinic crystal smaller than most radii, a slab
        periodic in two directions and a chain periodic in one. Symmetry is broken, so
        that no derivative vanishes by chance.

    Examples
    --------
    >>> from skatom.testing import check_frames
    >>> [str(atoms.symbols) for atoms in check_frames()[:4]]
    ['OH2', 'H2', 'O2', 'O2H2']
    """
    water, peroxide = molecule("H2O"), molecule("H2O2")
    crystal = bulk("Cu", cubic=True, a=3.7)
    crystal.symbols[1] = "O"
    shear = np.array([[1.0, 0.15, 0.0], [0.0, 1.0, 0.3], [0.1, 0.0, 0.95]])
    crystal.set_cell(crystal.cell.array @ shear, scale_atoms=True)
    slab = fcc111("Cu", (1, 2, 3), a=3.6, vacuum=6.0)
    slab.info.clear()
    chain = Atoms("OHO", [[0, 0, 0], [0.3, 0.9, 0.8], [-0.2, 0.1, 2.1]])
    chain.set_cell([0, 0, 3.9])
    chain.pbc = [False, False, True]
    frames = [water, molecule("H2"), molecule("O2"), peroxide, bulk("Cu", a=3.6)]
    frames += [crystal, slab, chain]
    for atoms in frames:
        for name in set(atoms.arrays) - {"numbers", "positions"}:
            del atoms.arrays[name]
    return [_rattled(atoms, seed) for seed, atoms in enumerate(frames)]


def with_labels(frames: list[Atoms]) -> list[Atoms]:
    """Copy structures with the energy and forces of ASE's EMT stored on them.

    Parameters
    ----------
    frames : list of ase.Atoms
        Structures of H, C, N, O, Al, Ni, Cu, Pd, Ag, Pt or Au, which EMT knows.

    Returns
    -------
    labelled : list of ase.Atoms
        Copies with energies in eV and forces in eV/Å.

    Examples
    --------
    >>> from skatom.testing import check_frames, with_labels
    >>> from skatom.structures import read_energies
    >>> read_energies(with_labels(check_frames())).shape
    (8,)
    """
    labelled = []
    for atoms in frames:
        live, copy = atoms.copy(), atoms.copy()
        live.calc = EMT()
        energy, forces = live.get_potential_energy(), live.get_forces()
        copy.calc = SinglePointCalculator(copy, energy=energy, forces=forces)
        labelled.append(copy)
    return labelled


def _rattled(atoms: Atoms, seed: int) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms.positions += rng.normal(scale=RATTLE_IN_ANGSTROM, size=(len(atoms), 3))
    return atoms
