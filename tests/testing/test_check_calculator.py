"""Every shipped check of calculators catches the mistake it is made for."""

from unittest import SkipTest

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from radial import RadialSums

from skatom.structures import check_structures
from skatom.testing import calculator_checks, check_calculator, check_frames


class Springs(Calculator):
    """A sound calculator: the sum of all features of a fixed featurizer."""

    implemented_properties = ("energy", "free_energy", "forces", "stress", "energies")

    def __init__(self, **parameters):
        super().__init__(**parameters)
        featurizer = RadialSums(r_cut=3.5, etas=(0.5,), species=["H", "O", "Cu"])
        self.featurizer = featurizer.fit(check_frames())

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        X = self.featurizer.transform(check_structures([atoms]))
        weights = np.array([1.0, 2.0, 3.0])
        gradient = X.pullback(np.broadcast_to(weights, X.values.shape))
        energies = X.values @ weights
        self.results = {
            "energy": float(energies.sum()),
            "free_energy": float(energies.sum()),
            "energies": energies,
            "forces": X.pairs.forces(gradient),
        }
        if atoms.pbc.all():
            stress = X.pairs.virial(gradient, X.offsets)[0] / atoms.cell.volume
            self.results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        elif "stress" in properties:
            raise PropertyNotImplementedError("stress needs three periodic directions")


class Changed(Springs):
    """Springs whose results are changed by a function."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.change(atoms)


class EnergyAsArray(Changed):
    def change(self, atoms):
        self.results["energy"] = np.array([self.results["energy"]])


class WrongForces(Changed):
    def change(self, atoms):
        self.results["forces"] = 1.001 * self.results["forces"]


class NetForce(Changed):
    def change(self, atoms):
        self.results["forces"] = self.results["forces"] + 0.1


class PressureInsteadOfStress(Changed):
    def change(self, atoms):
        if "stress" in self.results:
            self.results["stress"] = -self.results["stress"]


class StressOfMolecules(Springs):
    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, ("energy",), system_changes)
        self.results.setdefault("stress", np.zeros(6))


class UnevenShares(Changed):
    def change(self, atoms):
        self.results["energies"] = 1.01 * self.results["energies"]


class SeesAbsolutePlace(Changed):
    def change(self, atoms):
        self.results["energy"] += 0.01 * atoms.positions[:, 0].mean()


class NotExtensive(Changed):
    def change(self, atoms):
        self.results["energy"] /= len(atoms)


class DoesNotNoticeTheCell(Springs):
    def check_state(self, atoms, tol=1e-15):
        return [c for c in super().check_state(atoms, tol) if c not in ("cell", "pbc")]


class HandsOutItsOwn(Springs):
    def get_property(self, name, atoms=None, allow_calculation=True):
        super().get_property(name, atoms, allow_calculation)
        return self.results[name]


class Noisy(Changed):
    def change(self, atoms):
        noise = np.random.default_rng().normal(size=self.results["forces"].shape)
        self.results["forces"] = self.results["forces"] + 1e-9 * noise


class OwnNames(Changed):
    def change(self, atoms):
        self.results["energy_std"] = 0.1


class InventsProperties(Springs):
    def get_property(self, name, atoms=None, allow_calculation=True):
        if name not in self.implemented_properties:
            return 0.0
        return super().get_property(name, atoms, allow_calculation)


class AcceptsNaN(Springs):
    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        atoms = atoms.copy()
        atoms.positions = np.nan_to_num(atoms.positions, nan=9.0)
        super().calculate(atoms, properties, system_changes)


class CannotBeCopied(Springs):
    def __reduce__(self):
        raise TypeError("not picklable")

    def __deepcopy__(self, memo):
        return CannotBeCopied()


CAUGHT = {
    EnergyAsArray: "check_energy_is_a_number",
    WrongForces: "check_forces_match_differences",
    NetForce: "check_forces_balance",
    PressureInsteadOfStress: "check_stress_matches_differences",
    StressOfMolecules: "check_stress_of_open_systems_is_refused",
    UnevenShares: "check_energies_of_atoms_sum_up",
    SeesAbsolutePlace: "check_invariance",
    NotExtensive: "check_energy_of_supercell",
    DoesNotNoticeTheCell: "check_changes_are_noticed",
    HandsOutItsOwn: "check_results_are_copies",
    Noisy: "check_results_repeat",
    OwnNames: "check_results_have_names_of_ase",
    InventsProperties: "check_unknown_properties_are_refused",
    AcceptsNaN: "check_broken_structures_are_refused",
    CannotBeCopied: "check_copies",
}


def fails(calc, name: str) -> bool:
    """Whether a calculator fails a check; the others are not run."""
    checks = calculator_checks(calc, check_frames())
    (check,) = (c for c in checks if c.func.__name__ == name)
    try:
        check()
    except SkipTest:
        return False
    except Exception:  # a check may also stumble over a broken calculator
        return True
    return False


def test_a_sound_calculator_passes():
    report = check_calculator(Springs(), check_frames())
    assert len(report.passed) == len(CAUGHT)
    assert not report.skipped


@pytest.mark.parametrize("mutant", CAUGHT, ids=lambda cls: cls.__name__)
def test_a_mistake_is_caught_by_its_check(mutant):
    assert fails(mutant(), CAUGHT[mutant])


def test_one_structure_is_enough():
    report = check_calculator(Springs(), bulk("Cu", a=3.6))
    assert "check_forces_match_differences" in report.passed
