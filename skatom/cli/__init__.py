"""The command ``skatom``."""

from skatom.cli.main import main

__all__ = ["main"]
