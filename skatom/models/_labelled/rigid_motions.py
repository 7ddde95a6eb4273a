"""Forces of molecules without their net force and torque, which models cannot have.

An energy of distances and angles does not change when a molecule moves as a rigid body.
Its forces have no component along the rigid motions, six (five of a linear molecule, three
of an atom), so as many of the 3 n force labels of a molecule carry no information: the loss
that they add is constant. Rotating the labels of a molecule into the other directions
leaves the same solution of a smaller problem.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skatom.models._labelled.derivative_rows import DerivativeRows

# Largest part of the derivative rows along rigid motions that is rounding.
ROUNDING = 1e-9
# Smallest size of a rigid motion against the largest, below which it is rounding.
SMALLEST_MOTION = 1e-6
# Share of the targets that atoms must reach for dense rows to pay.
DENSE = 0.7


def without_rigid_motion(block: DerivativeRows, dense: float = DENSE) -> DerivativeRows:
    """Rotate the force labels of molecules into the directions that models can reach.

    Parameters
    ----------
    block : DerivativeRows
    dense : float
        Share of the targets that the atoms of a molecule must reach.

    Returns
    -------
    block : DerivativeRows
        Fewer targets where a structure is free in space, has forces on all atoms and
        nothing else, and atoms that see most of the others; as it was elsewhere.
    """
    X = block.features
    n_atoms = X.n_atoms
    owner = X.structure_index[block.centers]
    first = np.searchsorted(owner, np.arange(len(X) + 1))
    n_targets = targets_of_structures(block)
    parts, labels, weights, offset = [], [], [], 0
    before = np.concatenate([[0], np.cumsum(n_targets)])
    for s in range(len(X)):
        rows = slice(first[s], first[s + 1])
        at = slice(before[s], before[s + 1])
        part = (
            block.centers[rows],
            block.targets[rows] - before[s],
            block.rows[rows],
            block.labels[at],
            block.weights[at],
        )
        free = not X.structures[s].pbc.any()
        if free and n_targets[s] == 3 * n_atoms[s]:
            part = _reduced(part, X.structures[s].positions, X.offsets[s], dense)
        parts.append((part[0], part[1] + offset, part[2]))
        labels.append(part[3])
        weights.append(part[4])
        offset += len(part[3])
    if offset == block.n_targets:
        return block
    centers, targets, rows = (np.concatenate(arrays) for arrays in zip(*parts))
    return replace(
        block,
        centers=centers,
        targets=targets,
        rows=rows,
        labels=np.concatenate(labels),
        weights=np.concatenate(weights),
    )


def internal_directions(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give orthonormal bases of rigid motions and of all other displacements.

    Parameters
    ----------
    positions : ndarray of shape (n_atoms, 3)

    Returns
    -------
    rigid : ndarray of shape (3 * n_atoms, n_rigid)
        Six; five for linear molecules, three for single atoms.
    internal : ndarray of shape (3 * n_atoms, 3 * n_atoms - n_rigid)
    """
    left, size, _ = np.linalg.svd(_rigid_motions(positions), full_matrices=True)
    n_rigid = int(np.sum(size > SMALLEST_MOTION * size[0]))
    return left[:, :n_rigid], left[:, n_rigid:]


def count_rigid_motions(positions: np.ndarray) -> int:
    """Count them: six, five for linear molecules, three for single atoms."""
    size = np.linalg.svd(_rigid_motions(positions), compute_uv=False)
    return int(np.sum(size > SMALLEST_MOTION * size[0]))


def _rigid_motions(positions: np.ndarray) -> np.ndarray:
    """Give three translations and three rotations, (3 * n_atoms, 6), of one size."""
    centred = positions - positions.mean(axis=0)
    # in units of the molecule, not of each motion: one about its axis is rounding
    centred = centred / max(np.sqrt(np.mean(centred**2)), 1e-8)
    motions = np.zeros((len(centred), 3, 6))
    motions[:, :, :3] = np.eye(3)
    for axis in range(3):
        motions[:, :, 3 + axis] = np.cross(np.eye(3)[axis], centred)
    return motions.reshape(-1, 6)


def targets_of_structures(block: DerivativeRows) -> np.ndarray:
    """Count the targets of every structure of a block; they stand in its order."""
    structure_of = np.zeros(block.n_targets, dtype=np.int64)
    structure_of[block.targets] = block.features.structure_index[block.centers]
    return np.bincount(structure_of, minlength=len(block.features))


def _reduced(
    part: tuple, positions: np.ndarray, first_atom: int, dense_share: float
) -> tuple:
    """Rotate the targets of one molecule, if that leaves the solution as it is."""
    centers, targets, rows, labels, weights = part
    n_atoms = len(positions)
    n_targets = 3 * n_atoms
    sparse = len(rows) < dense_share * n_atoms * n_targets
    if sparse or np.ptp(weights) > 0.0:
        return part
    dense = np.zeros((n_atoms, n_targets, rows.shape[1]))
    dense[centers - first_atom, targets] = rows
    rigid, internal = internal_directions(positions)
    along = np.abs(np.matmul(rigid.T, dense)).max(initial=0.0)
    if along > ROUNDING * np.abs(rows).max(initial=0.0):
        return part
    m = internal.shape[1]
    return (
        np.repeat(np.arange(n_atoms) + first_atom, m),
        np.tile(np.arange(m), n_atoms),
        np.matmul(internal.T, dense).reshape(-1, rows.shape[1]),
        internal.T @ labels,
        weights[:m],
    )
