"""Dipole moments and charges beside energies, from the estimator or from others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike

import numpy as np

from skatom._validation import check_is_fitted, closest
from skatom.base import Target, target_of
from skatom.base._inside import last_model
from skatom.base._targets import ASE_UNITS, UNITS
from skatom.calculator._look import Look
from skatom.potential import predict_targets

KINDS = {"dipole": "vector", "charges": "atoms"}


@dataclass(frozen=True)
class Source:
    """Where a property of ASE comes from.

    Attributes
    ----------
    target : Target
    estimator : fitted estimator or None
        None is that of energies.
    """

    target: Target
    estimator: object = None


def sources_of(estimator, properties: Mapping | None) -> dict[str, Source]:
    """Find what gives dipole moments and charges.

    Parameters
    ----------
    estimator : fitted estimator
        Of energies, and perhaps of further targets.
    properties : mapping of str to fitted estimator, or None

    Returns
    -------
    sources : dict of str to Source

    Raises
    ------
    ValueError
        If a property is not known, or its estimator predicts something else.
    """
    own = targets_of(estimator)
    found = {name: Source(t) for name in KINDS for t in own if is_property(t, name)}
    for name, other in (properties or {}).items():
        if name not in KINDS:
            raise ValueError(
                f"properties holds {name!r}.{closest(str(name), KINDS)} It may hold "
                "'dipole' and 'charges', each with a fitted estimator."
            )
        check_is_fitted(other)
        fitting = [t for t in targets_of(other) if is_property(t, name)]
        if not fitting:
            raise ValueError(
                f"properties[{name!r}] is {type(last_model(other)).__name__}, which "
                f"predicts {target_of(other).words}: give an estimator fitted with "
                f"target={name!r}."
            )
        found[name] = Source(fitting[0], other)
    return found


def targets_of(estimator) -> list[Target]:
    """Give all targets that an estimator predicts, the first one first."""
    return getattr(last_model(estimator), "targets_", None) or [target_of(estimator)]


def is_property(target: Target, name: str) -> bool:
    """Whether a target is what ASE calls by a name, in any unit of it."""
    unit = UNITS.get(target.unit, ("",))[0]
    same = unit == UNITS[ASE_UNITS[name]][0]
    return same and target.kind == KINDS[name] and target.n_columns == 1


def property_of(source: Source, name: str, look: Look) -> np.ndarray:
    """Give a property of one structure in the unit of ASE."""
    if source.estimator is None:
        found = look.found.further()
    else:
        found = predict_targets(source.estimator, look.structures)
    value = np.asarray(found[source.target.name][0], dtype=np.float64)
    return source.target.factor_to(ASE_UNITS[name]) * value


def how_to_have(name: str) -> str:
    """Say how a calculator comes by a property."""
    if name not in ("dipole", "charges"):
        return ""
    return (
        f" Give an estimator of it, properties={{{name!r}: model}} with "
        f"target={name!r}, or a network of energies and {name}."
    )


def refuse_other(target: Target, estimator) -> None:
    """Refuse an estimator of anything but energies, which move atoms."""
    if target.is_energy:
        return
    beside = [name for name in KINDS if is_property(target, name)]
    rest = f"beside it (properties={{{beside[0]!r}: ...}})" if beside else "by predict"
    raise ValueError(
        f"SkatomCalculator moves atoms by the slope of an energy, and "
        f"{type(last_model(estimator)).__name__} predicts {target.words}. Give an "
        f"estimator of energies, and ask this one {rest}."
    )


def check_estimator(estimator) -> None:
    """Refuse what predicts nothing, before a run asks it."""
    if isinstance(estimator, str | PathLike):
        path = str(estimator)
        raise TypeError(
            f"SkatomCalculator takes a fitted estimator, and {path!r} is a path: "
            f"SkatomCalculator.from_file({path!r}) loads the model in it."
        )
    check_is_fitted(estimator)
    if not hasattr(estimator, "predict"):
        last = type(last_model(estimator)).__name__
        raise TypeError(
            f"The estimator predicts nothing, it ends in {last}: put a fitted model "
            "behind it, as in make_pipeline(ACSF(), AtomicRidge())."
        )
