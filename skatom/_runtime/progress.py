"""The progress bar of everything that takes a while."""

from __future__ import annotations

import math
import sys
import time
from typing import TextIO

SECONDS_BETWEEN_LINES = 2.0
SECONDS_BETWEEN_REDRAWS = 0.2
WIDTH = 24


class ProgressBar:
    """A bar with the time that is left, redrawn in place on a terminal.

    Where standard error is no terminal (a log file, a notebook's kernel) a line is
    written every few seconds instead.

    Parameters
    ----------
    total : int
        Steps until the end.
    stream : text file, optional
        Where to write; standard error by default.
    """

    def __init__(self, total: int, stream: TextIO | None = None):
        self.total = total
        self.stream = sys.stderr if stream is None else stream
        self.start = time.perf_counter()
        self.written = -math.inf
        self.first: int | None = None

    def update(self, done: int, text: str = "") -> None:
        """Show how far it is, unless that was done a moment ago.

        Parameters
        ----------
        done : int
            Steps done, those before the bar began included.
        text : str
            What else to tell.
        """
        now = time.perf_counter()
        if self.first is None:  # a resumed job does not begin at zero
            self.first = done - 1
        pause = SECONDS_BETWEEN_REDRAWS if self._live else SECONDS_BETWEEN_LINES
        if now - self.written > pause:
            self.written = now
            self._write(done, text, now)

    def close(self, done: int, text: str = "") -> None:
        """Show the last state, and leave it there."""
        if self.first is None:
            self.first = done - 1
        self._write(done, text, time.perf_counter())
        if self._live:
            self.stream.write("\n")

    @property
    def _live(self) -> bool:
        return bool(getattr(self.stream, "isatty", lambda: False)())

    def _write(self, done: int, text: str, now: float) -> None:
        filled = WIDTH * done // max(1, self.total)
        bar = "#" * filled + "." * (WIDTH - filled)
        steps = max(1, done - (self.first or 0))
        left = (self.total - done) * (now - self.start) / steps
        line = f"[{bar}] {done}/{self.total}  {text}  {clock(left)} left"
        self.stream.write(f"\r\x1b[K{line}" if self._live else line + "\n")
        self.stream.flush()


def clock(seconds: float) -> str:
    """Write a duration as 0:42, 12:05 or 1:02:03.

    Parameters
    ----------
    seconds : float

    Examples
    --------
    >>> from skatom._runtime.progress import clock
    >>> clock(3723.4)
    '1:02:03'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
