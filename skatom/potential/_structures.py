"""Estimators that take structures and know their own forces."""

from __future__ import annotations

import numpy as np

from skatom.base import NoStandardDeviationError
from skatom.features import NoDerivativeError
from skatom.potential.answers import Answer, Context, Deviations, Motion
from skatom.potential.deviations import with_std
from skatom.structures import Structures
from skatom.structures._voigt import virials_of


def answer_of_structures(estimator, X: Structures, context: Context) -> Answer:
    """Ask an estimator of structures for what the context wants.

    An ``evaluate`` method is called once for everything; otherwise ``predict`` and,
    where needed, ``predict_forces``, ``predict_stress`` and ``predict_atomic_energies``.
    """
    if hasattr(estimator, "evaluate"):
        return _evaluated(estimator, X, context)
    values = np.asarray(estimator.predict(X), dtype=np.float64)

    def pull(weights):
        forces = np.concatenate(_method(estimator, "predict_forces")(X))
        virial = None
        if context.stress:
            virial = virials_of(_method(estimator, "predict_stress")(X), X)
        return Motion(forces, virial).scaled(weights, X.offsets)

    def atoms():
        return np.concatenate(_method(estimator, "predict_atomic_energies")(X))

    return Answer(values, pull, atoms, _deviations(estimator, X))


def _deviations(estimator, X: Structures) -> Deviations:
    def joined(name):
        return lambda: np.concatenate(with_std(estimator, name, X)[1])

    return Deviations(
        lambda: with_std(estimator, "predict", X)[1],
        joined("predict_forces"),
        joined("predict_atomic_energies"),
    )


def _evaluated(estimator, X: Structures, context: Context) -> Answer:
    """Ask for everything that was announced at once, and for the rest when it is."""

    def ask(**what):
        what = {"forces": False} | {name: True for name, on in what.items() if on}
        return estimator.evaluate(X, pairs=context.pairs, **what)

    gradients = {"forces": context.forces, "stress": context.forces and context.stress}
    try:
        first = ask(**gradients, atomic=context.atomic, std=context.std)
    except (
        NoStandardDeviationError
    ):  # who asks for some, such as an ensemble, may not need these
        first = ask(**gradients, atomic=context.atomic)

    def pull(weights):
        found = first
        if not context.forces:
            found = ask(forces=True, stress=context.stress)
        virials = virials_of(found.stress, X) if context.stress else None
        return Motion(np.concatenate(found.forces), virials).scaled(weights, X.offsets)

    def atoms():
        found = first if context.atomic else ask(atomic=True)
        return np.concatenate(found.atomic_energies)

    def std(name, **what):
        known = getattr(first, name) is not None
        found = first if known else ask(std=True, **what)
        return _known(getattr(found, name), name, estimator)

    return Answer(
        first.energies,
        pull,
        atoms,
        Deviations(
            lambda: std("energy_std"),
            lambda: np.concatenate(std("forces_std", forces=True)),
            lambda: np.concatenate(std("atomic_energy_std", atomic=True)),
        ),
    )


def _known(std, name: str, estimator):
    if std is None:
        raise NoStandardDeviationError(
            f"{type(estimator).__name__} gives no {name}: ask for standard deviations of "
            "energies only (forces=False), or make an EnsembleRegressor of it."
        )
    return std


def _method(estimator, name: str):
    if not hasattr(estimator, name):
        raise NoDerivativeError(
            f"{type(estimator).__name__} takes structures but has no {name}: put a "
            "featurizer and a model with derivatives in its place."
        )
    return getattr(estimator, name)
