"""Ensembles: their mean and scatter are those of their members, for whatever X."""

import pickle

import numpy as np
import pytest
from ase.build import bulk
from conftest import labelled, rattled
from radial import RadialSums
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import ExtraTreeRegressor

from skatom.base import NoStandardDeviationError
from skatom.calculator import SkatomCalculator
from skatom.metrics import neg_energy_crps
from skatom.models import AtomicRidge
from skatom.persistence import load, save
from skatom.potential import (
    evaluate,
    make_potential,
    predict_atomic_energies,
    predict_forces,
    predict_stress,
    r_cut_of,
)
from skatom.preprocessing import PerAtom, Pool
from skatom.structures import Structures, read_energies
from skatom.uncertainty import EnsembleRegressor


@pytest.fixture(scope="module")
def crystals() -> Structures:
    copper = bulk("Cu", a=3.6, cubic=True)
    return Structures(
        [labelled(rattled(copper, s, 0.1), stress=True) for s in range(12)]
    )


@pytest.fixture(scope="module")
def y(crystals):
    return read_energies(crystals)


def potential(alpha=1e-3):
    return make_potential(RadialSums(), PerAtom(StandardScaler()), AtomicRidge(alpha))


@pytest.fixture(scope="module")
def ensemble(crystals, y):
    return EnsembleRegressor(potential(), random_state=0).fit(crystals, y)


# -- mean and scatter ----------------------------------------------------------------


def members_of(ensemble):
    """Whole pipelines, put together by hand."""
    return [make_pipeline(*ensemble.features_, m) for m in ensemble.estimators_]


def test_everything_is_mean_and_scatter_of_members(ensemble, crystals):
    members = members_of(ensemble)
    cases = [
        (
            ensemble.predict(crystals, return_std=True),
            [m.predict(crystals) for m in members],
        ),
        (
            ensemble.predict_stress(crystals, return_std=True),
            [predict_stress(m, crystals) for m in members],
        ),
    ]
    for function in (predict_forces, predict_atomic_energies):
        ours = map(np.concatenate, function(ensemble, crystals, return_std=True))
        theirs = [np.concatenate(function(m, crystals)) for m in members]
        cases.append((ours, theirs))
    for (mean, std), values in cases:
        np.testing.assert_allclose(mean, np.mean(values, axis=0), rtol=1e-9, atol=1e-12)
        by_hand = np.maximum(np.std(values, axis=0, ddof=1), ensemble.std_floor_)
        np.testing.assert_allclose(std, by_hand, rtol=1e-6, atol=1e-12)
        assert (std > 1e-6).mean() > 0.9  # and not merely the floor


def test_a_mean_without_scatter_is_the_same_mean(ensemble, crystals):
    forces, _ = ensemble.predict_forces(crystals, return_std=True)
    found = evaluate(ensemble, crystals, stress=True, atomic=True, std=True)
    alone = evaluate(ensemble, crystals, stress=True, atomic=True)
    for a, b, c in zip(forces, found.forces, alone.forces):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(b, c, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.stress, alone.stress, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        [e.sum() for e in found.atomic_energies], found.energies, rtol=1e-10
    )


def test_inside_a_pipeline_it_is_what_it_is_around_one(ensemble, crystals, y):
    inside = make_pipeline(
        RadialSums(), PerAtom(StandardScaler()),
        EnsembleRegressor(AtomicRidge(1e-3), random_state=0),
    ).fit(crystals, y)  # fmt: skip
    for method in ("predict",):
        one = getattr(inside, method)(crystals, return_std=True)
        two = getattr(ensemble, method)(crystals, return_std=True)
        np.testing.assert_allclose(one, two, rtol=1e-7)
    for function in (predict_forces, predict_atomic_energies):
        one = map(np.concatenate, function(inside, crystals, return_std=True))
        two = map(np.concatenate, function(ensemble, crystals, return_std=True))
        for a, b in zip(one, two):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-10)


