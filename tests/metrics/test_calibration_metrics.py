"""Measures of standard deviations, against uncertainty-toolbox and by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from skatom import metrics
from skatom.metrics import (
    crps,
    ence,
    gaussian_nll,
    miscalibration_area,
    pinball_loss,
    sharpness,
    spearman_of_errors,
)

RNG = np.random.default_rng(0)
STD = RNG.uniform(0.5, 2.0, size=1000)
Y_PRED = RNG.normal(size=1000)
Y = Y_PRED + STD * RNG.normal(size=1000)
SCORES = (crps, ence, gaussian_nll, miscalibration_area, pinball_loss)


@pytest.mark.peer
@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_measures_agree_with_uncertainty_toolbox(factor):
    uct = pytest.importorskip("uncertainty_toolbox.metrics")
    std = factor * STD
    pairs = [
        (crps(Y, Y_PRED, std), uct.crps_gaussian(Y_PRED, std, Y)),
        (gaussian_nll(Y, Y_PRED, std), uct.nll_gaussian(Y_PRED, std, Y)),
        (pinball_loss(Y, Y_PRED, std), uct.check_score(Y_PRED, std, Y)),
        (sharpness(std), uct.sharpness(std)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    # theirs is a sum of trapezoids over 2000 levels
    area = uct.miscalibration_area(Y_PRED, std, Y, num_bins=2000)
    np.testing.assert_allclose(miscalibration_area(Y, Y_PRED, std), area, atol=2e-4)


def test_crps_is_the_integral_over_the_distribution():
    t = np.linspace(-15, 15, 30_001)
    below = norm.cdf(t, loc=0.3, scale=1.7)
    found = np.trapezoid((below - (t >= 1.0)) ** 2, t)
    np.testing.assert_allclose(crps([1.0], [0.3], [1.7]), found, rtol=1e-3)


def test_exact_error_bars_are_calibrated():
    assert miscalibration_area(Y, Y_PRED, STD) < 0.02
    assert ence(Y, Y_PRED, STD) < 0.1
    for score in SCORES:
        others = [score(Y, Y_PRED, factor * STD) for factor in (0.4, 2.5)]
        assert score(Y, Y_PRED, STD) < min(others)


def test_ence_compares_bins_of_equal_size():
    std = np.repeat([1.0, 2.0], 4)
    errors = np.repeat([1.5, 1.0], 4)
    assert ence(errors, np.zeros(8), std, n_bins=2) == pytest.approx(0.5)


def test_spearman_is_zero_for_one_error_bar_and_not_for_good_ones():
    assert spearman_of_errors(Y, Y_PRED, np.ones_like(Y)) == 0.0
    assert spearman_of_errors(Y, Y_PRED, STD) > 0.2


def test_shapes_do_not_matter():
    for score in (*SCORES, spearman_of_errors):
        flat = score(Y, Y_PRED, STD)
        assert score(*(a.reshape(-1, 4) for a in (Y, Y_PRED, STD))) == flat


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_error_bars_that_are_none_are_refused(bad):
    std = STD.copy()
    std[3] = bad
    for score in (*SCORES, spearman_of_errors):
        with pytest.raises(ValueError, match=r"Standard deviation 3 .* \(1 of 1000"):
            score(Y, Y_PRED, std)
    with pytest.raises(ValueError, match="Standard deviation 3"):
        sharpness(std)


def test_other_odd_input_is_refused():
    with pytest.raises(ValueError, match="one standard deviation for every label"):
        crps(Y, Y_PRED, STD[:-1])
    with pytest.raises(ValueError, match="no labels to score"):
        crps([], [], [])
    with pytest.raises(ValueError, match="at least one bin"):
        ence(Y, Y_PRED, STD, n_bins=0)
    with pytest.raises(ValueError, match="quantiles lie between 0 and 1"):
        metrics.pinball_loss(Y, Y_PRED, STD, quantiles=[0.5, 1.0])
