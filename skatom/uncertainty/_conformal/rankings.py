"""Calibration scores, ranked: of all structures, and of each group by itself."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from skatom._runtime.state import State
from skatom._validation import listing
from skatom.uncertainty._conformal.ranks import (
    conformal_quantile,
    grouped_quantile,
    structures_needed,
)


@dataclass(frozen=True)
class Ranking(State):
    """Ranked scores of calibration structures.

    Attributes
    ----------
    ranked : ndarray of shape (n_scores,)
        Ascending.
    mass : ndarray of shape (n_scores,), or None
        Running sum of weights, where structures have several scores; every structure
        weighs 1 in all, whatever its size. None for one score a structure.
    n_structures : int
        Number of structures that the scores come from.
    """

    _name: ClassVar[str] = "ranking"

    ranked: np.ndarray
    mass: np.ndarray | None
    n_structures: int

    @classmethod
    def of(cls, scores: np.ndarray, structure: np.ndarray | None = None) -> Ranking:
        """Rank scores; ``structure`` says which structure each is of."""
        if structure is None:
            return cls(np.sort(scores), None, len(scores))
        present, of_score = np.unique(structure, return_inverse=True)
        weights = 1.0 / np.bincount(of_score)[of_score]
        order = np.argsort(scores, kind="stable")
        return cls(scores[order], np.cumsum(weights[order]), len(present))

    @classmethod
    def largest(cls, scores: np.ndarray, structure: np.ndarray) -> Ranking:
        """Rank the largest score of each structure."""
        present, of_score = np.unique(structure, return_inverse=True)
        worst = np.full(len(present), -np.inf)
        np.maximum.at(worst, of_score, scores)
        return cls.of(worst)

    def quantile(self, level: float) -> float:
        """Bound the score of a new structure, or one drawn at random from its scores."""
        if self.mass is None:
            return conformal_quantile(self.ranked, level)
        return grouped_quantile(self.ranked, self.mass, self.n_structures, level)


@dataclass(frozen=True)
class Rankings(State):
    """Scores of all structures together, and of each group (Mondrian conformal).

    Attributes
    ----------
    pooled : Ranking
    groups : dict of str to Ranking
        Empty without groups.
    """

    _name: ClassVar[str] = "rankings"
    _states: ClassVar[tuple[type, ...]] = (Ranking,)

    pooled: Ranking
    groups: Mapping[str, Ranking] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        scores: np.ndarray,
        structure: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        *,
        simultaneous: bool = False,
    ) -> Rankings:
        """Rank scores.

        Parameters
        ----------
        scores : ndarray of shape (n_scores,)
        structure : ndarray of int, shape (n_scores,), optional
            Structure of each score; by default there is one score a structure.
        labels : ndarray of str, shape (n_scores,), optional
            Group of each score.
        simultaneous : bool
            Whether only the largest score of a structure (in a group) counts.
        """
        rank = Ranking.largest if simultaneous else Ranking.of
        groups = {}
        for label in np.unique(labels) if labels is not None else ():
            own = labels == label
            groups[str(label)] = rank(
                scores[own], None if structure is None else structure[own]
            )
        return cls(rank(scores, structure), groups)

    @property
    def n_structures(self) -> int:
        """Number of structures that were calibrated on."""
        return self.pooled.n_structures

    def quantiles(self, levels: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Give one quantile per level, for every label.

        Parameters
        ----------
        levels : ndarray of shape (k,)
        labels : ndarray of str, shape (n,), or None

        Returns
        -------
        quantiles : ndarray of shape (n, k), or (1, k) without labels

        Warns
        -----
        UserWarning
            Where there are too few structures: those quantiles are infinite; where there
            are too few of a group, it has the quantile of all structures.
        """
        pooled = np.array([self.pooled.quantile(level) for level in levels])
        self._warn_infinite(levels, pooled, labels)
        if labels is None:
            return pooled[None, :]
        names, of_label = np.unique(labels, return_inverse=True)
        table = np.empty((len(names), len(levels)))
        small = []
        for row, name in zip(table, names):
            own = self.groups.get(str(name))
            if own is not None:
                row[:] = [own.quantile(level) for level in levels]
            if own is None or np.isinf(row).any():
                small.append(f"{name} ({0 if own is None else own.n_structures})")
                bad = np.isinf(row) if own is not None else slice(None)
                row[bad] = pooled[bad]
        if small:
            warnings.warn(
                f"Too few calibration structures for groups {listing(small)}; level "
                f"{levels.max():g} needs {structures_needed(levels.max())} of each. Their "
                "intervals are those of all structures together, without a guarantee for "
                "these groups by themselves.",
                UserWarning,
                stacklevel=4,
            )
        return table[of_label]

    def _warn_infinite(self, levels, quantiles, labels) -> None:
        beyond = levels[np.isinf(quantiles)]
        if len(beyond):
            warnings.warn(
                f"Intervals at level {beyond.min():g} are infinite: that needs at least "
                f"{structures_needed(beyond.min())} calibration structures, and there are "
                f"{self.n_structures}. Hold out more of them, or ask for a lower level.",
                UserWarning,
                stacklevel=5,
            )


@dataclass(frozen=True)
class ForceScores(State):
    """Ranked scores of calibration forces, in all the ways that intervals are asked for.

    Attributes
    ----------
    tables : dict of str to Rankings
        By :func:`table_name`.
    grouped : bool
        Whether structures have groups.
    n_structures : int
        Number of structures that were calibrated on.
    """

    _name: ClassVar[str] = "force scores"
    _states: ClassVar[tuple[type, ...]] = (Rankings,)

    tables: Mapping[str, Rankings]
    grouped: bool
    n_structures: int

    @classmethod
    def of(
        cls,
        components: np.ndarray,
        norms: np.ndarray,
        structure: np.ndarray,
        symbols: np.ndarray,
        groups: np.ndarray | None = None,
    ) -> ForceScores:
        """Rank scores of atoms.

        Parameters
        ----------
        components : ndarray of shape (n_atoms_total, 3)
        norms : ndarray of shape (n_atoms_total,)
        structure : ndarray of int, shape (n_atoms_total,)
        symbols : ndarray of str, shape (n_atoms_total,)
        groups : ndarray of str, shape (n_atoms_total,), optional
            Group of the structure of each atom.
        """
        tables = {}
        for what, scores in (("component", components), ("norm", norms[:, None])):
            columns = scores.shape[1]
            for by_element in (False, True):
                labels = atom_labels(symbols if by_element else None, groups)
                if labels is not None:
                    labels = np.repeat(labels, columns)
                for simultaneous in (False, True):
                    tables[table_name(what, by_element, simultaneous)] = Rankings.of(
                        scores.ravel(),
                        np.repeat(structure, columns),
                        labels,
                        simultaneous=simultaneous,
                    )
        return cls(tables, groups is not None, len(np.unique(structure)))


def table_name(what: str, by_element: bool, simultaneous: bool) -> str:
    """Name a table of ForceScores: "component" or "norm", of what, of how many."""
    name = f"{what} by element" if by_element else what
    return f"{name}, simultaneous" if simultaneous else name


def atom_labels(symbols, groups) -> np.ndarray | None:
    """Join element and group of each atom to one label, where there are any."""
    if symbols is None or groups is None:
        return symbols if groups is None else groups
    return np.array([f"{z} in {g}" for z, g in zip(symbols, groups)], dtype=str)
