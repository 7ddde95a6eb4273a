"""Atomic environment vectors of the ANI potentials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skatom._validation import Integral, Interval, Real, listing
from skatom.base import AtomFeaturizer, Column, PairBlock, columns_by_species
from skatom.featurizers._acsf.grids import radial_arrays, texts
from skatom.featurizers._aev.limits import check_shells
from skatom.featurizers._simd.padding import whole_lanes

RADIAL_FACTOR = 0.25


class AEV(AtomFeaturizer):
    """Atomic environment vectors, the modified symmetry functions of ANI.

    Radial functions are Gaussian shells; angular functions divide space into shells and
    sectors, so that they tell angles apart where those of :class:`ACSF` open or close at
    0 and 180 degrees only [1]_:

    - radial = sum_j 0.25 exp(-eta (r_ij - R)²) f(r_ij)
    - angular = 2^(1-zeta) sum_{j<k} (1 + cos(theta_jik - theta_s))^zeta
      exp(-eta ((r_ij + r_ik)/2 - R)²) f(r_ij) f(r_ik),

    with f(r) = (1 + cos(pi r/r_cut))/2 for a radius of each kind of function.

    Parameters
    ----------
    r_cut : float, default=5.2
        Radius of the radial functions, in Å.
    r_cut_angular : float, default=3.5
        Radius of the angular functions, in Å; at most ``r_cut``.
    radial_eta, angular_eta : float, default=16.0 and 8.0
        Exponents eta of both kinds, in 1/Å².
    zeta : float, default=32.0
        Angular resolution, at least 1; integers are faster.
    radial_shifts, angular_shifts : int or array-like of float, default=16 and 4
        Radii R of the shells, in Å; a number n stands for n even steps from ``r_start``
        up to the radius of the kind, the latter excluded.
    angles : int or array-like of float, default=8
        Angles theta_s, in radians; a number n stands for the middles of n equal sectors
        between 0 and pi.
    r_start : float, default=0.9
        First shell where shells are given as a number, in Å.
    species : list of str, default=None
        Chemical symbols to tell apart; by default those seen in fit.
    handle_unknown : {"error", "ignore"}, default="error"
        What to do with species that are not among ``species_``; "ignore" treats them as
        if they were not there.
    n_jobs : int, default=None
        Number of threads.
    dtype : {"float64", "float32"}, default="float64"
        Type in which values are kept. "float32" halves memory and rounds each value once,
        by 6e-8 of it; models and derivatives compute in float64 all the same.
    max_memory : int, float or str, default=None
        Bytes, or a text such as "8GB", that features and neighbour pairs may take;
        ``transform`` refuses more before it allocates anything.
    verbose : int, default=0
        1 shows on standard error how far ``transform`` is.

    Attributes
    ----------
    species_ : list of str
        Chemical symbols that the features distinguish, by atomic number.
    n_atom_features_ : int
        Number of features of each atom.
    radial_shifts_, angular_shifts_ : ndarray of float
        Radii of the shells, in Å.
    angles_ : ndarray of float
        Angles of the sectors, in radians.

    See Also
    --------
    ACSF : The functions that these were modified from.

    Notes
    -----
    Columns: radial by species, then angular by pair of species a <= b in the order of
    ``species_`` (00, 01, .., 11, 12, ..), there by shell and then by angle: the order of
    TorchANI, if its list of species is sorted by atomic number. That of ANI-2x is not;
    :meth:`columns_for` gives the columns in the order of any list.

    The factor 0.25, and 0.95 cos(theta) in place of cos(theta) inside the arccosine,
    stand in no paper but in NeuroChem and TorchANI [3]_, whose numbers these features
    equal. The latter keeps slopes finite for atoms in a line.

    References
    ----------
    .. [1] J. S. Smith, O. Isayev and A. E. Roitberg, Chem. Sci. 8, 3192 (2017), eqs. 3
       and 4. doi:10.1039/C6SC05720A
    .. [2] C. Devereux et al., J. Chem. Theory Comput. 16, 4192 (2020).
       doi:10.1021/acs.jctc.0c00121
    .. [3] X. Gao, F. Ramezanghorbani, O. Isayev, J. S. Smith and A. E. Roitberg, J. Chem.
       Inf. Model. 60, 3408 (2020). doi:10.1021/acs.jcim.0c00451

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import AEV
    >>> AEV.ani1x().fit_transform([molecule("H2O")]).values.shape
    (3, 384)
    >>> print(*AEV().fit([molecule("H2O")]).get_feature_names_out()[[0, 32]])
    AEV_H_rs0.9 AEV_H-H_rs0.9_theta0.19635
    """

    _parameter_constraints: dict = {
        **AtomFeaturizer._parameter_constraints,
        "r_cut_angular": [Interval(Real, 0, None, closed="neither")],
        "radial_eta": [Interval(Real, 0, None, closed="left")],
        "angular_eta": [Interval(Real, 0, None, closed="left")],
        "zeta": [Interval(Real, 1, None, closed="left")],
        "radial_shifts": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "angular_shifts": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "angles": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "r_start": [Interval(Real, 0, None, closed="left")],
    }

    _shares_kernels_of = "ACSF"

    def __init__(
        self,
        r_cut=5.2,
        *,
        r_cut_angular=3.5,
        radial_eta=16.0,
        angular_eta=8.0,
        zeta=32.0,
        radial_shifts=16,
        angular_shifts=4,
        angles=8,
        r_start=0.9,
        species=None,
        handle_unknown="error",
        n_jobs=None,
        dtype="float64",
        max_memory=None,
        verbose=0,
    ):
        self.r_cut = r_cut
        self.r_cut_angular = r_cut_angular
        self.radial_eta = radial_eta
        self.angular_eta = angular_eta
        self.zeta = zeta
        self.radial_shifts = radial_shifts
        self.angular_shifts = angular_shifts
        self.angles = angles
        self.r_start = r_start
        self.species = species
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs
        self.dtype = dtype
        self.max_memory = max_memory
        self.verbose = verbose

    @classmethod
    def ani1x(cls, *, species=("H", "C", "N", "O"), **parameters) -> AEV:
        """Give the vectors of ANI-1x and ANI-1ccx, 384 numbers an atom.

        Parameters
        ----------
        species : sequence of str or None, default=("H", "C", "N", "O")
            Chemical symbols; None for those seen in fit.
        **parameters
            Other parameters of :class:`AEV`.

        Returns
        -------
        aev : AEV

        Examples
        --------
        >>> from skatom.featurizers import AEV
        >>> AEV.ani1x(species=["H", "O"]).r_cut
        5.2
        """
        return cls(**{"species": species, **parameters})

    @classmethod
    def ani2x(
        cls, *, species=("H", "C", "N", "O", "S", "F", "Cl"), **parameters
    ) -> AEV:
        """Give the vectors of ANI-2x, 1008 numbers an atom.

        TorchANI lists the species as here, which :meth:`columns_for` turns columns to.

        Parameters
        ----------
        species : sequence of str or None, default=("H", "C", "N", "O", "S", "F", "Cl")
            Chemical symbols; None for those seen in fit.
        **parameters
            Other parameters of :class:`AEV`.

        Returns
        -------
        aev : AEV

        Examples
        --------
        >>> from ase.build import molecule
        >>> from skatom.featurizers import AEV
        >>> aev = AEV.ani2x().fit([molecule("CH3Cl")])
        >>> torchani_order = aev.columns_for(aev.species)
        >>> print(*aev.get_feature_names_out()[torchani_order[[64, 80]]])
        AEV_S_rs0.8 AEV_F_rs0.8
        """
        numbers = {
            "r_cut": 5.1,
            "radial_eta": 19.7,
            "angular_eta": 12.5,
            "zeta": 14.1,
            "angular_shifts": 8,
            "angles": 4,
            "r_start": 0.8,
        }
        return cls(**{"species": species, **numbers, **parameters})

    def columns_for(self, species: Sequence[str]) -> np.ndarray:
        """Give the columns in the order that another list of species leads to.

        Parameters
        ----------
        species : sequence of str
            All of ``species_``, in any order.

        Returns
        -------
        columns : ndarray of int, shape (``n_atom_features_``,)
            ``values[:, columns]`` are the vectors of a code that lists its species so.

        Raises
        ------
        ValueError
            If the lists do not hold the same species.

        Examples
        --------
        >>> from skatom.featurizers import AEV
        >>> from ase.build import molecule
        >>> aev = AEV(radial_shifts=2, angular_shifts=1, angles=1).fit([molecule("H2O")])
        >>> aev.columns_for(["O", "H"]).tolist()
        [2, 3, 0, 1, 6, 5, 4]
        """
        if sorted(species) != sorted(self.species_):
            raise ValueError(
                f"species must hold {', '.join(self.species_)} in any order, but is "
                f"{list(species)}."
            )
        order = [self.species_.index(s) for s in species]
        n, n_radial = len(order), len(self.radial_shifts_)
        a, b = np.triu_indices(n)
        pairs = np.zeros((n, n), dtype=np.int64)
        pairs[a, b] = pairs[b, a] = np.arange(len(a))
        shuffled = pairs[np.ix_(order, order)][a, b]
        n_terms = len(self.angular_shifts_) * len(self.angles_)
        radial = np.arange(n * n_radial).reshape(n, n_radial)[order]
        angular = np.arange(len(a) * n_terms).reshape(-1, n_terms)[shuffled]
        return np.concatenate([radial.ravel(), n * n_radial + angular.ravel()])

    def prepare(self) -> None:
        """Turn the parameters into the arrays that the kernels read."""
        check_shells(self.r_cut_, self.r_cut_angular, self.angular_eta)
        self.radial_shifts_ = self._shifts("radial_shifts", self.r_cut_)
        self.angular_shifts_ = self._shifts("angular_shifts", self.r_cut_angular)
        if isinstance(self.angles, Integral):
            self.angles_ = (np.arange(self.angles) + 0.5) * np.pi / self.angles
        else:
            self.angles_ = _numbers("angles", self.angles, np.pi)
        etas = np.full(len(self.radial_shifts_), float(self.radial_eta))
        rows = np.stack([etas, self.radial_shifts_], axis=1)
        self._radial = (self.r_cut_, 0, 0.0), radial_arrays(rows, RADIAL_FACTOR)
        half_turns = 0.5 * np.stack([np.cos(self.angles_), np.sin(self.angles_)])
        self._angular = (
            (float(self.r_cut_angular), 0, 0.0),
            (len(self.angular_shifts_), len(self.angles_)),
            (float(self.angular_eta), float(self.zeta)),
            whole_lanes(self.angular_shifts_[None]),
            whole_lanes(half_turns),
            len(self.species_) * len(self.radial_shifts_),
        )

    def _shifts(self, name: str, r_cut: float) -> np.ndarray:
        given = getattr(self, name)
        if not isinstance(given, Integral):
            return _numbers(name, given, r_cut)
        if self.r_start >= r_cut:
            raise ValueError(
                f"r_start={self.r_start:g} Å leaves no room for {name} inside "
                f"{r_cut:g} Å; make it smaller."
            )
        return np.linspace(self.r_start, r_cut, given, endpoint=False)

    def columns(self) -> list[Column]:
        """Give the table of columns: radial, then angular, each by species."""
        radial = texts(self.radial_shifts_[:, None], ["rs"])
        shells = texts(self.angular_shifts_[:, None], ["rs"])
        angles = texts(self.angles_[:, None], ["theta"])
        angular = [shell + angle for shell in shells for angle in angles]
        return [
            *columns_by_species("AEV", self.species_, radial),
            *columns_by_species("AEV", self.species_, angular, 2),
        ]

    def terms(self, block: PairBlock):
        """Give the kernels of radial functions, which are G2 of ACSF, and angular ones."""
        from skatom.featurizers._acsf.terms import RADIAL
        from skatom.featurizers._aev.terms import ANGULAR

        n_species = len(self.species_)
        yield RADIAL, (n_species, *self._radial)
        yield ANGULAR, (n_species, *self._angular)


def _numbers(name: str, given, upper: float) -> np.ndarray:
    """Check a list of shells or angles between 0 and an upper bound."""
    try:
        numbers = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold numbers only.") from None
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(
            f"{name} must be a number or a list of at least one number; its shape is "
            f"{numbers.shape}."
        )
    bad = np.flatnonzero(~((numbers >= 0.0) & (numbers <= upper)))
    if len(bad):
        raise ValueError(
            f"{name} must lie between 0 and {upper:.4g}; entries {listing(bad)} do not."
        )
    if len(np.unique(numbers)) < len(numbers):
        raise ValueError(
            f"{name} holds a number twice: two equal columns carry nothing new."
        )
    return numbers
