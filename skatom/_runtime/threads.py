"""Threads for compiled loops, whose results do not depend on the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import numpy as np
from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

from skatom._runtime.progress import Progress

# Below this many atoms a second thread costs more than it brings (about 0.1 ms a task).
ATOMS_WORTH_A_THREAD = 1000


def run_chunks(
    task: Callable[[int, int], None],
    weights: Sequence[int] | np.ndarray,
    n_jobs: int | None,
    progress: Progress | None = None,
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
    progress : Progress, optional
        Told of the centres that are done, in smaller chunks.
    """
    n_atoms = len(weights) - 1
    most = n_atoms // ATOMS_WORTH_A_THREAD
    # The common step of a simulation; joblib refuses zero jobs below.
    if most <= 1 and progress is None and n_jobs != 0:
        task(0, n_atoms)
        return
    n_threads = max(1, min(effective_n_jobs(n_jobs), most))
    n_chunks = n_threads if progress is None else max(n_threads, min(most, 100))
    if progress is not None:
        task = progress.following(task)
    if n_chunks == 1:
        task(0, n_atoms)
        return
    levels = np.linspace(0, weights[-1], n_chunks + 1)[1:-1]
    edges = [0, *np.searchsorted(weights, levels).tolist(), n_atoms]
    if n_threads == 1:
        for start, stop in zip(edges[:-1], edges[1:]):
            task(start, stop)
        return
    # joblib's threads take 10 ms to start, plain ones 0.1 ms
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(task, edges[:-1], edges[1:]))


def run_tasks(
    task: Callable, items: Sequence, n_jobs: int | None = None, n_least: int = 2
) -> None:
    """Run ``task(item)`` for all items, in threads that each use BLAS alone.

    Parameters
    ----------
    task : callable
        Writes to places of its own, and releases the GIL where it works.
    items : sequence
    n_jobs : int or None
        Number of threads, as in joblib: None is one, or what ``parallel_config`` says.
    n_least : int, default=2
        Fewer items are not worth a thread.
    """
    n_threads = min(effective_n_jobs(n_jobs), len(items))
    if n_threads < 2 or len(items) < n_least:
        for item in items:
            task(item)
        return
    limit = _controller().limit(limits=1, user_api="blas")
    with limit, ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(task, items))


@contextmanager
def few_blas_threads(n_atoms: int) -> Iterator[None]:
    """Keep BLAS to one thread while small systems are computed.

    Its threads wait for each other by spinning: beside another job, a step of nine atoms
    took 300 ms of processor time with two threads and 7 ms with one.

    Parameters
    ----------
    n_atoms : int
        Size of the system; from `ATOMS_WORTH_A_THREAD` on nothing is limited.

    """
    libraries = [] if n_atoms >= ATOMS_WORTH_A_THREAD else _blas_libraries()
    # as ThreadpoolController.limit, which takes 20 us
    before = [library.num_threads for library in libraries]
    for library in libraries:
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, n_threads in zip(libraries, before):
            library.set_num_threads(n_threads)


@cache
def _blas_libraries() -> list:
    return _controller().select(user_api="blas").lib_controllers


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
