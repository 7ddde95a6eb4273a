"""Flags outside of the training domain, exchangeability, splits in blocks."""

import sys
from itertools import combinations

import numpy as np
import pytest
from dimers import Bonds, dimers
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.featurizers import ACSF
from skatom.model_selection import BlockKFold
from skatom.preprocessing import Pool
from skatom.uncertainty import ConformalRegressor, DomainFlags, exchangeability_test
from skatom.uncertainty._maxvol import Volume, maxvol_rows


def pipeline(frames, y, model=None):
    steps = ACSF(r_cut=3.0), Pool(), StandardScaler(), model or BayesianRidge()
    return make_pipeline(*steps).fit(frames, y)


def test_calibration_structures_reach_grade_one_and_none_exceeds_it():
    frames, y = dimers(150)
    flags = DomainFlags(pipeline(frames[:80], y[:80]), random_state=0)
    flags.fit(frames[:80], X_calibration=frames[80:])
    for name, grades in flags.grades(frames[80:]).items():
        assert grades.max() == 1.0, name
        assert (grades > 0).all(), name
    assert (flags.predict(frames[80:]) == 1).all()
    np.testing.assert_allclose(
        flags.decision_function(frames), 1 - flags.grade(frames), rtol=1e-12
    )


def test_all_flags_look_at_features_that_are_computed_once(monkeypatch):
    frames, y = dimers(300)
    flags = DomainFlags(pipeline(frames[:80], y[:80]), random_state=0).fit(frames[:80])
    sizes, apart = [], [flags.grades([atoms])["distance"][0] for atoms in frames]
    transform = ACSF.transform

    def counted(self, X):
        sizes.append(len(X))
        return transform(self, X)

    monkeypatch.setattr(ACSF, "transform", counted)
    grades = flags.grades(frames)
    assert sizes == [256, 44]  # never all at once, never one twice
    np.testing.assert_allclose(grades["distance"], apart, rtol=1e-10)


def test_false_alarms_are_as_rare_as_promised():
    """Each flag alone: at most 1 / (n + 1) for a structure of the same source."""
    frames, y = dimers(400)
    model = pipeline(frames[:60], y[:60])
    alarms = []
    rng = np.random.default_rng(0)
    for _ in range(60):
        drawn = rng.permutation(np.arange(60, 400))
        flags = DomainFlags(model, random_state=0)
        flags.fit(frames[:60], X_calibration=[frames[s] for s in drawn[:19]])
        grades = flags.grades([frames[s] for s in drawn[19:49]])
        alarms.append([(g > 1).mean() for g in grades.values()])
    # 60 draws of 30 from one pool: the standard error is near 0.007
    assert (np.mean(alarms, axis=0) < 1 / 20 + 0.025).all()
    assert (np.mean(alarms, axis=0) > 0.005).all()


def test_every_flag_sees_a_bond_longer_than_any():
    frames, y = dimers(150)
    flags = DomainFlags(pipeline(frames[:80], y[:80]), random_state=0)
    flags.fit(frames[:80], X_calibration=frames[80:])
    far = frames[0].copy()
    far.positions[1, 2] = 0.35
    assert all(g[0] > 1 for g in flags.grades([far]).values())
    other = dimers(1, symbols="HO")[0]
    with pytest.raises(ValueError, match="knows H"):
        flags.grades(other)


@pytest.mark.filterwarnings("ignore:.*has learned nothing")  # of O, as asked
def test_species_that_were_not_trained_on_have_infinite_grades():
    frames, y = dimers(60)
    steps = ACSF(r_cut=3.0, species=["H", "O"]), Pool(), Ridge()
    model = make_pipeline(*steps).fit(frames, y)
    flags = DomainFlags(model, ("distance", "range", "d_optimality"), random_state=0)
    grades = flags.fit(frames).grades(dimers(3, symbols="HO")[0])
    assert all(np.isinf(g).all() for g in grades.values())
    with pytest.raises(ValueError, match="no unit"):
        flags.fit(frames, X_calibration=dimers(3, symbols="OO")[0])


def test_the_standard_deviation_alone_needs_no_features():
    frames, y = dimers(60)
    flags = DomainFlags(Bonds().fit(frames, y), ["std"]).fit(frames)
    far = frames[0].copy()
    far.positions[1, 2] = 4.0
    assert flags.predict([frames[0], far]).tolist() == [1, -1]


def test_unknown_flags_are_refused_by_name():
    frames, y = dimers(30)
    model = pipeline(frames, y)
    with pytest.raises(ValueError, match="Did you mean 'distance'"):
        DomainFlags(model, ["distances"]).fit(frames)
    with pytest.raises(ValueError, match="flags is empty"):
        DomainFlags(model, []).fit(frames)


