"""The matrix of wrappers over models: run, counted and printed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from skatom.structures import Structures
from skatom.testing._matrix.case import Case
from skatom.testing._matrix.models import matrix_frames, public_models, stock_models
from skatom.testing._matrix.users import USERS
from skatom.testing._matrix.wrappers import wrapper_checks

# A guard asks two, and a stream the intervals that it begins with.
ALSO = {
    "ExtrapolationGuard": ("FeatureDistance", "SkatomCalculator"),
    "AdaptiveConformalRegressor": ("ConformalRegressor",),
}
SIGNS = {"right": "+", "refused": "-", "wrong": "!"}


@dataclass(frozen=True)
class Cell:
    """One wrapper over one model.

    Attributes
    ----------
    model, wrapper : str
    outcome : {"right", "refused", "wrong"}
    reason : str
        The sentence of a refusal, or what is wrong.
    """

    model: str
    wrapper: str
    outcome: str
    reason: str = ""


@dataclass(frozen=True)
class Matrix:
    """Outcomes of every wrapper over every model.

    Attributes
    ----------
    cells : tuple of Cell
    """

    cells: tuple[Cell, ...]

    def of(self, outcome: str) -> list[Cell]:
        """Give the cells of one outcome, "right", "refused" or "wrong".

        Parameters
        ----------
        outcome : str

        Returns
        -------
        cells : list of Cell
        """
        return [cell for cell in self.cells if cell.outcome == outcome]

    def __str__(self) -> str:
        wrappers = list(dict.fromkeys(cell.wrapper for cell in self.cells))
        models = list(dict.fromkeys(cell.model for cell in self.cells))
        signs = {(c.model, c.wrapper): SIGNS[c.outcome] for c in self.cells}
        head = "| model | " + " | ".join(wrappers) + " |"
        lines = [head, "|---" * (len(wrappers) + 1) + "|"]
        for model in models:
            row = [signs.get((model, wrapper), " ") for wrapper in wrappers]
            lines.append(f"| {model} | " + " | ".join(row) + " |")
        counts = ", ".join(f"{len(self.of(name))} {name}" for name in SIGNS)
        reasons = [
            f"- {cell.wrapper} over {cell.model}: {cell.reason}"
            for cell in self.of("refused")
        ]
        return "\n".join([*lines, "", f"{counts}.", "", *reasons])


def matrix_models() -> dict:
    """Give an estimator of every row, by its name."""
    return public_models() | stock_models()


def matrix_row(name: str, estimator) -> list[Cell]:
    """Run every check over one model, which is fitted once and shared by them.

    Parameters
    ----------
    name : str
    estimator : estimator
        Not fitted.

    Returns
    -------
    cells : list of Cell
    """
    case = Case(name, estimator, Structures(matrix_frames()))
    checks = wrapper_checks() | USERS
    return [run_cell(case, wrapper, check) for wrapper, check in checks.items()]


def run_cell(case: Case, wrapper: str, check) -> Cell:
    """Run one check; a refusal names the wrapper and a class of the model.

    Parameters
    ----------
    case : Case
    wrapper : str
    check : callable

    Returns
    -------
    cell : Cell
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(case)
    except (TypeError, ValueError) as error:
        reason = str(error)
        named = any(name in reason for name in (wrapper, *ALSO.get(wrapper, ())))
        names_both = named and any(name in reason for name in case.names)
        if names_both and "not implemented" not in reason:
            return Cell(case.name, wrapper, "refused", reason)
        return Cell(case.name, wrapper, "wrong", f"{type(error).__name__}: {reason}")
    except Exception as error:
        return Cell(case.name, wrapper, "wrong", f"{type(error).__name__}: {error}")
    return Cell(case.name, wrapper, "right")


def check_matrix() -> Matrix:
    """Check every public wrapper over every public model, and stock ones.

    What wraps or takes a model (ensembles, calibrated bars, last-layer rigidity,
    distances, flags, intervals, delta learning, the calculator and its guard, reports,
    files, copies) is held against a computation of its own, or refuses with a sentence
    that names both. Classes are found, not listed: one that comes tomorrow is in it.

    Returns
    -------
    matrix : Matrix
        Prints as a table: ``print(check_matrix())``, or
        ``python -m skatom.testing.matrix``.

    Raises
    ------
    AssertionError
        With a line for every cell that is neither right nor refused.
    """
    rows = (matrix_row(*model) for model in matrix_models().items())
    matrix = Matrix(tuple(cell for row in rows for cell in row))
    wrong = [f"- {c.wrapper} over {c.model}: {c.reason}" for c in matrix.of("wrong")]
    if wrong:
        raise AssertionError("\n".join([f"{len(wrong)} cells are wrong:", *wrong]))
    return matrix
