"""Checks of the energies, forces and stress that models are trained on."""

from skatom.labels.check_labels import check_labels
from skatom.labels.report import Finding, LabelReport, LabelWarning

__all__ = ["Finding", "LabelReport", "LabelWarning", "check_labels"]
