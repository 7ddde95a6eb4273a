"""Compile all kernels before they are needed, in several processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
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


def tasks() -> dict[str, str | None]:
    """Name everything that is compiled, and what has to be there before: shared kernels.

    Returns
    -------
    after : dict of str to str or None
    """
    classes = compiled_classes().items()
    featurizers = {name: cls._shares_kernels_of or NEIGHBORS for name, cls in classes}
    return {
        NEIGHBORS: None,
        **featurizers,
        MODELS: "ACSF",
    }  # with which models are used


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
    after, ready, running = tasks(), [NEIGHBORS], {}
    with ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn")) as pool:
        while ready or running:
            # what others wait for goes first, and what had to wait goes next
            ready.sort(key=lambda n: (n not in after.values(), after[n] == NEIGHBORS))
            while ready and len(running) < n_jobs:
                name = ready.pop(0)
                running[pool.submit(compile_task, name)] = name
            for one in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(one)
                yield name, one.result()
                ready += [other for other, first in after.items() if first == name]


def compile_task(name: str) -> float:
    """Use kernels, and tell how many seconds it took."""
    frames = with_labels(check_frames())
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
    return time.perf_counter() - start


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
