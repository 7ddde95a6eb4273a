"""One shard of a store: a folder of three .npy files, and what says where it belongs."""

from __future__ import annotations

import io
import math
import mmap
from hashlib import blake2b
from pathlib import Path

import numpy as np

from skatom._runtime.whole_files import new_file
from skatom.store import _manifest
from skatom.store._records import ATOM, STRUCTURE, Records, offsets_of

RECORD = "shard.json"
FILES = ("structures", "atoms", "values")
# Bytes of a header of a .npy file, at most.
LONGEST_HEAD = 2**12
ENTRIES = {
    "store": str,
    "parameter_hash": str,
    "number": int,
    "previous": str,
    "n_structures": int,
    "n_atoms": int,
    "structures_checksum": str,
    "heads": dict,
}


class Shard:
    """One folder of arrays, mapped into memory when they are read."""

    def __init__(self, folder: Path, manifest: dict):
        self.folder = folder
        self._manifest = manifest
        try:
            self._record = _manifest.read_json(folder / RECORD, ENTRIES)
        except FileNotFoundError:
            raise ValueError(
                f"{folder / RECORD} is missing: restore it from a copy, or write the "
                "store again."
            ) from None
        self.checksum = _manifest.checksum_of(self._record)
        n_structures, n_atoms = self._record["n_structures"], self._record["n_atoms"]
        shape = (n_atoms, len(manifest["columns"]))
        self._kinds = {
            "structures": ((n_structures,), STRUCTURE),
            "atoms": ((n_atoms,), ATOM),
            "values": (shape, np.dtype(manifest["dtype"])),
        }
        self._maps: dict[str, tuple[np.ndarray, mmap.mmap]] = {}
        self._offsets: np.ndarray | None = None

    def check_place(self, number: int, previous: str) -> None:
        """Refuse a shard that was not written for this store and this number."""
        record, manifest = self._record, self._manifest
        if record["parameter_hash"] != manifest["parameter_hash"]:
            what = "holds features of another featurizer than that of the manifest"
        elif record["store"] != manifest["id"]:
            what = "belongs to another store"
        elif record["number"] != number:
            what = f"is a copy of shard {record['number']}"
        elif record["previous"] != previous:
            what = "was not written after the shard that stands before it"
        else:
            return
        raise ValueError(
            f"{self.folder} {what}: restore it from a copy of this store, or write the "
            "store again."
        )

    def __len__(self) -> int:
        return self._record["n_structures"]

    @property
    def structures(self) -> np.ndarray:
        """Table of structures, checked as a whole when it is first read."""
        table = self._map("structures")
        if self._offsets is None:
            if _digest(table) != self._record["structures_checksum"]:
                raise ValueError(
                    f"{self.folder / 'structures.npy'} is damaged: its checksum does not "
                    "match. Restore it from a copy, or write the store again."
                )
            self._offsets = self._check_offsets(table["n_atoms"])
        return table

    def _check_offsets(self, n_atoms: np.ndarray) -> np.ndarray:
        """First atom of each structure, which must be the atoms that there are."""
        n_all = self._record["n_atoms"]
        offsets = offsets_of(n_atoms)
        if ((n_atoms < 1) | (n_atoms > n_all)).any() or offsets[-1] != n_all:
            raise ValueError(
                f"{self.folder} is forged: its structures do not have {n_all} atoms in "
                "all. Restore it from a copy, or write the store again."
            )
        return offsets

    def read(self, keep: np.ndarray) -> Records:
        """Copy some structures; neighbours on disk are read in one piece."""
        table = self.structures
        atoms, values = self._map("atoms"), self._map("values")
        breaks = np.flatnonzero(np.diff(keep) != 1) + 1
        first, last = keep[np.r_[0, breaks]], keep[np.r_[breaks, len(keep)] - 1]
        pieces = [
            slice(self._offsets[a], self._offsets[b + 1]) for a, b in zip(first, last)
        ]
        return Records(
            table[keep],
            np.concatenate([atoms[piece] for piece in pieces]),
            np.concatenate([values[piece] for piece in pieces]),
        )

    def forget(self) -> None:
        """Let go of the pages that were read, which the system keeps in its cache."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for _, mapped in self._maps.values():
                mapped.madvise(mmap.MADV_DONTNEED)

    def _map(self, name: str) -> np.ndarray:
        if name not in self._maps:
            self._maps[name] = self._open(name)
        return self._maps[name][0]

    def _open(self, name: str) -> tuple[np.ndarray, mmap.mmap]:
        """Map an array that must have the expected shape and be there in full."""
        path, (shape, dtype) = self.folder / f"{name}.npy", self._kinds[name]
        size = math.prod(shape) * dtype.itemsize
        try:
            with open(path, "rb") as stream:
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise ValueError(f"{path} is missing: restore it from a copy.") from None
        except ValueError:  # nothing can be mapped of an empty file
            mapped = b""
        start = len(mapped) - size
        if not 0 <= start <= LONGEST_HEAD or _digest(mapped[:start]) != self._record[
            "heads"
        ].get(name):
            raise ValueError(
                f"{path} is truncated, damaged or of another store: it should end in "
                f"{size} bytes of an array of shape {shape}, after the header that was "
                "written. Restore it from a copy."
            )
        array = np.frombuffer(mapped, dtype, math.prod(shape), start)
        return array.reshape(shape), mapped


def write_shard(records: Records, belongs: dict, folder: Path) -> None:
    """Write the files of a shard, and where it belongs, into a folder."""
    arrays = dict(zip(FILES, (records.structures, records.atoms, records.values)))
    heads = {name: _npy_header(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        with new_file(folder / f"{name}.npy") as stream:
            stream.write(heads[name])
            stream.write(np.ascontiguousarray(array).view(np.uint8).data)
    record = {
        **belongs,
        "n_structures": len(records),
        "n_atoms": len(records.atoms),
        "structures_checksum": _digest(records.structures),
        "heads": {name: _digest(head) for name, head in heads.items()},
    }
    _manifest.write_json(folder / RECORD, record)


def _npy_header(array: np.ndarray) -> bytes:
    """Give what a .npy file of an array begins with."""
    stream = io.BytesIO()
    said = np.lib.format.header_data_from_array_1_0(np.ascontiguousarray(array))
    np.lib.format.write_array_header_1_0(stream, said)
    return stream.getvalue()


def _digest(data) -> str:
    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data).view(np.uint8)
    return blake2b(data, digest_size=16).hexdigest()
