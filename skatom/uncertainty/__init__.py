"""Error bars with guarantees, and flags for structures unlike the training ones."""

from skatom.uncertainty.adaptive import AdaptiveConformalRegressor
from skatom.uncertainty.calibrated_std import CalibratedStdRegressor, calibrate_std
from skatom.uncertainty.conformal import ConformalRegressor
from skatom.uncertainty.cross_conformal import CrossConformalRegressor
from skatom.uncertainty.domain_flags import DomainFlags
from skatom.uncertainty.dropout import DropoutRegressor
from skatom.uncertainty.ensemble import EnsembleRegressor
from skatom.uncertainty.error_bar_regressor import ErrorBarRegressor
from skatom.uncertainty.exchangeability import (
    ExchangeabilityResult,
    exchangeability_test,
)
from skatom.uncertainty.feature_distance import FeatureDistance
from skatom.uncertainty.guard import ExtrapolationError, ExtrapolationWarning
from skatom.uncertainty.last_layer_rigidity import LastLayerRigidity
from skatom.uncertainty.latent_distance import LatentDistance
from skatom.uncertainty.quantile_conformal import QuantileConformalRegressor
from skatom.uncertainty.weighted import WeightedConformalRegressor

__all__ = [
    "AdaptiveConformalRegressor",
    "CalibratedStdRegressor",
    "ConformalRegressor",
    "CrossConformalRegressor",
    "DomainFlags",
    "DropoutRegressor",
    "EnsembleRegressor",
    "ErrorBarRegressor",
    "ExchangeabilityResult",
    "ExtrapolationError",
    "ExtrapolationWarning",
    "FeatureDistance",
    "LastLayerRigidity",
    "LatentDistance",
    "QuantileConformalRegressor",
    "WeightedConformalRegressor",
    "calibrate_std",
    "exchangeability_test",
]
