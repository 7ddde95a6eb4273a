"""Late imports of what needs torch, which takes a second to import."""

from importlib import import_module
from types import ModuleType


def torch_side(needs: str, module: str = "skatom._training.training") -> ModuleType:
    """Import a module that needs torch.

    Parameters
    ----------
    needs : str
        The class that needs it, for the message when torch is missing.
    module : str
        Full name of the module; by default the one that trains networks.

    Raises
    ------
    ImportError
        With what to install, if PyTorch or skorch is missing.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{needs} needs PyTorch and skorch, and one of them is missing ({error}). "
            'Install both with: pip install "skatom[torch]"'
        ) from error
