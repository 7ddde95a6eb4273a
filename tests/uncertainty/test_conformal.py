import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.stats import betabinom, binom, norm
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.datasets import load_dataset
from skatom.features import NoDerivativeError
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.potential import evaluate
from skatom.preprocessing import PerAtom, Pool
from skatom.structures import Structures, check_structures, read_energies
from skatom.uncertainty import ConformalRegressor
from skatom.uncertainty._conformal.levels import check_levels
from skatom.uncertainty._conformal.rankings import Ranking


class Bonds(RegressorMixin, BaseEstimator):
    """Toy potential of isolated dimers: E = k r, with its forces."""

    def __init__(self, k=1.0):
        self.k = k

    def fit(self, X, y, sample_weight=None):
        X = check_structures(X)
        self.n_fit_ = len(X)
        self.sample_weight_ = sample_weight
        self.hashes_ = [round(a.get_distance(0, 1), 9) for a in X]
        return self

    def predict(self, X):
        return np.array([self.k * a.get_distance(0, 1) for a in check_structures(X)])

    def predict_forces(self, X):
        out = []
        for a in check_structures(X):
            f = np.zeros((len(a), 3))
            f[1] = -self.k * a.get_distance(0, 1, vector=True) / a.get_distance(0, 1)
            f[0] = -f[1]
            out.append(f)
        return out


def dimers(n, seed=0, noise=0.3, forces=True):
    rng = np.random.default_rng(seed)
    frames = [Atoms("H2", [[0, 0, 0], [0, 0, r]]) for r in rng.uniform(0.7, 2, n)]
    y = np.array([a.get_distance(0, 1) for a in frames]) + noise * rng.normal(size=n)
    if forces:
        for a, f in zip(frames, Bonds().predict_forces(frames)):
            noisy = f + noise * rng.normal(size=f.shape)
            a.calc = SinglePointCalculator(a, forces=noisy)
    return frames, y


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.standard_t(3, size=n)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_intervals_equal_those_of_mapie(level):
    mapie = pytest.importorskip("mapie.regression")
    X, y = rows(400)
    model = Ridge().fit(X[:100], y[:100])
    ours = ConformalRegressor(model, cv="prefit").fit(X[100:157], y[100:157])
    theirs = mapie.SplitConformalRegressor(model, confidence_level=level, prefit=True)
    theirs.conformalize(X[100:157], y[100:157])
    y_pred, intervals = ours.predict_interval(X[157:], level)
    y_peer, intervals_peer = theirs.predict_interval(X[157:])
    np.testing.assert_array_equal(y_pred, y_peer)
    # the same order statistic, added and subtracted: equal to rounding
    np.testing.assert_allclose(intervals, intervals_peer[:, :, 0], rtol=0, atol=1e-14)


def coverage_of(n_cal, level, n_sets=4000, seed=0):
    """Share of covered new labels over calibration sets, one new label for each."""
    rng = np.random.default_rng(seed)
    zero = DummyRegressor(strategy="constant", constant=0.0).fit([[0.0]], [0.0])
    X = np.zeros((n_cal, 1))
    covered = 0
    for _ in range(n_sets):
        y = rng.standard_cauchy(n_cal + 1)
        model = ConformalRegressor(zero, cv="prefit", forces=None).fit(X, y[:-1])
        low, high = model.interval_around(np.zeros(1), level)[0]
        covered += low <= y[-1] <= high
    return covered


@pytest.mark.parametrize(("n_cal", "level"), [(19, 0.9), (9, 0.9), (30, 0.8)])
def test_coverage_is_what_the_ranks_promise(n_cal, level):
    # exact coverage k / (n + 1) >= level; four standard errors of a binomial count
    n_sets = 800
    k = np.ceil((n_cal + 1) * level)
    covered = coverage_of(n_cal, level, n_sets, seed=n_cal)
    low, high = binom.interval(1 - 6e-5, n_sets, k / (n_cal + 1))
    assert low <= covered <= high


