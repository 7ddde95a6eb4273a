"""Sums of kernels, each of a block of features of its own.

Features of several featurizers side by side can share one kernel, which is a product of
kernels of the blocks, or have a kernel each, whose sum lets every block explain a part of
the energy by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skatom.models._kernel.covariance import Observables, covariance
from skatom.models._kernel.named import Kernel


@dataclass(frozen=True)
class BlockKernel:
    """Sum over blocks of columns of kernels of these columns.

    Attributes
    ----------
    kernels : tuple of Kernel
    edges : tuple of int
        First column of every block, and the number of columns.
    """

    kernels: tuple[Kernel, ...]
    edges: tuple[int, ...]

    def parts(self) -> list[tuple[Kernel, slice]]:
        """Give every kernel and its columns."""
        columns = [slice(a, b) for a, b in zip(self.edges[:-1], self.edges[1:])]
        return list(zip(self.kernels, columns))

    def values(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Kernel between rows, (n, n_features) and (m, n_features) to (n, m)."""
        return sum(k.values(X[:, at], Y[:, at]) for k, at in self.parts())

    def diagonal(self, X: np.ndarray) -> np.ndarray:
        """Kernel of every row with itself, shape (n,)."""
        return sum(k.diagonal(X[:, at]) for k, at in self.parts())

    def expansion(self, X, Y, coef, slopes) -> np.ndarray:
        """Evaluate sum_m [coef_m k(x, y_m) + slopes_m . dk(x, y_m)/dy_m], shape (n,)."""
        return sum(
            k.expansion(X[:, at], Y[:, at], coef, _columns(slopes, at))
            for k, at in self.parts()
        )

    def expansion_gradient(self, X, Y, coef, slopes) -> np.ndarray:
        """Differentiate :meth:`expansion` by x, shape (n, n_features)."""
        out = np.empty_like(X)
        for k, at in self.parts():
            out[:, at] = k.expansion_gradient(
                X[:, at], Y[:, at], coef, _columns(slopes, at)
            )
        return out


def split(functions: Observables, edges: tuple[int, ...]) -> list[Observables]:
    """Split observables into the parts of their features, one a block."""
    if len(edges) == 2:
        return [functions]
    parts = []
    for a, b in zip(edges[:-1], edges[1:]):
        kinds = [
            replace(
                kind,
                points=np.ascontiguousarray(kind.points[:, a:b]),
                rows=np.ascontiguousarray(kind.rows[:, a:b]),
            )
            for kind in functions.kinds
        ]
        parts.append(replace(functions, kinds=kinds))
    return parts


def block_covariance(
    left: list[Observables], right: list[Observables], kernel: BlockKernel
) -> np.ndarray:
    """Covariance between two sets of observables, as of one kernel.

    Only the lower triangle is filled where both sides are the same list.
    """
    total = None
    for one, other, part in zip(left, right, kernel.kernels):
        K = covariance(one, one if left is right else other, part)
        total = K if total is None else np.add(total, K, out=total)
    return total


def _columns(slopes: np.ndarray | None, at: slice) -> np.ndarray | None:
    return None if slopes is None else slopes[:, at]
