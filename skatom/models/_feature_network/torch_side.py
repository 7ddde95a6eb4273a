"""Modules of networks on features that need torch, imported when they are needed."""

from types import ModuleType

from skatom._training.torch_side import torch_side

HOME = "skatom.models._feature_network"
OWNER = "NeuralNetworkRegressor"


def data_side() -> ModuleType:
    """Import what networks of features are trained on."""
    return torch_side(OWNER, f"{HOME}.training_set")


def prediction_side() -> ModuleType:
    """Import what evaluates networks of features."""
    return torch_side(OWNER, f"{HOME}.prediction")


def stream_side() -> ModuleType:
    """Import what trains networks on a store of features."""
    return torch_side(OWNER, f"{HOME}.streamed_data")
