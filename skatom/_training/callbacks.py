"""Callbacks: guards, averages, records and early stopping of a training."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from skorch.callbacks import Callback

from skatom._runtime.progress import Progress
from skatom._training.diverged import TrainingDivergedError

LOGGER = logging.getLogger("skatom")


class StopTraining(Exception):
    """Ends a training early, in good order."""


class Guard(Callback):
    """Stop with an error as soon as a loss is not finite."""

    def on_train_begin(self, net, **kwargs):
        """Forget earlier trainings."""
        self.last_loss_ = None

    def on_batch_end(self, net, loss=None, training=False, **kwargs):
        """Look at the loss of a batch."""
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingDivergedError(net.history[-1, "epoch"], self.last_loss_)
        if training:
            self.last_loss_ = value


class LossSchedule(Callback):
    """Move the weights of energies, forces and stress from their first to their last.

    Parameters
    ----------
    max_epochs : int
    """

    def __init__(self, max_epochs: int):
        self.max_epochs = max_epochs

    def on_epoch_begin(self, net, **kwargs):
        """Set the weights of the epoch."""
        epoch = len(net.history) - 1
        net.criterion_.advance(epoch / max(1, self.max_epochs - 1))


class WeightAverage(Callback):
    """Keep an exponentially decaying mean of all weights beside those that are trained.

    Early on, when there is little to average, the memory is shorter.

    Parameters
    ----------
    decay : float
        Share of the old mean that a step leaves.
    """

    def __init__(self, decay: float):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        """Begin with the weights as they are."""
        self.n_steps_ = 0
        self.mean_ = {
            k: v.detach().clone() for k, v in net.module_.state_dict().items()
        }

    @torch.no_grad()
    def on_batch_end(self, net, training=False, **kwargs):
        """Add the weights of a step."""
        if not training:
            return
        self.n_steps_ += 1
        decay = min(self.decay, self.n_steps_ / (self.n_steps_ + 9))
        now = net.module_.state_dict()
        names = [name for name, value in now.items() if value.is_floating_point()]
        mean, new = ([d[name] for name in names] for d in (self.mean_, now))
        torch._foreach_lerp_(mean, new, 1 - decay)
        for name in now.keys() - set(names):  # counters
            self.mean_[name].copy_(now[name])

    @contextmanager
    def applied(self, net) -> Iterator[None]:
        """Put the mean into the net for a while."""
        own = {k: v.detach().clone() for k, v in net.module_.state_dict().items()}
        net.module_.load_state_dict(self.mean_)
        try:
            yield
        finally:
            net.module_.load_state_dict(own)

    def on_train_end(self, net, **kwargs):
        """Leave the mean in the net."""
        net.module_.load_state_dict(self.mean_)

    def state(self) -> dict:
        """Give what a checkpoint stores."""
        return {"n_steps": self.n_steps_, "mean": self.mean_}

    def load_state(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.n_steps_, self.mean_ = state["n_steps"], state["mean"]


class Recorder(Callback):
    """Write learning rate, time and errors in physical units to the history.

    Parameters
    ----------
    scales : ndarray of shape (n_outputs,)
        Units of the targets in training.
    validates : bool
        Whether there is a validation part; errors of training are recorded without.
    """

    def __init__(self, scales, validates: bool):
        self.scales = scales
        self.validates = validates

    def on_train_begin(self, net, **kwargs):
        """Start the clock."""
        self.start_ = time.perf_counter()
        self.unit_ = torch.as_tensor(self.scales, dtype=torch.float64)

    def on_epoch_begin(self, net, **kwargs):
        """Forget the errors of the last epoch."""
        self.errors_: dict[str, list[tuple]] = {}

    @torch.no_grad()
    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        """Keep the errors of a batch, in units of training."""
        if training and self.validates:
            return
        part, targets = ("train" if training else "valid"), batch[1]
        error = y_pred.values - targets.values
        self._keep(part, error, targets.weights)
        if targets.forces is not None:
            error = y_pred.forces - targets.forces
            self._keep(f"{part}_force", error, targets.force_weights)

    def on_epoch_end(self, net, **kwargs):
        """Record, and drop what was kept of single batches."""
        history = net.history
        history.record("lr", float(net.optimizer_.param_groups[0]["lr"]))
        history.record("seconds", time.perf_counter() - self.start_)
        for name, kept in self.errors_.items():
            errors, weights = map(torch.cat, zip(*kept))
            unit = self.unit_[:1] if name.endswith("_force") else self.unit_
            known = errors[weights > 0].double() * unit.to(errors.device)
            if known.numel():
                history.record(f"{name}_mae", float(known.abs().mean()))
                history.record(f"{name}_rmse", float(known.square().mean().sqrt()))
        history[-1]["batches"].clear()

    def _keep(self, name: str, error, weights) -> None:
        self.errors_.setdefault(name, []).append((error.detach(), weights))

    def state(self) -> dict:
        """Give what a checkpoint stores."""
        return {"seconds": time.perf_counter() - self.start_}

    def load_state(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.start_ = time.perf_counter() - state["seconds"]


class KeepBest(Callback):
    """Remember the weights of the best epoch, and stop when there is no better one.

    Parameters
    ----------
    patience : int or None
        Epochs without improvement after which to stop; None never stops.
    """

    def __init__(self, patience: int | None):
        self.patience = patience

    def on_train_begin(self, net, **kwargs):
        """Forget earlier trainings."""
        self.best_loss_ = math.inf
        self.best_epoch_ = 0
        self.weights_ = None

    def on_epoch_end(self, net, **kwargs):
        """Compare the validation loss with the best."""
        loss, epoch = net.history[-1, "valid_loss"], net.history[-1, "epoch"]
        if loss < self.best_loss_:
            average = dict(net.callbacks_).get("average")
            kept = net.module_.state_dict() if average is None else average.mean_
            self.best_loss_, self.best_epoch_ = float(loss), epoch
            self.weights_ = {name: t.detach().clone() for name, t in kept.items()}
        elif self.patience is not None and epoch - self.best_epoch_ >= self.patience:
            raise StopTraining

    def on_train_end(self, net, **kwargs):
        """Go back to the best weights."""
        if self.weights_ is not None:
            net.module_.load_state_dict(self.weights_)
            self.weights_ = None

    def state(self) -> dict:
        """Give what a checkpoint stores."""
        return {
            "loss": self.best_loss_, "epoch": self.best_epoch_, "weights": self.weights_
        }  # fmt: skip

    def load_state(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.best_loss_, self.best_epoch_ = state["loss"], state["epoch"]
        self.weights_ = state["weights"]


class Converged(Callback):
    """Stop when root mean square errors are small enough.

    Parameters
    ----------
    part : {"valid", "train"}
        Structures whose errors count.
    energy_tol, force_tol : float or None
        In units of the target and, for forces, eV/Å. Those that are given must be met
        together.
    """

    def __init__(self, part: str, energy_tol: float | None, force_tol: float | None):
        self.part = part
        self.energy_tol = energy_tol
        self.force_tol = force_tol

    def on_epoch_end(self, net, **kwargs):
        """Compare the errors of the epoch with the limits."""
        record = net.history[-1]
        limits = {"_rmse": self.energy_tol, "_force_rmse": self.force_tol}
        errors = [
            (record.get(self.part + name, math.inf), limit)
            for name, limit in limits.items()
            if limit is not None
        ]
        if all(error <= limit for error, limit in errors):
            raise StopTraining


class TellProgress(Callback):
    """Tell how far the training is: every epoch to the log, some to the terminal.

    Parameters
    ----------
    shown : bool
        Whether to show a bar on standard error.
    """

    def __init__(self, shown: bool):
        self.shown = shown

    def on_train_begin(self, net, **kwargs):
        """Start the clock."""
        self.progress_ = Progress("training", net.max_epochs, "epochs", self.shown)

    def on_epoch_end(self, net, **kwargs):
        """Write the record of the epoch."""
        record = net.history[-1]
        text = describe(record)
        LOGGER.debug(f"epoch {record['epoch']}/{net.max_epochs}  {text}")
        self.progress_.reach(record["epoch"], text)

    def on_train_end(self, net, **kwargs):
        """Say how long the training took."""
        self.progress_.close()


def describe(record: dict) -> str:
    """Write the losses and errors of an epoch as one line."""
    part = "valid" if "valid_loss" in record else "train"
    parts = [f"loss {record['train_loss']:.3e}"]
    if part == "valid":
        parts.append(f"validation {record['valid_loss']:.3e}")
    parts.append(f"MAE {record[f'{part}_mae']:.3g}")
    if f"{part}_force_mae" in record:
        parts.append(f"forces {1000 * record[f'{part}_force_mae']:.2f} meV/Å")
    parts.append(f"lr {record['lr']:.1e}")
    return "  ".join(parts)
