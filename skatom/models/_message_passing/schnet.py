"""SchNet: continuous-filter convolutions over neighbours.

References
----------
K. T. Schuett, H. E. Sauceda, P.-J. Kindermans, A. Tkatchenko, K.-R. Mueller, J. Chem.
Phys. 148, 241722 (2018), doi:10.1063/1.5019779.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skatom.models._message_passing.graphs import GraphBatch
from skatom.models._message_passing.heads import make_head
from skatom.models._message_passing.layers import dense, embedding, stack
from skatom.models._message_passing.radial import BASES, CUTOFFS


class SchNet(nn.Module):
    """Embeddings of elements, refined by their neighbours, to atomic energies.

    Parameters
    ----------
    n_features : int
        Width of the representation of an atom.
    n_filters : int or None
        Width of the convolutions; None is `n_features`.
    n_interactions : int
        Number of rounds in which neighbours are looked at.
    n_basis : int
        Number of radial functions.
    r_cut : float
        In Å.
    radial_basis, cutoff : str
        Keys of `BASES` and `CUTOFFS`.
    activation : str
    head : {"atomwise", "elemental"}
    n_head_layers : int
    numbers : sequence of int
        Atomic numbers of the training structures.
    n_outputs : int
        Number of contributions of an atom.
    seed : int
        Of the weights; the global generator of torch is left alone.
    """

    def __init__(
        self,
        n_features,
        n_filters,
        n_interactions,
        n_basis,
        r_cut,
        radial_basis,
        cutoff,
        activation,
        head,
        n_head_layers,
        numbers,
        n_outputs,
        seed,
    ):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embedding = embedding(n_features, generator)
        self.basis = BASES[radial_basis](n_basis, r_cut)
        self.cutoff = CUTOFFS[cutoff](r_cut)
        self.interactions = nn.ModuleList(
            Interaction(
                n_features, n_filters or n_features, n_basis, activation, generator
            )
            for _ in range(n_interactions)
        )
        self.head = make_head(
            head, n_features, n_head_layers, n_outputs, generator, numbers
        )

    def represent(self, batch: GraphBatch) -> Tensor:
        """Describe every atom in its environment, (n_atoms, n_features)."""
        x = self.embedding(batch.numbers)
        distances = batch.distances()
        basis, cutoff = self.basis(distances), self.cutoff(distances)[:, None]
        for interaction in self.interactions:
            x = x + interaction(x, basis, cutoff, batch)
        return x

    def latent(self, batch: GraphBatch) -> Tensor:
        """Give what the last, linear layer sees, (n_atoms, n_latent)."""
        return self.head.latent(self.represent(batch), batch.numbers)

    def forward(self, batch: GraphBatch) -> Tensor:
        """Give what atoms contribute, (n_atoms, n_outputs)."""
        return self.head(self.represent(batch), batch.numbers)


class Interaction(nn.Module):
    """One convolution with filters that a network makes from distances (fig. 2)."""

    def __init__(self, n_features, n_filters, n_basis, activation, generator):
        super().__init__()
        self.inward = dense(n_features, n_filters, generator, bias=False)
        self.filters = stack([n_basis, n_filters, n_filters], activation, generator)
        self.outward = stack([n_filters, n_features, n_features], activation, generator)

    def forward(
        self, x: Tensor, basis: Tensor, cutoff: Tensor, batch: GraphBatch
    ) -> Tensor:
        """Give the change of the representation, (n_atoms, n_features)."""
        filters = self.filters(basis) * cutoff
        sums = batch.pairs.sum_even(self.inward(x)[:, None], filters)
        return self.outward(sums.squeeze(1))
