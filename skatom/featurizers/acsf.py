"""Atom-centred symmetry functions of Behler."""

from __future__ import annotations

from skatom._validation import Integral, Interval, Real, StrOptions
from skatom.base import AtomFeaturizer, Column, PairBlock, columns_by_species
from skatom.featurizers._acsf.grids import (
    CUTOFFS,
    angular_parts,
    angular_rows,
    radial_arrays,
    radial_rows,
    refuse_no_rows,
    texts,
)


class ACSF(AtomFeaturizer):
    """Atom-centred symmetry functions G2, G4 and G5, with exact derivatives.

    Every atom is described by sums over its neighbours (G2) and over pairs of its
    neighbours (G4, G5), each by the species involved, in Behler's numbering [1]_:

    - G2 = sum_j exp(-eta (r_ij - r_s)²) f(r_ij)
    - G4 = 2^(1-zeta) sum_{j<k} (1 + lambda cos theta_jik)^zeta
      exp(-eta (r_ij² + r_ik² + r_jk²)) f(r_ij) f(r_ik) f(r_jk)
    - G5 is G4 without r_jk.

    Parameters
    ----------
    r_cut : float, default=6.0
        Radius of the atomic environment, in Å.
    g2 : "auto", None, or array-like of shape (n, 2), default="auto"
        Rows (eta, r_s) of the radial functions; eta in 1/Å², r_s in Å. See Notes for
        "auto". None leaves them out.
    g4, g5 : "auto", None, or array-like of shape (n, 3), default="auto" and None
        Rows (eta, zeta, lambda) of the angular functions with and without r_jk. zeta is
        a number >= 1, integers being faster, lambda is -1 or 1.
    n_radial : int, default=12
        Number of radial functions of "auto".
    n_angular : int, default=4
        Number of Gaussian widths of "auto" angular functions.
    zetas : tuple of float, default=(1, 2, 4, 8)
        Angular resolutions of "auto"; each comes with lambda = -1 and 1.
    eta_scale : {"none", "rc2"}, default="none"
        "rc2" reads all eta given as rows in units of 1/r_cut², as Amp and its
        descendants do.
    cutoff : {"cosine", "polynomial", "tanh3"}, default="cosine"
        f(r) with x = r/r_cut: (1 + cos(pi x))/2 [1]_; 1 + gamma x^(gamma+1)
        - (gamma+1) x^gamma [2]_; tanh³(1 - x), which is 0.44 and not 1 at r = 0. Values
        and slopes vanish at r_cut.
    cutoff_gamma : float, default=4.0
        Exponent gamma of the polynomial cutoff.
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
    ``g2_``, ``g4_``, g5_ : ndarray of shape (n, 2) or (n, 3)
        Rows of the functions in use, eta in the unit of ``eta_scale``.

    See Also
    --------
    skatom.featurizers.acsf_grid : All combinations of parameters, as rows.
    skatom.preprocessing.PerAtom : Scale the features of each atom.

    Notes
    -----
    Columns: G2 by species, then G4, then G5, by pair of species a <= b in the order of
    ``species_`` (00, 01, .., 11, 12, ..); inside, functions as given. Each pair j, k of
    neighbours counts once, as in Amp and DScribe; sums over ordered pairs are twice that.

    "auto" is the scheme of [3]_: ``n_radial`` Gaussians centred on an even grid of
    r_s from 0.5 Å to r_cut - 0.5 Å, as wide as its spacing d, eta = 1/(2 d²); and
    ``n_angular`` centred Gaussians whose widths w go from 1 Å to r_cut - 0.5 Å,
    eta = 1/(2 w²), each with all ``zetas`` and both signs of lambda.

    Time is quadratic in neighbours for G4. For G5 with whole zeta up to 16 it is linear:
    atoms with more than about 10 neighbours for zeta up to 2, 25 up to 8 and 75 up to 16
    (more where there are many species) are summed as powers of spherical harmonics [4]_,
    which is exact to rounding.

    References
    ----------
    .. [1] J. Behler, J. Chem. Phys. 134, 074106 (2011), eqs. 4, 6, 8 and 9.
       doi:10.1063/1.3553717
    .. [2] A. Khorshidi and A. A. Peterson, Comput. Phys. Commun. 207, 310 (2016).
       doi:10.1016/j.cpc.2016.05.010
    .. [3] M. Gastegger, L. Schwiedrzik, M. Bittermann, F. Berzsenyi and P. Marquetand,
       J. Chem. Phys. 148, 241709 (2018). doi:10.1063/1.5019667
    .. [4] A. P. Bartók, R. Kondor and G. Csányi, Phys. Rev. B 87, 184115 (2013), the
       addition theorem. doi:10.1103/PhysRevB.87.184115

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import ACSF
    >>> acsf = ACSF(r_cut=5.0, g2=[[0.5, 1.2]], g4=[[0.005, 1, -1]])
    >>> features = acsf.fit_transform([molecule("H2O")])
    >>> features.values.shape
    (3, 5)
    >>> print(*acsf.get_feature_names_out()[:3])
    G2_H_eta0.5_rs1.2 G2_O_eta0.5_rs1.2 G4_H-H_eta0.005_zeta1_lambda-1
    """

    _parameter_constraints: dict = {
        **AtomFeaturizer._parameter_constraints,
        "g2": [StrOptions({"auto"}), "array-like", None],
        "g4": [StrOptions({"auto"}), "array-like", None],
        "g5": [StrOptions({"auto"}), "array-like", None],
        "n_radial": [Interval(Integral, 1, None, closed="left")],
        "n_angular": [Interval(Integral, 1, None, closed="left")],
        "zetas": ["array-like"],
        "eta_scale": [StrOptions({"none", "rc2"})],
        "cutoff": [StrOptions(set(CUTOFFS))],
        "cutoff_gamma": [Interval(Real, 0, None, closed="neither")],
    }

    _warm_up = ({}, {"g4": None, "g5": [[0.1, 1, 1]]})

    def __init__(
        self,
        r_cut=6.0,
        *,
        g2="auto",
        g4="auto",
        g5=None,
        n_radial=12,
        n_angular=4,
        zetas=(1, 2, 4, 8),
        eta_scale="none",
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
        self.g2 = g2
        self.g4 = g4
        self.g5 = g5
        self.n_radial = n_radial
        self.n_angular = n_angular
        self.zetas = zetas
        self.eta_scale = eta_scale
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
        scale = self.r_cut_**2 if self.eta_scale == "rc2" else 1.0
        angular = self.r_cut_, self.n_angular, self.zetas, scale
        self.g2_ = radial_rows(self.g2, self.r_cut_, self.n_radial, scale)
        self.g4_ = angular_rows("g4", self.g4, *angular)
        self.g5_ = angular_rows("g5", self.g5, *angular)
        refuse_no_rows(self.g2_, self.g4_, self.g5_)
        self._radial = radial_arrays(self.g2_ / [scale, 1.0])
        n_species = len(self.species_)
        self._angular = angular_parts(
            self.g4_ / [scale, 1.0, 1.0],
            self.g5_ / [scale, 1.0, 1.0],
            n_species,
            n_species * len(self.g2_),
        )
        self._cut = self.r_cut_, CUTOFFS[self.cutoff], float(self.cutoff_gamma)

    def columns(self) -> list[Column]:
        """Give the table of columns: G2, G4 and G5, each by species."""
        angular = "eta", "zeta", "lambda"
        return [
            *columns_by_species("G2", self.species_, texts(self.g2_, ("eta", "rs"))),
            *columns_by_species("G4", self.species_, texts(self.g4_, angular), 2),
            *columns_by_species("G5", self.species_, texts(self.g5_, angular), 2),
        ]

    def terms(self, block: PairBlock):
        """Give the kernels of G2, and of sums over triples and moments where needed."""
        from skatom.featurizers._acsf.terms import RADIAL, angular_terms

        n_species = len(self.species_)
        if len(self.g2_):
            yield RADIAL, (n_species, self._cut, self._radial)
        yield from angular_terms(block, n_species, self._cut, self._angular)
