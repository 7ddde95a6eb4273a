"""What composes with scikit-learn and its ecosystem, cell by cell.

Everything here runs on frames as users have them, with labels attached, through the
meta-estimators that a project meets: search, cross-validation, ensembles, conformal
prediction, caching, copies. A cell that stops working is a changed promise.
"""

import copy
import pickle

import joblib
import numpy as np
import pytest
from ase.build import molecule
from conftest import labelled, rattled
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    RandomForestRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.inspection import permutation_importance
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import estimator_html_repr

from skatom import Potential, Structures, predict_forces
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge, AtomicRidge
from skatom.preprocessing import AtomFeatureUnion, PerAtom, Pool
from skatom.structures import read_energies


@pytest.fixture(scope="module")
def frames():
    """Forty bent molecules, some of equal size."""
    names = ["H2O", "CH4", "H2O", "CH3OH"]
    return [labelled(rattled(molecule(names[s % 4]), seed=s)) for s in range(40)]


@pytest.fixture(scope="module")
def y(frames):
    return read_energies(frames)


def acsf(**params):
    return ACSF(**{"r_cut": 4.0, "n_radial": 4, "n_angular": 2, "zetas": (1,)} | params)


def potential(model=None, kind=Pipeline):
    model = AtomicRidge(alpha=1e-4) if model is None else model
    steps = [
        ("features", acsf()),
        ("scale", PerAtom(StandardScaler())),
        ("model", model),
    ]
    return kind(steps)


def pooled(model=None):
    model = Ridge() if model is None else model
    return make_pipeline(acsf(), Pool("sum"), StandardScaler(), model)


def error(model, frames, y):
    return np.abs(model.predict(frames) - y).mean()


WAYS = {"list": list, "Structures": Structures, "object": lambda f: _objects(f)}


def _objects(frames):
    array = np.empty(len(frames), dtype=object)
    array[:] = frames
    return array


# -- search --------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_one_grid_over_featurizer_scaler_and_model(frames, y, way):
    grid = {
        "features__r_cut": [3.0, 4.0],
        "scale__transformer": [StandardScaler(), MinMaxScaler()],
        "scale__by_species": [True],
        "model__alpha": [1e-4, 1e2],
    }
    search = GridSearchCV(
        potential(), grid, cv=3, scoring="neg_mean_absolute_error"
    ).fit(WAYS[way](frames), y)
    assert search.best_params_["model__alpha"] == 1e-4
    assert error(search, frames, y) < np.abs(y - y.mean()).mean() / 10
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(predict_forces(search, frames[:2])) == 2


def test_two_workers_find_what_one_finds(frames, y):
    grid = {
        "features__r_cut": [3.0, 4.0],
        "scale__transformer__with_mean": [True, False],
        "model__alpha": [1e-4, 1e-2],
    }
    one, two = (
        GridSearchCV(potential(), grid, cv=2, n_jobs=n).fit(frames, y) for n in (1, 2)
    )
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(one.predict(frames), two.predict(frames))


def test_a_random_search_over_kernels(frames, y):
    search = RandomizedSearchCV(
        potential(AtomicKernelRidge(forces=None)),
        {"model__gamma": [1e-3, 1e-2, "scale"], "model__kernel": ["rbf", "linear"]},
        n_iter=3,
        cv=2,
        random_state=0,
    ).fit(frames, y)
    assert np.isfinite(search.best_score_)


def test_featurizers_are_exchanged_by_a_search(frames, y):
    union = AtomFeatureUnion([("near", acsf(r_cut=2.5)), ("far", acsf(g4=None))])
    search = GridSearchCV(potential(), {"features": [acsf(g4=None), union]}, cv=2)
    assert np.isfinite(search.fit(frames, y).best_score_)


# -- cross-validation ----------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_cross_validation(frames, y, way):
    X = WAYS[way](frames)
    scores = cross_validate(
        potential(), X, y, cv=3, scoring=["r2", "neg_mean_absolute_error"],
        return_estimator=True,
    )  # fmt: skip
    assert scores["test_r2"].min() > 0.9
    assert len(scores["estimator"]) == 3
    assert cross_val_predict(potential(), X, y, cv=3).shape == y.shape


