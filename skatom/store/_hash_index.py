"""Index of the structures of a store by content hash, twenty bytes each."""

from __future__ import annotations

import numpy as np

RUN = np.dtype([("first", "<u8"), ("second", "<u8"), ("place", "<u4")])


class HashIndex:
    """Content hashes in a few sorted runs, of sizes that fall at least by half."""

    def __init__(self):
        self._runs: list[np.ndarray] = []
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(self, hashes: np.ndarray) -> None:
        """Append the hashes of the next structures, shape (n_structures, 16)."""
        run = np.empty(len(hashes), dtype=RUN)
        run["first"], run["second"] = _halves(hashes)
        run["place"] = self._n + np.arange(len(hashes))
        self._n += len(hashes)
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.concatenate([self._runs.pop(), run])
        self._runs.append(run[np.argsort(run["first"], kind="stable")])

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """Look structures up: their indices, -1 where there are none."""
        first, second = _halves(hashes)
        found = np.full(len(hashes), -1, dtype=np.int64)
        for run in self._runs:
            if len(run):
                at = np.searchsorted(run["first"], first)
                near = run[np.minimum(at, len(run) - 1)]
                same = (near["first"] == first) & (near["second"] == second)
                found[same] = near["place"][same]
        return found


def _halves(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    words = np.ascontiguousarray(hashes).view("<u8").reshape(-1, 2)
    return words[:, 0], words[:, 1]
