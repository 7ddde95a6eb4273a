"""An ASE calculator as something that predicts energies, forces and stress."""

from __future__ import annotations

from copy import deepcopy
from threading import Lock

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from skatom.neighbors import NeighborPairs
from skatom.potential._evaluate import Evaluation
from skatom.structures import Structures


class CalculatorModel:
    """Ask an ASE calculator about copies of structures, one after the other.

    The calculator that was given is never run and no frame ever sees it: a copy works in
    its place, is kept for the next time, and is left out of pickles, because many
    calculators cannot be pickled once they have run.

    Parameters
    ----------
    calculator : ase.calculators.calculator.BaseCalculator
    """

    def __init__(self, calculator):
        self.calculator = deepcopy(calculator)
        self._forget()

    def evaluate(
        self,
        X: Structures,
        *,
        forces: bool = True,
        stress: bool = False,
        atomic: bool = False,
        pairs: NeighborPairs | None = None,
    ) -> Evaluation:
        """Compute what is asked for; pairs are ignored."""
        with self._lock:
            if self._worker is None:
                self._worker = deepcopy(self.calculator)
            found = [
                self._one(atoms, s, forces, stress, atomic) for s, atoms in enumerate(X)
            ]
        energies = np.array([one["energy"] for one in found], dtype=np.float64)
        return Evaluation(
            energies,
            [one["forces"] for one in found] if forces else None,
            np.reshape([one["stress"] for one in found], (-1, 6)) if stress else None,
            [one["energies"] for one in found] if atomic else None,
            properties={"energy": energies},
        )

    def predict(self, X: Structures) -> np.ndarray:
        """Compute the energies."""
        return self.evaluate(X, forces=False).energies

    def _one(self, atoms: Atoms, s: int, forces: bool, stress: bool, atomic: bool):
        copy = atoms.copy()
        copy.set_constraint()  # constraints would change forces and stress
        copy.calc = self._worker
        name = type(self.calculator).__name__
        try:
            found = {"energy": copy.get_potential_energy()}
            if forces:
                found["forces"] = np.array(copy.get_forces(), dtype=np.float64)
            if stress:
                found["stress"] = np.array(copy.get_stress(), dtype=np.float64)
            if atomic:
                found["energies"] = np.array(copy.get_potential_energies())
        except PropertyNotImplementedError as error:
            raise ValueError(
                f"The base calculator {name} does not give every property that is asked "
                f"for ({error}): use another base, or ask for less."
            ) from error
        except Exception as error:
            raise RuntimeError(
                f"The base calculator {name} failed for structure {s} "
                f"({atoms.get_chemical_formula()}): {error}"
            ) from error
        return found

    def _forget(self) -> None:
        self._worker = None
        self._lock = Lock()

    def __getstate__(self):
        return {"calculator": self.calculator}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._forget()

    def __deepcopy__(self, memo):
        return type(self)(self.calculator)
