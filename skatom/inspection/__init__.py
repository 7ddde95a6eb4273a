"""Features and atoms behind the predictions of a fitted pipeline."""

from skatom.inspection.attribution import Attributions, attribute_features
from skatom.inspection.permutation import (
    GroupImportance,
    feature_groups,
    group_permutation_importance,
)

__all__ = [
    "Attributions",
    "GroupImportance",
    "attribute_features",
    "feature_groups",
    "group_permutation_importance",
]
