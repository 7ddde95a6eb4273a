"""DeltaRegressor: learn what a baseline leaves, predict the sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from sklearn.base import BaseEstimator, RegressorMixin, clone

from skatom._validation import HasMethods, StrOptions, _fit_context, check_is_fitted
from skatom.base import Target, target_of
from skatom.base._targets import ENERGY, check_y
from skatom.features._fitted_on import remember
from skatom.labels._judge import judge_fit
from skatom.models import CompositionBaseline
from skatom.potential._ase_base import CalculatorModel
from skatom.potential.answers import Context
from skatom.potential.estimators import answer
from skatom.potential.potential_methods import PotentialMethods
from skatom.structures import Structures, check_structures, read_labels, relabel
from skatom.structures._voigt import stress_of


class DeltaRegressor(PotentialMethods, RegressorMixin, BaseEstimator):
    """Fit an estimator to what a baseline leaves of energies, forces and stress.

    A baseline that carries the bulk of the physics (energies of free atoms, a pair
    potential, a cheap electronic structure method) leaves a small, smooth remainder that
    needs fewer data; see Ramakrishnan et al., J. Chem. Theory Comput. 11, 2087 (2015),
    doi:10.1021/acs.jctc.5b00099. Predictions are sums of both, for every property.

    Parameters
    ----------
    estimator : estimator
        Takes structures, such as a Pipeline that begins with a featurizer. Cloned.
    base : {"composition"}, estimator or ASE calculator, default="composition"
        ``"composition"`` is :class:`~skatom.models.CompositionBaseline`. Any other
        estimator is cloned and fitted to the same X and y; wrap one that is fitted
        already in ``sklearn.frozen.FrozenEstimator`` to use it as it is. An ASE
        calculator is copied and run on copies of the structures.
    forces, stress : str or None, default="auto"
        Where the labels are, as in :func:`~skatom.structures.read_labels`. They matter
        only to estimators that train on them, which find the remainders under "auto".

    Attributes
    ----------
    estimator_ : estimator
        Fitted to the remainders.
    base_ : estimator
        Fitted baseline, or a wrapped copy of the calculator.

    See Also
    --------
    skatom.models.CompositionBaseline : Energies of elements by least squares.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skatom.featurizers import ACSF
    >>> from skatom.potential import DeltaRegressor
    >>> from skatom.preprocessing import Pool
    >>> frames = [molecule("H2O"), molecule("CH4"), molecule("CH3OH")]
    >>> model = DeltaRegressor(make_pipeline(ACSF(r_cut=4.0), Pool(), Ridge()))
    >>> model.fit(frames, [-14.2, -24.0, -30.1]).predict(frames).round(1)
    array([-14.2, -24. , -30.1])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "base": [
            StrOptions({"composition"}),
            HasMethods(["fit", "predict"]),
            BaseCalculator,
        ],
        "forces": [str, None],
        "stress": [str, None],
    }

    def __init__(self, estimator, base="composition", *, forces="auto", stress="auto"):
        self.estimator = estimator
        self.base = base
        self.forces = forces
        self.stress = stress

    @property
    def target_(self) -> Target:
        """What is predicted: the target of the estimator."""
        return target_of(getattr(self, "estimator_", self.estimator))

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, forces=None, stress=None):
        """Fit the baseline, then the estimator to what it leaves.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Structures, never changed: the estimator sees relabelled copies.
        y : array-like of shape (n_structures,), or as the estimator takes it
            Total energies in eV, or what its target says.
        forces : sequence of ndarray of shape (n_atoms, 3) or None, optional
            Forces in eV/Å that take precedence over stored ones.
        stress : sequence of ndarray of shape (6,) or None, optional
            The same for stress, in eV/Å³.

        Returns
        -------
        self : object
        """
        structures, target = check_structures(X), target_of(self.estimator)
        y = check_y(y, len(structures), target)
        self.base_ = self._fitted_base(structures, y, target)
        if not target.is_energy:
            if forces is not None or stress is not None:
                target.refuse_slopes(self, "forces and stress to train on")
            base = answer(self.base_, structures, Context(forces=False))
            left = y - base.like(y, structures)
            self.estimator_ = clone(self.estimator).fit(structures, left)
            remember(self, structures)
            return self
        places = {
            "forces": self._source("forces", forces),
            "stress": self._source("stress", stress),
        }
        labels = read_labels(structures, **places)
        judge_fit(structures, target.factor_to("eV") * y, labels, **places)
        relabelled, left = self._remainders(structures, y, labels, target)
        self.estimator_ = clone(self.estimator).fit(relabelled, left)
        remember(self, structures)
        return self

    def predict(self, X: Sequence[Atoms], return_std: bool = False):
        """Predict the sum of what the baseline and the estimator predict.

        Parameters
        ----------
        X : sequence of ase.Atoms
        return_std : bool, default=False
            Whether the estimator is asked for its standard deviations too.

        Returns
        -------
        y : ndarray of shape (n_structures,), or as the estimator predicts
            In eV, or the unit of the target.
        std : like y
            Only with ``return_std``; the baseline has none.
        """
        check_is_fitted(self)
        X = check_structures(X, allow_empty=True)
        found = answer(self, X, Context(forces=False, std=return_std))
        y = found.predictions(X)
        return (y, found.in_rows(found.std.energies(), X)) if return_std else y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _fitted_base(self, structures: Structures, y: np.ndarray, target: Target):
        if isinstance(self.base, BaseCalculator):
            _refuse_other(target, ENERGY, type(self.base).__name__)
            return CalculatorModel(self.base)
        if isinstance(self.base, str):
            base = CompositionBaseline(target=target)
        else:
            base = clone(self.base)
            _refuse_other(target, target_of(base), type(base).__name__)
        return base.fit(structures, y)

    def _source(self, name: str, given):
        """Where labels are read from: nowhere when the estimator will not train on them."""
        wanted = _settings(self.estimator, name)
        elsewhere = [
            w for w in wanted if isinstance(w, str) and w not in ("auto", "calc")
        ]
        if elsewhere:
            raise ValueError(
                f"The estimator reads {name} from {elsewhere[0]!r}, where the baseline is "
                f"not subtracted: give DeltaRegressor({name}={elsewhere[0]!r}) and leave "
                f"{name}='auto' inside."
            )
        if given is not None:
            return given
        return getattr(self, name) if any(w is not None for w in wanted) else None

    def _remainders(self, structures: Structures, y: np.ndarray, labels, target):
        """Relabel copies with what the baseline leaves, and give the energies left."""
        has_forces = bool(labels.has_forces.any())
        found = answer(self.base_, structures, Context(forces=has_forces))
        y = y - found.values
        n, unit = len(structures), target.factor_to("eV")
        ones = np.full(n, unit)
        forces, stress = [None] * n, [None] * n
        if has_forces:
            left = labels.forces - found.pull(ones).forces
            rows = np.split(left, structures.offsets[1:-1])
            for s in np.flatnonzero(labels.has_forces):
                forces[s] = rows[s]
        strained = np.flatnonzero(labels.has_stress)
        if len(strained):
            some = structures[strained]
            found = answer(self.base_, some, Context(stress=True))
            motion = found.pull(ones[strained])
            for s, of_base in zip(strained, stress_of(motion.virial, some)):
                stress[s] = labels.stress[s] - of_base
        return relabel(structures, unit * y, forces, stress), y


@answer.register(DeltaRegressor)
def _delta(estimator, X, context):
    base = answer(estimator.base_, X, replace(context, std=False))
    rest = answer(estimator.estimator_, X, context)
    return replace(
        rest,
        values=base.values + rest.values,
        pull=lambda weights: base.pull(weights) + rest.pull(weights),
        atoms=lambda: base.atoms() + rest.atoms(),
    )


def _refuse_other(target: Target, base: Target, name: str) -> None:
    if not target.agrees_with(base):
        raise ValueError(
            f"The base {name} predicts {base.words}, and the estimator {target.words}, "
            "which do not add up: give both one target."
        )


def _settings(estimator, name: str) -> list:
    """Values of a parameter of this name anywhere inside an estimator."""
    return [
        value
        for key, value in estimator.get_params(deep=True).items()
        if key.rsplit("__", 1)[-1] == name
    ]
