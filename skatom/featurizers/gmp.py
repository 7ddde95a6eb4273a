"""Gaussian multipole features: as many for one element as for a hundred."""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial

import numpy as np

from skatom._validation import Integral, Interval, StrOptions, listing
from skatom.base import AtomFeaturizer, Column, PairBlock
from skatom.featurizers._gmp.densities import valence_density

MAX_ORDER = 9


class GMP(AtomFeaturizer):
    """Gaussian multipole features of the valence density around every atom.

    Elements enter through the width and weight of their valence densities, not through
    channels of their own, so the number of features does not depend on how many there
    are [1]_. Around each atom the density of all atoms, its own included, is probed with
    Gaussians of several widths times solid harmonics of several orders; what is kept is
    the power of each order, which does not change under rotation.

    Parameters
    ----------
    r_cut : float, default=6.0
        Radius of the atomic environment, in Å.
    sigmas : sequence of float, default=(0.2, 0.4, 0.7, 1.0, 1.4, 1.8)
        Widths of the probes, in Å.
    max_order : int, default=3
        Highest order of the harmonics, at most 9; all orders from 0 are used.
    densities : dict of str to array-like of shape (n_gaussians, 2), default=None
        Rows (B, beta) of rho(r) = sum B exp(-beta r²) for each chemical symbol, B in
        1/Å³ and beta in 1/Å². Elements that are not listed, and all by default, get
        :func:`~skatom.featurizers.valence_density`.
    cutoff : {"cosine"} or None, default="cosine"
        Multiply the density of a neighbour by (1 + cos(pi r/r_cut))/2, so that values and
        slopes vanish at r_cut. None is the definition of [1]_, which is smooth only if
        r_cut is at least :meth:`full_radius`.
    species : list of str, default=None
        Chemical symbols to accept; by default those seen in fit.
    handle_unknown : {"error", "ignore"}, default="error"
        What to do with species that are not among ``species_``; "ignore" treats them as
        atoms without a density.
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
        Chemical symbols accepted, by atomic number.
    n_atom_features_ : int
        ``len(sigmas) * (max_order + 1)``.

    See Also
    --------
    skatom.featurizers.valence_density : The densities, and where they come from.

    Notes
    -----
    Written as sums over Cartesian harmonics [1]_, the features are, by the addition
    theorem, n! (2n-1)!! sum_jk R_n(r_ij) R_n(r_ik) P_n(cos theta_jik) with
    R_n(r) = sum_g A B (pi/(alpha+beta))^(3/2) exp(-r² alpha beta/(alpha+beta))
    (r beta/(alpha+beta))^n, alpha = 1/(2 sigma²) and A = (sigma sqrt(2 pi))^-3: one
    expansion in solid harmonics, linear in neighbours, for any order. They are the squares
    of [1]_'s; a square root would have no derivative where a feature vanishes. Columns: all
    sigmas of order 0, then of order 1, and so on.

    References
    ----------
    .. [1] X. Lei and A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022).
       doi:10.1021/acs.jpclett.2c02100

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import GMP
    >>> gmp = GMP(sigmas=(0.4, 0.8), max_order=2)
    >>> gmp.fit_transform([molecule("H2O"), molecule("SiH4")]).values.shape
    (8, 6)
    >>> print(*gmp.get_feature_names_out()[:3])
    GMP_order0_sigma0.4 GMP_order0_sigma0.8 GMP_order1_sigma0.4
    """

    _parameter_constraints: dict = {
        **AtomFeaturizer._parameter_constraints,
        "sigmas": ["array-like"],
        "max_order": [Interval(Integral, 0, MAX_ORDER, closed="both")],
        "densities": [dict, None],
        "cutoff": [StrOptions({"cosine"}), None],
    }

    def __init__(
        self,
        r_cut=6.0,
        *,
        sigmas=(0.2, 0.4, 0.7, 1.0, 1.4, 1.8),
        max_order=3,
        densities=None,
        cutoff="cosine",
        species=None,
        handle_unknown="error",
        n_jobs=None,
        dtype="float64",
        max_memory=None,
        verbose=0,
    ):
        self.r_cut = r_cut
        self.sigmas = sigmas
        self.max_order = max_order
        self.densities = densities
        self.cutoff = cutoff
        self.species = species
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs
        self.dtype = dtype
        self.max_memory = max_memory
        self.verbose = verbose

    def full_radius(self, species: Sequence[str], tolerance: float = 1e-8) -> float:
        """Give the radius beyond which no neighbour counts, without a cutoff function.

        Parameters
        ----------
        species : sequence of str
            Chemical symbols of the neighbours.
        tolerance : float, default=1e-8
            Largest radial function that may be neglected, in electrons/Å³.

        Returns
        -------
        r_cut : float
            In Å.
        """
        _, table = _overlaps(self._densities_of(species), _widths(self.sigmas))
        prefactor, decay = np.abs(table[..., 0]), table[..., 1] * np.log(2.0)
        used = (prefactor > tolerance) & (decay > 0)
        return float(np.sqrt(np.log(prefactor[used] / tolerance) / decay[used]).max())

    def prepare(self) -> None:
        """Turn the parameters into the arrays that the kernels read."""
        from skatom.featurizers._gmp.harmonics import recursion

        orders = range(self.max_order + 1)
        self._sigmas = _widths(self.sigmas)
        counts, table = _overlaps(self._densities_of(self.species_), self._sigmas)
        norms = [factorial(n) * np.prod(np.arange(1.0, 2 * n, 2)) for n in orders]
        self._arguments = (
            (self.r_cut_, self.cutoff is not None),
            (counts, table.reshape(len(table), -1), len(self._sigmas)),
            np.array(norms),
            recursion(self.max_order),
        )

    def _densities_of(self, species: Sequence[str]) -> list[np.ndarray]:
        given = self.densities or {}
        return [
            _check_density(s, given[s]) if s in given else valence_density(s)
            for s in species
        ]

    def columns(self) -> list[Column]:
        """Give the table of columns: all sigmas of each order."""
        return [
            Column("GMP", (), (f"order{n}", f"sigma{sigma:g}"))
            for n in range(len(self._arguments[2]))
            for sigma in self._sigmas
        ]

    def terms(self, block: PairBlock):
        """Give the kernels."""
        from skatom.featurizers._gmp.terms import POWER

        yield POWER, self._arguments


