"""Tables of a report, and how they are written down."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np

from skatom.report._bootstrap import Estimate


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    title : str
    columns : list of str
    rows : list of list
        Text, numbers, or Estimates.
    note : str
        What a reader should know about it.
    """

    title: str
    columns: list[str]
    rows: list[list]
    note: str = ""

    def to_dict(self) -> dict:
        """Give plain lists and numbers, for JSON."""
        rows = [[_plain(cell) for cell in row] for row in self.rows]
        return {**vars(self), "rows": rows}

    def to_markdown(self) -> str:
        """Write it in Markdown."""
        lines = [
            f"## {self.title}",
            "",
            "| " + " | ".join(self.columns) + " |",
            "|" + " --- |" * len(self.columns),
        ]
        for row in self.rows:
            cells = [text(cell).replace("|", r"\|") for cell in row]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join([*lines, "", self.note] if self.note else lines) + "\n"

    def to_html(self) -> str:
        """Write it in HTML."""
        head = "".join(f"<th>{html.escape(c)}</th>" for c in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(text(c))}</td>" for c in row) + "</tr>"
            for row in self.rows
        )
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return (
            f"<h2>{html.escape(self.title)}</h2><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{note}"
        )


def text(cell) -> str:
    """Write a cell."""
    if isinstance(cell, Estimate):
        return f"{number(cell.value)} [{number(cell.low)}, {number(cell.high)}]"
    if isinstance(cell, float | np.floating):
        return number(float(cell))
    return str(cell)


def number(value: float) -> str:
    """Write a number in three digits or so."""
    if not np.isfinite(value):
        return "∞" if value > 0 else "n/a"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _plain(cell):
    if isinstance(cell, Estimate):
        return {k: _plain(v) for k, v in cell._asdict().items()}
    if isinstance(cell, float | np.floating):
        return float(cell) if np.isfinite(cell) else None
    return int(cell) if isinstance(cell, np.integer) else cell
