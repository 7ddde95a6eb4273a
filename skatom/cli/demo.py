"""The command `skatom demo`: fit, judge and run a potential on shipped data."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands) -> None:
    """Add the command to the parser."""
    demo = commands.add_parser(
        "demo",
        help="fit a potential on shipped data, judge it and run dynamics with it",
        description=(
            "Fit a potential with error bars for malonaldehyde, compare it with "
            "reference data that it was not trained on, and run dynamics with it. "
            "Needs no network and about a minute."
        ),
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("skatom-demo"),
        metavar="DIR",
        help="folder for figure, model, run and numbers (default: %(default)s)",
    )
    demo.add_argument(
        "--quick", action="store_true", help="fewer structures and a shorter run"
    )
    demo.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from skatom.cli._demo_job import run_demo

    def say(text: str) -> None:
        print(text, flush=True)

    run_demo(arguments.out, quick=arguments.quick, say=say)
