"""Threads of torch while small networks are trained."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Below this many multiplications a batch, a second thread costs more than it brings:
# measured 1.1, 2.0 and 7.2 ms with one, 1.1, 2.9 and up to 60 ms with two threads for
# batches of 90, 450 and 1800 atoms and networks of 12,000 weights.
WORTH_THREADS = 1e8

_LOCK = threading.Lock()
_STATE = {"users": 0, "before": 0}


@contextmanager
def torch_threads(n_multiplications: float) -> Iterator[None]:
    """Keep torch to one thread while batches are small, and put it back afterwards.

    Fits that run side by side in threads share the setting: the first takes it down, the
    last puts it back.

    Parameters
    ----------
    n_multiplications : float
        Atoms of a batch times weights of a network.
    """
    if n_multiplications > WORTH_THREADS:
        yield
        return
    with _LOCK:
        if _STATE["users"] == 0:
            _STATE["before"] = torch.get_num_threads()
            torch.set_num_threads(1)
        _STATE["users"] += 1
    try:
        yield
    finally:
        with _LOCK:
            _STATE["users"] -= 1
            if _STATE["users"] == 0:
                torch.set_num_threads(_STATE["before"])
