"""Symmetry functions that weight elements instead of telling them apart."""

from __future__ import annotations

from itertools import product
from math import comb, factorial

import numpy as np
from ase.data import atomic_numbers

from skatom._validation import Integral, Interval, Real, StrOptions
from skatom.base import AtomFeaturizer, PairBlock
from skatom.featurizers._acsf.grids import (
    acsf_grid,
    check_rows,
    default_angular,
    default_radial,
    radial_arrays,
)
from skatom.featurizers.acsf import ACSF

__all__ = ["WeightedACSF"]

_CUTOFFS = {"cosine": 0, "polynomial": 1, "tanh3": 2}
# Moments up to order zeta number (zeta + 1)(zeta + 2)(zeta + 3)/6: 35 for zeta = 4.
MAX_MOMENT = 4


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
        "cutoff": [StrOptions(set(_CUTOFFS))],
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

    def _setup(self) -> None:
        """Turn the parameters into the arrays that the kernels read."""
        self.weights_ = _weight_rows(self.weights, self.species_)
        self.g2_ = self._radial_rows()
        self.g4_, self.g5_ = self._angular_rows("g4"), self._angular_rows("g5")
        if not (len(self.g2_) or len(self.g4_) or len(self.g5_)):
            raise ValueError(
                "g2, g4 and g5 are all empty: there is no function to compute. Give rows "
                'to one of them, or "auto".'
            )
        self._cut = (
            float(self.r_cut),
            _CUTOFFS[self.cutoff],
            float(self.cutoff_gamma),
        )
        self._radial = radial_arrays(self.g2_)
        zeta = self.g5_[:, 1]
        by_moments = (zeta == zeta.astype(int)) & (zeta <= MAX_MOMENT)
        self._moments = _moment_arrays(self.g5_, np.flatnonzero(by_moments))
        self._by_pairs = np.flatnonzero(~by_moments)
        self._acsf = self._inner() if len(self.g4_) + len(self._by_pairs) else None

    def _inner(self) -> ACSF:
        """Make an ACSF with the functions that moments do not give."""
        acsf = ACSF(
            self.r_cut,
            g2=None,
            g4=self.g4_,
            g5=self.g5_[self._by_pairs],
            cutoff=self.cutoff,
            cutoff_gamma=self.cutoff_gamma,
            species=self.species_,
            handle_unknown=self.handle_unknown,
        )
        acsf.species_ = self.species_
        acsf._setup()
        acsf.n_atom_features_ = len(acsf._feature_names())
        return acsf

    def _radial_rows(self) -> np.ndarray:
        if self.g2 is None:
            return np.empty((0, 2))
        if not isinstance(self.g2, str):
            return check_rows("g2", self.g2, 2)
        if self.g2 == "auto":
            return default_radial(self.r_cut, self.n_radial)
        widths = np.linspace(1.0, max(self.r_cut - 0.5, 1.0), self.n_radial)
        return check_rows('g2 "centered"', acsf_grid(0.5 / widths**2, [0.0]), 2)

    def _angular_rows(self, name: str) -> np.ndarray:
        rows = getattr(self, name)
        if rows is None:
            return np.empty((0, 3))
        if isinstance(rows, str):
            name += " (from zetas)"
            rows = default_angular(self.r_cut, self.n_angular, self.zetas)
        return check_rows(name, rows, 3)

    def _feature_names(self) -> list[str]:
        names = []
        for kind, rows, labels in (
            ("wG2", self.g2_, ("eta", "rs")),
            ("wG4", self.g4_, ("eta", "zeta", "lambda")),
            ("wG5", self.g5_, ("eta", "zeta", "lambda")),
        ):
            texts = _texts(rows, labels)
            names += [
                f"{kind}_{c}_{t}" for c in range(self._n_channels()) for t in texts
            ]
        return names

    def _n_channels(self) -> int:
        return self.weights_.shape[1]

    def _forward(self, block: PairBlock, out: np.ndarray) -> None:
        from skatom.featurizers._weighted_acsf.moments import moment_values
        from skatom.featurizers._weighted_acsf.radial import radial_values

        self._apply(radial_values, moment_values, block, out)
        if self._acsf is not None:
            inner = np.zeros((len(out), self._acsf.n_atom_features_))
            self._acsf._forward(block, inner)
            self._contract(inner, out, slice(block.start, block.stop))

    def _pullback(self, block: PairBlock, g: np.ndarray, out: np.ndarray) -> None:
        from skatom.featurizers._weighted_acsf.derivatives import moment_pullback
        from skatom.featurizers._weighted_acsf.radial import radial_pullback

        g = np.ascontiguousarray(g, dtype=np.float64)
        self._apply(radial_pullback, moment_pullback, block, g, out)
        if self._acsf is not None:
            inner = np.zeros((len(g), self._acsf.n_atom_features_))
            self._spread(g, inner, slice(block.start, block.stop))
            self._acsf._pullback(block, inner, out)

    def _pushforward(self, block: PairBlock, v: np.ndarray, out: np.ndarray) -> None:
        from skatom.featurizers._weighted_acsf.derivatives import moment_pushforward
        from skatom.featurizers._weighted_acsf.radial import radial_pushforward

        v = np.ascontiguousarray(v, dtype=np.float64)
        self._apply(radial_pushforward, moment_pushforward, block, v, out)
        if self._acsf is not None:
            inner = np.zeros((len(out), self._acsf.n_atom_features_))
            self._acsf._pushforward(block, v, inner)
            self._contract(inner, out, slice(block.start, block.stop))

    def _jacobian(self, block: PairBlock, out: np.ndarray) -> None:
        from skatom.featurizers._weighted_acsf.derivatives import moment_jacobian
        from skatom.featurizers._weighted_acsf.radial import radial_jacobian

        self._apply(radial_jacobian, moment_jacobian, block, out)
        if self._acsf is not None:
            inner = np.zeros((*out.shape[:2], self._acsf.n_atom_features_))
            self._acsf._jacobian(block, inner)
            rows = slice(block.offsets[block.start], block.offsets[block.stop])
            self._contract(inner, out, rows)

    def _apply(self, radial_kernel, moment_kernel, block: PairBlock, *arrays) -> None:
        """Run the kernels of the functions that are computed here."""
        pairs = (
            block.start,
            block.stop,
            block.offsets,
            block.channels,
            block.vectors,
        )
        n_g2, n_g4, n_g5 = len(self.g2_), len(self.g4_), len(self.g5_)
        if n_g2:
            radial_kernel(pairs, self.weights_, self._cut, self._radial, *arrays)
        if self._moments is not None:
            layout = (self._n_channels() * (n_g2 + n_g4), n_g5)
            moment_kernel(
                pairs, self.weights_, self._cut, *self._moments, layout, *arrays
            )

    def _contract(self, inner: np.ndarray, out: np.ndarray, rows: slice) -> None:
        """Add weighted sums over pairs of elements to the columns of G4 and G5."""
        for columns, at, by_pair in self._blocks():
            part = inner[rows, ..., at].reshape(*inner[rows].shape[:-1], *by_pair)
            sums = np.einsum("...pt,pc->...ct", part, self._pair_weights())
            out[rows, ..., columns] += sums.reshape(*sums.shape[:-2], -1)

    def _spread(self, g: np.ndarray, inner: np.ndarray, rows: slice) -> None:
        """Fill the cotangents of the inner functions: the transpose of `_contract`."""
        for columns, at, by_pair in self._blocks():
            part = g[rows, columns].reshape(-1, self._n_channels(), by_pair[1])
            sums = np.einsum("nct,pc->npt", part, self._pair_weights())
            inner[rows, at] = sums.reshape(len(part), -1)

    def _blocks(self):
        """Columns here, columns of the inner ACSF and its (pairs, terms), for G4, G5."""
        c, n_pairs = self._n_channels(), len(self._pair_weights())
        first, at = c * len(self.g2_), 0
        everything = np.arange(len(self.g4_)), self._by_pairs
        for rows, kept in zip((self.g4_, self.g5_), everything):
            columns = first + np.add.outer(np.arange(c) * len(rows), kept).ravel()
            width = n_pairs * len(kept)
            if width:
                yield columns, slice(at, at + width), (n_pairs, len(kept))
            first, at = first + c * len(rows), at + width

    def _pair_weights(self) -> np.ndarray:
        a, b = np.triu_indices(len(self.species_))
        return self.weights_[a] * self.weights_[b]


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


