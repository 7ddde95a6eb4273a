"""Weighted angular functions that moments do not give: sums of those of ACSF.

A function of one channel is the sum of the same function of ACSF over pairs of elements,
each times the product of their weights. All four functions below take

pairs : tuple of a PairBlock
n_species : int
cut : (r_cut, kind, gamma)
width : number of columns of ACSF
parts : those of ACSF, see `angular_parts`
blocks : list of (columns, at, n_terms)
    Columns of G4 or G5 here, by channel and function; first of those of ACSF, by pair of
    elements and function; number of functions.
weights : array (n_element_pairs, n_channels)
"""

from __future__ import annotations

import numpy as np

from skatom.base import PairBlock
from skatom.featurizers._acsf.grids import angular_parts


def pair_sums(weights, g4, g5, kept, first: int) -> tuple | None:
    """Arrange the sums over pairs of elements; None where there are none.

    Parameters
    ----------
    weights : ndarray of shape (n_species, n_channels)
    g4, g5 : ndarray of shape (n, 3)
        Rows of all angular functions.
    kept : ndarray of bool, shape (n,)
        Rows of g5 that are computed here.
    first : int
        Number of columns in front.

    Returns
    -------
    arguments : (width, parts, blocks, weights) or None
    """
    n_species, n_channels = weights.shape
    a, b = np.triu_indices(n_species)
    blocks, width = [], 0
    for rows, mine in ((g4, np.ones(len(g4), dtype=bool)), (g5, kept)):
        terms = np.flatnonzero(mine)
        if len(terms):
            channels = first + np.arange(n_channels) * len(rows)
            blocks.append((np.add.outer(channels, terms).ravel(), width, len(terms)))
        first, width = first + n_channels * len(rows), width + len(a) * len(terms)
    if not width:
        return None
    parts = angular_parts(g4, g5[kept], n_species, 0)
    return width, parts, blocks, weights[a] * weights[b]


def values(pairs, n_species, cut, width, parts, blocks, weights, out):
    """Add the functions to rows of out."""
    inner = np.zeros((len(out), width))
    for kernels, arguments in _inner_terms(pairs, n_species, cut, parts):
        kernels.values(pairs, *arguments, inner)
    _contract(inner, out, slice(pairs[0], pairs[1]), blocks, weights)


def pullback(pairs, n_species, cut, width, parts, blocks, weights, g, out):
    """Add the pullback to the block's rows of out."""
    inner, rows = np.zeros((len(g), width)), slice(pairs[0], pairs[1])
    n_pairs, n_channels = weights.shape
    for columns, at, n_terms in blocks:
        part = g[rows, columns].reshape(-1, n_channels, n_terms)
        sums = np.einsum("nct,pc->npt", part, weights)
        inner[rows, at : at + n_pairs * n_terms] = sums.reshape(len(part), -1)
    for kernels, arguments in _inner_terms(pairs, n_species, cut, parts):
        kernels.pullback(pairs, *arguments, inner, out)


def pushforward(pairs, n_species, cut, width, parts, blocks, weights, v, out):
    """Add the change of the functions to rows of out."""
    inner = np.zeros((len(out), width))
    for kernels, arguments in _inner_terms(pairs, n_species, cut, parts):
        kernels.pushforward(pairs, *arguments, v, inner)
    _contract(inner, out, slice(pairs[0], pairs[1]), blocks, weights)


def jacobian(pairs, n_species, cut, width, parts, blocks, weights, out):
    """Add the derivatives to the block's rows of out."""
    inner = np.zeros((*out.shape[:2], width))
    for kernels, arguments in _inner_terms(pairs, n_species, cut, parts):
        kernels.jacobian(pairs, *arguments, inner)
    _contract(inner, out, PairBlock(*pairs).rows, blocks, weights)


def _inner_terms(pairs, n_species, cut, parts):
    from skatom.featurizers._acsf.terms import angular_terms

    return angular_terms(PairBlock(*pairs), n_species, cut, parts)


def _contract(inner, out, rows: slice, blocks, weights) -> None:
    """Add weighted sums over pairs of elements to the columns of G4 and G5."""
    for columns, at, n_terms in blocks:
        part = inner[rows, ..., at : at + len(weights) * n_terms]
        part = part.reshape(*part.shape[:-1], len(weights), n_terms)
        sums = np.einsum("...pt,pc->...ct", part, weights)
        out[rows, ..., columns] += sums.reshape(*sums.shape[:-2], -1)
