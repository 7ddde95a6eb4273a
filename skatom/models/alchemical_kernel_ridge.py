"""Kernel ridge regression that learns which elements are alike."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from skatom._validation import (
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_random_state,
)
from skatom.base import Target
from skatom.elements._channels import SpeciesChannels
from skatom.elements._counts import fit_composition, species_counts
from skatom.elements._couplings import couplings
from skatom.features import AtomFeatures
from skatom.models._alchemical.pooled import PooledChannels, mean_rows, pool_channels
from skatom.models._labelled.sum_or_mean import SumOrMean


class AlchemicalKernelRidge(SumOrMean):
    r"""Kernel ridge regression in a space of few learned pseudo-elements.

    Features that are resolved by species are contracted by couplings U of shape
    (n_species, n_components) to pseudo-elements [1]_, averaged over the atoms of each
    structure and scaled to length one. Kernel ridge with :math:`\exp(-\gamma |x - x'|^2)`
    gives the energy of an atom. U, gamma and alpha are learned: in every step the
    structures are parted at random, kernel ridge is solved on one part, and the gradient of
    its error on the other is carried back *through the solution* [2]_. At the end kernel
    ridge is solved on all.

    Parameters
    ----------
    n_components : int, default=4
        Number of pseudo-elements.
    init : str or array-like, default="electronegativity-radius"
        First couplings: "electronegativity-radius", "pca", "random" or an array of shape
        (n_components, n_species), as for
        :class:`skatom.preprocessing.AlchemicalCompression`.
    alpha : float, default=1e-3
        First regularisation, relative to the variance of energies of atoms.
    gamma : float, default=0.5
        First inverse squared length of the kernel.
    n_steps : int, default=150
        Steps of the optimizer; 0 keeps init, alpha and gamma as they are.
    optimizer : {"adam", "sgd"}, default="adam"
        "sgd" has a momentum of 0.9, and its learning rate is in the units of the couplings
        over the loss: some ten times that of "adam" is a place to begin.
    learning_rate : float, default=0.02
        Of the couplings; the logarithms of alpha and gamma learn 2.5 times faster.
    optimise_size : float, default=0.5
        Share of the structures that each step is judged on.
    coupling_penalty : float, default=0.1
        Times the mean squared change of the couplings, added to the mean squared error,
        in units of the variance of energies of atoms.
    baseline : {"composition", "mean"}, default="composition"
        Subtract one energy a species, fitted by least squares of smallest norm, or the
        mean energy of an atom, which is better when there are few structures for the number
        of elements. A plain matrix has no composition and takes the mean.
    random_state : int, RandomState or None, default=None
        For the parts, and for random couplings.
    verbose : int, default=0
        1 shows on standard error how far the learning is.
    target : str or Target, default="energy"
        What y is, see :class:`skatom.base.Target`: an energy, or another sum over atoms,
        or "mean", an intensive number.

    Attributes
    ----------
    alchemical_components_ : ndarray of shape (n_components, n_species)
        How much of each species is in each pseudo-element: the transpose of U. Empty for a
        plain matrix.
    species_ : list of str
        Chemical symbols that the features distinguish, by atomic number.
    alpha_, gamma_ : float
        Those learned.
    losses_ : ndarray of shape (n_steps,)
        Mean squared error of each step on the part that was judged, relative to the
        variance of energies of atoms.
    dual_coef_ : ndarray of shape (n_structures,)
        Coefficients of the kernels with the training structures.
    rows_ : ndarray of shape (n_structures, n_new_features)
        Their contracted features.
    baseline_ : ndarray of shape (n_species,)
        Energies of species, in eV.

    See Also
    --------
    skatom.preprocessing.AlchemicalCompression : The contraction alone, for any model.
    skatom.plotting.PeriodicTableDisplay : A picture of the pseudo-elements.
    AtomicKernelRidge : Kernels between atoms, trained on forces too.

    Notes
    -----
    Learning needs PyTorch (``skatom[torch]``); prediction does not. Training uses energies;
    forces and stress are predicted, as derivatives.

    An energy is the number of atoms times a function of the mean features. It is equal for
    supercells, but a pair of distant molecules is not the sum of them. The energy of one
    atom is attributed by the slope of that function.

    Each step takes a Cholesky factorisation of half the structures: 1000 take about 0.1 s.
    The features of many elements are wide (49 000 columns for 39 elements of
    SOAP(n_max=4, l_max=3)); let the featurizer keep them with ``dtype="float32"``.

    References
    ----------
    .. [1] M. J. Willatt, F. Musil and M. Ceriotti, Phys. Chem. Chem. Phys. 20, 29661
       (2018). doi:10.1039/C8CP05921G
    .. [2] L. Bertinetto et al., "Meta-learning with differentiable closed-form solvers",
       ICLR (2019). arXiv:1805.08136

    Examples
    --------
    >>> from ase.build import bulk
    >>> from skatom.featurizers import SOAP
    >>> from skatom.models import AlchemicalKernelRidge
    >>> from skatom.potential import make_potential
    >>> salts = [a + b for a in ("Li", "Na", "K", "Rb") for b in ("F", "Cl", "Br")]
    >>> frames = [bulk(salt, "rocksalt", a=5.5) for salt in salts]
    >>> energies = [-8.6, -6.9, -6.2, -7.9, -6.4, -5.9, -7.4, -6.5, -6.1, -7.3, -6.5, -6.1]
    >>> model = make_potential(
    ...     SOAP(4.0, n_max=3, l_max=2), AlchemicalKernelRidge(2, n_steps=0)
    ... ).fit(frames, energies)
    >>> model[-1].alchemical_components_.shape
    (2, 7)
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "init": [
            StrOptions({"electronegativity-radius", "pca", "random"}),
            "array-like",
        ],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "n_steps": [Interval(Integral, 0, None, closed="left")],
        "optimizer": [StrOptions({"adam", "sgd"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "optimise_size": [Interval(Real, 0, 1, closed="neither")],
        "coupling_penalty": [Interval(Real, 0, None, closed="left")],
        "baseline": [StrOptions({"composition", "mean"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "target": [str, Target],
    }
    _reads_blocks = True

    def __init__(
        self,
        n_components=4,
        *,
        init="electronegativity-radius",
        alpha=1e-3,
        gamma=0.5,
        n_steps=150,
        optimizer="adam",
        learning_rate=0.02,
        optimise_size=0.5,
        coupling_penalty=0.1,
        baseline="composition",
        random_state=None,
        verbose=0,
        target="energy",
    ):
        self.n_components = n_components
        self.init = init
        self.alpha = alpha
        self.gamma = gamma
        self.n_steps = n_steps
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.optimise_size = optimise_size
        self.coupling_penalty = coupling_penalty
        self.baseline = baseline
        self.random_state = random_state
        self.verbose = verbose
        self.target = target

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Learn the couplings and solve kernel ridge.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
            Features with some columns resolved by species.
        y : array-like of shape (n_structures,)
            Total energies in eV.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If y is missing, of the wrong length or not finite, or no column of features of
            atoms is resolved by species.
        ImportError
            If there is something to learn and PyTorch is not installed.
        """
        atoms = isinstance(X, AtomFeatures)
        X = self.check_features(X, reset=True)
        self._declare()
        y = self.check_targets(X, y)
        if self.target_.kind == "mean":
            y = y * X.n_atoms
        rng = check_random_state(self.random_state)
        self.baseline_ = self._fit_baseline(X, y, atoms)
        targets = (y - species_counts(X, self.numbers_) @ self.baseline_) / X.n_atoms
        self.scale_ = float(targets.std()) or 1.0
        self._matrix = None
        channels, pooled, U = self._start(X, atoms, rng)
        U = self._learn(channels, pooled, targets / self.scale_, U, rng)
        self.species_ = channels.species if atoms else []
        self.alchemical_components_ = np.ascontiguousarray(U.T)
        self._matrix = channels.matrix(U) if atoms else None
        self.rows_ = self._rows(X)[0]
        kernel = self._kernel(self.rows_)
        kernel[np.diag_indices_from(kernel)] += self.alpha_
        self.dual_coef_ = cho_solve(cho_factor(kernel), targets)
        return self

    def _fit_baseline(self, X: AtomFeatures, y: np.ndarray, atoms: bool) -> np.ndarray:
        if self.baseline == "composition" and atoms:
            return fit_composition(X, y, 1.0 / X.n_atoms, self.numbers_)
        return np.full(len(self.numbers_), np.mean(y / X.n_atoms))

    def _start(self, X: AtomFeatures, atoms: bool, rng) -> tuple:
        """Pool the features by species, and make the first couplings."""
        if atoms:
            channels = SpeciesChannels.from_columns(X.columns)
            U = couplings(self.init, channels, self.n_components, X.values, rng)
            return channels, pool_channels(X, channels), U
        nothing = np.zeros((len(X), 0))
        self._spread = float(np.sqrt(X.values.var(axis=0).sum())) or 1.0
        rows = self._rows(X)[0]
        pooled = PooledChannels(nothing.astype(np.int64), nothing, nothing, rows)
        return None, pooled, np.zeros((0, self.n_components))

    def _learn(self, channels, pooled, targets, U: np.ndarray, rng) -> np.ndarray:
        self.alpha_, self.gamma_ = float(self.alpha), float(self.gamma)
        self.losses_ = np.zeros(0)
        if not self.n_steps or len(targets) < 2:
            return U
        learning = _load_learning()
        learned = learning.learn(
            pooled,
            channels,
            targets,
            learning.Learned(U, self.alpha_, self.gamma_, self.losses_),
            learning.Settings(
                int(self.n_steps),
                float(self.learning_rate),
                self.optimizer,
                float(self.optimise_size),
                float(self.coupling_penalty),
                int(self.verbose),
            ),
            int(rng.randint(2**31 - 1)),
        )
        self.alpha_, self.gamma_ = learned.alpha, learned.gamma
        self.losses_ = learned.losses
        return learned.U

    def compute_atoms(self, X: AtomFeatures) -> np.ndarray:
        """Add what the mean features and the share of each atom give."""
        rows, _ = self._rows(X)
        values = self._kernel(rows) @ self.dual_coef_
        energies = self.baseline_[np.searchsorted(self.numbers_, X.numbers)]
        energies += values[X.structure_index]
        if self._matrix is not None:  # who is above the mean of the structure, and how
            gradient = self._mean_gradient(X)
            for s, (first, last) in enumerate(zip(X.offsets[:-1], X.offsets[1:])):
                share = X.values[first:last] @ gradient[s]
                energies[first:last] += share - share.mean()
        return self._shared(energies, X)

    def compute_gradient(self, X: AtomFeatures) -> np.ndarray:
        """Give every atom the slope of its structure."""
        return self._shared(self._mean_gradient(X)[X.structure_index], X)

    def _mean_gradient(self, X: AtomFeatures) -> np.ndarray:
        """Slope of the energy of an atom by the mean features of each structure."""
        rows, lengths = self._rows(X)
        weights = self._kernel(rows) * self.dual_coef_
        slope = weights @ self.rows_ - weights.sum(axis=1)[:, None] * rows
        slope *= 2.0 * self.gamma_
        if self._matrix is not None:  # along the sphere only
            slope -= np.einsum("sf,sf->s", slope, rows)[:, None] * rows
        slope /= lengths[:, None]
        return slope if self._matrix is None else slope @ self._matrix.T

    def _rows(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Contracted mean features at their place in the kernel, and what divided them."""
        if self._matrix is None:
            return X.values / self._spread, np.full(len(X), self._spread)
        rows = mean_rows(X, self._matrix)
        lengths = np.maximum(np.linalg.norm(rows, axis=1), 1e-300)
        return rows / lengths[:, None], lengths

    def _kernel(self, rows: np.ndarray) -> np.ndarray:
        """Kernel with the training structures."""
        distances = rows @ self.rows_.T
        distances *= -2.0
        distances += np.einsum("sf,sf->s", rows, rows)[:, None]
        distances += np.einsum("sf,sf->s", self.rows_, self.rows_)
        return np.exp(-self.gamma_ * np.maximum(distances, 0.0))


def _load_learning() -> ModuleType:
    try:
        from skatom.models._alchemical import learning
    except ImportError as error:
        raise ImportError(
            "AlchemicalKernelRidge learns with PyTorch, which could not be imported "
            f'({error}): pip install "skatom[torch]", or set n_steps=0.'
        ) from error
    return learning
