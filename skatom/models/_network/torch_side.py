"""The door to what needs torch, which takes a second to import: opened when needed."""

from importlib import import_module
from types import ModuleType


def torch_side(needs: str = "NeuralNetworkRegressor") -> ModuleType:
    """Import what trains networks.

    Parameters
    ----------
    needs : str
        The class that needs it, for the message when torch is missing.
    """
    return _open("training", needs)


def data_side(needs: str = "NeuralNetworkRegressor") -> ModuleType:
    """Import what networks of features are trained on."""
    return _open("feature_data", needs)


def prediction_side(needs: str = "NeuralNetworkRegressor") -> ModuleType:
    """Import what evaluates networks of features."""
    return _open("prediction", needs)


def stream_side(needs: str = "NeuralNetworkRegressor") -> ModuleType:
    """Import what trains networks on a store of features."""
    return _open("streamed_data", needs)


def _open(name: str, needs: str) -> ModuleType:
    try:
        return import_module(f"skatom.models._network.{name}")
    except ImportError as error:
        raise ImportError(
            f"{needs} needs PyTorch and skorch, and one of them is missing ({error}). "
            'Install both with: pip install "skatom[torch]"'
        ) from error
