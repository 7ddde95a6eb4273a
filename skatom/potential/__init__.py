"""Potentials: forces, stress and energies of atoms from any pipeline."""

from skatom.base import NoStandardDeviationError
from skatom.base._inside import r_cut_of
from skatom.potential._evaluate import (
    Evaluation,
    evaluate,
    predict_atomic_energies,
    predict_forces,
    predict_stress,
)
from skatom.potential.delta import DeltaRegressor
from skatom.potential.pipeline import Potential, make_potential

__all__ = [
    "DeltaRegressor",
    "Evaluation",
    "NoStandardDeviationError",
    "Potential",
    "evaluate",
    "make_potential",
    "predict_atomic_energies",
    "predict_forces",
    "predict_stress",
    "r_cut_of",
]
