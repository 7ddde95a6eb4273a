"""Features of what a structure is made of, without where its atoms are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers

from skatom._validation import StrOptions, check_is_fitted, closest
from skatom.base import sum_atoms
from skatom.elements._counts import species_counts
from skatom.elements._properties import PROPERTIES, values_of
from skatom.featurizers._structure_rows.base import (
    StructureRows,
    check_species,
    learned_species,
)
from skatom.structures import Structures, check_structures

_STATISTICS = ("mean", "min", "max", "range")


class Composition(StructureRows):
    """Shares or numbers of the elements, or statistics of their properties.

    The features to beat, and to join to those of structure with scikit-learn's
    FeatureUnion. They do not depend on positions, so forces and stress through them
    are zero.

    Parameters
    ----------
    kind : {"fractions", "counts", "properties"}, default="fractions"
        Share of each element among the atoms, number of atoms of each element, or
        ``statistics`` over all atoms of ``properties`` of their elements.
    properties : sequence of str, default=("number", "mass", "covalent_radius", \
            "electronegativity", "group", "period")
        Of ``kind="properties"``. Masses are in u, radii in Å; electronegativities are
        Pauling's, which He, Ne and Ar do not have.
    statistics : sequence of str, default=("mean", "min", "max", "range")
        Of ``kind="properties"``: any of these four.
    species : list of str, default=None
        Chemical symbols with a column; by default those seen in fit. Not used for
        "properties", which take any element.

    Attributes
    ----------
    species_ : list of str
        Chemical symbols with a column, by atomic number; seen in fit for "properties".
    n_features_out_ : int
        Number of columns.

    See Also
    --------
    skatom.models.CompositionBaseline : Energies of the elements by least squares.
    skatom.preprocessing.Pool : Adds counts to pooled features.

    Notes
    -----
    Masses and covalent radii are those of ``ase.data`` (radii of Cordero et al. [1]_);
    electronegativities are Pauling's scale as revised by Allred [2]_. Lanthanides and
    actinides are counted to group 3.

    References
    ----------
    .. [1] B. Cordero et al., Dalton Trans. 2832 (2008). doi:10.1039/b801115j
    .. [2] A. L. Allred, J. Inorg. Nucl. Chem. 17, 215 (1961).
       doi:10.1016/0022-1902(61)80142-5

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import Composition
    >>> frames = [molecule("H2O"), molecule("CH4")]
    >>> composition = Composition("counts").fit(frames)
    >>> print(*composition.get_feature_names_out())
    n_H n_C n_O
    >>> composition.transform(frames)
    array([[2., 0., 1.],
           [4., 1., 0.]])
    """

    _parameter_constraints: dict = {
        "kind": [StrOptions({"fractions", "counts", "properties"})],
        "properties": ["array-like"],
        "statistics": ["array-like"],
        "species": ["array-like", None],
    }

    def __init__(
        self,
        kind="fractions",
        *,
        properties=(
            "number",
            "mass",
            "covalent_radius",
            "electronegativity",
            "group",
            "period",
        ),
        statistics=_STATISTICS,
        species=None,
    ):
        self.kind = kind
        self.properties = properties
        self.statistics = statistics
        self.species = species

    def pullback_structures(self, X, g: np.ndarray) -> np.ndarray:
        """Give the gradient by the positions, which is zero.

        Parameters
        ----------
        X : sequence of ase.Atoms
        g : ndarray of shape (n_structures, ``n_features_out_``)

        Returns
        -------
        gradient : ndarray of shape (n_atoms_total, 3)
        """
        check_is_fitted(self, "n_features_out_")
        return np.zeros((len(check_structures(X).numbers), 3))

    def pullback_strain(self, X, g: np.ndarray) -> np.ndarray:
        """Give the gradient by a strain of the cell, which is zero.

        Parameters
        ----------
        X : sequence of ase.Atoms
        g : ndarray of shape (n_structures, ``n_features_out_``)

        Returns
        -------
        gradient : ndarray of shape (n_structures, 3, 3)
        """
        check_is_fitted(self, "n_features_out_")
        return np.zeros((len(check_structures(X)), 3, 3))

    def _learn(self, structures: Structures) -> None:
        if self.kind == "properties":
            _check_known("properties", self.properties, PROPERTIES)
            _check_known("statistics", self.statistics, _STATISTICS)
        self._kind = self.kind
        self._properties = list(self.properties)
        self._statistics = list(self.statistics)
        self.species_ = learned_species(structures, self.species)

    def _carries_over(self) -> bool:
        return self._kind == "properties"

    def _check(self, structures: Structures) -> None:
        if not self._carries_over():
            check_species(structures, self.species_, "Composition")
            return
        for name in self._properties:
            values_of(name, structures.numbers, structures.offsets)

    def _names(self) -> list[str]:
        if self._kind == "properties":
            return [
                f"{s}_{name}" for name in self._properties for s in self._statistics
            ]
        head = "n" if self._kind == "counts" else "fraction"
        return [f"{head}_{symbol}" for symbol in self.species_]

    def _rows(self, structures: Structures) -> np.ndarray:
        if not len(structures):
            return np.zeros((0, self.n_features_out_))
        numbers, offsets = structures.numbers, structures.offsets
        if self._kind == "properties":
            columns = []
            for name in self._properties:
                found = _statistics_of(values_of(name, numbers, offsets), offsets)
                columns += [found[statistic] for statistic in self._statistics]
            return np.stack(columns, axis=1)
        known = [atomic_numbers[s] for s in self.species_]
        counts = species_counts(structures, known)
        if self._kind == "counts":
            return counts
        return counts / structures.n_atoms[:, None]


def _statistics_of(values: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    low = np.minimum.reduceat(values, offsets[:-1])
    high = np.maximum.reduceat(values, offsets[:-1])
    mean = sum_atoms(values, offsets) / np.diff(offsets)
    return {"mean": mean, "min": low, "max": high, "range": high - low}


def _check_known(name: str, given: Sequence[str], known) -> None:
    unknown = [item for item in given if item not in known]
    if unknown:
        raise ValueError(
            f"{name} holds {unknown[0]!r}; known are {', '.join(known)}."
            + closest(str(unknown[0]), known)
        )
    if not len(given):
        raise ValueError(f"{name} is empty: name at least one of {', '.join(known)}.")
