"""Potentials: forces, stress and energies of atoms from any pipeline."""

from skatom.base._inside import r_cut_of
from skatom.potential._evaluate import (
    Evaluation,
    evaluate,
    predict_atomic_energies,
    predict_forces,
    predict_stress,
    predict_targets,
)
from skatom.potential.answers import Answer, Context, Deviations
from skatom.potential.calculator_regressor import CalculatorRegressor
from skatom.potential.delta import DeltaRegressor
from skatom.potential.estimators import answer
from skatom.potential.pipeline import Potential, make_potential

__all__ = [
    "Answer",
    "CalculatorRegressor",
    "Context",
    "DeltaRegressor",
    "Deviations",
    "Evaluation",
    "Potential",
    "answer",
    "evaluate",
    "make_potential",
    "predict_atomic_energies",
    "predict_forces",
    "predict_stress",
    "predict_targets",
    "r_cut_of",
]
