"""One structure as an estimator sees it, and the results of ASE from that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from skatom.features import NoDerivativeError
from skatom.neighbors import NeighborPairs
from skatom.potential.answers import Answer, Motion
from skatom.structures import Structures
from skatom.structures._voigt import stress_of


@dataclass(eq=False)
class Look:
    """What an estimator says about one structure, as far as it has been asked."""

    structures: Structures
    pairs: NeighborPairs | None
    found: Answer

    @property
    def atoms(self) -> Atoms:
        return self.structures[0]

    @property
    def unit(self) -> float:
        """Unit of the predictions, in eV."""
        return self.found.target.factor_to("eV")

    @cached_property
    def motion(self) -> Motion:
        return self.found.pull(np.full(1, self.unit))


def results_of(look: Look, properties) -> dict:
    """Give energies, and the other properties of ASE that are asked for."""
    energy = look.unit * float(look.found.values[0])
    results = {"energy": energy, "free_energy": energy}
    try:
        if "forces" in properties or "stress" in properties:
            results["forces"] = np.array(look.motion.forces)
            if look.motion.virial is not None:
                results["stress"] = stress_of(look.motion.virial, look.structures)[0]
        if "energies" in properties:
            results["energies"] = look.unit * np.asarray(look.found.atoms())
    except NoDerivativeError as error:
        raise PropertyNotImplementedError(str(error)) from error
    return check_finite(results)


def check_finite(results: dict) -> dict:
    """Refuse results that are NaN or infinite, and give the others."""
    for name, value in results.items():
        if not np.isfinite(value).all():
            raise ValueError(
                f"The estimator gives {name} that are NaN or infinite for this "
                "structure. Check that its atoms do not overlap and that the fit "
                "has converged."
            )
    return results
