"""The checks that skatom runs on itself, for featurizers and models of your own."""

from skatom.testing._featurizer import check_featurizer, featurizer_checks
from skatom.testing._frames import check_frames, with_labels
from skatom.testing._report import CheckReport

__all__ = [
    "CheckReport",
    "check_featurizer",
    "check_frames",
    "featurizer_checks",
    "with_labels",
]
