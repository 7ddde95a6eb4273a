"""What happens between the batches and epochs of a training."""

from __future__ import annotations

import logging
import math
import sys
import time

from skorch.callbacks import Callback

from skatom.models._network.divergence import TrainingDivergedError

LOGGER = logging.getLogger("skatom")
SECONDS_BETWEEN_LINES = 2.0


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


class Recorder(Callback):
    """Write learning rate, time and validation errors in eV and eV/Å to the history.

    Parameters
    ----------
    scale : float
        Unit of energies in training, in eV.
    """

    def __init__(self, scale: float):
        self.scale = scale

    def on_train_begin(self, net, **kwargs):
        """Start the clock."""
        self.start_ = time.perf_counter()

    def on_epoch_begin(self, net, **kwargs):
        """Clear the sums."""
        self.sums_ = {"energy": [0.0, 0], "force": [0.0, 0]}

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        """Add the errors of a validation batch."""
        if training:
            return
        targets = batch[1]
        error = (y_pred.energies - targets.energies).detach().abs()
        self._add("energy", error.sum(), len(error))
        if targets.forces is not None:
            present = targets.force_weights > 0
            error = (y_pred.forces - targets.forces).detach()[present].abs()
            self._add("force", error.sum(), error.numel())

    def on_epoch_end(self, net, **kwargs):
        """Record, and drop what was kept of single batches."""
        history = net.history
        history.record("lr", net.optimizer_.param_groups[0]["lr"])
        history.record("seconds", time.perf_counter() - self.start_)
        for name, (total, count) in self.sums_.items():
            if count:
                history.record(f"valid_{name}_mae", self.scale * total / count)
        history[-1]["batches"].clear()

    def _add(self, name: str, total, count: int) -> None:
        self.sums_[name][0] += float(total)
        self.sums_[name][1] += count


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
            self.best_loss_, self.best_epoch_ = loss, epoch
            self.weights_ = {
                name: tensor.detach().clone()
                for name, tensor in net.module_.state_dict().items()
            }
        elif self.patience is not None and epoch - self.best_epoch_ >= self.patience:
            raise StopTraining

    def on_train_end(self, net, **kwargs):
        """Go back to the best weights."""
        if self.weights_ is not None:
            net.module_.load_state_dict(self.weights_)
            self.weights_ = None


class Progress(Callback):
    """Tell how far the training is: every epoch to the log, some to the terminal.

    Parameters
    ----------
    shown : bool
        Whether to write a line to standard error every few seconds.
    """

    def __init__(self, shown: bool):
        self.shown = shown

    def on_train_begin(self, net, **kwargs):
        """Start the clock."""
        self.written_ = -math.inf

    def on_epoch_end(self, net, **kwargs):
        """Write the record of the epoch."""
        line = _line(net.history[-1], net.max_epochs)
        LOGGER.debug(line)
        if self.shown and time.perf_counter() - self.written_ > SECONDS_BETWEEN_LINES:
            self._write(line)

    def on_train_end(self, net, **kwargs):
        """Write the last record."""
        if self.shown and net.history:
            self._write(_line(net.history[-1], net.max_epochs))

    def _write(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        self.written_ = time.perf_counter()


def _line(record: dict, max_epochs: int) -> str:
    parts = [
        f"epoch {record['epoch']:>{len(str(max_epochs))}}/{max_epochs}",
        f"loss {record['train_loss']:.3e}",
    ]
    if "valid_loss" in record:
        parts.append(f"validation {record['valid_loss']:.3e}")
        parts.append(f"energy MAE {1000 * record['valid_energy_mae']:.2f} meV")
    if "valid_force_mae" in record:
        parts.append(f"force MAE {1000 * record['valid_force_mae']:.2f} meV/Å")
    parts += [f"lr {record['lr']:.1e}", f"{record['seconds']:.1f} s"]
    return "  ".join(parts)
