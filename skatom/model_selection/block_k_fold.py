"""Splits that keep neighbours in time together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import binary_dilation

from skatom._validation import Integral, check_n_structures
from skatom.features._kinds_of_x import count_rows


class BlockKFold:
    """Cross-validation over contiguous blocks of a trajectory, with a gap around them.

    Frames next to each other in time are nearly copies. A random split puts one into
    training and the other into the test, and overstates everything: the accuracy of the
    model, and the coverage of intervals that are calibrated so.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds; at least 2.
    n_blocks : int or None, default=None
        Blocks of each trajectory, dealt to the folds in turn; at least ``n_splits``, which
        is the default. More blocks make folds more alike, and closer to training.
    gap : int, default=0
        Frames on each side of a test block that are used for nothing.

    See Also
    --------
    sklearn.model_selection.GroupKFold : Whole trajectories as folds: better still.
    ConformalRegressor : Its ``cv`` takes a splitter.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.model_selection import BlockKFold
    >>> for train, test in BlockKFold(2, n_blocks=4, gap=1).split(np.zeros((12, 1))):
    ...     print(train, test)
    [ 4 10 11] [0 1 2 6 7 8]
    [0 1 7] [ 3  4  5  9 10 11]
    """

    def __init__(self, n_splits: int = 5, *, n_blocks: int | None = None, gap: int = 0):
        self.n_splits = n_splits
        self.n_blocks = n_blocks
        self.gap = gap

    def get_n_splits(self, X=None, y=None, groups=None) -> int:
        """Give the number of folds.

        Parameters
        ----------
        X, y, groups : ignored

        Returns
        -------
        n_splits : int
        """
        return self.n_splits

    def split(self, X, y=None, groups=None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the indices of each fold.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like
            Frames in the order of time.
        y : ignored
        groups : array-like of shape (n_structures,), optional
            Trajectory of each frame; by default there is one.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If there are fewer frames than blocks in a trajectory, or nothing is left to
            train on.
        """
        n = count_rows(X)
        n_blocks = self._check()
        if groups is None:
            groups = np.zeros(n, dtype=int)
        check_n_structures(n, groups, "groups")
        fold, runs = np.empty(n, dtype=int), []
        for name in np.unique(groups):
            frames = np.flatnonzero(np.asarray(groups) == name)
            if len(frames) < n_blocks:
                raise ValueError(
                    f"A trajectory of {len(frames)} frames cannot be cut into {n_blocks} "
                    "blocks. Lower n_blocks, or use GroupKFold over trajectories."
                )
            runs.append(frames)
            fold[frames] = (
                np.arange(len(frames)) * n_blocks // len(frames) % self.n_splits
            )
        for k in range(self.n_splits):
            near = np.zeros(n, dtype=bool)
            for frames in runs:
                near[frames] = _widened(fold[frames] == k, self.gap)
            train = np.flatnonzero(~near)
            if not len(train):
                raise ValueError(
                    f"With gap={self.gap} nothing is left to train on: lower gap, or "
                    "n_blocks."
                )
            yield train, np.flatnonzero(fold == k)

    def _check(self) -> int:
        n_blocks = self.n_splits if self.n_blocks is None else self.n_blocks
        whole = all(
            isinstance(v, Integral) for v in (self.n_splits, n_blocks, self.gap)
        )
        if not whole or self.n_splits < 2 or n_blocks < self.n_splits or self.gap < 0:
            raise ValueError(
                f"BlockKFold needs n_splits >= 2, n_blocks >= n_splits and gap >= 0, all "
                f"whole; got n_splits={self.n_splits}, n_blocks={self.n_blocks}, "
                f"gap={self.gap}."
            )
        return n_blocks

    def __repr__(self) -> str:
        return f"BlockKFold({self.n_splits}, n_blocks={self.n_blocks}, gap={self.gap})"


def _widened(mask: np.ndarray, gap: int) -> np.ndarray:
    """Add to True entries those up to gap places away."""
    if not gap:
        return mask
    return binary_dilation(mask, iterations=gap)
