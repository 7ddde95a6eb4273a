"""Data sets from records: checked against their checksums, ready to fit."""

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
from skatom.datasets._record import DatasetFile, DatasetRecord, read_record
from skatom.structures import Structures, read_energies, read_labels

_RECORDS = Path(__file__).parent / "records"


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
        labels = read_labels(self.frames, forces="calc", required=True)
        return np.split(labels.forces, self.frames.offsets[1:-1])

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
    >>> "malonaldehyde" in list_datasets()
    True
    """
    return sorted(path.stem for path in _RECORDS.glob("*.toml"))


def dataset_record(name: str | Path) -> DatasetRecord:
    """Give the record of a data set: source, licence, citation, theory, units.

    Parameters
    ----------
    name : str or Path
        One of `list_datasets`, or the path of a record of your own, which ends in
        ``.toml``.

    Returns
    -------
    record : DatasetRecord

    Raises
    ------
    ValueError
        If there is no data set of this name, or an entry of the record is missing,
        unknown or wrong.
    FileNotFoundError
        If there is no such record.
    """
    if isinstance(name, Path) or str(name).endswith(".toml"):
        return read_record(Path(name))
    shipped = list_datasets()
    if name not in shipped:
        raise ValueError(
            f"There is no data set {name!r}; there are {listing(shipped)}."
            f"{closest(str(name), shipped)} The path of a record of your own ends in .toml."
        )
    return read_record(_RECORDS / f"{name}.toml")


def load_dataset(name: str | Path, split: str | None = None) -> Dataset:
    """Load a data set that comes with the package or that you have a record of.

    Nothing is downloaded.

    Parameters
    ----------
    name : str or Path
        One of `list_datasets`, or the path of a record of your own, which ends in
        ``.toml``.
    split : str, optional
        One split, such as ``"train"`` or ``"test"``; by default all, one after the other.

    Returns
    -------
    dataset : Dataset
        New structures at every call.

    Raises
    ------
    ValueError
        If the name or the split does not exist, the record is not complete, or a file is
        not the one that was recorded.
    FileNotFoundError
        If a file is missing.

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
            f"Data set {record.name!r} has no split {split!r}; it has "
            f"{listing(record.splits)}." + closest(str(split), record.splits)
        )
    parts = record.splits.values() if split is None else [record.splits[split]]
    frames = Structures(a for part in parts for a in _read(record.folder, part))
    return Dataset(frames, read_energies(frames, key="calc"), record, split)


def _read(folder: Path, part: DatasetFile) -> list[Atoms]:
    """Read one file after comparing its checksum."""
    path = folder / part.name
    own = "Restore it, or correct the record if the change was meant."
    remedy = "Reinstall skatom." if folder == _RECORDS else own
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"The data file {path} is missing. {remedy}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != part.sha256:
        raise ValueError(
            f"The data file {path} is not the one that was recorded (sha256 {found} "
            f"instead of {part.sha256}): it was changed or damaged. {remedy}"
        )
    try:
        text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
        frames = ase.io.read(io.StringIO(text), index=":", format="extxyz")
    except Exception as error:  # readers raise what they like
        raise ValueError(
            f"The data file {path} is no extended XYZ: {error}."
        ) from error
    if len(frames) != part.n_structures:
        raise ValueError(
            f"The data file {path} holds {len(frames)} structures, but the record says "
            f"{part.n_structures}. {remedy}"
        )
    return frames
