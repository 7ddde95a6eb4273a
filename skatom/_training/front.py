"""Targets of structures in, contributions of atoms out, for all networks of atoms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import r2_score

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
from skatom._training.heads import Head, Labelled, beside_all, read_beside
from skatom._training.kinds import Kind, kind_of, squeezed, with_columns_of
from skatom._training.slope_labels import slope_labels
from skatom._training.torch_side import torch_side
from skatom._training.weights import (
    check_weight,
    mean_one,
    mean_square_force,
)
from skatom._validation import (
    Interval,
    Real,
    StrOptions,
    check_is_fitted,
    check_sample_weight,
)
from skatom.base import Target, target_of
from skatom.base._regressor import refuse_other_elements
from skatom.base._targets import as_targets
from skatom.features._fitted_on import remember
from skatom.structures import Labels

if TYPE_CHECKING:
    from skatom._training.goals import Goals

WEIGHT = [Interval(Real, 0, None, closed="left"), tuple]
TOLERANCE = [Interval(Real, 0, None, closed="neither"), None]
FRONT_CONSTRAINTS: dict = {
    **TRAINING_CONSTRAINTS,
    "loss": [StrOptions({"mse", "mae", "huber", "gaussian_nll", "quantile"})],
    "target": [str, Target, list, tuple],
    "target_weights": ["array-like", None],
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

    target: str | Target | Sequence = "energy"
    target_weights: Sequence[float] | None = None
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

    def _check_state(self) -> None:
        """Refuse a model file whose elements, and what they contribute, do not fit."""
        refuse_other_elements(self)

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
            Total energies in eV, or what `target` says in its unit: for numbers of atoms
            a list with one array a structure. Medians for ``loss="quantile"``.
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
        y = self._head.predictions(atoms, rows)
        if not (return_std or return_quantiles):
            return y
        spreads = self._spreads(rows)
        if spreads.shape[1]:
            spreads = self._kind.read(self._head.reading(atoms), spreads)
        return with_spreads(
            y, spreads, self._shape, type(self).__name__, return_std, return_quantiles
        )

    def predict_targets(self, X) -> dict:
        """Predict all targets of every structure.

        Parameters
        ----------
        X : features of atoms, sequence of ase.Atoms, or array-like
            As in `fit`.

        Returns
        -------
        predictions : dict of str to ndarray, or to list of ndarray
            By the names of the targets, in their units: one row a structure, or one array
            a structure for numbers of atoms.
        """
        check_is_fitted(self)
        X = self._inputs(X)
        atoms, rows = self._atoms(X), self._rows(X)
        return self._properties(atoms, rows)

    def score(self, X, y, sample_weight=None) -> float:
        """Give the coefficient of determination of the predictions.

        Parameters
        ----------
        X : features of atoms, sequence of ase.Atoms, or array-like
        y : array-like
            As in `fit`.
        sample_weight : array-like of shape (n_structures,), optional

        Returns
        -------
        score : float
        """
        if not target_of(self).per_atom:
            return super().score(X, y, sample_weight)
        check_is_fitted(self)
        atoms = self._atoms(self._inputs(X))
        weights = check_sample_weight(sample_weight, len(atoms))
        weights = np.repeat(weights, atoms.n_atoms)
        predicted = np.concatenate(self.predict(X))
        return r2_score(self._kind.check(atoms, y), predicted, sample_weight=weights)

    def _start(self) -> dict | None:
        check_distribution(self)
        for name in ("energy_weight", "force_weight", "stress_weight"):
            check_weight(name, getattr(self, name))
        start = super()._start()
        torch_side(type(self).__name__).check_activations(self._activations())
        return start

    def _goals(self, X, y, sample_weight, forces, stress, *, fresh: bool) -> Goals:
        """Measure baseline and scales, or take those there are, and scale targets."""
        atoms = self._atoms(X)
        first, *others = as_targets(self.target)
        kind = kind_of(first) if fresh else self._kind
        y = kind.check(atoms, y)
        if not fresh and y.shape[1] != self._shape["n_targets"]:
            raise ValueError(
                f"y has {y.shape[1]} columns, but the network that goes on was fitted to "
                f"{self._shape['n_targets']}."
            )
        target = with_columns_of(kind.target, y)
        weights = mean_one(check_sample_weight(sample_weight, len(atoms)))
        labels = slope_labels(self, atoms, y, forces, stress, target)
        check_one_target(self, y.shape[1])
        beside = read_beside(atoms, [target, *others], weights, self.target_weights)
        side = torch_side(type(self).__name__)
        if labels is not None:
            side.refuse_kinks(
                self._activations() if fresh else self._shape["activations"]
            )
        if fresh:
            self._measure(
                atoms, y, weights, target, mean_square_force(labels, atoms.n_atoms)
            )
            self._add_heads(atoms, beside)
        else:
            self._go_on(X, y, weights, [one.target for one in beside])
        remember(self, X, y, again=not fresh)
        goals = self._scaled_goals(atoms, y, weights, beside)
        if labels is None:
            return goals
        return goals.with_labels(atoms.structures, labels, float(self._scales[0]))

    def _scaled_goals(
        self, atoms: AtomRows, y, weights, beside: Sequence[Labelled] = ()
    ) -> Goals:
        """Put targets above the baseline in units of training."""
        given = [(y, weights), *((one.y, one.weights) for one in beside)]
        first, *further = (
            torch_side(type(self).__name__).Goals(
                atoms.offsets,
                head.scaled(atoms, labels),
                of_structures,
                self.size_exponent if head.target.kind == "sum" else 0.0,
                head.target.per_atom,
            )
            for head, (labels, of_structures) in zip(self._heads, given)
        )
        given = beside_all(self._heads, atoms)
        return replace(first, further=tuple(further), **given)

    def _measure(
        self, atoms: AtomRows, y, weights, target: Target, square: float | None
    ) -> None:
        """Set the elements, the baseline and the scales of targets.

        `square` is the mean square force, where forces are trained on.
        """
        for name in ("net_", "_partial_net"):  # not fitted before the end is reached
            vars(self).pop(name, None)
        self.target_, kind = target, kind_of(target)
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
            "n_targets": y.shape[1],
            "n_outputs": kind.n_shares(y) + spread["n_spreads"],
            "activations": self._activations(),
            **spread,
        }
        self._beside = []

    def _add_heads(self, atoms: AtomRows, beside: Sequence[Labelled]) -> None:
        """Set baselines, scales and columns of the targets beside the first."""
        for one in beside:
            head = one.head(atoms, self.numbers_, self._heads[-1].stop)
            self._beside.append(
                {name: value for name, value in vars(head).items() if name != "numbers"}
            )
            self._shape["n_outputs"] += head.stop - head.first

    def _go_on(self, X, y, weights, beside: list[Target]) -> None:
        """Refuse another network, and adapt the baseline to another reference."""
        check_same_distribution(self, self._shape)
        known = [head.target for head in self._heads[1:]]
        if beside != known:
            raise ValueError(
                f"Beside the first, target names {[one.name for one in beside]}, but the "
                f"network that goes on was fitted to {[one.name for one in known]}: set "
                "target as it was, or warm_start=False."
            )
        if self.warm_start == "transfer":
            atoms = self._atoms(X)
            head = self._head
            shares = head.shares(atoms, self._rows(X))
            left = y - self._kind.read(head.reading(atoms), shares)
            shift = self._kind.baseline(atoms, left, weights, self.numbers_)
            self.baseline_ = squeezed(self._baseline + shift)

    def _net_settings(self) -> dict:
        weights = ("energy_weight", "force_weight", "stress_weight")
        shape = self._shape
        reading, heads = torch_side(type(self).__name__).AtomReading, self._heads
        kinds, edges = [h.kind for h in heads], [0, *(h.stop for h in heads)]
        return {
            "reading": reading(tuple(kinds), tuple(edges), shape["n_spreads"]),
            **{f"criterion__{name}": getattr(self, name) for name in weights},
            "criterion__beta": self.nll_beta,
            "criterion__quantiles": self.quantiles,
            "criterion__spread_unit": shape["spread_unit"],
        }

    def _properties(self, atoms: AtomRows, rows: np.ndarray) -> dict:
        """Give the predictions of all targets by their names."""
        return {h.target.name: h.predictions(atoms, rows) for h in self._heads}

    def _spreads(self, rows: np.ndarray) -> np.ndarray:
        """Give the spreads of atoms, in squares of the unit of y."""
        return self._scales[0] ** 2 * rows[:, self._heads[-1].stop :]

    def _std(self, spreads: np.ndarray) -> np.ndarray:
        return std_of(spreads, self._shape, type(self).__name__)

    @property
    def _kind(self) -> Kind:
        return kind_of(self.target_)

    @property
    def targets_(self) -> list[Target]:
        """All targets; the first is that of y."""
        return [head.target for head in self._heads]

    @property
    def _head(self) -> Head:
        return Head(self.target_, self.numbers_, self._baseline, self._scales)

    @property
    def _heads(self) -> list[Head]:
        """One for each target; the first is that of y."""
        further = (Head(numbers=self.numbers_, **one) for one in self._beside)
        return [self._head, *further]

    @property
    def _baseline(self) -> np.ndarray:
        return self.baseline_.reshape(len(self.numbers_), -1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
