"""Networks of features, evaluated by NumPy on the weights that torch holds.

For the few atoms of a small structure a call of torch costs more than the arithmetic: with
27 atoms of four elements and layers of 64 and 64 units, energies and gradients take torch
about a millisecond and NumPy a fifth of that. Everything is in float64, as networks are
once their training is over, and equal to torch's numbers to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from scipy.special import expit, ndtr
from torch import Tensor, float64, nn

from skatom.models._feature_network.modules import AtomicNetworks, Dropout, Layer

# More atoms are faster in torch, which spreads activations over lanes and threads.
# Measured in one thread with 384 features and layers of 64 and 64 units.
ATOMS_WORTH_TORCH = 200
INVERSE_ROOT_OF_2_PI = 1.0 / np.sqrt(2.0 * np.pi)

Activation = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _tanh(z):
    a = np.tanh(z)
    return a, 1.0 - a * a


def _sigmoid(z):
    a = expit(z)
    return a, a * (1.0 - a)


def _silu(z):
    share = expit(z)
    a = z * share
    return a, share + a * (1.0 - share)


def _gelu(z):
    share = ndtr(z)
    return z * share, share + z * (INVERSE_ROOT_OF_2_PI * np.exp(-0.5 * z * z))


def _softplus(z):
    linear = z > 20.0  # as torch, which leaves out what is less than 2e-9 there
    a = np.where(linear, z, np.log1p(np.exp(np.minimum(z, 20.0))))
    return a, np.where(linear, 1.0, expit(z))


# Values and slopes, by the torch module with its default parameters.
ACTIVATIONS: dict[type, tuple[Activation, dict]] = {
    nn.Tanh: (_tanh, {}),
    nn.Sigmoid: (_sigmoid, {}),
    nn.SiLU: (_silu, {}),
    nn.GELU: (_gelu, {"approximate": "none"}),
    nn.Softplus: (_softplus, {"beta": 1.0, "threshold": 20.0}),
}


class Dense(NamedTuple):
    """A hidden layer: linear map, activation, and perhaps a shortcut around both."""

    weight: np.ndarray  # (n_out, n_in)
    bias: np.ndarray
    activation: Activation
    shortcut: bool


class PlainNetworks:
    """Weights of networks as arrays that share the memory of torch's tensors.

    Parameters
    ----------
    module : AtomicNetworks
        Whose layers `is_plain` accepts.
    """

    def __init__(self, module: AtomicNetworks):
        linears = [m for m in module.modules() if isinstance(m, nn.Linear)]
        self._homes = [
            (m._parameters, name) for m in linears for name in ("weight", "bias")
        ]
        self._places = self._read_places()
        self.stacks = [[_dense(layer) for layer in stack] for stack in module.stacks]
        self.heads = [(_array(h.weight), _array(h.bias)) for h in module.heads]

    def is_current(self) -> bool:
        """Whether torch still keeps the weights where they were read.

        What is written to that place is seen. It cannot be used for other weights in the
        meantime, because the arrays here keep it.
        """
        return self._read_places() == self._places

    def _read_places(self) -> list[int]:
        return [parameters[name].data_ptr() for parameters, name in self._homes]

    def contributions(self, values: np.ndarray, elements: np.ndarray) -> np.ndarray:
        """Evaluate what atoms contribute, (n_atoms, n_outputs)."""
        return self._evaluate(values, elements, None)

    def with_gradient(
        self, values: np.ndarray, elements: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate contributions of atoms, and differentiate the first by the features.

        Returns
        -------
        rows : ndarray of shape (n_atoms, n_outputs)
        gradient : ndarray of shape (n_atoms, n_features)
        """
        gradient = np.empty_like(values)
        return self._evaluate(values, elements, gradient), gradient

    def _evaluate(self, values, elements, gradient) -> np.ndarray:
        rows = np.empty((len(values), len(self.heads[0][1])))
        n_ways = max(len(self.stacks), len(self.heads))
        for k in range(n_ways):
            own = elements == k if n_ways > 1 else slice(None)
            stack, head = self.stacks[k % len(self.stacks)], self.heads[k]
            x = values[own]
            if len(x):
                rows[own], slopes = _forward(stack, head, x)
                if gradient is not None:
                    gradient[own] = _backward(stack, head[0][0], slopes)
        return rows


def plain_networks(module: AtomicNetworks, n_atoms: int) -> PlainNetworks | None:
    """Give the networks without torch, where they exist and are faster.

    Parameters
    ----------
    module : AtomicNetworks
    n_atoms : int

    Returns
    -------
    networks : PlainNetworks or None
        None for many atoms, weights that are not in float64 in the memory of the
        processor, normalised layers, activations without a rule here, outputs that are
        made positive, and dropout that was drawn for good.
    """
    if n_atoms > ATOMS_WORTH_TORCH:
        return None
    known = _KNOWN.get(module)
    if known is None or not known.is_current():
        if not is_plain(module):
            return None
        known = _KNOWN[module] = PlainNetworks(module)
    return known


def is_plain(module: AtomicNetworks) -> bool:
    """Whether there is a rule for every layer, and its weights can be shared."""
    return (
        not module.n_spreads
        and all(
            p.dtype == float64 and p.device.type == "cpu" for p in module.parameters()
        )
        and all(_has_rule(layer) for stack in module.stacks for layer in stack)
    )


def _has_rule(layer: Layer) -> bool:
    _, defaults = ACTIVATIONS.get(type(layer.activation), (None, None))
    return (
        defaults is not None
        and all(getattr(layer.activation, n) == v for n, v in defaults.items())
        and layer.norm is None
        and (layer.dropout is None or isinstance(layer.dropout, Dropout))
    )


def _dense(layer: Layer) -> Dense:
    weight, bias = _array(layer.linear.weight), _array(layer.linear.bias)
    return Dense(weight, bias, ACTIVATIONS[type(layer.activation)][0], layer.shortcut)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _forward(stack: list[Dense], head: tuple, x: np.ndarray) -> tuple:
    """Give what atoms of one element contribute, and the slopes of all activations."""
    slopes = []
    for layer in stack:
        z = x @ layer.weight.T
        z += layer.bias
        a, slope = layer.activation(z)
        x = x + a if layer.shortcut else a
        slopes.append(slope)
    weight, bias = head
    return x @ weight.T + bias, slopes


def _backward(stack: list[Dense], g: np.ndarray, slopes: list) -> np.ndarray:
    """Carry the gradient by what enters the head, (n_units,), back to the features."""
    for layer, slope in zip(reversed(stack), reversed(slopes)):
        back = (g * slope) @ layer.weight
        g = back + g if layer.shortcut else back
    return g


_KNOWN: WeakKeyDictionary[AtomicNetworks, PlainNetworks] = WeakKeyDictionary()
