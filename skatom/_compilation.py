"""Compiled functions: kept on disk, and announced where a first use has to wait."""

import logging
import threading
import time
from functools import cache
from pathlib import Path

from numba import njit
from numba.core import event

LOGGER = logging.getLogger("skatom")
PATIENCE = 2.0  # seconds of compiling, in all, before the user is told


def kernel(function):
    """Compile without the GIL, and cache on disk.

    Numba's cache watches the file of the function alone, so a change in a helper of
    another file would go unnoticed and old machine code would run. This one watches all
    files of the folder.
    """
    compiled = njit(cache=True, nogil=True, no_cfunc_wrapper=True)(function)
    folder = Path(function.__code__.co_filename).parent
    compiled._cache._cache_file._source_stamp = _folder_stamp(folder)
    _listener()
    return compiled


@cache
def _folder_stamp(folder: Path) -> tuple[float, int]:
    stats = [path.stat() for path in folder.glob("*.py")]
    return max(s.st_mtime for s in stats), sum(s.st_size for s in stats)


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
