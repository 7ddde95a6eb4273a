"""Dense layers with weights drawn from a generator of their own, and stacks of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from skatom._training.activations import make_activation

# Embeddings are tables over atomic numbers, those of the periodic table and more.
N_NUMBERS = 120


def dense(n_in: int, n_out: int, generator, *, bias: bool = True) -> nn.Linear:
    """Make a linear layer with Glorot's uniform weights and no bias at the start."""
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def stack(widths: Sequence[int], name: str, generator) -> nn.Sequential:
    """Make dense layers with an activation between them, none after the last."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip(widths[:-2], widths[1:-1]):
        layers += [dense(n_in, n_out, generator), make_activation(name)]
    layers.append(dense(widths[-2], widths[-1], generator))
    return nn.Sequential(*layers)


def embedding(n_features: int, generator) -> nn.Embedding:
    """Make a table of vectors for atomic numbers."""
    table = nn.utils.skip_init(nn.Embedding, N_NUMBERS, n_features)
    with torch.no_grad():
        table.weight.normal_(generator=generator)
    return table
