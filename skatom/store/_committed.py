"""The last commit of a store, beside what was committed: so that what is gone is missed.

It is written after each commit, so that a kill between the two leaves a store that holds
more than it says, which is sound. Where several write at once, a late one may say less
than another has said; so whoever has written looks again whether there is more by now.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from skatom._runtime.whole_files import write_atomically
from skatom.store import _manifest

FILE = "committed.json"


def read(path: Path, entries: dict[str, type]) -> dict:
    """Read what a store at a path says that it holds at least.

    Parameters
    ----------
    path : pathlib.Path
    entries : dict of str to type
        What a layout tells of a commit.

    Raises
    ------
    ValueError
        If it is missing or damaged.
    """
    file = path / FILE
    if not file.is_file():
        raise ValueError(
            f"{file} is missing, without which nobody can tell whether the store is "
            "complete: restore it from a copy, or write the store again."
        )
    return _manifest.read_json(file, entries)


def write(path: Path, look: Callable[[], dict]) -> None:
    """Say what a store at a path holds, until nobody has added to it meanwhile."""
    seen = look()
    while True:
        write_atomically(path / FILE, _manifest.as_json(seen))
        before, seen = seen, look()
        if seen == before:
            return
