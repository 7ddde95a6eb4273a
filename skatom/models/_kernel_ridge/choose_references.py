"""Choice of the atoms whose environments span a sparse kernel model."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin_min

# Squared distance, relative to the largest, below which two environments are the same.
SAME = 1e-20
# Below this, a squared distance from norms and products may be nothing but rounding.
CANCELLED = 1e-12


def choose_references(
    values: np.ndarray,
    kinds: np.ndarray,
    n_references: int,
    selection: str,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Choose reference atoms, each kind in proportion to how often it occurs.

    Parameters
    ----------
    values : ndarray of shape (n_atoms, n_features)
    kinds : ndarray of int, shape (n_atoms,)
        Atoms of different kinds never stand for each other.
    n_references : int
        How many are wanted. Fewer come back where environments repeat.
    selection : {"fps", "cur", "kmeans", "random"}
        Farthest-point sampling, which begins at the atom farthest from the mean of its
        kind and draws nothing; drawing by leverage; the atoms nearest to the centres of
        k-means; or uniform drawing.
    rng : RandomState

    Returns
    -------
    chosen : ndarray of int64
        Ascending indices of atoms.
    """
    chosen = []
    for kind, quota in zip(*_quotas(kinds, n_references)):
        atoms = np.flatnonzero(kinds == kind)
        picked = SELECTIONS[selection](values[atoms], quota, rng)
        chosen.append(atoms[picked])
    return np.sort(np.concatenate(chosen))


def farthest_points(values: np.ndarray, n_points: int, rng=None) -> np.ndarray:
    """Pick points greedily, each as far as possible from all picked before.

    Stops early when only copies of picked points are left. The picked points cover the
    rest within twice the smallest radius that is possible.

    Parameters
    ----------
    values : ndarray of shape (n, n_features)
    n_points : int
    rng : None
        Nothing is drawn.

    Returns
    -------
    picked : ndarray of int64

    References
    ----------
    Gonzalez, Theor. Comput. Sci. 38, 293 (1985), doi:10.1016/0304-3975(85)90224-5.
    """
    centred = values - values.mean(axis=0)
    norms = np.einsum("nf,nf->n", centred, centred)
    picked = [int(np.argmax(norms))]
    smallest = np.full(len(values), np.inf)
    while len(picked) < min(n_points, len(values)):
        last = picked[-1]
        distances = norms + norms[last] - 2.0 * (centred @ centred[last])
        np.minimum(smallest, distances, out=smallest)
        smallest[last] = -np.inf
        farthest = int(np.argmax(smallest))
        if smallest[farthest] <= CANCELLED * norms.max():
            difference = centred[farthest] - centred[picked]
            nearest = np.einsum("nf,nf->n", difference, difference).min()
            if nearest <= SAME * norms.max():
                break
        picked.append(farthest)
    return np.array(picked, dtype=np.int64)


def leverage_points(
    values: np.ndarray, n_points: int, rng: np.random.RandomState
) -> np.ndarray:
    """Draw rows by their leverage on the best approximation of rank n_points (CUR).

    Parameters
    ----------
    values : ndarray of shape (n, n_features)
    n_points : int
    rng : RandomState

    Returns
    -------
    picked : ndarray of int64

    References
    ----------
    Mahoney and Drineas, PNAS 106, 697 (2009), doi:10.1073/pnas.0803205106.
    """
    if n_points >= len(values):
        return np.arange(len(values))
    size, axes = np.linalg.eigh(values.T @ values)
    keep = np.flatnonzero(size > CANCELLED * max(size[-1], 1e-300))[-n_points:]
    if not len(keep):
        return rng.permutation(len(values))[:n_points]
    scores = np.sum((values @ (axes[:, keep] / np.sqrt(size[keep]))) ** 2, axis=1)
    # the largest of log(score) + Gumbel noise are a draw without replacement
    keys = np.log(np.maximum(scores, 1e-300)) + rng.gumbel(size=len(scores))
    return np.argsort(-keys, kind="stable")[:n_points]


def central_points(
    values: np.ndarray, n_points: int, rng: np.random.RandomState
) -> np.ndarray:
    """Pick the rows nearest to the centres of k-means.

    Parameters
    ----------
    values : ndarray of shape (n, n_features)
    n_points : int
    rng : RandomState
        For where the centres begin.

    Returns
    -------
    picked : ndarray of int64
        Fewer than n_points where centres share their nearest row.
    """
    if n_points >= len(values):
        return np.arange(len(values))
    centres = MiniBatchKMeans(n_points, n_init=1, random_state=rng).fit(values)
    nearest, _ = pairwise_distances_argmin_min(centres.cluster_centers_, values)
    return np.unique(nearest)


def random_points(
    values: np.ndarray, n_points: int, rng: np.random.RandomState
) -> np.ndarray:
    """Draw rows with equal chances."""
    return rng.permutation(len(values))[:n_points]


def _quotas(kinds: np.ndarray, n_references: int) -> tuple[np.ndarray, np.ndarray]:
    """Share n_references among kinds by their counts, at least one each."""
    present, counts = np.unique(kinds, return_counts=True)
    if n_references >= counts.sum():
        return present, counts
    shares = counts * (n_references / counts.sum())
    quotas = np.maximum(1, np.floor(shares)).astype(int)
    for kind in np.argsort(quotas - shares, kind="stable"):
        if quotas.sum() >= n_references:
            break
        quotas[kind] += 1
    return present, np.minimum(quotas, counts)


SELECTIONS = {
    "fps": farthest_points,
    "cur": leverage_points,
    "kmeans": central_points,
    "random": random_points,
}
