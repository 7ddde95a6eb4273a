"""Tables of energies: errors, coverage, deviations, groups."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.stats import norm, spearmanr

from skatom import metrics
from skatom.metrics.intervals import coverage_band
from skatom.report._bootstrap import bootstrap
from skatom.report._observe import LEVELS, Observations
from skatom.report._tables import Table

NINETY = 3  # place of 0.9 among LEVELS
SMALL_GROUP = 5


def errors(seen: Observations, draws) -> Table:
    """Put errors beside those of a constant."""
    e, n = seen.y_pred - seen.y, seen.n_atoms
    rows = []
    for name, values in (("total", e), ("per atom", e / n)):
        scale = 1.0 if name == "total" else 1.0 / n
        labels = seen.y * scale
        rows.append(
            [
                name,
                bootstrap(lambda v: 1e3 * np.mean(np.abs(v)), [values], draws),
                bootstrap(lambda v: 1e3 * np.sqrt(np.mean(v**2)), [values], draws),
                bootstrap(lambda v: 1e3 * np.std(v), [labels], draws),
            ]
        )
    columns = ["energy", "MAE (meV)", "RMSE (meV)", "spread of labels (meV)"]
    return Table("Errors of energies", columns, rows)


def coverage(seen: Observations, draws, n_calibration: int | None) -> Table:
    """Give coverage and width at every level, and the width without a model."""
    rows = []
    for k, level in enumerate(LEVELS):
        width, ends = seen.widths(k), seen.intervals[..., k]
        low, high = coverage_band(level, len(seen.y), n_calibration)
        rows.append(
            [
                f"{level:g}",
                bootstrap(np.mean, [seen.covered(k).astype(float)], draws),
                f"{low:.3f} to {high:.3f}",
                bootstrap(lambda w: 1e3 * np.mean(w), [width], draws),
                bootstrap(lambda w: 1e3 * np.median(w), [width], draws),
                bootstrap(partial(_share, level=level), [width, seen.y], draws),
                bootstrap(
                    lambda y, i, p=level: 1e3 * metrics.winkler_score(y, i, p),
                    [seen.y, ends],
                    draws,
                ),
            ]
        )
    columns = [
        "level", "share inside", "95 % by chance", "mean width (meV)",
        "median width (meV)", "width / no model", "Winkler score (meV)",
    ]  # fmt: skip
    note = (
        "By chance: what valid intervals give with as many test (and calibration) "
        "structures. No model: the interval of a constant with the spread of the labels. "
        "Coverage alone says nothing: a useless model is covered too, at a ratio of 1."
    )
    return Table("Coverage and width", columns, rows, note)


def _share(width: np.ndarray, y: np.ndarray, *, level: float) -> float:
    """Width over that of a constant with normal errors."""
    alone = 2 * norm.ppf((1 + level) / 2) * y.std()
    return float(np.mean(width) / alone) if alone else float("nan")


def deviations(seen: Observations, draws, random_state: int) -> Table | None:
    """Judge the standard deviations of the model as they are."""
    if seen.std is None:
        return None
    arrays = [seen.y, seen.y_pred, seen.std]
    rng = np.random.default_rng(random_state)
    ideal = np.abs(seen.std * rng.normal(size=(50, len(seen.std))))
    oracle = np.mean([spearmanr(e, seen.std).statistic for e in ideal])
    n_bins = min(10, len(seen.y))
    rows = [
        [
            "sharpness (meV)",
            bootstrap(lambda s: 1e3 * metrics.sharpness(s), [seen.std], draws),
        ],
        ["negative log likelihood", bootstrap(metrics.gaussian_nll, arrays, draws)],
        ["CRPS (meV)", bootstrap(lambda *a: 1e3 * metrics.crps(*a), arrays, draws)],
        ["miscalibration area", bootstrap(metrics.miscalibration_area, arrays, draws)],
        ["ENCE", bootstrap(lambda *a: metrics.ence(*a, n_bins=n_bins), arrays, draws)],
        [
            "rank correlation of |error| with deviation",
            bootstrap(metrics.spearman_of_errors, arrays, draws),
        ],
        ["the same, if the deviations were exact", float(oracle)],
    ]
    return Table(
        "Standard deviations", ["measure", "value"], rows,
        "As the model gives them, which conformal calibration leaves as they are. Even "
        "exact ones do not reach a correlation of 1: errors scatter in them.",
    )  # fmt: skip


def groups(seen: Observations, labels: dict[str, np.ndarray], draws_of) -> Table:
    """Give coverage and width in groups, worst first."""
    rows = []
    covered, widths = seen.covered(NINETY).astype(float), seen.widths(NINETY)
    for kind, names in labels.items():
        for name in np.unique(names):
            own = np.flatnonzero(names == name)
            if len(own) < SMALL_GROUP:
                continue
            share = bootstrap(np.mean, [covered[own]], draws_of(len(own)))
            error = np.abs(seen.y_pred - seen.y)[own]
            rows.append(
                [
                    kind, str(name), len(own), share,
                    1e3 * float(np.mean(widths[own])), 1e3 * float(np.mean(error)),
                ]
            )  # fmt: skip
    rows.sort(key=lambda row: row[3].value)
    columns = ["kind", "group", "n", "share inside at 0.9", "width (meV)", "MAE (meV)"]
    note = (
        "Worst first. Only groups that were calibrated by themselves have a guarantee. "
        f"Groups of fewer than {SMALL_GROUP} structures are left out."
    )
    return Table("Groups", columns, rows, note)