def test_nineteen_calibration_structures_cover_at_least_the_level():
    """Averaged over test points exactly: P(covered) of a ranked quantile is 18 / 20."""
    rng = np.random.default_rng(3)
    share = []
    for _ in range(4000):
        ranked = np.sort(np.abs(rng.normal(size=19)))
        share.append(2 * norm.cdf(ranked[17]) - 1)
    # mean of Beta(18, 2), whose standard deviation is 0.065: 4000 draws give 0.001
    assert np.mean(share) == pytest.approx(0.90, abs=0.004)
    zero = Ridge().fit(np.zeros((2, 1)), [0.0, 0.0])
    y = rng.normal(size=19)
    model = ConformalRegressor(zero, cv="prefit").fit(np.zeros((19, 1)), y)
    assert model.interval_around([0.0], 0.9)[0, 1] == np.sort(np.abs(y))[17]


def test_force_components_are_covered_whatever_the_sizes_of_structures():
    """Sizes and errors depend on each other: pooling components would fail here."""
    rng = np.random.default_rng(0)
    level, n_cal, trials = 0.8, 20, 1500
    shares, pooled_shares, all_covered = [], [], []
    for _ in range(trials):
        large = rng.random(n_cal + 1) < 0.3
        sizes = np.where(large, 40, 2)
        scale = np.where(large, 0.1, 1.0)  # large structures are the easy ones
        errors = [
            s * rng.gamma(2.0) * np.abs(rng.normal(size=(m, 3)))
            for m, s in zip(sizes, scale)
        ]
        flat = np.concatenate([e.ravel() for e in errors[:-1]])
        of = np.repeat(np.arange(n_cal), 3 * sizes[:-1])
        scores = Ranking.of(flat, of)
        q = scores.quantile(level)
        shares.append((errors[-1] <= q).mean())
        naive = scores.ranked[int(np.ceil(level * len(scores.ranked))) - 1]
        pooled_shares.append((errors[-1] <= naive).mean())
        q_all = Ranking.largest(flat, of).quantile(level)
        all_covered.append((errors[-1] <= q_all).all())
    # four standard errors of the mean of shares
    slack = 4 * np.std(shares) / np.sqrt(trials)
    assert level - slack <= np.mean(shares) <= level + 1 / (n_cal + 1) + slack
    assert np.mean(pooled_shares) < level - slack
    k = np.ceil(level * (n_cal + 1))
    low, high = binom.interval(1 - 6e-5, trials, k / (n_cal + 1))
    assert low <= np.sum(all_covered) <= high


def test_levels_shape_the_intervals_and_wider_levels_contain_narrower_ones():
    X, y = rows(300)
    model = ConformalRegressor(Ridge(), random_state=0).fit(X, y)
    y_pred, one = model.predict_interval(X[:7])
    _, many = model.predict_interval(X[:7], [0.5, 0.9, 0.95])
    assert one.shape == (7, 2)
    assert many.shape == (7, 2, 3)
    np.testing.assert_array_equal(one, many[:, :, 1])
    assert (np.diff(many[:, 1], axis=1) >= 0).all()
    assert (np.diff(many[:, 0], axis=1) <= 0).all()
    np.testing.assert_array_equal(y_pred, model.predict(X[:7]))


def test_too_few_structures_give_infinite_intervals_and_say_how_many_are_needed():
    X, y = rows(100)
    model = ConformalRegressor(Ridge(), calibration_size=8, random_state=0).fit(X, y)
    with pytest.warns(UserWarning, match="at least 9 calibration structures.* are 8"):
        _, intervals = model.predict_interval(X[:2], 0.9)
    assert np.isinf(intervals).all()
    with pytest.warns(UserWarning, match="at least 99"):
        _, mixed = model.predict_interval(X[:2], [0.5, 0.99])
    assert np.isfinite(mixed[..., 0]).all()
    assert np.isinf(mixed[..., 1]).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 90, np.nan, [0.5, 1.5], []])
def test_levels_outside_zero_and_one_are_refused(level):
    X, y = rows(50)
    model = ConformalRegressor(Ridge(), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="between 0 and 1, exclusive"):
        model.predict_interval(X, level)


@pytest.mark.parametrize("level", ["0.9", True, {0.9}])
def test_levels_that_are_no_numbers_are_refused(level):
    X, y = rows(50)
    model = ConformalRegressor(Ridge(), random_state=0).fit(X, y)
    with pytest.raises(TypeError, match="confidence_level must be a number"):
        model.predict_interval(X, level)


def test_levels_that_hold_text_are_refused():
    with pytest.raises(TypeError, match="confidence_level must hold numbers"):
        check_levels(["high"])


