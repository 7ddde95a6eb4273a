"""Text and figure of the demo."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from skatom.datasets import DatasetRecord
from skatom.dynamics.constant_energy import Trajectory
from skatom.plotting import ParityDisplay
from skatom.report._judge import Judgement

WIDTH = 76
_NAMES = {
    "composition": "composition baseline",
    "potential": "ACSF + kernel ridge",
}
# Batatia et al., arXiv:2206.07697, table on rMD17: 1000 training structures, MAE.
_PUBLISHED = {"GAP": (0.0048, 26.4), "ANI": (0.0046, 24.5), "MACE": (0.0008, 4.1)}


def introduction(
    record: DatasetRecord, n_fit: int, n_calibration: int, n_test: int
) -> str:
    """Say what is computed on which data."""
    rows = {
        "data": f"{record.title}; {record.theory}, {record.licence}",
        "cite": f"{record.citation}, doi:{record.doi}",
        "fit": f"{n_fit} structures of the train part, energies and forces",
        "calibrate": f"{n_calibration} others, held out to set the error bars",
        "test": f"{n_test} structures of the test part, never trained on",
    }
    lines = ["A potential with error bars: malonaldehyde (C3H4O2)", "=" * WIDTH]
    for name, text in rows.items():
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=f"  {name:11}", subsequent_indent=" " * 13
        )
    return "\n".join([*lines, ""])


def tables(judged: Mapping[str, Judgement]) -> str:
    """Tabulate errors and intervals."""
    found = judged["potential"].intervals
    rule = "  " + "-" * (WIDTH - 2)
    lines = [
        "",
        f"  {'':22}{'energy (eV)':>26}{'forces (meV/Å)':>26}",
        f"  {'errors':22}{'MAE':>13}{'RMSE':>13}{'MAE':>13}{'RMSE':>13}",
        rule,
    ]
    for name, judgement in judged.items():
        e = judgement.errors
        lines.append(
            f"  {_NAMES[name]:22}{e.energy_mae:13.4f}{e.energy_rmse:13.4f}"
            f"{1000 * e.force_mae:13.1f}{1000 * e.force_rmse:13.1f}"
        )
    lines += [
        "",
        f"  {'':22}{'energy (eV)':>26}{'force components (meV/Å)':>26}",
        f"  {f'{found.level:.0%} intervals':22}{'coverage':>13}{'mean width':>13}"
        f"{'coverage':>13}{'mean width':>13}",
        rule,
    ]
    for name, judgement in judged.items():
        i = judgement.intervals
        lines.append(
            f"  {_NAMES[name]:22}{i.energy_coverage:13.1%}{i.energy_width:13.4f}"
            f"{i.force_coverage:13.1%}{1000 * i.force_width:13.1f}"
        )
    published = ", ".join(
        f"{name} {e:.4f} eV and {f:.1f} meV/Å" for name, (e, f) in _PUBLISHED.items()
    )
    return "\n".join(
        [
            *lines,
            "",
            *_wrapped(
                f"The intervals come from {found.n_calibration} held-out structures. "
                f"About {found.level:.0%} of new structures of the same kind are covered, "
                f"whatever the model; with so many the energy coverage scatters by "
                f"{found.coverage_scatter:.1%}. What a model earns is the width."
            ),
            *_wrapped(
                f"For scale, MAE published for 1000 structures to fit: {published} "
                "(arXiv:2206.07697)."
            ),
            "",
        ]
    )


def dynamics(run: Trajectory) -> str:
    """Say how the run went."""
    return "\n".join(
        [
            "",
            f"  NVE, {run.picoseconds:g} ps in steps of {run.time_step:g} fs, mean "
            f"temperature {run.temperature:.0f} K",
            "  " + "-" * (WIDTH - 2),
            f"  energy drift           {1000 * run.drift:+10.4f} meV   "
            f"{run.relative_drift:.3%} of the kinetic energy",
            f"  fluctuation            {1000 * run.fluctuation:10.4f} meV   "
            "of the total energy about its line",
            f"  extrapolation          {run.flagged:10.2%} of {run.n_steps + 1} steps "
            f"flagged, largest grade {run.largest_grade:.2f}",
            "",
            *_wrapped(
                "A step is flagged when an atom is farther from the training "
                "environments than any atom of the held-out structures (grade 1)."
            ),
            "",
        ]
    )


def files(out: Path, seconds: float) -> str:
    """Say what was written where."""
    return "\n".join(
        [
            f"  {out / 'parity.png'}    predictions against reference, with error bars",
            f"  {out / 'model.skatom'}  the fitted model: skatom.persistence.load",
            f"  {out / 'nve.extxyz'}    the run, a structure every 10 fs",
            f"  {out / 'report.json'}   all numbers above",
            "",
            f"  Done in {seconds:.0f} s.",
        ]
    )


def numbers(
    judged: Mapping[str, Judgement], run: Trajectory, *, seconds: float
) -> dict:
    """Gather all numbers, energies in eV and forces in eV/Å."""
    return {
        "units": {"energy": "eV", "forces": "eV/Å"},
        "models": {
            name: {
                "errors": asdict(judgement.errors),
                "intervals": asdict(judgement.intervals),
            }
            for name, judgement in judged.items()
        },
        "dynamics": {**asdict(run), "relative_drift": run.relative_drift},
        "seconds": seconds,
    }


def figure(judgement: Judgement):
    """Draw energies and forces, parity above and errors with error bars below."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(9, 8.4), layout="constrained")
    axes = fig.subplots(2, 2, height_ratios=(1.25, 1))
    columns = (
        ("energy", judgement.y_true, judgement.y_pred, judgement.energy_intervals),
        (
            "forces",
            judgement.forces_true,
            judgement.forces_pred,
            judgement.force_intervals,
        ),
    )
    for (above, below), (quantity, true, predicted, intervals) in zip(axes.T, columns):
        # few enough below that single bars can be told apart
        for ax, kind, max_points in ((above, "parity", 2000), (below, "error", 300)):
            ParityDisplay.from_predictions(
                true,
                predicted,
                intervals=intervals,
                quantity=quantity,
                level=judgement.intervals.level,
                ax=ax,
                kind=kind,
                max_points=max_points,
            )
        above.get_legend().remove()  # the one below says it
    axes[0, 0].set_title("Energies of test structures")
    axes[0, 1].set_title("Force components of test structures")
    return fig


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
