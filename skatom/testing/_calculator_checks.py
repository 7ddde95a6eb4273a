"""Checks of an ASE calculator."""

# ruff: noqa: D401 - the first line of a check is its claim
from __future__ import annotations

import pickle
from copy import deepcopy
from functools import partial
from unittest import SkipTest

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_properties

from skatom.structures._voigt import has_volume
from skatom.testing import _transformations as change
from skatom.testing._comparisons import (
    Limits,
    periodic,
    require_close,
    require_equal,
    require_error,
    require_forces,
    require_stress,
)

TIGHT = 1e-8
# Coordinates of 1e4 Å carry a rounding of 2e-12 Å.
FAR = 1e-6
FLOOR_IN_EV = 1.0


def _with(calc, atoms: Atoms) -> Atoms:
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    atoms.calc = calc
    return atoms


def _fresh(calc, atoms: Atoms) -> Atoms:
    return _with(deepcopy(calc), atoms)


def _energy(calc, atoms: Atoms) -> float:
    return _with(calc, atoms).get_potential_energy()


def _require_energy(calc, atoms: Atoms, expected, what: str, tolerance: float = TIGHT):
    """Fail with a sentence about an energy that is not the expected one."""
    found = _energy(calc, atoms)
    require_close(found, expected, f"The energy of {what}", tolerance, FLOOR_IN_EV)


def check_energy_is_a_number(calc, frames):
    """Energies are finite, and the force-consistent energy is there."""
    for atoms in frames:
        atoms = _with(calc, atoms)
        energy = atoms.get_potential_energy()
        if not isinstance(energy, float) or not np.isfinite(energy):
            raise AssertionError(f"The energy of {atoms.symbols} is {energy!r}.")
        atoms.get_potential_energy(force_consistent=True)


def check_forces_match_differences(calc, frames):
    """Forces are minus the slope of the energy."""
    rng = np.random.default_rng(0)
    for atoms in frames:
        u = rng.normal(size=(len(atoms), 3))
        forces = _with(calc, atoms).get_forces()
        require_forces(partial(_energy, calc), atoms, forces, u, Limits())


def check_stress_matches_differences(calc, frames):
    """Stress is the slope by strain over the volume, positive under tension, in Voigt."""
    for atoms in periodic(frames, 3):
        stress = _with(calc, atoms).get_stress()
        require_stress(partial(_energy, calc), atoms, stress, Limits())


def check_stress_of_open_systems_is_refused(calc, frames):
    """Stress needs a volume; otherwise the usual error of ASE."""
    for atoms in frames:
        if not has_volume(atoms):
            require_error(
                _with(calc, atoms).get_stress,
                (PropertyNotImplementedError,),
                (),
                f"for the stress of {atoms.symbols}, which has no volume",
            )


def check_energies_of_atoms_sum_up(calc, frames):
    """Energies of atoms, where there are any, sum to the total."""
    if "energies" not in calc.implemented_properties:
        raise SkipTest("no energies of atoms")
    for atoms in frames:
        atoms = _with(calc, atoms)
        try:
            of_atoms = atoms.get_potential_energies()
        except PropertyNotImplementedError as error:
            raise SkipTest(f"no energies of atoms: {error}") from error
        require_close(
            of_atoms.sum(),
            atoms.get_potential_energy(),
            f"The energies of atoms of {atoms.symbols} do not sum up",
            TIGHT,
            FLOOR_IN_EV,
        )


def check_invariance(calc, frames):
    """Rotation, translation, order of atoms and unwrapping leave the energy."""
    ways = (change.rotated, change.inverted, change.permuted, change.unwrapped)
    for atoms in frames:
        energy = _energy(calc, atoms)
        for way in ways:
            what = f"{atoms.symbols} changes when {way.__name__}"
            _require_energy(calc, way(atoms), energy, what)
        far, what = change.translated(atoms), f"{atoms.symbols} moves with it"
        _require_energy(calc, far, energy, what, FAR)


