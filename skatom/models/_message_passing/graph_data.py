"""Structures and targets, cut into graphs for training."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch

from skatom._training.goals import Goals
from skatom._training.loss import Targets
from skatom.models._message_passing.graphs import GraphBatch
from skatom.neighbors import NeighborPairs, ranges

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, eq=False)
class GraphData:
    """Neighbour pairs and targets of all structures.

    Attributes
    ----------
    pairs : NeighborPairs
    goals : Goals
    dtype : str
        Of training.
    """

    pairs: NeighborPairs
    goals: Goals
    dtype: str
    streams = False

    @property
    def weights(self) -> np.ndarray:
        """Weights of the structures."""
        return self.goals.weights

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.goals)

    def fingerprint(self) -> str:
        """Hash everything that a training depends on."""
        digest = sha256(self.dtype.encode())
        pairs = (self.pairs.offsets, self.pairs.neighbors, self.pairs.vectors)
        for array in (self.pairs.numbers, *pairs, *self.goals.arrays()):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def batch(self, structures: np.ndarray, device: str) -> tuple[GraphBatch, Targets]:
        """Take some structures out, as tensors.

        Parameters
        ----------
        structures : ndarray of int64
        device : str
        """
        goals = self.goals
        offsets, positions, charges = goals.offsets, goals.positions, goals.charges
        sizes = offsets[structures + 1] - offsets[structures]
        atoms = ranges(offsets[structures], offsets[structures + 1])
        batch = GraphBatch.of(
            self.pairs.of_structures(structures, offsets),
            np.concatenate([[0], np.cumsum(sizes)]),
            DTYPES[self.dtype],
            device,
            has_forces=goals.has_slopes,
            has_virials=goals.virials is not None,
            positions=None if positions is None else positions[atoms],
            charges=None if charges is None else charges[structures],
        )
        return batch, goals.batch(structures, np.dtype(self.dtype), device)
