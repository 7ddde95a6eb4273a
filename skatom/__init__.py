"""Machine learning on atoms, done the scikit-learn way."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("skatom")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

# Public names at the top level, each with the module that defines it. They are
# imported on first use, so that `import skatom` stays light.
_PUBLIC = {
    "Structures": "skatom.structures",
    "Potential": "skatom.potential",
    "predict_forces": "skatom.potential",
    "predict_stress": "skatom.potential",
    "predict_atomic_energies": "skatom.potential",
    "SkatomCalculator": "skatom.calculator",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'skatom' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
