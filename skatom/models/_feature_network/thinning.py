"""Networks with some of their hidden units left out for good."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from skatom.models._feature_network.modules import AtomicNetworks, Dropout


class FixedDropout(nn.Module):
    """Leave the same units out for every atom.

    Parameters
    ----------
    factors : Tensor of shape (n_units,)
        Zero, or one over the probability of not being zero.
    """

    def __init__(self, factors: Tensor):
        super().__init__()
        self.register_buffer("factors", factors)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the columns."""
        return x * self.factors


def thinned(module: AtomicNetworks, seed: int) -> AtomicNetworks:
    """Copy networks, with units left out as dropout would in one training step.

    Dropout draws for every atom in training; here one draw serves all atoms, so that the
    result is a smooth function of the features, whose errors add up over a structure.

    Parameters
    ----------
    module : AtomicNetworks
    seed : int
        Of what is left out.

    Returns
    -------
    thinned : AtomicNetworks
    """
    copy = deepcopy(module)
    generator = torch.Generator().manual_seed(seed)
    for layer in copy.modules():
        drop = getattr(layer, "dropout", None)
        if isinstance(drop, Dropout):
            n_units = layer.linear.out_features
            kept = torch.rand(n_units, generator=generator) >= drop.p
            dtype = layer.linear.weight.dtype
            layer.dropout = FixedDropout(kept.to(dtype) / (1 - drop.p))
    return copy.eval()
