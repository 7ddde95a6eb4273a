"""PaiNN: messages that carry vectors, equivariant under rotation.

References
----------
K. T. Schuett, O. T. Unke, M. Gastegger, ICML 2021, arXiv:2102.03150.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skatom.models._message_passing.graphs import GraphBatch
from skatom.models._message_passing.heads import make_head
from skatom.models._message_passing.layers import dense, embedding, stack
from skatom.models._message_passing.radial import BASES, CUTOFFS

# Under the root of the norm of a vector, so that its slope at zero is finite.
SMALL = 1e-8


class PaiNN(nn.Module):
    """Scalars and vectors of atoms, refined by their neighbours, to atomic energies.

    Parameters
    ----------
    n_features : int
        Number of scalars, and of vectors, of an atom.
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
        self.n_features = n_features
        self.embedding = embedding(n_features, generator)
        self.basis = BASES[radial_basis](n_basis, r_cut)
        self.cutoff = CUTOFFS[cutoff](r_cut)
        self.filters = dense(n_basis, 3 * n_features * n_interactions, generator)
        self.messages = nn.ModuleList(
            Message(n_features, activation, generator) for _ in range(n_interactions)
        )
        self.updates = nn.ModuleList(
            Update(n_features, activation, generator) for _ in range(n_interactions)
        )
        self.head = make_head(
            head, n_features, n_head_layers, n_outputs, generator, numbers
        )

    def represent(self, batch: GraphBatch) -> Tensor:
        """Describe every atom in its environment by scalars, (n_atoms, n_features)."""
        s = self.embedding(batch.numbers)
        vectors = None  # all zero at the start
        distances = batch.distances()
        directions = (batch.vectors / distances[:, None])[:, :, None]
        filters = self.filters(self.basis(distances))
        filters = filters * self.cutoff(distances)[:, None]
        rounds = zip(
            self.messages, self.updates, filters.split(3 * self.n_features, dim=1)
        )
        for message, update, w in rounds:
            ds, dv = message(s, vectors, w, directions, batch)
            s = s + ds
            vectors = dv if vectors is None else vectors + dv
            ds, dv = update(s, vectors)
            s, vectors = s + ds, vectors + dv
        return s

    def latent(self, batch: GraphBatch) -> Tensor:
        """Give what the last, linear layer sees, (n_atoms, n_latent)."""
        return self.head.latent(self.represent(batch), batch.numbers)

    def forward(self, batch: GraphBatch) -> Tensor:
        """Give what atoms contribute, (n_atoms, n_outputs)."""
        return self.head(self.represent(batch), batch.numbers)


class Message(nn.Module):
    """Message of the neighbours: scalars, directions and vectors (eq. 7, 8)."""

    def __init__(self, n_features, activation, generator):
        super().__init__()
        self.n_features = n_features
        widths = [n_features, n_features, 3 * n_features]
        self.context = stack(widths, activation, generator)

    def forward(self, s, vectors, w, directions, batch: GraphBatch):
        """Give the changes of scalars (n_atoms, n) and vectors (n_atoms, 3, n)."""
        n = self.n_features
        x_scalar, x_direction, x_vector = self.context(s).split(n, dim=1)
        w_scalar, w_direction, w_vector = w.split(n, dim=1)
        ds = batch.pairs.sum_even(x_scalar[:, None], w_scalar).squeeze(1)
        dv = batch.pairs.sum_odd(x_direction, w_direction[:, None] * directions)
        if vectors is not None:
            dv = dv + batch.pairs.sum_even(x_vector[:, None] * vectors, w_vector)
        return ds, dv


class Update(nn.Module):
    """Update of an atom by its own scalars and vectors (eq. 9, 10)."""

    def __init__(self, n_features, activation, generator):
        super().__init__()
        self.n_features = n_features
        self.mix = dense(n_features, 2 * n_features, generator, bias=False)
        widths = [2 * n_features, n_features, 3 * n_features]
        self.context = stack(widths, activation, generator)

    def forward(self, s, vectors):
        """Give the changes of scalars (n_atoms, n) and vectors (n_atoms, 3, n)."""
        n = self.n_features
        left, right = self.mix(vectors).split(n, dim=2)
        norms = (left.square().sum(1) + SMALL).sqrt()
        a_scalar, a_vector, a_product = self.context(torch.cat([s, norms], 1)).split(
            n, dim=1
        )
        ds = a_scalar + a_product * (left * right).sum(1)
        return ds, a_vector[:, None] * right
