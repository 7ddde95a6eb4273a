"""Smooth overlap of atomic positions: the power spectrum of the neighbour density."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from skatom._validation import Integral, Interval, Real, StrOptions
from skatom.base import AtomFeaturizer, Column, PairBlock
from skatom.featurizers._soap.angular import gradients, ladder, transposed
from skatom.featurizers._soap.channels import (
    check_weights,
    coupling,
    pair_layout,
    spectrum_columns,
)
from skatom.featurizers._soap.radial import radial_table

# DScribe counts atoms as far outside its r_cut as their Gaussian reaches with this value.
DSCRIBE_DECAY = 1e-3


class SOAP(AtomFeaturizer):
    """Power spectrum of the density of neighbours (SOAP), with exact derivatives.

    Every neighbour is a Gaussian. The density of each species is expanded in radial
    functions g_n and real spherical harmonics, with coefficients c_nlm, and the features
    are the invariant products of these [1]_ [2]_,

    p = pi sqrt(8 / (2 l + 1)) sum_m c_nlm(a) c_n'lm(b)

    for species a <= b and all n, n' (n <= n' if a = b). The centre counts as a neighbour
    at distance zero.

    Parameters
    ----------
    r_cut : float, default=5.0
        Radius of the atomic environment, in Å.
    n_max : int, default=8
        Number of radial functions.
    l_max : int, default=6
        Largest order of the harmonics.
    sigma : float, default=0.5
        Width of the Gaussian of a neighbour, exp(-r²/(2 sigma²)), in Å.
    radial_basis : {"gto", "polynomial"}, default="gto"
        Gaussians times r^l whose widths are spread evenly from 1 Å to ``r_basis``, or
        powers (r_basis - r)^(n+2); both orthonormalised symmetrically (Löwdin).
    r_basis : float, default=None
        Radius that the basis spans, in Å; by default ``r_cut``.
    cutoff : {"quintic", "cosine"} or None, default="quintic"
        Weight of a neighbour in the outermost ``cutoff_width``, where x goes from 0 to 1:
        1 - 10 x³ + 15 x⁴ - 6 x⁵, which leaves forces and their slopes continuous, or
        (1 + cos(pi x))/2. None counts every neighbour fully up to r_cut, so that values
        jump when an atom crosses it.
    cutoff_width : float, default=1.0
        Width of the transition, in Å.
    weighting : {"power", "cubic"} or None, default=None
        Further weight of a neighbour by its distance, with x = r/weighting_radius:
        1/(1 + x^m) [3]_, or (1 + 2 x³ - 3 x²)^m [4]_.
    weighting_radius : float, default=None
        In Å; by default ``r_cut``.
    weighting_exponent : float, default=4.0
        The exponent m, at least 2 for "power" and 1 for "cubic".
    center_weight : float, default=1.0
        Weight of the centre itself.
    compression : {"mu2", "mu1nu1", "crossover"} or None, default=None
        Which channels are multiplied [5]_: all pairs (None), only the sum over all with
        itself ("mu2"), each with the sum ("mu1nu1"), or each with itself ("crossover").
    species_weights : array-like of shape (n_species, n_channels), default=None
        Rows in the order of ``species_``. The coefficients of the species are added up
        with these weights to channels, which take the place of species [3]_: with few
        channels the number of features no longer grows with that of elements.
    species : list of str, default=None
        Chemical symbols to tell apart; by default those seen in fit.
    handle_unknown : {"error", "ignore"}, default="error"
        What to do with species that are not among ``species_``; "ignore" treats them as
        absent neighbours.
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
    radial_error_ : float
        Largest error found in the splines of the radial integrals, relative to the
        maximum of each; at most 1e-10 for usual parameters.

    See Also
    --------
    ACSF : Symmetry functions, fewer and cheaper.
    skatom.preprocessing.PerAtom : With Normalizer, as kernels of SOAP want it.

    Notes
    -----
    Columns: pairs of species a <= b in the order of ``species_`` (00, 01, .., 11, 12, ..),
    in each l, n and n', the last one fastest, as in DScribe. DScribe counts neighbours
    beyond its r_cut; :meth:`like_dscribe` gives an estimator with equal values.

    The cost grows with the pairs of species that are present around a centre, not with
    those in ``species_``; blocks of absent pairs stay zero and are not touched. Ten
    elements still make 22 680 features a centre, 181 kB: couple species by
    ``species_weights``, or compress, when there are many.

    Radial integrals are quintic splines in r, times solid harmonics. Energies and forces
    use the same splines, so that forces are the derivatives to rounding.

    References
    ----------
    .. [1] A. P. Bartók, R. Kondor and G. Csányi, Phys. Rev. B 87, 184115 (2013).
       doi:10.1103/PhysRevB.87.184115
    .. [2] L. Himanen et al., Comput. Phys. Commun. 247, 106949 (2020), sec. 2.2.4.
       doi:10.1016/j.cpc.2019.106949
    .. [3] M. J. Willatt, F. Musil and M. Ceriotti, Phys. Chem. Chem. Phys. 20, 29661
       (2018). doi:10.1039/C8CP05921G
    .. [4] M. A. Caro, Phys. Rev. B 100, 024112 (2019).
       doi:10.1103/PhysRevB.100.024112
    .. [5] J. P. Darby, J. R. Kermode and G. Csányi, npj Comput. Mater. 8, 166 (2022).
       doi:10.1038/s41524-022-00847-y

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import SOAP
    >>> soap = SOAP(r_cut=4.0, n_max=2, l_max=1)
    >>> features = soap.fit_transform([molecule("H2O")])
    >>> features.values.shape
    (3, 20)
    >>> print(*soap.get_feature_names_out()[5:8])
    SOAP_H-H_n1_n1_l1 SOAP_H-O_n0_n0_l0 SOAP_H-O_n0_n1_l0
    """

    _parameter_constraints: dict = {
        **AtomFeaturizer._parameter_constraints,
        "n_max": [Interval(Integral, 1, None, closed="left")],
        "l_max": [Interval(Integral, 0, 20, closed="both")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
        "radial_basis": [StrOptions({"gto", "polynomial"})],
        "r_basis": [Interval(Real, 0, None, closed="neither"), None],
        "cutoff": [StrOptions({"quintic", "cosine"}), None],
        "cutoff_width": [Interval(Real, 0, None, closed="neither")],
        "weighting": [StrOptions({"power", "cubic"}), None],
        "weighting_radius": [Interval(Real, 0, None, closed="neither"), None],
        "weighting_exponent": [Interval(Real, 1, None, closed="left")],
        "center_weight": [Interval(Real, 0, None, closed="left")],
        "compression": [StrOptions({"mu2", "mu1nu1", "crossover"}), None],
        "species_weights": ["array-like", None],
    }

    def __init__(
        self,
        r_cut=5.0,
        *,
        n_max=8,
        l_max=6,
        sigma=0.5,
        radial_basis="gto",
        r_basis=None,
        cutoff="quintic",
        cutoff_width=1.0,
        weighting=None,
        weighting_radius=None,
        weighting_exponent=4.0,
        center_weight=1.0,
        compression=None,
        species_weights=None,
        species=None,
        handle_unknown="error",
        n_jobs=None,
        dtype="float64",
        max_memory=None,
        verbose=0,
    ):
        self.r_cut = r_cut
        self.n_max = n_max
        self.l_max = l_max
        self.sigma = sigma
        self.radial_basis = radial_basis
        self.r_basis = r_basis
        self.cutoff = cutoff
        self.cutoff_width = cutoff_width
        self.weighting = weighting
        self.weighting_radius = weighting_radius
        self.weighting_exponent = weighting_exponent
        self.center_weight = center_weight
        self.compression = compression
        self.species_weights = species_weights
        self.species = species
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs
        self.dtype = dtype
        self.max_memory = max_memory
        self.verbose = verbose

    @classmethod
    def like_dscribe(
        cls, r_cut: float, n_max: int, l_max: int, sigma: float = 1.0, rbf: str = "gto"
    ) -> SOAP:
        """Give an estimator whose values equal those of DScribe's SOAP.

        DScribe counts neighbours up to the distance at which their Gaussian has fallen
        to 1e-3 at its r_cut, and drops them there without a transition.

        Parameters
        ----------
        r_cut : float
            DScribe's, in Å: the radius of the basis.
        n_max, l_max : int
        sigma : float
            In Å.
        rbf : {"gto", "polynomial"}

        Returns
        -------
        soap : SOAP
            Set further parameters with ``set_params``.

        Examples
        --------
        >>> from skatom.featurizers import SOAP
        >>> soap = SOAP.like_dscribe(r_cut=5.0, n_max=8, l_max=6, sigma=0.5)
        >>> print(f"{soap.r_cut:.3f}")
        6.858
        """
        reach = sigma * np.sqrt(-2.0 * np.log(DSCRIBE_DECAY))
        return cls(
            float(r_cut + reach),
            n_max=n_max,
            l_max=l_max,
            sigma=sigma,
            radial_basis=rbf,
            r_basis=r_cut,
            cutoff=None,
        )

    def prepare(self) -> None:
        """Check what parameters mean together, and lay out the columns."""
        r_basis = float(self.r_basis or self.r_cut_)
        if self.radial_basis == "gto" and r_basis <= 1.0:
            raise ValueError(
                f"The gto basis spans 1 Å to r_basis={r_basis} Å, which must "
                "be more than 1 Å. Raise r_cut or r_basis, or use the polynomial basis."
            )
        if self.weighting == "power" and self.weighting_exponent < 2:
            raise ValueError(
                f"weighting_exponent={self.weighting_exponent} gives weights with a kink "
                "at the centre; power weighting needs at least 2."
            )
        if self.weighting == "cubic" and (self.weighting_radius or np.inf) < self.r_cut:
            raise ValueError(
                f"Cubic weighting ends at weighting_radius={self.weighting_radius} Å, "
                f"inside r_cut={self.r_cut} Å. Lower r_cut to it: farther neighbours "
                "have no weight."
            )
        weights = check_weights(self.species_weights, self.species_)
        self._channels, self._coupling = coupling(
            weights, self.compression, self.species_
        )
        self._sizes = int(self.n_max), int(self.l_max)
        self._layout = pair_layout(len(self._channels), self.compression, *self._sizes)
        cutoff = weighting = None
        if self.cutoff is not None:
            cutoff = self.cutoff, float(self.cutoff_width)
        if self.weighting is not None:
            radius = float(self.weighting_radius or self.r_cut_)
            weighting = self.weighting, radius, float(self.weighting_exponent)
        # the table itself is kept in a cache rather than in the model
        self._radial = (
            self.radial_basis, *self._sizes, float(self.sigma), r_basis, self.r_cut_,
            cutoff, weighting,
        )  # fmt: skip
        table = radial_table(*self._radial)
        self.radial_error_ = table.error
        self._own = (self.center_weight * table.at_centre)[None, :]

    def columns(self) -> list[Column]:
        """Give the table of columns: pairs of channels, and l, n and n' in each."""
        return spectrum_columns(self._channels, self._layout, *self._sizes)

    def terms(self, block: PairBlock):
        """Give the kernels, and how to expand the density."""
        from skatom.featurizers._soap.terms import POWER_SPECTRUM

        table = radial_table(*self._radial)
        setup = (
            (*self._sizes, self._own.shape[1]),
            (table.nodes, table.pieces, self.r_cut_),
            *_angular_tables(self._sizes[1]),
            self._coupling,
            self._own,
            self._layout,
        )
        yield POWER_SPECTRUM, (setup,)


@lru_cache(maxsize=32)
def _angular_tables(l_max: int) -> tuple[np.ndarray, tuple]:
    """Recursion and gradients of the harmonics."""
    forward = gradients(l_max)
    return ladder(l_max), (*forward, *transposed(l_max, *forward))
