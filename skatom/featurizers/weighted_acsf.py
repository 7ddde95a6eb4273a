"""Symmetry functions that weight elements instead of telling them apart."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers

from skatom._validation import Integral, Interval, Real, StrOptions
from skatom.base import AtomFeaturizer, Column, PairBlock
from skatom.featurizers._acsf.grids import (
    CUTOFFS,
    angular_rows,
    radial_arrays,
    radial_rows,
    refuse_no_rows,
    texts,
)
from skatom.featurizers._weighted_acsf.expansion import MAX_MOMENT, moment_arrays
from skatom.featurizers._weighted_acsf.pair_sums import pair_sums


class WeightedACSF(AtomFeaturizer):
    """Weighted atom-centred symmetry functions: as many for one element as for ten.

    Where :class:`ACSF` has columns for every element and pair of elements, one column
    here sums over all neighbours, each weighted by a number of its element [1]_:

    - G2 = sum_j w_j exp(-eta (r_ij - r_s)²) f(r_ij)
    - G5 = 2^(1-zeta) sum_{j<k} w_j w_k (1 + lambda cos theta_jik)^zeta
      exp(-eta (r_ij² + r_ik²)) f(r_ij) f(r_ik)
    - G4 is G5 with exp(-eta r_jk²) f(r_jk) as well.

    Parameters
    ----------
    r_cut : float, default=5.0
        Radius of the atomic environment, in Å.
    weights : "number", dict, or array-like of shape (n_species, n_channels), \
