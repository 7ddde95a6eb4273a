"""Tight binding: charges, spins, what does not converge, one thread."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.cluster import Icosahedron

from skatom.bases import BaseError, GFN1xTB, GFN2xTB
from skatom.potential import CalculatorRegressor

pytest.importorskip("tblite", reason="tblite is not installed")
from tblite.ase import TBLite


def energy(atoms, base="gfn2-xtb"):
    return CalculatorRegressor(base).predict([atoms])[0]


def of_tblite(atoms, **settings):
    atoms = atoms.copy()
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0, **settings)
    return atoms.get_potential_energy()


def marked(name, **info):
    atoms = molecule(name)
    atoms.info.update(info)
    return atoms


@pytest.mark.parametrize(
    ("name", "info", "settings"),
    [
        ("H2O", {}, {}),
        ("H2O", {"charge": 1}, {"charge": 1}),
        ("H2O", {"charge": -1.0, "spin": 2}, {"charge": -1, "multiplicity": 2}),
        ("CH3", {}, {"multiplicity": 2}),
        ("CH3", {"spin": 4}, {"multiplicity": 4}),
        ("O2", {"spin": 1}, {"multiplicity": 1}),
        ("O2", {"spin": 0}, {"multiplicity": 1}),
        ("O2", {}, {"multiplicity": 3}),  # by the initial moments of ASE's molecule
    ],
)
def test_charge_and_spin_reach_tblite(name, info, settings):
    assert energy(marked(name, **info)) == pytest.approx(
        of_tblite(molecule(name), **settings), abs=1e-6
    )


def test_initial_charges_add_up_to_the_charge():
    water = molecule("H2O")
    water.set_initial_charges([0.6, 0.2, 0.2])
    assert energy(water) == energy(marked("H2O", charge=1))
    water.set_initial_charges([-0.8, 0.4, 0.4])
    assert energy(water) == energy(molecule("H2O"))


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (marked("H2O", charge=0.5), "total charge is 0.5, and electrons are whole"),
        (marked("H2O", charge="neutral"), "total charge is nan"),
        (marked("CH3", spin=0.5), r"info\['spin'\] is 0.5, and the multiplicity"),
        (marked("CH3", spin="high"), r"info\['spin'\] is 'high'"),
        (marked("CH3", spin=3), r"unpaired electrons.*multiplicity 2 S \+ 1 in info"),
        (Atoms("H2", [[0, 0, 0]] * 2), r"structure 0 \(H2\): Too close"),
    ],
)
def test_what_cannot_be_is_one_sentence(atoms, message):
    with pytest.raises(BaseError, match=message):
        energy(atoms)


def test_metal_clusters_need_gfn1_with_a_temperature():
    cluster = Icosahedron("Cu", 2)
    cluster.rattle(0.02, seed=1)
    message = r"GFN1xTB\(electronic_temperature=2000\)"
    with pytest.raises(BaseError, match=f"not converged.*{message}"):
        energy(cluster, GFN2xTB(max_iterations=15))
    assert np.isfinite(energy(cluster, GFN1xTB(electronic_temperature=2000.0)))
