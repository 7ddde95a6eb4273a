"""Channels of SOAP: what is added up to them, which are multiplied, and their columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np

from skatom.base import Column


def check_weights(weights, species: Sequence[str]) -> np.ndarray | None:
    """Check species_weights and return them as an array of float64."""
    if weights is None:
        return None
    wanted = (
        f"an array of shape ({len(species)}, n_channels), a row for each of "
        f"{', '.join(species)}"
    )
    try:
        table = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"species_weights must be {wanted}, all numbers.") from None
    if table.ndim != 2 or table.shape[0] != len(species) or table.shape[1] == 0:
        raise ValueError(
            f"species_weights must be {wanted}; its shape is {table.shape}."
        )
    if not np.isfinite(table).all():
        raise ValueError("species_weights must be finite.")
    return table


def coupling(
    weights: np.ndarray | None, compression: str | None, species: Sequence[str]
) -> tuple[list[str], tuple]:
    """Say what the coefficients of each species are added to.

    Parameters
    ----------
    weights : ndarray of shape (n_species, n_channels) or None
    compression : {"mu2", "mu1nu1", "crossover"} or None
    species : sequence of str

    Returns
    -------
    channels : list of str
        Names.
    coupling : tuple
        (starts, channels, weights, n_channels): species a adds to the channels
        ``starts[a]:starts[a + 1]``.
    """
    if weights is None:
        table, names = np.eye(len(species)), list(species)
    else:
        table, names = weights, [f"J{k}" for k in range(weights.shape[1])]
    everything = table.sum(axis=1, keepdims=True)
    if compression == "mu2":
        table, names = everything, ["all"]
    elif compression == "mu1nu1":
        table, names = np.hstack([table, everything]), [*names, "all"]
    rows, columns = np.nonzero(table)
    starts = np.searchsorted(rows, np.arange(len(table) + 1))
    values = np.ascontiguousarray(table[rows, columns])[None, :]
    # np.nonzero gives strided views, and kernels are compiled for contiguous arrays
    return names, (starts, np.ascontiguousarray(columns), values, len(names))


def pair_layout(
    n_channels: int, compression: str | None, n_max: int, l_max: int
) -> np.ndarray:
    """Give the first column of every pair of channels, -1 for pairs that are left out."""
    layout = np.full((n_channels, n_channels), -1, dtype=np.int64)
    first = 0
    for p, q in _pairs(n_channels, compression):
        layout[p, q] = first
        size = n_max * (n_max + 1) // 2 if p == q else n_max * n_max
        first += size * (l_max + 1)
    return layout


def _pairs(n_channels: int, compression: str | None) -> list[tuple[int, int]]:
    if compression == "crossover":
        return [(p, p) for p in range(n_channels)]
    if compression == "mu1nu1":
        return [(p, n_channels - 1) for p in range(n_channels - 1)]
    return list(combinations_with_replacement(range(n_channels), 2))


def spectrum_columns(
    channels: Sequence[str], layout: np.ndarray, n_max: int, l_max: int
) -> list[Column]:
    """Give the columns: channels, order and radial functions, all counted from 0."""
    columns = []
    pairs = np.argwhere(layout >= 0)
    for p, q in pairs[np.argsort(layout[layout >= 0])]:
        species = channels[p], channels[q]
        columns += [
            Column("SOAP", species, (f"l{l}",), (f"n{n}", f"n{k}"))
            for l in range(l_max + 1)
            for n in range(n_max)
            for k in range(n if p == q else 0, n_max)
        ]
    return columns
