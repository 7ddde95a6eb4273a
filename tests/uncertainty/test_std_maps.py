"""Maps of error bars: optimal for what they claim, monotonic, positive."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from skatom.metrics import crps, gaussian_nll
from skatom.uncertainty._std_maps import METHODS, StdMap, fit_factor, fit_map

RNG = np.random.default_rng(0)
STD = RNG.uniform(0.1, 1.0, size=600)
ERRORS = 2.5 * STD * RNG.normal(size=600)


@pytest.mark.parametrize("method", METHODS)
def test_error_bars_of_wrong_size_get_the_right_one(method):
    mapped = fit_map(ERRORS, STD, method)(STD)
    np.testing.assert_allclose(
        mapped, 2.5 * STD, rtol=0.35 if method == "isotonic" else 0.1
    )


@pytest.mark.parametrize(
    ("method", "score"), [("squared_residuals", gaussian_nll), ("crps", crps)]
)
def test_factors_are_the_best_for_their_score(method, score):
    zero = np.zeros(600)
    best = minimize_scalar(
        lambda a: score(ERRORS, zero, np.exp(a) * STD), bounds=(-3, 3)
    )
    assert fit_factor(ERRORS, STD, method) == pytest.approx(np.exp(best.x), rel=1e-3)


def test_absolute_residuals_match_their_mean():
    alpha = fit_factor(ERRORS, STD, "absolute_residuals")
    mean_of_normal = np.sqrt(2 / np.pi)
    np.testing.assert_allclose(np.mean(np.abs(ERRORS) / (alpha * STD)), mean_of_normal)


def test_a_few_large_errors_move_the_squares_most():
    errors = ERRORS.copy()
    errors[:6] *= 20
    moved = {
        m: fit_factor(errors, STD, m) / fit_factor(ERRORS, STD, m)
        for m in ("squared_residuals", "absolute_residuals", "crps")
    }
    assert moved["squared_residuals"] > 1.5
    assert moved["crps"] < moved["absolute_residuals"] < moved["squared_residuals"]


def test_the_isotonic_map_bends_error_bars_that_are_bent():
    std = np.sort(RNG.uniform(0.1, 1.0, size=4000))
    errors = std**3 * RNG.normal(size=4000)
    bent = fit_map(errors, std, "isotonic")
    np.testing.assert_allclose(bent(std)[400:-100], std[400:-100] ** 3, rtol=0.35)
    assert (np.diff(bent(np.linspace(0, 2, 200))) >= 0).all()
    assert gaussian_nll(errors, 0 * std, bent(std)) < gaussian_nll(
        errors, 0 * std, fit_map(errors, std, "squared_residuals")(std)
    )


def test_the_isotonic_map_gives_bins_the_size_of_their_errors():
    """On ascending bins nothing is pooled: mean |error| of each, whatever its squares."""
    std = np.repeat([1.0, 2.0, 3.0], 20) * (1 + 1e-3 * np.tile([-1, 1], 30))
    errors = np.repeat([0.1, 0.5, 0.9], 20) * np.tile([-0.5, 1.5], 30)
    mapped = fit_map(errors, std, "isotonic")
    np.testing.assert_allclose(
        mapped.calibrated, np.sqrt(np.pi / 2) * np.array([0.1, 0.5, 0.9]), rtol=1e-12
    )


def test_equal_error_bars_are_one_bin_of_the_isotonic_map():
    mapped = fit_map(ERRORS, np.ones(600), "isotonic")
    expected = np.sqrt(np.pi / 2) * np.mean(np.abs(ERRORS))
    np.testing.assert_allclose(mapped.calibrated, [expected], rtol=1e-12)


@pytest.mark.parametrize("method", ["affine", "isotonic"])
def test_errors_of_heavy_tails_do_not_widen_typical_error_bars(method):
    rng = np.random.default_rng(1)
    std = rng.uniform(0.5, 1.0, size=20_000)
    errors = std * rng.standard_t(4, size=20_000)
    inside = np.abs(errors) < fit_map(errors, std, method)(std)
    # 0.683 if normal; squares would give 0.77
    assert 0.68 < inside.mean() < 0.74


def test_the_affine_map_finds_constant_and_slope():
    std = RNG.uniform(0.0, 1.0, size=20_000)
    errors = (0.02 + 0.3 * std) * RNG.normal(size=20_000)
    mapped = fit_map(errors, std, "affine")
    np.testing.assert_allclose(mapped(np.array([1e-6])), 0.02, rtol=0.1)
    np.testing.assert_allclose(np.diff(mapped(np.array([1.0, 7.0]))), 1.8, rtol=0.05)


def test_beyond_the_knots_maps_are_factors():
    bent = StdMap(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    np.testing.assert_allclose(
        bent([0.5, 1.0, 1.5, 2.0, 4.0]), [1.5, 3.0, 3.5, 4.0, 8.0]
    )
    np.testing.assert_allclose(StdMap.factor(2.0)([[0.5, 3.0]]), [[1.0, 6.0]])


@pytest.mark.parametrize("method", METHODS)
def test_models_without_errors_have_positive_error_bars(method):
    mapped = fit_map(np.zeros(50), np.full(50, 0.1), method)
    assert (mapped(np.array([0.01, 0.1, 1.0])) >= 0).all()
    assert mapped.calibrated.min() > 0
