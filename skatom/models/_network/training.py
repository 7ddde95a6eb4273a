"""Build a net from the parameters of a regressor, and train it."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from skatom.models._network.batches import Batches, Part
from skatom.models._network.callbacks import (
    Guard,
    KeepBest,
    Progress,
    Recorder,
    StopTraining,
)
from skatom.models._network.modules import AtomicNetworks, WeightedLoss
from skatom.models._network.net import AtomNet
from skatom.models._network.torch_threads import torch_threads

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "lbfgs": torch.optim.LBFGS,
}
LEARNING_RATES = {"adam": 3e-3, "adamw": 3e-3, "sgd": 1e-2, "lbfgs": 1.0}

# A plateau of a quarter of the patience halves the learning rate, down to this share.
PLATEAU_SHARE, PLATEAU_FACTOR, SMALLEST_LR = 4, 0.5, 1e-3


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
    shape: dict,
    *,
    scale: float = 1.0,
    seed: int = 0,
    order: np.random.RandomState | None = None,
    validates: bool = False,
) -> AtomNet:
    """Make an initialised net.

    Parameters
    ----------
    params : dict
        Parameters of the regressor.
    shape : dict
        ``n_features``, ``n_elements``, ``hidden_layers`` and ``activation``.
    scale : float
        Unit of energies in training, in eV.
    seed : int
        Seed of the initial weights.
    order : RandomState
        Source of the order of batches.
    validates : bool
        Whether there will be structures to choose the best epoch by.
    """
    device = resolve_device(params["device"])
    name = params["optimizer"]
    lr = LEARNING_RATES[name] if params["lr"] is None else params["lr"]
    settings = {
        "module": AtomicNetworks,
        **{f"module__{key}": value for key, value in shape.items()},
        "module__seed": seed,
        "module__dtype": getattr(torch, params["dtype"]),
        "criterion": WeightedLoss,
        **{
            f"criterion__{key}": params[key]
            for key in ("energy_weight", "force_weight", "stress_weight")
        },
        "optimizer": OPTIMIZERS[name],
        "lr": lr,
        "batch_size": -1 if name == "lbfgs" else params["batch_size"],
        "max_epochs": params["max_epochs"],
        "iterator_train": Batches,
        "iterator_train__device": device,
        "iterator_train__random_state": order,
        "iterator_valid": Batches,
        "iterator_valid__device": device,
        "train_split": None,
        "device": device,
        "verbose": 0,
    }
    if name == "lbfgs":
        settings["optimizer__line_search_fn"] = "strong_wolfe"
    else:
        settings["optimizer__weight_decay"] = params["weight_decay"]
        settings["optimizer__fused"] = True  # one loop over all weights: half the time
    given = dict(params["net_params"] or {})
    own = _callbacks(params, scale, lr, validates)
    settings["callbacks"] = own + list(given.pop("callbacks", None) or [])
    return AtomNet(**{**settings, **given}).initialize()


def train(net: AtomNet, learning: Part, validation: Part | None) -> int:
    """Train until the end or until nothing improves; return the epoch that is kept.

    Unlike skorch's own ``fit``, an interruption by the user is passed on: half a
    training must not look like a whole one.

    Parameters
    ----------
    net : AtomNet
    learning, validation : Part
        The structures to learn from, and those to choose the best epoch by.

    Returns
    -------
    best_epoch : int
        Counted from 1.
    """
    n_weights = sum(p.numel() for p in net.module_.networks[0].parameters())
    data = learning.data
    batch_size = net.batch_size if net.batch_size > 0 else len(learning)
    n_atoms = batch_size * len(data.values) / len(data.energies)
    parts = (learning, validation)
    with torch_threads(n_atoms * n_weights):
        net.notify("on_train_begin", X=parts, y=None)
        with suppress(StopTraining):
            net.fit_loop(parts)
        net.notify("on_train_end", X=parts, y=None)
    keep_best = dict(net.callbacks_).get("keep_best")
    return keep_best.best_epoch_ if keep_best else net.history[-1, "epoch"]


def loss_curves(net: AtomNet) -> dict[str, list[float]]:
    """Turn the history of a net, one record an epoch, into one list a quantity."""
    names = ("train_loss", "valid_loss", "valid_energy_mae", "valid_force_mae")
    return {
        name: [float(value) for value in net.history[:, name]]
        for name in (*names, "lr", "seconds")
        if name in net.history[-1]
    }


def for_prediction(net: AtomNet) -> AtomNet:
    """Move a trained net to where predictions are made: the CPU, in float64."""
    net.module_.to("cpu", torch.float64).eval()
    return net


def load_weights(net: AtomNet, weights: dict[str, np.ndarray]) -> None:
    """Put stored weights into a net, in its dtype."""
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    net.module_.load_state_dict(tensors)


def stored_weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Copy the weights of a module to plain arrays."""
    return {
        name: tensor.detach().cpu().numpy().copy()
        for name, tensor in module.state_dict().items()
    }


def predict_atoms(module, values: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """Evaluate networks for atoms in any order.

    Parameters
    ----------
    module : AtomicNetworks
    values : ndarray of shape (n_atoms, n_features)
    elements : ndarray of shape (n_atoms,)

    Returns
    -------
    energies : ndarray of shape (n_atoms,)
    """
    order, x, sizes = _sorted(module, values, elements)
    with torch.no_grad():
        energies = module(x, sizes)
    out = np.empty(len(values))
    out[order] = energies.numpy()
    return out


def latent_atoms(module, values: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """Evaluate networks up to their last hidden layer, for atoms in any order."""
    order, x, sizes = _sorted(module, values, elements)
    with torch.no_grad():
        latent = module.latent(x, sizes).numpy()
    out = np.empty_like(latent)
    out[order] = latent
    return out


def differentiate_atoms(module, values: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """Differentiate the energies of atoms by their features, shape as `values`."""
    order, x, sizes = _sorted(module, values, elements)
    with torch.enable_grad():
        x.requires_grad_(True)
        gradient = torch.autograd.grad(module(x, sizes).sum(), x)[0]
    out = np.empty_like(values)
    out[order] = gradient.numpy()
    return out


def _sorted(module, values, elements) -> tuple[np.ndarray, torch.Tensor, list[int]]:
    order = np.argsort(elements, kind="stable")
    sizes = np.bincount(elements, minlength=len(module.networks)).tolist()
    return order, torch.from_numpy(values[order]), sizes


def _callbacks(params: dict, scale: float, lr: float, validates: bool) -> list[tuple]:
    patience = params["patience"]
    callbacks = [("guard", Guard()), ("recorder", Recorder(scale))]
    if validates:
        callbacks.append(("keep_best", KeepBest(patience)))
    if params["lr_schedule"] == "plateau":
        plateau = LRScheduler(
            policy=ReduceLROnPlateau,
            monitor="valid_loss" if validates else "train_loss",
            factor=PLATEAU_FACTOR,
            patience=max(1, (patience or params["max_epochs"]) // PLATEAU_SHARE),
            min_lr=SMALLEST_LR * lr,
        )
        callbacks.append(("plateau", plateau))
    elif params["lr_schedule"] == "cosine":
        cosine = LRScheduler(policy=CosineAnnealingLR, T_max=params["max_epochs"])
        callbacks.append(("cosine", cosine))
    callbacks.append(("progress", Progress(bool(params["verbose"]))))
    return callbacks
