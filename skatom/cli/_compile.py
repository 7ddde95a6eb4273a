"""Compile all kernels before they are needed, in several processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.util import find_spec
from multiprocessing import get_context

import numpy as np

from skatom import featurizers
from skatom.base import AtomFeaturizer
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge, AtomicRidge
from skatom.neighbors import neighbor_pairs
from skatom.potential import make_potential
from skatom.structures import check_structures
from skatom.structures._samples import check_frames, with_labels

NEIGHBORS, MODELS = "neighbour search", "models"


def compiled_classes() -> dict[str, type]:
    """Find the featurizers that have kernels, by name."""
    public = {name: getattr(featurizers, name) for name in featurizers.__all__}
    return {name: cls for name, cls in public.items() if hasattr(cls, "_warm_up")}


def tasks() -> list[tuple[str, ...]]:
    """Group what shares kernels, to be compiled in one process, the largest first."""
    groups: dict[str, tuple[str, ...]] = {
        "ACSF": (MODELS,)
    }  # which models are used with
    for name, cls in compiled_classes().items():
        first = cls._shares_kernels_of or name
        groups[first] = (name, *groups.get(first, ()))
    return sorted(groups.values(), key=len, reverse=True)


def precompile(n_jobs: int = 1) -> Iterator[tuple[str, float]]:
    """Compile all kernels that are not on disk yet, by using each of them.

    Parameters
    ----------
    n_jobs : int, default=1
        Number of processes. Numba compiles one kernel at a time in each.

    Yields
    ------
    name : str
        What has been compiled.
    seconds : float
        Wall time it took.
    """
    yield from compile_task((NEIGHBORS,))  # which all others need
    waiting = tasks()
    with ProcessPoolExecutor(
        min(n_jobs, len(waiting)), mp_context=get_context("spawn")
    ) as pool:
        running = [pool.submit(compile_task, task) for task in waiting]
        for done in as_completed(running):
            yield from done.result()


def compile_task(names: tuple[str, ...]) -> list[tuple[str, float]]:
    """Use kernels, and tell how long each group took."""
    frames = with_labels(check_frames())
    times = []
    for name in names:
        start = time.perf_counter()
        if name == NEIGHBORS:
            pairs = neighbor_pairs(check_structures(frames), 5.0)
            pairs.moved(check_structures(frames).flat.positions, np.eye(3))
        elif name == MODELS:
            _fit_models(frames)
        else:
            cls = compiled_classes()[name]
            for parameters in cls._warm_up:
                _use(cls(**parameters), frames)
        times.append((name, time.perf_counter() - start))
    return times


def _use(featurizer, frames) -> None:
    """Compute values, and derivatives of features of atoms."""
    if not isinstance(featurizer, AtomFeaturizer):
        featurizer.fit_transform([a for a in frames if not a.pbc.any()])
        return
    X = featurizer.fit_transform(frames)
    forces = X.pairs.forces(X.pullback(np.ones_like(X.values)))
    X.pairs.forces_transpose(forces)
    X.pushforward(np.ones_like(X.pairs.vectors))
    X.jacobian(len(frames) - 3)  # a crystal, whose centres have many neighbours


def _fit_models(frames) -> None:
    """Fit and predict with the models that have loops of their own."""
    y = [atoms.get_potential_energy() for atoms in frames]
    models = [AtomicRidge(), AtomicKernelRidge()]
    if find_spec("torch") and find_spec("skorch"):
        from skatom.models import NeuralNetworkRegressor

        models.append(NeuralNetworkRegressor(hidden_layers=(4,), max_epochs=1))
    for model in models:
        potential = make_potential(ACSF(4.0, n_radial=2), model).fit(frames, y)
        potential.predict_forces(frames)