def test_groups_are_kept_together(frames, y):
    groups = [s // 4 % 5 for s in range(len(frames))]  # four neighbours in time
    scores = cross_validate(
        potential(), frames, y, groups=groups, cv=GroupKFold(5),
        scoring="neg_mean_absolute_error", return_indices=True, error_score=np.nan,
    )  # fmt: skip
    for train, test in zip(scores["indices"]["train"], scores["indices"]["test"]):
        assert not {groups[s] for s in train} & {groups[s] for s in test}


def test_learning_and_validation_curves(frames, y):
    sizes, _, test = learning_curve(
        potential(), frames, y, cv=KFold(4, shuffle=True, random_state=0),
        train_sizes=[8, 30], scoring="neg_mean_absolute_error",
    )  # fmt: skip
    assert sizes.tolist() == [8, 30]
    assert test[1].mean() > test[0].mean()
    _, test = validation_curve(
        potential(), frames, y, param_name="model__alpha", param_range=[1e-4, 1e3], cv=3
    )
    assert test.shape == (2, 3)


def test_data_are_split_in_two(frames, y):
    train, test, y_train, y_test = train_test_split(frames, y, random_state=0)
    model = potential().fit(train, y_train)
    assert model.score(test, y_test) > 0.9


# -- ensembles and other meta-estimators ---------------------------------------------


@pytest.mark.parametrize(
    "ensemble",
    [
        VotingRegressor([("a", potential()), ("b", pooled())]),
        StackingRegressor(
            [("a", potential()), ("b", pooled())],
            final_estimator=LinearRegression(),
            cv=3,
        ),
        BaggingRegressor(potential(), n_estimators=3, random_state=0, oob_score=False),
        AdaBoostRegressor(potential(), n_estimators=3, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_ensembles_of_potentials(frames, y, ensemble):
    X = Structures(frames)
    model = clone(ensemble).fit(X, y)
    assert error(model, X, y) < np.abs(y - y.mean()).mean() / 5
    assert model.predict(X[:3]).shape == (3,)


def test_bagging_draws_whole_structures_with_their_labels(frames, y):
    X = Structures(frames)
    model = BaggingRegressor(potential(), n_estimators=2, random_state=0).fit(X, y)
    assert len(predict_forces(model, X[:2])) == 2
    with_scores = BaggingRegressor(
        potential(), n_estimators=10, oob_score=True, random_state=0
    ).fit(X, y)
    assert with_scores.oob_score_ > 0.9


def test_rescaled_targets_are_refused_beside_forces(frames, y):
    wrapped = TransformedTargetRegressor(potential(), transformer=StandardScaler())
    with pytest.raises(ValueError, match=r"times the energies stored.*forces=None"):
        wrapped.fit(frames, y)


def test_rescaled_targets_are_fine_for_energies_alone(frames, y):
    model = potential(AtomicRidge(alpha=1e-4, forces=None))
    wrapped = TransformedTargetRegressor(model, transformer=StandardScaler())
    wrapped.fit(frames, y)
    assert error(wrapped, frames, y) < np.abs(y - y.mean()).mean() / 10
    step, forces = 1e-4, predict_forces(wrapped, frames[:1])[0]
    ends = [frames[0].copy(), frames[0].copy()]
    for sign, atoms in zip((1, -1), ends):
        atoms.positions[1, 2] += sign * step
    slope = (wrapped.predict(ends[:1]) - wrapped.predict(ends[1:]))[0] / (2 * step)
    assert forces[1, 2] == pytest.approx(-slope, rel=1e-5)


def test_importance_of_structures_by_permutation(frames, y):
    X = Structures(frames)
    result = permutation_importance(potential().fit(X, y), X, y, n_repeats=2)
    assert result.importances_mean[0] > 1  # the only column is the structure


@pytest.mark.parametrize(
    "model",
    [
        Ridge(),
        KernelRidge(),
        SVR(),
        GaussianProcessRegressor(alpha=1e-6, optimizer=None),
        RandomForestRegressor(5, random_state=0),
        DecisionTreeRegressor(random_state=0),
        DummyRegressor(),
    ],
    ids=lambda m: type(m).__name__,
)
def test_stock_regressors_on_pooled_features(frames, y, model):
    assert np.isfinite(
        cross_validate(pooled(model), frames, y, cv=3)["test_score"]
    ).all()


def test_a_frozen_estimator_is_not_fitted_again(frames, y):
    fitted = potential().fit(frames, y)
    frozen = clone(FrozenEstimator(fitted)).fit(frames[:2], y[:2])
    np.testing.assert_array_equal(frozen.predict(frames), fitted.predict(frames))


def test_a_stock_scaler_on_atoms_says_what_to_do(frames, y):
    wrong = make_pipeline(acsf(), StandardScaler(), Ridge())
    with pytest.raises(TypeError, match="wrap a transformer in PerAtom"):
        wrong.fit(frames, y)


def test_a_stock_regressor_on_atoms_says_what_to_do(frames, y):
    with pytest.raises(TypeError, match=r"pool them with skatom\.preprocessing\.Pool"):
        make_pipeline(acsf(), Ridge()).fit(frames, y)


def test_numbers_in_place_of_structures_say_what_to_do(frames, y):
    with pytest.raises(TypeError, match="Put a featurizer"):
        Ridge().fit(Structures(frames), y)


# -- MAPIE ---------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize("prefit", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_split_conformal_intervals_of_mapie(frames, y, prefit, way):
    mapie = pytest.importorskip("mapie.regression")
    X = WAYS[way](frames)
    train, rest, y_train, y_rest = train_test_split(X, y, test_size=24, random_state=0)
    model = potential().fit(train, y_train) if prefit else potential()
    conformal = mapie.SplitConformalRegressor(
        model, confidence_level=0.8, prefit=prefit
    )
    if not prefit:
        conformal.fit(train, y_train)
    conformal.conformalize(rest, y_rest)
    predicted, intervals = conformal.predict_interval(rest)
    assert intervals.shape == (24, 2, 1)
    covered = (intervals[:, 0, 0] <= y_rest) & (y_rest <= intervals[:, 1, 0])
    assert covered.mean() >= 0.8  # on the frames it was calibrated with
    assert ((intervals[:, 0, 0] <= predicted) & (predicted <= intervals[:, 1, 0])).all()


# -- copies, pictures, output --------------------------------------------------------


@pytest.mark.parametrize("kind", [Pipeline, Potential])
def test_clone_forgets_and_copies_remember(frames, y, kind):
    fitted = potential(kind=kind).fit(frames, y)
    fresh = clone(fitted)
    assert fresh.get_params()["model__alpha"] == 1e-4
    assert not hasattr(fresh[-1], "n_atom_features_")
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(twin.predict(frames), fitted.predict(frames))
        np.testing.assert_array_equal(
            np.concatenate(predict_forces(twin, frames)),
            np.concatenate(predict_forces(fitted, frames)),
        )


def test_a_file_of_joblib_gives_the_same_bits(frames, y, tmp_path):
    fitted = potential().fit(frames, y)
    joblib.dump(fitted, tmp_path / "model.joblib")
    twin = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(twin.predict(frames), fitted.predict(frames))


@pytest.mark.parametrize("kind", [Pipeline, Potential])
def test_pictures_show_every_step(frames, y, kind):
    for model in (potential(kind=kind), potential(kind=kind).fit(frames, y)):
        html = estimator_html_repr(model)
        for name in ("ACSF", "PerAtom", "StandardScaler", "AtomicRidge"):
            assert name in html


def test_text_shows_the_parameters():
    assert "ACSF(g4=None, r_cut=4.0)" in repr(make_pipeline(ACSF(r_cut=4.0, g4=None)))


def test_pandas_output_reaches_what_is_rows(frames, y):
    pd = pytest.importorskip("pandas")
    pipe = make_pipeline(
        acsf(), PerAtom(StandardScaler()), Pool("sum"), StandardScaler()
    )
    rows = pipe.set_output(transform="pandas").fit_transform(frames)
    assert isinstance(rows, pd.DataFrame)
    assert rows.shape[0] == len(frames)
    assert all("G" in str(name) for name in rows.columns)
    assert list(rows.columns) == list(pipe.get_feature_names_out())
    potential().set_output(transform="pandas").fit(frames, y).predict(frames)


def test_pandas_output_for_everything(frames, y):
    from sklearn import config_context

    pytest.importorskip("pandas")
    with config_context(transform_output="pandas"):
        assert np.isfinite(potential().fit(frames, y).predict(frames)).all()
        assert np.isfinite(pooled().fit(frames, y).predict(frames)).all()
        union = AtomFeatureUnion([("near", acsf(r_cut=2.5)), ("far", acsf(g4=None))])
        model = make_pipeline(union, AtomicRidge()).fit(frames, y)
        assert np.isfinite(model.predict(frames)).all()


def test_a_feature_union_of_scikit_learn_inside_a_search(frames, y):
    union = FeatureUnion([("near", acsf(r_cut=2.5)), ("far", acsf(g4=None))])
    model = Pipeline([("features", union), ("model", AtomicRidge(alpha=1e-4))])
    search = GridSearchCV(model, {"features__near__r_cut": [2.0, 2.5]}, cv=2)
    search.fit(frames, y)
    assert len(predict_forces(search, frames[:1])[0]) == len(frames[0])


def test_pooled_features_stand_beside_rows(frames, y):
    union = FeatureUnion(
        [
            ("sum", make_pipeline(acsf(), Pool("sum"))),
            ("mean", make_pipeline(acsf(g4=None), Pool("mean"))),
        ]
    )
    model = make_pipeline(union, StandardScaler(), Ridge(alpha=1e-3)).fit(frames, y)
    assert len(predict_forces(model, frames[:1])[0]) == len(frames[0])


# -- caching -------------------------------------------------------------------------


def test_a_cached_pipeline_gives_the_same_and_reads_the_cache(frames, y, tmp_path):
    plain = potential().fit(frames, y)
    memory = joblib.Memory(tmp_path, verbose=0)
    cached = potential().set_params(memory=memory)
    entries = []
    for _ in range(3):
        cached.fit(Structures(frames), y)
        np.testing.assert_array_equal(cached.predict(frames), plain.predict(frames))
        entries.append(len(list(tmp_path.rglob("output.pkl"))))
    # NumPy restores empty arrays with other strides, which joblib takes for another
    # featurizer: the scaler is fitted once more on what came from the cache, then never
    assert entries[0] == 2
    assert entries[2] == entries[1] <= 3


def test_cached_features_keep_labels_for_the_model(frames, y, tmp_path):
    cached = potential().set_params(memory=str(tmp_path))
    cached.fit(frames, y)
    again = cached.set_params(model__alpha=1e-5).fit(frames, y)
    plain = potential(AtomicRidge(alpha=1e-5)).fit(frames, y)
    np.testing.assert_allclose(again.predict(frames), plain.predict(frames), atol=1e-9)


def test_live_calculators_do_not_stop_the_cache(frames, y, tmp_path):
    from ase.calculators.emt import EMT

    live = [a.copy() for a in frames[:8]]
    for atoms in live:
        atoms.calc = EMT()
        atoms.get_forces()
    cached = potential().set_params(memory=str(tmp_path))
    cached.fit(Structures(live), y[:8])
    assert np.isfinite(cached.predict(live)).all()


# -- metadata routing ----------------------------------------------------------------


def test_forces_travel_by_hand_too(frames, y):
    bare = [a.copy() for a in frames]
    forces = [a.calc.results["forces"] for a in frames]
    by_hand = potential().fit(bare, y, model__forces=forces)
    np.testing.assert_array_equal(
        by_hand.predict(frames), potential().fit(frames, y).predict(frames)
    )
    potential_ = potential(kind=Potential).fit(bare, y, forces=forces)
    np.testing.assert_array_equal(potential_.predict(frames), by_hand.predict(frames))


def test_forces_are_routed_and_split_with_the_structures(frames, y):
    from sklearn import config_context

    bare = [a.copy() for a in frames]
    forces = [a.calc.results["forces"] for a in frames]
    with config_context(enable_metadata_routing=True):
        model = potential(AtomicRidge(alpha=1e-4).set_fit_request(forces=True))
        routed = cross_validate(model, bare, y, cv=3, params={"forces": forces})
    read = cross_validate(potential(), frames, y, cv=3)
    np.testing.assert_allclose(routed["test_score"], read["test_score"], rtol=1e-9)


def test_forces_of_other_structures_are_refused(frames, y):
    forces = [a.calc.results["forces"] for a in frames]
    with pytest.raises(ValueError, match="X has 10 structures, but forces has 40"):
        potential().fit(frames[:10], y[:10], model__forces=forces)
