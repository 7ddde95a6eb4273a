"""The fingerprint of crystals of Valle and Oganov."""

from __future__ import annotations

from skatom._validation import StrOptions
from skatom.featurizers._structure_rows.base import check_crystals
from skatom.featurizers._structure_rows.many_body import (
    GRID_CONSTRAINTS,
    ManyBodyTensor,
    default_range,
    grid_of,
)
from skatom.structures import Structures


class ValleOganov(ManyBodyTensor):
    """Fingerprint of a crystal: distances or angles, relative to a gas of its density.

    Every pair of elements has a smeared histogram of distances, divided by that of
    atoms placed at random; it tends to 1 at large distances. Computed by DScribe
    (``pip install "skatom[dscribe]"``).

    Parameters
    ----------
    geometry : {"distance", "angle"}, default="distance"
        What is counted: distances in Å or angles in degrees.
    r_cut : float, default=6.0
        Largest distance, in Å.
    n_grid : int, default=100
        Number of points of the grid.
    sigma : float, default=None
        Width of the Gaussians, in the same unit; twice the spacing of the grid by
        default.
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
    MBTR : With a choice of weights and normalisation.

    Notes
    -----
    There are forces for "distance", and no stress.

    References
    ----------
    .. [1] M. Valle and A. R. Oganov, Acta Cryst. A66, 507 (2010).
       doi:10.1107/S0108767310026395
    .. [2] M. K. Bisbo and B. Hammer, Phys. Rev. B 105, 245404 (2022): angles.
       doi:10.1103/PhysRevB.105.245404

    Examples
    --------
    >>> from ase.build import bulk
    >>> from skatom.featurizers import ValleOganov
    >>> frames = [bulk("NaCl", "rocksalt", a=5.6), bulk("Na")]
    >>> ValleOganov(n_grid=50).fit_transform(frames).shape
    (2, 150)
    """

    _parameter_constraints: dict = {
        **GRID_CONSTRAINTS,
        "geometry": [StrOptions({"distance", "angle"})],
    }

    def __init__(
        self,
        geometry="distance",
        *,
        r_cut=6.0,
        n_grid=100,
        sigma=None,
        species=None,
        n_jobs=None,
    ):
        self.geometry = geometry
        self.r_cut = r_cut
        self.n_grid = n_grid
        self.sigma = sigma
        self.species = species
        self.n_jobs = n_jobs

    def _grid(self) -> dict:
        ends = default_range(self.geometry, self.r_cut, self.species_)
        return grid_of(ends, self.n_grid, self.sigma)

    def _check(self, structures: Structures) -> None:
        check_crystals(structures, "ValleOganov")
        super()._check(structures)

    def _settings(self) -> dict:
        weights = {"distance": "inverse_square", "angle": "smooth_cutoff"}
        return {
            "geometry": {"function": self.geometry},
            "grid": dict(self.grid_),
            "weighting": {"function": weights[self.geometry], "r_cut": self.r_cut},
            "normalization": "valle_oganov",
            "species": self.species_,
            "periodic": True,
        }
