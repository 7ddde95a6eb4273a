"""Frames that many tests share, hypothesis profiles, one thread for each library."""

# ruff: noqa: E402 - the thread counts come before NumPy
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # two cores, and workers beside us

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.register_profile("dev", parent=settings.get_profile("ci"), max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def rattled(atoms: Atoms, seed: int = 0, stdev: float = 0.06) -> Atoms:
    """Copy of a structure without the symmetry that hides mistakes."""
    atoms = atoms.copy()
    noise = np.random.default_rng(seed).normal(scale=stdev, size=(len(atoms), 3))
    atoms.positions += noise
    return atoms


def labelled(atoms: Atoms, stress: bool = False) -> Atoms:
    """Copy of a structure with the energy and forces of ASE's EMT stored on it."""
    atoms, live = atoms.copy(), atoms.copy()
    live.calc = EMT()
    results = {"energy": live.get_potential_energy(), "forces": live.get_forces()}
    if stress:
        results["stress"] = live.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.fixture
def water() -> Atoms:
    return rattled(molecule("H2O"))


@pytest.fixture
def equal_sized() -> list[Atoms]:
    """[H2, O2]: np.asarray takes them apart into a (2, 2) array of single atoms."""
    return [molecule("H2"), molecule("O2")]


@pytest.fixture
def one_atom_crystal() -> Atoms:
    return bulk("Cu", a=3.6)


@pytest.fixture
def skewed_crystal() -> Atoms:
    """Four atoms in a triclinic cell smaller than most radii."""
    atoms = rattled(bulk("Cu", cubic=True, a=3.7), seed=1)
    atoms.symbols[1] = "O"
    shear = np.array([[1.0, 0.15, 0.0], [0.0, 1.0, 0.3], [0.1, 0.0, 0.95]])
    atoms.set_cell(atoms.cell.array @ shear, scale_atoms=True)
    return atoms


@pytest.fixture
def slab() -> Atoms:
    """Cu(111), periodic along the surface only, with room in its third vector."""
    return rattled(fcc111("Cu", (1, 2, 3), a=3.6, vacuum=6.0), seed=2)


@pytest.fixture
def sheet() -> Atoms:
    """Two atoms a cell, periodic in two directions, with a zero third vector."""
    return Atoms(
        "CuO", [[0, 0, 0], [1.4, 1.3, 0.4]], cell=[3.0, 2.8, 0], pbc=[True, True, False]
    )


@pytest.fixture
def wire() -> Atoms:
    """A chain along the third direction, with two zero vectors."""
    return Atoms(
        "OHO", [[0, 0, 0], [0.3, 0.9, 0.8], [-0.2, 0.1, 2.1]],
        cell=[0, 0, 3.9], pbc=[False, False, True],
    )  # fmt: skip


@pytest.fixture
def frames(
    water, equal_sized, one_atom_crystal, skewed_crystal, slab, sheet, wire
) -> list[Atoms]:
    """One of each: molecules, a 1-atom and a triclinic crystal, slab, sheet, wire."""
    return [
        water, *equal_sized, one_atom_crystal, skewed_crystal, slab, sheet, wire
    ]  # fmt: skip
