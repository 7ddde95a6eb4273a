"""Estimators that take structures and know their own forces."""

from __future__ import annotations

from functools import partial

import numpy as np

from skatom.base import NoStandardDeviationError, target_of
from skatom.features import NoDerivativeError
from skatom.potential.answers import Answer, Context, Deviations, Motion, as_rows
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
    target = target_of(estimator)
    values, target = as_rows(estimator.predict(X), target)

    def pull(weights):
        forces = np.concatenate(_method(estimator, "predict_forces")(X))
        virial = None
        if context.stress:
            virial = virials_of(_method(estimator, "predict_stress")(X), X)
        return Motion(forces, virial).scaled(weights, X.offsets)

    def atoms():
        return np.concatenate(_method(estimator, "predict_atomic_energies")(X))

    return Answer(values, pull, atoms, _deviations(estimator, X), target=target)


def _deviations(estimator, X: Structures) -> Deviations:
    def joined(name):
        std = with_std(estimator, name, X)[1]
        return np.concatenate(std) if isinstance(std, list) and std else np.asarray(std)

    names = ("predict", "predict_forces", "predict_atomic_energies")
    return Deviations(*(partial(joined, name) for name in names))


def _evaluated(estimator, X: Structures, context: Context) -> Answer:
    """Ask for everything that was announced at once, and for the rest when it is."""
    target = target_of(estimator)
    of_energy = target.is_energy
    unit = target.factor_to("eV") if of_energy else 1.0  # of named fields

    def ask(**what):
        what = {"forces": False} | {name: True for name, on in what.items() if on}
        return estimator.evaluate(X, pairs=context.pairs, **what)

    wanted = {
        "forces": of_energy and context.forces,
        "stress": of_energy and context.forces and context.stress,
        "atomic": of_energy and context.atomic,
    }
    try:
        first = ask(**wanted, std=context.std)
    except (
        NoStandardDeviationError
    ):  # who asks for some, such as an ensemble, may not need these
        first = ask(**wanted)

    def pull(weights):
        target.refuse_slopes(estimator, "forces")
        found = first
        if not context.forces:
            found = ask(forces=True, stress=context.stress)
        virials = virials_of(found.stress, X) if context.stress else None
        motion = Motion(np.concatenate(found.forces), virials)
        return motion.scaled(weights / unit, X.offsets)

    def atoms():
        target.refuse_slopes(estimator, "energies of atoms")
        found = first if context.atomic else ask(atomic=True)
        return np.concatenate(found.atomic_energies) / unit

    def std(name, **what):
        known = getattr(first, name) is not None
        found = first if known else ask(std=True, **what)
        return _known(getattr(found, name), name, estimator)

    def std_of_values():
        if of_energy:
            return std("energy_std") / unit
        found = first if first.properties_std else ask(std=True)
        known = _known(found.properties_std.get(target.name), "std", estimator)
        return as_rows(known, target)[0]

    values = first.energies / unit if of_energy else first.properties[target.name]
    values, target = as_rows(values, target)
    return Answer(
        values,
        pull,
        atoms,
        Deviations(
            std_of_values,
            lambda: np.concatenate(std("forces_std", forces=True)) / unit,
            lambda: np.concatenate(std("atomic_energy_std", atomic=True)) / unit,
        ),
        target=target,
        further=lambda: first.properties,
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
