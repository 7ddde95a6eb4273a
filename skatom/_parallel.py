"""Work shared over threads, with results that do not depend on how many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

# Below this many atoms a second thread costs more than it brings (about 0.1 ms a task).
ATOMS_WORTH_A_THREAD = 1000


def run_chunks(
    task: Callable[[int, int], None],
    weights: Sequence[int] | np.ndarray,
    n_jobs: int | None,
) -> None:
    """Run ``task(start, stop)`` over all centres, in threads when that pays.

    Parameters
    ----------
    task : callable
        Works on centres ``start`` to ``stop`` and writes to rows of its own. It must
        release the GIL to gain anything.
    weights : array-like of shape (n_atoms + 1,)
        Cumulative work up to each centre (the offsets of its pairs).
    n_jobs : int or None
        Number of threads, as in joblib.
    """
    n_atoms = len(weights) - 1
    n_chunks = max(1, min(effective_n_jobs(n_jobs), n_atoms // ATOMS_WORTH_A_THREAD))
    if n_chunks == 1:
        task(0, n_atoms)
        return
    levels = np.linspace(0, weights[-1], n_chunks + 1)[1:-1]
    edges = [0, *np.searchsorted(weights, levels).tolist(), n_atoms]
    Parallel(n_jobs=n_chunks, prefer="threads", require="sharedmem")(
        delayed(task)(start, stop)
        for start, stop in zip(edges[:-1], edges[1:])
        if stop > start
    )
