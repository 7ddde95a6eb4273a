"""Two- and three-body features of the FCHL19 representation."""

from __future__ import annotations

from itertools import product

import numpy as np

from skatom._validation import Integral, Interval, Real
from skatom.base import AtomFeaturizer, Column, PairBlock, columns_by_species
from skatom.featurizers._aev.limits import check_shells
from skatom.featurizers._simd.padding import whole_lanes


class FCHL19(AtomFeaturizer):
    r"""Two- and three-body features of Faber, Christensen, Huang and von Lilienfeld.

    Neighbours are spread over shells whose width grows with the distance, and triples over
    shells and a Fourier series of the angle. The term of three-body dispersion by Axilrod,
    Teller and Muto weights triples, so that near ones count more [1]_:

    - two-body: sum_j r_ij^-n f(r_ij) LogNormal(R; mu(r_ij), sigma(r_ij)), with
      sigma² = ln(1 + eta_2/r²) and mu = ln r - sigma²/2;
    - three-body: w sqrt(eta_3/pi) sum_{j<k} (1 + 3 cos_i cos_j cos_k) (r_ij r_ik r_jk)^-p
      exp(-eta_3 ((r_ij + r_ik)/2 - R)²) f(r_ij) f(r_ik) 2 exp(-(zeta o)²/2) A(o theta_i),
      where A is the cosine and the sine, and o is 1, 3, 5, ..,

    with f(r) = (1 + cos(pi r/r_cut))/2 for a radius of each kind of function. The defaults
    are those of the paper, which were optimised for energies of molecules.

    Parameters
    ----------
    r_cut : float, default=8.0
        Radius of the two-body functions, in Å.
    r_cut_angular : float, default=None
        Radius of the three-body functions, in Å, at most ``r_cut``, which None stands
        for. The number of triples grows with its sixth power: choose 4 to 6 Å for
        crystals.
    n_radial, n_angular : int, default=24 and 20
        Number of shells of both kinds; the last one stands at the radius.
    n_fourier : int, default=1
        Number of orders o of the Fourier series, each a cosine and a sine.
    radial_eta, angular_eta : float, default=0.32 and 2.7
        Exponents eta_2 (in Å²) and eta_3 (in 1/Å²).
    zeta : float, default=pi
        Width of the angular functions, in radians.
    two_body_decay, three_body_decay : float, default=1.8 and 0.57
        Powers n and p by which distances weigh less.
    three_body_weight : float, default=13.4
        Factor w of the three-body functions.
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
    radial_shells_, angular_shells_ : ndarray of float
        Radii of the shells, in Å.

    See Also
    --------
    AEV : Shells and sectors of angles, without weights of distances.
    ACSF : Symmetry functions with exponents of your own.

    Notes
    -----
    Columns: two-body by species, then three-body by pair of species a <= b in the order of
    ``species_`` (00, 01, .., 11, 12, ..), there by shell, order and cosine before sine.
    Values and order equal those of ``generate_fchl19`` in qmllib [2]_, given ``elements``
    sorted by atomic number; unlike there, cells may be periodic and derivatives have any
    ``n_fourier``.

    The sine has a cusp where three atoms are in line. Its slope there is taken to be zero,
    the mean of both sides.

    Where energies and forces are learned together by kernels, a separate kernel for each
    element of the centre is what the paper uses.

    References
    ----------
    .. [1] A. S. Christensen, L. A. Bratholm, F. A. Faber and O. A. von Lilienfeld, J.
       Chem. Phys. 152, 044107 (2020), eqs. 5 to 14. doi:10.1063/1.5126701
    .. [2] A. S. Christensen et al., qmllib, https://github.com/qmlcode/qmllib

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import FCHL19
    >>> fchl = FCHL19().fit([molecule("H2O")])
    >>> fchl.transform([molecule("H2O")]).values.shape
    (3, 168)
    >>> print(*fchl.get_feature_names_out()[[0, 48, 49]])
    FCHL_H_R0.333333 FCHL_H-H_R0.4_cos1 FCHL_H-H_R0.4_sin1
    """

    _parameter_constraints: dict = {
        **AtomFeaturizer._parameter_constraints,
        "r_cut_angular": [Interval(Real, 0, None, closed="neither"), None],
        "n_radial": [Interval(Integral, 1, None, closed="left")],
        "n_angular": [Interval(Integral, 1, None, closed="left")],
        "n_fourier": [Interval(Integral, 1, None, closed="left")],
        "radial_eta": [Interval(Real, 0, None, closed="neither")],
        "angular_eta": [Interval(Real, 0, None, closed="neither")],
        "zeta": [Interval(Real, 0, None, closed="left")],
        "two_body_decay": [Interval(Real, 0, None, closed="left")],
        "three_body_decay": [Interval(Real, 0, None, closed="left")],
        "three_body_weight": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        r_cut=8.0,
        *,
        r_cut_angular=None,
        n_radial=24,
        n_angular=20,
        n_fourier=1,
        radial_eta=0.32,
        angular_eta=2.7,
        zeta=np.pi,
        two_body_decay=1.8,
        three_body_decay=0.57,
        three_body_weight=13.4,
        species=None,
        handle_unknown="error",
        n_jobs=None,
        dtype="float64",
        max_memory=None,
        verbose=0,
    ):
        self.r_cut = r_cut
        self.r_cut_angular = r_cut_angular
        self.n_radial = n_radial
        self.n_angular = n_angular
        self.n_fourier = n_fourier
        self.radial_eta = radial_eta
        self.angular_eta = angular_eta
        self.zeta = zeta
        self.two_body_decay = two_body_decay
        self.three_body_decay = three_body_decay
        self.three_body_weight = three_body_weight
        self.species = species
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs
        self.dtype = dtype
        self.max_memory = max_memory
        self.verbose = verbose

    def prepare(self) -> None:
        """Turn the parameters into the arrays that the kernels read."""
        r_cut_angular = float(self.r_cut_angular or self.r_cut_)
        check_shells(self.r_cut_, r_cut_angular, self.angular_eta)
        self.radial_shells_ = np.linspace(0, self.r_cut_, 1 + self.n_radial)[1:]
        self.angular_shells_ = np.linspace(0, r_cut_angular, 1 + self.n_angular)[1:]
        self._orders = np.arange(1, 2 * self.n_fourier, 2)
        shells = np.stack(
            [
                np.log(self.radial_shells_),
                1 / (self.radial_shells_ * np.sqrt(2 * np.pi)),
            ]
        )
        weight = self.three_body_weight * np.sqrt(self.angular_eta / np.pi)
        self._radial = (
            (self.r_cut_, 0, 0.0),
            (float(self.radial_eta), float(self.two_body_decay)),
            (whole_lanes(shells), int(self.n_radial)),
        )
        self._angular = (
            (r_cut_angular, 0, 0.0),
            (float(self.angular_eta), 0.5 * self.three_body_decay),
            2 * weight * np.exp(-0.5 * (self.zeta * self._orders) ** 2),
            (whole_lanes(self.angular_shells_[None]), int(self.n_angular)),
            len(self.species_) * int(self.n_radial),
        )

    def columns(self) -> list[Column]:
        """Give the table of columns: two-body, then three-body, each by species."""
        radial, angular = (
            [f"R{shell:.6g}" for shell in shells]
            for shells in (self.radial_shells_, self.angular_shells_)
        )
        waves = [f"{wave}{order}" for order in self._orders for wave in ("cos", "sin")]
        return [
            *columns_by_species("FCHL", self.species_, zip(radial)),
            *columns_by_species("FCHL", self.species_, product(angular, waves), 2),
        ]

    def terms(self, block: PairBlock):
        """Give the kernels of two-body and three-body functions."""
        from skatom.featurizers._fchl19.terms import ANGULAR, RADIAL

        n_species = len(self.species_)
        yield RADIAL, (n_species, *self._radial)
        yield ANGULAR, (n_species, *self._angular)