def test_bad_parameters_are_refused_in_fit():
    X, y = rows(50)
    for bad in (
        {"confidence_level": 1.0},
        {"calibration_size": 1.2},
        {"calibration_size": 0},
        {"cv": 1},
        {"conformity_score": "sigma"},
        {"floor": -1.0},
        {"groups": 3},
        {"forces": 3},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            ConformalRegressor(Ridge(), **bad).fit(X, y)


def test_bad_calibration_labels_are_refused():
    frames, y = dimers(10)
    model = ConformalRegressor(Bonds().fit(frames, y), cv="prefit")
    for bad, sentence in (
        (np.r_[np.nan, y[1:]], "NaN or infinity at structures 0"),
        (np.r_[y[:9], np.inf], "NaN or infinity at structures 9"),
        (y[:9], "10 structures, but y has 9"),
        (None, "y is None"),
    ):
        with pytest.raises(ValueError, match=sentence):
            model.fit(frames, bad)


def test_predictions_that_cannot_be_ranked_are_refused():
    class Broken(Bonds):
        def predict(self, X):
            return np.full(len(X), np.nan)

    class Two(Bonds):
        def predict(self, X):
            return np.zeros((len(X), 2))

    frames, y = dimers(20)
    with pytest.raises(ValueError, match="predicts NaN or infinity for structures"):
        ConformalRegressor(Broken(), random_state=0).fit(frames, y)
    with pytest.raises(ValueError, match=r"array of shape \(4, 2\) for 4 structures"):
        ConformalRegressor(Two(), random_state=0).fit(frames, y)


def test_prediction_before_fit_is_refused():
    frames, _ = dimers(3)
    for call in ("predict", "predict_interval", "predict_forces"):
        with pytest.raises(NotFittedError):
            getattr(ConformalRegressor(Bonds()), call)(frames)


def test_every_container_of_structures_gives_the_same_intervals():
    pd = pytest.importorskip("pandas")
    frames, y = dimers(60)
    column = np.empty((60, 1), dtype=object)
    column[:, 0] = frames
    containers = [
        frames,
        tuple(frames),
        column,
        column[:, 0],
        Structures(frames),
        pd.Series(frames),
        pd.DataFrame({"atoms": pd.Series(frames)}),
    ]
    results = [
        ConformalRegressor(Bonds(), random_state=0).fit(X, y).predict_interval(X)[1]
        for X in containers
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_estimators_on_structures_have_no_number_of_features():
    frames, y = dimers(20)
    model = ConformalRegressor(Bonds(), random_state=0)
    for state in (model, model.fit(frames, y)):
        assert not hasattr(state, "n_features_in_")
        assert not hasattr(state, "feature_names_in_")
    X, y = rows(30)
    assert ConformalRegressor(Ridge(), random_state=0).fit(X, y).n_features_in_ == 3


def test_the_estimator_is_never_fitted_on_calibration_structures():
    frames, y = dimers(50)
    model = ConformalRegressor(Bonds(), random_state=0).fit(frames, y)
    assert model.n_calibration_ == 10
    assert model.estimator_.n_fit_ == 40
    held_out = {
        round(frames[s].get_distance(0, 1), 9) for s in model.calibration_indices_
    }
    assert not held_out & set(model.estimator_.hashes_)
    union = np.concatenate([model.train_indices_, model.calibration_indices_])
    np.testing.assert_array_equal(np.sort(union), np.arange(50))


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_structure_never_straddle_the_split(seed):
    frames, y = dimers(20, forces=False)
    X = [*frames, *[a.copy() for a in frames], frames[0].copy()]
    model = ConformalRegressor(Bonds(), random_state=seed).fit(X, np.r_[y, y, y[0]])
    sides = np.zeros(41, dtype=bool)
    sides[model.calibration_indices_] = True
    np.testing.assert_array_equal(sides[:20], sides[20:40])
    assert sides[0] == sides[40]


def test_splits_follow_the_seed_and_leave_the_global_generator_alone():
    X, y = rows(60)
    before = np.random.mtrand._rand.get_state()[1].copy()  # the global generator
    a, b, c = (
        ConformalRegressor(Ridge(), random_state=s).fit(X, y).calibration_indices_
        for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    np.testing.assert_array_equal(before, np.random.mtrand._rand.get_state()[1])


def test_nothing_left_to_train_on_is_refused():
    frames, y = dimers(6, forces=False)
    with pytest.raises(ValueError, match="none is left to train on"):
        ConformalRegressor(Bonds(), calibration_size=6).fit(frames, y)
    copies = [frames[0].copy() for _ in range(6)]
    with pytest.raises(ValueError, match="1 different"):
        ConformalRegressor(Bonds()).fit(copies, y)
    with pytest.raises(ValueError, match="n_samples = 1"):
        ConformalRegressor(Bonds()).fit(frames[:1], y[:1])


def test_fit_parameters_are_split_with_the_structures():
    frames, y = dimers(20)
    weight = np.arange(20.0)
    model = ConformalRegressor(Bonds(), random_state=0)
    model.fit(frames, y, sample_weight=weight)
    np.testing.assert_array_equal(model.estimator_.sample_weight_, model.train_indices_)
    prefit = ConformalRegressor(Bonds().fit(frames, y), cv="prefit")
    with pytest.raises(ValueError, match="sample_weight would not be used"):
        prefit.fit(frames, y, sample_weight=weight)


def test_prefit_takes_the_estimator_as_it_is():
    frames, y = dimers(60)
    fitted = Bonds(k=0.9).fit(frames[:20], y[:20])
    model = ConformalRegressor(fitted, cv="prefit").fit(frames[20:], y[20:])
    assert model.estimator_ is fitted
    assert model.n_calibration_ == 40
    frozen = clone(ConformalRegressor(FrozenEstimator(fitted), cv="prefit"))
    frozen.fit(frames[20:], y[20:])
    np.testing.assert_array_equal(
        frozen.predict_interval(frames)[1], model.predict_interval(frames)[1]
    )


def test_force_intervals_hold_the_ranked_errors_of_structures():
    frames, y = dimers(60)
    model = ConformalRegressor(Bonds(), cv="prefit")
    model.estimator.fit(frames, y)
    model.fit(frames, y)
    forces, intervals = model.predict_forces_interval(frames[:3], [0.8, 0.9])
    assert [i.shape for i in intervals] == [(2, 3, 2, 2)] * 3
    np.testing.assert_allclose(intervals[0].mean(axis=2)[..., 0], forces[0], atol=1e-12)
    errors = np.abs(
        np.array([a.calc.results["forces"] for a in frames])
        - np.array(model.predict_forces(frames))
    )
    # structures of one size: the wanted mass is level * 61 structures of 6 components
    rank = int(np.ceil(0.9 * 61 * 6 - 1e-6))
    half = np.diff(intervals[0][0, 0, :, 1])[0] / 2
    assert half == pytest.approx(np.sort(errors, axis=None)[rank - 1], abs=1e-12)
    _, whole = model.predict_forces_interval(frames[:1], simultaneous=True)
    largest = np.sort(errors.max(axis=(1, 2)))
    half = np.diff(whole[0][0, 0])[0] / 2
    assert half == pytest.approx(largest[int(np.ceil(0.9 * 61)) - 1], abs=1e-12)


def test_structures_without_forces_are_left_out_of_force_calibration():
    frames, y = dimers(30)
    for a in frames[::2]:
        a.calc = None
    model = ConformalRegressor(Bonds().fit(frames, y), cv="prefit").fit(frames, y)
    assert model.force_calibration_.scores.n_structures == 15
    assert model.calibration_.scores.n_structures == 30


def test_forces_from_arrays_and_forces_switched_off():
    frames, y = dimers(30)
    for a in frames:
        a.arrays["dft_forces"] = a.calc.results["forces"]
        a.calc = None
    fitted = Bonds().fit(frames, y)
    named = ConformalRegressor(fitted, cv="prefit", forces="dft_forces").fit(frames, y)
    assert named.force_calibration_.scores.n_structures == 30
    with pytest.raises(ValueError, match="No forces at structures"):
        ConformalRegressor(fitted, cv="prefit", forces="calc").fit(frames, y)
    for off in ({"forces": None}, {}):  # "auto" finds nothing under another name
        model = ConformalRegressor(fitted, cv="prefit", **off).fit(frames, y)
        with pytest.raises(ValueError, match="no calibrated forces"):
            model.predict_forces_interval(frames)


def test_estimators_without_forces_are_calibrated_on_energies():
    frames, y = dimers(30)

    class EnergyOnly(Bonds):
        predict_forces = property()  # hides the method

    fitted = EnergyOnly().fit(frames, y)
    model = ConformalRegressor(fitted, cv="prefit").fit(frames, y)
    assert model.force_calibration_ is None
    assert model.predict_interval(frames)[1].shape == (30, 2)
    with pytest.raises(NoDerivativeError, match="EnergyOnly takes structures but"):
        ConformalRegressor(fitted, cv="prefit", forces="calc").fit(frames, y)


def test_it_is_evaluated_as_its_estimator_wherever_it_stands():
    frames, y = dimers(60, forces=False)
    inner = make_pipeline(Pool(), Ridge())
    outside = ConformalRegressor(make_pipeline(ACSF(r_cut=3.0), Pool(), Ridge()))
    inside = make_pipeline(ACSF(r_cut=3.0), ConformalRegressor(inner))
    for model in (outside, inside):
        model.set_params(**{k: 0 for k in model.get_params() if k.endswith("state")})
        model.fit(frames, y)
    found = [evaluate(model, frames[:4]) for model in (outside, inside)]
    np.testing.assert_allclose(found[0].energies, outside.predict(frames[:4]))
    np.testing.assert_allclose(found[0].forces, found[1].forces, atol=1e-12)
    assert np.abs(found[0].forces).max() > 0.1


def test_intervals_of_a_fitted_potential_cover_frames_never_seen():
    """Malonaldehyde: 60 frames to train on, 150 to calibrate, 200 to count."""
    data = load_dataset("malonaldehyde")
    rng = np.random.default_rng(0)
    drawn = [data.frames[s] for s in rng.choice(len(data.frames), 410, replace=False)]
    y = read_energies(drawn)
    model = ConformalRegressor(
        make_pipeline(
            ACSF(r_cut=4.0), PerAtom(StandardScaler()), AtomicRidge(forces=None)
        ),
        calibration_size=150,
        random_state=0,
    ).fit(drawn[:210], y[:210])
    test, y_test = drawn[210:], y[210:]
    _, energy = model.predict_interval(test)
    covered = (energy[:, 0] <= y_test) & (y_test <= energy[:, 1])
    # calibration and test sets both scatter: Beta(136, 15) mixed with a binomial of 200
    low, high = betabinom.interval(1 - 1e-4, 200, 136, 15)
    assert low <= covered.sum() <= high
    labels = np.array([a.calc.results["forces"] for a in test])
    for simultaneous in (False, True):
        _, forces = model.predict_forces_interval(test, simultaneous=simultaneous)
        inside = (np.array(forces)[..., 0] <= labels) & (
            labels <= np.array(forces)[..., 1]
        )
        share = inside.all(axis=(1, 2)) if simultaneous else inside.mean(axis=(1, 2))
        # shares of components scatter less than yes or no does: the same limits hold
        assert low <= share.sum() <= high
    assert np.ptp(energy[0]) < 2 * 1.645 * y_test.std()  # narrower than without a model


def test_labels_are_not_read_when_predicting():
    frames, y = dimers(60)
    model = ConformalRegressor(Bonds(), random_state=0).fit(frames, y)
    bare = [a.copy() for a in frames]  # copies have no calculator
    np.testing.assert_array_equal(
        model.predict_interval(frames)[1], model.predict_interval(bare)[1]
    )


def test_it_composes_with_search_and_survives_pickling():
    frames, y = dimers(60)
    search = GridSearchCV(
        ConformalRegressor(Bonds(), random_state=0), {"estimator__k": [0.5, 1.0]}, cv=3
    ).fit(frames, y)
    assert search.best_params_ == {"estimator__k": 1.0}
    best = search.best_estimator_
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(
        best.predict_interval(frames)[1], again.predict_interval(frames)[1]
    )
    assert "ConformalRegressor" in repr(best)
    assert "Bonds" in best._repr_html_()


def test_a_single_structure_is_no_sequence():
    with pytest.raises(TypeError, match=r"single ase\.Atoms"):
        ConformalRegressor(Bonds()).fit(molecule("H2O"), [1.0, 2.0, 3.0])
