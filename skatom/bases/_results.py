"""Results of bases that were computed before, in this process and in a folder."""

from __future__ import annotations

import io
import os
import secrets
import warnings
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Lock

import numpy as np

# What is kept of one structure: energy () in eV, forces (n_atoms, 3), stress (6,),
# energies (n_atoms,), as far as they were computed.
Results = dict[str, np.ndarray]

OVERHEAD = 500  # bytes that Python takes for the results of one structure
WRITES_BETWEEN_LOOKS = 500  # at how much a folder holds


class ResultCache:
    """Results by key, of all estimators of this process; the longest unused go first.

    Failures are kept too, as texts: what does not converge is not tried in every fold.
    """

    def __init__(self):
        self._lock = Lock()
        self._found: OrderedDict[str, Results | str] = OrderedDict()
        self.n_bytes = 0

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: str) -> Results | str | None:
        """Look a structure up."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def add(self, key: str, results: Results | str, limit: float) -> None:
        """Keep the results of a structure within the limit, in bytes."""
        with self._lock:
            self._forget(key)
            self._found[key] = results
            self.n_bytes += _size(results)
            while self.n_bytes > limit:
                self._forget(next(iter(self._found)))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._found.clear()
            self.n_bytes = 0

    def _forget(self, key: str) -> None:
        if key in self._found:
            self.n_bytes -= _size(self._found.pop(key))


class ResultFolder:
    """Results in files, one a structure, shared by processes and sessions.

    Files are written whole, hold arrays only, and are checked when they are read. The
    longest unused ones are removed when the folder holds more than the limit.

    Parameters
    ----------
    memory : str, os.PathLike or joblib.Memory
        Folder, made if it is not there.
    limit : float
        In bytes.
    """

    _writes = 0  # of this process, in all folders

    def __init__(self, memory, limit: float):
        place = memory.location if hasattr(memory, "location") else memory
        self.folder = Path(place) / "skatom-bases"
        self.limit = limit

    def get(self, key: str, n_atoms: int) -> Results | None:
        """Read the results of a structure, None where there are none that are whole."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                results = {name: file[name] for name in file.files}
            if not is_whole(results, n_atoms):
                raise ValueError
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # computed anew, and written over
        with suppress(OSError):
            os.utime(path)  # used now
        return results

    def add(self, key: str, results: Results) -> None:
        """Write the results of a structure."""
        path, buffer = self._path(key), io.BytesIO()
        np.savez(buffer, **results)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(buffer.getvalue())
            os.replace(temporary, path)
        except OSError as error:
            warnings.warn(
                f"Results of a base cannot be kept in {self.folder} ({error}): they are "
                "kept in memory only. Give another folder as memory.",
                stacklevel=2,
            )
            return
        ResultFolder._writes += 1
        if self._writes % WRITES_BETWEEN_LOOKS == 1:
            self.make_room()

    def make_room(self) -> None:
        """Remove the longest unused files beyond the limit."""
        files = []
        for path in self.folder.glob("*/*.npz"):
            try:
                status = path.stat()
            except FileNotFoundError:  # removed by another process
                continue
            files.append((status.st_mtime, status.st_size, path))
        excess = sum(size for _, size, _ in files) - self.limit
        for _, size, path in sorted(files):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"


def is_whole(results: Results, n_atoms: int) -> bool:
    """Whether results have their shapes and are finite."""
    shapes = {
        "energy": (),
        "forces": (n_atoms, 3),
        "stress": (6,),
        "energies": (n_atoms,),
    }
    return "energy" in results and all(
        name in shapes
        and value.shape == shapes[name]
        and value.dtype == np.float64
        and bool(np.isfinite(value).all())
        for name, value in results.items()
    )


def _size(results: Results | str) -> int:
    if isinstance(results, str):
        return OVERHEAD
    return OVERHEAD + sum(value.nbytes for value in results.values())


CACHE = ResultCache()


class Shelf:
    """Memory of this process, and the folder behind it if there is one.

    Parameters
    ----------
    limit : float
        Bytes that each may hold.
    memory : str, os.PathLike, joblib.Memory or None
    """

    def __init__(self, limit: float, memory):
        self.limit = limit
        self.folder = None if memory is None else ResultFolder(memory, limit)

    def get(self, key: str, n_atoms: int, names) -> Results | str | None:
        """Look a structure up; None unless all that is asked for is known."""
        found = CACHE.get(key)
        if found is None and self.folder is not None:
            found = self.folder.get(key, n_atoms)
            if found is not None:
                CACHE.add(key, found, self.limit)
        if isinstance(found, str) or (found is not None and set(names) <= set(found)):
            return found
        return None

    def add(self, key: str, results: Results | str) -> None:
        """Keep the results of a structure; failures are not written."""
        before = CACHE.get(key)
        if isinstance(before, dict) and isinstance(results, dict):
            results = before | results
        CACHE.add(key, results, self.limit)
        if self.folder is not None and not isinstance(results, str):
            self.folder.add(key, results)
