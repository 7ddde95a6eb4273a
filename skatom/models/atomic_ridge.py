"""Linear model of atomic energies, trained on energies, forces and stress."""

from __future__ import annotations

import numpy as np

from skatom._runtime.progress import Progress
from skatom._validation import Interval, Real, StrOptions, _fit_context
from skatom.base import Target
from skatom.features import AtomFeatures
from skatom.features._fitted_on import content_ids
from skatom.models._algebra.left_out import merged
from skatom.models._labelled.training_set import TrainingSet
from skatom.models._linear.model import LinearModel
from skatom.models._linear.penalties import (
    WITHOUT_FOLDS,
    left_out_losses,
    usual_alphas,
)
from skatom.models._linear.problem import LinearProblem, widened

# Into so many parts alpha="auto" divides structures, by their content.
N_FOLDS = 5


class AtomicRidge(LinearModel):
    r"""Sum of linear functions of the features of every atom, with an L2 penalty.

    The energy of a structure is :math:`E = \sum_i (w_{z_i} \cdot x_i + e_{z_i})`, with one
    vector of coefficients and one energy for every species z. Energies, and forces and
    stress where the structures have them, are fitted together by linear least squares;
    the energies of species are not penalised, so a composition baseline is built in.

    Parameters
    ----------
    alpha : float, "auto" or "evidence", default="auto"
        Strength of the penalty :math:`\alpha |w|^2`. Zero gives ordinary least squares.
        "auto" takes the best of those that :class:`AtomicRidgeCV` tries, by the loss on
        structures that are left out, a fifth at a time; "evidence" the strength under
        which the training data are the most probable. See Notes.
    fit_intercept : bool, default=True
        Whether to fit the energies of species. On a plain matrix this is the intercept.
    by_species : bool, default=True
        One vector of coefficients for every species, or one that all share.
    force_weight : float, default=0.1
        Weight of a squared error of a force component, in Å^2, relative to that of an
        energy divided by the number of atoms. See Notes.
    stress_weight : float, default=0.1
        Weight of a squared error of a stress component times the volume, relative to
        that of an energy.
    forces : {"auto", "calc"} or str or None, default="auto"
        Where the forces of the training structures are: in the results of their
        calculators ("calc"), in ``atoms.arrays[name]``, or in either, if there are any
        ("auto"). None trains on energies alone.
    stress : {"auto", "calc"} or str or None, default=None
        The same for stress, by default not trained on.
    target : str or Target, default="energy"
        What y is, see :class:`skatom.base.Target`: an energy, or another sum over atoms,
        or "mean", an intensive number. Forces are those of energies only.
    verbose : int, default=0
        Whether progress is shown.

    Attributes
    ----------
    coef_ : ndarray of shape (n_species, n_features), or (n_features,)
        Coefficients in eV per unit of a feature; one row where all species share them,
        and a vector when X was a plain matrix.
    intercept_ : ndarray of shape (n_species,), or float
        Energies of species in eV, of smallest norm where compositions leave them
        undetermined; a number when X was a plain matrix.
    alpha_ : float
        Strength of the penalty in use.
    noise_variance_ : float
        Variance of the error of the energy of one atom, in eV^2, that makes the training
        data the most probable.
    numbers_ : ndarray of shape (n_species,)
        Atomic numbers of the species, ascending.
    n_atom_features_ : int
        Number of features of each atom, when fitted on AtomFeatures.
    n_features_in_ : int
        Number of columns, when fitted on a matrix.

    See Also
    --------
    AtomicRidgeCV : Chooses alpha by folds, groups and penalties of your own.
    AtomicKernelRidge : Nonlinear, with the same loss.
    sklearn.linear_model.Ridge : What this model is on a plain matrix.
    sklearn.linear_model.BayesianRidge : The same with ``alpha="evidence"``.
    skatom.store.FeatureStore : Batches for ``partial_fit``.

    Notes
    -----
    Minimised is, over structures s of n_s atoms, volume V_s and ``sample_weight`` v_s,

    .. math:: \sum_s v_s \Big[ \frac{(\Delta E_s)^2}{n_s}
        + w_F \sum_{i,c} (\Delta F_{ic})^2
        + \frac{w_S}{n_s} \sum_{v=1}^{6} (V_s \Delta\sigma_v)^2 \Big] + \alpha |w|^2 .

    Energies are divided by the root of n_s because independent errors of atoms add up in
    squares; the error of a mean over atoms counts as it is. The rows are never stored: each
    chunk of structures is folded into the triangle of a QR factorisation, so that memory
    grows with the square of the number of coefficients and not with the data, and the
    condition number is not squared, as normal equations would. `partial_fit` goes on from
    that triangle: a model that has seen the data by batches is the one that saw all.

    Read as probabilities, the loss says that coefficients are normal with variance
    :math:`s^2/\alpha`, and errors of energies, force components and virial components
    with :math:`s^2 n_s`, :math:`s^2/w_F` and :math:`s^2 n_s/w_S`. The evidence is what
    remains when coefficients are integrated out [1]_; s^2 is ``noise_variance_``.
    Standard deviations are those of new labels: of the coefficients, and of the noise.
    The energies of species count as known, as the intercept of
    :class:`~sklearn.linear_model.BayesianRidge` does.

    With ``alpha="auto"`` which structures are left out together follows from their
    content, so that neither order nor batches matter and copies of a structure stay
    together. Each fifth has a triangle of its own, and the errors on it of a fit to the
    others are those of :class:`AtomicRidgeCV`, for 15 penalties by one singular value
    decomposition: each `fit`, and each `partial_fit`, takes the time of five of these
    more. Frames of one trajectory are not independent: group them with `AtomicRidgeCV`.
    A single structure leaves nothing to judge by, and is fitted with 1e-6 times the
    mean square of the columns.

    Linear models of many-body features are known by the names of these: on the power
    spectrum (bispectrum) of `SOAP` they are SNAP-like [2]_, and on products of its
    features, or radial and angular sums of high order, ACE-like [3]_.

    References
    ----------
    .. [1] D. J. C. MacKay, Neural Computation 4, 415 (1992).
    .. [2] A. P. Thompson et al., J. Comput. Phys. 285, 316 (2015).
    .. [3] R. Drautz, Phys. Rev. B 99, 014104 (2019).

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import AtomicRidge
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 1.0]])
    >>> AtomicRidge(alpha=1e-3).fit(X, X @ [1.0, 2.0] + 3.0).predict([[2.0, 2.0]]).round(2)
    array([9.])

    A SNAP-like potential of silicon, with standard deviations:

    >>> from skatom.datasets import load_dataset
    >>> from skatom.featurizers import SOAP
    >>> from skatom.potential import make_potential
    >>> from skatom.structures import read_energies
    >>> frames = load_dataset("silicon", "train").frames[:40:4]
    >>> snap = make_potential(SOAP(4.7, n_max=4, l_max=4), AtomicRidge("evidence"))
    >>> energies, std = snap.fit(frames, read_energies(frames)).predict(
    ...     frames[:2], return_std=True
    ... )
    >>> std.shape, bool((std > 0).all())
    ((2,), True)

    ACE-like, with products of two features of an atom:

    >>> from sklearn.preprocessing import PolynomialFeatures
    >>> from skatom.preprocessing import PerAtom
    >>> ace = make_potential(
    ...     SOAP(4.7, n_max=2, l_max=2),
    ...     PerAtom(PolynomialFeatures(2, include_bias=False)),
    ...     AtomicRidge(1e-3),
    ... )
    >>> ace.fit(frames, read_energies(frames)).predict_forces(frames[:1])[0].shape
    (63, 3)
    """

    _parameter_constraints: dict = {
        "alpha": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto", "evidence"}),
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
        alpha="auto",
        *,
        fit_intercept=True,
        by_species=True,
        force_weight=0.1,
        stress_weight=0.1,
        forces="auto",
        stress=None,
        target="energy",
        verbose=0,
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.by_species = by_species
        self.force_weight = force_weight
        self.stress_weight = stress_weight
        self.forces = forces
        self.stress = stress
        self.target = target
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, forces=None, stress=None):
        """Fit coefficients and energies of species.

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
            are trained and y is a rescaled copy of the energies of the structures.
        """
        X = self.check_features(X, reset=True)
        self._begin()
        self._strength = self.alpha
        n_parts = N_FOLDS if self.alpha == "auto" else 0
        self._fifths = np.zeros((n_parts, *self._triangle.shape))
        return self._take_in(X, y, sample_weight, forces, stress)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, *, forces=None, stress=None):
        """Go on fitting with more structures; together as if all had been given to fit.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
            Features, with as many columns as before. Chemical elements may be new.
        y : array-like of shape (n_structures,)
            Total energies in eV.
        sample_weight : array-like of shape (n_structures,), optional
            Weights of structures.
        forces, stress : sequence of arrays, or str, optional
            As in `fit`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As in `fit`.
        """
        if not hasattr(self, "_triangle"):
            return self.fit(X, y, sample_weight, forces=forces, stress=stress)
        if isinstance(X, AtomFeatures) and X.values.shape[1] == self.n_atom_features_:
            self._make_room(X.numbers)
        X = self.check_features(X, reset=False)
        return self._take_in(X, y, sample_weight, forces, stress)

    def _make_room(self, numbers: np.ndarray) -> None:
        """Add columns for new elements, as if they had been there and zero."""
        old, new = self.numbers_, np.union1d(self.numbers_, numbers)
        if len(new) == len(old) or 0 in new:  # plain rows are refused elsewhere
            return
        kept = np.searchsorted(new, old)
        self.numbers_ = new
        places = kept if self._fit_intercept else np.empty(0, dtype=np.int64)
        width = self.n_atom_features_
        blocks = kept if self._by_species else np.zeros(1, dtype=np.int64)
        coef = self._n_species + blocks[:, None] * width + np.arange(width)
        places = np.concatenate([places, coef.ravel()])
        self._triangle = widened(self._triangle, places, self._n_columns)
        fifths = [widened(fifth, places, self._n_columns) for fifth in self._fifths]
        self._fifths = np.reshape(fifths, (-1, *self._triangle.shape))
        reference = np.zeros(len(new))
        reference[kept] = self._reference
        self._reference = reference

    def _take_in(self, X: AtomFeatures, y, sample_weight, forces, stress):
        """Fold the rows of structures into the triangle, and solve."""
        given = self._read(X, y, sample_weight, forces, stress)
        with self._progress(given) as progress:
            if self._strength == "auto":
                self._take_in_by_folds(given, progress)
            else:
                taken_in = self._folded(self._triangle, given, progress)
                self._triangle, n_targets = taken_in
                self._n_targets += n_targets
        self._solve()
        return self

    def _take_in_by_folds(self, given: TrainingSet, progress: Progress) -> None:
        """Fold the rows of structures into the triangles of folds, told by content."""
        places = content_ids(given.X, given.y) % N_FOLDS
        for k in np.unique(places):
            some = given.take(np.flatnonzero(places == k))
            found = self._folded(self._fifths[k], some, progress)
            self._fifths[k], n_targets = found
            self._n_targets += n_targets
        self._triangle = merged(list(self._fifths))

    def _choose_alpha(self, problem: LinearProblem) -> float:
        if self._strength == "evidence":
            return problem.strength_of_most_evidence(self._n_targets)
        if self._strength != "auto":
            return float(self._strength)
        folds = [fold for fold in self._fifths if fold.any()]
        if len(folds) < 2:
            return float(usual_alphas(self._triangle, self._n_species, WITHOUT_FOLDS))
        alphas = usual_alphas(self._triangle, self._n_species)
        losses = left_out_losses(folds, len(folds), self._n_species, alphas)
        return float(alphas[np.argmin(losses)])
