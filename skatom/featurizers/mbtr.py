"""The many-body tensor representation."""

from __future__ import annotations

import numpy as np

from skatom._validation import Interval, Real, StrOptions
from skatom.featurizers._structure_rows.base import check_crystals
from skatom.featurizers._structure_rows.many_body import (
    GRID_CONSTRAINTS,
    ORDER,
    ManyBodyTensor,
    default_range,
    exp_weighting,
    grid_of,
)
from skatom.structures import Structures

_WEIGHTINGS = {
    1: ("exp", "unity"),  # single atoms have no distance to weight
    2: ("exp", "inverse_square", "unity"),
    3: ("exp", "smooth_cutoff", "unity"),
}


class MBTR(ManyBodyTensor):
    """Smeared histograms of distances or angles, one for each combination of elements.

    A fixed number of columns for molecules and crystals of any size, with derivatives.
    Computed by DScribe (``pip install "skatom[dscribe]"``). Join several geometry
    functions with scikit-learn's FeatureUnion.

    Parameters
    ----------
    geometry : str, default="inverse_distance"
        What is counted: ``"atomic_number"``, ``"distance"`` (Å),
        ``"inverse_distance"`` (1/Å), ``"angle"`` (degrees) or ``"cosine"``.
    r_cut : float, default=6.0
        Radius at which the weighting ends, in Å.
    weighting : {"exp", "inverse_square", "smooth_cutoff", "unity"}, default="exp"
        ``"exp"`` falls exponentially with the distance, or the perimeter of the triple,
        to ``threshold`` at ``r_cut``; ``"inverse_square"`` is for distances,
        ``"smooth_cutoff"`` for triples; ``"unity"`` is for molecules.
    threshold : float, default=1e-3
        Weight below which ``"exp"`` leaves out pairs and triples.
    sharpness : float, default=2.0
        Exponent of ``"smooth_cutoff"``.
    grid : tuple of float, default=None
        First and last point of the grid, in the unit of the geometry function; by
        default it holds every value: up to ``r_cut``, 1.4/Å, 180 degrees.
    n_grid : int, default=100
        Number of points of the grid.
    sigma : float, default=None
        Width of the Gaussians, in the same unit; twice the spacing of the grid by
        default.
    normalization : {"l2", "n_atoms", "valle_oganov", "none"}, default="l2"
        Divides each row by its length, by the number of atoms, or each combination of
        elements by the number of its pairs or triples per volume.
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
    n_features_out_ : int
        Number of columns.

    See Also
    --------
    LMBTR : The same around each atom.
    ValleOganov : The fingerprint of crystals that this grew from.

    Notes
    -----
    Columns: combinations of elements A-B with A <= B in the order of ``species_``, or
    A-B-C around B with A <= C, the slowest index being B; inside, the points of the grid.

    There are forces (but for "angle"), and no stress.

    References
    ----------
    .. [1] H. Huo and M. Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022).
       doi:10.1088/2632-2153/aca005
    .. [2] L. Himanen et al., Comput. Phys. Commun. 247, 106949 (2020).
       doi:10.1016/j.cpc.2019.106949

    Examples
    --------
    >>> from ase.build import bulk, molecule
    >>> from skatom.featurizers import MBTR
    >>> mbtr = MBTR(n_grid=20).fit([molecule("H2O"), bulk("Cu")])
    >>> mbtr.transform([molecule("H2O")]).shape
    (1, 120)
    >>> print(*mbtr.get_feature_names_out()[:2])
    inverse_distance_H-H_0.0000 inverse_distance_H-H_0.0737
    """

    _parameter_constraints: dict = {
        **GRID_CONSTRAINTS,
        "geometry": [StrOptions(set(ORDER))],
        "weighting": [StrOptions({"exp", "inverse_square", "smooth_cutoff", "unity"})],
        "threshold": [Interval(Real, 0, 1, closed="neither")],
        "sharpness": [Interval(Real, 0, None, closed="neither")],
        "grid": ["array-like", None],
        "normalization": [StrOptions({"l2", "n_atoms", "valle_oganov", "none"})],
    }

    def __init__(
        self,
        geometry="inverse_distance",
        *,
        r_cut=6.0,
        weighting="exp",
        threshold=1e-3,
        sharpness=2.0,
        grid=None,
        n_grid=100,
        sigma=None,
        normalization="l2",
        species=None,
        n_jobs=None,
    ):
        self.geometry = geometry
        self.r_cut = r_cut
        self.weighting = weighting
        self.threshold = threshold
        self.sharpness = sharpness
        self.grid = grid
        self.n_grid = n_grid
        self.sigma = sigma
        self.normalization = normalization
        self.species = species
        self.n_jobs = n_jobs

    def _grid(self) -> dict:
        allowed = _WEIGHTINGS[ORDER[self.geometry]]
        if self.weighting not in allowed:
            raise ValueError(
                f"weighting={self.weighting!r} is not for geometry={self.geometry!r}: "
                f"use {' or '.join(map(repr, allowed))}."
            )
        ends = self.grid
        if ends is None:
            ends = default_range(self.geometry, self.r_cut, self.species_)
        elif np.shape(ends) != (2,):
            raise ValueError(
                f"grid has shape {np.shape(ends)}; give its two ends, such as (0, 6)."
            )
        return grid_of(ends, self.n_grid, self.sigma)

    def _check(self, structures: Structures) -> None:
        super()._check(structures)
        if self._arguments["normalization"] == "valle_oganov":
            check_crystals(structures, "normalization='valle_oganov'")
        if self._arguments["weighting"] is None and ORDER[self._geometry] > 1:
            for s, atoms in enumerate(structures):
                if atoms.pbc.any():
                    raise ValueError(
                        f"Structure {s} is periodic, and with weighting='unity' the sum "
                        "over its images has no end: use weighting='exp'."
                    )

    def _normalization(self) -> str:
        return self.normalization

    def _settings(self) -> dict:
        order = ORDER[self.geometry]
        weighting = None
        if order > 1 and self.weighting == "exp":
            weighting = exp_weighting(order, self.r_cut, self.threshold)
        elif order > 1 and self.weighting != "unity":
            weighting = {"function": self.weighting, "r_cut": self.r_cut}
            if order == 3:
                weighting["sharpness"] = self.sharpness
        by_density = self.normalization == "valle_oganov"
        return {
            "geometry": {"function": self.geometry},
            "grid": dict(self.grid_),
            "weighting": weighting,
            "normalization": "valle_oganov" if by_density else "none",
            "species": self.species_,
            "periodic": weighting is not None or by_density,
        }
