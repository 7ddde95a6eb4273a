"""Dropout at prediction: an ensemble of thinned copies of one network."""

from __future__ import annotations

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skatom._validation import (
    BaseSearchCV,
    HasMethods,
    Integral,
    Interval,
    _fit_context,
    check_random_state,
)
from skatom.base._inside import bare, last_model
from skatom.potential.answers import Answer, Context
from skatom.potential.estimators import answer
from skatom.potential.steps import follow_steps
from skatom.uncertainty._members import Members
from skatom.uncertainty.error_bar_regressor import ErrorBarRegressor

LARGEST_SEED = 2**31 - 1


class DropoutRegressor(ErrorBarRegressor):
    """Mean and scatter of copies of one network with some of its units left out [1]_.

    A network that was trained with dropout has seen every way of thinning it; how far
    thinned copies disagree tells how little the data hold their common answer in place.
    One training gives as many members as one likes.

    Parameters
    ----------
    estimator : estimator
        A pipeline or model that ends in a network with ``dropout`` above zero, such as
        ``NeuralNetworkRegressor(dropout=0.1)``.
    n_samples : int, default=20
        Number of thinned copies.
    random_state : int, RandomState instance or None, default=None
        Draws the units that are left out of each copy. The estimator has its own.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    seeds_ : ndarray of int, shape (n_samples,)
        One for each copy: predictions are the same at every call.
    std_floor_ : float
        Smallest standard deviation, 1e-9 of the largest target.

    See Also
    --------
    EnsembleRegressor : Networks that were trained one by one, which disagree for more
        reasons.
    CalibratedStdRegressor : Scale error bars to the size of errors, which dropout needs.

    Notes
    -----
    In a copy, the same units are missing for all atoms, as in [2]_: each is a potential
    with a smooth energy and forces that are its derivative, and errors of atoms add up
    over a structure. Units drawn for each atom by itself, as in training, would average
    out in large structures. Predictions are means over the copies.

    The scatter depends on the rate of dropout as much as on the data: it is a ranking of
    structures, to be calibrated. Prediction costs `n_samples` evaluations of the network,
    but its features once.

    References
    ----------
    .. [1] Y. Gal, Z. Ghahramani, ICML 2016, arXiv:1506.02142
    .. [2] M. Wen, E. B. Tadmor, npj Comput. Mater. 6, 124 (2020),
       doi:10.1038/s41524-020-00390-8

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import NeuralNetworkRegressor
    >>> from skatom.uncertainty import DropoutRegressor
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> network = NeuralNetworkRegressor((16,), dropout=0.2, max_epochs=50, random_state=0)
    >>> model = DropoutRegressor(network, random_state=0).fit(X, X[:, 0] ** 2)
    >>> y_pred, std = model.predict(X, return_std=True)
    >>> y_pred.shape, bool((std > 0).all())
    ((50,), True)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "n_samples": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator, n_samples=20, *, random_state=None):
        self.estimator = estimator
        self.n_samples = n_samples
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Fit a clone of the estimator.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)
        y : array-like of shape (n_structures,)
            Total energies in eV.
        **fit_params : dict
            For the fit of the estimator.

        Returns
        -------
        self : object
        """
        X, y = self.check_inputs(X, y)
        rng = check_random_state(self.random_state)
        estimator = clone(self.estimator)
        _refuse_without_dropout(_last_unfitted(estimator))
        estimator.fit(X, y, **fit_params)
        self.seeds_ = rng.randint(LARGEST_SEED, size=self.n_samples)
        self.estimator_ = estimator
        return self

    def answer(self, X, context: Context) -> Answer:
        """Predict by the mean of the thinned copies; their scatter is the deviation."""
        fitted = bare(self.estimator_)
        steps = fitted.steps[:-1] if isinstance(fitted, Pipeline) else []
        Z, way = follow_steps(steps, X, context)
        model = last_model(fitted)
        copies = [model.thinned(int(seed)) for seed in self.seeds_]
        found = [answer(copy, Z, context) for copy in copies]
        return Members(found, X, way, context, False, self.lift_std).together()


def _last_unfitted(estimator):
    """Give what stands at the end of pipelines and searches that are not fitted."""
    while isinstance(estimator, Pipeline | BaseSearchCV):
        is_search = isinstance(estimator, BaseSearchCV)
        estimator = estimator.estimator if is_search else estimator.steps[-1][1]
    return last_model(estimator)


def _refuse_without_dropout(model) -> None:
    if not hasattr(model, "thinned"):
        raise TypeError(
            f"DropoutRegressor leaves out units that a model was trained to do without, "
            f"and {type(model).__name__} is trained without dropout: take "
            "NeuralNetworkRegressor(dropout=0.1) as the last step, or EnsembleRegressor."
        )
    if not model.dropout:
        raise ValueError(
            f"DropoutRegressor leaves units out, and {type(model).__name__} has "
            f"dropout={model.dropout}, so all samples would be the same. Set its dropout "
            "to 0.05 to 0.2."
        )
