"""Reports of uncertainty: tables, figures, Markdown, JSON and one HTML file."""

from skatom.report.uncertainty_report import UncertaintyReport

__all__ = ["UncertaintyReport"]
