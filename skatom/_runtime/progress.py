"""Progress of long computations."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import TypeVar

T = TypeVar("T")

SECONDS_BETWEEN_REDRAWS = 0.2
# To a file or a log, where a line cannot be rewritten.
SECONDS_BETWEEN_LINES = 5.0
WIDTH = 24
# A job that takes longer is announced.
SECONDS_BEFORE_TELLING = 2.0


class Progress:
    """A bar on standard error, with the time that is left.

    On a terminal the bar is redrawn in place; elsewhere (a log file, a notebook's kernel)
    a line is written every few seconds. The last line says how long everything took.

    Parameters
    ----------
    name : str
        What is being computed.
    total : int
        Number of things to do.
    unit : str
        What they are.
    shown : bool, default=True
        Whether anything is written.
    expected : float, default=0.0
        Seconds that everything is expected to take, if known; told at the beginning where
        one would wait.

    Examples
    --------
    >>> from skatom._runtime.progress import Progress
    >>> with Progress("SOAP", 3, "structures") as progress:
    ...     for _ in range(3):
    ...         progress.advance(1)
    """

    def __init__(
        self,
        name: str,
        total: int,
        unit: str = "atoms",
        shown: bool = True,
        expected: float = 0.0,
    ):
        self.name = name
        self.total = total
        self.unit = unit
        self.shown = shown
        self.done = 0
        self._before: int | None = None  # done when the clock started
        self._text = ""
        self._lock = Lock()  # chunks end in several threads
        self._live = bool(getattr(sys.stderr, "isatty", lambda: False)())
        self._began = self._written = time.perf_counter()
        if shown and expected > SECONDS_BEFORE_TELLING:
            self._write(f"{name}: about {clock(expected)} expected", "\n")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, error, *where) -> None:
        if error is None:
            self.close()
        elif self.shown and self._live:
            sys.stderr.write("\n")  # the error starts on a line of its own

    def close(self) -> None:
        """Say how many things were done in how long."""
        if self.shown:
            taken = clock(time.perf_counter() - self._began)
            self._write(
                f"{self.name}: {self.done} {self.unit} in {taken}{self._text}", "\n"
            )

    def advance(self, n: int = 1) -> None:
        """Count n more things as done."""
        with self._lock:
            self._before = self._before or 0
            self._reach(self.done + n)

    def reach(self, done: int, text: str = "") -> None:
        """Say how many things are done.

        Parameters
        ----------
        done : int
            A job that is resumed does not begin at one: its first step shows how
            many were done before, which do not count for the time that is left.
        text : str
            Shown beside the bar.
        """
        with self._lock:
            if self._before is None:
                self._before = done - 1
            self._text = f"  {text}" if text else ""
            self._reach(done)

    def over(self, things: Iterable[T]) -> Iterator[T]:
        """Yield things, and count each as done when the next is asked for."""
        for thing in things:
            yield thing
            self.advance()

    def following(self, task: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """Give a task that counts the things from start to stop when it has done them."""

        def counted(start: int, stop: int) -> None:
            task(start, stop)
            self.advance(stop - start)

        return counted

    def _reach(self, done: int) -> None:
        self.done = done
        now = time.perf_counter()
        pause = SECONDS_BETWEEN_REDRAWS if self._live else SECONDS_BETWEEN_LINES
        if not self.shown or now - self._written < pause:
            return
        self._written = now
        bar = "#" * (WIDTH * done // max(self.total, 1))
        new = max(done - self._before, 1)
        left = (self.total - done) * (now - self._began) / new
        self._write(
            f"{self.name} [{bar:<{WIDTH}}] {done}/{self.total} {self.unit}{self._text}  "
            f"{clock(left)} left",
            "" if self._live else "\n",
        )

    def _write(self, line: str, end: str) -> None:
        sys.stderr.write((f"\r\x1b[K{line}" if self._live else line) + end)
        sys.stderr.flush()


def clock(seconds: float) -> str:
    """Write a duration as 0.4 s, 42 s, 12:05 or 1:02:03.

    Parameters
    ----------
    seconds : float

    Examples
    --------
    >>> from skatom._runtime.progress import clock
    >>> clock(0.42), clock(42.3), clock(3723.4)
    ('0.4 s', '42 s', '1:02:03')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