def _widths(sigmas: Sequence[float]) -> np.ndarray:
    widths = np.asarray(sigmas, dtype=np.float64)
    if widths.ndim != 1 or not len(widths):
        raise ValueError("sigmas must list at least one width, in Å.")
    bad = np.flatnonzero(~(np.isfinite(widths) & (widths > 0)))
    if len(bad):
        raise ValueError(
            f"sigmas must be positive and finite; entries {listing(bad)} are not."
        )
    return widths


def _check_density(symbol: str, rows) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != 2 or not len(rows):
        raise ValueError(
            f"The density of {symbol} has shape {rows.shape}; expected rows (B, beta), "
            "shape (n_gaussians, 2)."
        )
    if not np.isfinite(rows).all() or (rows[:, 1] <= 0).any():
        raise ValueError(
            f"The density of {symbol} must have finite entries and every beta positive."
        )
    return rows


def _overlaps(densities: list[np.ndarray], sigmas: np.ndarray):
    """Give C, k log2(e) and lambda of radial functions by species, probe, Gaussian."""
    counts = np.array([len(rows) for rows in densities], dtype=np.int64)
    table = np.zeros((len(densities), len(sigmas), counts.max(), 3))
    alpha = (0.5 / sigmas**2)[:, None]
    norm = (sigmas * np.sqrt(2.0 * np.pi))[:, None] ** -3
    for q, rows in enumerate(densities):
        weight, beta = rows.T
        joint = alpha + beta
        part = table[q, :, : len(rows)]
        part[..., 0] = norm * weight * (np.pi / joint) ** 1.5
        part[..., 1] = alpha * beta / joint / np.log(2.0)
        part[..., 2] = beta / joint
    return counts, table
