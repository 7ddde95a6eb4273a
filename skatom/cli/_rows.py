"""Tables of names and values on the terminal."""

from __future__ import annotations

import textwrap


def print_rows(rows: dict[str, str]) -> None:
    """Print names and wrapped values in two columns."""
    margin = max(map(len, rows)) + 2
    for name, value in rows.items():
        print(
            textwrap.fill(
                value,
                88,
                initial_indent=f"{name:{margin}}",
                subsequent_indent=" " * margin,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
