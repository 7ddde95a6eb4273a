"""Targets of structures in, contributions of atoms out, for all networks of atoms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from skatom._training.atom_rows import AtomRows
from skatom._training.distributions import (
    check_distribution,
    check_one_target,
    check_same_distribution,
    spread_shape,
    std_of,
    with_spreads,
)
from skatom._training.estimator import TRAINING_CONSTRAINTS, NetworkEstimator
from skatom._training.outputs import OUTPUTS, squeezed
from skatom._training.torch_side import torch_side
from skatom._validation import (
    Interval,
    Real,
    StrOptions,
    check_is_fitted,
    check_sample_weight,
)
from skatom.features._fitted_on import remember
from skatom.labels._judge import judge_fit
from skatom.structures import Labels

if TYPE_CHECKING:
    from skatom._training.goals import Goals

WEIGHT = [Interval(Real, 0, None, closed="left"), tuple]
TOLERANCE = [Interval(Real, 0, None, closed="neither"), None]
FRONT_CONSTRAINTS: dict = {
    **TRAINING_CONSTRAINTS,
    "loss": [StrOptions({"mse", "mae", "huber", "gaussian_nll", "quantile"})],
    "output": [StrOptions(set(OUTPUTS))],
    "nll_beta": [Interval(Real, 0, 1, closed="both")],
    "quantiles": ["array-like"],
    "size_exponent": [Interval(Real, 0, 1, closed="both")],
    "energy_weight": WEIGHT,
    "force_weight": WEIGHT,
    "stress_weight": WEIGHT,
    "forces": [str, None],
    "stress": [str, None],
    "energy_tol": TOLERANCE,
    "force_tol": TOLERANCE,
}


@dataclass(kw_only=True, eq=False, repr=False)
class Front(NetworkEstimator):
    """Mixin of estimators of structures, whose networks say what atoms contribute.

    A subclass defines `_inputs`, `_atoms`, `_rows`, `_read_labels` and `_architecture`,
    and trains on what `_goals` gives. See `NeuralNetworkRegressor` for the parameters.
    """

    output: str = "sum"
    nll_beta: float = 0.5
    quantiles: Sequence[float] = (0.05, 0.5, 0.95)
    size_exponent: float = 0.5
    energy_weight: float | tuple = 1.0
    force_weight: float | tuple = 1.0
    stress_weight: float | tuple = 0.1
    forces: str | None = "auto"
    stress: str | None = None
    energy_tol: float | None = None
    force_tol: float | None = None

    @abstractmethod
    def _inputs(self, X):
        """Check the X of a prediction."""

    @abstractmethod
    def _atoms(self, X) -> AtomRows:
        """Give the atoms of a checked X."""

    @abstractmethod
    def _rows(self, X) -> np.ndarray:
        """Evaluate what atoms contribute in units of training, spreads last."""

    def _activations(self) -> list[str]:
        """Name the activations of a network that has them as parameters."""
        return []

    @abstractmethod
    def _read_labels(self, atoms: AtomRows, forces, stress) -> Labels | None:
        """Read forces and stress; None where there are none."""

    def predict(self, X, return_std: bool = False, return_quantiles: bool = False):
        """Predict the targets of every structure.

        Parameters
        ----------
        X : features of atoms, sequence of ase.Atoms, or array-like
            As in `fit`.
        return_std : bool, default=False
            Whether standard deviations are wanted too, of ``loss="gaussian_nll"``.
        return_quantiles : bool, default=False
            Whether all quantiles are wanted too, of ``loss="quantile"``.

        Returns
        -------
        y : ndarray of shape (n_structures,) or (n_structures, n_outputs)
            Total energies, in the unit of the y of fit (eV), or what `output` says: for
            "atoms" a list with one array a structure. Medians for ``loss="quantile"``.
        std : ndarray of shape (n_structures,)
            In the unit of y, positive; only with ``return_std``.
        quantiles : ndarray of shape (n_structures, n_quantiles)
            In the unit of y, ascending; only with ``return_quantiles``.

        Raises
        ------
        NoStandardDeviationError
            If the network was trained by another loss than "gaussian_nll".
        """
        check_is_fitted(self)
        X = self._inputs(X)
        atoms, rows = self._atoms(X), self._rows(X)
        y = self._kind.predict(atoms, self._in_units(atoms, rows))
        if not (return_std or return_quantiles):
            return y
        spreads = self._kind.columns(atoms, self._spreads(rows))
        return with_spreads(
            y, spreads, self._shape, type(self).__name__, return_std, return_quantiles
        )

    def _start(self) -> dict | None:
        check_distribution(self)
        for name in ("energy_weight", "force_weight", "stress_weight"):
            weight = getattr(self, name)
            if isinstance(weight, tuple) and not (
                len(weight) == 2 and all(isinstance(w, Real) and w >= 0 for w in weight)
            ):
                raise ValueError(
                    f"{name} is {weight}: give one number, or the first and the last "
                    "weight of a training, none of them negative."
                )
        start = super()._start()
        torch_side(type(self).__name__).check_activations(self._activations())
        return start

    def _goals(self, X, y, sample_weight, forces, stress, *, fresh: bool) -> Goals:
        """Measure baseline and scales, or take those there are, and scale targets."""
        atoms = self._atoms(X)
        output = self.output if fresh else self._shape["output"]
        kind = OUTPUTS[output]
        y = kind.check(atoms, y)
        weights = mean_one(check_sample_weight(sample_weight, len(atoms)))
        labels = self._labels(atoms, y, forces, stress, output)
        check_one_target(self, y.shape[1])
        side = torch_side(type(self).__name__)
        if labels is not None:
            side.refuse_kinks(
                self._activations() if fresh else self._shape["activations"]
            )
        if fresh:
            self._measure(atoms, y, weights, mean_square_force(labels, atoms.n_atoms))
        else:
            self._go_on(X, y, weights)
        remember(self, X, y, again=not fresh)
        goals = self._scaled_goals(atoms, y, weights)
        if labels is None:
            return goals
        return goals.with_labels(atoms.structures, labels, float(self._scales[0]))

    def _scaled_goals(self, atoms: AtomRows, y, weights) -> Goals:
        """Put targets above the baseline in units of training."""
        kind = self._kind
        return torch_side(type(self).__name__).Goals(
            atoms.offsets,
            kind.subtract(atoms, y, self._baseline, self.numbers_) / self._scales,
            weights,
            self.size_exponent if self._shape["output"] == "sum" else 0.0,
            kind.per_atom,
            **kind.beside(atoms, self._scales),
        )

    def _labels(self, atoms: AtomRows, y, forces, stress, output) -> Labels | None:
        """Read what there is to train on besides energies, as far as it has weight."""
        slopes = output == "sum" and y.shape[1] == 1
        if not slopes and (forces is not None or stress is not None):
            raise ValueError(
                "Forces and stress are slopes of one energy: train on them with "
                "output='sum' and a single target."
            )
        labels = self._read_labels(atoms, forces, stress) if slopes else None
        if labels is not None:
            labels = replace(
                labels,
                has_forces=labels.has_forces & (largest_weight(self.force_weight) > 0),
                has_stress=labels.has_stress & (largest_weight(self.stress_weight) > 0),
            )
        if slopes:
            self._judge(atoms, y[:, 0], labels, forces, stress)
        if labels is not None and (labels.has_forces.any() or labels.has_stress.any()):
            return labels
        if largest_weight(self.energy_weight) == 0:
            raise ValueError(
                "energy_weight is 0 and there are no forces or stress to train on: raise "
                "energy_weight, or give structures with forces and a force_weight."
            )
        return None

    def _judge(self, atoms: AtomRows, y, labels, forces, stress) -> None:
        """Judge energies, and labels that have weight."""
        places = (
            None if largest_weight(weight) == 0 else stored if given is None else given
            for weight, stored, given in (
                (self.force_weight, self.forces, forces),
                (self.stress_weight, self.stress, stress),
            )
        )
        judge_fit(atoms.structures, y, labels, *places)

    def _measure(self, atoms: AtomRows, y, weights, square: float | None) -> None:
        """Set the elements, the baseline and the scales of targets.

        `square` is the mean square force, where forces are trained on.
        """
        for name in ("net_", "_partial_net"):  # not fitted before the end is reached
            vars(self).pop(name, None)
        kind = OUTPUTS[self.output]
        self.numbers_ = np.unique(atoms.numbers)
        baseline = kind.baseline(atoms, y, weights, self.numbers_)
        left = kind.subtract(atoms, y, baseline, self.numbers_)
        scales = spreads = kind.scales(atoms, left, weights)
        if square is not None:
            scales = np.sqrt([square])
        scales = np.where(scales > 0.0, scales, 1.0)
        self.baseline_ = squeezed(baseline)
        self.scale_ = float(scales[0]) if len(scales) == 1 else scales
        spread = spread_shape(self, float(spreads[0]), y, float(scales[0]))
        self._shape = {
            "output": self.output,
            "n_targets": y.shape[1],
            "n_outputs": baseline.shape[1] + spread["n_spreads"],
            "activations": self._activations(),
            **spread,
        }

    def _go_on(self, X, y, weights) -> None:
        """Refuse another network, and adapt the baseline to another reference."""
        check_same_distribution(self, self._shape)
        if y.shape[1] != self._shape["n_targets"]:
            raise ValueError(
                f"y has {y.shape[1]} columns, but the network that goes on was fitted to "
                f"{self._shape['n_targets']}."
            )
        if self.warm_start == "transfer":
            atoms = self._atoms(X)
            left = y - self._kind.columns(atoms, self._in_units(atoms, self._rows(X)))
            shift = self._kind.baseline(atoms, left, weights, self.numbers_)
            self.baseline_ = squeezed(self._baseline + shift)

    def _net_settings(self) -> dict:
        weights = ("energy_weight", "force_weight", "stress_weight")
        shape = self._shape
        reading = torch_side(type(self).__name__).AtomReading
        return {
            "reading": reading(shape["output"], shape["n_spreads"]),
            **{f"criterion__{name}": getattr(self, name) for name in weights},
            "criterion__beta": self.nll_beta,
            "criterion__quantiles": self.quantiles,
            "criterion__spread_unit": shape["spread_unit"],
        }

    def _in_units(self, atoms: AtomRows, rows: np.ndarray) -> np.ndarray:
        """Put scale and baseline back to values."""
        baseline = self._baseline[np.searchsorted(self.numbers_, atoms.numbers)]
        return baseline + self._scales * rows[:, : baseline.shape[1]]

    def _spreads(self, rows: np.ndarray) -> np.ndarray:
        """Give the spreads of atoms, in squares of the unit of y."""
        return self._scales[0] ** 2 * rows[:, self._baseline.shape[1] :]

    def _std(self, spreads: np.ndarray) -> np.ndarray:
        return std_of(spreads, self._shape, type(self).__name__)

    @property
    def _kind(self):
        return OUTPUTS[self._shape["output"]]

    @property
    def _baseline(self) -> np.ndarray:
        return self.baseline_.reshape(len(self.numbers_), -1)

    @property
    def averages_atoms(self) -> bool:
        """Whether predictions are means over atoms, not sums."""
        return self._shape["output"] == "mean"

    def _why_no_slopes(self) -> str | None:
        """Say why predictions cannot be differentiated, where that is so."""
        output, n = self._shape["output"], self._shape["n_targets"]
        if n == 1 and output in ("sum", "mean"):
            return None
        return (
            f"A network with output={output!r} and {n} targets has no single number to "
            "differentiate: fit one with output='sum' or 'mean' to one target."
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def largest_weight(weight: float | tuple) -> float:
    """Give the larger end of a weight that may change during training."""
    return float(max(weight)) if isinstance(weight, tuple) else float(weight)


def mean_one(weights: np.ndarray) -> np.ndarray:
    """Scale the weights of structures to a mean of one over those that count."""
    return weights / weights[weights > 0].mean()


def mean_square_force(labels: Labels | None, n_atoms: np.ndarray) -> float | None:
    """Average the squares of the components of forces, where there are any."""
    if labels is None or not labels.has_forces.any():
        return None
    return np.mean(labels.forces[np.repeat(labels.has_forces, n_atoms)] ** 2)
