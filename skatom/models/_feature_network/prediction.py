"""Evaluate trained networks of features, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from skatom._training.torch_threads import torch_threads
from skatom.models._feature_network.data import Batch
from skatom.models._feature_network.element_scaling import ElementScaling
from skatom.models._feature_network.modules import AtomicNetworks
from skatom.models._feature_network.thinning import thinned
from skatom.models._feature_network.without_torch import plain_networks

__all__ = [
    "contributions",
    "dropped_contributions",
    "latent",
    "latent_pushforward",
    "thinned",
    "with_gradient",
    "with_latent_sums",
]


def contributions(
    module: AtomicNetworks,
    scaling: ElementScaling,
    values: np.ndarray,
    numbers: np.ndarray,
) -> np.ndarray:
    """Evaluate what atoms contribute, (n_atoms, n_outputs), atoms in any order."""
    plain = plain_networks(module, scaling, len(values))
    if plain is not None:
        return plain.contributions(values, numbers)
    values = scaling.apply(values, numbers)
    return _rows(module, module, values, scaling.elements(numbers))


def latent(
    module: AtomicNetworks, values: np.ndarray, elements: np.ndarray
) -> np.ndarray:
    """Evaluate what enters the linear heads, (n_atoms, n_latent)."""
    return _rows(module, module.latent, values, elements)


def with_latent_sums(
    module: AtomicNetworks,
    values: np.ndarray,
    elements: np.ndarray,
    structure: np.ndarray,
    n_structures: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate contributions of atoms, and latent features summed over structures."""
    batch = _batch(module, values, elements)
    owner = torch.empty(len(values), dtype=torch.int64)
    owner[batch.place] = torch.from_numpy(structure)
    n_weights = sum(p.numel() for p in module.parameters())
    with torch.no_grad(), torch_threads(len(values) * n_weights):
        rows, sums = module.with_latent_sums(batch, owner, n_structures)
        return rows[batch.place].numpy(), sums.numpy()


def latent_pushforward(
    module: AtomicNetworks, values: np.ndarray, elements: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """Carry changes v of the values, shape (n_atoms, n_features), to the latent rows."""
    batch = _batch(module, values, elements)
    tangent = torch.empty_like(batch.leaf)
    tangent[batch.place] = torch.from_numpy(np.ascontiguousarray(v, dtype=np.float64))

    def function(leaf):
        return module.latent(batch.with_leaf(leaf))

    # differentiates twice; forward mode imports what takes seconds and is deprecated
    out = torch.autograd.functional.jvp(function, batch.leaf, tangent)[1]
    return out[batch.place].numpy()


def with_gradient(
    module: AtomicNetworks,
    scaling: ElementScaling,
    values: np.ndarray,
    numbers: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate contributions of atoms, and differentiate the first by the features.

    Returns
    -------
    rows : ndarray of shape (n_atoms, n_outputs)
    gradient : ndarray of shape (n_atoms, n_features)
    """
    plain = plain_networks(module, scaling, len(values))
    if plain is not None:
        return plain.with_gradient(values, numbers)
    scaled = scaling.apply(values, numbers)
    batch = _batch(module, scaled, scaling.elements(numbers))
    n_weights = sum(p.numel() for p in module.parameters())
    with torch.enable_grad(), torch_threads(len(values) * n_weights):
        leaf = batch.leaf.requires_grad_(True)
        rows = module(batch.with_leaf(leaf))
        slopes = torch.autograd.grad(rows[:, 0].sum(), leaf)[0]
    slopes = scaling.pullback(values, numbers, slopes[batch.place].numpy())
    return rows.detach()[batch.place].numpy(), slopes


def dropped_contributions(
    module: AtomicNetworks,
    values: np.ndarray,
    elements: np.ndarray,
    n_samples: int,
    seed: int,
) -> np.ndarray:
    """Evaluate with dropout at work, (n_samples, n_atoms, n_outputs).

    Parameters
    ----------
    module : AtomicNetworks
    values : ndarray of shape (n_atoms, n_features)
    elements : ndarray of shape (n_atoms,)
    n_samples : int
        Draws of what is dropped; in each, an atom draws for itself.
    seed : int
    """
    before = module.generator.get_state()
    module.generator.manual_seed(seed)
    drops = [m for m in module.modules() if type(m).__name__ == "Dropout"]
    try:
        for drop in drops:
            drop.train()
        return np.stack(
            [_rows(module, module, values, elements) for _ in range(n_samples)]
        )
    finally:
        module.eval()
        module.generator.set_state(before)


def _rows(
    module: AtomicNetworks,
    function: Callable[[Batch], torch.Tensor],
    values: np.ndarray,
    elements: np.ndarray,
) -> np.ndarray:
    batch = _batch(module, values, elements)
    n_weights = sum(p.numel() for p in module.parameters())
    with torch.no_grad(), torch_threads(len(values) * n_weights):
        return function(batch)[batch.place].numpy()


def _batch(module: AtomicNetworks, values: np.ndarray, elements: np.ndarray) -> Batch:
    n_elements = max(len(module.heads), int(elements.max(initial=0)) + 1)
    sizes = np.array([len(values)])  # one structure: sums are taken elsewhere
    return Batch.build(values, elements, n_elements, sizes)
