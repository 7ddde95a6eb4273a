"""Training data, cut into whole batches without a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skatom._training.loss import Targets


class Batch(Protocol):
    """Some structures as a module takes them, whatever it makes of them.

    Attributes
    ----------
    n_rows : int
        Rows (atoms, ...) that the module works on.
    """

    n_rows: int


class TrainingData(Protocol):
    """Data of a training, whatever the architecture.

    A structure is whatever is drawn into batches: atoms together, or a row of a matrix.

    Attributes
    ----------
    weights : ndarray of shape (n_structures,)
        Structures of weight zero take no part.
    streams : bool
        Whether batches are read anew every time, since all of them would be too large.
    """

    weights: np.ndarray
    streams: bool

    def __len__(self) -> int:
        """Return the number of structures."""

    def batch(self, structures: np.ndarray, device: str) -> tuple[Batch, Targets]:
        """Take some structures out, as tensors."""

    def fingerprint(self) -> str:
        """Tell these data from others, in a checkpoint."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some structures of training data: those to learn from, or to validate on."""

    data: TrainingData
    structures: np.ndarray

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.structures)


class Batches:
    """Iterator over batches in skorch's sense, in a new order every time or in none.

    Parameters
    ----------
    part : Part
    batch_size : int
        Number of structures of a batch.
    device : str
    random_state : RandomState or None
        Source of the order. None keeps the order and the batches.
    share : tuple of int, default=(0, 1)
        Of every batch, the structures k, k + n, k + 2 n, ... for (k, n).
    """

    def __init__(
        self,
        part: Part,
        batch_size: int,
        device: str,
        random_state=None,
        share: tuple[int, int] = (0, 1),
    ):
        self.part = part
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self.share = share
        self._kept: list | None = None

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.part) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Batch, Targets]]:
        if self.random_state is not None and len(self) > 1:
            return self._cut(self.random_state.permutation(self.part.structures))
        if self.part.data.streams:
            return self._cut(self.part.structures)
        if self._kept is None:
            self._kept = list(self._cut(self.part.structures))
        return iter(self._kept)

    def _cut(self, structures: np.ndarray) -> Iterator[tuple[Batch, Targets]]:
        k, n = self.share
        for start in range(0, len(structures), self.batch_size):
            chosen = structures[start : start + self.batch_size]
            yield self.part.data.batch(chosen[k::n], self.device)


def tensor_of(array: np.ndarray, device: str, dtype=None) -> Tensor:
    """Put an array on a device, in another type where one is given."""
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    tensor = torch.from_numpy(array)
    return tensor if device == "cpu" else tensor.to(device)
