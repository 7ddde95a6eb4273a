"""Kernel ridge regression that chooses its regularisation and lengths by itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.gaussian_process.kernels import Kernel as StockKernel
from sklearn.model_selection import LeaveOneOut, check_cv

from skatom._runtime.progress import Progress
from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
)
from skatom.base import Target
from skatom.elements._counts import species_counts
from skatom.models._algebra.left_out import cross_validated_residuals, labels_of_folds
from skatom.models._algebra.solve import factoring_time
from skatom.models._kernel_ridge.base import KernelModel
from skatom.models._kernel_ridge.exact import exact_problem, solve_exactly
from skatom.models._kernel_ridge.memory import exact_memory, refuse_exact
from skatom.models._kernel_ridge.scores import SCORES, score
from skatom.models._kernels.named import KERNELS
from skatom.models._labelled.training_set import TrainingSet

# Multiples of gamma="scale" that "auto" tries.
AUTO_GAMMAS = (0.1, 0.3, 1.0, 3.0, 10.0)
WITH_GAMMA = ("rbf", "matern52", "matern32", "exponential", "polynomial", "laplacian")


class AtomicKernelRidgeCV(KernelModel):
    r"""Kernel ridge regression with closed-form cross-validation.

    :class:`AtomicKernelRidge`, solved exactly, for every kernel, ``gamma`` and ``alpha`` in
    question. The errors on structures that are held out follow from one inverse for all
    folds [1]_, so that leaving out every structure in turn costs no more than leaving
    out a few; features and kernels are computed once and shared by all folds.

    Parameters
    ----------
    alphas : array-like of float, default=(1e-9, 1e-8, 1e-7, 1e-6, 1e-5)
        Regularisations to choose from, as ``alpha`` of :class:`AtomicKernelRidge`. More
        than zero.
    kernel : str, kernel object of scikit-learn, or list of these, default="rbf"
        The kernel, or kernels to choose from.
    gammas : list or "auto", default="auto"
        Values of ``gamma`` to choose from, each as in :class:`AtomicKernelRidge`. "auto"
        is 0.1, 0.3, 1, 3 and 10 times what "scale" gives.
    cv : int, splitter, iterable or None, default=None
        Which structures are held out together: each by itself (None), k folds, or as a
        splitter says. Frames of one trajectory belong together: use
        :class:`sklearn.model_selection.GroupKFold` and ``fit(..., groups=...)``.
    scoring : str, default="loss"
        What decides: the loss of :class:`AtomicKernelRidge` on what is held out, or a
        metric of `skatom.metrics`: "neg_energy_mae", "neg_energy_rmse" (per atom),
        "neg_force_mae", "neg_force_rmse", "neg_stress_mae" or "neg_stress_rmse".
    degree, coef0, species_coupling, target, baseline
        As for :class:`AtomicKernelRidge`.
    force_weight, stress_weight, forces, stress, max_memory, verbose
        As for :class:`AtomicKernelRidge`.

    Attributes
    ----------
    alpha_ : float
        Chosen regularisation.
    gamma_ : float, ndarray or None
        Chosen gamma, as of :class:`AtomicKernelRidge`.
    best_score_ : float
        Score of the choice; higher is better. With ``scoring="loss"`` minus the loss over
        the number of energies, force and virial components, as of `AtomicRidgeCV`.
    cv_results_ : dict of str to list
        "kernel", "gamma", "alpha" and "score" of all candidates.
    kernel_ : AtomKernel
        The chosen kernel between atoms.
    dual_coef_, dual_slopes_, references_, reference_numbers_, reference_atoms_
        As of :class:`AtomicKernelRidge`.
    baseline_, numbers_
        As of :class:`AtomicKernelRidge`.

    See Also
    --------
    AtomicKernelRidge : With everything given.
    sklearn.linear_model.RidgeCV : The same for linear models.

    Notes
    -----
    Scores are those of all held-out structures together, not averages over folds. They
    equal those of refits, with the energies of species fitted anew for each, but for
    ``gamma="scale"``, which is taken from all structures once. A structure of weight zero
    is neither trained on nor scored.

    An inverse takes three times as long as the factorisation of a single fit.

    References
    ----------
    .. [1] Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section
       5.4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import AtomicKernelRidgeCV
    >>> X = np.linspace(0.0, 3.0, 20)[:, None]
    >>> model = AtomicKernelRidgeCV(alphas=[1e-6, 1e-1]).fit(X, np.sin(X[:, 0]))
    >>> model.alpha_
    1e-06
    """

    _parameter_constraints: dict = {
        "alphas": ["array-like"],
        "kernel": [StrOptions(set(KERNELS)), StockKernel, list],
        "gammas": [StrOptions({"auto"}), list, tuple, np.ndarray],
        "cv": [
            Interval(Integral, 2, None, closed="left"),
            HasMethods(["split", "get_n_splits"]),
            "array-like",
            None,
        ],
        "scoring": [StrOptions(set(SCORES))],
        "degree": [Interval(Real, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "species_coupling": [Real, "array-like", None],
        "target": [str, Target],
        "baseline": [StrOptions({"composition"}), None],
        "force_weight": [Interval(Real, 0, None, closed="left")],
        "stress_weight": [Interval(Real, 0, None, closed="left")],
        "forces": [str, None],
        "stress": [str, None],
        "max_memory": [Interval(Real, 0, None, closed="neither"), str, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        alphas=(1e-9, 1e-8, 1e-7, 1e-6, 1e-5),
        *,
        kernel="rbf",
        gammas="auto",
        cv=None,
        scoring="loss",
        degree=3,
        coef0=1,
        species_coupling=None,
        target="energy",
        baseline="composition",
        force_weight=1.0,
        stress_weight=1.0,
        forces="auto",
        stress=None,
        max_memory=None,
        verbose=0,
    ):
        self.alphas = alphas
        self.kernel = kernel
        self.gammas = gammas
        self.cv = cv
        self.scoring = scoring
        self.degree = degree
        self.coef0 = coef0
        self.species_coupling = species_coupling
        self.target = target
        self.baseline = baseline
        self.force_weight = force_weight
        self.stress_weight = stress_weight
        self.forces = forces
        self.stress = stress
        self.max_memory = max_memory
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, groups=None, forces=None, stress=None):
        """Choose among all candidates, and fit the chosen one to everything.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
            Features. Forces and stress are read from the structures they came from.
        y : array-like of shape (n_structures,)
            Total energies in eV.
        sample_weight : array-like of shape (n_structures,), optional
            Weights of structures: of their energies, forces and stress alike.
        groups : array-like of shape (n_structures,), optional
            What belongs together, for splitters that ask for it.
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
            As :class:`AtomicKernelRidge`; if an alpha is not positive, if there is one
            structure only, or if ``scoring`` needs labels that are not trained on.
        """
        alphas = _check_alphas(self.alphas)
        given = self._read(X, y, sample_weight, forces, stress)
        self._refuse(given)
        folds = self._folds(given, groups)
        baselines = self._baselines(given, folds)
        results = {"kernel": [], "gamma": [], "alpha": [], "score": []}
        best = (-np.inf, None, None)
        kernels = list(self._candidates(given))
        name, n = type(self).__name__, len(kernels) * len(alphas)
        # every alpha inverts a matrix, in six times what factoring it takes
        seconds = 6.0 * n * factoring_time(given.n_labels) if self.verbose else 0.0
        shown = bool(self.verbose)
        with Progress(name, n, "candidates", shown, seconds) as progress:
            for kernel, gamma in kernels:
                self.kernel_ = self._make_kernel(given, kernel, gamma)
                scores = self._scores(given, folds, baselines, alphas)
                for alpha, found in zip(alphas, progress.over(scores)):
                    for column, value in zip(results, (kernel, gamma, alpha, found)):
                        results[column].append(value)
                    if found > best[0]:
                        best = (found, alpha, self.kernel_)
        self.cv_results_ = results
        self.best_score_, self.alpha_, self.kernel_ = best
        self.gamma_ = self.kernel_.gamma
        scaled = self.kernel_.scale_set(self._above_baseline(given))
        self._keep(given, *solve_exactly(scaled, self.kernel_, self.alpha_))
        return self

    def _refuse(self, given: TrainingSet) -> None:
        """Refuse what cannot be scored or does not fit into memory."""
        if len(given.X) < 2:
            raise ValueError(
                f"{type(self).__name__} holds structures out, but X has n_samples=1: "
                "give at least two, or use AtomicKernelRidge."
            )
        kind = SCORES[self.scoring].kind
        if kind is not None and not np.any(given.table().kinds == kind):
            raise ValueError(
                f"scoring={self.scoring!r} needs {('', 'forces', 'stress')[kind]} to "
                "train on, and there are none: choose another, or say where they are."
            )
        needed = exact_memory(given.X, given.labels, given.n_labels)
        needed += 16.0 * given.n_labels**2  # the inverse and a copy
        refuse_exact(needed, self.max_memory, given.n_labels)

    def _folds(self, given: TrainingSet, groups) -> list[np.ndarray]:
        """Structures that are held out together."""
        cv = LeaveOneOut() if self.cv is None else check_cv(self.cv)
        rows = np.zeros((len(given.X), 1))
        return [np.asarray(test) for _, test in cv.split(rows, given.y, groups)]

    def _baselines(self, given: TrainingSet, folds) -> list[np.ndarray]:
        """Energies of species, fitted on the structures that each fold keeps."""
        if not self._has_baseline():
            return [np.zeros(len(self.numbers_))] * len(folds)
        every = np.arange(len(given.X))
        return [given.baseline(self.numbers_, ~np.isin(every, f)) for f in folds]

    def _candidates(self, given: TrainingSet):
        """Give kernels with gammas, those that do not use gamma once."""
        kernels = self.kernel if isinstance(self.kernel, list) else [self.kernel]
        gammas = self.gammas
        if isinstance(gammas, str):
            scale = self._make_kernel(given, "rbf", "scale").gamma
            gammas = [factor * scale for factor in AUTO_GAMMAS]
        for kernel in kernels:
            used = isinstance(kernel, str) and kernel in WITH_GAMMA
            for gamma in gammas if used else [1.0]:
                yield kernel, gamma

    def _scores(self, given, folds, baselines, alphas) -> Iterator[float]:
        """Score one kernel with each alpha."""
        scaled = self.kernel_.scale_set(given)
        system = exact_problem(scaled, self.kernel_, reduce=False)
        columns = np.zeros((len(system.targets), len(self.numbers_)))
        columns[: len(given.X)] = species_counts(given.X, self.numbers_)
        columns[: len(given.X)] *= system.observables.energy_scale[:, None]
        table = given.table()
        held_out = labels_of_folds(table.owners, table.weights > 0, folds)
        labels = np.concatenate(held_out)
        for alpha in alphas:
            parts = cross_validated_residuals(
                system.K, system.targets, columns, baselines, held_out, alpha
            )
            residuals = np.concatenate(parts)
            yield score(self.scoring, given, table, labels, residuals)


def _check_alphas(alphas) -> list[float]:
    """Read alphas as positive numbers."""
    values = np.ravel(np.asarray(alphas, dtype=np.float64))
    if not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(
            f"alphas must be positive numbers, got {alphas!r}: without regularisation "
            "what is held out cannot be found from the whole."
        )
    return values.tolist()
