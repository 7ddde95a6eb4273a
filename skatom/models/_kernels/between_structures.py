"""Kernels between totals of structures: sums over the pairs of their atoms.

Blocks of atoms that fit the cache are multiplied as matrices and summed at once, so that
no matrix of atoms is ever stored; what is symmetric is done once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skatom.models._algebra.solve import symmetric
from skatom.models._kernels.functions import KernelFunction
from skatom.models._kernels.of_atoms import AtomKernel

# Atoms of a block: left ones times right ones is what a core's cache holds.
LEFT_ATOMS, RIGHT_ATOMS = 256, 768
# Directions whose squared size, relative to the largest, is rounding alone.
RANK_TOLERANCE = 1e-14
# Fewer features, or fewer atoms a feature, are not worth compressing.
FEW_FEATURES, MANY_ROWS = 64, 8


class _Block(NamedTuple):
    """Atoms of one species in consecutive structures."""

    values: np.ndarray
    starts: np.ndarray
    structures: np.ndarray

    def on_the_left(self, function: KernelFunction) -> _Block:
        """With values prepared."""
        return self._replace(values=function.left(self.values))

    def on_the_right(self, function: KernelFunction) -> _Block:
        """With values prepared."""
        return self._replace(values=function.right(self.values))


# Atoms of every species: features, and the structures they belong to, ascending.
Groups = dict[int, tuple[np.ndarray, np.ndarray]]


def total_kernel(groups: Groups, n_structures: int, kernel: AtomKernel) -> np.ndarray:
    """Sum the kernel over the pairs of atoms of every two structures.

    Parameters
    ----------
    groups : dict of int to tuple of arrays
        For every atomic number scaled features (n, n_features) and structures (n,).
    n_structures : int
    kernel : AtomKernel

    Returns
    -------
    K : ndarray of shape (n_structures, n_structures)
        Symmetric.
    """
    K = np.zeros((n_structures, n_structures))
    groups, function = compressed(groups, kernel), kernel.function
    for number, group in groups.items():
        right = [block.on_the_right(function) for block in _blocks(*group, RIGHT_ATOMS)]
        for other, factor in kernel.partners(number):
            if other in groups:
                left = _blocks(*groups[other], LEFT_ATOMS)
                _add_lower(left, right, function, factor, K)
    return symmetric(K)


def cross_kernel(
    left: Groups, right: Groups, shape: tuple[int, int], kernel: AtomKernel
) -> np.ndarray:
    """Sum the kernel over the atoms of two sets of structures.

    Parameters
    ----------
    left, right : dict of int to tuple of arrays
        As for `total_kernel`.
    shape : tuple of int
        Numbers of structures.
    kernel : AtomKernel

    Returns
    -------
    K : ndarray
    """
    K = np.zeros(shape)
    function = kernel.function
    for number, group in right.items():
        theirs = [
            block.on_the_right(function) for block in _blocks(*group, RIGHT_ATOMS)
        ]
        for other, factor in kernel.partners(number):
            for one in _blocks(*left[other], LEFT_ATOMS) if other in left else ():
                prepared = one.on_the_left(function)
                for two in theirs:
                    _add(prepared, two, function, factor, K)
    return K


def compressed(groups: Groups, kernel: AtomKernel) -> Groups:
    """Rotate features into the directions that they span, where those are few.

    Smooth kernels depend on distances and products alone, so nothing is lost but
    rounding. The 1-norm of the Laplacian is not kept by rotations.
    """
    if getattr(kernel.function, "name", "") == "laplacian":
        return groups
    shared = None
    if kernel.coupling is not None:  # species are compared, so they share the axes
        shared = principal_axes(np.concatenate([v for v, _ in groups.values()]))
    out = {}
    for number, (values, structures) in groups.items():
        axes = principal_axes(values) if kernel.coupling is None else shared
        out[number] = (values if axes is None else values @ axes, structures)
    return out


def principal_axes(values: np.ndarray) -> np.ndarray | None:
    """Axes that span the rows to rounding, (n_features, n_axes).

    None where finding them would not pay.
    """
    n_rows, n_features = values.shape
    if n_features < FEW_FEATURES or n_rows < MANY_ROWS * n_features:
        return None
    size, axes = np.linalg.eigh(values.T @ values)
    keep = size > RANK_TOLERANCE * size[-1]
    return axes[:, keep] if keep.sum() < 0.8 * n_features else None


def _blocks(values: np.ndarray, owners: np.ndarray, n_atoms: int) -> list[_Block]:
    """Split the atoms of a species between structures into blocks of about n_atoms."""
    structures, first = np.unique(owners, return_index=True)
    edges = np.flatnonzero(np.diff(first // n_atoms, prepend=-1)).tolist()
    blocks = []
    for start, stop in zip(edges, [*edges[1:], len(first)]):
        last = first[stop] if stop < len(first) else len(owners)
        rows = slice(first[start], last)
        starts = first[start:stop] - first[start]
        blocks.append(_Block(values[rows], starts, structures[start:stop]))
    return blocks


def _add_lower(
    left: list[_Block],
    right: list[_Block],
    function: KernelFunction,
    factor: float,
    K: np.ndarray,
) -> None:
    """Add blocks that reach below or onto the diagonal; above it, K is not defined."""
    for block in left:
        one = block.on_the_left(function)
        for two in right:
            if two.structures[0] <= one.structures[-1]:
                _add(one, two, function, factor, K)


def _add(
    left: _Block,
    right: _Block,
    function: KernelFunction,
    factor: float,
    K: np.ndarray,
) -> None:
    from skatom.models._kernels.sums import sum_structures

    atoms = function.between(left.values, right.values)
    k = np.empty((len(left.starts), len(right.starts)))
    sum_structures(np.ascontiguousarray(atoms), left.starts, right.starts, k)
    if factor != 1.0:
        k *= factor
    rows = slice(left.structures[0], left.structures[-1] + 1)
    columns = slice(right.structures[0], right.structures[-1] + 1)
    if len(left.structures) == rows.stop - rows.start and (
        len(right.structures) == columns.stop - columns.start
    ):
        K[rows, columns] += k
    else:
        K[np.ix_(left.structures, right.structures)] += k
