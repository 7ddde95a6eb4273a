"""The command `skatom`: one file a command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import skatom
from skatom.cli import compile, datasets, demo, info, report

# In the order of the help.
COMMANDS = (demo, datasets, report, compile, info)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    status : int
        0, or 1 after an error that was printed as a sentence.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # a pager was closed: nobody reads the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"skatom: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # a demo takes a minute
        print("skatom: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skatom",
        description="Machine learning on atoms, done the scikit-learn way.",
    )
    parser.add_argument("--version", action="version", version=skatom.__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
