"""Linear model of atomic energies, trained on energies, forces and stress."""

from __future__ import annotations

import numpy as np

from skatom._validation import (
    Interval,
    Real,
    _fit_context,
    check_is_fitted,
    check_sample_weight,
    check_targets,
)
from skatom.base import AtomicRegressor, sum_atoms
from skatom.features import AtomFeatures
from skatom.models._composition import (
    Composition,
    fit_composition,
    species_counts,
)
from skatom.models._design_matrix import DerivativeRows, LossWeights, derivative_rows
from skatom.models._scale import refuse_rescaled_targets
from skatom.models._solve import TriangularLeastSquares
from skatom.models._units import warn_of_mixed_units
from skatom.structures import Labels


class AtomicRidge(AtomicRegressor):
    r"""Sum of linear functions of the features of every atom, with an L2 penalty.

    The energy of a structure is :math:`E = \sum_i (w_{z_i} \cdot x_i + e_{z_i})`, with one
    vector of coefficients and one energy for every species z. Energies, and forces and
    stress where the structures have them, are fitted together by linear least squares;
    the energies of species are not penalised, so a composition baseline is built in.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty :math:`\alpha |w|^2`. Zero gives ordinary least squares.
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

    Attributes
    ----------
    coef_ : ndarray of shape (n_species, n_features), or (n_features,)
        Coefficients in eV per unit of a feature; one row where all species share them,
        and a vector when X was a plain matrix.
    intercept_ : ndarray of shape (n_species,), or float
        Energies of species in eV, of smallest norm where compositions leave them
        undetermined; a number when X was a plain matrix.
    numbers_ : ndarray of shape (n_species,)
        Atomic numbers of the species, ascending.
    n_atom_features_ : int
        Number of features of each atom, when fitted on AtomFeatures.
    n_features_in_ : int
        Number of columns, when fitted on a matrix.

    See Also
    --------
    AtomicKernelRidge : Nonlinear, with the same loss.
    sklearn.linear_model.Ridge : What this model is on a plain matrix.

    Notes
    -----
    Minimised is, over structures s of n_s atoms, volume V_s and ``sample_weight`` v_s,

    .. math:: \sum_s v_s \Big[ \frac{(\Delta E_s)^2}{n_s}
        + w_F \sum_{i,c} (\Delta F_{ic})^2
        + \frac{w_S}{n_s} \sum_{v=1}^{6} (V_s \Delta\sigma_v)^2 \Big] + \alpha |w|^2 .

    Energies are divided by the root of n_s because independent errors of atoms add up in
    squares. The rows are never stored: each chunk of structures is folded into the
    triangle of a QR factorisation, so that memory grows with the square of the number of
    coefficients and not with the data, and the condition number is not squared, as
    normal equations would.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import AtomicRidge
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 1.0]])
    >>> AtomicRidge(alpha=1e-3).fit(X, X @ [1.0, 2.0] + 3.0).predict([[2.0, 2.0]]).round(2)
    array([9.])
    """

    _parameter_constraints: dict = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "by_species": ["boolean"],
        "force_weight": [Interval(Real, 0, None, closed="left")],
        "stress_weight": [Interval(Real, 0, None, closed="left")],
        "forces": [str, None],
        "stress": [str, None],
    }

    def __init__(
        self,
        alpha=1.0,
        *,
        fit_intercept=True,
        by_species=True,
        force_weight=0.1,
        stress_weight=0.1,
        forces="auto",
        stress=None,
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.by_species = by_species
        self.force_weight = force_weight
        self.stress_weight = stress_weight
        self.forces = forces
        self.stress = stress

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
        plain = not isinstance(X, AtomFeatures)
        X = self._check_X(X, reset=True)
        y = check_targets(y, len(X))
        warn_of_mixed_units(X, y)
        weights = LossWeights(
            check_sample_weight(sample_weight, len(X)),
            self.force_weight,
            self.stress_weight,
        )
        labels = self._read_labels(X, forces, stress)
        if labels is not None:
            refuse_rescaled_targets(y, X.structures)
        self._solve(X, y, labels, weights)
        if plain:
            self.coef_, self.intercept_ = self.coef_[0], float(self.intercept_[0])
        return self

    def _solve(
        self,
        X: AtomFeatures,
        y: np.ndarray,
        labels: Labels | None,
        weights: LossWeights,
    ) -> None:
        """Fold all rows into the triangle that begins as the root of the penalty."""
        energy_weights = weights.energies(X.n_atoms)
        if self.fit_intercept:
            base = fit_composition(X, y, energy_weights, self.numbers_)
            y = y - species_counts(X, self.numbers_) @ base.energies
        else:
            base = Composition.none(len(X), len(self.numbers_))
        rows = np.hstack([self._energy_rows(X), base.columns])
        n_coef = rows.shape[1] - base.columns.shape[1]
        penalty = np.zeros(rows.shape[1])
        penalty[:n_coef] = np.sqrt(self.alpha)
        problem = TriangularLeastSquares(np.diag(penalty))
        root = np.sqrt(energy_weights)
        problem.add(rows * root[:, None], y * root)
        if labels is not None:
            for block in derivative_rows(X, labels, weights, len(penalty)):
                root = np.sqrt(block.weights)
                rows = self._derivative_design(block, len(penalty))
                problem.add(rows * root[:, None], block.labels * root)
        solution = problem.solve()
        self.coef_ = solution[:n_coef].reshape(-1, X.values.shape[1])
        self.intercept_ = base.energies + base.to_energies @ solution[n_coef:]

    def _energy_rows(self, X: AtomFeatures) -> np.ndarray:
        """Sum the features over the atoms of each block of coefficients."""
        block = self._block_of(X.numbers)
        return np.hstack(
            [
                sum_atoms(np.where(block[:, None] == k, X.values, 0.0), X.offsets)
                for k in range(self._n_blocks)
            ]
        )

    def _derivative_design(self, block: DerivativeRows, n_columns: int) -> np.ndarray:
        """Rows of forces and virials; energies of species have no part in them."""
        from skatom.models._row_loops import add_rows

        design = np.zeros((block.n_targets, n_columns))
        blocks = self._block_of(block.features.numbers)[block.centers]
        add_rows(block.targets, blocks * block.rows.shape[1], block.rows, design)
        return design

    def _predict_atoms(self, X: AtomFeatures) -> np.ndarray:
        energies = np.einsum("nf,nf->n", X.values, self._feature_gradient(X))
        kinds = np.searchsorted(self.numbers_, X.numbers)
        return energies + np.atleast_1d(self.intercept_)[kinds]

    def _feature_gradient(self, X: AtomFeatures) -> np.ndarray:
        return np.atleast_2d(self.coef_)[self._block_of(X.numbers)]

    def latent(self, X) -> np.ndarray:
        """Give the features in the columns of their coefficients.

        One linear function of these, plus a constant for each species, gives the energies
        of atoms, as for the last hidden layer of a network.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        latent : ndarray of shape (n_atoms_total, n_latent)
            Zero outside the columns of the species, if each has coefficients of its own.
        """
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        return self.latent_pushforward(X.values, X.numbers, X.values)

    def latent_pushforward(self, values, numbers, v) -> np.ndarray:
        """Carry changes of features on to the latent features.

        Parameters
        ----------
        values : ndarray of shape (n, n_features)
            Features of atoms, of which there may be several copies.
        numbers : ndarray of int, shape (n,)
            Their species.
        v : ndarray of shape (n, n_features)
            How they change.

        Returns
        -------
        tangent : ndarray of shape (n, n_latent)
        """
        columns = np.zeros((len(v), self._n_blocks, v.shape[1]))
        columns[np.arange(len(v)), self._block_of(numbers)] = v
        return columns.reshape(len(v), -1)

    @property
    def _n_blocks(self) -> int:
        return len(self.numbers_) if self.by_species else 1

    def _block_of(self, numbers: np.ndarray) -> np.ndarray:
        """Which row of coefficients an atom uses."""
        if not self.by_species:
            return np.zeros(len(numbers), dtype=np.int64)
        return np.searchsorted(self.numbers_, numbers)
