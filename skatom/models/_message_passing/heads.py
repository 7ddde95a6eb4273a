"""Heads: from the representation of an atom to its energy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skatom.models._message_passing.layers import dense


class AtomwiseHead(nn.Module):
    """One small network for all elements, each layer half as wide as the one before.

    Parameters
    ----------
    n_features : int
    n_layers : int
    n_outputs : int
    generator : torch.Generator
    """

    def __init__(self, n_features, n_layers, n_outputs, generator):
        super().__init__()
        widths = [max(1, n_features // 2**k) for k in range(n_layers)]
        hidden: list[nn.Module] = []
        for n_in, n_out in zip(widths[:-1], widths[1:]):
            hidden += [dense(n_in, n_out, generator), nn.SiLU()]
        self.hidden = nn.Sequential(*hidden)
        self.last = dense(widths[-1], n_outputs, generator)

    def latent(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Give what the last, linear layer sees, (n_atoms, n_latent)."""
        return self.hidden(x)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Map (n_atoms, n_features) to contributions (n_atoms, n_outputs)."""
        return self.last(self.latent(x, numbers))


class ElementalHead(nn.Module):
    """A head for every element.

    Parameters
    ----------
    n_features : int
    n_layers : int
    n_outputs : int
    generator : torch.Generator
    numbers : sequence of int
        Atomic numbers of the elements.
    """

    def __init__(self, n_features, n_layers, n_outputs, generator, numbers):
        super().__init__()
        self.numbers = [int(z) for z in numbers]
        self.heads = nn.ModuleList(
            AtomwiseHead(n_features, n_layers, n_outputs, generator)
            for _ in self.numbers
        )

    def latent(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Give what the last, linear layers see, each in columns of its own.

        Columns of other elements are zero, so that one linear function of all of them,
        plus a constant for each element, gives what atoms contribute.
        """
        hidden = self._of_elements(
            numbers, lambda head, m: head.latent(x[m], numbers[m])
        )
        own = numbers[:, None] == numbers.new_tensor(self.numbers)
        return (own[:, :, None] * hidden[:, None, :]).flatten(1)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Map (n_atoms, n_features) to contributions (n_atoms, n_outputs)."""
        return self._of_elements(numbers, lambda head, m: head(x[m], numbers[m]))

    def _of_elements(self, numbers: Tensor, evaluate) -> Tensor:
        places = [torch.nonzero(numbers == z).squeeze(1) for z in self.numbers]
        parts = [evaluate(head, at) for head, at in zip(self.heads, places)]
        order = torch.argsort(torch.cat(places))
        return torch.cat(parts)[order]


def make_head(kind: str, n_features, n_layers, n_outputs, generator, numbers):
    """Make the head of a name: "atomwise" or "elemental"."""
    if kind == "elemental":
        return ElementalHead(n_features, n_layers, n_outputs, generator, numbers)
    return AtomwiseHead(n_features, n_layers, n_outputs, generator)
