"""The local many-body tensor representation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skatom._validation import Interval, Real, StrOptions
from skatom.base import Column
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.featurizers._structure_rows.base import (
    StructureRows,
    check_species,
    learned_species,
)
from skatom.featurizers._structure_rows.dscribe import describe
from skatom.featurizers._structure_rows.many_body import (
    GRID_CONSTRAINTS,
    ORDER,
    default_range,
    exp_weighting,
    grid_columns,
    grid_of,
)
from skatom.structures import Structures


class LMBTR(StructureRows, auto_wrap_output_keys=None):
    """Smeared histograms of distances or angles around each atom, as AtomFeatures.

    For models of sums over atoms, without forces. Computed by DScribe
    (``pip install "skatom[dscribe]"``).

    Parameters
    ----------
    geometry : str, default="inverse_distance"
        What is counted: ``"distance"`` (Å), ``"inverse_distance"`` (1/Å), ``"angle"``
        (degrees) or ``"cosine"``.
    r_cut : float, default=6.0
        Radius at which the exponential weighting reaches ``threshold``, in Å.
    threshold : float, default=1e-3
        Weight below which pairs and triples are left out.
    n_grid : int, default=100
        Number of points of the grid.
    sigma : float, default=None
        Width of the Gaussians, in the unit of the geometry function; twice the spacing
        of the grid by default.
    normalization : {"none", "l2"}, default="none"
        Whether the row of each atom is divided by its length.
    species : list of str, default=None
        Chemical symbols to tell apart; by default those seen in fit.
    n_jobs : int, default=None
        Number of processes.

    Attributes
    ----------
    species_ : list of str
        Chemical symbols that the columns distinguish, by atomic number.
    grid_ : dict
        Ends, number of points and sigma in use.
    n_atom_features_ : int
        Number of features of each atom.

    See Also
    --------
    MBTR : One row a structure, with forces.
    ACSF : Around each atom, with forces, and faster.

    Notes
    -----
    The atom at the centre is X, whatever its element, as in DScribe: columns X-A, or
    A-X-B with the centre in the middle and then X-A-B with it at an end. Combinations of
    X with itself stay zero.

    References
    ----------
    .. [1] L. Himanen et al., Comput. Phys. Commun. 247, 106949 (2020).
       doi:10.1016/j.cpc.2019.106949

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import LMBTR
    >>> features = LMBTR(n_grid=20).fit_transform([molecule("H2O")])
    >>> features.values.shape
    (3, 60)
    """

    _parameter_constraints: dict = {
        **GRID_CONSTRAINTS,
        "geometry": [StrOptions(set(ORDER) - {"atomic_number"})],
        "threshold": [Interval(Real, 0, 1, closed="neither")],
        "normalization": [StrOptions({"l2", "none"})],
    }

    def __init__(
        self,
        geometry="inverse_distance",
        *,
        r_cut=6.0,
        threshold=1e-3,
        n_grid=100,
        sigma=None,
        normalization="none",
        species=None,
        n_jobs=None,
    ):
        self.geometry = geometry
        self.r_cut = r_cut
        self.threshold = threshold
        self.n_grid = n_grid
        self.sigma = sigma
        self.normalization = normalization
        self.species = species
        self.n_jobs = n_jobs

    def set_output(self, *, transform=None):
        """Accept and ignore: per-atom features are ragged and stay AtomFeatures.

        Parameters
        ----------
        transform : str or None

        Returns
        -------
        self : object
        """
        return self

    def _learn(self, structures: Structures) -> None:
        self.species_ = learned_species(structures, self.species)
        ends = default_range(self.geometry, self.r_cut, self.species_)
        self.grid_ = grid_of(ends, self.n_grid, self.sigma)
        order = ORDER[self.geometry]
        self._arguments = {
            "geometry": {"function": self.geometry},
            "grid": dict(self.grid_),
            "weighting": exp_weighting(order, self.r_cut, self.threshold),
            "species": self.species_,
            "periodic": True,
        }
        self._unit_length = self.normalization == "l2"
        self.n_atom_features_ = len(self._names())

    def _check(self, structures: Structures) -> None:
        check_species(structures, self.species_, "LMBTR")

    def _names(self) -> list[str]:
        return [column.name for column in self.columns()]

    def columns(self) -> list[Column]:
        """Give the table of columns; X is the centre."""
        species = ["X", *self.species_]
        geometry, n = self._arguments["geometry"]["function"], len(species)
        if ORDER[geometry] == 2:
            combinations = [(0, i) for i in range(n)]
        else:
            combinations = [(i, 0, k) for i in range(n) for k in range(i, n)]
            combinations += [(0, j, k) for j in range(1, n) for k in range(n)]
        return grid_columns(geometry, combinations, species, self.grid_)

    def _rows(self, structures: Structures) -> AtomFeatures:
        blocks = describe("LMBTR", self._arguments, structures, n_jobs=self.n_jobs)
        values = np.concatenate([np.zeros((0, self.n_atom_features_)), *blocks])
        if self._unit_length:
            lengths = np.linalg.norm(values, axis=1, keepdims=True)
            values /= np.where(lengths == 0, 1.0, lengths)
        origin = _Underivable(self)
        return AtomFeatures(
            values, structures.offsets, structures.numbers, structures, origin
        )


@dataclass(frozen=True, eq=False)
class _Underivable:
    """Origin of values that have names and no derivatives."""

    step: LMBTR

    @property
    def steps(self) -> tuple:
        return (self.step,)

    @property
    def feature_names(self) -> Sequence[str]:
        return self.step.get_feature_names_out()

    @property
    def columns(self) -> list[Column]:
        return self.step.columns()

    @property
    def pairs(self):
        return self._refuse()

    def pullback(self, g):
        return self._refuse()

    def pushforward(self, v):
        return self._refuse()

    def jacobian(self):
        return self._refuse()

    def of_structures(self, keep: np.ndarray) -> _Underivable:
        return self

    def _refuse(self):
        raise NoDerivativeError(
            "LMBTR has no derivatives, so there are no forces or stress (energies there "
            "are): use ACSF, AEV or SOAP, or MBTR for whole structures."
        )
