"""Kernel model of atomic energies, trained on energies, forces and stress."""

from __future__ import annotations

import numpy as np
from sklearn.gaussian_process.kernels import Kernel as StockKernel

from skatom._runtime.memory import memory_limit, refuse_too_much
from skatom._runtime.progress import Progress
from skatom._validation import (
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_random_state,
)
from skatom.base import Target
from skatom.models._algebra.solve import factoring_time
from skatom.models._kernel_ridge.base import KernelModel
from skatom.models._kernel_ridge.choose_references import SELECTIONS, choose_references
from skatom.models._kernel_ridge.exact import solve_exactly
from skatom.models._kernel_ridge.memory import exact_memory, refuse_exact, sparse_memory
from skatom.models._kernel_ridge.rows_against_references import take_references
from skatom.models._kernel_ridge.sparse import solve_sparsely
from skatom.models._kernels.named import KERNELS
from skatom.models._labelled.training_set import TrainingSet

# "auto" solves exactly up to this many labels, a matrix of 7 GB and minutes, if that is not
# more than half of the memory.
EXACT_LABELS = 30_000
# References that "auto" takes beyond.
AUTO_REFERENCES = 4_000


class AtomicKernelRidge(KernelModel):
    r"""Kernel ridge regression for sums over atoms, on energies, forces and stress.

    The energy of a structure is a baseline plus a sum over its atoms of
    :math:`f_{z_i}(x_i)`, where every species z has a function of its own in the space of
    the kernel; the kernel between atoms of different species is zero. Only totals are
    known, so the kernel between two structures is the sum over their pairs of atoms,
    and a force is correlated with energies and forces through derivatives of the kernel.
    On a plain matrix, whose rows count as atoms of one kind, this is
    :class:`sklearn.kernel_ridge.KernelRidge`.

    Parameters
    ----------
    alpha : float, default=1e-7
        Regularisation: the variance of the noise in an energy of one atom, relative to
        that of the function. Must not be negative.
    kernel : str or kernel object of scikit-learn, default="rbf"
        Kernel between the features of two atoms: "rbf", "matern52", "matern32",
        "exponential", "polynomial", "linear", "cosine" (the cosine of the angle between
        them to the power ``degree``) or "laplacian". The exponential and the Laplacian
        kernel have kinks, so that forces can be predicted but not trained. Or RBF,
        Matern, RationalQuadratic, DotProduct, ConstantKernel of
        :mod:`sklearn.gaussian_process.kernels`, and sums, products and powers of them;
        forces are trained with a Matern kernel if its nu is larger than 1.
    gamma : float, "scale", "species", None, array-like or dict, default="scale"
        Inverse squared length: exp(-gamma d^2) for "rbf", with the same length scale
        l, gamma = 1 / (2 l^2), for the other radial kernels; ``exp(-gamma |d|_1)`` for
        "laplacian", (gamma x.y + coef0)^degree for "polynomial".
        "scale" is 0.01 over the variance of the features within their species, summed
        over features: ten times the typical distance is the length over which a
        function changes much; "species" takes the variance of each species by itself.
        None is 1 / n_features, scikit-learn's default. An array has one number a
        feature, a dict one number or array a chemical symbol. Kernel objects have
        lengths of their own.
    degree : float, default=3
        Degree of the polynomial kernel, and power of the cosine.
    coef0 : float, default=1
        Constant of the polynomial kernel.
    species_coupling : float, array-like (n_species, n_species) or None, default=None
        What the kernel between atoms of different species is multiplied by, so that they
        learn from each other [4]_: one number up to 1 for all pairs, or a positive
        semidefinite matrix in the order of atomic numbers, whose diagonal holds the
        variances of species. None couples none.
    n_references : int, "auto", "all" or None, default="auto"
        Number of atoms whose kernels span the model. None solves exactly, with one
        function for every label. "auto" does so up to 30 000 labels (energies and force
        components) that take no more than half of ``max_memory``, and takes 4 000
        references beyond. "all" takes every atom. See Notes.
    reference_selection : {"fps", "cur", "kmeans", "random"}, default="fps"
        How references are chosen: farthest-point sampling, drawing by leverage (CUR),
        the atoms nearest to the centres of k-means, or drawing at random.
    target : str or Target, default="energy"
        What y is, see :class:`skatom.base.Target`: an energy, or another sum over atoms,
        or "mean", an intensive number. Forces are those of energies only.
    baseline : {"composition"} or None, default="composition"
        Subtract one energy a species, fitted by least squares of smallest norm. A plain
        matrix has no composition and no baseline.
    force_weight : float, default=1.0
        Weight of a squared error of a force component, in Å^2, relative to that of an
        energy divided by the number of atoms: alpha / force_weight regularises forces.
    stress_weight : float, default=1.0
        Weight of a squared error of a stress component times the volume, relative to
        that of an energy.
    forces : {"auto", "calc"} or str or None, default="auto"
        Where the forces of the training structures are: in the results of their
        calculators ("calc"), in ``atoms.arrays[name]``, or in either, if there are any
        ("auto"). None trains on energies alone.
    stress : {"auto", "calc"} or str or None, default=None
        The same for stress, by default not trained on.
    max_memory : int, float or str, default=None
        Bytes, or a text such as "8GB", that fit may take; a fit that needs more is refused
        before anything is allocated. None for all that the machine has.
    random_state : int, RandomState or None, default=None
        For choosing references by "cur", "kmeans" or "random"; nothing else draws.
    verbose : int, default=0
        Whether the expected time and the progress are shown.

    Attributes
    ----------
    dual_coef_ : ndarray of shape (``n_references_``,)
        Coefficients of the kernels at the references.
    dual_slopes_ : ndarray of shape (``n_references_``, n_features) or None
        Coefficients of the derivatives of the kernels at the references; None unless
        solved exactly with forces or stress.
    references_ : ndarray of shape (``n_references_``, n_features)
        Features of the reference atoms, sorted by species.
    reference_numbers_ : ndarray of int, shape (``n_references_``,)
        Their atomic numbers.
    reference_atoms_ : ndarray of int, shape (``n_references_``,)
        Their indices among all atoms of the training structures.
    gamma_ : float, ndarray of shape (n_species, 1 or n_features), or None
        The gamma in use; None for kernel objects that are sums or products.
    kernel_ : AtomKernel
        The kernel between atoms.
    baseline_ : ndarray of shape (n_species,)
        Energies of species in eV.
    numbers_ : ndarray of int, shape (n_species,)
        Atomic numbers of the species, ascending.

    See Also
    --------
    AtomicRidge : Linear in the features, with the same loss.
    sklearn.kernel_ridge.KernelRidge : What this model is on a plain matrix.

    Notes
    -----
    Minimised is, over structures s of n_s atoms, volume V_s and ``sample_weight`` v_s,

    .. math:: \sum_s v_s \Big[ \frac{(\Delta E_s)^2}{n_s}
        + w_F \sum_{i,c} (\Delta F_{ic})^2
        + \frac{w_S}{n_s} \sum_{v=1}^{6} (V_s \Delta\sigma_v)^2 \Big]
        + \alpha \sum_z |f_z|^2 .

    With energies alone this is the atomic decomposition ansatz
    :math:`(L K L^T + \alpha N) a = E` [1]_, where L sums atoms to structures and N holds
    the numbers of atoms. With forces the exact solution also has derivatives of kernels
    as basis functions [2]_ [3]_; a matrix of the number of labels squared is factored by
    Cholesky. With references the minimum is taken over sums of kernels at those
    atoms [2]_; rows are folded into a QR factorisation a few structures at a time, and
    the matrix is never squared, which would lose half the digits. The exact solution is
    more accurate for the same data, above all for few structures.

    The metric between features matters: features with large variance should be those
    that matter. Standardising ACSF to unit variance makes much worse models, because it
    raises symmetry functions that hardly change to the rank of those that do.

    References
    ----------
    .. [1] El Khatib and de Jong, arXiv:2003.13388 (2020), section II.
    .. [2] Bartok and Csanyi, Int. J. Quantum Chem. 115, 1051 (2015),
       doi:10.1002/qua.24927.
    .. [3] Christensen and von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020),
       doi:10.1088/2632-2153/abba6f.
    .. [4] Willatt, Musil and Ceriotti, Phys. Chem. Chem. Phys. 20, 29661 (2018),
       doi:10.1039/C8CP05921G.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import AtomicKernelRidge
    >>> X = np.linspace(0.0, 3.0, 20)[:, None]
    >>> model = AtomicKernelRidge(alpha=1e-6, gamma=1.0).fit(X, np.sin(X[:, 0]))
    >>> model.predict([[1.0]]).round(3)
    array([0.841])
    """

    _parameter_constraints: dict = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "kernel": [StrOptions(set(KERNELS)), StockKernel],
        "gamma": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"scale", "species"}),
            "array-like",
            dict,
            None,
        ],
        "degree": [Interval(Real, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "species_coupling": [Real, "array-like", None],
        "n_references": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto", "all"}),
            None,
        ],
        "reference_selection": [StrOptions(set(SELECTIONS))],
        "target": [str, Target],
        "baseline": [StrOptions({"composition"}), None],
        "force_weight": [Interval(Real, 0, None, closed="left")],
        "stress_weight": [Interval(Real, 0, None, closed="left")],
        "forces": [str, None],
        "stress": [str, None],
        "max_memory": [Interval(Real, 0, None, closed="neither"), str, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        alpha=1e-7,
        *,
        kernel="rbf",
        gamma="scale",
        degree=3,
        coef0=1,
        species_coupling=None,
        n_references="auto",
        reference_selection="fps",
        target="energy",
        baseline="composition",
        force_weight=1.0,
        stress_weight=1.0,
        forces="auto",
        stress=None,
        max_memory=None,
        random_state=None,
        verbose=0,
    ):
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.species_coupling = species_coupling
        self.n_references = n_references
        self.reference_selection = reference_selection
        self.target = target
        self.baseline = baseline
        self.force_weight = force_weight
        self.stress_weight = stress_weight
        self.forces = forces
        self.stress = stress
        self.max_memory = max_memory
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, forces=None, stress=None):
        """Fit the function of every species.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
            Features. Forces and stress are read from the structures they came from.
        y : array-like of shape (n_structures,)
            Total energies in eV.
        sample_weight : array-like of shape (n_structures,), optional
            Weights of structures: of their energies, forces and stress alike.
        forces : sequence of arrays of shape (n_atoms, 3), or str, optional
            Forces in eV/Å in place of those that the parameter ``forces`` finds.
        stress : sequence of arrays of shape (6,) or (3, 3), or str, optional
            Stress in eV/Å^3, positive in tension, Voigt xx yy zz yz xz xy.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If y or the labels are missing, of the wrong length or not finite; if forces
            are to be trained with the Laplacian kernel, or with y a rescaled copy of the
            energies of the structures.
        MemoryError
            If the solution needs more than ``max_memory``.
        """
        given = self._read(X, y, sample_weight, forces, stress)
        self.kernel_ = self._make_kernel(given, self.kernel, self.gamma)
        self.gamma_ = self.kernel_.gamma
        self._solve(self._above_baseline(given))
        return self

    def _solve(self, given: TrainingSet) -> None:
        """Solve for all labels exactly, or in the span of chosen references."""
        kernel = self.kernel_
        scaled = kernel.scale_set(given)
        atoms = self._choose_atoms(scaled)
        name, shown = type(self).__name__, bool(self.verbose)
        n_labels = given.n_labels
        if atoms is None:
            # collecting the matrix takes about as long as factoring it
            seconds = 2 * factoring_time(n_labels) if shown else 0.0
            with Progress(name, n_labels, "labels", shown, seconds) as progress:
                self._keep(given, *solve_exactly(scaled, kernel, self.alpha))
                progress.advance(n_labels)
            return
        references = take_references(scaled.X, atoms, kernel)
        with Progress(name, n_labels, "labels", shown) as progress:
            coef = solve_sparsely(scaled, references, self.alpha, progress)
        self._keep(given, references, coef, None)

    def _choose_atoms(self, given: TrainingSet) -> np.ndarray | None:
        """Choose references; None is the exact solution. Refuse what does not fit."""
        X, n_labels, half = given.X, given.n_labels, 0.5 * memory_limit(self.max_memory)
        needed = exact_memory(X, given.labels, n_labels)
        n_references = self.n_references
        if n_references == "auto":
            exact = n_labels <= EXACT_LABELS and needed <= half
            n_references = None if exact else AUTO_REFERENCES
        if n_references is None:
            refuse_exact(needed, self.max_memory, n_labels)
            return None
        candidates = np.flatnonzero(given.samples[X.structure_index] > 0)
        if n_references == "all":
            n_references = len(candidates)
        n_references = min(n_references, len(candidates))
        what = f"The solution on {n_references} references"
        remedy = "Set n_references to fewer, or raise max_memory."
        refuse_too_much(sparse_memory(X, n_references), self.max_memory, what, remedy)
        return candidates[
            choose_references(
                X.values[candidates],
                X.numbers[candidates],
                n_references,
                self.reference_selection,
                check_random_state(self.random_state),
            )
        ]
