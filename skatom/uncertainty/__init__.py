"""Error bars with guarantees, and flags for structures unlike the training ones."""

from skatom.uncertainty.adaptive import AdaptiveConformalRegressor
from skatom.uncertainty.calibrated_std import CalibratedStdRegressor, calibrate_std
from skatom.uncertainty.conformal import ConformalRegressor
from skatom.uncertainty.domain_flags import DomainFlags
from skatom.uncertainty.dropout import DropoutRegressor
from skatom.uncertainty.ensemble import EnsembleRegressor
from skatom.uncertainty.exchangeability import (
    ExchangeabilityResult,
    exchangeability_test,
)
from skatom.uncertainty.feature_distance import FeatureDistance
from skatom.uncertainty.guard import ExtrapolationError, ExtrapolationWarning
from skatom.uncertainty.last_layer_rigidity import LastLayerRigidity
from skatom.uncertainty.latent_distance import LatentDistance
from skatom.uncertainty.weighted import WeightedConformalRegressor

__all__ = [
    "AdaptiveConformalRegressor",
    "CalibratedStdRegressor",
    "ConformalRegressor",
    "DomainFlags",
    "DropoutRegressor",
    "EnsembleRegressor",
    "ExchangeabilityResult",
    "ExtrapolationError",
    "ExtrapolationWarning",
    "FeatureDistance",
    "LastLayerRigidity",
    "LatentDistance",
    "WeightedConformalRegressor",
    "calibrate_std",
    "exchangeability_test",
]
