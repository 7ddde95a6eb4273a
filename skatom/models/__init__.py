"""Models: energies of structures from the features of their atoms."""

from skatom._training.diverged import TrainingDivergedError
from skatom.models._gradients import input_gradient, register_regressor
from skatom.models.alchemical_kernel_ridge import AlchemicalKernelRidge
from skatom.models.atomic_ridge import AtomicRidge
from skatom.models.atomic_ridge_cv import AtomicRidgeCV
from skatom.models.composition_baseline import CompositionBaseline
from skatom.models.gaussian_process import AtomicGaussianProcessRegressor
from skatom.models.kernel_ridge import AtomicKernelRidge
from skatom.models.kernel_ridge_cv import AtomicKernelRidgeCV
from skatom.models.message_passing import MessagePassingRegressor
from skatom.models.neural_network import NeuralNetworkRegressor
from skatom.models.painn import PaiNNRegressor
from skatom.models.schnet import SchNetRegressor

__all__ = [
    "AlchemicalKernelRidge",
    "AtomicGaussianProcessRegressor",
    "AtomicKernelRidge",
    "AtomicKernelRidgeCV",
    "AtomicRidge",
    "AtomicRidgeCV",
    "CompositionBaseline",
    "MessagePassingRegressor",
    "NeuralNetworkRegressor",
    "PaiNNRegressor",
    "SchNetRegressor",
    "TrainingDivergedError",
    "input_gradient",
    "register_regressor",
]
