"""Origins of features: the steps that made them, and their derivatives.

A tree: features come from a featurizer, from a per-atom step behind other features, or from
several features side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skatom.features._columns import Column, columns_out
from skatom.neighbors import NeighborPairs
from skatom.neighbors._joined import JoinedPairs


@dataclass(frozen=True, eq=False)
class Featurized:
    """Origin of the values that a featurizer made from neighbour pairs."""

    featurizer: object
    pairs: NeighborPairs
    offsets: np.ndarray

    @property
    def steps(self) -> tuple:
        """The featurizer alone."""
        return (self.featurizer,)

    @property
    def feature_names(self) -> Sequence[str]:
        """The featurizer's names."""
        return self.featurizer.get_feature_names_out()

    @property
    def columns(self) -> list[Column]:
        """The featurizer's columns."""
        return self.featurizer.columns()

    def pullback(self, g: np.ndarray) -> np.ndarray:
        """Carry (n_atoms, n_features) to (n_pairs, 3)."""
        return self.featurizer.pullback(self.pairs, g)

    def pushforward(self, v: np.ndarray) -> np.ndarray:
        """Carry (n_pairs, 3) to (n_atoms, n_features)."""
        return self.featurizer.pushforward(self.pairs, v)

    def jacobian(self) -> np.ndarray:
        """Give d values / d vectors, (n_pairs, 3, n_features)."""
        return self.featurizer.jacobian(self.pairs)

    def of_structures(self, keep: np.ndarray) -> Featurized:
        """Select structures."""
        sizes = self.offsets[keep + 1] - self.offsets[keep]
        return Featurized(
            self.featurizer,
            self.pairs.of_structures(keep, self.offsets),
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )


@dataclass(frozen=True, eq=False)
class Transformed:
    """Origin of values that a per-atom step made of other AtomFeatures."""

    step: object
    parent: object  # AtomFeatures

    @property
    def steps(self) -> tuple:
        return (*self.parent.steps, self.step)

    @property
    def feature_names(self) -> Sequence[str]:
        return self.step.get_feature_names_out(self.parent.feature_names)

    @property
    def columns(self) -> list[Column]:
        return columns_out(self.step, self.parent.columns)

    @property
    def pairs(self) -> NeighborPairs:
        return self.parent.pairs

    def pullback(self, g: np.ndarray) -> np.ndarray:
        x = self.parent
        return x.pullback(self.step.pullback(x.values, x.numbers, g))

    def pushforward(self, v: np.ndarray) -> np.ndarray:
        x = self.parent
        return self.step.pushforward(x.values, x.numbers, x.pushforward(v))

    def jacobian(self) -> np.ndarray:
        x = self.parent
        rows = np.repeat(x.pairs.centers, 3)
        inner = x.origin.jacobian()
        tangents = inner.reshape(len(rows), inner.shape[2])  # there may be no pairs
        outer = self.step.pushforward(x.values[rows], x.numbers[rows], tangents)
        return outer.reshape(*inner.shape[:2], outer.shape[1])

    def of_structures(self, keep: np.ndarray) -> Transformed:
        return Transformed(self.step, self.parent[keep])


@dataclass(frozen=True, eq=False)
class Joined:
    """Origin of columns that stand side by side, each block with pairs of its own."""

    blocks: tuple  # of AtomFeatures

    @property
    def steps(self) -> tuple:
        return tuple(step for block in self.blocks for step in block.steps)

    @property
    def feature_names(self) -> Sequence[str]:
        return [name for block in self.blocks for name in block.feature_names]

    @property
    def columns(self) -> list[Column]:
        return [column for block in self.blocks for column in block.columns]

    @property
    def pairs(self) -> JoinedPairs:
        return JoinedPairs(tuple(block.pairs for block in self.blocks))

    def pullback(self, g: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [b.pullback(part) for b, part in zip(self.blocks, self._columns(g))]
        )

    def pushforward(self, v: np.ndarray) -> np.ndarray:
        edges = np.cumsum([b.pairs.n_pairs for b in self.blocks])[:-1]
        parts = np.split(v, edges)
        return np.concatenate(
            [b.pushforward(part) for b, part in zip(self.blocks, parts)], axis=1
        )

    def jacobian(self) -> np.ndarray:
        widths = [b.values.shape[1] for b in self.blocks]
        out = np.zeros((self.pairs.n_pairs, 3, sum(widths)))
        row = column = 0
        for block, width in zip(self.blocks, widths):
            inner = block.origin.jacobian()
            out[row : row + len(inner), :, column : column + width] = inner
            row, column = row + len(inner), column + width
        return out

    def of_structures(self, keep: np.ndarray) -> Joined:
        return Joined(tuple(block[keep] for block in self.blocks))

    def _columns(self, g: np.ndarray) -> list[np.ndarray]:
        return np.split(
            g, np.cumsum([b.values.shape[1] for b in self.blocks])[:-1], axis=1
        )
