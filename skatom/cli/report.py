"""The command `skatom report`: judge the error bars of a model file."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands) -> None:
    """Add the command to the parser."""
    report = commands.add_parser(
        "report",
        help="judge the error bars of a model file on test structures",
        description=(
            "Predict structures that the model has not seen, and write what its "
            "intervals are worth: coverage, widths, groups, figures."
        ),
    )
    report.add_argument("file", type=Path, help="a model file written by save")
    report.add_argument(
        "frames", type=Path, help="test structures with energies, any format of ASE"
    )
    report.add_argument(
        "--out",
        type=Path,
        default=Path("skatom-report"),
        metavar="DIR",
        help="folder for report.html, report.md, report.json (default: %(default)s)",
    )
    report.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="KEY",
        help="look at groups by this entry of info, too; may be given several times",
    )
    report.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from skatom.persistence import load
    from skatom.report import UncertaintyReport

    frames = _read(arguments.frames)
    groups = {}
    for key in arguments.group:
        groups[key] = [atoms.info.get(key, "none") for atoms in frames]
    report = UncertaintyReport.from_estimator(
        load(arguments.file),
        frames,
        groups=groups,
        split=f"all {len(frames)} structures of {arguments.frames.name}",
    )
    print(report.to_markdown())
    for path in report.save(arguments.out):
        print(f"written: {path}")


def _read(path: Path) -> list:
    """Read structures, whatever a reader of ASE makes of a file that holds none."""
    from ase.io import read

    try:
        frames = read(path, ":")
    except OSError:
        raise
    except Exception as error:
        why = str(error) or type(error).__name__
        raise ValueError(
            f"{path} cannot be read as structures ({why}): give a file in a format of "
            "ASE, such as extxyz."
        ) from error
    if not frames:
        raise ValueError(f"{path} holds no structures.")
    return frames
