"""Compiled functions: kept on disk, and announced where a first use has to wait."""

import logging
import re
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from numba import njit
from numba.core import event

LOGGER = logging.getLogger("skatom")
# Absolute imports, as text: parsing all files would take a third of a cold start.
IMPORT = re.compile(r"^ *(?:from|import) ([\w.]+)(?: import (\([^)]*\)|.*))?", re.M)
PATIENCE = 2.0  # seconds of compiling, in all, before the user is told


def kernel(function):
    """Compile without the GIL, and cache on disk.

    Numba's cache watches the file of the function alone, so a change in a helper of
    another file would go unnoticed and old machine code would run. This one watches all
    files that are reached by imports.
    """
    compiled = njit(cache=True, nogil=True, no_cfunc_wrapper=True)(function)
    source = Path(function.__code__.co_filename)
    compiled._cache._cache_file._source_stamp = stamp_of(source)
    _listener()
    return compiled


def stamp_of(source: Path) -> tuple[float, int]:
    """Tell one state of a file, and of all that it imports from its package, from another.

    Parameters
    ----------
    source : pathlib.Path
        A Python file.

    Returns
    -------
    changed : float
        Time of the last change.
    size : int
        Bytes of all files together.
    """
    stats = [path.stat() for path in reached_from(source)]
    return max(s.st_mtime for s in stats), sum(s.st_size for s in stats)


def reached_from(source: Path) -> set[Path]:
    """Find the files of its package that a file imports, directly or through others."""
    reached, waiting = {source}, [source]
    while waiting:
        found = _imported(waiting.pop()) - reached
        reached |= found
        waiting += found
    return reached


@cache
def _imported(source: Path) -> set[Path]:
    """Files of the same package that a file imports."""
    top = source.parent
    while (top / "__init__.py").exists():
        top = top.parent
    files = set()
    for module in _names_imported(source):
        path = top.joinpath(*module.split("."))
        files |= {path.with_suffix(".py"), path / "__init__.py"}
    return {path for path in files if path.exists()}


def _names_imported(source: Path) -> Iterator[str]:
    for module, names in IMPORT.findall(source.read_text()):
        yield module
        yield from (f"{module}.{name}" for name in re.findall(r"\w+", names))


@cache
def _listener() -> event.Listener:
    listener = Announcer()
    event.register("numba:compile", listener)
    return listener


class Announcer(event.Listener):
    """Log every kernel that is compiled, and tell the user once if that takes long.

    Kernels that are read from disk raise no event. Helpers are compiled inside of the
    kernels that call them, so events nest; numba's lock keeps other threads out.
    """

    def __init__(self):
        self._depth = 0
        self._spent = 0.0
        self._told = False

    def on_start(self, event):
        """Begin to wait for a kernel."""
        dispatcher = event.data["dispatcher"]
        if not self._depth:
            if not dispatcher.py_func.__module__.startswith("skatom"):
                return
            self._begun = time.perf_counter()
            self._timer = threading.Timer(
                max(0.0, PATIENCE - self._spent), self._tell, [dispatcher]
            )
            self._timer.daemon = True
            self._timer.start()
        self._depth += 1

    def on_end(self, event):
        """Log a kernel that is done."""
        if not self._depth:
            return
        self._depth -= 1
        if not self._depth:
            self._timer.cancel()
            seconds = time.perf_counter() - self._begun
            self._spent += seconds
            function = event.data["dispatcher"].py_func
            LOGGER.info(
                "Compiled %s.%s in %.1f s.",
                function.__module__,
                function.__qualname__,
                seconds,
            )

    def _tell(self, dispatcher) -> None:
        # a level that is shown where nobody has set up logging
        if not self._told:
            self._told = True
            LOGGER.warning(
                "Compiling skatom's kernels for this processor: a few seconds for each "
                "featurizer, at its first use only. They are kept in %s.",
                dispatcher.stats.cache_path,
            )
