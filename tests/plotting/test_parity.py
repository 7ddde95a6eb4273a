"""Displays say what they show: units, numbers over all points, covered or not."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import NotFittedError

from skatom.datasets import load_dataset
from skatom.plotting import ParityDisplay

mpl.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    mpl.pyplot.close("all")


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    y = rng.normal(size=400) - 7000.0
    return y, y + 0.01 * rng.normal(size=400)


class Oracle(RegressorMixin, BaseEstimator):
    """Knows the stored labels up to a known error, with intervals of a known width."""

    def __init__(self, error=0.004, width=0.01):
        self.error = error
        self.width = width

    confidence_level = 0.9

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.array([a.calc.results["energy"] + self.error for a in X])

    def predict_interval(self, X, confidence_level=None):
        y = self.predict(X)
        return y, y[:, None] + [-self.width, self.width]

    def predict_forces_interval(self, X, confidence_level=None):
        forces = [a.calc.results["forces"] + self.error for a in X]
        return forces, [f[..., None] + [-self.width, self.width] for f in forces]


@pytest.fixture
def frames():
    return load_dataset("silicon", "test").frames


def texts(display):
    legend = display.ax_.get_legend()
    return display.ax_.texts[0].get_text() + "".join(
        t.get_text() for t in (legend.get_texts() if legend else [])
    )


@pytest.mark.parametrize("quantity", ["energy", "forces"])
@pytest.mark.parametrize("kind", ["parity", "error"])
def test_axes_carry_quantity_and_unit(predictions, quantity, kind):
    display = ParityDisplay.from_predictions(*predictions, quantity=quantity, kind=kind)
    unit = {"energy": "eV", "forces": "eV/Å"}[quantity]
    assert f"({unit})" in display.ax_.get_xlabel()
    expected = f"({unit})" if kind == "parity" else f"(m{unit})"
    assert expected in display.ax_.get_ylabel()


def test_errors_in_the_corner_are_those_of_all_points(predictions):
    y, y_pred = predictions
    display = ParityDisplay.from_predictions(y, y_pred, max_points=10)
    error = 1000 * np.abs(y_pred - y)
    assert display.n_shown_ == 10
    assert f"MAE {error.mean():.2f} meV" in texts(display)
    assert f"RMSE {np.sqrt((error**2).mean()):.2f} meV" in texts(display)
    assert "n = 400 (10 shown)" in texts(display)


def test_legend_tells_the_share_covered(predictions):
    y, y_pred = predictions
    intervals = y_pred[:, None] + [-0.01, 0.01]
    share = np.mean(np.abs(y - y_pred) <= 0.01)
    display = ParityDisplay.from_predictions(y, y_pred, intervals=intervals, level=0.9)
    assert f"90% interval holds the reference: {share:.1%}" in texts(display)
    assert f"90% interval misses the reference: {1 - share:.1%}" in texts(display)


@pytest.mark.parametrize("quantity", ["energy", "forces"])
def test_estimators_with_intervals_get_error_bars(frames, quantity):
    display = ParityDisplay.from_estimator(
        Oracle().fit(frames), frames, quantity=quantity
    )
    assert "MAE 4.00 meV" in texts(display)
    assert "90% interval holds the reference: 100.0%" in texts(display)
    n = len(frames) if quantity == "energy" else 3 * frames.n_atoms.sum()
    assert len(display.y_true) == n


def test_energies_may_be_given(frames):
    y = np.zeros(len(frames))
    display = ParityDisplay.from_estimator(Oracle().fit(frames), frames, y)
    np.testing.assert_array_equal(display.y_true, 0.0)


def test_error_bars_reach_from_lower_to_upper_end():
    display = ParityDisplay.from_predictions(
        [0.0, 1.0], [0.1, 1.1], intervals=[[0.0, 0.4], [0.9, 1.2]], quantity="forces"
    )
    drawn = [
        segment
        for collection in display.ax_.collections
        for segment in collection.get_segments()
    ]
    ends = sorted(tuple(np.round(segment[:, 1], 9)) for segment in drawn)
    assert ends == [(0.0, 0.4), (0.9, 1.2)]


def test_given_axes_are_used(predictions):
    _, ax = mpl.pyplot.subplots()
    display = ParityDisplay.from_predictions(*predictions, ax=ax, title="Water")
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.get_title() == "Water"


def test_lists_of_forces_of_unequal_length_are_joined():
    forces = [np.zeros((2, 3)), np.ones((3, 3))]
    display = ParityDisplay.from_predictions(forces, forces, quantity="forces")
    assert len(display.y_true) == 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_pred": [1.0]}, "There are 2 reference values and 1 predictions"),
        ({"y_true": [], "y_pred": []}, "There are 0 reference values"),
        ({"intervals": [[0.0, 1.0]]}, "2 predictions and 1 intervals"),
        ({"quantity": "force"}, r"quantity must be one of.*mean 'forces'"),
        ({"kind": "errors"}, r"kind must be one of.*mean 'error'"),
    ],
)
def test_what_does_not_belong_together_is_refused(change, message):
    arguments = {"y_true": [0.0, 1.0], "y_pred": [0.0, 1.0]} | change
    with pytest.raises(ValueError, match=message):
        ParityDisplay.from_predictions(**arguments)


def test_frames_without_forces_are_named(frames):
    atoms = frames[0].copy()
    atoms.calc = SinglePointCalculator(atoms, energy=0.0)
    with pytest.raises(ValueError, match="No forces at structures 0"):
        ParityDisplay.from_estimator(Oracle().fit([]), [atoms], quantity="forces")


def test_unfitted_estimators_are_refused(frames):
    with pytest.raises(NotFittedError):
        ParityDisplay.from_estimator(Oracle(), frames)


def test_missing_matplotlib_names_the_pip_line(predictions, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skatom\[viz\]"'):
        ParityDisplay.from_predictions(*predictions)


def test_importing_plotting_does_not_import_matplotlib():
    code = "import sys, skatom.plotting; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
