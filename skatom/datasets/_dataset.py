"""Load the shipped data sets: checked against their checksums, ready to fit."""

from __future__ import annotations

import hashlib
import io
import lzma
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from skatom._validation import closest, listing
from skatom.datasets._catalogue import CATALOGUE
from skatom.datasets._record import DatasetFile, DatasetRecord
from skatom.structures import Structures, read_energies

_DATA = Path(__file__).parent / "records"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Structures with their reference labels, and the record of their origin.

    Attributes
    ----------
    frames : Structures
        The structures; each carries a
        :class:`~ase.calculators.singlepoint.SinglePointCalculator` with its energy in eV
        and forces in eV/Å (and stress in eV/Å³ where known), so ``fit(frames, energies)``
        trains on forces too.
    energies : ndarray of shape (n_structures,)
        Total energies in eV: the y of ``fit``.
    record : DatasetRecord
        Source, licence, citation, level of theory, units.
    split : str or None
        The split that was loaded; None where it is all of them.

    See Also
    --------
    skatom.datasets.load_dataset : Makes these.

    Examples
    --------
    >>> from skatom.datasets import load_dataset
    >>> load_dataset("malonaldehyde", "train")
    Dataset('malonaldehyde', split 'train': 1000 structures, 9000 atoms, C H O)
    """

    frames: Structures
    energies: np.ndarray
    record: DatasetRecord
    split: str | None = None

    @property
    def forces(self) -> list[np.ndarray]:
        """Reference forces in eV/Å, one array of shape (n_atoms, 3) a structure."""
        return [atoms.calc.results["forces"] for atoms in self.frames]

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        species = sorted({s for atoms in self.frames for s in atoms.symbols})
        part = "" if self.split is None else f", split {self.split!r}"
        return (
            f"Dataset({self.record.name!r}{part}: {len(self)} structures, "
            f"{int(self.frames.n_atoms.sum())} atoms, {' '.join(species)})"
        )


def list_datasets() -> list[str]:
    """List the names of the data sets that come with the package.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> from skatom.datasets import list_datasets
    >>> list_datasets()
    ['malonaldehyde', '3bpa', 'silicon']
    """
    return list(CATALOGUE)


def dataset_record(name: str) -> DatasetRecord:
    """Give the record of a data set: source, licence, citation, theory, units.

    Parameters
    ----------
    name : str
        One of `list_datasets`.

    Returns
    -------
    record : DatasetRecord

    Raises
    ------
    ValueError
        If there is no data set of this name.
    """
    if name not in CATALOGUE:
        raise ValueError(
            f"There is no data set {name!r}; there are {listing(CATALOGUE)}."
            + closest(str(name), CATALOGUE)
        )
    return CATALOGUE[name]


def load_dataset(name: str, split: str | None = None) -> Dataset:
    """Load a data set that comes with the package; nothing is downloaded.

    Parameters
    ----------
    name : {"malonaldehyde", "3bpa", "silicon"}
    split : str, optional
        One split, such as ``"train"`` or ``"test"``; by default all, one after the other.

    Returns
    -------
    dataset : Dataset
        New structures at every call.

    Raises
    ------
    ValueError
        If the name or the split does not exist, or the file is not the one that was
        shipped.
    FileNotFoundError
        If the file is missing from the installation.

    See Also
    --------
    skatom.datasets.dataset_record : Source, licence and citation alone.

    Notes
    -----
    Files are decompressed into memory before they are read: readers that seek inside an
    xz stream take minutes for what takes a tenth of a second this way.

    Examples
    --------
    >>> from skatom.datasets import load_dataset
    >>> train = load_dataset("malonaldehyde", "train")
    >>> train.energies.shape, train.forces[0].shape
    ((1000,), (9, 3))
    """
    record = dataset_record(name)
    if split is not None and split not in record.splits:
        raise ValueError(
            f"Data set {name!r} has no split {split!r}; it has {listing(record.splits)}."
            + closest(str(split), record.splits)
        )
    parts = record.splits.values() if split is None else [record.splits[split]]
    frames = Structures(atoms for part in parts for atoms in _read(part))
    return Dataset(frames, read_energies(frames, key="calc"), record, split)


def _read(part: DatasetFile) -> list[Atoms]:
    """Read one file after comparing its checksum."""
    path = _DATA / part.name
    try:
        compressed = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"The data file {path} is missing from the installation: reinstall skatom."
        ) from None
    found = hashlib.sha256(compressed).hexdigest()
    if found != part.sha256:
        raise ValueError(
            f"The data file {path} is not the one that was shipped (sha256 "
            f"{found[:12]}… instead of {part.sha256[:12]}…): it was changed or damaged. "
            "Reinstall skatom."
        )
    text = io.StringIO(lzma.decompress(compressed).decode())
    return ase.io.read(text, index=":", format="extxyz")
