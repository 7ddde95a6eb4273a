"""FeatureStore: per-atom features on disk, with their structures and labels."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.metadata import version
from numbers import Integral
from pathlib import Path

import numpy as np
from ase import Atoms

from skatom._validation import (
    check_is_fitted,
    check_n_structures,
    check_random_state,
    closest,
    listing,
)
from skatom.features import AtomFeatures
from skatom.features._columns import Column, columns_out
from skatom.store import _identity, _manifest
from skatom.store._lmdb import Blobs
from skatom.store._reading import features_of
from skatom.store._records import hashes_of
from skatom.store._shards import Shards
from skatom.store._verifying import examine, in_child
from skatom.store._writing import Writer
from skatom.structures import check_structures

LAYOUTS = {"npy": Shards, "lmdb": Blobs}


class FeatureStore:
    """Features of more structures than memory holds, made once and read by batches.

    A folder with a manifest and the features of every atom, beside them the structures
    and their energies, forces and stress. Nothing in it is a pickle. It grows by
    `extend`, from several processes at once if need be, and whatever moment a writer is
    killed at, the store holds complete structures only; the same `extend` again
    continues where it was. A structure is known by its content
    (:func:`skatom.structures.content_hash`) and stored once.

    Parameters
    ----------
    path : path-like
        Folder of the store. It is made if there is none and a featurizer is given.
    featurizer : transformer, optional
        Fitted featurizer, alone or in a pipeline with fitted `PerAtom` steps, that turns
        structures into :class:`~skatom.features.AtomFeatures`. An existing store is
        opened only if its parameters and what it has learned are those of the features
        in the store. Without it a store can be read, but its features have no
        derivatives.
    layout : {"npy", "lmdb"}, default="npy"
        Of a new store: memory-mapped shards of .npy files, or one LMDB database
        (``pip install "skatom[lmdb]"``), which is quicker where structures arrive a few
        at a time.
    dtype : {"float64", "float32"}, default="float64"
        How a new store keeps features; labels and structures are always float64.
        Features are given as float64 either way.

    Attributes
    ----------
    path : pathlib.Path
    featurizer : transformer or None
    dtype : numpy.dtype
        Of the features on disk.
    manifest : dict
        What the store says about itself: versions, species, columns, parameters.

    Raises
    ------
    FileNotFoundError
        If there is no store at the path and no featurizer to begin one.
    ValueError
        If the featurizer is not the one of the store (the message names the parameter),
        or the store is damaged, of another kind or of a newer format.

    Warns
    -----
    UserWarning
        If another version of skatom made the store.

    See Also
    --------
    skatom.models.AtomicRidge.partial_fit : Fit by batches.

    Notes
    -----
    A store shows what was in it when it was opened, and what it has written itself;
    `refresh` takes in what others have added since. It is pickled as its path, so that
    worker processes open it for themselves. Every structure carries a checksum, which
    every reading checks.

    Examples
    --------
    >>> import tempfile
    >>> from ase.build import molecule
    >>> from skatom.featurizers import ACSF
    >>> from skatom.store import FeatureStore
    >>> frames = [molecule(name) for name in ("H2O", "CH4", "NH3")]
    >>> for k, atoms in enumerate(frames):
    ...     atoms.info["energy"] = -float(k)
    >>> acsf = ACSF(r_cut=4.0).fit(frames)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FeatureStore(f"{folder}/features", acsf)
    ...     print(store.extend(frames), store.extend(frames))
    ...     for X, y in store.batches(2):
    ...         print(X.shape, y)
    3 0
    (2, 368) [-0. -1.]
    (1, 368) [-2.]
    """

    def __init__(
        self,
        path: str | os.PathLike,
        featurizer=None,
        *,
        layout: str | None = None,
        dtype: str | None = None,
    ):
        self.path = Path(path)
        self.featurizer = featurizer
        _check_choice("layout", layout, LAYOUTS)
        _check_choice("dtype", dtype, _manifest.DTYPES)
        described = None if featurizer is None else _describe(featurizer)
        if featurizer is not None and not _holds_something(self.path):
            manifest = _new_manifest(featurizer, described, layout, dtype)
            if manifest["layout"] == "lmdb":
                from skatom.store._lmdb_map import import_lmdb

                import_lmdb()  # before anything is made
            begin = LAYOUTS[manifest["layout"]].begin
            _manifest.create(self.path, manifest, begin)  # another may be quicker
        self.manifest = _manifest.read(self.path)
        self._refuse_other(described, layout, dtype)
        self.dtype = np.dtype(self.manifest["dtype"])
        self._opened: tuple | None = None
        len(self)  # opened at once, which says what is missing

    # -- reading -----------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (n_structures, n_features)."""
        return (len(self), len(self.columns))

    @cached_property
    def columns(self) -> list[Column]:
        """What the columns are functions of."""
        return [
            Column(kind, *map(tuple, rest)) for kind, *rest in self.manifest["columns"]
        ]

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    @property
    def energies(self) -> np.ndarray:
        """Energies in eV, shape (n_structures,); NaN where a structure has none."""
        return self._layout.column("energy")

    @property
    def n_atoms(self) -> np.ndarray:
        """Number of atoms of each structure, shape (n_structures,)."""
        return self._layout.column("n_atoms")

    def __len__(self) -> int:
        return len(self._layout)

    def __getitem__(self, key) -> AtomFeatures:
        """Read features by index, slice, indices or mask, with structures and labels."""
        records = self._layout.read(self._indices(key))
        return features_of(records, self.featurizer, self.columns)

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "A FeatureStore is no array, it is read by parts. Give features that fit into "
            "memory, store[:5000] with store.energies[:5000], and for a stock estimator "
            "pool them with skatom.preprocessing.Pool. Of more, AtomicRidge learns by "
            "partial_fit(X, y) for X, y in store.batches(), and fit of "
            "NeuralNetworkRegressor takes the store itself."
        )

    def batches(
        self,
        n_structures: int = 256,
        *,
        indices=None,
        shuffle: bool = False,
        random_state=None,
    ) -> Iterator[tuple[AtomFeatures, np.ndarray]]:
        """Read features and energies, a few structures at a time.

        Parameters
        ----------
        n_structures : int, default=256
            Structures in a batch; the last may have fewer.
        indices : array-like of int or bool, optional
            Which structures, such as one fold of a splitter. By default all.
        shuffle : bool, default=False
            Whether the order is random.
        random_state : int, RandomState instance or None
            Of the random order.

        Yields
        ------
        X : AtomFeatures
            Forces and stress are on its structures, where models look for them.
        y : ndarray of shape (n_structures,)
            Energies in eV, NaN where a structure has none.
        """
        if not isinstance(n_structures, Integral) or n_structures < 1:
            raise ValueError(
                f"n_structures is {n_structures!r}; a batch has a positive whole number "
                "of structures."
            )
        order = self._indices(slice(None) if indices is None else indices)
        if shuffle:
            order = check_random_state(random_state).permutation(order)
        for start in range(0, len(order), n_structures):
            records = self._layout.read(order[start : start + n_structures])
            X = features_of(records, self.featurizer, self.columns)
            yield X, np.array(records.structures["energy"])

    def find(self, frames: Sequence[Atoms]) -> np.ndarray:
        """Find structures in the store.

        Parameters
        ----------
        frames : sequence of ase.Atoms

        Returns
        -------
        indices : ndarray of int, shape (n_frames,)
            -1 for structures that are not stored.
        """
        frames = check_structures(frames, name="frames", allow_empty=True)
        return self._layout.find(hashes_of(frames))

    @property
    def fingerprints(self) -> np.ndarray:
        """As :func:`skatom.structures.fingerprints`, of all structures."""
        hashes = np.ascontiguousarray(self._layout.column("hash")[:, :8])
        return hashes.view(">u8").ravel().astype(np.uint64)

    def verify(self) -> int:
        """Read everything anew and compare checksums, identities and counts.

        A database of LMDB is looked at in a process of its own, since damaged pages end
        the process that reads them.

        Returns
        -------
        n_structures : int
            Number of structures, all sound.

        Raises
        ------
        ValueError
            If structures are damaged, missing, stored twice or of another store; the
            message says which and where.
        """
        look = partial(examine, self.path, LAYOUTS)
        return (
            in_child(look, self.path) if self.manifest["layout"] == "lmdb" else look()
        )

    # -- writing -----------------------------------------------------------------------

    def extend(
        self,
        frames: Iterable[Atoms],
        y: Iterable[float] | None = None,
        *,
        forces: str | None = "auto",
        stress: str | None = "auto",
    ) -> int:
        """Compute and store the features of structures that are not stored yet.

        Parameters
        ----------
        frames : iterable of ase.Atoms
            May be a generator that reads a file; few are in memory at a time.
        y : iterable of float, optional
            Total energies in eV, one a structure. By default those that the structures
            carry (calculator or ``info["energy"]``); they may lack.
        forces, stress : {"auto", "calc"} or str or None, default="auto"
            Where forces and stress are, as in the models; None stores none.

        Returns
        -------
        n_new : int
            How many structures were stored; the others were there already.

        Raises
        ------
        ValueError
            If the store was opened without its featurizer, or structures or labels are
            not sound. What came before in ``frames`` may then be stored already.

        Warns
        -----
        UserWarning
            If a structure is stored already, with another energy or fewer labels; the
            store keeps what it has.
        """
        if self.featurizer is None:
            raise ValueError(
                "The store was opened for reading: give the featurizer that made it, "
                "FeatureStore(path, featurizer)."
            )
        if isinstance(frames, Atoms):
            raise TypeError("frames is a single ase.Atoms; give a list: [atoms].")
        if y is not None and hasattr(frames, "__len__") and hasattr(y, "__len__"):
            check_n_structures(len(frames), y, "y")
        writer = Writer(
            self._layout, self.featurizer, self.dtype, self.shape[1], forces, stress
        )
        return writer.write(frames, y)

    def refresh(self) -> FeatureStore:
        """Read what other processes have stored since this one opened.

        Returns
        -------
        self : FeatureStore
        """
        self._layout.refresh()
        return self

    def remove_leftovers(self) -> None:
        """Remove files that killed writers left; only when no writer is at work."""
        self._layout.remove_leftovers()

    # -- inside ------------------------------------------------------------------------

    @property
    def _layout(self) -> Shards | Blobs:
        """Files of the store, opened when this process first needs them."""
        if self._opened is None or self._opened[0] != os.getpid():
            layout = LAYOUTS[self.manifest["layout"]]
            self._opened = (os.getpid(), layout(self.path, self.manifest))
        return self._opened[1]

    def _indices(self, key) -> np.ndarray:
        if isinstance(key, tuple):  # scikit-learn indexes with X[key, ...]
            key = key[0]
        n = len(self)
        if isinstance(key, Integral):
            key = [key]
        try:
            return np.arange(n)[key]
        except IndexError as error:
            raise IndexError(
                f"The store at {self.path} holds {n} structures: {error}."
            ) from None

    def _refuse_other(self, described: dict | None, layout, dtype) -> None:
        """Refuse to mix features of another kind into the store."""
        stored = self.manifest
        here = version("skatom")
        if stored["skatom"] != here:
            warnings.warn(
                f"The store at {self.path} was made by skatom {stored['skatom']}, and "
                f"this is {here}: features may be computed differently.",
                stacklevel=3,
            )
        for name, given in (("layout", layout), ("dtype", dtype)):
            if given is not None and given != stored[name]:
                raise ValueError(
                    f"The store at {self.path} has {name}={stored[name]!r}, not "
                    f"{given!r}: leave {name} out, or begin another store."
                )
        if described is None:
            return
        if _identity.parameter_hash(described) != stored["parameter_hash"]:
            other = _identity.difference(stored["parameters"], described)
            raise ValueError(
                f"The features at {self.path} were made with {other}. Open the store with "
                "the featurizer that it was made with, or begin another store."
            )
        n_columns = len(columns_out(self.featurizer))
        if n_columns != len(self.columns):
            raise ValueError(
                f"The manifest of {self.path} lists {len(self.columns)} columns, and this "
                f"featurizer gives {n_columns}: the store is damaged or forged. Restore "
                "it from a copy, or write it again."
            )

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_opened": None}

    def __repr__(self) -> str:
        n, n_features = self.shape
        return (
            f"FeatureStore({str(self.path)!r}, {n} structures, {n_features} features, "
            f"{self.dtype.name})"
        )


