"""Error bars with guarantees, and flags for structures unlike the training ones."""

from skatom.uncertainty.calibration import CalibratedStdRegressor, calibrate_std
from skatom.uncertainty.conformal import ConformalRegressor
from skatom.uncertainty.distance import FeatureDistance
from skatom.uncertainty.ensemble import EnsembleRegressor
from skatom.uncertainty.guard import ExtrapolationError, ExtrapolationWarning
from skatom.uncertainty.latent import LatentDistance
from skatom.uncertainty.rigidity import LastLayerRigidity

__all__ = [
    "CalibratedStdRegressor",
    "ConformalRegressor",
    "EnsembleRegressor",
    "ExtrapolationError",
    "ExtrapolationWarning",
    "FeatureDistance",
    "LastLayerRigidity",
    "LatentDistance",
    "calibrate_std",
]
