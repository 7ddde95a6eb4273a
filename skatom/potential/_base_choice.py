"""Choice of a base by cross-validated errors inside the training set."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, check_cv

from skatom._runtime.state import State
from skatom.bases import BaseError, named_bases
from skatom.features import NoDerivativeError
from skatom.potential._evaluate import evaluate
from skatom.structures import Structures, read_labels

NO_BASE = "none"


class BaseReport(State):
    """Errors of candidates, and which of them was chosen and why.

    Attributes
    ----------
    chosen : str
        Name of the base, or "none".
    rows : list of dict
        One a candidate: ``base``, ``energy_mae`` in eV, ``force_mae`` in eV/Å (None where
        forces are not compared), ``score``, and ``reason`` of those that were not tried.
    """

    _name = "base report"

    def __init__(self, chosen: str, rows: list[dict]):
        self.chosen = chosen
        self.rows = rows

    @property
    def why(self) -> str:
        """Sentence that says what was chosen and why."""
        score = {row["base"]: row["score"] for row in self.rows if row["score"]}
        others = len(score) - 1
        if self.chosen == NO_BASE:
            return (
                f"No base was chosen: with none of the {others} that were tried are the "
                "cross-validated errors smaller."
            )
        return (
            f"{self.chosen} was chosen: the cross-validated errors are "
            f"{score[self.chosen]:.2f} of those without a base, the smallest of {others} "
            "bases."
        )

    def __str__(self) -> str:
        lines = [f"{'base':<10} {'meV':>10} {'meV/Å':>10} {'ratio':>7}"]
        for row in self.rows:
            if row["reason"]:
                lines.append(f"{row['base']:<10} {row['reason']}")
                continue
            force = row["force_mae"]
            force = f"{'':>10}" if force is None else f"{1e3 * force:10.1f}"
            lines.append(
                f"{row['base']:<10} {1e3 * row['energy_mae']:10.1f} {force} "
                f"{row['score']:7.2f}"
            )
        return "\n".join([*lines, self.why])


def choose_base(delta, X: Structures, y: np.ndarray) -> BaseReport:
    """Cross-validate a DeltaRegressor with every registered base, and without any.

    The score is the geometric mean of the ratios of energy and force errors to those
    without a base; forces count where there are labels and the model has forces.

    Parameters
    ----------
    delta : DeltaRegressor
    X : Structures
        That hold the labels to train on.
    y : ndarray of shape (n_structures,)

    Returns
    -------
    report : BaseReport
    """
    if len(X) < 2:
        raise ValueError(
            f"base='auto' compares errors on structures that are held out, and there is "
            f"{len(X)}: name a base."
        )
    splitter = delta.cv
    if not hasattr(splitter, "split"):
        splitter = KFold(min(splitter, len(X)), shuffle=True, random_state=0)
    folds = _comparable(X, check_cv(splitter).split(X, y))
    rows: list[dict] = []
    for name, reason in {NO_BASE: None, **named_bases(X)}.items():
        row = {"base": name, "energy_mae": None, "force_mae": None, "score": None}
        try:
            if reason is None:
                base = None if name == NO_BASE else name
                model = clone(delta).set_params(
                    base=base, forces="auto", stress="auto", on_failure="raise"
                )
                row["energy_mae"], row["force_mae"] = _errors(model, X, y, folds)
                row["score"] = _score(row, rows[0] if rows else row)
        except BaseError as error:
            reason = str(error)
        rows.append(row | {"reason": reason or ""})
    tried = [row for row in rows if row["score"] is not None]
    return BaseReport(min(tried, key=lambda row: row["score"])["base"], rows)


def _comparable(X: Structures, folds) -> list:
    """Compare only structures whose elements are all in the rest."""
    kept = []
    for train, test in folds:
        known = np.unique(X[train].numbers)
        test = np.array([s for s in test if np.isin(X[s].numbers, known).all()], int)
        if len(test):
            kept.append((train, test))
    if not kept:
        raise ValueError(
            "base='auto' compares errors on structures that are held out, and here every "
            "one has an element that no other has: name a base."
        )
    return kept


def _errors(model, X: Structures, y: np.ndarray, folds) -> tuple[float, float | None]:
    """Mean absolute errors of energies and forces of structures that are held out."""
    of_energies, of_forces = [], []
    labels = read_labels(X, stress=None)
    forces = np.split(labels.forces, X.offsets[1:-1])
    for train, test in folds:
        fitted = clone(model).fit(X[train], y[train])
        energies, found = _predicted(fitted, X[test], labels.has_forces[test].any())
        of_energies.append(np.abs(energies - y[test]))
        if found is not None:
            pairs = [
                (f, forces[s]) for f, s in zip(found, test) if labels.has_forces[s]
            ]
            of_forces += [np.abs(f - true).ravel() for f, true in pairs]
    force_mae = float(np.mean(np.concatenate(of_forces))) if of_forces else None
    return float(np.mean(np.concatenate(of_energies))), force_mae


def _predicted(fitted, X: Structures, with_forces: bool):
    if with_forces:
        try:
            found = evaluate(fitted, X)
            return fitted.predict(X), found.forces
        except NoDerivativeError:
            pass
    return fitted.predict(X), None


def _score(row: dict, without: dict) -> float:
    pairs = [(row[key], without[key]) for key in ("energy_mae", "force_mae")]
    ratios = [a / max(b, 1e-12) for a, b in pairs if a is not None and b is not None]
    return float(np.exp(np.mean(np.log(np.maximum(ratios, 1e-12)))))
