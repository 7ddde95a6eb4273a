"""Estimators that train a torch module, whatever it is and whatever it learns.

A subclass says which module is trained and makes its data; parameters of training, the
split, checkpoints, histories, warm starts and pickles are here.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import RandomState

from skatom._training.torch_side import torch_side
from skatom._validation import (
    Integral,
    Interval,
    Real,
    StrOptions,
    check_n_structures,
    check_random_state,
)

if TYPE_CHECKING:
    from skatom._training.batches import Part, TrainingData

LARGEST_SEED = 2**31 - 1
# What changes nothing about the numbers of a training.
PRESENTATION = (
    "verbose", "log_to", "checkpoint", "random_state", "cache_size", "max_epochs",
)  # fmt: skip
# Longer texts are replaced by their hash in a checkpoint.
LONGEST = 60

TRAINING_CONSTRAINTS: dict = {
    "optimizer": [
        StrOptions({"adam", "adamw", "layerwise_adam", "sgd", "adagrad", "lbfgs"})
    ],
    "lr": [Interval(Real, 0, None, closed="neither"), None],
    "lr_schedule": [StrOptions({"plateau", "cosine", "step", "onecycle"}), None],
    "weight_decay": [Interval(Real, 0, None, closed="left"), None],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    "ema": [Interval(Real, 0, 1, closed="neither"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "loss": [StrOptions({"mse", "mae", "huber"})],
    "huber_delta": [Interval(Real, 0, None, closed="neither")],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "patience": [Interval(Integral, 1, None, closed="left"), None],
    "checkpoint": [str, os.PathLike, None],
    "log_to": ["array-like", str, os.PathLike, None],
    "dtype": [StrOptions({"float32", "float64"})],
    "device": [str],
    "warm_start": ["boolean", StrOptions({"transfer"})],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "net_params": [dict, None],
}


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkEstimator:
    """Mixin of estimators that train a torch module on batches.

    It is a dataclass, whose ``__init__`` stores its arguments and does nothing else, as
    scikit-learn wants it. So are its subclasses, of parameters of their own; where other
    defaults suit one better, it says so by the name alone. A subclass sets ``scale_``,
    the unit of its targets, and defines `_architecture`. See `NeuralNetworkRegressor` for
    the parameters.
    """

    optimizer: str = "adam"
    lr: float | None = None
    lr_schedule: str | None = "plateau"
    weight_decay: float | None = None
    max_grad_norm: float | None = None
    ema: float | None = None
    batch_size: int = 8
    max_epochs: int = 500
    loss: str = "mse"
    huber_delta: float = 0.1
    validation_fraction: float = 0.1
    patience: int | None = 100
    checkpoint: str | os.PathLike | None = None
    log_to: str | os.PathLike | Sequence | None = None
    dtype: str = "float32"
    device: str = "cpu"
    warm_start: bool | str = False
    random_state: int | RandomState | None = None
    verbose: int = 0
    net_params: dict | None = None

    @abstractmethod
    def _architecture(self) -> tuple[type, dict]:
        """Give the torch module that is trained, and what it is built with."""

    def _net_settings(self) -> dict:
        """Give settings of the net, such as how predictions are read."""
        return {}

    @property
    def _scales(self) -> np.ndarray:
        return np.atleast_1d(self.scale_)

    def _start(self) -> dict | None:
        """Check parameters, and give the weights to go on from."""
        side = torch_side(type(self).__name__)  # say what is missing before all else
        if self.optimizer == "lbfgs" and self.weight_decay:
            raise ValueError(
                f"optimizer='lbfgs' has no weight decay, but weight_decay is "
                f"{self.weight_decay}: set it to 0 or choose 'adamw'."
            )
        if not (self.warm_start and "net_" in vars(self)):
            return None
        return side.weights_of(self.net_)

    def _train(
        self, data: TrainingData, start: dict | None, groups=None, validation=None
    ) -> None:
        """Train a net on data, from the weights of `start` where it is given."""
        side = torch_side(type(self).__name__)
        seed = check_random_state(self.random_state).randint(LARGEST_SEED)
        state = identity = None
        if self.checkpoint is not None:
            identity = self._identity(data, start, groups, validation)
            if self.random_state is not None:
                identity["seed"] = seed
            state = side.read_checkpoint(self.checkpoint, identity, self.max_epochs)
            seed = seed if state is None else state["seed"]
        rng = np.random.RandomState(seed)
        learning, held_out = self._split(data, rng, groups, validation)
        weight_seed = rng.randint(LARGEST_SEED)
        order = np.random.RandomState(rng.randint(LARGEST_SEED))
        saves = identity and side.Checkpoint(
            self.checkpoint, identity | {"seed": seed}, order
        )
        net = self._new_net(
            seed=weight_seed,
            order=order,
            n_structures=len(learning),
            validates=held_out is not None,
            checkpoint=saves,
        )
        if start is not None:
            side.load_weights(net, start)
        self.best_epoch_ = side.train(net, learning, held_out, state)
        self._keep(net, side)

    def _new_net(self, changed: dict | None = None, **more):
        """Build the net, some parameters of the estimator changed."""
        return torch_side(type(self).__name__).build_net(
            self.get_params(deep=False) | (changed or {}),
            *self._architecture(),
            scales=self._scales,
            settings=self._net_settings(),
            **more,
        )

    def _keep(self, net, side) -> None:
        self.n_epochs_ = len(net.history)
        self.history_ = side.loss_curves(net)
        self.net_ = side.for_prediction(net)

    def _train_once(self, data: TrainingData) -> None:
        """Pass once over data, with the net and the optimizer of the last pass."""
        side = torch_side(type(self).__name__)
        learning = side.Part(data, np.flatnonzero(data.weights))
        net = vars(self).get("_partial_net")
        if net is None or net is not vars(self).get("net_"):
            rng = check_random_state(self.random_state)
            quiet = {"checkpoint": None, "log_to": None, "verbose": 0}
            net = self._new_net(
                quiet | {"lr_schedule": None, "ema": None},
                seed=rng.randint(LARGEST_SEED),
                order=np.random.RandomState(rng.randint(LARGEST_SEED)),
                n_structures=len(learning),
            )
            if "net_" in vars(self):
                side.load_weights(net, side.weights_of(self.net_))
        side.one_pass(net, learning)
        self.best_epoch_ = len(net.history)
        self._keep(net, side)
        self._partial_net = net

    def _split(
        self, data: TrainingData, rng, groups, validation
    ) -> tuple[Part, Part | None]:
        """Hold structures out; those without weight take no part."""
        side = torch_side(type(self).__name__)
        present = np.flatnonzero(data.weights)
        held = np.zeros(len(data), dtype=bool)
        if validation is not None:
            held = _as_mask(validation, len(data))
        elif groups is not None:
            held = _whole_groups(groups, len(data), self.validation_fraction, rng)
        else:
            order = rng.permutation(present)
            n_held = round(self.validation_fraction * len(order))
            held[order[: min(n_held, len(order) - 1)]] = True
        learning, held_out = present[~held[present]], present[held[present]]
        if not len(learning):
            raise ValueError(
                "All structures are held out for validation: none is left to learn from."
            )
        return (
            side.Part(data, learning),
            side.Part(data, held_out) if len(held_out) else None,
        )

    def _identity(self, data: TrainingData, start, groups, validation) -> dict:
        """Tell this training from others: all that changes its numbers, but the seed."""
        side = torch_side(type(self).__name__)
        held = None if validation is None else _as_mask(validation, len(data))
        return {
            "data": data.fingerprint(),
            "validation set": None if held is None else fingerprint_of(held.tobytes()),
            "set of groups": None if groups is None else _text_of(np.asarray(groups)),
            "start": None if start is None else fingerprint_of(side.to_bytes(start)),
            "parameters": {"estimator": type(self).__name__, **self._settings()},
        }

    def _settings(self) -> dict[str, str]:
        """Write the parameters that change the numbers of a training."""
        given = (self.net_params or {}).items()  # callbacks watch
        params = self.get_params(deep=False) | {
            "net_params": [p for p in given if not p[0].startswith("callbacks")]
        }
        return {
            name: _text_of(value)
            for name, value in params.items()
            if name not in PRESENTATION
        }

    def __sklearn_is_fitted__(self) -> bool:
        """Whether a training has come to its end."""
        return "net_" in vars(self)

    def __getstate__(self) -> dict:
        """Give the state with weights as safetensors, which run no code when read."""
        state = dict(super().__getstate__())
        state.pop("_partial_net", None)  # the optimizer's memory is not kept
        if "net_" in state:
            side = torch_side(type(self).__name__)
            state["_weights"] = side.weights_to_bytes(state.pop("net_"))
        return state

    def __setstate__(self, state: dict) -> None:
        """Build the net again, and put the weights in."""
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is None:
            return
        side = torch_side(type(self).__name__)
        net = self._new_net({"device": "cpu", "log_to": None, "net_params": None})
        side.load_weights(net, side.weights_from_bytes(weights))
        self.net_ = side.for_prediction(net)


def fingerprint_of(data: bytes) -> str:
    """Hash bytes."""
    return sha256(data).hexdigest()


def _text_of(value) -> str:
    """Write a value so that equal ones have equal texts, long ones as a hash."""
    if isinstance(value, np.ndarray):
        value = value.dtype.str, value.shape, value.tolist()
    text = repr(value)
    return text if len(text) <= LONGEST else fingerprint_of(text.encode())[:16]


def _as_mask(validation, n_structures: int) -> np.ndarray:
    """Read which structures are held out: a mask, or indices."""
    given = np.asarray(validation)
    if given.dtype == bool:
        check_n_structures(n_structures, given, "validation")
        return given
    whole = given.dtype.kind in "iu" or not given.size
    if not whole or ((given < 0) | (given >= n_structures)).any():
        raise ValueError(
            "validation must be a mask of the structures to hold out, or their indices "
            f"from 0 to {n_structures - 1}."
        )
    held = np.zeros(n_structures, dtype=bool)
    held[given.astype(np.int64)] = True
    return held


def _whole_groups(groups, n_structures: int, fraction: float, rng) -> np.ndarray:
    """Hold out whole groups at random, about a fraction of the structures."""
    check_n_structures(n_structures, groups, "groups")
    kinds, kind_of = np.unique(np.asarray(groups), return_inverse=True)
    order = rng.permutation(len(kinds))
    counts = np.cumsum(np.bincount(kind_of)[order])
    n_held = int(np.argmin(np.abs(np.r_[0, counts] - fraction * n_structures)))
    if fraction > 0 and len(kinds) > 1:
        n_held = min(max(n_held, 1), len(kinds) - 1)
    return np.isin(kind_of, order[:n_held])
