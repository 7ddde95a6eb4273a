"""Mondrian calibration: every group by itself, and what happens to small ones."""

import numpy as np
import pytest
from dimers import Bonds, dimers, inside
from sklearn.linear_model import Ridge

from skatom.uncertainty import ConformalRegressor


def two_temperatures(n, seed=0):
    """Errors of the hot structures are five times those of the cold ones."""
    cold, y_cold = dimers(n, seed, temperature=300.0)
    hot, y_hot = dimers(n, seed + 1000, temperature=900)
    r = np.array([a.get_distance(0, 1) for a in hot])
    return [*cold, *hot], np.r_[y_cold, r + 5 * (y_hot - r)]


@pytest.mark.parametrize(
    "groups", ["temperature", lambda X: [a.info["temperature"] for a in X]]
)
def test_groups_are_covered_each_by_itself(groups):
    X, y = two_temperatures(200)
    X_new, y_new = two_temperatures(600, seed=1)
    hot = np.array([a.info["temperature"] == 900 for a in X_new])
    shares = {}
    for name, option in (("pooled", None), ("groups", groups)):
        model = ConformalRegressor(Bonds().fit(X, y), cv="prefit", groups=option)
        covered = inside(y_new, model.fit(X, y).predict_interval(X_new)[1])
        shares[name] = covered[~hot].mean(), covered[hot].mean()
    assert shares["pooled"][0] > 0.97
    assert shares["pooled"][1] < 0.85
    # 200 calibration structures a group: standard deviation 0.022
    np.testing.assert_allclose(shares["groups"], 0.9, rtol=0, atol=0.07)


@pytest.mark.peer
def test_groups_equal_the_bins_of_crepes():
    crepes = pytest.importorskip("crepes")
    X, y = two_temperatures(60)
    bins = np.array([int(a.info["temperature"]) for a in X])
    model = ConformalRegressor(Bonds().fit(X, y), cv="prefit", groups="temperature")
    y_pred, found = model.fit(X, y).predict_interval(X)
    peer = crepes.ConformalRegressor().fit(y - y_pred, bins=bins)
    expected = peer.predict_int(y_pred, bins=bins, confidence=0.9)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_compositions_and_sizes_are_groups():
    hh, y_hh = dimers(40, symbols="HH")
    ho, y_ho = dimers(40, symbols="HO", seed=1)
    X, y = [*hh, *ho], np.r_[y_hh, y_ho + np.linspace(-9, 9, 40)]
    widths = {}
    for groups in ("composition", "size", None):
        model = ConformalRegressor(Bonds().fit(X, y), cv="prefit", groups=groups)
        _, intervals = model.fit(X, y).predict_interval([hh[0], ho[0]])
        widths[groups] = np.diff(intervals)[:, 0]
    assert widths["composition"][0] < 0.3 * widths["composition"][1]
    assert widths["size"][0] == widths["size"][1] == widths[None][0]


def test_small_and_unknown_groups_have_the_intervals_of_all_and_a_sentence():
    X, y = two_temperatures(30)
    X[0].info["temperature"] = 5
    model = ConformalRegressor(Bonds().fit(X, y), cv="prefit", groups="temperature")
    model.fit(X, y)
    plain = ConformalRegressor(Bonds().fit(X, y), cv="prefit").fit(X, y)
    X[1].info["temperature"] = "unheard of"
    with pytest.warns(
        UserWarning, match=r"groups 5 \(1\), unheard of \(0\); level 0.9 needs 9"
    ):
        _, found = model.predict_interval(X[:3])
    expected = plain.predict_interval(X[:3])[1]
    np.testing.assert_array_equal(found[:2], expected[:2])
    assert np.diff(found[2]) != np.diff(expected[2])


def test_groups_that_cannot_be_told_are_refused():
    X, y = dimers(20, source="DFT")
    del X[3].info["source"]
    model = ConformalRegressor(Bonds().fit(X, y), cv="prefit")
    with pytest.raises(ValueError, match=r"structures 3 have no info\['source'\]"):
        model.set_params(groups="source").fit(X, y)
    with pytest.raises(ValueError, match="Did you mean 'composition'"):
        model.set_params(groups="compositions").fit(X, y)
    with pytest.raises(ValueError, match="groups has 2 entries"):
        model.set_params(groups=lambda X: [1, 2]).fit(X, y)
    rows = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(TypeError, match="X is rows of numbers"):
        ConformalRegressor(Ridge(), groups="size").fit(rows, y)
    split = ConformalRegressor(Ridge(), groups=lambda X: X[:, 0] > 0, random_state=0)
    with pytest.warns(UserWarning, match="Too few calibration structures for groups"):
        split.fit(rows, y).predict_interval(rows, 0.5 + 0.3)
