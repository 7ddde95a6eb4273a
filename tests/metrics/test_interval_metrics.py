"""Measures of intervals, against MAPIE and by hand."""

import numpy as np
import pytest

from skatom.metrics import coverage, mean_width, winkler_score

Y = np.random.default_rng(0).normal(size=200)
CENTRES = np.random.default_rng(1).normal(scale=0.5, size=200)
INTERVALS = np.stack([CENTRES - 1, CENTRES + 1.5], axis=1)
LEVELS = np.stack([INTERVALS, 2 * INTERVALS], axis=2)


@pytest.mark.peer
def test_measures_agree_with_mapie():
    mapie = pytest.importorskip("mapie.metrics.regression")
    stacked = LEVELS
    np.testing.assert_allclose(
        coverage(Y, LEVELS), mapie.regression_coverage_score(Y, stacked), rtol=1e-12
    )
    np.testing.assert_allclose(
        mean_width(LEVELS), mapie.regression_mean_width_score(stacked), rtol=1e-12
    )
    np.testing.assert_allclose(
        winkler_score(Y, INTERVALS, 0.8),
        mapie.regression_mwi_score(Y, INTERVALS[:, :, None], confidence_level=0.8),
        rtol=1e-12,
    )


def test_several_levels_are_scored_one_by_one():
    scores = winkler_score(Y, LEVELS, [0.8, 0.9])
    assert scores[1] == pytest.approx(winkler_score(Y, LEVELS[..., 1], 0.9))
    assert coverage(Y, LEVELS)[0] == coverage(Y, INTERVALS)
    assert mean_width(LEVELS)[0] == pytest.approx(2.5)


def test_components_of_forces_count_one_by_one():
    y = Y[:150].reshape(50, 3)
    intervals = INTERVALS[:150].reshape(50, 3, 2)
    assert coverage(y, intervals) == coverage(Y[:150], INTERVALS[:150])


def test_winkler_score_is_least_for_the_true_quantiles():
    rng = np.random.default_rng(2)
    y = rng.normal(size=20_000)
    halves = np.linspace(1.2, 2.2, 21)
    scores = [winkler_score(y, np.tile([-h, h], (len(y), 1)), 0.9) for h in halves]
    assert halves[np.argmin(scores)] == pytest.approx(1.645, abs=0.06)


@pytest.mark.parametrize("function", [coverage, lambda y, i: winkler_score(y, i, 0.9)])
def test_ends_that_do_not_fit_the_labels_are_refused(function):
    with pytest.raises(ValueError, match="each label needs a lower and an upper end"):
        function(Y, INTERVALS[:-1])


def test_odd_widths_and_levels_are_refused():
    with pytest.raises(ValueError, match=r"\(n, 2\) or \(n, 2, k\) is expected"):
        mean_width(Y)
    with pytest.raises(ValueError, match="between 0 and 1, exclusive"):
        winkler_score(Y, INTERVALS, 90)
