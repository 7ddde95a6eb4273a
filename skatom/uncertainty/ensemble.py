"""Ensembles: the scatter of models any of which could be right."""

from __future__ import annotations

import warnings
from math import ceil

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from skatom._runtime.progress import Progress
from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    _safe_indexing,
    check_is_fitted,
    check_random_state,
)
from skatom.features._fitted_on import remember
from skatom.model_selection._content_groups import content_groups
from skatom.potential.answers import Answer, Context
from skatom.potential.estimators import answer
from skatom.potential.steps import follow_steps
from skatom.structures import check_structures
from skatom.structures._voigt import stress_of
from skatom.uncertainty._error_bars import (
    check_fit_inputs,
    smallest_std,
)
from skatom.uncertainty._members import (
    Members,
    fit_member,
    fit_snapshots,
    is_random,
    seeded,
    split_pipelines,
)
from skatom.uncertainty.error_bar_regressor import ErrorBarRegressor

N_MEMBERS = 5
SUBSAMPLE = 0.8


class EnsembleRegressor(ErrorBarRegressor):
    """Mean of several models, and their scatter as error bar.

    Members see other structures, start from other random numbers, have other
    architectures, or are taken from one training at several times. Where data decide,
    they agree; where none are near, they scatter [1]_. The scatter is too small as it
    comes, about half of the errors for networks: calibrate it with
    `CalibratedStdRegressor`, or give the ensemble to a `ConformalRegressor`.

    Parameters
    ----------
    estimator : estimator, or list of estimators
        Pipelines or models on structures, models on features, or any regressors on rows
        of numbers. Of a list, members take one after the other, from the start again if
        there are more members.
    n_members : int, default=None
        None is 5, or the length of a list of estimators.
    diversity : {"bagging", "subsampling", "seeds", "snapshots"}, default="bagging"
        What members differ in, beside their estimator.

        - "bagging": structures, drawn with replacement; works for every estimator;
        - "subsampling": structures, drawn without replacement [2]_;
        - "seeds": every `random_state` inside, alone: networks start from other weights
          and none lacks data [1]_;
        - "snapshots": members are copies from the course of one training, each of which
          goes on from the last (`warm_start`); for networks with a cosine schedule these
          are snapshot ensembles [3]_, at the price of one training of n members' length.

        Seeds differ in "bagging" and "subsampling" too. Structures of equal content are
        drawn together.
    max_samples : float or int, default=None
        Share, or number, of structures that are drawn for each member. None draws as
        many as there are for "bagging", and 0.8 of them for "subsampling".
    share_features : bool, default=True
        Whether the leading steps that all pipelines have in common are fitted once, to
        all structures, and run once for all members. Otherwise every member fits its own.
    member_std : bool, default=False
        Whether the members' own standard deviations, averaged as variances, are added to
        the scatter, as in deep ensembles of Gaussian networks [1]_.
    n_jobs : int, default=None
        Members fitted at a time, as in joblib. None is one, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Draws structures and the seeds of members.
    verbose : int, default=0
        Whether progress is shown, member by member.

    Attributes
    ----------
    estimators_ : list of estimators
        Fitted members; without the shared steps, where there are any.
    features_ : Pipeline or None
        Fitted steps that all members share.
    counts_ : ndarray of int, shape (n_members, n_structures)
        How often each structure of fit served each member.
    std_floor_ : float
        Smallest standard deviation, 1e-9 of the largest target, in eV (eV/Å for forces).
    n_features_in_ : int
        Only if the members have it, which estimators on structures do not.

    See Also
    --------
    CalibratedStdRegressor : Scale error bars to the size of errors.
    LastLayerRigidity : Error bars of one network, at a fraction of the price.
    sklearn.ensemble.BaggingRegressor : The mean alone.

    Notes
    -----
    The standard deviation is that of one member, with the number of members less one
    below; that of energies, of energies of atoms, and of every component of forces and
    stress is taken of those of the members. Prediction costs as many times that of one
    model as there are members, less what shared features save.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel, C. Blundell, NeurIPS 30 (2017),
       arXiv:1612.01474
    .. [2] F. Musil, M. J. Willatt, M. A. Langovoy, M. Ceriotti, J. Chem. Theory Comput.
       15, 906 (2019), doi:10.1021/acs.jctc.8b00959
    .. [3] G. Huang, Y. Li, G. Pleiss, Z. Liu, J. E. Hopcroft, K. Q. Weinberger, ICLR
       2017, arXiv:1704.00109

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from skatom.uncertainty import EnsembleRegressor
    >>> X = np.linspace(0, 1, 50)[:, None]
    >>> model = EnsembleRegressor(DecisionTreeRegressor(max_depth=4), random_state=0)
    >>> y_pred, std = model.fit(X, X[:, 0] ** 2).predict([[0.5]], return_std=True)
    >>> y_pred.shape, bool(std[0] > 0)
    ((1,), True)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), list],
        "n_members": [Interval(Integral, 2, None, closed="left"), None],
        "diversity": [StrOptions({"bagging", "subsampling", "seeds", "snapshots"})],
        "max_samples": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "share_features": ["boolean"],
        "member_std": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator,
        n_members=None,
        *,
        diversity="bagging",
        max_samples=None,
        share_features=True,
        member_std=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.n_members = n_members
        self.diversity = diversity
        self.max_samples = max_samples
        self.share_features = share_features
        self.member_std = member_std
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Fit all members.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)
        y : array-like of shape (n_structures,), or as the members take it
            Total energies in eV, or what the target of the members says.
        **fit_params : dict
            For the fit of every member. What has one entry per structure is drawn with
            the structures.

        Returns
        -------
        self : object
        """
        chosen = self._chosen()
        X, structures, y = check_fit_inputs(self, X, y)
        n = len(y)
        rng = check_random_state(self.random_state)
        features, members, fit_params = self._shared(chosen, fit_params)
        _refuse_equal(members, self.diversity)
        counts = self._draw(content_groups(structures, n), len(members), rng)
        members = [seeded(member, rng) for member in members]
        Z = X if features is None else features.fit_transform(X, y)
        if self.diversity == "snapshots":
            made = fit_snapshots(members[0], Z, y, len(members), fit_params)
        else:
            made = Parallel(n_jobs=self.n_jobs, return_as="generator")(
                delayed(fit_member)(member, Z, y, count, fit_params)
                for member, count in zip(members, counts)
            )
        shown = bool(self.verbose)
        with Progress(type(self).__name__, len(members), "members", shown) as progress:
            members = list(progress.over(made))
        self.estimators_, self.features_, self.counts_ = members, features, counts
        self.std_floor_ = smallest_std(y)
        remember(self, X, y)
        if self.diversity == "seeds":
            self._warn_of_equal_members(_safe_indexing(X, np.arange(min(n, 32))))
        return self

    def predict_stress(self, X, return_std: bool = False):
        """Predict the stress of crystals, and of slabs by the volume of their box.

        Parameters
        ----------
        X : sequence of ase.Atoms
        return_std : bool, default=False

        Returns
        -------
        stress : ndarray of shape (n_structures, 6)
            In eV/Å³, Voigt order xx yy zz yz xz xy, positive = tension.
        std : ndarray of shape (n_structures, 6)
            In eV/Å³; only with ``return_std``.
        """
        stress = super().predict_stress(X)
        if not return_std:
            return stress
        structures = check_structures(X)
        members = self._members(structures, Context(stress=True, std=True))
        scatter = np.std([one.virial for one in members.motions], axis=0, ddof=1)
        return stress, self.lift_std(stress_of(scatter, structures))

    def answer(self, X, context: Context) -> Answer:
        """Predict by the mean of the members; their scatter is the deviation."""
        return self._members(X, context).together()

    def _members(self, X, context: Context) -> Members:
        """Ask all members, which see the shared features where there are any."""
        steps = [] if self.features_ is None else self.features_.steps
        Z, way = follow_steps(steps, X, context)
        found = [answer(member, Z, context) for member in self.estimators_]
        return Members(found, X, way, context, self.member_std, self.lift_std)

    def _listed(self) -> list:
        return self.estimator if isinstance(self.estimator, list) else [self.estimator]

    def _wrapped(self):
        return self._listed()[0]

    def _inside(self):
        check_is_fitted(self)
        return self.features_ or self.estimators_[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.random_state is None  # members are seeded
        return tags

    def _chosen(self) -> list:
        """Give the estimator of each member, not cloned."""
        listed = self._listed()
        wrong = [one for one in listed if not hasattr(one, "fit")]
        if wrong or not listed:
            raise TypeError(
                "estimator is an estimator or a list of them; got "
                f"{wrong[0] if wrong else listed!r}."
            )
        n_members = self.n_members
        if n_members is None:
            n_members = len(listed) if len(listed) > 1 else N_MEMBERS
        return [listed[k % len(listed)] for k in range(n_members)]

    def _shared(self, chosen: list, fit_params: dict):
        """Split off the steps that all members share, unless fit has parameters for one.

        Returns
        -------
        features : Pipeline or None
        members : list of estimators
        fit_params : dict
            As the members call them.
        """
        steps, members = (
            split_pipelines(chosen) if self.share_features else ([], chosen)
        )
        if any(
            name.startswith(f"{step}__") for step, _ in steps for name in fit_params
        ):
            steps, members = [], chosen
        if not steps:
            return None, members, fit_params
        if not isinstance(members[0], Pipeline):
            last = f"{chosen[0].steps[-1][0]}__"
            fit_params = {name.removeprefix(last): v for name, v in fit_params.items()}
        return (
            Pipeline([(name, clone(step)) for name, step in steps]),
            members,
            fit_params,
        )

    def _draw(self, groups: np.ndarray, n_members: int, rng) -> NDArray[np.int64]:
        """Draw how often each structure serves each member, equal ones together."""
        if self.diversity in ("seeds", "snapshots"):
            return np.ones((n_members, len(groups)), dtype=np.int64)
        n_groups = int(groups.max()) + 1
        again = self.diversity == "bagging"
        size = self.max_samples or (1.0 if again else SUBSAMPLE)
        size = ceil(size * n_groups) if size <= 1 and isinstance(size, float) else size
        if not again and size > n_groups:
            raise ValueError(
                f"max_samples is {size}, but there are only {n_groups} different "
                "structures to draw without replacement. Lower it, or choose 'bagging'."
            )
        drawn = [rng.choice(n_groups, size, replace=again) for _ in range(n_members)]
        return np.array([np.bincount(d, minlength=n_groups)[groups] for d in drawn])

    def _warn_of_equal_members(self, X) -> None:
        found = self.answer(X, Context(forces=False, std=True))
        if (found.std.energies() <= self.std_floor_).all():
            warnings.warn(
                "All members are the same, so their scatter says nothing: the random_state "
                "inside the estimator does not change it. Choose diversity='bagging'.",
                UserWarning,
                stacklevel=3,
            )


def _refuse_equal(members: list, diversity: str) -> None:
    alone = diversity == "seeds" and not all(map(is_random, members))
    if alone and len({id(member) for member in members}) < len(members):
        raise ValueError(
            f"diversity='seeds' makes members differ by their random_state, which "
            f"{type(members[0]).__name__} lacks. Choose 'bagging'."
        )
