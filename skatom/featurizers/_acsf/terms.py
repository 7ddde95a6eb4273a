"""Terms of symmetry functions: radial ones, sums over triples, and moments."""

from __future__ import annotations

from collections.abc import Iterator

from skatom.base import Kernels, PairBlock
from skatom.featurizers._acsf import (
    jacobian,
    moments_g5,
    moments_jacobian,
    pullback,
    pushforward,
    values,
)
from skatom.featurizers._acsf.grids import ALL

RADIAL = Kernels(
    values.radial_values,
    pullback.radial_pullback,
    pushforward.radial_pushforward,
    jacobian.radial_jacobian,
)
TRIPLES = Kernels(
    values.angular_values,
    pullback.angular_pullback,
    pushforward.angular_pushforward,
    jacobian.angular_jacobian,
)
MOMENTS = Kernels(
    moments_g5.moment_values,
    moments_g5.moment_pullback,
    moments_g5.moment_pushforward,
    moments_jacobian.moment_jacobian,
)


def angular_terms(
    block: PairBlock, n_species: int, cut: tuple, parts: list
) -> Iterator[tuple[Kernels, tuple]]:
    """Give the terms of angular functions, by what suits the centres of a block.

    Parameters
    ----------
    block : PairBlock
    n_species : int
    cut : tuple
        (r_cut, kind of cutoff, gamma).
    parts : list
        As `angular_parts` gives it.

    Yields
    ------
    kernels : Kernels
    arguments : tuple
    """
    counts = block.counts
    least, most = counts.min(initial=ALL), counts.max(initial=0)
    for grid, expansion, part in parts:
        if least <= part[-1]:
            yield TRIPLES, (n_species, cut, grid, part)
        if most > part[-1]:
            yield MOMENTS, (n_species, cut, expansion, part)