default="number"
        w of each element: the atomic number; a dict of chemical symbols to numbers or to
        rows of equal length; or such rows in the order of ``species_``, a learned
        embedding for instance. Every column of weights gives all functions once more.
    g2 : "auto", "centered", None, or array-like of shape (n, 2), default="auto"
        Rows (eta, r_s), in 1/Å² and Å. See Notes for the two names.
    g4, g5 : "auto", None, or array-like of shape (n, 3), default=None and "auto"
        Rows (eta, zeta, lambda) with and without r_jk; zeta >= 1, lambda is -1 or 1.
    n_radial, n_angular : int, default=22 and 5
        Number of Gaussians of "auto".
    zetas : tuple of float, default=(1,)
        Angular resolutions of "auto"; each comes with lambda = -1 and 1.
    cutoff : {"cosine", "polynomial", "tanh3"}, default="cosine"
        f, as for :class:`ACSF`.
    cutoff_gamma : float, default=4.0
        Exponent gamma of the polynomial cutoff.
    species : list of str, default=None
        Chemical symbols to accept; by default those seen in fit.
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
        Chemical symbols accepted, by atomic number.
    n_atom_features_ : int
        Number of features of each atom.
    weights_ : ndarray of shape (n_species, n_channels)
        Weights of the elements.
    ``g2_``, ``g4_``, g5_ : ndarray of shape (n, 2) or (n, 3)
        Rows of the functions in use.

    See Also
    --------
    ACSF : Columns for every element.
    GMP : Elements by the densities of their valence electrons.

    Notes
    -----
    The defaults are the empirical scheme of [1]_ as SchNetPack 1 codes it: 22 Gaussians
    on an even grid of r_s from 0.5 Å to r_cut - 0.5 Å, as wide as its spacing d, eta =
    1/(2 d²); and 5 centred ones of widths w from 1 Å to r_cut - 0.5 Å, eta = 1/(2 w²),
    with zeta = 1 and both lambda, without r_jk: 32 functions. (The paper starts the grid
    at 0 and writes r_jk, which is ``g5=None, g4="auto"`` here.) "centered" has r_s = 0
    and widths from 1 Å to r_cut - 0.5 Å for G2.

    Columns: G2 by channel, then G4, then G5; inside of a channel, functions as given.
    Each pair of neighbours counts once. Weights of pairs are products inside of one
    channel, so one-hot weights leave out pairs of unlike elements, which only
    :class:`ACSF` has.

    G5 with zeta a whole number up to 4 is computed from moments of the weighted density,
    in time linear in neighbours and independent of elements. All other angular functions
    are sums of those of :class:`ACSF` over pairs of elements, at the cost of these.

    References
    ----------
    .. [1] M. Gastegger, L. Schwiedrzik, M. Bittermann, F. Berzsenyi and P. Marquetand,
       J. Chem. Phys. 148, 241709 (2018). doi:10.1063/1.5019667

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import WeightedACSF
    >>> frames = [molecule("CH3CH2OH"), molecule("SiH4"), molecule("CH3Cl")]
    >>> WeightedACSF().fit_transform(frames).values.shape
    (19, 32)
    >>> two = WeightedACSF(weights={"H": [1, 0.3], "O": [0, 0.8]}, g2=None)
    >>> print(*two.fit([molecule("H2O")]).get_feature_names_out()[[0, 10]])
    wG5_0_eta0.5_zeta1_lambda-1 wG5_1_eta0.5_zeta1_lambda-1
    """

    _parameter_constraints: dict = {
        **AtomFeaturizer._parameter_constraints,
        "weights": [StrOptions({"number"}), dict, "array-like"],
        "g2": [StrOptions({"auto", "centered"}), "array-like", None],
        "g4": [StrOptions({"auto"}), "array-like", None],
        "g5": [StrOptions({"auto"}), "array-like", None],
        "n_radial": [Interval(Integral, 1, None, closed="left")],
        "n_angular": [Interval(Integral, 1, None, closed="left")],
        "zetas": ["array-like"],
        "cutoff": [StrOptions(set(CUTOFFS))],
        "cutoff_gamma": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        r_cut=5.0,
        *,
        weights="number",
        g2="auto",
        g4=None,
        g5="auto",
        n_radial=22,
        n_angular=5,
        zetas=(1,),
        cutoff="cosine",
        cutoff_gamma=4.0,
        species=None,
        handle_unknown="error",
        n_jobs=None,
        dtype="float64",
        max_memory=None,
        verbose=0,
    ):
        self.r_cut = r_cut
        self.weights = weights
        self.g2 = g2
        self.g4 = g4
        self.g5 = g5
        self.n_radial = n_radial
        self.n_angular = n_angular
        self.zetas = zetas
        self.cutoff = cutoff
        self.cutoff_gamma = cutoff_gamma
        self.species = species
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs
        self.dtype = dtype
        self.max_memory = max_memory
        self.verbose = verbose

    def prepare(self) -> None:
        """Turn the parameters into the arrays that the kernels read."""
        self.weights_ = _weight_rows(self.weights, self.species_)
        angular = self.r_cut_, self.n_angular, self.zetas
        self.g2_ = radial_rows(self.g2, self.r_cut_, self.n_radial)
        self.g4_ = angular_rows("g4", self.g4, *angular)
        self.g5_ = angular_rows("g5", self.g5, *angular)
        refuse_no_rows(self.g2_, self.g4_, self.g5_)
        self._cut = self.r_cut_, CUTOFFS[self.cutoff], float(self.cutoff_gamma)
        self._radial = radial_arrays(self.g2_)
        zeta = self.g5_[:, 1]
        by_moments = (zeta == zeta.astype(int)) & (zeta <= MAX_MOMENT)
        n_channels = self.weights_.shape[1]
        first = n_channels * (len(self.g2_) + len(self.g4_)), len(self.g5_)
        moments = moment_arrays(self.g5_, np.flatnonzero(by_moments))
        self._moments = moments and (*moments, first)
        self._pair_sums = pair_sums(
            self.weights_, self.g4_, self.g5_, ~by_moments, n_channels * len(self.g2_)
        )

    def columns(self) -> list[Column]:
        """Give the table of columns: G2, G4 and G5, each by channel."""
        angular = "eta", "zeta", "lambda"
        return [
            Column(kind, (), (str(channel), *one))
            for kind, rows, labels in (
                ("wG2", self.g2_, ("eta", "rs")),
                ("wG4", self.g4_, angular),
                ("wG5", self.g5_, angular),
            )
            for channel in range(self.weights_.shape[1])
            for one in texts(rows, labels)
        ]

    def terms(self, block: PairBlock):
        """Give the kernels of G2, of moments, and of sums over pairs of elements."""
        from skatom.featurizers._weighted_acsf.terms import MOMENTS, PAIR_SUMS, RADIAL

        if len(self.g2_):
            yield RADIAL, (self.weights_, self._cut, self._radial)
        if self._moments is not None:
            yield MOMENTS, (self.weights_, self._cut, *self._moments)
        if self._pair_sums is not None:
            yield PAIR_SUMS, (len(self.species_), self._cut, *self._pair_sums)


def _weight_rows(weights, species: list[str]) -> np.ndarray:
    """Check the weights of elements and return them as (n_species, n_channels)."""
    if isinstance(weights, str):
        return np.array([[float(atomic_numbers[s])] for s in species])
    if isinstance(weights, dict):
        missing = [s for s in species if s not in weights]
        if missing:
            raise ValueError(
                f"weights has no entry for {', '.join(missing)}. Give one for each of "
                f"{', '.join(species)}."
            )
        weights = [np.atleast_1d(weights[s]) for s in species]
    try:
        rows = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            "weights must hold numbers, equally many for every element."
        ) from None
    if rows.ndim != 2 or len(rows) != len(species) or not rows.shape[1]:
        raise ValueError(
            f"weights has shape {rows.shape}; expected a row for each of the "
            f"{len(species)} elements {', '.join(species)}, shape (n_species, n_channels)."
        )
    bad = [s for s, row in zip(species, rows) if not np.isfinite(row).all()]
    if bad:
        raise ValueError(f"weights of {', '.join(bad)} are not finite.")
    return rows
