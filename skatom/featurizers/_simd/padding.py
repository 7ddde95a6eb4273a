"""Arrays of whole groups of eight lanes."""

from __future__ import annotations

import numpy as np

LANES = 8


def whole_lanes(rows: np.ndarray) -> np.ndarray:
    """Fill rows with zeros up to whole groups of lanes."""
    out = np.zeros((len(rows), -(-rows.shape[1] // LANES) * LANES))
    out[:, : rows.shape[1]] = rows
    return out
