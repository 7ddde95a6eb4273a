"""One call from a fitted model to everything that should be said about its error bars."""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path

import numpy as np

from skatom._runtime.whole_files import write_atomically
from skatom._validation import check_n_structures
from skatom.report import _energy_tables
from skatom.report._bootstrap import draw_rows
from skatom.report._force_tables import forces as force_table
from skatom.report._observe import observe, observe_forces
from skatom.report._setup import setup_table, shift_table
from skatom.report._tables import Table

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}th,td{padding:.3em .8em;"
    "border-bottom:1px solid #ccc;text-align:left}figure{display:inline-block;margin:1em}"
    "img{max-width:28em}p{color:#444}"
)


class UncertaintyReport:
    """Tables and figures of how far a model's error bars can be trusted.

    Make it with `from_estimator`. Every share and score has a 95 % bootstrap interval
    over test structures; groups stand worst first; widths stand beside those without a
    model; the split and a search for test structures that were trained on are named.

    Parameters
    ----------
    tables : list of Table
    figures : dict of str to matplotlib Figure
        By title; empty without matplotlib. They are not open in pyplot, and can be saved
        all the same.

    See Also
    --------
    skatom.uncertainty.ConformalRegressor : Intervals to report on.
    skatom.plotting.CalibrationCurveDisplay : One of the figures, by itself.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import BayesianRidge
    >>> from skatom.report import UncertaintyReport
    >>> from skatom.uncertainty import ConformalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2))
    >>> y = X.sum(axis=1) + 0.1 * rng.normal(size=300)
    >>> model = ConformalRegressor(BayesianRidge(), conformity_score="std", random_state=0)
    >>> model = model.fit(X[:200], y[:200])
    >>> report = UncertaintyReport.from_estimator(model, X[200:], y[200:], figures=False)
    >>> [table.title for table in report.tables][:3]
    ['How it was done', 'Errors of energies', 'Coverage and width']
    """

    def __init__(self, tables: list[Table], figures: dict | None = None):
        self.tables = tables
        self.figures = figures or {}

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        groups=None,
        flags=None,
        distance=None,
        split: str = "not stated",
        figures: bool = True,
        n_bootstrap: int = 300,
        random_state: int = 0,
    ) -> UncertaintyReport:
        """Predict test structures and judge the intervals.

        Parameters
        ----------
        estimator : fitted estimator
            A ConformalRegressor, or any with ``predict(X, return_std=True)``, whose
            deviations are then taken as those of normal errors.
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
            Test structures: seen by neither training nor calibration.
        y : array-like of shape (n_structures,), optional
            What the estimator predicts, in its unit; by default the energies stored with
            the structures.
        groups : dict of str to sequence of shape (n_structures,), optional
            Further groups to look at, by name: sources, temperatures.
        flags : fitted DomainFlags, optional
            Tells test structures outside of the calibration range.
        distance : fitted LatentDistance or FeatureDistance, optional
            Measures test structures against those of training. By default what the
            estimator scales its widths by, if that is a distance, or that of the flags.
        split : str, default="not stated"
            How test structures were taken, for the reader.
        figures : bool, default=True
            Whether to draw, which needs matplotlib.
        n_bootstrap : int, default=300
            Draws for the intervals of numbers.
        random_state : int, default=0

        Returns
        -------
        report : UncertaintyReport
        """
        seen = observe(estimator, X, y, flags=flags, detector=distance)
        n_calibration = getattr(estimator, "n_calibration_", None)

        def draws_of(n):
            return draw_rows(n, n_bootstrap, random_state)

        draws = draws_of(len(seen.y))
        labels = _labels(seen, groups)
        tables = [
            setup_table(estimator, seen, split),
            _energy_tables.errors(seen, draws),
            _energy_tables.coverage(seen, draws, n_calibration),
            _energy_tables.groups(seen, labels, draws_of),
            _energy_tables.deviations(seen, draws, random_state),
        ]
        seen_forces = observe_forces(estimator, seen.structures)
        if seen_forces is not None:
            level = estimator.confidence_level
            tables.append(force_table(seen_forces, level, draws_of))
        tables.append(shift_table(estimator, seen, draws))
        drawn = {}
        if figures:
            from skatom.report._figures import close, draw_figures, draw_stream

            drawn = draw_figures(seen, labels, n_calibration)
            if hasattr(estimator, "follow"):
                drawn["Coverage of the stream"] = draw_stream(estimator, seen)
            close(drawn.values())
        return cls([t for t in tables if t is not None and t.rows], drawn)

    def __getitem__(self, title: str) -> Table:
        """Give the table of a title."""
        found = {table.title: table for table in self.tables}
        if title not in found:
            raise KeyError(f"{title!r} is none of {', '.join(map(repr, found))}")
        return found[title]

    def __str__(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        titles = ", ".join(table.title for table in self.tables)
        return f"UncertaintyReport({titles}; {len(self.figures)} figures)"

    def to_markdown(self) -> str:
        """Write the tables in Markdown.

        Returns
        -------
        text : str
        """
        parts = [table.to_markdown() for table in self.tables]
        return "\n".join(["# Uncertainty report\n", *parts])

    def to_json(self) -> str:
        """Write the tables as numbers; what is infinite is null.

        Returns
        -------
        text : str
        """
        tables = [table.to_dict() for table in self.tables]
        return json.dumps({"tables": tables}, indent=1, allow_nan=False)

    def to_html(self) -> str:
        """Write tables and figures into one page that needs no other file.

        Returns
        -------
        text : str
        """
        tables = "".join(table.to_html() for table in self.tables)
        figures = "".join(
            f"<figure><img alt='{html.escape(name)}' src='data:image/png;base64,"
            f"{_png(figure)}'><figcaption>{html.escape(name)}</figcaption></figure>"
            for name, figure in self.figures.items()
        )
        return (
            "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Uncertainty "
            f"report</title><style>{STYLE}</style></head><body><h1>Uncertainty report</h1>"
            f"{tables}{figures}</body></html>"
        )

    def save(self, folder) -> list[Path]:
        """Write report.html, report.md and report.json into a folder.

        Parameters
        ----------
        folder : path-like
            Made if it is not there.

        Returns
        -------
        paths : list of pathlib.Path
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, content in (
            ("report.html", self.to_html()),
            ("report.md", self.to_markdown()),
            ("report.json", self.to_json()),
        ):
            write_atomically(folder / name, content.encode())
            written.append(folder / name)
        return written


def _labels(seen, groups) -> dict[str, np.ndarray]:
    """Collect groups: those given, composition, size, fifths of widths and deviations."""
    labels = {}
    for name, values in (groups or {}).items():
        check_n_structures(len(seen.y), values, f"groups[{name!r}]")
        labels[name] = np.array([str(v) for v in values])
    if seen.structures is not None:
        formulas = np.array([a.get_chemical_formula() for a in seen.structures])
        if len(np.unique(formulas)) > 1:
            labels["composition"] = formulas
        if len(np.unique(seen.n_atoms)) > 1:
            labels["number of atoms"] = seen.n_atoms.astype(str)
    sizes = {"width": seen.widths(_energy_tables.NINETY)}
    if seen.std is not None:
        sizes["deviation"] = seen.std
    for name, values in sizes.items():
        if np.isfinite(values).all() and np.ptp(values) > 1e-9 * values.max():
            labels[f"fifth by {name}"] = _fifths(values)
    if np.array_equal(labels.get("fifth by width"), labels.get("fifth by deviation")):
        labels.pop("fifth by deviation", None)  # widths are multiples of deviations
    return labels


def _fifths(values: np.ndarray) -> np.ndarray:
    """Give each structure its fifth, "1" of the least values to "5" of the largest."""
    rank = np.argsort(np.argsort(values, kind="stable"))
    return (1 + 5 * rank // len(rank)).astype(str)


def _png(figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()
