"""Plain torch modules: one small network an element, and the loss they are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

ACTIVATIONS = {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
}


class Prediction(NamedTuple):
    """What a network says about a batch, in units of the scale of training.

    Attributes
    ----------
    energies : Tensor of shape (n_structures,)
    forces : Tensor of shape (n_atoms, 3) or None
    virials : Tensor of shape (n_structures, 3, 3) or None
    """

    energies: Tensor
    forces: Tensor | None = None
    virials: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Targets:
    """What the prediction of a batch is compared with.

    The weights hold zero where a label is missing, and otherwise one over the number of
    entries that the structure contributes, so that the loss is a mean over structures.

    Attributes
    ----------
    energies : Tensor of shape (n_structures,)
    energy_weights : Tensor of shape (n_structures,)
    forces : Tensor of shape (n_atoms, 3) or None
    force_weights : Tensor of shape (n_atoms,) or None
    virials : Tensor of shape (n_structures, 3, 3) or None
    virial_weights : Tensor of shape (n_structures,) or None
    """

    energies: Tensor
    energy_weights: Tensor
    forces: Tensor | None = None
    force_weights: Tensor | None = None
    virials: Tensor | None = None
    virial_weights: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.energies)


class AtomicNetworks(nn.Module):
    """A feed-forward network for every element, from features to atomic energy [1]_.

    Parameters
    ----------
    n_features : int
        Number of features of an atom.
    n_elements : int
        Number of networks.
    hidden_layers : sequence of int
        Widths of the hidden layers.
    activation : str
        Key of ``ACTIVATIONS``. All are smooth, so that forces are continuous.
    seed : int
        Seed of the initial weights. The global generator of torch is left alone.
    dtype : torch.dtype

    References
    ----------
    .. [1] J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007),
       doi:10.1103/PhysRevLett.98.146401.
    """

    def __init__(self, n_features, n_elements, hidden_layers, activation, seed, dtype):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.networks = nn.ModuleList(
            _network(n_features, hidden_layers, activation, generator, dtype)
            for _ in range(n_elements)
        )

    def forward(self, values: Tensor, sizes: list[int]) -> Tensor:
        """Give the energies of atoms that are sorted by element.

        Parameters
        ----------
        values : Tensor of shape (n_atoms, n_features)
        sizes : list of int
            Number of atoms of each element.

        Returns
        -------
        energies : Tensor of shape (n_atoms,)
        """
        rows = values.split(sizes)
        energies = [net(x) for net, x in zip(self.networks, rows) if len(x)]
        return torch.cat(energies).squeeze(1) if energies else values.sum(1)

    def latent(self, values: Tensor, sizes: list[int]) -> Tensor:
        """Give what enters the last, linear layers, each network in its own columns.

        Parameters
        ----------
        values : Tensor of shape (n_atoms, n_features)
        sizes : list of int
            Number of atoms of each element.

        Returns
        -------
        latent : Tensor of shape (n_atoms, n_elements * n_last)
        """
        n_last = self.networks[0][-1].in_features
        out = values.new_zeros(len(values), len(self.networks) * n_last)
        row = 0
        for k, (net, x) in enumerate(zip(self.networks, values.split(sizes))):
            columns = slice(k * n_last, (k + 1) * n_last)
            out[row : row + len(x), columns] = net[:-1](x)
            row += len(x)
        return out


class WeightedLoss(nn.Module):
    """Mean squared error of energies, forces and virials.

    For one structure of N atoms, in units of the scale of training,

        w_E (dE)^2 / N + w_F |dF|^2 / (3 N) + w_S |dW|^2 / (9 N)

    with W the virial (stress times volume). Energy and virial are extensive sums of N
    atomic errors, so their squares grow with N.

    Parameters
    ----------
    energy_weight, force_weight, stress_weight : float
    """

    def __init__(self, energy_weight, force_weight, stress_weight):
        super().__init__()
        self.energy_weight = energy_weight
        self.force_weight = force_weight
        self.stress_weight = stress_weight

    def forward(self, predicted: Prediction, targets: Targets) -> Tensor:
        """Give the loss of a batch, a scalar."""
        square = (predicted.energies - targets.energies).square()
        total = self.energy_weight * (targets.energy_weights @ square)
        if targets.forces is not None:
            square = (predicted.forces - targets.forces).square().sum(1)
            total = total + self.force_weight * (targets.force_weights @ square)
        if targets.virials is not None:
            square = (predicted.virials - targets.virials).square().sum((1, 2))
            total = total + self.stress_weight * (targets.virial_weights @ square)
        return total / len(targets)


def _network(n_features, hidden_layers, activation, generator, dtype) -> nn.Sequential:
    widths = [n_features, *hidden_layers]
    layers: list[nn.Module] = []
    for n_in, n_out in zip(widths[:-1], widths[1:]):
        layers += [_linear(n_in, n_out, generator, dtype), ACTIVATIONS[activation]()]
    layers.append(_linear(widths[-1], 1, generator, dtype))
    return nn.Sequential(*layers)


def _linear(n_in: int, n_out: int, generator, dtype) -> nn.Linear:
    """Glorot's uniform weights [X. Glorot, Y. Bengio, AISTATS 2010, eq. 16], no bias."""
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=dtype)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
