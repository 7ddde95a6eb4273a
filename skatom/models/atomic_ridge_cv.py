"""Linear model of atomic energies that chooses its regularisation by itself."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv

from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
)
from skatom.base import Target
from skatom.features import AtomFeatures
from skatom.models._algebra.left_out import merged
from skatom.models._linear.model import LinearModel
from skatom.models._linear.penalties import left_out_losses, usual_alphas
from skatom.models._linear.problem import LinearProblem


class AtomicRidgeCV(LinearModel):
    r"""Ridge regression for sums over atoms, with closed-form cross-validation.

    :class:`AtomicRidge` for every ``alpha`` in question, on every fold, at the cost of
    one pass over the data: the rows of each fold are folded into a triangle of their own,
    and both fits without a fold and errors on it follow from the triangles alone.

    Parameters
    ----------
    alphas : array-like of float or "auto", default="auto"
        Penalties to choose from. "auto" is powers of ten from 1e-14 to 1 times the mean
        square of the columns.
    cv : int, splitter or iterable, default=5
        Which structures are held out together: k folds, or as a splitter says. Frames of
        one trajectory belong together: use :class:`sklearn.model_selection.GroupKFold`
        and ``fit(..., groups=...)``. Folds must not overlap.
    fit_intercept, by_species, force_weight, stress_weight, forces, stress, target
        As for :class:`AtomicRidge`.
    verbose : int, default=0
        Whether progress is shown.

    Attributes
    ----------
    alpha_ : float
        Chosen penalty.
    alphas_ : ndarray of shape (n_alphas,)
        Penalties that were tried, ascending.
    cv_losses_ : ndarray of shape (n_alphas,)
        Loss of AtomicRidge on what was held out, without the penalty, over the number of
        energies, force and virial components.
    best_score_ : float
        Minus the smallest of them: higher is better.
    coef_, intercept_, noise_variance_, numbers_, n_atom_features_, n_features_in_
        As of :class:`AtomicRidge`, fitted to everything with ``alpha_``.

    See Also
    --------
    AtomicRidge : With ``alpha="evidence"``, chooses without holding anything out.
    AtomicKernelRidgeCV : The same for kernels.
    sklearn.linear_model.RidgeCV : The same for rows.

    Notes
    -----
    Let T be the triangle of the rows of a fold, with targets t as its last column. For
    any coefficients c the squared errors on the fold sum to :math:`|T_c c - t|^2`, and
    the triangle of all other folds is the QR factorisation of theirs, stacked.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import AtomicRidgeCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 3))
    >>> y = X @ [1.0, 2.0, 3.0] + 0.1 * rng.normal(size=40)
    >>> model = AtomicRidgeCV().fit(X, y)
    >>> model.coef_.round(1)
    array([1., 2., 3.])
    """

    _parameter_constraints: dict = {
        "alphas": ["array-like", StrOptions({"auto"})],
        "cv": [
            Interval(Integral, 2, None, closed="left"),
            HasMethods(["split"]),
            "array-like",
        ],
        "fit_intercept": ["boolean"],
        "by_species": ["boolean"],
        "force_weight": [Interval(Real, 0, None, closed="left")],
        "stress_weight": [Interval(Real, 0, None, closed="left")],
        "forces": [str, None],
        "stress": [str, None],
        "target": [str, Target],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        alphas="auto",
        *,
        cv=5,
        fit_intercept=True,
        by_species=True,
        force_weight=0.1,
        stress_weight=0.1,
        forces="auto",
        stress=None,
        target="energy",
        verbose=0,
    ):
        self.alphas = alphas
        self.cv = cv
        self.fit_intercept = fit_intercept
        self.by_species = by_species
        self.force_weight = force_weight
        self.stress_weight = stress_weight
        self.forces = forces
        self.stress = stress
        self.target = target
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, groups=None, forces=None, stress=None):
        """Choose among the penalties, and fit with the chosen one to everything.

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
            As :class:`AtomicRidge`; if an alpha is not positive, or folds overlap.

        Warns
        -----
        ConvergenceWarning
            If the smallest or largest of several given alphas is the best.
        """
        X = self.check_features(X, reset=True)
        self._begin()
        given = self._read(X, y, sample_weight, forces, stress)
        folds = self._folds(X, given.y, groups)
        nothing = self._no_rows()
        with self._progress(given) as progress:
            parts = [self._folded(nothing, given.take(k), progress) for k in folds]
        everything = merged([triangle for triangle, _ in parts])
        self._triangle = everything
        self._n_targets = sum(n for _, n in parts)
        self.alphas_ = self._alphas()
        held_out = parts[: self._n_held_out]
        self.cv_losses_ = left_out_losses(
            [triangle for triangle, _ in parts],
            self._n_held_out,
            self._n_species,
            self.alphas_,
        ) / sum(n for _, n in held_out)
        self.best_score_ = -float(self.cv_losses_.min())
        self._solve()
        return self

    def _folds(self, X: AtomFeatures, y: np.ndarray, groups) -> list[np.ndarray]:
        """Structures that are held out together, and last those that never are."""
        if len(X) < 2:
            raise ValueError(
                f"{type(self).__name__} holds structures out, but X has n_samples=1: give "
                "at least two, or use AtomicRidge."
            )
        cv = check_cv(self.cv)
        rows = np.zeros((len(X), 1))
        folds = [np.asarray(test) for _, test in cv.split(rows, y, groups)]
        times = np.bincount(np.concatenate(folds), minlength=len(X))
        if times.max() > 1:
            raise ValueError(
                f"Structure {int(np.argmax(times))} is held out {times.max()} times: folds "
                "must not overlap. Use KFold or GroupKFold."
            )
        self._n_held_out = len(folds)
        never = np.flatnonzero(times == 0)
        return [*folds, never] if len(never) else folds

    def _alphas(self) -> np.ndarray:
        """Penalties to try, ascending."""
        if isinstance(self.alphas, str):
            return usual_alphas(self._triangle, self._n_species)
        alphas = np.unique(np.ravel(np.asarray(self.alphas, dtype=np.float64)))
        if not len(alphas) or not (np.isfinite(alphas) & (alphas > 0)).all():
            raise ValueError(f"alphas must be positive numbers, got {self.alphas!r}.")
        return alphas

    def _choose_alpha(self, problem: LinearProblem) -> float:
        best = int(np.argmin(self.cv_losses_))
        given = not isinstance(self.alphas, str)
        if given and len(self.alphas_) > 2 and best in (0, len(self.alphas_) - 1):
            side = "smaller" if best == 0 else "larger"
            warnings.warn(
                f"alpha={self.alphas_[best]:g}, at the end of those tried, is the best: "
                f"try {side} ones as well.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return float(self.alphas_[best])