def test_rows_that_span_the_volume_equal_brute_force():
    rng = np.random.default_rng(0)
    for seed in range(5):
        rows = np.random.default_rng(seed).normal(size=(12, 3))
        best = max(
            abs(np.linalg.det(rows[list(c)])) for c in combinations(range(12), 3)
        )
        chosen = maxvol_rows(rows)
        found = abs(np.linalg.det(rows[chosen]))
        # no exchange gains five per cent; the best of all is within n^(n/2) of it
        assert found >= 0.85 * best
        b = rows @ np.linalg.inv(rows[chosen])
        assert np.abs(b).max() <= 1.05 + 1e-9
    volume = Volume(rows, 100)
    np.testing.assert_allclose(volume.grades(rows), np.abs(b).max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(volume.grades(2 * rows), 2 * volume.grades(rows))
    thin = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 6))  # of rank two
    assert Volume(thin, 100).directions.shape == (6, 2)
    assert Volume(rows, 2).directions.shape == (3, 2)


# -- exchangeability ---------------------------------------------------------------------


def test_alike_scores_are_rarely_told_apart_and_others_are():
    pytest.importorskip("mapie")
    rng = np.random.default_rng(0)
    alarms, ranks, seen = 0, [], 0
    for _ in range(60):
        old, new = rng.exponential(size=80), rng.exponential(size=60)
        result = exchangeability_test(old, new)
        alarms += result.stream_p_value <= 0.05
        ranks.append(result.p_value)
        seen += exchangeability_test(old, 3 * new).stream_p_value <= 0.05
    assert alarms <= 8  # Ville: a share of at most 0.05; 8 of 60 has a chance of 0.005
    assert 0.3 < np.mean(ranks) < 0.7
    assert seen >= 50
    assert result.martingale.shape == (60,)


def test_scores_of_a_conformal_regressor_can_be_tested():
    pytest.importorskip("mapie")
    frames, y = dimers(200)
    model = ConformalRegressor(Bonds().fit(frames, y), cv="prefit").fit(frames, y)
    new, y_new = dimers(100, seed=1)
    old = model.calibration_.scores.pooled.ranked
    scores = 3 * np.abs(y_new - model.predict(new))
    assert exchangeability_test(old, scores).p_value < 1e-5


@pytest.mark.parametrize("bad", [[], [1.0, np.nan]])
def test_scores_that_cannot_be_ranked_are_refused(bad):
    with pytest.raises(ValueError, match="finite scores, at least one"):
        exchangeability_test(bad, [1.0])


def test_the_test_without_mapie_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mapie.exchangeability_testing", None)
    with pytest.raises(ImportError, match=r"skatom\[mapie\]"):
        exchangeability_test([1.0], [1.0])


# -- blocks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_splits", "n_blocks", "gap"), [(2, None, 0), (3, 6, 2), (5, 5, 1)]
)
def test_blocks_cover_every_frame_once_and_keep_their_distance(n_splits, n_blocks, gap):
    groups = np.repeat([0, 1], [60, 90])
    tested = np.zeros(150, dtype=int)
    folds = BlockKFold(n_splits, n_blocks=n_blocks, gap=gap)
    assert folds.get_n_splits() == n_splits
    for train, test in folds.split(np.zeros((150, 1)), groups=groups):
        tested[test] += 1
        for g in (0, 1):
            inside = test[groups[test] == g], train[groups[train] == g]
            assert np.abs(np.subtract.outer(*inside)).min() > gap
    assert (tested == 1).all()


def test_blocks_of_one_trajectory_are_contiguous():
    _, test = next(BlockKFold(5).split(np.zeros((100, 1))))
    np.testing.assert_array_equal(test, np.arange(20))


def test_blocks_serve_search_and_calibration():
    frames, y = dimers(60)
    folds = BlockKFold(3, gap=2)
    found = cross_validate(pipeline(frames, y, Ridge()), frames, y, cv=folds)
    assert len(found["test_score"]) == 3
    model = ConformalRegressor(Bonds(), cv=folds).fit(frames, y)
    np.testing.assert_array_equal(model.calibration_indices_, np.arange(20))
    assert model.train_indices_.min() == 22
    assert repr(folds) == "BlockKFold(3, n_blocks=None, gap=2)"


@pytest.mark.parametrize(
    "params", [{"n_splits": 1}, {"n_blocks": 2}, {"gap": -1}, {"n_splits": 2.5}]
)
def test_blocks_that_make_no_sense_are_refused(params):
    with pytest.raises(ValueError, match="n_splits >= 2, n_blocks >= n_splits"):
        next(BlockKFold(**params).split(np.zeros((30, 1))))


def test_trajectories_too_short_for_blocks_are_refused():
    with pytest.raises(ValueError, match="trajectory of 4 frames cannot be cut into 5"):
        next(BlockKFold(5).split(np.zeros((4, 1))))
    with pytest.raises(ValueError, match="nothing is left to train on"):
        next(BlockKFold(2, gap=30).split(np.zeros((20, 1))))