def check_energy_of_supercell(calc, frames):
    """Energy and its stress-like derivatives scale with the cell."""
    for atoms in periodic(frames):
        copies = 2 ** int(atoms.pbc.sum())
        expected = copies * _energy(calc, atoms)
        what = f"a supercell of {atoms.symbols} is not that of its cells"
        _require_energy(calc, change.repeated(atoms), expected, what)


def check_forces_balance(calc, frames):
    """Forces sum to zero."""
    for atoms in frames:
        forces = _with(calc, atoms).get_forces()
        if np.abs(forces.sum(axis=0)).max() > TIGHT * (np.abs(forces).sum() + 1):
            raise AssertionError(f"Forces on {atoms.symbols} do not sum to zero.")


def check_changes_are_noticed(calc, frames):
    """One calculator followed through changes agrees with a fresh one at each."""
    shared = deepcopy(calc)
    for atoms in frames:
        walker = _with(shared, atoms)
        rng = np.random.default_rng(0)
        for step in (0.0, 0.01, 0.3):  # the second within reach of what is kept
            walker.positions += step * rng.normal(size=(len(atoms), 3))
            _require_same(walker, calc, "after atoms moved")
        if walker.cell.rank:
            walker.set_cell(walker.cell.array * 1.01, scale_atoms=True)
            _require_same(walker, calc, "after the cell changed")
            walker.pbc = ~walker.pbc if walker.cell.rank == 3 else walker.pbc
            _require_same(walker, calc, "after pbc changed")
        walker.numbers[:] = walker.numbers[::-1].copy()
        _require_same(walker, calc, "after species changed")


def _require_same(walker: Atoms, calc, when: str):
    fresh = _fresh(calc, walker)
    forces = fresh.get_forces()  # its energy comes along
    what = f"of {walker.symbols} differ from those of a fresh calculator {when}"
    require_close(
        walker.get_potential_energy(),
        fresh.get_potential_energy(),
        f"Energies {what}",
        TIGHT,
        FLOOR_IN_EV,
    )
    require_close(walker.get_forces(), forces, f"Forces {what}", TIGHT, FLOOR_IN_EV)


def check_results_are_copies(calc, frames):
    """Writing to an array that was handed out changes nothing."""
    atoms = _with(calc, frames[0])
    forces = atoms.get_forces()
    kept = forces.copy()
    forces[:] = 99.0
    require_equal(atoms.get_forces(), kept, "Results change with what was handed out")


def check_results_repeat(calc, frames):
    """The same structure gives the same bits, whatever was calculated before."""
    for atoms in frames:
        one = _fresh(calc, atoms).get_forces()
        require_equal(_fresh(calc, atoms).get_forces(), one, "Forces do not repeat")


def check_results_have_names_of_ase(calc, frames):
    """Only properties that ASE knows stand in ``results``; others break its writers."""
    atoms = _with(deepcopy(calc), frames[0])
    atoms.get_forces()
    unknown = set(atoms.calc.results) - set(all_properties)
    if unknown:
        raise AssertionError(
            f"results hold {sorted(unknown)}, which ASE does not know."
        )
    atoms.calc.export_properties()


def check_unknown_properties_are_refused(calc, frames):
    """A property that is not implemented raises the usual error of ASE."""
    missing = [
        name for name in all_properties if name not in calc.implemented_properties
    ]
    atoms = _with(calc, frames[0])
    require_error(
        lambda: atoms.calc.get_property(missing[0], atoms),
        (PropertyNotImplementedError,),
        (),
        f"for {missing[0]}, which is not implemented",
    )


def check_broken_structures_are_refused(calc, frames):
    """Positions that are NaN are an error that names the atom."""
    atoms = _fresh(calc, frames[0])
    atoms.positions[-1, 1] = np.nan
    require_error(
        atoms.get_potential_energy, (ValueError,), (str(len(atoms) - 1),), "for NaN"
    )


def check_copies(calc, frames):
    """Copies by ``deepcopy`` and pickle give the same bits, fresh or used."""
    for atoms in frames[:2]:
        forces = _with(calc, atoms).get_forces()
        for copy in (deepcopy(calc), pickle.loads(pickle.dumps(calc))):
            require_equal(_with(copy, atoms).get_forces(), forces, "A copy differs")
