"""The command `skatom compile`: compile all kernels ahead of their first use."""

from __future__ import annotations

import argparse
import os
import time


def add(commands) -> None:
    """Add the command to the parser."""
    ahead = commands.add_parser(
        "compile",
        help="compile all kernels now rather than at their first use",
        description=(
            "Compile what is not on disk yet for this processor. Kernels are otherwise "
            "compiled where they are used first, a few seconds for each featurizer."
        ),
    )
    ahead.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="number of processes (default: %(default)s)",
    )
    ahead.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from skatom.cli._compile import precompile

    if arguments.jobs < 1:
        raise ValueError(f"--jobs {arguments.jobs}: at least one process is needed.")
    start = time.perf_counter()
    for name, seconds in precompile(arguments.jobs):
        print(f"{name:20} {seconds:6.1f} s", flush=True)
    print(f"{'all':20} {time.perf_counter() - start:6.1f} s by the clock")
