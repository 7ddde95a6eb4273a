"""Models: energies of structures from the features of their atoms."""

from skatom.models._gradients import input_gradient, register_regressor
from skatom.models.composition import CompositionBaseline

__all__ = [
    "CompositionBaseline",
    "input_gradient",
    "register_regressor",
]
