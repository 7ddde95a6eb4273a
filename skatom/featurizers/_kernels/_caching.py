"""Compile kernels once per change of any file of this folder."""

from pathlib import Path

from numba import njit


def kernel(function):
    """Compile without the GIL, and cache on disk.

    Numba's cache watches the file of the function alone, so a change in a helper of
    another file would go unnoticed and old machine code would run. This one watches all
    files of the folder.
    """
    compiled = njit(cache=True, nogil=True)(function)
    compiled._cache._cache_file._source_stamp = _folder_stamp()
    return compiled


def _folder_stamp() -> tuple[float, int]:
    stats = [path.stat() for path in Path(__file__).parent.glob("*.py")]
    return max(s.st_mtime for s in stats), sum(s.st_size for s in stats)
