"""Structures: what goes into every estimator, its labels and its identity."""

from skatom.structures._checks import check_structures
from skatom.structures._hashing import content_hash, duplicate_report, fingerprints
from skatom.structures._labels import Labels, read_energies, read_labels, relabel
from skatom.structures._sequence import Structures

__all__ = [
    "Labels",
    "Structures",
    "check_structures",
    "content_hash",
    "duplicate_report",
    "fingerprints",
    "read_energies",
    "read_labels",
    "relabel",
]