def _check_choice(name: str, given, known) -> None:
    if given is not None and given not in known:
        raise ValueError(
            f"{name} is {given!r}; one of {listing(map(repr, known))} is expected."
            + closest(str(given), known)
        )


def _holds_something(path: Path) -> bool:
    """Whether there is something at a path, so that no store can be created there."""
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def _describe(featurizer) -> dict[str, str]:
    if not hasattr(featurizer, "transform"):
        raise TypeError(
            f"featurizer is {type(featurizer).__name__}, which has no transform: give a "
            "fitted featurizer, or the steps of a fitted pipeline before its model, "
            "pipeline[:-1]."
        )
    check_is_fitted(featurizer)
    return _identity.describe(featurizer)


def _new_manifest(featurizer, described: dict, layout, dtype) -> dict:
    return {
        "format": _manifest.FORMAT,
        "format_version": _manifest.FORMAT_VERSION,
        "id": secrets.token_hex(8),
        "skatom": version("skatom"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "layout": layout or next(iter(LAYOUTS)),
        "dtype": dtype or _manifest.DTYPES[0],
        "units": {"length": "Å", "energy": "eV", "forces": "eV/Å", "stress": "eV/Å³"},
        "parameter_hash": _identity.parameter_hash(described),
        "parameters": described,
        "columns": columns_out(featurizer),
    }
