"""Models: energies of structures from the features of their atoms."""

from skatom.models._divergence import TrainingDivergedError
from skatom.models._gradients import input_gradient, register_regressor
from skatom.models.composition import CompositionBaseline
from skatom.models.neural_network import NeuralNetworkRegressor

__all__ = [
    "CompositionBaseline",
    "NeuralNetworkRegressor",
    "TrainingDivergedError",
    "input_gradient",
    "register_regressor",
]
