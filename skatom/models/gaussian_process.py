"""Gaussian process of atomic energies, with error bars for energies and forces."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
from joblib import parallel_config
from sklearn.gaussian_process.kernels import Matern, RationalQuadratic
from sklearn.utils.metaestimators import available_if

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
from skatom.features import AtomFeatures
from skatom.models._algebra.solve import factoring_time
from skatom.models._gaussian_process.blocks import Blocks
from skatom.models._gaussian_process.data import label_sizes
from skatom.models._gaussian_process.hyperparameters import (
    Hyperparameters,
    choose,
    draw_inducing,
)
from skatom.models._gaussian_process.process import Process, appends_labels
from skatom.models._gaussian_process.regressor import ProcessRegressor
from skatom.models._labelled.training_set import TrainingSet, training_set

# solver="auto" factors the matrix of up to so many labels: 5 GB.
DENSE_LABELS = 25_000
# Kernels with the two derivatives that forces need.
KERNELS = ("rbf", "matern52", "matern32", "polynomial")


class AtomicGaussianProcessRegressor(ProcessRegressor):
    r"""Gaussian process for sums over atoms, on energies, forces and stress.

    The energy of a structure is a baseline plus a sum over its atoms of
    :math:`f_{z_i}(x_i)`, where every species z has a function of its own, drawn from a
    Gaussian process. Energies, forces and virials are linear in these functions, so the
    posterior is known in closed form. The mean is that of :class:`AtomicKernelRidge`
    solved exactly; error bars, and hyperparameters by the likelihood of the labels
    without held-out data, come on top. On a plain matrix, whose rows count as atoms of
    one kind, this is :class:`sklearn.gaussian_process.GaussianProcessRegressor` with
    ``ConstantKernel() * RBF() + WhiteKernel()``.

    Parameters
    ----------
    kernel : str, Matern or RationalQuadratic of scikit-learn, default="rbf"
        Kernel between the features of two atoms: "rbf", "matern52", "matern32",
        or "polynomial", (x.y / (2 l^2) + 1)^3. Of an object the shape counts, nu or
        alpha; the length scale is a parameter here. Nu must be larger than 1.
    additive : bool, default=False
        Whether every featurizer of an AtomFeatureUnion has a kernel of its own, with a
        length and a variance of its own, and these are summed; otherwise all features
        share one kernel.
    by_species : bool, default=False
        Whether the kernels of every species have lengths and variances of their own.
        There are then n_featurizers times n_species kernels, in the order of featurizers
        and in each of ``numbers_``.
    length_scale : float, array-like of shape (n_kernels,) or "scale", default="scale"
        Distance in the space of features over which a function changes much, or where
        its search begins. "scale" is seven times the typical distance of an atom to the
        mean of its species.
    variance : float, array-like of shape (n_kernels,) or "scale", default="scale"
        Factor of the kernel, in eV^2, or where its search begins. "scale" is the value
        of largest likelihood beside the other numbers.
    noise_energy : float or "auto", default="auto"
        Standard deviation of the noise in the energy of one atom, in eV, or where its
        search begins; that of n atoms is sqrt(n) times larger. Virials have the same.
        "auto" is 1e-3, and with energies alone 3e-4 of the root of the variance, which is
        what alpha is in :class:`AtomicKernelRidge`.
    noise_forces : float, default=1e-3
        Standard deviation of the noise in a force component, in eV/Å.
    length_scale_bounds : pair of floats, "auto" or "fixed", default="auto"
        Between which it is searched; "auto" is from 1/100 to 100 times "scale". With
        energies of structures alone "auto" is "fixed", see Notes.
    variance_bounds : pair of floats or "fixed", default=(1e-10, 1e12)
        The same for the variance.
    noise_energy_bounds : pair of floats, "auto" or "fixed", default="auto"
        The same for the noise; "auto" is from 1e-5 to 10, and "fixed" with energies of
        structures alone.
    noise_forces_bounds : pair of floats or "fixed", default=(1e-5, 10)
        The same for the noise of forces.
    optimizer : {"likelihood"} or None, default="likelihood"
        How hyperparameters that are not fixed are chosen; None uses them as given.
    n_restarts : int, default=0
        Searches from random places between the bounds, besides the first.
    max_likelihood_labels : int, default=1500
        Hyperparameters are chosen on structures drawn at random until they have so many
        labels (energies and force components).
    baseline : {"composition"} or None, default="composition"
        Subtract one energy a species, fitted by least squares of smallest norm. A plain
        matrix has no composition and no baseline.
    energies : bool, default=True
        Whether energies are trained on. False trains on forces and stress alone; y then
        only fixes the baseline.
    forces : {"auto", "calc"} or str or None, default="auto"
        Where the forces of the training structures are: in the results of their
        calculators ("calc"), in ``atoms.arrays[name]``, or in either, if there are any
        ("auto"). None trains on energies alone.
    stress : {"auto", "calc"} or str or None, default=None
        The same for stress, by default not trained on.
    solver : {"auto", "dense", "iterative", "sparse"}, default="auto"
        "dense" factors the covariance matrix of all labels by Cholesky. "iterative" solves
        by conjugate gradients without that matrix, preconditioned by the labels of some
        of the structures. Its deviations are those of the process projected on these
        labels, which may be too large or too small where they are too few. "sparse" is
        this projected process, mean and all: functions that the labels of some structures
        span, fitted to the labels of all. Its time goes with their number, its memory
        does not grow, and predictions take as long as if there were no others. "auto" is
        dense up to 25 000 labels, 5 GB, and iterative beyond.
    tol : float, default=1e-4
        The iteration ends when the residual is this part of the labels (2-norms).
    max_iter : int, default=300
        Number of iterations after which it ends at the latest.
    n_inducing_labels : int, default=4000
        Labels of the preconditioner, or that span the functions of a sparse model, of
        structures drawn at random.
    random_state : int, RandomState or None, default=None
        For restarts and the draws of structures.
    n_jobs : int, default=None
        Number of threads that fit; those of BLAS, which factors the matrix, are its own.
    verbose : int, default=0
        Whether the expected time and the progress are shown: of the search, then of the
        solution.
    target : str or Target, default="energy"
        What y is, see :class:`skatom.base.Target`: an energy, or another sum over atoms,
        or "mean", an intensive number, whose noise ``noise_energy`` then is. Forces are
        those of energies only.

    Attributes
    ----------
    length_scale_, variance_, noise_energy_, noise_forces_ : float
        Hyperparameters in use; the first two arrays of shape (n_kernels,) if there are
        several.
    log_marginal_likelihood_value_ : float
        Logarithm of the likelihood of all training labels; of a sparse model a lower
        bound of it, of one solved by iteration an approximation.
    dual_coef_ : ndarray of shape (n_atoms,)
        Coefficients of the kernels at the training atoms, sorted by species; of a sparse
        model at the atoms of its inducing structures.
    dual_slopes_ : ndarray of shape (n_atoms, n_features) or None
        Coefficients of the slopes of the kernels there; None without forces and stress.
    references_ : ndarray of shape (n_atoms, n_features)
        Features of the training atoms, sorted by species.
    reference_numbers_ : ndarray of int, shape (n_atoms,)
        Their atomic numbers.
    n_iter_ : int
        Number of iterations of the solver, 1 for a dense one.
    residual_ : float
        Norm of what the solver left of the labels, over theirs; 0 for a dense one.
    baseline_ : ndarray of shape (n_species,)
        Energies of species in eV.
    numbers_ : ndarray of int, shape (n_species,)
        Atomic numbers of the species, ascending.

    See Also
    --------
    AtomicKernelRidge : The same mean without error bars, sparse for large sets.
    skatom.uncertainty.ConformalRegressor : Intervals with a guarantee.

    Notes
    -----
    Standard deviations are those of a new label, noise included, as scikit-learn's are
    with a WhiteKernel. They presume that the functions are drawn from the prior; how far
    that holds is a matter of the features, so check their coverage, or calibrate.

    Totals of structures say little of functions of atoms: of dozens of them the likelihood
    makes noise, and prediction is no better than the mean. With energies alone lengths and
    noise are therefore those of kernel ridge, so that predictions are the same, and the
    likelihood chooses the variance, which is the size of error bars. Give bounds to search
    all of them.

    References
    ----------
    Bartok and Csanyi, Int. J. Quantum Chem. 115, 1051 (2015), doi:10.1002/qua.24927.
    Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapter 5.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import AtomicGaussianProcessRegressor
    >>> X = np.linspace(0.0, 3.0, 20)[:, None]
    >>> model = AtomicGaussianProcessRegressor().fit(X, np.sin(X[:, 0]))
    >>> y, std = model.predict([[1.0], [9.0]], return_std=True)
    >>> y[0].round(3), bool(std[1] > 10 * std[0])
    (np.float64(0.841), True)
    """

    _parameter_constraints: dict = {
        "kernel": [StrOptions(set(KERNELS)), Matern, RationalQuadratic],
        "additive": ["boolean"],
        "by_species": ["boolean"],
        "length_scale": [
            Interval(Real, 0, None, closed="neither"),
            "array-like",
            StrOptions({"scale"}),
        ],
        "variance": [
            Interval(Real, 0, None, closed="neither"),
            "array-like",
            StrOptions({"scale"}),
        ],
        "noise_energy": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "noise_forces": [Interval(Real, 0, None, closed="neither")],
        "length_scale_bounds": ["array-like", StrOptions({"auto", "fixed"})],
        "variance_bounds": ["array-like", StrOptions({"fixed"})],
        "noise_energy_bounds": ["array-like", StrOptions({"auto", "fixed"})],
        "noise_forces_bounds": ["array-like", StrOptions({"fixed"})],
        "optimizer": [StrOptions({"likelihood"}), None],
        "n_restarts": [Interval(Integral, 0, None, closed="left")],
        "max_likelihood_labels": [Interval(Integral, 1, None, closed="left")],
        "baseline": [StrOptions({"composition"}), None],
        "energies": ["boolean"],
        "forces": [str, None],
        "stress": [str, None],
        "solver": [StrOptions({"auto", "dense", "iterative", "sparse"})],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_inducing_labels": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "target": [str, Target],
    }

    def __init__(
        self,
        kernel="rbf",
        *,
        additive=False,
        by_species=False,
        length_scale="scale",
        variance="scale",
        noise_energy="auto",
        noise_forces=1e-3,
        length_scale_bounds="auto",
        variance_bounds=(1e-10, 1e12),
        noise_energy_bounds="auto",
        noise_forces_bounds=(1e-5, 1e1),
        optimizer="likelihood",
        n_restarts=0,
        max_likelihood_labels=1500,
        baseline="composition",
        energies=True,
        forces="auto",
        stress=None,
        solver="auto",
        tol=1e-4,
        max_iter=300,
        n_inducing_labels=4000,
        random_state=None,
        n_jobs=None,
        verbose=0,
        target="energy",
    ):
        self.kernel = kernel
        self.additive = additive
        self.by_species = by_species
        self.length_scale = length_scale
        self.variance = variance
        self.noise_energy = noise_energy
        self.noise_forces = noise_forces
        self.length_scale_bounds = length_scale_bounds
        self.variance_bounds = variance_bounds
        self.noise_energy_bounds = noise_energy_bounds
        self.noise_forces_bounds = noise_forces_bounds
        self.optimizer = optimizer
        self.n_restarts = n_restarts
        self.max_likelihood_labels = max_likelihood_labels
        self.baseline = baseline
        self.energies = energies
        self.forces = forces
        self.stress = stress
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.n_inducing_labels = n_inducing_labels
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.target = target

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, forces=None, stress=None):
        """Choose hyperparameters, then condition the functions on all labels.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
            Features. Forces and stress are read from the structures they came from.
        y : array-like of shape (n_structures,)
            Total energies in eV.
        sample_weight : array-like of shape (n_structures,), optional
            Weights of structures: how often each counts as seen.
        forces, stress : sequence of arrays, or str, optional
            Labels in place of those that the parameters of these names find, in eV/Å and
            eV/Å^3: arrays of shape (n_atoms, 3) and (6,), Voigt, positive in tension.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If y or the labels are missing, of the wrong length or not finite; if forces
            alone are trained on and there are none; if y is rescaled and forces are not.
        """
        plain = not isinstance(X, AtomFeatures)
        X = self.check_features(X, reset=True)
        self._declare()
        if not self.energies:
            self.target_.refuse_slopes(self, "forces and stress to train on")
        given = training_set(self, X, y, sample_weight, forces, stress)
        if given.labels is None and not self.energies:
            raise ValueError(
                "energies=False trains on forces and stress alone, but the structures "
                "have none: attach forces, or set energies=True."
            )
        self.baseline_ = np.zeros(len(self.numbers_))
        if self.baseline is not None and not plain:
            self.baseline_ = given.baseline(self.numbers_)
        seen = self._counted(given)
        with self._threads():
            self._keep(self._learned(seen, self._choose(seen)))
        if not self.energies and not plain:  # forces say nothing of the constant
            left = replace(given, y=given.y - self.predict(X))
            self.baseline_ = self.baseline_ + left.baseline(self.numbers_)
        return self

    @available_if(appends_labels)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, *, forces=None, stress=None):
        """Learn from more structures; hyperparameters and baseline stay.

        The result of a dense solver is that of one fit at the same hyperparameters. Rows
        are appended to the Cholesky factor, in time that grows as the square of the
        number of labels. That of a sparse one is that of one fit at the same
        hyperparameters whose functions are spanned by the inducing structures of the
        first: later structures are learned from, but do not become inducing. A model
        that is solved by iteration has no `partial_fit`.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
            Of species that were there in the first fit.
        y : array-like of shape (n_structures,)
            Total energies in eV.
        sample_weight, forces, stress : optional
            As in fit.

        Returns
        -------
        self : object
        """
        if not hasattr(self, "_process"):
            return self.fit(X, y, sample_weight, forces=forces, stress=stress)
        X = self.check_features(X, reset=False)
        given = training_set(self, X, y, sample_weight, forces, stress)
        with self._threads():
            self._keep(self._process.extended(self._counted(given)))
        return self

    def _counted(self, given: TrainingSet) -> TrainingSet:
        """Structures that count, with energies above the baseline."""
        above = given.above(self.baseline_, self.numbers_)
        return above.take(np.flatnonzero(given.samples > 0))

    def _choose(self, given: TrainingSet) -> Hyperparameters:
        """Hyperparameters for these labels, or as given."""
        rng = check_random_state(self.random_state)
        blocks = self._blocks(given.X)
        return choose(given, self.get_params(deep=False), blocks, rng)

    def _learned(self, given: TrainingSet, at: Hyperparameters) -> Process:
        """Condition on all labels by the solver that fits."""
        solver = self.solver
        if solver == "auto":
            few = label_sizes(given).sum() <= DENSE_LABELS
            solver = "dense" if few else "iterative"
        if solver == "dense":
            with self._progress(given) as progress:
                process = Process.dense(given, at)
                progress.advance(progress.total)
            return process
        rng = check_random_state(self.random_state)
        some = draw_inducing(given, self.n_inducing_labels, rng)
        if solver == "sparse":
            with self._progress(given.take(some)) as progress:
                process = Process.sparse(given, some, at)
                progress.advance(progress.total)
            return process
        options = {"tol": self.tol, "max_iter": self.max_iter, "verbose": self.verbose}
        return Process.iterative(given, some, at, **options)

    def _progress(self, given: TrainingSet) -> Progress:
        """Progress of a solution, which collects a matrix as long as it factors it."""
        n, shown = int(label_sizes(given).sum()), bool(self.verbose)
        seconds = 2 * factoring_time(n) if shown else 0.0
        return Progress(type(self).__name__, n, "labels", shown, seconds)

    def _threads(self) -> AbstractContextManager:
        """Let what is computed inside have this many threads."""
        if self.n_jobs is None:
            return nullcontext()
        return parallel_config("threading", n_jobs=self.n_jobs)

    def _blocks(self, X: AtomFeatures) -> Blocks:
        """Blocks of features, and species, that have a kernel of their own."""
        widths = X.block_widths if self.additive else [X.values.shape[1]]
        numbers = tuple(self.numbers_.tolist()) if self.by_species else None
        return Blocks(tuple(np.cumsum([0, *widths]).tolist()), numbers)
