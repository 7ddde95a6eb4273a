"""Compiled functions: kept on disk, and announced where a first use has to wait."""

import atexit
import logging
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from numba import config, njit
from numba.core import event

LOGGER = logging.getLogger("skatom")
# Absolute imports, as text: parsing all files would take a third of a cold start.
IMPORT = re.compile(r"^ *(?:from|import) ([\w.]+)(?: import (\([^)]*\)|.*))?", re.M)
PATIENCE = 2.0  # seconds of compiling, in all, before the user is told


def kernel(function=None, *, fastmath: bool | set[str] = False):
    """Compile without the GIL, and cache on disk.

    Numba's cache watches the file of the function alone, so a change in a helper of
    another file would go unnoticed and old machine code would run. This one watches all
    files that are reached by imports.

    Parameters
    ----------
    function : callable
    fastmath : bool or set of str, default=False
        Liberties with floats, as in numba.
    """
    if function is None:
        return partial(kernel, fastmath=fastmath)
    if config.DISABLE_JIT:
        return function
    compiled = _cached(function, fastmath)
    if hasattr(compiled._cache, "_cache_file"):
        source = Path(function.__code__.co_filename)
        compiled._cache._cache_file._source_stamp = stamp_of(source)
    _listener()
    return compiled


def _cached(function, fastmath):
    """Cache beside the source, in the user's own folder, or in a temporary one."""
    compile_ = partial(njit, nogil=True, no_cfunc_wrapper=True, fastmath=fastmath)
    try:
        return compile_(cache=True)(function)
    except RuntimeError:  # neither can be written
        folder = temporary_folder()
    if folder is None:
        return compile_(cache=False)(function)
    usual, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:  # numba reads this once, when a function is decorated
        return compile_(cache=True)(function)
    finally:
        config.CACHE_DIR = usual


@cache
def temporary_folder() -> Path | None:
    """Give a folder for compiled code that only this user can write, None if none can be.

    It is that of earlier processes, unless somebody else could have put code there: then
    it is a new one, which lasts as long as this process.
    """
    try:
        shared = Path(gettempdir())
    except FileNotFoundError:
        return None
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = shared / ("skatom-kernels" if user is None else f"skatom-kernels-{user}")
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        open_to_others = user is not None and (
            found.st_uid != user or found.st_mode & 0o077
        )
        if stat.S_ISDIR(found.st_mode) and not open_to_others:
            return folder
        LOGGER.warning(
            "%s is not a folder of yours alone, so compiled code is not kept there: remove "
            "it, or set NUMBA_CACHE_DIR.", folder,
        )  # fmt: skip
        own = Path(mkdtemp(prefix="skatom-kernels-"))
    except OSError:
        return None
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


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
                "featurizer, at its first use only. %s",
                f"They are kept in {kept}."
                if (kept := dispatcher.stats.cache_path)
                else "No folder can be written to keep them: set NUMBA_CACHE_DIR.",
            )
