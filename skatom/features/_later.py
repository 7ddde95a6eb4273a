"""Origin of values that were kept: derivatives are prepared when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skatom.features._columns import Column, columns_out
from skatom.features._features import NoDerivativeError, Origin
from skatom.neighbors import NeighborPairs
from skatom.structures import Structures, check_structures


@dataclass(frozen=True, eq=False)
class FeaturizedLater:
    """Origin of values that were found in a cache or read from a file.

    A featurizer of atoms searches its neighbour pairs, and several steps featurize again,
    only when something depends on them.

    Attributes
    ----------
    featurizer : transformer or None
        Made the values, in one or several steps.
    structures : Structures
    known_columns : sequence of Column, optional
        Those that a file lists; by default those of the featurizer.
    """

    featurizer: object
    structures: Structures
    known_columns: Sequence[Column] | None = None

    @cached_property
    def _made(self) -> Origin:
        if self.featurizer is None:
            raise NoDerivativeError(
                "These features were read without the featurizer that made them, so they "
                "have no derivatives: open the store as FeatureStore(path, featurizer), or "
                "set forces=None to train on energies alone."
            )
        structures = self.structures
        if self.known_columns is not None:  # nobody has looked at those of a file
            structures = check_structures(structures)
        if hasattr(self.featurizer, "find_origin"):  # values are not computed again
            return self.featurizer.find_origin(structures)
        return self.featurizer.transform(structures).origin

    @property
    def steps(self) -> tuple:
        """Fitted steps that the values came through."""
        if self.featurizer is None:
            return ()
        if hasattr(self.featurizer, "find_origin"):
            return (self.featurizer,)
        return self._made.steps

    @property
    def feature_names(self) -> Sequence[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    @property
    def columns(self) -> Sequence[Column]:
        """What the columns are functions of."""
        if self.known_columns is None:
            return columns_out(self.featurizer)
        return self.known_columns

    @property
    def pairs(self) -> NeighborPairs:
        """Pairs that the values depend on."""
        return self._made.pairs

    def pullback(self, g: np.ndarray) -> np.ndarray:
        """Carry (n_atoms, n_features) to (n_pairs, 3)."""
        return self._made.pullback(g)

    def pushforward(self, v: np.ndarray) -> np.ndarray:
        """Carry (n_pairs, 3) to (n_atoms, n_features)."""
        return self._made.pushforward(v)

    def jacobian(self) -> np.ndarray:
        """Give d values / d vectors, (n_pairs, 3, n_features)."""
        return self._made.jacobian()

    def of_structures(self, keep: np.ndarray) -> Origin:
        """Select structures."""
        if "_made" in self.__dict__:
            return self._made.of_structures(keep)
        return FeaturizedLater(
            self.featurizer, self.structures[keep], self.known_columns
        )
