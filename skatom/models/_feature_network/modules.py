"""Plain torch modules: from the features of atoms to what they contribute."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skatom._training.activations import make_activation
from skatom._training.spreads import positive_spreads
from skatom.models._feature_network.data import Batch


class AtomicNetworks(nn.Module):
    """Feed-forward networks from features to what an atom contributes.

    Parameters
    ----------
    n_features : int
        Number of features of an atom.
    n_elements : int
        Number of elements.
    n_outputs : int
        Numbers that an atom contributes.
    hidden_layers : sequence of int
        Widths of the hidden layers.
    activations : sequence of str
        Name of the activation of each hidden layer.
    networks : {"per_element", "single", "trunk"}
        A network for every element [1]_, one for all, or one with a linear last layer
        for every element.
    residual, batch_norm : bool
    dropout : float
    initialization : {"xavier", "kaiming"}
    frozen_layers : int
        First hidden layers that training leaves alone.
    seed : int
        Seed of weights and dropout. The global generator of torch is left alone.
    dtype : torch.dtype
    n_spreads : int
        How many of the outputs, the last ones, are positive.
    spread_unit : float
        Root of what these are at first, about.

    References
    ----------
    .. [1] J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007),
       doi:10.1103/PhysRevLett.98.146401.
    """

    def __init__(
        self,
        *,
        n_features,
        n_elements,
        n_outputs,
        hidden_layers,
        activations,
        networks,
        residual,
        batch_norm,
        dropout,
        initialization,
        frozen_layers,
        seed,
        dtype,
        n_spreads=0,
        spread_unit=1.0,
    ):
        super().__init__()
        weights = torch.Generator().manual_seed(seed)
        self.generator = torch.Generator().manual_seed(seed + 1)
        self.n_outputs = n_outputs
        self.n_spreads, self.spread_unit = n_spreads, spread_unit
        self.n_latent = [n_features, *hidden_layers][-1]

        def stack() -> Stack:
            widths = [n_features, *hidden_layers]
            layers = Stack()
            for n_in, n_out, name in zip(widths[:-1], widths[1:], activations):
                linear = _linear(n_in, n_out, weights, dtype, initialization)
                norm = AtomNorm(n_out, dtype=dtype) if batch_norm else None
                drop = Dropout(dropout, self.generator) if dropout else None
                activation = make_activation(name, dtype)
                layers.append(Layer(linear, norm, activation, drop, residual))
            for layer in layers[:frozen_layers]:
                layer.requires_grad_(False)
            return layers

        def head() -> nn.Linear:
            return _linear(self.n_latent, n_outputs, weights, dtype, "xavier")

        n_stacks = n_elements if networks == "per_element" else 1
        n_heads = 1 if networks == "single" else n_elements
        stacks_and_heads = [
            (stack() if k < n_stacks else None, head() if k < n_heads else None)
            for k in range(max(n_stacks, n_heads))
        ]
        self.stacks = nn.ModuleList(s for s, _ in stacks_and_heads if s is not None)
        self.heads = nn.ModuleList(h for _, h in stacks_and_heads if h is not None)

    def forward(self, batch: Batch) -> Tensor:
        """Give what the atoms of a batch contribute.

        Parameters
        ----------
        batch : Batch
            Rows sorted by element.

        Returns
        -------
        contributions : Tensor of shape (n_atoms, n_outputs)
        """
        if len(self.stacks) == len(self.heads):  # one way for every element
            both = [
                lambda x, stack=stack, head=head: head.forward(stack.forward(x))
                for stack, head in zip(self.stacks, self.heads)
            ]
            rows = _each(both, batch.values, batch.sizes, self.n_outputs)
        else:
            rows = _each(self.heads, self._hidden(batch), batch.sizes, self.n_outputs)
        return positive_spreads(rows, self.n_spreads, self.spread_unit)

    def with_latent_sums(
        self, batch: Batch, structure: Tensor, n_structures: int
    ) -> tuple[Tensor, Tensor]:
        """Give contributions, and the latent features summed over structures, at once.

        Parameters
        ----------
        batch : Batch
            Rows sorted by element.
        structure : Tensor of int64, shape (n_atoms,)
            Which structure a row belongs to.
        n_structures : int

        Returns
        -------
        contributions : Tensor of shape (n_atoms, n_outputs)
        sums : Tensor of shape (n_structures, n_heads * n_last)
        """
        hidden = self._hidden(batch)
        n_heads = len(self.heads)
        block = structure * n_heads
        if n_heads > 1:
            block = block + torch.repeat_interleave(
                torch.arange(n_heads), torch.tensor(batch.sizes)
            )
        sums = hidden.new_zeros(n_structures * n_heads, hidden.shape[1])
        sums.index_add_(0, block, hidden)
        rows = _each(self.heads, hidden, batch.sizes, self.n_outputs)
        contributions = positive_spreads(rows, self.n_spreads, self.spread_unit)
        return contributions, sums.reshape(n_structures, -1)

    def latent(self, batch: Batch) -> Tensor:
        """Give what enters the linear heads, each head in columns of its own.

        Parameters
        ----------
        batch : Batch
            Rows sorted by element.

        Returns
        -------
        latent : Tensor of shape (n_atoms, n_heads * n_last)
        """
        hidden = self._hidden(batch)
        if len(self.heads) == 1:
            return hidden
        head = torch.repeat_interleave(
            torch.arange(len(self.heads)), torch.tensor(batch.sizes)
        )
        blocks = nn.functional.one_hot(head, len(self.heads)).to(hidden.dtype)
        return (blocks[:, :, None] * hidden[:, None, :]).flatten(1)

    def _hidden(self, batch: Batch) -> Tensor:
        return _each(self.stacks, batch.values, batch.sizes, self.n_latent)


class Stack(nn.Sequential):
    """Layers one after the other, called without hooks, which cost as much as they do."""

    def forward(self, x: Tensor) -> Tensor:
        """Give what the last layer gives."""
        for layer in self:
            x = layer.forward(x)
        return x


class Layer(nn.Module):
    """A hidden layer: linear map, normalisation, activation, dropout, shortcut.

    Parameters
    ----------
    linear : nn.Linear
    norm : AtomNorm or None
    activation : nn.Module
    dropout : Dropout or None
    residual : bool
        Whether to add the input to the output where both are as wide.
    """

    def __init__(self, linear, norm, activation, dropout, residual):
        super().__init__()
        self.linear = linear
        self.norm = norm
        self.activation = activation
        self.dropout = dropout
        self.shortcut = residual and linear.in_features == linear.out_features

    def forward(self, x: Tensor) -> Tensor:
        """Give the activations, (n_atoms, n_out)."""
        h = self.linear.forward(x)
        if self.norm is not None:
            h = self.norm(h)
        h = self.activation.forward(h)
        if self.dropout is not None:
            h = self.dropout(h)
        return x + h if self.shortcut else h


class Dropout(nn.Module):
    """Dropout that draws from a generator of its own.

    Parameters
    ----------
    p : float
        Probability of a zero.
    generator : torch.Generator
        On the CPU, whatever the device of the input.
    """

    def __init__(self, p: float, generator: torch.Generator):
        super().__init__()
        self.p = p
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries while training."""
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.generator) >= self.p
        return x * kept.to(x.device, x.dtype) / (1 - self.p)


class AtomNorm(nn.BatchNorm1d):
    """Batch normalisation that takes its running statistics where one row has none."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the columns."""
        if self.training and len(x) < 2:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias,
                False, 0.0, self.eps,
            )  # fmt: skip
        return super().forward(x)


def _each(functions, values: Tensor, sizes: list[int], width: int) -> Tensor:
    """Send the rows of every element through its function, or all through one."""
    if len(functions) == 1:
        return functions[0](values)
    rows = values.split(sizes)
    parts = [function(x) for function, x in zip(functions, rows) if len(x)]
    return torch.cat(parts) if parts else values.new_zeros(0, width)


def _linear(
    n_in: int, n_out: int, generator: torch.Generator, dtype, initialization: str
) -> nn.Linear:
    """Linear layer without bias at the start.

    "xavier" is X. Glorot, Y. Bengio, AISTATS 2010, eq. 16; "kaiming" K. He et al., ICCV
    2015, eq. 10.
    """
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=dtype)
    if initialization == "xavier":
        nn.init.xavier_uniform_(layer.weight, generator=generator)
    else:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
