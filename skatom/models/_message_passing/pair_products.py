"""Sums over neighbours as differentiable functions, to any order.

A sum over neighbours is the derivative of a form that is linear in three things: the
cotangent g of the atoms' result, the features x of the neighbours and the filter w of the
pairs. With

    even:  t(g, x, w) = sum_p w_p (g_i x_j + g_j x_i)
    odd:   t(g, x, v) = sum_p v_p . (g_i x_j - g_j x_i)

the derivative by one argument is bilinear in the other two, and the derivative of that is
again one of the three: they are closed under differentiation, and one autograd function
serves them all. So training on forces, which differentiates twice, costs a few passes over
the pairs and stores nothing per pair.

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
        return Derivative.apply(EVEN, 0, x, w, self)

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
        return Derivative.apply(ODD, 0, x, v, self)

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


def even_by_atoms(pairs: Pairs, x: Tensor, w: Tensor) -> Tensor:
    """Sum w x over neighbours: the even form by g or, which is the same, by x."""
    if x.device.type == COMPILED_ON:
        return pairs.run(pair_loops.gather_symmetric, x, w, x.shape)
    w = w[:, None]
    return pairs.scatter(w * x[pairs.second], w * x[pairs.first])


def even_by_pairs(pairs: Pairs, g: Tensor, x: Tensor) -> Tensor:
    """Multiply the two ends of every pair: the even form by w."""
    if g.device.type == COMPILED_ON:
        shape = (len(pairs.first), x.shape[2])
        return pairs.run(pair_loops.pair_symmetric, g, x, shape)
    i, j = pairs.first, pairs.second
    return (g[i] * x[j] + g[j] * x[i]).sum(1)


def odd_by_vectors(pairs: Pairs, x: Tensor, v: Tensor) -> Tensor:
    """Sum v x over neighbours: the odd form by g, a vector an atom."""
    if x.device.type == COMPILED_ON:
        shape = (pairs.n_atoms, 3, x.shape[1])
        return pairs.run(pair_loops.gather_odd, x, v, shape)
    x = x[:, None]
    return pairs.scatter(v * x[pairs.second], -v * x[pairs.first])


def odd_by_scalars(pairs: Pairs, g: Tensor, v: Tensor) -> Tensor:
    """Sum v . g over neighbours: the odd form by x, a number an atom."""
    if g.device.type == COMPILED_ON:
        shape = (pairs.n_atoms, g.shape[2])
        return pairs.run(pair_loops.contract_odd, g, v, shape)
    i, j = pairs.first, pairs.second
    return pairs.scatter(-(v * g[j]).sum(1), (v * g[i]).sum(1))


def odd_by_pairs(pairs: Pairs, g: Tensor, x: Tensor) -> Tensor:
    """Multiply the two ends of every pair: the odd form by v, a vector a pair."""
    if g.device.type == COMPILED_ON:
        shape = (len(pairs.first), 3, x.shape[1])
        return pairs.run(pair_loops.pair_odd, g, x, shape)
    i, j = pairs.first, pairs.second
    return g[i] * x[j][:, None] - g[j] * x[i][:, None]


# Derivatives of the forms by g, x and the filter, as functions of the other two.
EVEN = (even_by_atoms, even_by_atoms, even_by_pairs)
ODD = (odd_by_vectors, odd_by_scalars, odd_by_pairs)


class Derivative(torch.autograd.Function):
    """Derivative of a form by one of its three arguments, a function of the others."""

    @staticmethod
    def forward(ctx, form, by, a, b, pairs):
        """Give the derivative by argument number `by`; a and b are the others in order."""
        ctx.save_for_backward(a, b)
        ctx.form, ctx.by, ctx.pairs = form, by, pairs
        return form[by](pairs, a, b)

    @staticmethod
    def backward(ctx, c):
        """Give the derivatives by a and b, which are derivatives of the form again."""
        arguments = list(ctx.saved_tensors)
        arguments.insert(ctx.by, c)
        found = []
        for k in (k for k in range(3) if k != ctx.by):
            if ctx.needs_input_grad[2 + len(found)]:
                others = arguments[:k] + arguments[k + 1 :]
                found.append(Derivative.apply(ctx.form, k, *others, ctx.pairs))
            else:
                found.append(None)
        return None, None, *found, None
