"""Verification of a store, opened anew; in a process of its own where that may end it."""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from skatom._validation import listing
from skatom.store import _manifest

AGAIN = "Restore the store from a copy, or write it again."


def examine(path: Path, layouts: dict) -> int:
    """Read all of a store, and give the number of its structures.

    Raises
    ------
    ValueError
        If structures are damaged or there twice.
    """
    manifest = _manifest.read(path)
    layout = layouts[manifest["layout"]](path, manifest)
    damaged = list(layout.damaged())
    if damaged:
        places = sorted({place for _, place in damaged})
        raise ValueError(
            f"{len(damaged)} of {len(layout)} structures are damaged: "
            f"{listing(s for s, _ in damaged)}, in {listing(places)}. {AGAIN}"
        )
    hashes = np.ascontiguousarray(layout.column("hash")).view("V16").ravel()
    _, first, count = np.unique(hashes, return_index=True, return_counts=True)
    if (count > 1).any():
        raise ValueError(
            f"{(count > 1).sum()} structures are stored more than once, such as structure "
            f"{first[count > 1].min()}, in {path}. {AGAIN}"
        )
    return len(layout)


def in_child(work: Callable[[], int], place: Path) -> int:
    """Work in a process of its own, and give its result or raise its error.

    Parameters
    ----------
    work : callable
    place : pathlib.Path
        What is read, for the sentence about a process that has died of it.

    Raises
    ------
    ValueError
        If the process has died.
    """
    if not hasattr(os, "fork"):
        return work()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # of threads whose locks the child could wait for; it takes none of them
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _tell(work, writer)
    os.close(writer)
    with open(reader, "rb") as stream:
        told = stream.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        raise ValueError(
            f"{place} is damaged: reading it ended the process that looked "
            f"({signal.Signals(os.WTERMSIG(status)).name}). {AGAIN}"
        )
    result, error = pickle.loads(told)
    if error is not None:
        raise error
    return result


def _tell(work: Callable[[], int], writer: int) -> None:
    """Work, write the result or the error to a pipe, and end this process."""
    faulthandler.disable()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # liblmdb complains there before it aborts
    try:
        told = (work(), None)
    except Exception as error:
        error.__traceback__ = error.__cause__ = None
        told = (None, error)
    with open(writer, "wb") as stream:
        stream.write(pickle.dumps(told))
    os._exit(0)
