"""DeltaRegressor: learn what a baseline leaves, predict the sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from sklearn.base import BaseEstimator, RegressorMixin, clone

from skatom._runtime.state import KeepsState
from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_is_fitted,
    check_targets,
)
from skatom.base import Target, target_of
from skatom.base._inside import name_of_model
from skatom.base._targets import ENERGY, check_y
from skatom.bases import Base
from skatom.features._fitted_on import remember
from skatom.labels._judge import already_judged, judge_fit
from skatom.models import CompositionBaseline
from skatom.potential._base_choice import NO_BASE, BaseReport, choose_base
from skatom.potential.answers import Context
from skatom.potential.calculator_regressor import CalculatorRegressor
from skatom.potential.estimators import answer
from skatom.potential.potential_methods import PotentialMethods
from skatom.structures import Structures, check_structures, read_labels, relabel
from skatom.structures._voigt import stress_of


class DeltaRegressor(KeepsState, PotentialMethods, RegressorMixin, BaseEstimator):
    """Fit an estimator to what a baseline leaves of energies, forces and stress.

    A baseline that carries the bulk of the physics (energies of free atoms, a pair
    potential, a cheap electronic structure method) leaves a small, smooth remainder that
    needs fewer data; see Ramakrishnan et al., J. Chem. Theory Comput. 11, 2087 (2015),
    doi:10.1021/acs.jctc.5b00099. Predictions are sums of both, for every property.

    Parameters
    ----------
    estimator : estimator
        Takes structures, such as a Pipeline that begins with a featurizer. Cloned.
    base : str, Base, ASE calculator, estimator, list of these, or None
        ``"composition"``, the default, is :class:`~skatom.models.CompositionBaseline`. The
        name of a registered base, "gfn2-xtb" or "gfn1-xtb" (``pip install "skatom[xtb]"``),
        "emt", "lj" or "zbl", its settings, such as :class:`skatom.bases.GFN1xTB`, or any
        ASE calculator: the physics beneath, with energies of elements fitted on top. A list
        of these: their sum, with factors by least squares on energies and forces. Any other
        estimator is cloned and fitted to the same X and y; wrap one that is fitted already
        in ``sklearn.frozen.FrozenEstimator`` to use it as it is. None is no base.
        ``"auto"`` tries all registered bases that are installed and know the elements, and
        None, by cross-validation inside the training set: `cv` fits each.
    forces, stress : str or None, default="auto"
        Where the labels are, as in :func:`~skatom.structures.read_labels`. They matter
        only to estimators that train on them, which find the remainders under "auto".
    cv : int or splitter, default=3
        Folds for ``base="auto"``, shuffled. For frames of one run of dynamics give a
        splitter that keeps neighbours together, such as
        :class:`skatom.model_selection.BlockKFold`.
    on_failure : {"raise", "drop"}, default="raise"
        Whether structures for which a base fails are refused in fit, or left out.
    memory : str, os.PathLike, joblib.Memory or None, default=None
        Folder that keeps results of bases, shared by processes and sessions.
    max_memory : int, float or str, default="1GB"
        Bytes that kept results may take in this process, and in the folder.
    n_jobs : int or None, default=None
        Processes that compute structures with a base, as in joblib.
    verbose : int, default=0
        Whether a bar of progress is shown while a base computes structures.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to the remainders.
    base_ : estimator or None
        Fitted baseline: a :class:`CalculatorRegressor` of calculators and named bases.
    base_report_ : BaseReport
        With ``base="auto"``: what was chosen (``chosen``), errors of all (``rows``) and a
        sentence that says why (``why``); printing it gives a table.
    left_out_ : ndarray of int
        Structures of fit that a base failed for.

    See Also
    --------
    CalculatorRegressor : The base alone.
    skatom.models.CompositionBaseline : Energies of elements by least squares.

    Notes
    -----
    What a base says of a structure is computed once in a process, whatever fold, clone or
    candidate asks, and found by the content of the structure. Error bars are those of the
    estimator: a base states none.

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
            str,
            list,
            tuple,
            Base,
            HasMethods(["fit", "predict"]),
            BaseCalculator,
            None,
        ],
        "forces": [str, None],
        "stress": [str, None],
        "cv": [Interval(Integral, 2, None, closed="left"), HasMethods("split")],
        "on_failure": [StrOptions({"raise", "drop"})],
        "memory": "no_validation",
        "max_memory": [Interval(Real, 0, None, closed="neither"), str],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }
    _states = (BaseReport,)

    def __init__(
        self,
        estimator,
        base="composition",
        *,
        forces="auto",
        stress="auto",
        cv=3,
        on_failure="raise",
        memory=None,
        max_memory="1GB",
        n_jobs=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.base = base
        self.forces = forces
        self.stress = stress
        self.cv = cv
        self.on_failure = on_failure
        self.memory = memory
        self.max_memory = max_memory
        self.n_jobs = n_jobs
        self.verbose = verbose

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
        self.__dict__.pop("base_report_", None)
        self.left_out_ = np.zeros(0, dtype=np.int64)
        if not target.is_energy:
            if forces is not None or stress is not None:
                target.refuse_slopes(self, "forces and stress to train on")
            self.base_ = self._fitted_base(structures, y, target)
            if self.base_ is not None:
                base = answer(self.base_, structures, Context(forces=False))
                y = y - base.like(y, structures)
            self.estimator_ = clone(self.estimator).fit(structures, y)
            remember(self, structures)
            return self
        y = check_targets(y, len(structures))
        places = {
            "forces": self._source("forces", forces),
            "stress": self._source("stress", stress),
        }
        labels = read_labels(structures, **places)
        judge_fit(structures, target.factor_to("eV") * y, labels, **places)
        self.base_ = self._fitted_base(structures, y, target, labels)
        self.left_out_ = getattr(self.base_, "left_out_", self.left_out_)
        if len(self.left_out_):
            keep = np.setdiff1d(np.arange(len(structures)), self.left_out_)
            labels = labels.take(keep, structures.offsets)
            structures, y = structures[keep], y[keep]
        relabelled, left = self._remainders(structures, y, labels, target)
        with already_judged():
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

    def _fitted_base(self, structures: Structures, y, target: Target, labels=None):
        base = self.base
        if isinstance(base, str) and base == "auto":
            base = self._chosen(structures, y, target, labels)
        if base is None:
            return None
        if isinstance(base, str) and base == "composition":
            _refuse_without_shares(self, target)
            return CompositionBaseline(target=target).fit(structures, y)
        if hasattr(base, "predict"):
            base = clone(base)
            _refuse_other(target, target_of(base), type(base).__name__)
            return base.fit(structures, y)
        name = repr(base) if isinstance(base, str) else type(base).__name__
        _refuse_other(target, ENERGY, name)
        calculators = CalculatorRegressor(
            base,
            shift=True,
            forces=None,
            on_failure=self.on_failure,
            memory=self.memory,
            max_memory=self.max_memory,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        forces = None
        if labels.has_forces.any():
            forces = _rows(labels.forces, labels.has_forces, structures)
        return calculators.fit(structures, y, forces=forces)

    def _chosen(self, structures: Structures, y: np.ndarray, target: Target, labels):
        """Give the name of the base with the smallest errors, None for no base."""
        _refuse_other(target, ENERGY, "'auto'")
        X = relabel(structures, y, *_labels_of(labels, structures))
        self.base_report_ = choose_base(self, X, y)
        chosen = self.base_report_.chosen
        return None if chosen == NO_BASE else chosen

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
        unit = target.factor_to("eV")
        ones, has_forces = np.full(len(structures), unit), bool(labels.has_forces.any())
        forces, stress = labels.forces, labels.stress
        if self.base_ is not None:
            found = answer(self.base_, structures, Context(forces=has_forces))
            y = y - found.values
            if has_forces:
                forces = forces - found.pull(ones).forces
            strained = np.flatnonzero(labels.has_stress)
            if len(strained):
                some = structures[strained]
                found = answer(self.base_, some, Context(stress=True))
                virial = found.pull(ones[strained]).virial
                stress = stress.copy()
                stress[strained] -= stress_of(virial, some)
        left = replace(labels, forces=forces, stress=stress)
        return relabel(structures, unit * y, *_labels_of(left, structures)), y


@answer.register(DeltaRegressor)
def _delta(estimator, X, context):
    if estimator.base_ is None:
        return answer(estimator.estimator_, X, context)
    base = answer(estimator.base_, X, replace(context, std=False))
    rest = answer(estimator.estimator_, X, context)
    return replace(
        rest,
        values=base.values + rest.values,
        pull=lambda weights: base.pull(weights) + rest.pull(weights),
        atoms=lambda: base.atoms() + rest.atoms(),
    )


def _labels_of(labels, X: Structures) -> tuple[list, list]:
    """Give forces and stress structure by structure, None where there are none."""
    stress = [
        row if has else None for row, has in zip(labels.stress, labels.has_stress)
    ]
    return _rows(labels.forces, labels.has_forces, X), stress


def _rows(forces: np.ndarray, has_forces: np.ndarray, X: Structures) -> list:
    rows = np.split(forces, X.offsets[1:-1])
    return [row if has else None for row, has in zip(rows, has_forces)]


def _refuse_without_shares(model, target: Target) -> None:
    """Refuse to subtract numbers of elements from what these do not add up to."""
    if not (target.adds_up and target.width == 1):
        raise ValueError(
            f"DeltaRegressor(base='composition') subtracts what elements contribute to one "
            f"sum, or mean, and {name_of_model(model)} predicts {target.words}: give an "
            "estimator of the same as base, or base=None."
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
