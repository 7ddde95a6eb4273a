"""Checks of what takes a fitted model: calculator, guard, report, files, copies."""

# ruff: noqa: D401 - the first line of a check is its claim
from __future__ import annotations

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase.calculators.calculator import PropertyNotImplementedError
from joblib import parallel_config
from sklearn.base import clone

from skatom.base import target_of
from skatom.calculator import SkatomCalculator
from skatom.persistence import load, save
from skatom.report import UncertaintyReport
from skatom.testing._matrix.case import (
    Case,
    differences,
    flat_of,
    require,
    require_same,
)
from skatom.uncertainty import (
    ConformalRegressor,
    ExtrapolationError,
    FeatureDistance,
)


def check_calculator(case: Case):
    """The calculator gives the energy, and forces are its slopes."""
    atoms = case.new[0].copy()
    atoms.calc = SkatomCalculator(case.fitted)
    require_same(
        atoms.get_potential_energy(), case.predicted[0], "energies differ", 1e-6
    )
    direction = np.random.default_rng(0).normal(size=atoms.positions.shape)
    try:
        forces = atoms.get_forces()
    except PropertyNotImplementedError as error:
        raise ValueError(str(error)) from error
    slope = differences(case.fitted, case.new[0], direction)
    limit = 1e-5 + 1e-4 * np.abs(forces).sum()
    require(abs(slope + (forces * direction).sum()) < limit, "forces are no slopes")


def check_guard(case: Case):
    """A run stops where a grade is above the threshold, and goes on where none is."""
    grader = FeatureDistance(case.fitted, random_state=0)
    grader.fit(case.train[0], X_calibration=case.held[0])
    grade = float(grader.grade(case.new[:1])[0])
    atoms = case.new[0].copy()
    options = {"novelty": grader, "on_extrapolation": "stop"}
    atoms.calc = SkatomCalculator(case.fitted, threshold=1.01 * grade, **options)
    atoms.get_potential_energy()
    require_same(atoms.calc.extras["extrapolation"], grade, "grades differ")
    atoms.calc = SkatomCalculator(case.fitted, threshold=0.99 * grade, **options)
    try:
        atoms.get_potential_energy()
    except ExtrapolationError:
        return
    raise AssertionError("a grade above the threshold does not stop the run")


def check_report(case: Case):
    """A report of intervals has the errors of predictions."""
    model, target = case.fitted, target_of(case.fitted)
    if target.width == 1 and not target.per_atom:  # what has intervals
        model = ConformalRegressor(model, cv="prefit", forces=None).fit(*case.held)
    y = case.y[-len(case.new) :]
    report = UncertaintyReport.from_estimator(
        model, case.new, y, figures=False, n_bootstrap=2
    )
    require(len(report.tables) > 0, "the report is empty")
    numbers = [cell for table in report.tables for row in table.rows for cell in row]
    mae = np.abs(flat_of(y) - case.predicted).mean()
    values = [float(n) for n in numbers if isinstance(n, int | float)]
    values += [n.value for n in numbers if hasattr(n, "value")]
    scaled = np.abs(np.array(values)[:, None] - mae * np.array([1.0, 1e3]))
    require((scaled < 1e-6 * (1 + mae * 1e3)).any(), "the mean error is not in it")


def check_save_and_load(case: Case):
    """A model comes back from its file to the bit."""
    with TemporaryDirectory() as folder:
        loaded = load(save(case.fitted, Path(folder) / "model"), trusted=_foreign(case))
    require_same(
        loaded.predict(case.new), case.predicted, "a loaded model differs", 0.0
    )


def _foreign(case: Case) -> list[str]:
    """Name what the file of a model has that is neither ours nor an estimator."""
    names = []
    if {"StackingRegressor", "VotingRegressor"} & case.names:
        names.append("sklearn.utils._bunch.Bunch")
    if "MessagePassingRegressor" in case.names:
        names.append("skatom.testing._matrix.module.Wells")
    return names


def check_pickle(case: Case):
    """A copy through pickle predicts the same to the bit."""
    copy = pickle.loads(pickle.dumps(case.fitted))
    require_same(copy.predict(case.new), case.predicted, "a pickled copy differs", 0.0)


def check_clone(case: Case):
    """A clone, fitted to the same, predicts the same to the bit."""
    copy = case.unfitted() if "LastLayerRigidity" in case.name else clone(case.fitted)
    again = copy.fit(*case.train).predict(case.new)
    require_same(again, case.predicted, "a clone, fitted again, differs", 0.0)


def check_n_jobs(case: Case):
    """Threads change no bit."""
    names = [n for n in case.estimator.get_params() if n.split("__")[-1] == "n_jobs"]
    names = [n for n in names if n.endswith("acsf__n_jobs") or "__" not in n]
    if not names:
        return
    with parallel_config(backend="threading"):  # processes take seconds to start
        model = case.unfitted(**dict.fromkeys(names, 2)).fit(*case.train)
        again = model.predict(case.new)
    require_same(again, case.predicted, "two jobs give other predictions", 0.0)


USERS = {
    "SkatomCalculator": check_calculator,
    "ExtrapolationGuard": check_guard,
    "UncertaintyReport": check_report,
    "save": check_save_and_load,
    "pickle": check_pickle,
    "clone": check_clone,
    "n_jobs": check_n_jobs,
}
