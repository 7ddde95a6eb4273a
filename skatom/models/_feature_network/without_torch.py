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
    """A hidden layer of all elements, or of one network that serves all.

    Weights have shape (n_out, n_in). With a shortcut the input is added to the output.
    """

    weights: list[np.ndarray]
    biases: list[np.ndarray]
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
        self.layers = [_dense(layers) for layers in zip(*module.stacks)]
        self.heads = [_array(head.weight) for head in module.heads]
        self.constants = [_array(head.bias) for head in module.heads]

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
        order, blocks = self._sorted(elements)
        rows = np.empty((len(values), len(self.constants[0])))
        rows[order] = self._forward(values[order], blocks)[0]
        return rows

    def with_gradient(
        self, values: np.ndarray, elements: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate contributions of atoms, and differentiate the first by the features.

        Returns
        -------
        rows : ndarray of shape (n_atoms, n_outputs)
        gradient : ndarray of shape (n_atoms, n_features)
        """
        order, blocks = self._sorted(elements)
        rows = np.empty((len(values), len(self.constants[0])))
        gradient = np.empty_like(values)
        rows[order], slopes = self._forward(values[order], blocks)
        gradient[order] = self._backward(slopes, blocks)
        return rows, gradient

    def _sorted(self, elements: np.ndarray) -> tuple:
        """Sort atoms by element; give the order, and element, first and last row of each.

        Atoms that all go through one network are left as they are.
        """
        if len(self.heads) == 1:
            return slice(None), [(0, 0, len(elements))] if len(elements) else []
        order = np.argsort(elements, kind="stable")
        edges = np.cumsum(np.bincount(elements)).tolist()
        blocks = zip(range(len(edges)), [0, *edges], edges)
        return order, [block for block in blocks if block[1] < block[2]]

    def _forward(self, x: np.ndarray, blocks: list) -> tuple[np.ndarray, list]:
        """Give contributions of atoms sorted by element, and slopes of activations."""
        slopes = []
        for layer in self.layers:
            z = _affine(x, layer.weights, layer.biases, blocks)
            a, slope = layer.activation(z)
            x = x + a if layer.shortcut else a
            slopes.append(slope)
        return _affine(x, self.heads, self.constants, blocks), slopes

    def _backward(self, slopes: list, blocks: list) -> np.ndarray:
        """Carry the gradient by the first contribution back to the features."""
        g = np.empty((blocks[-1][2] if blocks else 0, self.heads[0].shape[1]))
        for k, start, stop in blocks:
            g[start:stop] = self.heads[k % len(self.heads)][0]
        for layer, slope in zip(reversed(self.layers), reversed(slopes)):
            weights, g_z = layer.weights, g * slope
            back = np.empty((len(g), weights[0].shape[1]))
            for k, start, stop in blocks:
                np.dot(g_z[start:stop], weights[k % len(weights)], out=back[start:stop])
            g = back + g if layer.shortcut else back
        return g


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
        and all(
            len({type(one.activation) for one in layers}) == 1
            for layers in zip(*module.stacks)
        )
    )


def _has_rule(layer: Layer) -> bool:
    _, defaults = ACTIVATIONS.get(type(layer.activation), (None, None))
    return (
        defaults is not None
        and all(getattr(layer.activation, n) == v for n, v in defaults.items())
        and layer.norm is None
        and (layer.dropout is None or isinstance(layer.dropout, Dropout))
    )


def _dense(layers: tuple[Layer, ...]) -> Dense:
    """Read the layers that networks of different elements have at one place."""
    weights = [_array(layer.linear.weight) for layer in layers]
    biases = [_array(layer.linear.bias) for layer in layers]
    activation = ACTIVATIONS[type(layers[0].activation)][0]
    return Dense(weights, biases, activation, layers[0].shortcut)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _affine(x: np.ndarray, weights: list, biases: list, blocks: list) -> np.ndarray:
    """Send the rows of every element through its linear map, or all through one."""
    z = np.empty((len(x), len(biases[0])))
    for k, start, stop in blocks:
        rows, k = z[start:stop], k % len(weights)
        np.dot(x[start:stop], weights[k].T, out=rows)
        rows += biases[k]
    return z


_KNOWN: WeakKeyDictionary[AtomicNetworks, PlainNetworks] = WeakKeyDictionary()
