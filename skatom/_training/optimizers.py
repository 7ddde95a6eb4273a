"""Optimizers and schedules of the learning rate, by name."""

from __future__ import annotations

import torch
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from skatom._training.layerwise_adam import LayerwiseAdam
from skatom._training.lean_optimizers import Adam, AdamW

OPTIMIZERS = {
    "adam": Adam,
    "adamw": AdamW,
    "layerwise_adam": LayerwiseAdam,
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "lbfgs": torch.optim.LBFGS,
}
LEARNING_RATES = {
    "adam": 3e-3,
    "adamw": 3e-3,
    "layerwise_adam": 1e-2,
    "sgd": 1e-2,
    "adagrad": 3e-2,
    "lbfgs": 1.0,
}
# Without decay, steps along directions in which the training set has no spread add up.
WEIGHT_DECAYS = {"adamw": 1e-2, "layerwise_adam": 0.1}
# One loop over all weights: half the time.
FUSED = ("adam", "adamw", "sgd", "adagrad")

# Those that evaluate a loss once a step.
WITHOUT_CLOSURE = [kind for name, kind in OPTIMIZERS.items() if name != "lbfgs"]

# A plateau of a quarter of the patience halves the learning rate, down to this share.
PLATEAU_SHARE, PLATEAU_FACTOR, SMALLEST_LR = 4, 0.5, 1e-3
# "step" halves it this many times.
STEPS, STEP_FACTOR = 5, 0.5


def optimizer_settings(name: str, lr: float | None, weight_decay: float | None) -> dict:
    """Give the parameters of a skorch net that choose its optimizer.

    Parameters
    ----------
    name : str
        Key of ``OPTIMIZERS``.
    lr : float or None
        None is the one in ``LEARNING_RATES``.
    weight_decay : float or None
        None is the one in ``WEIGHT_DECAYS``, or zero.
    """
    if weight_decay is None:
        weight_decay = WEIGHT_DECAYS.get(name, 0.0)
    settings = {
        "optimizer": OPTIMIZERS[name],
        "lr": LEARNING_RATES[name] if lr is None else lr,
    }
    if name == "lbfgs":
        settings["optimizer__line_search_fn"] = "strong_wolfe"
    else:
        settings["optimizer__weight_decay"] = weight_decay
    if name in FUSED:
        settings["optimizer__fused"] = True
    return settings


def lr_callback(
    schedule: str | None,
    *,
    lr: float,
    max_epochs: int,
    n_batches: int,
    patience: int | None,
    validates: bool,
    threshold_mode: str = "rel",
) -> LRScheduler | None:
    """Give the callback that changes the learning rate.

    Parameters
    ----------
    schedule : {"plateau", "cosine", "step", "onecycle"} or None
    lr : float
        At the start, or for "onecycle" the largest.
    max_epochs, n_batches : int
        Epochs, and batches of each.
    patience : int or None
        Of early stopping.
    validates : bool
        Whether there is a validation loss to look at.
    threshold_mode : {"rel", "abs"}
        What a better loss is to "plateau"; "abs" for losses that may be negative.
    """
    if schedule == "plateau":
        return LRScheduler(
            policy=ReduceLROnPlateau,
            monitor="valid_loss" if validates else "train_loss",
            factor=PLATEAU_FACTOR,
            patience=max(1, (patience or max_epochs) // PLATEAU_SHARE),
            min_lr=SMALLEST_LR * lr,
            threshold_mode=threshold_mode,
        )
    if schedule == "cosine":
        return LRScheduler(
            policy=CosineAnnealingLR, step_every="batch", T_max=max_epochs * n_batches
        )
    if schedule == "step":
        size = max(1, -(-max_epochs // (STEPS + 1)))
        return LRScheduler(policy=StepLR, step_size=size, gamma=STEP_FACTOR)
    if schedule == "onecycle":
        return LRScheduler(
            policy=OneCycleLR,
            step_every="batch",
            max_lr=lr,
            total_steps=max_epochs * n_batches + 1,
            cycle_momentum=False,
        )
    return None
