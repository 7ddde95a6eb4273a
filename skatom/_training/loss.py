"""Predictions of a batch, the targets they are compared with, and the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skatom._training.spreads import gaussian_loss, quantile_loss

# How forces are compared beside a distribution of energies.
BESIDE = {"gaussian_nll": "mse", "quantile": "mae"}


class Prediction(NamedTuple):
    """Prediction of a batch, in units of the scales of training.

    Attributes
    ----------
    values : Tensor of shape (n_rows, n_outputs)
        Energies or other targets; a row is a structure, or an atom.
    forces : Tensor of shape (n_atoms, 3) or None
    virials : Tensor of shape (n_structures, 3, 3) or None
    spreads : Tensor of shape (n_structures, n_spreads) or None
        Variances, or squares of the distances between neighbouring quantiles.
    further : tuple of Tensor
        Of targets beside the first.
    """

    values: Tensor
    forces: Tensor | None = None
    virials: Tensor | None = None
    spreads: Tensor | None = None
    further: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of a batch, with weights.

    Weights are zero where a label is missing, and otherwise divided by the number of
    entries that the structure contributes, so that the loss is a mean over structures.

    Attributes
    ----------
    n_structures : int
        By which the sum of losses is divided.
    values : Tensor of shape (n_rows, n_outputs)
    factors : Tensor of shape (n_rows,)
        What errors are multiplied with before their loss is taken: a power of the number
        of atoms.
    weights : Tensor of shape (n_rows,)
    forces : Tensor of shape (n_atoms, 3) or None
    force_weights : Tensor of shape (n_atoms,) or None
    virials : Tensor of shape (n_structures, 3, 3) or None
    virial_factors, virial_weights : Tensor of shape (n_structures,) or None
    further : tuple of Targets
        Values of targets beside the first.
    """

    n_structures: int
    values: Tensor
    factors: Tensor
    weights: Tensor
    forces: Tensor | None = None
    force_weights: Tensor | None = None
    virials: Tensor | None = None
    virial_factors: Tensor | None = None
    virial_weights: Tensor | None = None
    further: tuple[Targets, ...] = ()

    def __len__(self) -> int:
        """Return the number of structures."""
        return self.n_structures


class WeightedLoss(nn.Module):
    """Mean over structures of weighted losses of energies, forces and virials.

    For one structure of N atoms, in units of the scale of training,

        w_E l(dE / N^p) + w_F sum l(dF) / (3 N) + w_S sum l(dW / N^p) / 9

    and for targets beside the first the loss of the first, with their weights. W is the
    virial (stress times volume), sums over components, and l the square, the
    absolute value, or Huber's function. For distributions, l(dE / N^p) is a likelihood,
    or the loss of quantiles, and the others are squares or absolute values.

    Parameters
    ----------
    energy_weight, force_weight, stress_weight : float or (float, float)
        Weights at the start and at the end; validation uses the last ones.
    kind : {"mse", "mae", "huber", "gaussian_nll", "quantile"}
    delta : float
        Where Huber's function turns from square to linear, in units of the scale.
    beta : float
        Power of the variance that likelihoods are weighted with in training; validation
        is by the likelihood itself.
    quantiles : tuple of float
    spread_unit : float
        Root of what variances are at first, about.
    """

    def __init__(
        self,
        energy_weight=1.0,
        force_weight=1.0,
        stress_weight=1.0,
        kind="mse",
        delta=1.0,
        beta=0.0,
        quantiles=(),
        spread_unit=1.0,
    ):
        super().__init__()
        given = (energy_weight, force_weight, stress_weight)
        self.ranges = [w if isinstance(w, tuple) else (w, w) for w in given]
        self.kind = kind
        self.beside = BESIDE.get(kind, kind)
        self.delta = delta
        self.beta = beta
        self.quantiles = tuple(quantiles)
        self.spread_unit = spread_unit
        self.advance(0.0)

    def advance(self, progress: float) -> None:
        """Set the weights of training for a share of it that is done, 0 to 1.

        They go from first to last along powers where both are positive (linearly
        otherwise): weights differ by orders of magnitude.
        """
        self.current = [_between(*ends, progress) for ends in self.ranges]

    def forward(self, predicted: Prediction, targets: Targets) -> Tensor:
        """Give the loss of a batch, a scalar."""
        last = [end for _, end in self.ranges]
        w_energy, w_force, w_stress = self.current if self.training else last
        error = (predicted.values - targets.values) * targets.factors[:, None]
        total = w_energy * (
            targets.weights @ self._of_values(error, predicted, targets)
        )
        if targets.forces is not None:
            error = self._of(predicted.forces - targets.forces).sum(1)
            total = total + w_force * (targets.force_weights @ error)
        if targets.virials is not None:
            error = predicted.virials - targets.virials
            error = self._of(error * targets.virial_factors[:, None, None])
            total = total + w_stress * (targets.virial_weights @ error.sum((1, 2)))
        for values, other in zip(predicted.further, targets.further):
            error = (values - other.values) * other.factors[:, None]
            total = total + other.weights @ self._of(error).mean(1)
        return total / max(1, len(targets))  # a share of a small batch may be empty

    def _of_values(
        self, error: Tensor, predicted: Prediction, targets: Targets
    ) -> Tensor:
        if predicted.spreads is None:
            return self._of(error).mean(1)
        spreads = predicted.spreads * targets.factors[:, None] ** 2
        if self.kind == "quantile":
            return quantile_loss(error[:, 0], spreads, self.quantiles)
        beta = self.beta if self.training else 0.0
        return gaussian_loss(error[:, 0], spreads[:, 0], beta, self.spread_unit)

    def _of(self, error: Tensor) -> Tensor:
        if self.beside == "mse":
            return error.square()
        if self.beside == "mae":
            return error.abs()
        # twice torch's: the square itself near zero
        zero = torch.zeros_like(error)
        return 2 * nn.functional.huber_loss(
            error, zero, reduction="none", delta=self.delta
        )


def _between(first: float, last: float, progress: float) -> float:
    if first > 0 and last > 0:
        return first * (last / first) ** progress
    return first + (last - first) * progress
