"""Couplings of elements by gradient, through the closed solution of kernel ridge.

Kernel ridge is solved on one part of the structures and judged on the other. Both the
kernel that is solved and the kernel that predicts depend on the couplings, and the
gradient must pass through the solution too: with the part to be solved held fixed, training
is unstable.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import torch

from skatom._runtime.progress import Progress
from skatom.elements._channels import SpeciesChannels
from skatom.models._alchemical.pooled import PooledChannels

# log(alpha) and log(gamma) move this much faster than the couplings.
FASTER = 2.5
OPTIMISERS = {
    "adam": torch.optim.Adam,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


class Learned(NamedTuple):
    """What learning gives.

    Attributes
    ----------
    U : ndarray of shape (n_species, n_components)
    alpha, gamma : float
    losses : ndarray of shape (n_steps,)
        Mean squared error on the judged part, over the variance of the targets.
    """

    U: np.ndarray
    alpha: float
    gamma: float
    losses: np.ndarray


class Settings(NamedTuple):
    """How to learn: parameters of the estimator."""

    n_steps: int
    learning_rate: float
    optimiser: str
    optimise_size: float
    penalty: float
    verbose: int


def learn(
    pooled: PooledChannels,
    channels: SpeciesChannels | None,
    y: np.ndarray,
    start: Learned,
    settings: Settings,
    seed: int,
) -> Learned:
    """Minimise the error of kernel ridge on structures that it was not solved for.

    Parameters
    ----------
    pooled : PooledChannels
    channels : SpeciesChannels or None
        None for plain rows, which have no couplings.
    y : ndarray of shape (n_structures,)
        Targets of mean 0 and variance 1.
    start : Learned
        First values.
    settings : Settings
    seed : int
        For the partition, drawn anew in every step.

    Returns
    -------
    learned : Learned
    """
    n = len(y)
    n_judged = min(max(1, round(settings.optimise_size * n)), n - 1)
    tensors = [torch.from_numpy(np.ascontiguousarray(part)) for part in pooled]
    target = torch.from_numpy(y)
    first = torch.from_numpy(start.U.copy())
    U = first.clone().requires_grad_(channels is not None)
    logs = torch.tensor(np.log([start.alpha, start.gamma])).requires_grad_(True)
    groups = [{"params": [logs], "lr": FASTER * settings.learning_rate}]
    if channels is not None:
        groups.append({"params": [U], "lr": settings.learning_rate})
    optimiser = OPTIMISERS[settings.optimiser](groups)
    generator = torch.Generator().manual_seed(seed)
    losses = np.empty(settings.n_steps)
    shown = bool(settings.verbose)
    with Progress(
        "AlchemicalKernelRidge", settings.n_steps, "steps", shown
    ) as progress:
        for step in range(settings.n_steps):
            order = torch.randperm(n, generator=generator)
            features = contract([part[order] for part in tensors], U, channels)
            if channels is not None:  # of atoms; plain rows stay where they are
                length = features.norm(dim=1, keepdim=True)
                features = features / length.clamp_min(1e-300)
            loss = _held_out_error(features, target[order], logs, n_judged)
            losses[step] = float(loss.detach())
            if channels is not None:
                loss = loss + settings.penalty * ((U - first) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            progress.advance(1)
    alpha, gamma = torch.exp(logs.detach()).tolist()
    return Learned(U.detach().numpy().copy(), alpha, gamma, losses)


def contract(pooled, U: torch.Tensor, channels: SpeciesChannels | None) -> torch.Tensor:
    """Contract species to pseudo-elements, as ``SpeciesChannels.matrix`` does.

    Parameters
    ----------
    pooled : sequence of tensors
        The fields of PooledChannels.
    U : tensor of shape (n_species, n_components)
    channels : SpeciesChannels or None

    Returns
    -------
    features : tensor of shape (n_structures, n_new_columns)
    """
    species, singles, pairs, others = pooled
    if channels is None:
        return others
    weights = U[species]  # (n_structures, n_present, n_components)
    out = [torch.einsum("sat,saj->sjt", singles, weights).flatten(1)]
    half = torch.einsum("sabt,saj->sbjt", pairs, weights)
    for j, k in combinations_with_replacement(range(U.shape[1]), 2):
        block = torch.einsum("sbt,sb->st", half[:, :, j], weights[:, :, k])
        if j == k:
            keep = channels.pair_functions(equal=True)
            factor = np.where(channels.counted_once[keep], 0.5, 1.0)
            block = block[:, torch.from_numpy(keep)] * torch.from_numpy(factor)
        out.append(block)
    return torch.cat([*out, others], dim=1)


def _held_out_error(features, y, logs, n_judged: int) -> torch.Tensor:
    """Solve for the first structures and give the mean squared error on the last."""
    n_solved = len(y) - n_judged
    solved = features[:n_solved]
    squares = (features**2).sum(dim=1)
    distances = squares[:, None] + squares[:n_solved] - 2.0 * features @ solved.T
    kernel = torch.exp(-torch.exp(logs[1]) * distances.clamp_min(0.0))
    matrix = kernel[:n_solved] + torch.exp(logs[0]) * torch.eye(
        n_solved, dtype=torch.float64
    )
    factor = torch.linalg.cholesky(matrix)
    weights = torch.cholesky_solve(y[:n_solved, None], factor)[:, 0]
    return ((kernel[n_solved:] @ weights - y[n_solved:]) ** 2).mean()
