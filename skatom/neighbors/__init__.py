"""Neighbour pairs of structures, in any cell."""

from skatom.neighbors._pairs import (
    COINCIDENT,
    NeighborPairs,
    neighbor_pairs,
    ranges,
)

__all__ = ["COINCIDENT", "NeighborPairs", "neighbor_pairs", "ranges"]
