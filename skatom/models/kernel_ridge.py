"""Kernel model of atomic energies, trained on energies, forces and stress."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from skatom._validation import (
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_random_state,
    check_sample_weight,
    check_targets,
)
from skatom.base import AtomicRegressor
from skatom.features import AtomFeatures
from skatom.models._composition import fit_composition, species_counts
from skatom.models._design_matrix import (
    CHUNK_BYTES,
    DerivativeRows,
    LossWeights,
    count_targets,
    derivative_rows,
)
from skatom.models._kernel.exact import solve_exactly
from skatom.models._kernel.named import KERNELS, Kernel
from skatom.models._kernel.references import choose_references
from skatom.models._kernel.rows import References, take_references
from skatom.models._kernel.sparse import solve_sparsely
from skatom.models._scale import refuse_rescaled_targets
from skatom.models._units import warn_of_mixed_units
from skatom.structures import Labels

# "auto" solves exactly up to this many labels: a matrix of 1.8 GB.
EXACT_LABELS = 15_000
# References that "auto" takes beyond.
AUTO_REFERENCES = 4_000
LARGEST_MATRIX_BYTES = 16e9
# gamma="scale" is this over the variance within species, summed over features.
SCALE = 0.01


class AtomicKernelRidge(AtomicRegressor):
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
    kernel : str, default="rbf"
        Kernel between the features of two atoms: "rbf", "matern52", "matern32",
        "polynomial", "linear" or "laplacian", which has a kink, so that forces
        can be predicted but not trained.
    gamma : float, "scale" or None, default="scale"
        Inverse squared length: exp(-gamma d^2) for "rbf", with the same length scale
        l, gamma = 1 / (2 l^2), for the Matern kernels; ``exp(-gamma |d|_1)`` for
        "laplacian", (gamma x.y + coef0)^degree for "polynomial"; unused for "linear".
        "scale" is 0.01 over the variance of the features within their species, summed
        over features: ten times the typical distance is the length over which a
        function changes much. None is 1 / n_features, scikit-learn's default.
    degree : float, default=3
        Degree of the polynomial kernel.
    coef0 : float, default=1
        Constant of the polynomial kernel.
    n_references : int, "auto" or None, default="auto"
        Number of atoms whose kernels span the model. None solves exactly, with one
        function for every label. "auto" does so up to 15 000 labels (energies and force
        components), and takes 4 000 references beyond. See Notes.
    reference_selection : {"fps", "random"}, default="fps"
        How references are chosen: farthest-point sampling, or drawing at random.
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
    random_state : int, RandomState or None, default=None
        For drawing references at random; nothing else draws.

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
    gamma_ : float
        The gamma in use.
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
        "kernel": [StrOptions(set(KERNELS))],
        "gamma": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"scale"}),
            None,
        ],
        "degree": [Interval(Real, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "n_references": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "reference_selection": [StrOptions({"fps", "random"})],
        "baseline": [StrOptions({"composition"}), None],
        "force_weight": [Interval(Real, 0, None, closed="left")],
        "stress_weight": [Interval(Real, 0, None, closed="left")],
        "forces": [str, None],
        "stress": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        alpha=1e-7,
        *,
        kernel="rbf",
        gamma="scale",
        degree=3,
        coef0=1,
        n_references="auto",
        reference_selection="fps",
        baseline="composition",
        force_weight=1.0,
        stress_weight=1.0,
        forces="auto",
        stress=None,
        random_state=None,
    ):
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.n_references = n_references
        self.reference_selection = reference_selection
        self.baseline = baseline
        self.force_weight = force_weight
        self.stress_weight = stress_weight
        self.forces = forces
        self.stress = stress
        self.random_state = random_state

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
            energies of the structures; if the exact solution needs more than 16 GB.
        """
        plain = not isinstance(X, AtomFeatures)
        X = self._check_X(X, reset=True)
        self.numbers_ = np.unique(X.numbers)
        y = check_targets(y, len(X))
        warn_of_mixed_units(X, y)
        samples = check_sample_weight(sample_weight, len(X))
        labels = self._read_labels(X, forces, stress)
        if labels is not None:
            self._check_derivatives(X, y)
        weights = LossWeights(samples, self.force_weight, self.stress_weight)
        self.baseline_ = np.zeros(len(self.numbers_))
        if self.baseline is not None and not plain:
            energy_weights = weights.energies(X.n_atoms)
            self.baseline_ = fit_composition(
                X, y, energy_weights, self.numbers_
            ).energies
            y = y - species_counts(X, self.numbers_) @ self.baseline_
        self.gamma_ = self._choose_gamma(X, samples)
        self._solve(X, y, labels, weights, self._kernel(self.gamma_))
        return self

    def _check_derivatives(self, X: AtomFeatures, y: np.ndarray) -> None:
        if self.kernel == "laplacian":
            raise ValueError(
                "The Laplacian kernel has a kink and no second derivative, so forces and "
                "stress cannot be trained with it: choose kernel='matern32' or 'rbf', or "
                "forces=None."
            )
        refuse_rescaled_targets(y, X.structures)

    def _solve(
        self,
        X: AtomFeatures,
        y: np.ndarray,
        labels: Labels | None,
        weights: LossWeights,
        kernel: Kernel,
    ) -> None:
        """Solve for all labels exactly, or in the span of chosen references."""
        energy_weights = weights.energies(X.n_atoms)
        n_labels = len(X) + (0 if labels is None else count_targets(X, labels))
        n_references = self._n_references(n_labels)
        blocks: Iterable[DerivativeRows] = ()
        if n_references is None:
            if labels is not None:
                blocks = derivative_rows(X, labels, weights, len(X.numbers))
            references, self.dual_coef_, self.dual_slopes_ = solve_exactly(
                X, y, energy_weights, list(blocks), kernel, self.alpha
            )
        else:
            candidates = np.flatnonzero(weights.samples[X.structure_index] > 0)
            atoms = candidates[
                choose_references(
                    X.values[candidates],
                    X.numbers[candidates],
                    n_references,
                    self.reference_selection,
                    check_random_state(self.random_state),
                )
            ]
            references = take_references(X, atoms, kernel)
            if labels is not None:
                blocks = derivative_rows(X, labels, weights, len(atoms))
            self.dual_slopes_ = None
            self.dual_coef_ = solve_sparsely(
                X, y, energy_weights, blocks, references, self.alpha
            )
        self.references_ = references.values
        self.reference_numbers_ = references.numbers
        self.reference_atoms_ = references.atoms

    def _n_references(self, n_labels: int) -> int | None:
        """Resolve "auto"; None is the exact solution."""
        if self.n_references == "auto":
            return None if n_labels <= EXACT_LABELS else AUTO_REFERENCES
        if self.n_references is None and 8 * n_labels**2 > LARGEST_MATRIX_BYTES:
            raise ValueError(
                f"The exact solution for {n_labels} labels needs a matrix of "
                f"{8e-9 * n_labels**2:.0f} GB: set n_references='auto' or to a number "
                "of atoms, say 4000."
            )
        return self.n_references

    def _predict_atoms(self, X: AtomFeatures) -> np.ndarray:
        energies = self.baseline_[np.searchsorted(self.numbers_, X.numbers)]
        kernel = self._kernel(self.gamma_)
        for atoms, expansion in self._parts(X):
            energies[atoms] += kernel.expansion(X.values[atoms], *expansion)
        return energies

    def _feature_gradient(self, X: AtomFeatures) -> np.ndarray:
        gradient = np.zeros_like(X.values)
        kernel = self._kernel(self.gamma_)
        for atoms, expansion in self._parts(X):
            gradient[atoms] = kernel.expansion_gradient(X.values[atoms], *expansion)
        return gradient

    def _parts(self, X: AtomFeatures):
        """Atoms of one species, not too many at a time, and the references of it."""
        for number, at in self._references().kinds():
            slopes = None if self.dual_slopes_ is None else self.dual_slopes_[at]
            expansion = (self.references_[at], self.dual_coef_[at], slopes)
            atoms = np.flatnonzero(X.numbers == number)
            step = max(1, CHUNK_BYTES // (8 * (at.stop - at.start)))
            for start in range(0, len(atoms), step):
                yield atoms[start : start + step], expansion

    def _references(self) -> References:
        return References(
            self.reference_atoms_,
            self.references_,
            self.reference_numbers_,
            self._kernel(self.gamma_),
        )

    def _kernel(self, gamma: float) -> Kernel:
        return Kernel(self.kernel, float(gamma), float(self.degree), float(self.coef0))

    def _choose_gamma(self, X: AtomFeatures, samples: np.ndarray) -> float:
        if self.gamma is None:
            return 1.0 / X.values.shape[1]
        if self.gamma != "scale":
            return float(self.gamma)
        weights = samples[X.structure_index]
        total = 0.0
        for number in self.numbers_:
            mask = (X.numbers == number) & (weights > 0)
            if mask.any():
                values, w = X.values[mask], weights[mask]
                mean = np.average(values, axis=0, weights=w)
                total += w @ np.sum((values - mean) ** 2, axis=1)
        return float(SCALE * weights.sum() / total) if total > 0 else 1.0
