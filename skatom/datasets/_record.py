"""Records of data sets: origin, theory, licence, files and their checksums."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

from ase.data import atomic_numbers

from skatom._validation import closest, listing

# Entries that a record must have, and what each of them says.
REQUIRED = {
    "title": "one line for a person",
    "description": "what the structures are",
    "source": "where the files come from",
    "licence": "what may be done with them, as an SPDX identifier",
    "citation": "what to cite",
    "theory": "the level of theory of the labels",
    "units": 'a table, such as energy = "eV"',
    "splits": "a table for each file, with file, n_structures and sha256",
}
OPTIONAL = ("commit", "changes", "doi", "isolated_atoms")
TABLES = ("units", "splits", "isolated_atoms")
UNITS = {"positions": "Å", "energy": "eV", "forces": "eV/Å", "stress": "eV/Å³"}


@dataclass(frozen=True)
class DatasetFile:
    """One split of a data set, stored as extended XYZ.

    Attributes
    ----------
    name : str
        File name beside the record; compressed with xz if it ends in ``.xz``.
    n_structures : int
    sha256 : str
        Checksum of the file, compared on every load.
    """

    name: str
    n_structures: int
    sha256: str


@dataclass(frozen=True)
class DatasetRecord:
    """Origin, theory, licence and files of a data set.

    A data set is a record and files, not a program: a new one is added by writing a
    record, and the loader, the checks and the documentation follow from it.

    Attributes
    ----------
    name : str
        What `load_dataset` takes: the name of the record's file without ``.toml``.
    folder : Path
        Where the record and the files of the splits are.
    title : str
        One line for a person.
    description : str
    source : str
        Address that the files were taken from.
    licence : str
        SPDX identifier; the notices of the shipped sets are in ``records/LICENSES.md``.
    citation : str
        Publication to cite.
    theory : str
        Level of theory of the labels.
    units : Mapping of str to str
        Unit of every label.
    splits : Mapping of str to DatasetFile
        Splits by name, in order.
    commit : str
        Revision of the source, if it is a repository.
    changes : str
        How the files differ from the source.
    doi : str
        That of the publication.
    isolated_atoms : Mapping of str to float
        Energies of isolated atoms by chemical symbol, in eV, at the same level of
        theory; empty where the source gives none.

    See Also
    --------
    skatom.datasets.load_dataset : Load the structures.

    Examples
    --------
    >>> from skatom.datasets import dataset_record
    >>> record = dataset_record("malonaldehyde")
    >>> record.licence, record.theory
    ('CC0-1.0', 'PBE/def2-SVP')
    """

    name: str
    folder: Path
    title: str
    description: str
    source: str
    licence: str
    citation: str
    theory: str
    units: Mapping[str, str]
    splits: Mapping[str, DatasetFile]
    commit: str = ""
    changes: str = ""
    doi: str = ""
    isolated_atoms: Mapping[str, float] = field(default_factory=dict)

    @property
    def n_structures(self) -> int:
        """Number of structures of all splits together."""
        return sum(part.n_structures for part in self.splits.values())


def read_record(path: Path) -> DatasetRecord:
    """Read a record from a TOML file, and check it.

    Parameters
    ----------
    path : Path

    Returns
    -------
    record : DatasetRecord

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no TOML, or with the first entry that is missing, unknown or wrong.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no record {path} of a data set.") from None
    except ValueError as error:
        raise ValueError(f"The record {path} is no TOML in UTF-8: {error}.") from error
    problem = next(_problems(content), None)
    if problem is not None:
        raise ValueError(f"The record {path} cannot be used: {problem}")
    splits = {
        split: DatasetFile(part["file"], part["n_structures"], part["sha256"])
        for split, part in content.pop("splits").items()
    }
    return DatasetRecord(path.stem, path.parent, splits=splits, **content)


def _problems(content: dict) -> Iterator[str]:
    """Say what is wrong with a record; each check relies on those before it."""
    yield from _problems_of_entries(content)
    yield from _problems_of_units(content["units"])
    yield from _problems_of_atoms(content.get("isolated_atoms", {}))
    for split, part in content["splits"].items():
        yield from _problems_of_split(f"splits.{split}", part)


def _problems_of_entries(content: dict) -> Iterator[str]:
    known = [*REQUIRED, *OPTIONAL]
    for key in content:
        if key not in known:
            yield f"{key!r} is no entry of a record.{closest(key, known)}"
    for key, meaning in REQUIRED.items():
        if key not in content:
            yield f"{key} is missing: {meaning}."
    for key, value in content.items():
        if key in TABLES:
            if not isinstance(value, dict) or not value:
                yield f"{key} must be a table with at least one entry."
        elif not isinstance(value, str) or not value.strip():
            yield f"{key} must be a text."


def _problems_of_units(units: dict) -> Iterator[str]:
    for label in ("positions", "energy"):
        if label not in units:
            yield f"units.{label} is missing: write {UNITS[label]!r}."
    for label, unit in units.items():
        if unit != UNITS.get(label, unit):
            yield (
                f"units.{label} is {unit!r}, but skatom computes in {UNITS[label]!r}: "
                "convert the files, and say so in changes."
            )


def _problems_of_atoms(energies: dict) -> Iterator[str]:
    for symbol, energy in energies.items():
        if atomic_numbers.get(symbol, 0) < 1:
            yield f"isolated_atoms holds {symbol!r}, which is no chemical symbol."
        if not isinstance(energy, Real) or not math.isfinite(energy):
            yield f"isolated_atoms.{symbol} must be an energy in eV."


def _problems_of_split(where: str, part) -> Iterator[str]:
    entries = ("file", "n_structures", "sha256")
    if not isinstance(part, dict) or set(part) != set(entries):
        yield f"{where} must be a table with {listing(entries)} and nothing else."
    if not isinstance(part["file"], str) or Path(part["file"]).name != part["file"]:
        yield f"{where}.file must be the name of a file beside the record."
    if type(part["n_structures"]) is not int or part["n_structures"] < 1:
        yield f"{where}.n_structures must be a positive whole number."
    if not re.fullmatch(r"[0-9a-f]{64}", str(part["sha256"])):
        yield f"{where}.sha256 must be 64 hexadecimal digits in lower case."
