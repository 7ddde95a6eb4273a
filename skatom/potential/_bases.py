"""Answers of bases, and factors that several of them are added with."""

from __future__ import annotations

import numpy as np

from skatom.bases import Base
from skatom.bases._compute import Means, refuse_failures, results_of
from skatom.potential.answers import Answer, Context, Motion
from skatom.potential.deviations import no_deviations
from skatom.structures import Structures
from skatom.structures._voigt import virials_of


def answer_of_base(base: Base, X: Structures, context: Context, means: Means) -> Answer:
    """Ask for everything that was announced at once, and for the rest when it is.

    Parameters
    ----------
    base : Base
    X : Structures
    context : Context
    means : Means

    Returns
    -------
    answer : Answer
    """
    first: list = []

    def ask(*names):
        if first and all(set(names) <= set(one) for one in first):
            return first
        found = results_of(base, X, ("energy", *names), means)
        refuse_failures(base, X, found)
        return found

    def motion(of):
        return ("forces", "stress")[: 1 + of.stress]

    def pull(weights):
        found = ask(*motion(context))
        forces = np.concatenate([one["forces"] for one in found])
        virial = None
        if context.stress:
            virial = virials_of(np.stack([one["stress"] for one in found]), X)
        return Motion(forces, virial).scaled(weights, X.offsets)

    def atoms():
        return np.concatenate([one["energies"] for one in ask("energies")])

    first += ask(*(motion(context) if context.forces else ()))
    return Answer(
        np.array([float(one["energy"]) for one in first]),
        pull,
        atoms,
        no_deviations(base),
    )


def apart_from(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Take away of energies what the composition explains."""
    if not counts.shape[1]:
        return values
    return values - counts @ np.linalg.lstsq(counts, values, rcond=1e-10)[0]


def least_squares(rows: np.ndarray, goals: np.ndarray, size: float) -> np.ndarray:
    """Fit factors, those nearest to the mean of the bases where data leave them open.

    Parameters
    ----------
    rows : ndarray of shape (n_labels, n_bases)
    goals : ndarray of shape (n_labels,)
    size : float
        Of the numbers that rows are differences of: what is smaller by 1e-10 is rounding.

    Returns
    -------
    factors : ndarray of shape (n_bases,)
    """
    mean = np.full(rows.shape[1], 1.0 / rows.shape[1])
    largest, rounding = np.linalg.norm(rows, 2), 1e-10 * size
    if largest <= rounding:
        return mean
    rcond = max(1e-10, rounding / largest)
    return mean + np.linalg.lstsq(rows, goals - rows @ mean, rcond=rcond)[0]
