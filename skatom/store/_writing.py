"""Writing of a stream of structures to a store, one shard at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from ase import Atoms

from skatom._validation import check_targets, listing
from skatom.features import AtomFeatures
from skatom.store._records import Records, hashes_of, records_of
from skatom.structures import (
    Structures,
    check_structures,
    read_energies,
    read_labels,
)

# Bytes that are collected before they are written, in one shard or transaction.
SHARD_BYTES = 2**25
# Bytes of features that are computed at a time, and structures at most.
CHUNK_BYTES, CHUNK_STRUCTURES = 2**24, 256
# Compared when a structure that is stored already comes again.
LABELLED = ["energy", "has_forces", "has_stress"]


class Writer:
    """One run of `FeatureStore.extend`.

    Parameters
    ----------
    layout : Shards or Blobs
    featurizer : transformer
    dtype : numpy.dtype
    n_features : int
    forces, stress : str or None
        Where labels are.
    """

    def __init__(self, layout, featurizer, dtype, n_features, forces, stress):
        self._layout = layout
        self._featurizer = featurizer
        self._dtype = dtype
        self._atoms_at_once = max(1, CHUNK_BYTES // (8 * n_features))
        self._forces, self._stress = forces, stress
        self._waiting: list[Records] = []
        self._waiting_labels: dict[bytes, tuple] = {}
        self._contradicting: list[int] = []

    def write(self, frames: Iterable[Atoms], y: Iterable[float] | None) -> int:
        """Store what is new in a stream of structures, and give its number."""
        n_new = start = 0
        for chunk, energies in _chunks(frames, y):
            try:
                self._collect(chunk, energies, start)
            except (TypeError, ValueError) as error:
                if not start:
                    raise
                raise type(error)(
                    f"Counted from structure {start} of frames on: {error}"
                ) from error
            start += len(chunk)
            if sum(records.nbytes for records in self._waiting) >= SHARD_BYTES:
                n_new += self._flush()
        n_new += self._flush()
        if self._contradicting:
            warnings.warn(
                f"Structures {listing(self._contradicting)} of frames are stored already, "
                "with another energy or with other labels missing; the store keeps what "
                "it has.",
                stacklevel=3,
            )
        return n_new

    def _collect(self, chunk: list, y: list | None, start: int) -> None:
        """Make records of the structures of a chunk that are new."""
        frames = check_structures(chunk, name="frames")
        hashes = hashes_of(frames)
        if y is None:
            energies = read_energies(frames, required=False)
        else:
            energies = check_targets(y, len(frames))
        first = start == 0
        labels = read_labels(
            frames,
            forces=_source(self._forces, frames, "arrays", first),
            stress=_source(self._stress, frames, "info", first),
        )
        new = self._new(hashes, energies, labels, start)
        for keep in self._pieces(new, frames.n_atoms):
            X = self._featurizer.transform(frames[keep])
            if not isinstance(X, AtomFeatures):
                raise TypeError(
                    f"The featurizer gives {type(X).__name__}, and a store keeps features "
                    "of atoms: leave Pool and what follows it to the model."
                )
            kept = labels.take(keep, frames.offsets)
            self._waiting.append(
                records_of(X, hashes[keep], energies[keep], kept, self._dtype)
            )

    def _new(self, hashes, energies, labels, start: int) -> np.ndarray:
        """Structures that are neither stored nor waiting, each once."""
        places = self._layout.find(hashes)
        stored = np.flatnonzero(places >= 0)
        told_before = self._layout.rows(places[stored])[LABELLED].tolist()
        before = dict(zip(stored.tolist(), told_before))
        new = []
        for s, digest in enumerate(hashes):
            told = (energies[s], labels.has_forces[s], labels.has_stress[s])
            key = digest.tobytes()
            earlier = before.get(s, self._waiting_labels.get(key))
            if earlier is None:
                new.append(s)
                self._waiting_labels[key] = told
            elif not _agree(earlier, told):
                self._contradicting.append(start + s)
        return np.array(new, dtype=np.int64)

    def _pieces(self, new: np.ndarray, n_atoms: np.ndarray) -> list[np.ndarray]:
        """Split structures so that the features of a piece are few enough."""
        if not len(new):
            return []
        piece = np.cumsum(n_atoms[new]) // self._atoms_at_once
        return np.split(new, np.flatnonzero(np.diff(piece)) + 1)

    def _flush(self) -> int:
        """Hand on what waits."""
        if not self._waiting:
            return 0
        records = Records.joined(self._waiting).sealed()
        self._waiting, self._waiting_labels = [], {}
        return self._layout.append(records)


def _chunks(
    frames: Iterable[Atoms], y: Iterable[float] | None
) -> Iterator[tuple[list, list | None]]:
    """Take a few structures at a time, with their energies."""
    frames = iter(frames)
    energies = None if y is None else iter(y)
    while chunk := list(islice(frames, CHUNK_STRUCTURES)):
        taken = None if energies is None else list(islice(energies, len(chunk)))
        if taken is not None and len(taken) < len(chunk):
            raise ValueError("y has fewer entries than there are structures in frames.")
        yield chunk, taken
    if energies is not None and next(energies, None) is not None:
        raise ValueError("y has more entries than there are structures in frames.")


def _source(name: str | None, frames: Structures, store: str, first: bool):
    """Give a name of labels, or None where no structure of a later chunk has them."""
    if first or name in (None, "auto", "calc"):
        return name
    return name if any(name in getattr(atoms, store) for atoms in frames) else None


def _agree(earlier: tuple, told: tuple) -> bool:
    """Whether energies are equal, or both missing, and the same labels are there."""
    equal = np.array_equal(earlier[0], told[0], equal_nan=True)
    return equal and earlier[1:] == told[1:]
