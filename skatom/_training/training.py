"""Build a net from the parameters of an estimator, and train it."""

from __future__ import annotations

import numpy as np
import torch
from skorch.callbacks import GradientNormClipping

from skatom._training.activations import check_activations, refuse_kinks
from skatom._training.batches import Batches, Part
from skatom._training.callbacks import (
    Converged,
    Guard,
    KeepBest,
    LossSchedule,
    Recorder,
    StopTraining,
    TellProgress,
    WeightAverage,
)
from skatom._training.checkpoint import Checkpoint, read_checkpoint
from skatom._training.distributed import MeanGradients, share_of_this_process
from skatom._training.goals import Goals
from skatom._training.logs import log_callbacks
from skatom._training.loss import WeightedLoss
from skatom._training.net import Net
from skatom._training.optimizers import lr_callback, optimizer_settings
from skatom._training.readouts import AtomReading
from skatom._training.tensor_files import from_bytes, to_bytes
from skatom._training.torch_threads import torch_threads

__all__ = [
    "AtomReading",
    "Checkpoint",
    "Goals",
    "Part",
    "build_net",
    "check_activations",
    "for_prediction",
    "load_weights",
    "loss_curves",
    "one_pass",
    "read_checkpoint",
    "refuse_kinks",
    "to_bytes",
    "train",
    "weights_from_bytes",
    "weights_of",
    "weights_to_bytes",
]


