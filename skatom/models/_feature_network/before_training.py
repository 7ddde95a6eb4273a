"""Networks of features: what is checked, read and measured before a training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from skatom._training.distributions import (
    check_one_target,
    check_same_distribution,
    spread_shape,
)
from skatom._training.estimator import NetworkEstimator
from skatom._training.outputs import OUTPUTS, squeezed
from skatom._training.torch_side import torch_side
from skatom._training.training_parameters import (
    check_training_parameters,
    largest_weight,
)
from skatom._validation import Integral, check_sample_weight
from skatom.features import AtomFeatures
from skatom.labels._mixed_units import warn_of_mixed_units
from skatom.labels._rescaled import refuse_rescaled_targets
from skatom.models._feature_network.element_scaling import (
    SMOOTH_INPUT_SCALE,
    ElementScaling,
)
from skatom.models._feature_network.predictions import FeaturePredictions
from skatom.models._feature_network.torch_side import data_side, stream_side
from skatom.structures import Labels

if TYPE_CHECKING:
    from skatom._training.batches import TrainingData
    from skatom.models._feature_network.data import TrainingSet

ACTIVATIONS = {"tanh", "sigmoid", "silu", "gelu", "softplus"}


class FeatureNetwork(NetworkEstimator, FeaturePredictions):
    """What NeuralNetworkRegressor is made of, its parameters aside."""

    # -- before a training -------------------------------------------------------------

    def _start(self) -> dict | None:
        """Check parameters, and give the weights to go on from."""
        check_training_parameters(self)
        widths = list(self.hidden_layers)
        if not all(isinstance(w, Integral) and w > 0 for w in widths):
            raise ValueError(
                f"hidden_layers holds {widths}: give positive whole numbers, one a layer."
            )
        names = self._activations()
        if len(names) != len(widths) or not set(names) <= ACTIVATIONS:
            raise ValueError(
                f"activation is {self.activation}: give one of {sorted(ACTIVATIONS)}, or "
                f"one for each of the {len(widths)} hidden layers."
            )
        if self.frozen_layers > len(widths):
            raise ValueError(
                f"frozen_layers is {self.frozen_layers}, but there are {len(widths)} "
                "hidden layers."
            )
        if not (self.warm_start and "net_" in vars(self)):
            return None
        return torch_side(type(self).__name__).weights_of(self.net_)

    def _activations(self) -> list[str]:
        if isinstance(self.activation, str):
            return [self.activation] * len(self.hidden_layers)
        return list(self.activation)

    def _data(
        self, X: AtomFeatures, y, sample_weight, forces, stress, *, fresh: bool
    ) -> TrainingSet:
        """Measure baseline and scales, or take those there are, and scale everything."""
        output = self.output if fresh else self._shape["output"]
        kind = OUTPUTS[output]
        y = kind.check(X, y)
        if output == "sum" and y.shape[1] == 1:
            warn_of_mixed_units(X, y[:, 0])
        weights = check_sample_weight(sample_weight, len(X))
        weights = weights / weights[weights > 0].mean()
        labels = self._labels(X, y, forces, stress, output)
        check_one_target(self, y.shape[1])
        if not fresh:
            check_same_distribution(self, self._shape)
        if fresh:
            for name in (
                "net_",
                "_partial_net",
            ):  # not fitted before the end is reached
                vars(self).pop(name, None)
            self._measure(X, y, weights, labels)
        elif y.shape[1] != self._n_targets:
            raise ValueError(
                f"y has {y.shape[1]} columns, but the network that goes on was fitted to "
                f"{self._n_targets}."
            )
        elif self.warm_start == "transfer":
            left = y - kind.columns(X, self._raw(X))
            shift = kind.baseline(X, left, weights, self.numbers_)
            self.baseline_ = squeezed(self._baseline + shift)
        return data_side().training_set(
            X,
            kind.subtract(X, y, self._baseline, self.numbers_),
            weights,
            labels,
            scaling=self._scaling,
            scales=self._scales,
            output=output,
            size_exponent=self.size_exponent,
            dtype=self.dtype,
            cache_size=self.cache_size,
        )

    def _stream(self, store, y, sample_weight, *, fresh: bool) -> TrainingData:
        """Measure a store in one pass, and leave its features on disk."""
        if self.output != "sum" or not fresh:
            raise ValueError(
                "A store is trained on afresh, with output='sum': give the features "
                "themselves, store[...], for anything else."
            )
        side, kind = stream_side(), OUTPUTS["sum"]
        weights = check_sample_weight(sample_weight, len(store))
        weights = weights / weights[weights > 0].mean()
        forces = self.forces if largest_weight(self.force_weight) > 0 else None
        stress = self.stress if largest_weight(self.stress_weight) > 0 else None
        atoms, scaling, square = side.measure(
            store,
            weights,
            forces=forces,
            rms=self.input_scale,
            shared=self.networks != "per_element",
        )
        y = kind.check(atoms, y)
        for name in ("net_", "_partial_net", "n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
        self.numbers_ = scaling.numbers
        self.n_atom_features_ = scaling.means.shape[1]
        baseline = kind.baseline(atoms, y, weights, self.numbers_)
        left = kind.subtract(atoms, y, baseline, self.numbers_)
        spread = float(kind.scales(atoms, left, weights)[0])
        self.baseline_ = squeezed(baseline)
        self.scale_ = (spread if square is None else float(square**0.5)) or 1.0
        self._remember(scaling, 1, 1, spread_shape(self, spread, y, self.scale_))
        return side.StreamedSet(
            store,
            left / self.scale_,
            weights,
            scaling,
            self.scale_,
            self.size_exponent,
            self.dtype,
            forces,
            stress,
        )

    def _labels(self, X: AtomFeatures, y, forces, stress, output) -> Labels | None:
        """Read what there is to train on besides energies, as far as it has weight."""
        slopes = output == "sum" and y.shape[1] == 1
        if not slopes and (forces is not None or stress is not None):
            raise ValueError(
                "Forces and stress are slopes of one energy: train on them with "
                "output='sum' and a single target."
            )
        labels = self.read_labels(X, forces, stress) if slopes else None
        if labels is not None:
            labels = replace(
                labels,
                has_forces=labels.has_forces & (largest_weight(self.force_weight) > 0),
                has_stress=labels.has_stress & (largest_weight(self.stress_weight) > 0),
            )
            if labels.has_forces.any() or labels.has_stress.any():
                refuse_rescaled_targets(y[:, 0], X.structures)
                return labels
        if largest_weight(self.energy_weight) == 0:
            raise ValueError(
                "energy_weight is 0 and there are no forces or stress to train on: raise "
                "energy_weight, or give structures with forces and a force_weight."
            )
        return None

    def _measure(self, X: AtomFeatures, y, weights, labels: Labels | None) -> None:
        """Set the baseline, the scales of targets and that of features."""
        kind = OUTPUTS[self.output]
        baseline = kind.baseline(X, y, weights, self.numbers_)
        left = kind.subtract(X, y, baseline, self.numbers_)
        scales = spreads = kind.scales(X, left, weights)
        if labels is not None and labels.has_forces.any():
            known = np.repeat(labels.has_forces, X.n_atoms)
            scales = np.sqrt(np.mean(labels.forces[known] ** 2, keepdims=True))[0]
        scales = np.where(scales > 0.0, scales, 1.0)
        self.baseline_ = squeezed(baseline)
        self.scale_ = float(scales[0]) if len(scales) == 1 else scales
        smooth = 1.0 if labels is None else SMOOTH_INPUT_SCALE
        scaling = ElementScaling.of(
            X.values,
            X.numbers,
            self.numbers_,
            np.repeat(weights, X.n_atoms),
            smooth if self.input_scale is None else self.input_scale,
            shared=self.networks != "per_element",
        )
        spread = spread_shape(self, float(spreads[0]), y, float(scales[0]))
        self._remember(scaling, y.shape[1], baseline.shape[1], spread)

    def _remember(
        self, scaling: ElementScaling, n_targets: int, n_values: int, spread: dict
    ) -> None:
        """Set what predictions need of scaling and architecture."""
        self.feature_means_, self.feature_gains_ = scaling.means, scaling.gains
        self._n_targets = n_targets
        self._shape = {
            "n_features": scaling.means.shape[1],
            "n_elements": len(self.numbers_),
            "n_outputs": n_values + spread["n_spreads"],
            **spread,
            "hidden_layers": [int(width) for width in self.hidden_layers],
            "activations": self._activations(),
            "output": self.output,
            **{
                name: getattr(self, name)
                for name in (
                    "networks", "residual", "batch_norm", "dropout", "initialization"
                )
            },
        }  # fmt: skip

    def _architecture(self) -> tuple[type, dict]:
        """Give the networks as they were first fitted, whatever parameters say now."""
        beside = ("output", "quantiles")
        shape = {k: v for k, v in self._shape.items() if k not in beside}
        return data_side().AtomicNetworks, shape | {"frozen_layers": self.frozen_layers}
