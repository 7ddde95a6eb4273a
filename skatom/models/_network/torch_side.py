"""The door to what needs torch."""

from types import ModuleType


def torch_side() -> ModuleType:
    """Import what needs torch, which takes a second, when it is needed."""
    try:
        from skatom.models._network import training
    except ImportError as error:
        raise ImportError(
            "NeuralNetworkRegressor needs PyTorch and skorch, and one of them is missing "
            f'({error}). Install both with: pip install "skatom[torch]"'
        ) from error
    return training
