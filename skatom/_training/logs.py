"""Logs of a training: a CSV file, TensorBoard, a picture of the losses."""

from __future__ import annotations

import csv
import math
import os
import time
from pathlib import Path

from skorch.callbacks import Callback

from skatom._validation import listing

PICTURES = (".png", ".svg", ".pdf")
SECONDS_BETWEEN_PICTURES = 2.0


def log_callbacks(paths) -> list[tuple[str, Callback]]:
    """Choose a log for each path by its suffix.

    Parameters
    ----------
    paths : path-like, sequence of path-like, or None
        ``*.csv``, a picture, or a folder for TensorBoard (no suffix).
    """
    if paths is None:
        return []
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found = []
    for k, given in enumerate(paths):
        path = Path(given)
        if path.suffix == ".csv":
            log: Callback = CsvLog(path)
        elif path.suffix in PICTURES:
            log = LossPlot(path)
        elif not path.suffix:
            log = TensorBoardLog(path)
        else:
            raise ValueError(
                f"log_to names {str(given)!r}, and {path.suffix!r} says of no log: give "
                f"*.csv, {listing('*' + p for p in PICTURES)}, or a folder for "
                "TensorBoard."
            )
        found.append((f"log{k}", log))
    return found


class CsvLog(Callback):
    """A line an epoch, readable while the training runs.

    Parameters
    ----------
    path : path-like
        Replaced at the start, with the epochs before a resumed training.
    """

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, net, **kwargs):
        """Know of no epoch yet."""
        self.names_ = None

    def on_epoch_end(self, net, **kwargs):
        """Add the epoch, or begin the file with all epochs so far."""
        fresh = self.names_ is None
        if fresh:
            self.names_ = ["epoch", *numbers_of(net.history[-1])]
        records = net.history.to_list() if fresh else [net.history[-1]]
        with open(self.path, "w" if fresh else "a", newline="") as stream:
            writer = csv.writer(stream)
            if fresh:
                writer.writerow(self.names_)
            writer.writerows([[r.get(n, "") for n in self.names_] for r in records])


class TensorBoardLog(Callback):
    """Curves for TensorBoard.

    Parameters
    ----------
    path : path-like
        Folder of the events.
    """

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, net, **kwargs):
        """Open the folder."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "log_to names a folder, which is a log for TensorBoard, and that is not "
                "installed: pip install tensorboard, or name a .csv file."
            ) from error
        self.writer_ = SummaryWriter(str(self.path))

    def on_epoch_end(self, net, **kwargs):
        """Add the epoch."""
        record = net.history[-1]
        for name, value in numbers_of(record).items():
            self.writer_.add_scalar(name, value, record["epoch"])

    def on_train_end(self, net, **kwargs):
        """Close the folder."""
        self.writer_.close()


class LossPlot(Callback):
    """A picture of the losses, drawn anew every few seconds.

    Parameters
    ----------
    path : path-like
        File of the picture.
    """

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, net, **kwargs):
        """Find matplotlib before a long training rather than after."""
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                "log_to names a picture, which matplotlib draws, and that is not "
                'installed: pip install "skatom[viz]", or name a .csv file.'
            ) from error
        self.figure_ = Figure(layout="constrained")  # no window, no global state
        self.drawn_ = -math.inf

    def on_epoch_end(self, net, **kwargs):
        """Draw when it is time."""
        if time.perf_counter() - self.drawn_ > SECONDS_BETWEEN_PICTURES:
            self._draw(net.history)

    def on_train_end(self, net, **kwargs):
        """Draw all epochs."""
        self._draw(net.history)

    def _draw(self, history) -> None:
        self.figure_.clear()
        axes = self.figure_.subplots()
        epochs = [record["epoch"] for record in history]
        lowest = math.inf
        for name, label in (("train_loss", "training"), ("valid_loss", "validation")):
            if name in history[-1]:
                losses = [record[name] for record in history]
                lowest = min(lowest, *losses)
                axes.plot(epochs, losses, label=label)
        scale = "log" if lowest > 0 else "linear"  # log likelihoods have any sign
        axes.set(xlabel="epoch", ylabel="loss (units of the scale)", yscale=scale)
        axes.legend()
        self.figure_.savefig(self.path)
        self.drawn_ = time.perf_counter()


def numbers_of(record: dict) -> dict[str, float]:
    """Give the losses, errors, learning rate and time of an epoch."""
    return {
        name: value
        for name, value in record.items()
        if isinstance(value, float) and name != "dur" and not name.startswith("event")
    }
