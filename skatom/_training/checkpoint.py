"""Checkpoints: a training that was killed goes on as if nothing had happened."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import numpy as np
from skorch.callbacks import Callback, LRScheduler

from skatom._runtime.whole_files import write_atomically
from skatom._training.distributed import share_of_this_process
from skatom._training.tensor_files import from_bytes, to_bytes

SECONDS_BETWEEN_WRITES = 10.0


class Checkpoint(Callback):
    """Write everything that a training goes on from at the end of epochs.

    Parameters
    ----------
    path : path-like
    identity : dict
        What tells this training from others: fingerprints of data and parameters, seed.
    order : RandomState
        Source of the order of batches.
    seconds : float
        Shortest time between two writes; the last state is always written.
    """

    def __init__(
        self, path, identity: dict, order, seconds: float = SECONDS_BETWEEN_WRITES
    ):
        self.path = path
        self.identity = identity
        self.order = order
        self.seconds = seconds

    def on_train_begin(self, net, **kwargs):
        """Start the clock."""
        self.written_ = time.perf_counter() if self.seconds else -math.inf

    def on_epoch_end(self, net, **kwargs):
        """Write the state when it is time."""
        if time.perf_counter() - self.written_ >= self.seconds:
            self.write(net, finished=False)

    def write(self, net, finished: bool) -> None:
        """Put the whole state into the file.

        Parameters
        ----------
        net : Net
        finished : bool
            Whether nothing is left to do.
        """
        if share_of_this_process()[0] > 0:
            return
        callbacks = dict(net.callbacks_)
        generator = getattr(net.module_, "generator", None)
        state = {
            **self.identity,
            "finished": finished,
            "module": dict(net.module_.state_dict()),
            "optimizer": net.optimizer_.state_dict(),
            "order": self.order.get_state(),
            "generator": None if generator is None else generator.get_state(),
            "history": plain_history(net.history),
            "callbacks": {
                name: callback.state()
                for name, callback in callbacks.items()
                if hasattr(callback, "state")
            },
            "schedules": {
                name: callback.lr_scheduler_.state_dict()
                for name, callback in callbacks.items()
                if isinstance(callback, LRScheduler)
            },
        }
        write_atomically(Path(self.path), to_bytes(state))
        self.written_ = time.perf_counter()

    def restore(self, net, state: dict) -> None:
        """Put a stored state into a net whose training has just begun.

        Parameters
        ----------
        net : Net
        state : dict
            From `read_checkpoint`.
        """
        callbacks = dict(net.callbacks_)
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        self.order.set_state(state["order"])
        if state["generator"] is not None:
            net.module_.generator.set_state(state["generator"])
        net.history_ = type(net.history)(state["history"])
        for name, stored in state["callbacks"].items():
            callbacks[name].load_state(stored)
        for name, stored in state["schedules"].items():
            callbacks[name].lr_scheduler_.load_state_dict(stored)


def read_checkpoint(path: str | os.PathLike, identity: dict) -> dict | None:
    """Read the state that a training goes on from.

    Parameters
    ----------
    path : path-like
    identity : dict
        What the file must say about its data and parameters.

    Returns
    -------
    state : dict or None
        None when there is no file yet.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or that of another training.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    try:
        state = from_bytes(data)
        different = [key for key in identity if state[key] != identity[key]]
    except Exception as error:  # safetensors and JSON raise what they like
        raise ValueError(
            f"{path} is no checkpoint of a network ({error}): name another file, or "
            "delete it."
        ) from error
    if different:
        raise ValueError(
            f"The checkpoint {path} belongs to another training: its "
            f"{' and '.join(different)} differ. Name another file to start afresh, or "
            "give what it was started with to go on."
        )
    return state


def plain_history(history) -> list[dict]:
    """Turn records of a skorch history into plain numbers, for JSON."""
    return [
        {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in record.items()
        }
        for record in history
    ]