def test_unshared_features_give_every_member_its_own(crystals, y):
    ensemble = EnsembleRegressor(potential(), random_state=0, share_features=False)
    ensemble.fit(crystals, y)
    assert ensemble.features_ is None
    features = ensemble.estimators_[0][0].transform(crystals)
    scales = [
        m[1].transform(features).values.mean(axis=0) for m in ensemble.estimators_
    ]
    assert not np.allclose(scales[0], scales[1])
    values = [np.concatenate(predict_forces(m, crystals)) for m in ensemble.estimators_]
    mean, std = map(np.concatenate, predict_forces(ensemble, crystals, return_std=True))
    np.testing.assert_allclose(mean, np.mean(values, axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        std, np.std(values, axis=0, ddof=1), rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(
        np.concatenate(predict_forces(ensemble, crystals)), mean, rtol=1e-9, atol=1e-12
    )


def test_own_error_bars_of_members_add_up_as_variances(crystals, y):
    rows = np.random.default_rng(0).normal(size=(40, 2))
    target = rows[:, 0] + np.random.default_rng(1).normal(size=40)
    inner = EnsembleRegressor(Ridge(), n_members=3, random_state=0)
    both = EnsembleRegressor(inner, 4, member_std=True, random_state=1).fit(
        rows, target
    )
    one = EnsembleRegressor(inner, 4, random_state=1).fit(rows, target)
    own = [m.predict(rows, return_std=True)[1] for m in both.estimators_]
    expected = np.hypot(
        one.predict(rows, return_std=True)[1], np.sqrt(np.mean(np.square(own), 0))
    )
    np.testing.assert_allclose(
        both.predict(rows, return_std=True)[1], expected, rtol=1e-10
    )


def test_error_bars_are_never_zero():
    rows = np.arange(20.0)[:, None]
    ensemble = EnsembleRegressor(LinearRegression(), random_state=0).fit(
        rows, rows[:, 0]
    )
    std = ensemble.predict(rows, return_std=True)[1]
    assert (std >= 1.9e-8).all()
    assert (std < 1e-6).all()
    assert ensemble.std_floor_ == pytest.approx(1.9e-8)


# -- diversity -----------------------------------------------------------------------


def test_equal_structures_are_drawn_together(crystals, y):
    twice = Structures([*crystals, *crystals])
    for diversity in ("bagging", "subsampling"):
        ensemble = EnsembleRegressor(potential(), diversity=diversity, random_state=0)
        counts = ensemble.fit(twice, np.tile(y, 2)).counts_
        assert (counts[:, :12] == counts[:, 12:]).all()
        assert (counts.min(axis=1) == 0).all()


def test_counts_are_weights_where_these_are_taken(crystals, y):
    ensemble = EnsembleRegressor(potential(), 2, random_state=0).fit(crystals, y)
    Z, count = ensemble.features_.transform(crystals), ensemble.counts_[0]
    rows = np.repeat(np.arange(12), count)
    repeated = AtomicRidge(1e-3).fit(Z[rows], y[rows])
    np.testing.assert_allclose(
        ensemble.estimators_[0].predict(Z), repeated.predict(Z), rtol=1e-9
    )


def test_rows_are_repeated_where_weights_are_not_taken():
    rows = np.arange(10.0)[:, None]
    ensemble = EnsembleRegressor(KNeighborsRegressor(2), 2, random_state=0)
    ensemble.fit(rows, rows[:, 0])
    assert [m.n_samples_fit_ for m in ensemble.estimators_] == [10, 10]


def test_sample_weights_of_the_caller_count_too(crystals, y):
    weights = np.linspace(0.5, 2.0, 12)
    ensemble = EnsembleRegressor(potential(), 2, random_state=0)
    ensemble.fit(crystals, y, atomicridge__sample_weight=weights)
    count = ensemble.counts_[0]
    Z = ensemble.features_.transform(crystals)
    used = np.flatnonzero(count)
    by_hand = AtomicRidge(1e-3).fit(Z[used], y[used], (count * weights)[used])
    np.testing.assert_allclose(
        ensemble.estimators_[0].predict(Z), by_hand.predict(Z), rtol=1e-9
    )


def test_parameters_for_a_shared_step_stop_the_sharing():
    rows = np.random.default_rng(0).normal(size=(20, 2))
    ensemble = EnsembleRegressor(
        make_pipeline(StandardScaler(), Ridge()), random_state=0
    )
    ensemble.fit(rows, rows[:, 0], standardscaler__sample_weight=np.ones(20))
    assert ensemble.features_ is None


def test_sizes_of_samples():
    rows = np.arange(40.0)[:, None]
    for diversity, max_samples, size in [
        ("bagging", None, 40), ("bagging", 0.5, 20), ("bagging", 60, 60),
        ("subsampling", None, 32), ("subsampling", 10, 10),
    ]:  # fmt: skip
        ensemble = EnsembleRegressor(
            Ridge(), diversity=diversity, max_samples=max_samples, random_state=0
        ).fit(rows, rows[:, 0])
        assert (ensemble.counts_.sum(axis=1) == size).all()
        assert diversity == "bagging" or ensemble.counts_.max() == 1


def test_seeds_alone_differ_in_nothing_else():
    rows = np.random.default_rng(0).normal(size=(60, 2))
    tree = ExtraTreeRegressor(max_depth=3)
    ensemble = EnsembleRegressor(tree, diversity="seeds", random_state=0)
    ensemble.fit(rows, np.sin(rows[:, 0]))
    assert len({m.random_state for m in ensemble.estimators_}) == 5
    assert (ensemble.counts_ == 1).all()
    assert (ensemble.predict(rows, return_std=True)[1] > 1e-4).all()


def test_architectures_come_from_a_list(crystals, y):
    listed = [potential(1e-3), make_pipeline(RadialSums(), Pool("sum"), Ridge(1.0))]
    ensemble = EnsembleRegressor(listed, n_members=4, random_state=0).fit(crystals, y)
    kinds = [type(m[-1]) for m in ensemble.estimators_]
    assert kinds == [AtomicRidge, Ridge] * 2
    assert [name for name, _ in ensemble.features_.steps] == ["radialsums"]
    assert EnsembleRegressor(listed).fit(crystals, y).counts_.shape == (2, 12)
    std = np.concatenate(ensemble.predict_forces(crystals, return_std=True)[1])
    assert (std > 0).all()


def test_steps_are_shared_as_far_as_they_are_equal(crystals, y):
    listed = [
        make_pipeline(RadialSums(4.0), Pool("sum"), StandardScaler(), Ridge()),
        make_pipeline(
            RadialSums(4.0), Pool("sum"), StandardScaler(with_mean=False), Ridge()
        ),
    ]
    assert len(EnsembleRegressor(listed).fit(crystals, y).features_) == 2
    listed[1].set_params(radialsums__r_cut=3.0)
    assert EnsembleRegressor(listed).fit(crystals, y).features_ is None
    local = [FunctionTransformer(lambda Z: Z) for _ in range(2)]
    unknown = [make_pipeline(Pool("sum"), step, Ridge()) for step in local]
    Z = RadialSums().fit_transform(crystals)
    assert len(EnsembleRegressor(unknown).fit(Z, y).features_) == 1


def test_snapshots_continue_one_training():
    rows = np.random.default_rng(0).normal(size=(60, 2))
    target = np.sin(2 * rows[:, 0])
    network = MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=5, solver="sgd", random_state=3
    )
    ensemble = EnsembleRegressor(network, 4, diversity="snapshots", random_state=0)
    with pytest.warns(Warning, match="Maximum iterations"):
        ensemble.fit(rows, target)
    assert [m.t_ for m in ensemble.estimators_] == [300, 600, 900, 1200]
    assert len({m.random_state for m in ensemble.estimators_}) == 1


# -- life as an estimator ------------------------------------------------------------


def test_same_seed_same_result_for_any_number_of_jobs(ensemble, crystals, y):
    again = clone(ensemble).fit(crystals, y)
    parallel = clone(ensemble).set_params(n_jobs=2).fit(crystals, y)
    for other in (again, parallel, pickle.loads(pickle.dumps(ensemble))):
        for a, b in zip(
            other.predict(crystals, True), ensemble.predict(crystals, True)
        ):
            np.testing.assert_array_equal(a, b)


def test_it_is_saved_and_loaded(ensemble, crystals, tmp_path):
    with pytest.warns(UserWarning, match=r"radial\.RadialSums"):  # of the tests
        save(ensemble, tmp_path / "model.skatom")
    loaded = load(tmp_path / "model.skatom", trusted=["radial.RadialSums"])
    np.testing.assert_array_equal(
        loaded.predict(crystals, True)[1], ensemble.predict(crystals, True)[1]
    )


def test_a_search_tunes_members_on_error_bars(crystals, y):
    ensemble = EnsembleRegressor(potential(), 3, random_state=0)
    grid = {"estimator__atomicridge__alpha": [1e-3, 1e3]}
    search = GridSearchCV(ensemble, grid, scoring=neg_energy_crps, cv=3).fit(
        crystals, y
    )
    assert search.best_params_["estimator__atomicridge__alpha"] == 1e-3
    forces, std = predict_forces(search, crystals, return_std=True)
    assert std[0].shape == forces[0].shape


def test_the_calculator_takes_it(ensemble, crystals):
    assert r_cut_of(ensemble) == 4.0
    atoms = crystals[0].copy()
    atoms.calc = SkatomCalculator(ensemble)
    np.testing.assert_allclose(
        atoms.get_forces(),
        ensemble.predict_forces(crystals[:1])[0],
        rtol=1e-9,
        atol=1e-12,
    )


# -- refusals ------------------------------------------------------------------------


def test_equal_members_are_refused_or_warned_of(crystals, y):
    with pytest.raises(ValueError, match="random_state, which AtomicRidge lacks"):
        EnsembleRegressor(potential(), diversity="seeds").fit(crystals, y)
    rows = np.arange(20.0)[:, None]
    with pytest.warns(UserWarning, match="All members are the same"):
        EnsembleRegressor(Ridge(), diversity="seeds").fit(rows, rows[:, 0])


def test_odd_choices_are_refused(crystals, y):
    rows = np.arange(20.0)[:, None]
    with pytest.raises(ValueError, match="KNeighborsRegressor has no warm_start"):
        EnsembleRegressor(KNeighborsRegressor(), diversity="snapshots").fit(
            rows, rows[:, 0]
        )
    with pytest.raises(ValueError, match="only 20 different structures"):
        EnsembleRegressor(Ridge(), diversity="subsampling", max_samples=21).fit(
            rows, rows[:, 0]
        )
    for wrong in ([], [Ridge(), "ridge"]):
        with pytest.raises(TypeError, match="estimator is an estimator or a list"):
            EnsembleRegressor(wrong).fit(rows, rows[:, 0])


def test_rows_have_no_error_bars_of_forces():
    rows = np.arange(20.0)[:, None]
    ensemble = EnsembleRegressor(Ridge(), random_state=0).fit(rows, rows[:, 0])
    with pytest.raises(
        NoStandardDeviationError, match="Rows of numbers have no forces"
    ):
        ensemble.forces_std(rows)
