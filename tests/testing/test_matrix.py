"""Every wrapper over every model: right, or refused by a sentence that names both."""

# ruff: noqa: E402 - skipped as a whole where torch is missing
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

torch = pytest.importorskip("torch")

from skatom.structures import Structures
from skatom.testing import all_estimators, check_matrix
from skatom.testing._matrix import models, table, wrappers
from skatom.testing._matrix.case import Case
from skatom.uncertainty import ErrorBarRegressor

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "every-wrapper.md"


@pytest.mark.parametrize("name", list(table.matrix_models()))
def test_every_wrapper_is_right_over(name):
    cells = table.matrix_row(name, table.matrix_models()[name])
    wrong = [f"{c.wrapper}: {c.reason}" for c in cells if c.outcome == "wrong"]
    assert not wrong, "\n".join(wrong)
    signs = " | ".join(table.SIGNS[cell.outcome] for cell in cells)
    assert f"| {name} | {signs} |" in PAGE.read_text(), (
        "the page is of another day: python -m skatom.testing.matrix > " + str(PAGE)
    )


def test_every_public_class_is_in_the_matrix():
    names = {name for name, _ in all_estimators("regressor")}
    assert names <= set(models.public_models()) | set(wrappers.wrapper_checks())


def test_a_wrapper_of_tomorrow_has_a_check_or_fails():
    class Flat(ErrorBarRegressor):
        def __init__(self, estimator):
            self.estimator = estimator

    class Stranger:
        pass

    case = Case("Ridge", Ridge(), Structures(models.matrix_frames()))
    cell = table.run_cell(case, "Stranger", wrappers._of_error_bars(Stranger))
    assert cell.outcome == "wrong"
    assert "add one to CHECKS" in cell.reason
    cell = table.run_cell(case, "Flat", wrappers._of_error_bars(Flat))
    assert cell.outcome == "wrong"  # abstract: writes neither fit nor answer


def raises(error):
    def check(case):
        raise error

    return check


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("Wrapper cannot, since Ridge has no such thing"), "refused"),
        (ValueError("Ridge has no such thing"), "wrong"),
        (ValueError("Wrapper over Ridge is not implemented"), "wrong"),
        (AssertionError("Wrapper over Ridge differs"), "wrong"),
        (RuntimeError("Wrapper over Ridge"), "wrong"),
    ],
)
def test_a_refusal_names_both_and_gives_a_reason(error, outcome):
    case = Case("Ridge", Ridge(), Structures(models.matrix_frames()))
    assert table.run_cell(case, "Wrapper", raises(error)).outcome == outcome


def test_a_wrong_number_is_seen(monkeypatch):
    case = Case(
        "Ridge", models.stock_models()["Ridge"], Structures(models.matrix_frames())
    )
    vars(case)["predicted"] = case.fitted.predict(case.new) + 1e-3
    cells = [table.run_cell(case, *one) for one in wrappers.wrapper_checks().items()]
    seen = {cell.wrapper for cell in cells if cell.outcome == "wrong"}
    assert {"ConformalRegressor", "LastLayerRigidity"} <= seen


def test_the_matrix_prints_and_names_what_is_wrong(monkeypatch):
    from skatom.testing.matrix import PAGE as page

    cells = [
        table.Cell("Ridge", "A", "right"),
        table.Cell("Ridge", "B", "refused", "no"),
    ]
    text = page.format(matrix=table.Matrix(tuple(cells)))
    assert "| Ridge | + | - |" in text
    assert "1 right, 1 refused, 0 wrong." in text
    assert "- B over Ridge: no" in text
    wrong = table.Cell("Ridge", "A", "wrong", "off by one")
    monkeypatch.setattr(table, "matrix_models", lambda: {"Ridge": None})
    monkeypatch.setattr(table, "matrix_row", lambda name, estimator: [wrong])
    with pytest.raises(AssertionError, match="A over Ridge: off by one"):
        check_matrix()
    monkeypatch.setattr(table, "matrix_row", lambda name, estimator: cells)
    assert len(check_matrix().of("right")) == 1
    assert np.size(check_matrix().cells) == 2