def _moment_arrays(rows: np.ndarray, kept: np.ndarray):
    """Return what the kernels read: monomials, and how functions follow from moments."""
    if not len(kept):
        return None
    eta, zeta, sign = rows[kept].T
    etas, eta_of = np.unique(eta, return_inverse=True)
    padded = np.zeros((1, -(-len(etas) // 8) * 8))
    padded[0, : len(etas)] = etas
    highest = int(zeta.max())
    orders = np.arange(highest + 1)
    binomials = np.array([[comb(int(z), n) for n in orders] for z in zeta], dtype=float)
    scale = 2.0**-zeta  # of 2^(1-zeta), times 1/2 because each pair counts once
    coefficients = scale[:, None] * binomials * sign[:, None] ** orders
    selfs = scale * (1.0 + sign) ** zeta
    terms = coefficients, selfs, eta_of.ravel(), kept
    return (padded, *_monomials(highest)), terms


def _monomials(highest: int) -> tuple[np.ndarray, ...]:
    """Return steps, lowered monomials, exponents, degrees and multinomials."""
    cube = product(range(highest + 1), repeat=3)
    powers = sorted((p for p in cube if sum(p) <= highest), key=lambda p: (sum(p), p))
    place = {p: q for q, p in enumerate(powers)}
    steps = np.zeros((len(powers), 2), dtype=np.int64)
    lowers = np.zeros((len(powers), 3), dtype=np.int64)
    for q, p in enumerate(powers):
        for axis in range(3):
            if p[axis]:
                lower = place[tuple(n - (k == axis) for k, n in enumerate(p))]
                lowers[q, axis] = lower
                steps[q] = lower, axis
    exponents = np.array(powers, dtype=np.float64)
    degrees = np.array([sum(p) for p in powers], dtype=np.int64)
    counts = [factorial(sum(p)) / np.prod([factorial(n) for n in p]) for p in powers]
    return steps, lowers, exponents, degrees, np.array(counts)


def _texts(rows: np.ndarray, labels: tuple[str, ...]) -> list[str]:
    """Write parameters with 6 digits, and with all of them where 6 do not tell apart."""
    for digits in (6, 17):
        texts = [
            "_".join(f"{label}{value:.{digits}g}" for label, value in zip(labels, row))
            for row in rows
        ]
        if len(set(texts)) == len(texts):
            break
    return texts
