"""Figures of a report."""

from __future__ import annotations

import copy

import numpy as np
from scipy.stats import norm

from skatom.base._targets import ENERGY
from skatom.plotting import (
    CalibrationCurveDisplay,
    ErrorDistanceDisplay,
    ErrorWidthDisplay,
    GroupCoverageDisplay,
    ParityDisplay,
    StreamCoverageDisplay,
)
from skatom.plotting._axes import INSIDE, LINE, new_axes
from skatom.report._energy_tables import NINETY
from skatom.report._observe import LEVELS, Observations


def draw_figures(seen: Observations, labels: dict, n_calibration: int | None) -> dict:
    """Draw every figure that the observations allow.

    Returns
    -------
    figures : dict of str to matplotlib Figure
        By title.
    """
    ninety = seen.intervals[..., NINETY]
    level = float(LEVELS[NINETY])
    found = {
        "Coverage against level": CalibrationCurveDisplay.from_predictions(
            seen.y, seen.intervals, LEVELS, n_calibration=n_calibration
        ),
    }
    figures = {}
    target = seen.target
    if np.isfinite(ninety).all():
        found["Predictions and reference"] = ParityDisplay.from_predictions(
            seen.y, seen.y_pred, intervals=ninety, level=level, kind="error",
            quantity="energy" if target == ENERGY else target,
        )  # fmt: skip
        if not seen.alike:
            found["Errors against widths"] = ErrorWidthDisplay.from_predictions(
                seen.y, ninety, target=target
            )
            figures["Widths"] = _widths(seen)
    for kind, names in labels.items():
        if 1 < len(np.unique(names)) <= 30:
            found[f"Coverage by {kind}"] = GroupCoverageDisplay.from_predictions(
                seen.y, ninety, names, level=level
            )
    found["Coverage in the order of the test set"] = (
        StreamCoverageDisplay.from_predictions(seen.y, ninety, level=level)
    )
    if seen.distance is not None and np.isfinite(seen.distance).any():
        found["Errors against distances"] = ErrorDistanceDisplay.from_predictions(
            seen.y, seen.y_pred, seen.distance, target=target
        )
    if seen.std is not None:
        figures["Errors against deviations"] = _errors_against_deviations(seen)
        figures["Errors in units of their deviations"] = _standard_errors(seen)
        figures["Errors against deviations, binned"] = _binned(seen)
    return {name: display.figure_ for name, display in found.items()} | figures


def draw_stream(model, seen: Observations):
    """Draw what a model that learns from labels as they come covers; it stays as it is."""
    return StreamCoverageDisplay.from_estimator(
        copy.deepcopy(model), seen.X, seen.y
    ).figure_


def close(figures) -> None:
    """Close figures in pyplot, which keeps open ones for good; they can be saved still."""
    import matplotlib.pyplot as plt

    for figure in figures:
        plt.close(figure)


def _widths(seen: Observations):
    ax = new_axes(4.5, 3.2)
    (_, fine), label = seen.target.fine, seen.target.error_label
    alone = fine * 2 * norm.ppf(0.95) * seen.y.std()
    ax.hist(fine * seen.widths(NINETY), bins=30, color=INSIDE)
    ax.axvline(alone, color=LINE, lw=0.8, label="without a model")
    ax.set(xlabel=label("width at level 0.9"), ylabel="structures")
    ax.legend(fontsize=8)
    return ax.figure


def _errors_against_deviations(seen: Observations):
    """Points below the lines of one, two, three deviations: 68, 95, 99.7 % if normal."""
    ax = new_axes()
    (_, fine), named = seen.target.fine, seen.target.error_label
    std, error = fine * seen.std, fine * np.abs(seen.y - seen.y_pred)
    ax.plot(std, error, ".", ms=3, color=INSIDE)
    ends = np.array([0.0, 1.05 * std.max()])
    for k, style in ((1, "-"), (2, "--"), (3, ":")):
        share = np.mean(error <= k * std)
        label = f"{k} deviations, {share:.1%} below"
        ax.plot(ends, k * ends, style, color=LINE, lw=0.8, label=label)
    ax.set(xlabel=named("standard deviation"), ylabel=named("|error|"))
    ax.legend(loc="upper left", fontsize=8)
    return ax.figure


def _standard_errors(seen: Observations):
    ax = new_axes(4.5, 3.2)
    z = np.clip((seen.y - seen.y_pred) / seen.std, -6, 6)
    grid = np.linspace(-6, 6, 200)
    ax.hist(z, bins=40, density=True, color=INSIDE)
    ax.plot(grid, norm.pdf(grid), color=LINE, lw=0.8, label="exact deviations")
    ax.set(xlabel="error / standard deviation", ylabel="density")
    ax.legend(fontsize=8)
    return ax.figure


def _binned(seen: Observations):
    ax = new_axes()
    order = np.argsort(seen.std)
    bins = np.array_split(order, min(10, max(1, len(order) // 5)))
    e = seen.y - seen.y_pred
    (_, fine), label = seen.target.fine, seen.target.error_label
    rmse = [fine * np.sqrt(np.mean(e[b] ** 2)) for b in bins]
    rms = [fine * np.sqrt(np.mean(seen.std[b] ** 2)) for b in bins]
    ax.loglog(rms, rmse, "o-", ms=4, color=INSIDE)
    ends = np.array([min(rms + rmse), max(rms + rmse)])
    ax.plot(ends, ends, color=LINE, lw=0.8)
    ax.set(xlabel=label("standard deviation"), ylabel=label("root mean square error"))
    return ax.figure
