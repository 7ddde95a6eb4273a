"""The map of an LMDB database: opened where it is used, dropped where it must be.

liblmdb believes what it reads. It dies of a file that ends before its last page, which is
refused here, and of damaged pages, which `skatom.store._verifying` looks at in a process of
its own.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from skatom._runtime.whole_files import FULL
from skatom.store import _committed

DATA = "data.mdb"
COMMITTED = {"structures": int, "bytes": int}
FIRST_MAP_BYTES = 2**26
# Mapped pages count as memory of the process: the map is dropped after so many bytes.
MAPPED_BYTES = 2**25
AGAIN = "Restore it from a copy, or write the store again."


class Environment:
    """An LMDB environment, of which a process may hold one a path."""

    _held: dict[Path, Environment] = {}
    _holding = threading.Lock()

    def __init__(self, path: Path):
        self._lmdb = import_lmdb()
        self._path = path
        self._lock = threading.RLock()  # nobody reads while the map is dropped
        self._env = None
        self._read_bytes = 0

    @classmethod
    def of(cls, path: Path) -> Environment:
        """Give the environment of this process at a path."""
        path = path.resolve()
        with cls._holding:
            if path not in cls._held:
                cls._held[path] = cls(path)
            return cls._held[path]

    @contextmanager
    def reading(self) -> Iterator:
        """Give a read transaction."""
        with self._lock, self._sound():
            env = self._open()
            try:
                transaction = env.begin(buffers=True)
            except self._lmdb.MapResizedError:  # another process has made it larger
                env.set_mapsize(0)
                transaction = env.begin(buffers=True)
            with transaction:
                yield transaction

    def write(self, put: Callable) -> int:
        """Run ``put(transaction)`` in one transaction, in a map that is large enough."""
        with self._lock, self._sound():
            while True:
                env = self._open()
                try:
                    with env.begin(write=True) as transaction:
                        return put(transaction)
                except self._lmdb.MapFullError:
                    env.set_mapsize(2 * env.info()["map_size"])
                except self._lmdb.MapResizedError:
                    env.set_mapsize(0)

    def forget_after(self, n_bytes: int) -> None:
        """Drop the map when enough of it has been touched."""
        self._read_bytes += n_bytes
        if self._read_bytes >= MAPPED_BYTES:
            self.close()

    def close(self) -> None:
        """Drop the map; the next use opens it again."""
        with self._lock:
            if self._env is not None:
                self._env.close()
            self._env, self._read_bytes = None, 0

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """Say what liblmdb finds wrong, in words."""
        lmdb = self._lmdb
        try:
            yield
        except (lmdb.MapFullError, lmdb.MapResizedError):
            raise
        except lmdb.Error as error:
            code = getattr(error, "code", 0)
            if code in (
                *FULL,
                errno.EIO,
            ):  # liblmdb calls a write cut short an I/O error
                raise OSError(errno.ENOSPC, str(error)) from error
            if code > 0:  # another error of the system
                raise OSError(code, f"{self._path / DATA}: {error}") from error
            raise ValueError(
                f"{self._path / DATA} is damaged, as liblmdb says: {error}. {AGAIN}"
            ) from error

    def _open(self):
        if self._env is None:
            self._refuse_truncated()
            writable = os.access(self._path, os.W_OK)
            self._env = self._lmdb.open(
                str(self._path), map_size=FIRST_MAP_BYTES, readonly=not writable,
                lock=writable, readahead=False, max_readers=1024, meminit=False,
            )  # fmt: skip
        return self._env

    def _refuse_truncated(self) -> None:
        """Refuse a file shorter than it was: touching what is gone ends the process."""
        least = _committed.read(self._path, COMMITTED)["bytes"]
        file = self._path / DATA
        there = file.stat().st_size if file.is_file() else 0
        if there < least:
            raise ValueError(
                f"{file} is {'truncated' if there else 'missing or empty'}: it has {there} "
                f"bytes, and had {least} when the store was written. {AGAIN}"
            )


# A map of before a fork is of no use after it, and liblmdb opens no second one: all are
# dropped before, while nobody else reads, and opened again where they are used.


def _drop_maps() -> None:
    Environment._holding.acquire()
    for environment in Environment._held.values():
        environment._lock.acquire()
        environment.close()


def _go_on() -> None:
    for environment in Environment._held.values():
        environment._lock.release()
    Environment._holding.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_drop_maps, after_in_parent=_go_on, after_in_child=_go_on
    )


def import_lmdb():
    try:
        import lmdb
    except ImportError:
        raise ImportError(
            'A store with layout="lmdb" needs the package lmdb, which is not installed: '
            'pip install "skatom[lmdb]".'
        ) from None
    return lmdb
