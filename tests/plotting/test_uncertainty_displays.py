"""Displays of uncertainty draw the numbers that they are given."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import binom, spearmanr
from sklearn.linear_model import Ridge

from skatom.plotting import (
    CalibrationCurveDisplay,
    ErrorDistanceDisplay,
    ErrorWidthDisplay,
    GroupCoverageDisplay,
    StreamCoverageDisplay,
)
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    ConformalRegressor,
    LatentDistance,
)

mpl.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    mpl.pyplot.close("all")


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, X.sum(axis=1) + rng.normal(size=n)


@pytest.fixture
def model():
    X, y = rows(300)
    return ConformalRegressor(Ridge(), calibration_size=200, random_state=0).fit(X, y)


def test_the_curve_is_the_coverage_at_each_level(model):
    X, y = rows(400, seed=1)
    display = CalibrationCurveDisplay.from_estimator(model, X, y, levels=[0.3, 0.8])
    line = display.ax_.get_lines()[1]
    for level, share in zip(*line.get_data()):
        _, ends = model.predict_interval(X, float(level))
        assert share == np.mean((ends[:, 0] <= y) & (y <= ends[:, 1]))
    expected = np.mean(np.abs(display.coverages - display.levels))
    assert display.area_ == pytest.approx(expected, rel=1e-12)


def test_the_band_holds_the_scatter_of_calibration_too(model):
    levels = np.array([0.5, 0.9])
    known = CalibrationCurveDisplay(levels, levels, n_test=400)
    low, high = binom.interval(0.95, 400, levels)
    np.testing.assert_array_equal(known.band(), np.array([low, high]) / 400)
    both = CalibrationCurveDisplay(levels, levels, n_test=400, n_calibration=200)
    np.testing.assert_array_less(known.band()[1], both.band()[1])
    np.testing.assert_array_less(both.band()[0], known.band()[0])


def test_levels_and_intervals_belong_together():
    with pytest.raises(ValueError, match="intervals of 1 levels, and 2 levels"):
        CalibrationCurveDisplay.from_predictions([0.0], [[-1.0, 1.0]], [0.5, 0.9])
    with pytest.raises(ValueError, match="2 labels, and intervals have shape"):
        ErrorWidthDisplay.from_predictions([0.0, 1.0], [[-1.0, 1.0]])


def test_missed_points_lie_above_the_diagonal(model):
    X, y = rows(200, seed=1)
    display = ErrorWidthDisplay.from_estimator(model, X, y, confidence_level=0.8)
    inside, missed = display.ax_.get_lines()[:2]
    assert (inside.get_ydata() <= inside.get_xdata()).all()
    assert (missed.get_ydata() > missed.get_xdata()).all()
    _, ends = model.predict_interval(X, 0.8)
    assert len(missed.get_xdata()) == np.sum((y < ends[:, 0]) | (y > ends[:, 1]))


def test_errors_stand_against_distances_with_their_root_mean_square():
    X, y = rows(60)
    distance = LatentDistance(Ridge().fit(X, y)).fit(X)
    X, y = rows(200, seed=1)
    display = ErrorDistanceDisplay.from_estimator(distance, X, y)
    dots, line = display.ax_.get_lines()
    error = np.abs(y - distance.estimator.predict(X))
    np.testing.assert_allclose(dots.get_xdata(), distance.distance(X), rtol=1e-12)
    np.testing.assert_allclose(dots.get_ydata(), 1e3 * error, rtol=1e-12)
    order = np.argsort(distance.distance(X))
    expected = [1e3 * np.sqrt(np.mean(error[b] ** 2)) for b in np.split(order, 10)]
    np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-12)
    found = spearmanr(error, distance.distance(X)).statistic
    assert display.correlation_ == pytest.approx(found, rel=1e-12)


def test_structures_infinitely_far_are_counted_and_left_out():
    far = np.array([1.0, 2.0, np.inf, 3.0])
    display = ErrorDistanceDisplay.from_predictions(np.arange(4.0), np.zeros(4), far)
    assert display.correlation_ == pytest.approx(1.0)
    assert "1 infinitely far" in display.ax_.get_title()
    alike = ErrorDistanceDisplay.from_predictions([1.0, 2.0], [0.0, 0.0], [1.0, 1.0])
    assert np.isnan(alike.correlation_)
    with pytest.raises(ValueError, match="2 labels, 2 predictions and 1 distances"):
        ErrorDistanceDisplay.from_predictions([1.0, 2.0], [0.0, 0.0], [1.0])


def test_groups_stand_worst_first(model):
    X, y = rows(300, seed=1)
    groups = np.where(np.abs(y) > 2, "large", "small")
    display = GroupCoverageDisplay.from_estimator(model, X, y, groups)
    assert display.names == ["large", "small"]
    np.testing.assert_array_equal(
        display.n, [np.sum(groups == g) for g in display.names]
    )
    assert display.level == 0.9
    ticks = [t.get_text() for t in display.ax_.get_yticklabels()]
    assert ticks == [f"{m} ({n})" for m, n in zip(display.names, display.n)]
    with pytest.raises(ValueError, match="groups has 2 entries"):
        GroupCoverageDisplay.from_estimator(model, X, y, ["a", "b"])


def test_streams_are_averaged_over_the_last_frames(model):
    X, y = rows(120, seed=1)
    fixed = StreamCoverageDisplay.from_estimator(model, X, y, window=10)
    _, ends = model.predict_interval(X)
    covered = (ends[:, 0] <= y) & (y <= ends[:, 1])
    assert fixed.rolling_[4] == covered[:5].mean()
    assert fixed.rolling_[100] == pytest.approx(covered[91:101].mean())


def test_the_working_level_of_a_stream_is_drawn_frame_by_frame(model):
    X, y = rows(120, seed=1)
    y[60:] *= 4  # a shift, which raises the level
    one_by_one = AdaptiveConformalRegressor(model, cv="prefit").fit(None, None)
    levels = []
    for t in range(120):
        levels.append(1 - one_by_one.miss_rate_)
        one_by_one.partial_fit(X[t : t + 1], y[t : t + 1])
    stream = AdaptiveConformalRegressor(model, cv="prefit").fit(None, None)
    stream.follow(X[:20], y[:20])  # may begin anywhere
    display = StreamCoverageDisplay.from_estimator(stream, X[20:], y[20:])
    assert stream.n_seen_ == 120
    np.testing.assert_allclose(display.working_levels, levels[20:], rtol=1e-12)
    drawn = display.ax_.get_lines()[2].get_ydata()
    np.testing.assert_allclose(drawn, np.clip(levels[20:], 0, 1), rtol=1e-12)
    assert max(levels[60:]) > 0.9 + 1e-6
