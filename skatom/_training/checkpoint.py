"""Checkpoints: a training that was killed goes on as if nothing had happened."""

from __future__ import annotations

import hashlib
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback, LRScheduler

from skatom._runtime.state import check_random_state
from skatom._runtime.whole_files import write_atomically
from skatom._training.distributed import share_of_this_process
from skatom._training.layerwise_adam import LayerwiseAdam
from skatom._training.tensor_files import from_bytes, to_bytes
from skatom._validation import listing

SECONDS_BETWEEN_WRITES = 10.0
# A file begins with this, and a checksum of what follows.
BEGINNING = b"skatom checkpoint\n"
# Parameters that may be laid out over max_epochs when a training begins: schedules, and
# weights that go from a first to a last.
LAID_OUT = ("lr_schedule", "energy_weight", "force_weight", "stress_weight")
# Optimizers whose memories are of other shapes, and whose operations compare them.
CHECK_THEMSELVES = (torch.optim.LBFGS, LayerwiseAdam)
SCHEDULES_LAID_OUT = ("'cosine'", "'onecycle'")


class Checkpoint(Callback):
    """Write everything that a training goes on from at the end of epochs.

    Parameters
    ----------
    path : path-like
    identity : dict
        What tells this training from others: see `read_checkpoint`.
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
            self.write(net)

    def write(self, net, stopped: bool = False) -> None:
        """Put the whole state into the file.

        Parameters
        ----------
        net : Net
        stopped : bool
            Whether more epochs would not be trained, because none was better or errors
            were small enough.
        """
        if share_of_this_process()[0] > 0:
            return
        callbacks = dict(net.callbacks_)
        generator = getattr(net.module_, "generator", None)
        state = {
            **self.identity,
            "stopped": stopped,
            "max_epochs": net.max_epochs,
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
        write_atomically(Path(self.path), sealed(state))
        self.written_ = time.perf_counter()

    def restore(self, net, state: dict) -> None:
        """Put a stored state into a net whose training has just begun.

        Parameters
        ----------
        net : Net
        state : dict
            From `read_checkpoint`.
        """
        try:
            self._put(net, state)
        except Exception as error:  # torch raises what it likes
            raise ValueError(
                f"The state in the checkpoint {self.path} is not that of this network "
                f"({type(error).__name__}): name another file to start afresh."
            ) from error

    def _put(self, net, state: dict) -> None:
        callbacks = dict(net.callbacks_)
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        refuse_other_shapes(net.optimizer_)
        self.order.set_state(state["order"])
        check_random_state(self.order)
        if state["generator"] is not None:
            net.module_.generator.set_state(state["generator"])
        net.history_ = type(net.history)(state["history"])
        for name, stored in state["callbacks"].items():
            callbacks[name].load_state(stored)
        for name, stored in state["schedules"].items():
            callbacks[name].lr_scheduler_.load_state_dict(stored)


def sealed(state: dict) -> bytes:
    """Write a state with a checksum of all of it."""
    content = to_bytes(state)
    return BEGINNING + hashlib.sha256(content).digest() + content


def unsealed(data: bytes, path: str | os.PathLike) -> dict:
    """Read what `sealed` wrote, unless a bit has changed.

    Raises
    ------
    ValueError
        If it is something else, or damaged.
    """
    start = len(BEGINNING)
    checksum, content = data[start : start + 32], data[start + 32 :]
    if not data.startswith(BEGINNING):
        reason = "is no checkpoint of a network"
    elif hashlib.sha256(content).digest() != checksum:
        reason = "is a damaged checkpoint (its checksum does not match)"
    else:
        try:
            state = from_bytes(content)
            if isinstance(state, dict):
                return state
        except Exception:  # safetensors and JSON raise what they like
            pass
        reason = "is no checkpoint of a network, though it begins as one"
    raise ValueError(
        f"{path} {reason}: delete it, or name another file, to start afresh."
    )


def refuse_other_shapes(optimizer: torch.optim.Optimizer) -> None:
    """Refuse memories of an optimizer that its compiled steps would read beyond.

    Raises
    ------
    ValueError
        If one has neither the shape of its parameter nor a single number.
    """
    if isinstance(optimizer, CHECK_THEMSELVES):
        return
    for parameter, memory in optimizer.state.items():
        for name, value in memory.items():
            if value is not None and value.shape not in (parameter.shape, ()):
                raise ValueError(f"{name} has shape {tuple(value.shape)}")


def read_checkpoint(path: str | os.PathLike, identity: dict, max_epochs: int):
    """Read the state that a training goes on from.

    Parameters
    ----------
    path : path-like
    identity : dict
        What the file must say: fingerprints of the data, the validation set, the groups
        and the weights of the start, None where there are none; a dict of the parameters
        that matter; the seed, if one was asked for.
    max_epochs : int
        May be more than those of the file.

    Returns
    -------
    state : dict or None
        None when there is no file yet.

    Raises
    ------
    ValueError
        If the file is no checkpoint, is damaged or belongs to another training.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    state = unsealed(data, path)
    try:
        differences = _differences(state, identity)
        n_done, planned = len(state["history"]), state["max_epochs"]
    except Exception as error:  # whatever a forged file holds
        raise ValueError(
            f"{path} is no checkpoint of a network, though it begins as one: delete it, "
            "or name another file, to start afresh."
        ) from error
    if differences:
        raise ValueError(
            f"The checkpoint {path} belongs to another training: {listing(differences)}. "
            "Name another file, or delete this one, to start afresh; or give what it was "
            "started with to go on."
        )
    if n_done > max_epochs:
        raise ValueError(
            f"The checkpoint {path} has {n_done} epochs behind it, and max_epochs is "
            f"{max_epochs}: raise max_epochs to go on, or name another file."
        )
    fixed = [
        f"{name}={text}"
        for name, text in identity["parameters"].items()
        if name in LAID_OUT and (text in SCHEDULES_LAID_OUT or text.startswith("("))
    ]
    if max_epochs != planned and fixed:
        raise ValueError(
            f"{listing(fixed)} was laid out over max_epochs={planned} in the checkpoint "
            f"{path}, and has no continuation to {max_epochs}: go on from the fitted "
            "model with warm_start=True, or train anew, each with another file."
        )
    return state


def _differences(state: dict, identity: dict) -> list[str]:
    """Say how the training of a checkpoint and this one differ."""
    there, here = state["parameters"], identity["parameters"]
    found = [
        f"its {name} differs" for name in identity
        if name != "parameters" and state.get(name) != identity[name]
    ]  # fmt: skip
    return found + [
        f"{name} was {there.get(name)} and is {here.get(name)}"
        for name in {**there, **here}
        if there.get(name) != here.get(name)
    ]


def plain_history(history) -> list[dict]:
    """Turn records of a skorch history into plain numbers, for JSON."""
    return [
        {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in record.items()
        }
        for record in history
    ]
