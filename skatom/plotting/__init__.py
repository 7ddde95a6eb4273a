"""Displays: figures of predictions, in the manner of scikit-learn's."""

from skatom.plotting.calibration_curve import CalibrationCurveDisplay
from skatom.plotting.error_distance import ErrorDistanceDisplay
from skatom.plotting.error_width import ErrorWidthDisplay
from skatom.plotting.group_coverage import GroupCoverageDisplay
from skatom.plotting.parity import ParityDisplay
from skatom.plotting.periodic_table import PeriodicTableDisplay
from skatom.plotting.stream_coverage import StreamCoverageDisplay

__all__ = [
    "CalibrationCurveDisplay",
    "ErrorDistanceDisplay",
    "ErrorWidthDisplay",
    "GroupCoverageDisplay",
    "ParityDisplay",
    "PeriodicTableDisplay",
    "StreamCoverageDisplay",
]
