"""Modules of structures as they are trained, and evaluated in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from skatom._training.spreads import positive_spreads
from skatom.models._message_passing.graphs import GraphBatch
from skatom.neighbors import NeighborPairs


class StructureModule(nn.Module):
    """Module of an architecture, in the dtype of training.

    Parameters
    ----------
    architecture : callable
        Makes the module from ``seed`` and ``params``.
    params : dict
    seed : int
    dtype : torch.dtype
    n_spreads : int
        How many of the outputs, the last ones, are made positive.
    spread_unit : float
        Root of what these are at first, about.
    """

    def __init__(
        self,
        architecture: Callable,
        params: dict,
        seed: int,
        dtype,
        n_spreads: int = 0,
        spread_unit: float = 1.0,
    ):
        super().__init__()
        self.inner = architecture(seed=seed, **params).to(dtype)
        self.n_outputs = params["n_outputs"]
        self.n_spreads, self.spread_unit = n_spreads, spread_unit

    def forward(self, batch: GraphBatch) -> torch.Tensor:
        """Give what atoms contribute, (n_atoms, n_outputs)."""
        out = self.inner(batch)
        out = out[:, None] if out.ndim == 1 else out
        if self.n_outputs > 1 and out.shape[1] != self.n_outputs:
            raise ValueError(
                f"{type(self.inner).__name__} gives {out.shape[1]} numbers an atom, but "
                f"this loss needs {self.n_outputs} in all, those of y first: "
                "make as many as the argument n_outputs says."
            )
        return positive_spreads(out, self.n_spreads, self.spread_unit)

    def latent(self, batch: GraphBatch) -> torch.Tensor:
        """Give what the last, linear layer sees, (n_atoms, n_latent)."""
        if not hasattr(self.inner, "latent"):
            raise TypeError(
                f"The module {type(self.inner).__name__} of MessagePassingRegressor does "
                "not say what its last, linear layer sees: define latent(batch), shape "
                "(n_atoms, n_latent), for error bars that look at it."
            )
        return self.inner.latent(batch)


def contributions(
    module: StructureModule,
    pairs: NeighborPairs,
    offsets: np.ndarray,
    *,
    differentiates: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evaluate what atoms contribute, and forces and virials of a single output.

    Parameters
    ----------
    module : StructureModule
    pairs : NeighborPairs
        All within the radius of the module.
    offsets : ndarray of int64, shape (n_structures + 1,)
    differentiates : bool
        Whether forces and virials are wanted.

    Returns
    -------
    contributions : ndarray of shape (n_atoms, n_outputs)
    forces : ndarray of shape (n_atoms or 0, 3)
    virials : ndarray of shape (n_structures or 0, 3, 3)
    """
    batch = GraphBatch.of(pairs, offsets, torch.float64, has_virials=True)
    if not differentiates:
        with torch.no_grad():
            return module(batch).numpy(), np.zeros((0, 3)), np.zeros((0, 3, 3))
    with torch.enable_grad():
        batch = replace(batch, vectors=batch.vectors.requires_grad_(True))
        atoms = module(batch)
        gradient = torch.autograd.grad(atoms[:, 0].sum(), batch.vectors)[0]
    forces, virials = batch.forces(gradient)
    return atoms.detach().numpy(), forces.numpy(), virials.numpy()


def latent(
    module: StructureModule, pairs: NeighborPairs, offsets: np.ndarray
) -> np.ndarray:
    """Give what the last, linear layer of a module sees, (n_atoms, n_latent)."""
    with torch.no_grad():
        return module.latent(GraphBatch.of(pairs, offsets, torch.float64)).numpy()


def latent_forces(
    module: StructureModule, pairs: NeighborPairs, offsets: np.ndarray
) -> np.ndarray:
    """Differentiate the latent features of structures, one backward pass for each.

    Parameters
    ----------
    module : StructureModule
    pairs : NeighborPairs
    offsets : ndarray of int64, shape (n_structures + 1,)

    Returns
    -------
    forces : ndarray of shape (n_atoms, 3, n_latent)
        Minus the derivatives of sums over structures by positions.
    """
    batch = GraphBatch.of(pairs, offsets, torch.float64)
    with torch.enable_grad():
        batch = replace(batch, vectors=batch.vectors.requires_grad_(True))
        sums = module.latent(batch).sum(0)
        forces = [
            batch.forces(
                torch.autograd.grad(
                    one, batch.vectors, retain_graph=True, materialize_grads=True
                )[0]
            )[0]
            for one in sums
        ]
    return torch.stack(forces, dim=2).numpy()
