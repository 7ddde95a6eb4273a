"""Networks of features, evaluated without torch on copies of its weights.

For the few atoms of a small structure a call of torch costs more than the arithmetic: with
27 atoms of four elements and layers of 64 and 64 units, energies and gradients take torch
about a millisecond and this a fifth of that. Everything is in float64, as networks are
once their training is over, and equal to torch's numbers to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from scipy.special import expit
from torch import float64, nn

from skatom.featurizers._simd.lanes import WIDTH
from skatom.models._feature_network.affine_kernel import affine
from skatom.models._feature_network.element_scaling import ElementScaling
from skatom.models._feature_network.gelu_kernel import TAIL, gelu
from skatom.models._feature_network.modules import AtomicNetworks, Dropout, Layer

# More atoms are faster in torch, which spreads activations over lanes and threads.
# Measured in one thread with 384 features and layers of 64 and 64 units.
ATOMS_WORTH_TORCH = 200

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
    a, slope = np.empty_like(z), np.empty_like(z)
    gelu(z, TAIL, a, slope)
    return a, slope


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


class Maps(NamedTuple):
    """Linear maps at one place in the networks: one for each element, or one for all.

    Attributes
    ----------
    weights : ndarray of shape (n_maps, n_in, n_out)
        The last axis of all four is filled up with zeros to a multiple of eight.
    constants : ndarray of shape (n_maps, n_out)
    back : ndarray of shape (n_maps, n_out, n_in)
        The weights transposed, which carry gradients back.
    zeros : ndarray of shape (n_maps, n_in)
    """

    weights: np.ndarray
    constants: np.ndarray
    back: np.ndarray
    zeros: np.ndarray

    @classmethod
    def of(cls, linears, means=None, gains=None) -> Maps:
        """Copy what torch holds, for inputs that still have to be scaled if asked to."""
        weights = np.stack([one.weight.detach().numpy() for one in linears])
        constants = np.stack([one.bias.detach().numpy() for one in linears])
        if gains is not None:
            weights = weights * gains[:, None, None]
            constants = constants - np.einsum("koi,ki->ko", weights, means)
        back = _filled(weights)
        forth = _filled(weights.transpose(0, 2, 1))
        return cls(forth, _filled(constants), back, np.zeros_like(back[:, 0]))


class Atoms(NamedTuple):
    """Atoms sorted by the network that they go through.

    Attributes
    ----------
    order : ndarray of int64, shape (n_atoms,)
    edges : ndarray of int64, shape (n_elements + 1,)
        First of the sorted atoms of each element, and their number.
    all : ndarray of int64, shape (2,)
        The same where one map serves all.
    elements : ndarray of int64, shape (n_atoms,)
    """

    order: np.ndarray
    edges: np.ndarray
    all: np.ndarray
    elements: np.ndarray


class PlainNetworks:
    """Weights of networks as arrays, for a compiled loop over atoms.

    Parameters
    ----------
    module : AtomicNetworks
        Whose layers `is_plain` accepts.
    scaling : ElementScaling
        Of the features that enter.
    """

    def __init__(self, module: AtomicNetworks, scaling: ElementScaling):
        linears = [m for m in module.modules() if isinstance(m, nn.Linear)]
        self._homes = [
            (m._parameters, name) for m in linears for name in ("weight", "bias")
        ]
        self._read = self._state_of_weights()
        # while these are held, no other weights can come to the same place
        self._held = [parameters[name].detach() for parameters, name in self._homes]
        self.scaling = scaling
        layers = list(zip(*module.stacks))
        self.activations = [ACTIVATIONS[type(one[0].activation)][0] for one in layers]
        self.shortcuts = [one[0].shortcut for one in layers]
        places = [[layer.linear for layer in one] for one in layers]
        first, *others = [*places, list(module.heads)]
        # The first maps do the scaling, unless a shortcut leads round them.
        self._scales_first = self.shortcuts[:1] == [True] or (
            len(scaling.gains) not in (1, len(first))
        )
        scales = () if self._scales_first else (scaling.means, scaling.gains)
        self.maps = [Maps.of(first, *scales), *map(Maps.of, others)]
        self.n_heads, self.n_outputs = len(module.heads), module.n_outputs

    def is_current(self, scaling: ElementScaling) -> bool:
        """Whether torch still has the weights that were read, and has not changed them.

        What is written behind torch's back, by way of ``.data`` or NumPy, is not seen.
        """
        return (
            self.scaling.means is scaling.means
            and self.scaling.gains is scaling.gains
            and self._state_of_weights() == self._read
        )

    def _state_of_weights(self) -> list[tuple[int, int]]:
        """Give where torch keeps its weights, and how often it has written to them."""
        weights = [parameters[name] for parameters, name in self._homes]
        return [(one.data_ptr(), one._version) for one in weights]

    def contributions(self, values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Evaluate what atoms contribute, (n_atoms, n_outputs)."""
        return self._forward(values, numbers, self._sorted(numbers))[0]

    def with_gradient(
        self, values: np.ndarray, numbers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate contributions of atoms, and differentiate the first by the features.

        Returns
        -------
        rows : ndarray of shape (n_atoms, n_outputs)
        gradient : ndarray of shape (n_atoms, n_features)
        """
        atoms = self._sorted(numbers)
        rows, slopes = self._forward(values, numbers, atoms)
        gradient = self._backward(slopes, atoms)[:, : values.shape[1]]
        if self._scales_first:
            gradient = self.scaling.pullback(values, numbers, gradient)
        return rows, gradient

    def _sorted(self, numbers: np.ndarray) -> Atoms:
        n, whole = len(numbers), np.array([0, len(numbers)])
        if self.n_heads == 1:
            return Atoms(np.arange(n), whole, whole, np.zeros(n, dtype=np.int64))
        elements = self.scaling.elements(numbers)
        edges = np.zeros(self.n_heads + 1, dtype=np.int64)
        np.cumsum(np.bincount(elements, minlength=self.n_heads), out=edges[1:])
        return Atoms(np.argsort(elements, kind="stable"), edges, whole, elements)

    def _forward(self, x, numbers: np.ndarray, atoms: Atoms) -> tuple[np.ndarray, list]:
        """Give contributions of atoms, and slopes of activations."""
        if self._scales_first:
            x = _filled(self.scaling.apply(x, numbers))
        x = x if x.flags.carray else x.copy()  # another layout would be compiled anew
        slopes = []
        for maps, shortcut, activation in zip(
            self.maps, self.shortcuts, self.activations
        ):
            a, slope = activation(_mapped(x, maps.weights, maps.constants, atoms))
            x = x + a if shortcut else a
            slopes.append(slope)
        heads = self.maps[-1]
        rows = _mapped(x, heads.weights, heads.constants, atoms)
        return rows[:, : self.n_outputs], slopes

    def _backward(self, slopes: list, atoms: Atoms) -> np.ndarray:
        """Carry the gradient by the first contribution back to what entered."""
        g = self.maps[-1].back[atoms.elements, 0]
        for maps, shortcut, slope in zip(
            self.maps[-2::-1], self.shortcuts[::-1], slopes[::-1]
        ):
            back = _mapped(g * slope, maps.back, maps.zeros, atoms)
            g = back + g if shortcut else back
        return g


def plain_networks(
    module: AtomicNetworks, scaling: ElementScaling, n_atoms: int
) -> PlainNetworks | None:
    """Give the networks without torch, where they exist and are faster.

    Parameters
    ----------
    module : AtomicNetworks
    scaling : ElementScaling
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
    if known is None or not known.is_current(scaling):
        if not is_plain(module):
            return None
        known = _KNOWN[module] = PlainNetworks(module, scaling)
    return known


def is_plain(module: AtomicNetworks) -> bool:
    """Whether there is a rule for every layer, and its weights can be read."""
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


def _mapped(x: np.ndarray, weights, constants, atoms: Atoms) -> np.ndarray:
    """Send every atom through the linear map of its element, or the one of all."""
    out = np.empty((len(x), weights.shape[2]))
    edges = atoms.all if len(weights) == 1 else atoms.edges
    affine(x, atoms.order, edges, weights, constants, out)
    return out


def _filled(array: np.ndarray) -> np.ndarray:
    """Copy an array, its last axis filled up with zeros to a multiple of eight."""
    n = array.shape[-1]
    out = np.zeros((*array.shape[:-1], n + -n % WIDTH))
    out[..., :n] = array
    return out


_KNOWN: WeakKeyDictionary[AtomicNetworks, PlainNetworks] = WeakKeyDictionary()
