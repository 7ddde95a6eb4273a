"""Sums of kernels, each of a block of features, or of the atoms of a species, alone.

Features of several featurizers side by side can share one kernel, which is a product of
kernels of the blocks, or have a kernel each, whose sum lets every block explain a part of
the energy by itself. The functions of species are independent; each may have a length and
a size of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skatom._runtime.state import State
from skatom.models._kernels.covariance import (
    Observables,
    add_covariance,
    scale_energies,
)
from skatom.models._kernels.named import Kernel


@dataclass(frozen=True)
class Blocks(State):
    """Which features, and atoms of which species, have a kernel of their own.

    Attributes
    ----------
    edges : tuple of int
        First column of every block of features, and the number of columns.
    numbers : tuple of int, or None
        Atomic numbers, if every species has kernels of its own. Kernels are then in the
        order of blocks, and in each of species.
    """

    _name = "blocks of features"

    edges: tuple[int, ...]
    numbers: tuple[int, ...] | None = None

    @property
    def n_species(self) -> int:
        """Number of kernels of each block."""
        return 1 if self.numbers is None else len(self.numbers)

    @property
    def columns(self) -> list[slice]:
        """Columns of every block."""
        return [slice(a, b) for a, b in zip(self.edges[:-1], self.edges[1:])]

    def __len__(self) -> int:
        return (len(self.edges) - 1) * self.n_species

    def split(self, functions: Observables) -> list[Observables]:
        """Split observables into the parts that each kernel acts on."""
        parts = []
        for at in self.columns:
            kinds = functions.kinds
            if len(self.edges) > 2:
                kinds = [
                    replace(
                        kind,
                        points=np.ascontiguousarray(kind.points[:, at]),
                        rows=np.ascontiguousarray(kind.rows[:, at]),
                    )
                    for kind in kinds
                ]
            for number in (None,) if self.numbers is None else self.numbers:
                own = [kind for kind in kinds if number in (None, kind.number)]
                parts.append(replace(functions, kinds=own))
        return parts


@dataclass(frozen=True)
class BlockKernel:
    """Sum over blocks of kernels of their columns.

    Attributes
    ----------
    kernels : tuple of Kernel
        In the order of ``blocks``.
    blocks : Blocks
    """

    kernels: tuple[Kernel, ...]
    blocks: Blocks

    def of(self, number: int) -> SpeciesKernel:
        """Kernel between atoms of one species."""
        numbers, kernels = self.blocks.numbers, self.kernels
        if numbers is not None:
            kernels = kernels[numbers.index(number) :: len(numbers)]
        return SpeciesKernel(tuple(zip(kernels, self.blocks.columns)))

    def partners(self, number: int) -> list[tuple[int, float]]:
        """Give the only species that one is coupled with: itself."""
        return [(number, 1.0)]


@dataclass(frozen=True)
class SpeciesKernel:
    """Sum of kernels of columns, between atoms of one species.

    Attributes
    ----------
    parts : tuple of (Kernel, slice)
        Kernels and their columns.
    """

    parts: tuple[tuple[Kernel, slice], ...]

    def values(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Kernel between rows, (n, n_features) and (m, n_features) to (n, m)."""
        return sum(k.values(X[:, at], Y[:, at]) for k, at in self.parts)

    def diagonal(self, X: np.ndarray) -> np.ndarray:
        """Kernel of every row with itself, shape (n,)."""
        return sum(k.diagonal(X[:, at]) for k, at in self.parts)

    def expansion(self, X, Y, coef, slopes) -> np.ndarray:
        """Evaluate sum_m [coef_m k(x, y_m) + slopes_m . dk(x, y_m)/dy_m], shape (n,)."""
        return sum(
            k.expansion(X[:, at], Y[:, at], coef, _columns(slopes, at))
            for k, at in self.parts
        )

    def expansion_with_gradient(self, X, Y, coef, slopes):
        """Evaluate :meth:`expansion` and its derivatives by x, (n, n_features)."""
        values, gradient = np.zeros(len(X)), np.empty_like(X)
        for k, at in self.parts:
            part, gradient[:, at] = k.expansion_with_gradient(
                X[:, at], Y[:, at], coef, _columns(slopes, at)
            )
            values += part
        return values, gradient


def block_covariance(
    left: list[Observables], right: list[Observables], kernel: BlockKernel
) -> np.ndarray:
    """Covariance between two sets of observables, as of one kernel.

    Only the lower triangle is filled where both sides are the same list.
    """
    K = np.zeros((len(left[0]), len(right[0])))
    for one, other, part in zip(left, right, kernel.kernels):
        add_covariance(one, one if left is right else other, part, K)
    scale_energies(left[0], right[0], K)
    return K


def _columns(slopes: np.ndarray | None, at: slice) -> np.ndarray | None:
    return None if slopes is None else slopes[:, at]
