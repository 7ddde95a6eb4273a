"""Parameters of training, which every estimator with a network has: said once.

An estimator with a network is a dataclass, whose ``__init__`` stores its arguments and
does nothing else, as scikit-learn wants it. Its parameters are these and its own; where
other defaults suit it better, it says so by the name alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import RandomState

from skatom._training.distributions import check_distribution
from skatom._training.outputs import OUTPUTS
from skatom._validation import Integral, Interval, Real, StrOptions

TRAINING_CONSTRAINTS: dict = {
    "output": [StrOptions(set(OUTPUTS))],
    "optimizer": [StrOptions({"adam", "adamw", "soap", "sgd", "adagrad", "lbfgs"})],
    "lr": [Interval(Real, 0, None, closed="neither"), None],
    "lr_schedule": [StrOptions({"plateau", "cosine", "step", "onecycle"}), None],
    "weight_decay": [Interval(Real, 0, None, closed="left"), None],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    "ema": [Interval(Real, 0, 1, closed="neither"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "loss": [StrOptions({"mse", "mae", "huber", "gaussian_nll", "quantile"})],
    "huber_delta": [Interval(Real, 0, None, closed="neither")],
    "nll_beta": [Interval(Real, 0, 1, closed="both")],
    "quantiles": ["array-like"],
    "size_exponent": [Interval(Real, 0, 1, closed="both")],
    "energy_weight": [Interval(Real, 0, None, closed="left"), tuple],
    "force_weight": [Interval(Real, 0, None, closed="left"), tuple],
    "stress_weight": [Interval(Real, 0, None, closed="left"), tuple],
    "forces": [str, None],
    "stress": [str, None],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "patience": [Interval(Integral, 1, None, closed="left"), None],
    "energy_tol": [Interval(Real, 0, None, closed="neither"), None],
    "force_tol": [Interval(Real, 0, None, closed="neither"), None],
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
class TrainingParameters:
    """What is trained on, how, and until when; see :class:`NeuralNetworkRegressor`."""

    output: str = "sum"
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
    nll_beta: float = 0.5
    quantiles: Sequence[float] = (0.05, 0.5, 0.95)
    size_exponent: float = 0.5
    energy_weight: float | tuple = 1.0
    force_weight: float | tuple = 1.0
    stress_weight: float | tuple = 0.1
    forces: str | None = "auto"
    stress: str | None = None
    validation_fraction: float = 0.1
    patience: int | None = 100
    energy_tol: float | None = None
    force_tol: float | None = None
    checkpoint: str | os.PathLike | None = None
    log_to: str | os.PathLike | Sequence | None = None
    dtype: str = "float32"
    device: str = "cpu"
    warm_start: bool | str = False
    random_state: int | RandomState | None = None
    verbose: int = 0
    net_params: dict | None = None


def check_training_parameters(estimator) -> None:
    """Refuse parameters of training that contradict each other.

    Parameters
    ----------
    estimator : NetworkEstimator
    """
    check_distribution(estimator)
    if estimator.optimizer == "lbfgs" and estimator.weight_decay:
        raise ValueError(
            f"optimizer='lbfgs' has no weight decay, but weight_decay is "
            f"{estimator.weight_decay}: set it to 0 or choose 'adamw'."
        )
    for name in ("energy_weight", "force_weight", "stress_weight"):
        weight = getattr(estimator, name)
        if isinstance(weight, tuple) and not (
            len(weight) == 2 and all(isinstance(w, Real) and w >= 0 for w in weight)
        ):
            raise ValueError(
                f"{name} is {weight}: give one number, or the first and the last weight "
                "of a training, none of them negative."
            )


def largest_weight(weight) -> float:
    """Give the larger end of a weight that may change during training."""
    return float(max(weight)) if isinstance(weight, tuple) else float(weight)