def resolve_device(device: str) -> str:
    """Turn "auto" into what there is, and refuse what there is not.

    Parameters
    ----------
    device : str
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r}, but torch finds no CUDA device here. Use device='auto' "
            "or device='cpu'."
        )
    try:
        torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is no device that torch knows. Use 'auto', 'cpu' or "
            "'cuda'."
        ) from error
    return device


def build_net(
    params: dict,
    module: type[torch.nn.Module],
    module_params: dict,
    *,
    scales: np.ndarray,
    settings: dict | None = None,
    seed: int = 0,
    order: np.random.RandomState | None = None,
    n_structures: int = 1,
    validates: bool = False,
    checkpoint: Checkpoint | None = None,
) -> Net:
    """Build the net that an estimator trains.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.
    module : type
        A torch module whose ``forward(batch)`` gives what the net reads its predictions
        from, built with ``seed`` and ``dtype`` beside `module_params`.
    module_params : dict
    scales : ndarray of shape (n_outputs,)
        Units of the targets in training.
    settings : dict, optional
        Of the net, how it reads predictions and how it weighs losses among them.
    seed : int
        Seed of the initial weights.
    order : RandomState
        Source of the order of batches.
    n_structures : int
        Number of structures to learn from.
    validates : bool
        Whether there will be structures to choose the best epoch by.
    checkpoint : Checkpoint or None
    """
    device = resolve_device(params["device"])
    optimizer = optimizer_settings(
        params["optimizer"], params["lr"], params["weight_decay"]
    )
    batch_size = params["batch_size"]
    if params["optimizer"] == "lbfgs":
        batch_size = n_structures
    settings = {
        **optimizer,
        "module": module,
        **{f"module__{key}": value for key, value in module_params.items()},
        "module__seed": seed,
        "module__dtype": getattr(torch, params["dtype"]),
        "criterion": WeightedLoss,
        "criterion__kind": params["loss"],
        "criterion__delta": params["huber_delta"] / float(np.mean(scales)),
        "batch_size": batch_size,
        "max_epochs": params["max_epochs"],
        "iterator_train": Batches,
        "iterator_train__device": device,
        "iterator_train__random_state": order,
        "iterator_train__share": share_of_this_process(),
        "iterator_valid": Batches,
        "iterator_valid__device": device,
        "train_split": None,
        "device": device,
        "verbose": 0,
        **(settings or {}),
    }
    given = dict(params["net_params"] or {})
    n_batches = -(-n_structures // batch_size)
    own = _callbacks(params, scales, settings["lr"], n_batches, validates)
    if checkpoint is not None:
        own.append(("checkpoint", checkpoint))
    settings["callbacks"] = own + list(given.pop("callbacks", None) or [])
    return Net(**{**settings, **given}).initialize()


def _callbacks(
    params: dict, scales: np.ndarray, lr: float, n_batches: int, validates: bool
) -> list[tuple]:
    """Choose callbacks; each sees what those before it have done in an epoch."""
    epochs, patience = params["max_epochs"], params["patience"]
    callbacks = [
        ("guard", Guard()),
        ("loss_schedule", LossSchedule(epochs)),
        ("mean_gradients", MeanGradients()),
        ("recorder", Recorder(scales, validates)),
    ]
    if params["max_grad_norm"] is not None:
        clip = GradientNormClipping(params["max_grad_norm"])
        callbacks.append(("clip", clip))
    if params["ema"] is not None:
        callbacks.append(("average", WeightAverage(params["ema"])))
    schedule = lr_callback(
        params["lr_schedule"],
        lr=lr,
        max_epochs=epochs,
        n_batches=n_batches,
        patience=patience,
        validates=validates,
        threshold_mode="abs" if params["loss"] == "gaussian_nll" else "rel",
    )
    if schedule is not None:
        callbacks.append(("lr_schedule", schedule))
    logs = log_callbacks(params["log_to"])
    if share_of_this_process()[0] == 0:  # one of several processes speaks
        callbacks += [("progress", TellProgress(bool(params["verbose"]))), *logs]
    if validates:
        callbacks.append(("keep_best", KeepBest(patience)))
    limits = params.get("energy_tol"), params.get("force_tol")
    if limits != (None, None):
        part = "valid" if validates else "train"
        callbacks.append(("converged", Converged(part, *limits)))
    return callbacks


def train(
    net: Net, learning: Part, validation: Part | None, state: dict | None = None
) -> int:
    """Train until the end or until nothing improves; return the epoch that is kept.

    Unlike skorch's own ``fit``, an interruption by the user is passed on: half a
    training must not look like a whole one.

    Parameters
    ----------
    net : Net
    learning, validation : Part
        The structures to learn from, and those to choose the best epoch by.
    state : dict, optional
        Of a checkpoint, to go on from.

    Returns
    -------
    best_epoch : int
        Counted from 1.
    """
    parts = (learning, validation)
    callbacks = dict(net.callbacks_)
    checkpoint = callbacks.get("checkpoint")
    with torch_threads(_multiplications(net, learning)):
        net.notify("on_train_begin", X=parts, y=None)
        if state is not None:
            checkpoint.restore(net, state)
        n_left = net.max_epochs - len(net.history)
        if n_left and not (state and state["stopped"]):
            stopped = False
            try:
                net.fit_loop(parts, epochs=n_left)
            except StopTraining:
                stopped = True
            if checkpoint is not None:
                checkpoint.write(net, stopped)
        net.notify("on_train_end", X=parts, y=None)
    if "keep_best" in callbacks:
        return callbacks["keep_best"].best_epoch_
    return net.history[-1, "epoch"]


def one_pass(net: Net, learning: Part) -> None:
    """Learn once from some structures, with the optimizer where it is.

    Parameters
    ----------
    net : Net
        Its module is brought back to where it is trained.
    learning : Part
    """
    net.module_.to(net.device, net.module__dtype)
    with torch_threads(_multiplications(net, learning)):
        if not net.history:
            net.notify("on_train_begin", X=(learning, None), y=None)
        net.fit_loop((learning, None), epochs=1)


def loss_curves(net: Net) -> dict[str, list[float]]:
    """Turn the history of a net, one record an epoch, into one list a quantity."""
    names = ["train_loss", "valid_loss"]
    for part in ("train", "valid"):
        names += [
            f"{part}{kind}_{e}" for kind in ("", "_force") for e in ("mae", "rmse")
        ]
    return {
        name: [float(record[name]) for record in net.history]
        for name in (*names, "lr", "seconds")
        if name in net.history[-1]
    }


def for_prediction(net: Net) -> Net:
    """Move a trained net to where predictions are made: the CPU, in float64."""
    net.module_.to("cpu", torch.float64).eval()
    # torch's fused loops write without counting, and copies of weights go by the count
    torch.autograd.graph.increment_version(list(net.module_.parameters()))
    return net


def load_weights(net: Net, weights: dict[str, torch.Tensor]) -> None:
    """Put stored weights into a net, in its dtype."""
    net.module_.load_state_dict(weights)


def weights_of(net: Net) -> dict[str, torch.Tensor]:
    """Copy the weights of a net, of which those never change that are not trained."""
    return {k: t.detach().clone() for k, t in net.module_.state_dict().items()}


def weights_to_bytes(net: Net) -> bytes:
    """Write the weights of a net as safetensors."""
    return to_bytes(weights_of(net))


def weights_from_bytes(data: bytes) -> dict[str, torch.Tensor]:
    """Read what `weights_to_bytes` wrote."""
    return from_bytes(data)


def _multiplications(net: Net, learning: Part) -> float:
    """Rows of a batch times weights that each of them meets."""
    size = min(net.batch_size, len(learning))
    first = learning.data.batch(learning.structures[:1], "cpu")[0]
    n_stacks = max(1, len(getattr(net.module_, "stacks", ())))
    n_weights = sum(p.numel() for p in net.module_.parameters())
    return size * first.n_rows * n_weights / n_stacks
