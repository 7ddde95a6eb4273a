"""Sums over neighbours as differentiable functions, to any order.

A sum over neighbours is the derivative of a form that is linear in three things: the
cotangent g of the atoms' result, the features x of the neighbours and the filter w of the
pairs. With

    even:  t(g, x, w) = sum_p w_p (g_i x_j + g_j x_i)
    odd:   t(g, x, v) = sum_p v_p . (g_i x_j - g_j x_i)

the derivative by one argument is bilinear in the other two, and the derivative of that is
again one of the three: they are closed under differentiation. So training on forces, which
differentiates twice, costs a few passes over the pairs and stores nothing per pair.

On the CPU they are compiled loops that read every pair once; elsewhere, torch's own
gathers and scatters.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skatom.models._message_passing import pair_loops

# The device whose memory compiled loops can read.
COMPILED_ON = "cpu"


class Pairs:
    """Unordered pairs of atoms.

    Parameters
    ----------
    first, second : Tensor of int64, shape (n_pairs,)
    n_atoms : int
    """

    def __init__(self, first: Tensor, second: Tensor, n_atoms: int):
        self.first = first
        self.second = second
        self.n_atoms = n_atoms

    def sum_even(self, x: Tensor, w: Tensor) -> Tensor:
        """Sum w_ij x_j over neighbours, where w_ij = w_ji.

        Parameters
        ----------
        x : Tensor of shape (n_atoms, n_components, n_channels)
        w : Tensor of shape (n_pairs, n_channels)

        Returns
        -------
        sums : Tensor of shape (n_atoms, n_components, n_channels)
        """
        return EvenAtoms.apply(x, w, self)

    def sum_odd(self, x: Tensor, v: Tensor) -> Tensor:
        """Sum v_ij x_j over neighbours, where v_ij = -v_ji is a vector.

        Parameters
        ----------
        x : Tensor of shape (n_atoms, n_channels)
        v : Tensor of shape (n_pairs, 3, n_channels)

        Returns
        -------
        sums : Tensor of shape (n_atoms, 3, n_channels)
        """
        return OddVectors.apply(x, v, self)

    def run(self, loop, a: Tensor, b: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Run a compiled loop over the pairs."""
        out = a.new_zeros(shape)
        loop(
            self.first.numpy(),
            self.second.numpy(),
            a.detach().contiguous().numpy(),
            b.detach().contiguous().numpy(),
            out.numpy(),
        )
        return out

    def scatter(self, to_first: Tensor, to_second: Tensor) -> Tensor:
        """Add what pairs give to their two atoms."""
        out = to_first.new_zeros((self.n_atoms, *to_first.shape[1:]))
        return out.index_add(0, self.first, to_first).index_add(
            0, self.second, to_second
        )


class EvenAtoms(torch.autograd.Function):
    """Derivative of the even form by g (or, which is the same, by x)."""

    @staticmethod
    def forward(ctx, x, w, pairs):
        """Sum w x over neighbours."""
        ctx.save_for_backward(x, w)
        ctx.pairs = pairs
        if x.device.type == COMPILED_ON:
            return pairs.run(pair_loops.gather_symmetric, x, w, x.shape)
        w = w[:, None]
        return pairs.scatter(w * x[pairs.second], w * x[pairs.first])

    @staticmethod
    def backward(ctx, g):
        """Give the derivatives by x and w."""
        x, w = ctx.saved_tensors
        by_x = EvenAtoms.apply(g, w, ctx.pairs) if ctx.needs_input_grad[0] else None
        by_w = EvenPairs.apply(g, x, ctx.pairs) if ctx.needs_input_grad[1] else None
        return by_x, by_w, None


class EvenPairs(torch.autograd.Function):
    """Derivative of the even form by w."""

    @staticmethod
    def forward(ctx, g, x, pairs):
        """Multiply the two ends of every pair."""
        ctx.save_for_backward(g, x)
        ctx.pairs = pairs
        if g.device.type == COMPILED_ON:
            shape = (len(pairs.first), x.shape[2])
            return pairs.run(pair_loops.pair_symmetric, g, x, shape)
        i, j = pairs.first, pairs.second
        return (g[i] * x[j] + g[j] * x[i]).sum(1)

    @staticmethod
    def backward(ctx, w):
        """Give the derivatives by g and x."""
        g, x = ctx.saved_tensors
        by_g = EvenAtoms.apply(x, w, ctx.pairs) if ctx.needs_input_grad[0] else None
        by_x = EvenAtoms.apply(g, w, ctx.pairs) if ctx.needs_input_grad[1] else None
        return by_g, by_x, None


class OddVectors(torch.autograd.Function):
    """Derivative of the odd form by g: a vector an atom."""

    @staticmethod
    def forward(ctx, x, v, pairs):
        """Sum v x over neighbours."""
        ctx.save_for_backward(x, v)
        ctx.pairs = pairs
        if x.device.type == COMPILED_ON:
            shape = (pairs.n_atoms, 3, x.shape[1])
            return pairs.run(pair_loops.gather_odd, x, v, shape)
        x = x[:, None]
        return pairs.scatter(v * x[pairs.second], -v * x[pairs.first])

    @staticmethod
    def backward(ctx, g):
        """Give the derivatives by x and v."""
        x, v = ctx.saved_tensors
        by_x = OddScalars.apply(g, v, ctx.pairs) if ctx.needs_input_grad[0] else None
        by_v = OddPairs.apply(g, x, ctx.pairs) if ctx.needs_input_grad[1] else None
        return by_x, by_v, None


class OddScalars(torch.autograd.Function):
    """Derivative of the odd form by x: a number an atom."""

    @staticmethod
    def forward(ctx, g, v, pairs):
        """Sum v . g over neighbours."""
        ctx.save_for_backward(g, v)
        ctx.pairs = pairs
        if g.device.type == COMPILED_ON:
            shape = (pairs.n_atoms, g.shape[2])
            return pairs.run(pair_loops.contract_odd, g, v, shape)
        i, j = pairs.first, pairs.second
        return pairs.scatter(-(v * g[j]).sum(1), (v * g[i]).sum(1))

    @staticmethod
    def backward(ctx, x):
        """Give the derivatives by g and v."""
        g, v = ctx.saved_tensors
        by_g = OddVectors.apply(x, v, ctx.pairs) if ctx.needs_input_grad[0] else None
        by_v = OddPairs.apply(g, x, ctx.pairs) if ctx.needs_input_grad[1] else None
        return by_g, by_v, None


class OddPairs(torch.autograd.Function):
    """Derivative of the odd form by v: a vector a pair."""

    @staticmethod
    def forward(ctx, g, x, pairs):
        """Multiply the two ends of every pair."""
        ctx.save_for_backward(g, x)
        ctx.pairs = pairs
        if g.device.type == COMPILED_ON:
            shape = (len(pairs.first), 3, x.shape[1])
            return pairs.run(pair_loops.pair_odd, g, x, shape)
        i, j = pairs.first, pairs.second
        return g[i] * x[j][:, None] - g[j] * x[i][:, None]

    @staticmethod
    def backward(ctx, v):
        """Give the derivatives by g and x."""
        g, x = ctx.saved_tensors
        by_g = OddVectors.apply(x, v, ctx.pairs) if ctx.needs_input_grad[0] else None
        by_x = OddScalars.apply(g, v, ctx.pairs) if ctx.needs_input_grad[1] else None
        return by_g, by_x, None
