"""Tables of predictions: errors, coverage, deviations, groups."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.stats import norm, spearmanr

from skatom import metrics
from skatom.metrics.intervals import coverage_band
from skatom.report._bootstrap import bootstrap
from skatom.report._observe import LEVELS, Observations
from skatom.report._tables import Table, number

NINETY = 3  # place of 0.9 among LEVELS
SMALL_GROUP = 5


def errors(seen: Observations, draws) -> Table:
    """Put errors beside those of a constant."""
    e, n = seen.y_pred - seen.y, seen.n_atoms
    target, rows = seen.target, []
    (_, fine), label = target.fine, target.error_label
    if target.kind == "sum":
        parts = [("total", e, seen.y), ("per atom", e / n, seen.y / n)]
    else:
        parts = [("of structures", e, seen.y)]
    for name, values, labels in parts:
        rows.append(
            [
                name,
                bootstrap(lambda v: fine * np.mean(np.abs(v)), [values], draws),
                bootstrap(lambda v: fine * np.sqrt(np.mean(v**2)), [values], draws),
                bootstrap(lambda v: fine * np.std(v), [labels], draws),
            ]
        )
    columns = [target.name, *map(label, ("MAE", "RMSE", "spread of labels"))]
    plural = "energies" if target.name == "energy" else target.name
    return Table(f"Errors of {plural}", columns, rows)


def coverage(seen: Observations, draws, n_calibration: int | None) -> Table:
    """Give coverage and width at every level, and the width without a model."""
    rows, (unit, fine) = [], seen.target.fine
    for k, level in enumerate(LEVELS):
        width, ends = seen.widths(k), seen.intervals[..., k]
        low, high = coverage_band(level, len(seen.y), n_calibration)
        rows.append(
            [
                f"{level:g}",
                bootstrap(np.mean, [seen.covered(k).astype(float)], draws),
                f"{low:.3f} to {high:.3f}",
                bootstrap(lambda w: fine * np.mean(w), [width], draws),
                bootstrap(lambda w: fine * np.median(w), [width], draws),
                bootstrap(partial(_share, level=level), [width, seen.y], draws),
                bootstrap(
                    lambda y, i, p=level: fine * metrics.winkler_score(y, i, p),
                    [seen.y, ends],
                    draws,
                ),
            ]
        )
    label = seen.target.error_label
    columns = [
        "level", "share inside", "95 % by chance", label("mean width"),
        label("median width"), "width / no model", label("Winkler score"),
    ]  # fmt: skip
    note = (
        "By chance: what valid intervals give with as many test (and calibration) "
        "structures. No model: the interval of a constant with the spread of the labels. "
        "Coverage alone says nothing: a useless model is covered too, at a ratio of 1."
    )
    if seen.alike:
        half = fine * seen.widths(NINETY)[0] / 2
        note += (
            f" All intervals are equally wide, ±{number(half)} {unit} at 0.9: widths do "
            "not tell where the model errs, so there is no figure of them."
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
    (_, fine), label = seen.target.fine, seen.target.error_label
    rows = [
        [
            label("sharpness"),
            bootstrap(lambda s: fine * metrics.sharpness(s), [seen.std], draws),
        ],
        ["negative log likelihood", bootstrap(metrics.gaussian_nll, arrays, draws)],
        [label("CRPS"), bootstrap(lambda *a: fine * metrics.crps(*a), arrays, draws)],
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
    rows, (_, fine) = [], seen.target.fine
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
                    fine * float(np.mean(widths[own])), fine * float(np.mean(error)),
                ]
            )  # fmt: skip
    rows.sort(key=lambda row: row[3].value)
    label = seen.target.error_label
    columns = [
        "kind",
        "group",
        "n",
        "share inside at 0.9",
        label("width"),
        label("MAE"),
    ]
    note = (
        "Worst first. Only groups that were calibrated by themselves have a guarantee. "
        f"Groups of fewer than {SMALL_GROUP} structures are left out."
    )
    return Table("Groups", columns, rows, note)
