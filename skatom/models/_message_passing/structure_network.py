"""Networks of structures: their data, units, and the way back to predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from skatom._training.distributions import (
    check_one_target,
    check_same_distribution,
    spread_shape,
    std_of,
    with_spreads,
)
from skatom._training.estimator import NetworkEstimator
from skatom._training.outputs import (
    OUTPUTS,
    Dipole,
    centred_positions,
    squeezed,
    total_charges,
)
from skatom._training.torch_side import torch_side
from skatom._training.training_parameters import (
    check_training_parameters,
    largest_weight,
)
from skatom._validation import check_is_fitted, check_sample_weight, refuse_unseen
from skatom.base._evaluation import Evaluation
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.labels._mixed_units import warn_of_mixed_units
from skatom.labels._rescaled import refuse_rescaled_targets
from skatom.neighbors import NeighborPairs, neighbor_pairs
from skatom.structures import Labels, Structures, check_structures, read_labels
from skatom.structures._labels import warn_of_ignored_info
from skatom.structures._voigt import stress_of

if TYPE_CHECKING:
    from skatom.models._message_passing.graph_data import GraphData

ACTIVATIONS = ("shifted_softplus", "silu", "softplus", "tanh", "gelu")
# Structures are predicted so many atoms at a time.
ATOMS_AT_A_TIME = 2000


class StructureNetwork(NetworkEstimator, RegressorMixin, BaseEstimator):
    """The private half of MessagePassingRegressor and of its architectures.

    A subclass has the parameter ``r_cut`` and defines `_module`, and `_module_params`
    where these are not its own parameters.
    """

    @abstractmethod
    def _module(self) -> Callable:
        """Give what makes the module from a seed, ``numbers`` and parameters."""

    def _module_params(self) -> dict:
        """Give the parameters of the module, ``r_cut`` and those of training aside."""
        shared = {field.name for field in fields(StructureNetwork)} | {"r_cut"}
        own = [field.name for field in fields(self) if field.name not in shared]
        return {name: getattr(self, name) for name in own}

    # -- before a training -------------------------------------------------------------

    def _fit(self, X, y, sample_weight, forces, stress, groups, validation):
        torch_side(type(self).__name__)  # say what is missing before anything else
        check_training_parameters(self)
        structures = check_structures(X)
        warn_of_ignored_info(structures)
        start = None
        if self.warm_start and "net_" in vars(self):
            self._known(structures)
            start = torch_side(type(self).__name__).weights_of(self.net_)
        data = self._data(structures, y, sample_weight, forces, stress, start is None)
        self._train(data, start, groups, validation)
        return self

    def _data(
        self, structures: Structures, y, sample_weight, forces, stress, fresh: bool
    ) -> GraphData:
        """Measure baseline and scales, or take those there are."""
        X = as_features(structures)
        output = self.output if fresh else self._shape["output"]
        kind = OUTPUTS[output]
        y = kind.check(X, y)
        if output == "sum" and y.shape[1] == 1:
            warn_of_mixed_units(X, y[:, 0])
        weights = check_sample_weight(sample_weight, len(X))
        weights = weights / weights[weights > 0].mean()
        labels = self._labels(structures, y, forces, stress, output)
        check_one_target(self, y.shape[1])
        if not fresh:
            check_same_distribution(self, self._shape)
        if fresh:
            vars(self).pop("net_", None)  # not fitted before the end is reached
            self._measure(X, y, weights, labels)
        elif y.shape[1] != self._shape["n_targets"]:
            raise ValueError(
                f"y has {y.shape[1]} columns, but the network that goes on was fitted to "
                f"{self._shape['n_targets']}."
            )
        elif self.warm_start == "transfer":
            left = y - kind.columns(X, self._raw(structures)[0])
            shift = kind.baseline(X, left, weights, self.numbers_)
            self.baseline_ = squeezed(self._baseline + shift)
        return self._graph_data(X, y, weights, labels, kind)

    def _graph_data(self, X: AtomFeatures, y, weights, labels, kind) -> GraphData:
        side = _evaluation(type(self).__name__)
        output = self._shape["output"]
        goals = side.Goals(
            offsets=X.offsets,
            values=kind.subtract(X, y, self._baseline, self.numbers_) / self._scales,
            weights=weights,
            size_exponent=self.size_exponent if output == "sum" else 0.0,
            per_atom=kind.per_atom,
        )
        data = side.GraphData(
            neighbor_pairs(X.structures, self._shape["r_cut"]), goals, self.dtype
        )
        if isinstance(kind, Dipole):
            return replace(
                data,
                positions=centred_positions(X),
                charges=total_charges(X) / self._scales[0],
            )
        if labels is None:
            return data
        goals = goals.with_labels(X.structures, labels, float(self._scales[0]))
        return replace(data, goals=goals, has_forces=True)

    def _labels(self, structures: Structures, y, forces, stress, output):
        """Read what there is to train on besides energies, as far as it has weight."""
        slopes = output == "sum" and y.shape[1] == 1
        if not slopes and (forces is not None or stress is not None):
            raise ValueError(
                "Forces and stress are slopes of one energy: train on them with "
                "output='sum' and a single target."
            )
        labels = self._read(structures, forces, stress) if slopes else None
        if labels is not None:
            refuse_rescaled_targets(y[:, 0], structures)
        elif largest_weight(self.energy_weight) == 0:
            raise ValueError(
                "energy_weight is 0 and there are no forces or stress to train on: raise "
                "energy_weight, or give structures with forces and a force_weight."
            )
        return labels

    def _read(self, structures: Structures, forces, stress) -> Labels | None:
        labels = read_labels(
            structures,
            forces=self.forces if forces is None else forces,
            stress=self.stress if stress is None else stress,
        )
        labels = replace(
            labels,
            has_forces=labels.has_forces & (largest_weight(self.force_weight) > 0),
            has_stress=labels.has_stress & (largest_weight(self.stress_weight) > 0),
        )
        return labels if (labels.has_forces | labels.has_stress).any() else None

    def _measure(self, X: AtomFeatures, y, weights, labels: Labels | None) -> None:
        """Set the elements, the baseline and the scales of targets."""
        kind = OUTPUTS[self.output]
        self.numbers_ = np.unique(X.numbers)
        baseline = kind.baseline(X, y, weights, self.numbers_)
        left = kind.subtract(X, y, baseline, self.numbers_)
        scales = spreads = kind.scales(X, left, weights)
        if labels is not None and labels.has_forces.any():
            known = np.repeat(labels.has_forces, X.n_atoms)
            scales = np.sqrt(np.mean(labels.forces[known] ** 2, keepdims=True))[0]
        scales = np.where(scales > 0.0, scales, 1.0)
        self.baseline_ = squeezed(baseline)
        self.scale_ = float(scales[0]) if len(scales) == 1 else scales
        spread = spread_shape(self, float(spreads[0]), y, float(scales[0]))
        self._shape = {
            **spread,
            "output": self.output,
            "n_targets": y.shape[1],
            "r_cut": float(self.r_cut),
            "module": getattr(self, "module", None),  # of a user
            "params": {
                **self._module_params(),
                "r_cut": float(self.r_cut),
                "numbers": self.numbers_.tolist(),
                "n_outputs": baseline.shape[1] + spread["n_spreads"],
            },
        }

    def _architecture(self) -> tuple[type, dict]:
        """Give the module as it was first fitted, whatever parameters say now."""
        side = _evaluation(type(self).__name__)
        params = {k: self._shape[k] for k in ("params", "n_spreads", "spread_unit")}
        params["architecture"] = self._shape["module"] or self._module()
        return side.StructureModule, params

    # -- predictions -------------------------------------------------------------------

    def _known(self, X) -> Structures:
        check_is_fitted(self)
        structures = check_structures(X, allow_empty=True)
        remedy = "Fit on structures with such elements, or leave these structures out."
        name, known = type(self).__name__, self.numbers_
        refuse_unseen(structures.numbers, structures.offsets, known, name, remedy)
        return structures

    def _predict(self, X, return_std: bool, return_quantiles: bool):
        """Predict targets, and what was asked for beside them."""
        structures = self._known(X)
        kind, X = OUTPUTS[self._shape["output"]], as_features(structures)
        raw, spreads, *_ = self._raw(structures)
        y, name = kind.predict(X, raw), type(self).__name__
        if not (return_std or return_quantiles):
            return y
        spreads = kind.columns(X, spreads)
        return with_spreads(y, spreads, self._shape, name, return_std, return_quantiles)

    def _evaluate(
        self,
        X,
        forces: bool,
        stress: bool,
        atomic: bool,
        pairs: NeighborPairs | None,
        std: bool,
    ) -> Evaluation:
        """Predict everything that is asked for in one pass."""
        structures = self._known(X)
        if (forces or stress or atomic) and not self._has_one_number:
            raise NoDerivativeError(
                f"A network with output={self._shape['output']!r} and "
                f"{self._shape['n_targets']} targets has no single number to "
                "differentiate: fit one with output='sum' or 'mean' to one target."
            )
        kind, X = OUTPUTS[self._shape["output"]], as_features(structures)
        raw, spreads, motion, virials = self._raw(structures, forces or stress, pairs)
        found = Evaluation(kind.predict(X, raw))
        per_atom = kind.contributions(X, np.ones((len(raw), 1)))
        edges = structures.offsets[1:-1]

        def split(rows: np.ndarray) -> list[np.ndarray]:
            return np.split(rows, edges) if len(structures) else []

        if forces:
            found = replace(found, forces=split(motion * per_atom))
        if stress:
            virials = virials * per_atom[structures.offsets[:-1], 0][:, None, None]
            found = replace(found, stress=stress_of(virials, structures))
        if atomic:
            found = replace(found, atomic_energies=split(raw[:, 0] * per_atom[:, 0]))
        if std:
            name, shares = type(self).__name__, spreads * per_atom
            found = replace(
                found,
                energy_std=std_of(kind.columns(X, spreads), self._shape, name),
                atomic_energy_std=split(std_of(shares, self._shape, name)),
            )
        return found

    def _raw(
        self,
        structures: Structures,
        differentiates: bool = False,
        pairs: NeighborPairs | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Give shares and spreads of atoms, and slopes of the sum, in units of y."""
        side = _evaluation(type(self).__name__)
        parts = [
            side.contributions(self.net_.module_, *part, differentiates=differentiates)
            for part in self._parts(structures, pairs)
        ]
        baseline = self._baseline[np.searchsorted(self.numbers_, structures.numbers)]
        if not parts:
            spreads = np.zeros((0, self._shape["n_spreads"]))
            return baseline, spreads, np.zeros((0, 3)), np.zeros((0, 3, 3))
        rows, forces, virials = (np.concatenate(found) for found in zip(*parts))
        scale, n = self._scales[0], baseline.shape[1]
        shares = baseline + self._scales * rows[:, :n]
        return shares, scale**2 * rows[:, n:], scale * forces, scale * virials

    def _latent(self, X) -> np.ndarray:
        structures = self._known(X)
        side = _evaluation(type(self).__name__)
        module = self.net_.module_
        return np.concatenate(
            [side.latent(module, *part) for part in self._parts(structures, None)]
        )

    def _parts(
        self, structures: Structures, pairs: NeighborPairs | None
    ) -> Iterator[tuple[NeighborPairs, np.ndarray]]:
        """Neighbour pairs and offsets of some structures at a time."""
        r_cut = self._shape["r_cut"]
        if pairs is not None:
            squares = np.einsum("pa,pa->p", pairs.vectors, pairs.vectors)
            yield pairs.where(squares < r_cut**2), structures.offsets
            return
        part = structures.offsets[:-1] // ATOMS_AT_A_TIME
        starts = np.flatnonzero(np.diff(part, prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts[1:], len(structures)]):
            chosen = structures[start:stop]
            yield neighbor_pairs(chosen, r_cut), chosen.offsets

    @property
    def _has_one_number(self) -> bool:
        shape = self._shape
        return shape["n_targets"] == 1 and shape["output"] in ("sum", "mean")

    @property
    def _baseline(self) -> np.ndarray:
        return self.baseline_.reshape(len(self.numbers_), -1)

    @property
    def _scales(self) -> np.ndarray:
        return np.atleast_1d(self.scale_)

    def __sklearn_tags__(self):
        """Say that X is a sequence of structures."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        tags.target_tags.multi_output = True
        tags.non_deterministic = self.random_state is None
        return tags


def as_features(structures: Structures) -> AtomFeatures:
    """Give structures the form of features, of which there are none."""
    return AtomFeatures(
        np.empty((structures.offsets[-1], 0)),
        structures.offsets,
        structures.numbers,
        structures,
    )


def _evaluation(name: str) -> ModuleType:
    """Import what needs torch, which takes a second, when it is needed."""
    return torch_side(name, "skatom.models._message_passing.evaluation")
