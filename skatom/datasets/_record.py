"""What is known about a data set: origin, theory, licence, files and their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DatasetFile:
    """One split of a data set, stored as xz-compressed extended XYZ.

    Attributes
    ----------
    name : str
        File name inside the package's data folder.
    n_structures : int
    sha256 : str
        Checksum of the compressed file, compared on every load.
    """

    name: str
    n_structures: int
    sha256: str


@dataclass(frozen=True)
class DatasetRecord:
    """Where a data set comes from and what may be done with it.

    A data set is a record and files, not a program: a new one is added by writing a
    record, and the loader, the checks and the documentation follow from it.

    Attributes
    ----------
    name : str
        What `load_dataset` takes.
    title : str
        One line for a person.
    description : str
    source : str
        Address of the repository that the files were taken from.
    commit : str
        Revision of that repository.
    changes : str
        How the shipped files differ from the source.
    licence : str
        SPDX identifier; the notice is in ``records/LICENSES.md``.
    citation : str
        Publication to cite.
    doi : str
    theory : str
        Level of theory of the labels.
    units : Mapping of str to str
        Unit of every label.
    splits : Mapping of str to DatasetFile
        Splits by name, in order.
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
    title: str
    description: str
    source: str
    commit: str
    changes: str
    licence: str
    citation: str
    doi: str
    theory: str
    units: Mapping[str, str]
    splits: Mapping[str, DatasetFile]
    isolated_atoms: Mapping[str, float] = field(default_factory=dict)

    @property
    def n_structures(self) -> int:
        """Number of structures of all splits together."""
        return sum(part.n_structures for part in self.splits.values())
