import pickle

import numpy as np
import pytest
from ase.build import bulk, molecule
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.featurizers import ACSF
from skatom.neighbors import neighbor_pairs
from skatom.preprocessing import PerAtom, Pool
from skatom.structures import Structures
from skatom.uncertainty import ConformalRegressor, FeatureDistance
from skatom.uncertainty._distances import References


class Zero(RegressorMixin, BaseEstimator):
    """Last step of a pipeline whose features are what matters."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.zeros(len(X))


def ethanols(n, stdev=0.05, seed=0):
    rng = np.random.default_rng(seed)
    frames = [molecule("CH3CH2OH") for _ in range(n)]
    for atoms in frames:
        atoms.positions += rng.normal(scale=stdev, size=(len(atoms), 3))
    return frames


def fitted_pipeline(frames, *steps, **options):
    steps = steps or (PerAtom(StandardScaler()),)
    pipeline = make_pipeline(ACSF(r_cut=4.0, **options), *steps, Zero())
    return pipeline.fit(frames, np.zeros(len(frames)))


@pytest.fixture(scope="module")
def frames():
    return ethanols(80)


@pytest.fixture(scope="module")
def pipeline(frames):
    return fitted_pipeline(frames)


@pytest.fixture(scope="module")
def distance(frames, pipeline):
    return FeatureDistance(pipeline, random_state=0).fit(frames)


@pytest.mark.parametrize(("n", "k"), [(5, 1), (300, 10), (3, 10)])
def test_mean_distances_equal_those_of_scikit_learn(n, k):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 40)) + 3.0
    x = np.concatenate([rng.normal(size=(7, 40)) + 3.0, values[:2], 1e3 + values[:1]])
    peer = NearestNeighbors(n_neighbors=min(n, k), algorithm="kd_tree").fit(values)
    np.testing.assert_allclose(
        References(values, k).mean_distances(x),
        peer.kneighbors(x)[0].mean(axis=1),
        rtol=1e-12,
    )


def test_ranking_in_single_precision_survives_a_far_outlier():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(400, 40))
    values[:20, 0] += 1000.0  # outliers of 1000 standard deviations stretch the range
    x = rng.normal(size=(50, 40))
    x[:25, 0] += 1000.0
    peer = NearestNeighbors(n_neighbors=3, algorithm="kd_tree").fit(values)
    expected = peer.kneighbors(x)[0].mean(axis=1)
    np.testing.assert_allclose(References(values, 3).mean_distances(x), expected)


def test_distances_do_not_depend_on_how_many_atoms_are_asked_for(monkeypatch):
    rng = np.random.default_rng(1)
    references = References(rng.normal(size=(50, 6)), 4)
    x = rng.normal(size=(30, 6))
    whole = references.mean_distances(x)
    monkeypatch.setattr("skatom.uncertainty._distances.BLOCK", 100)
    np.testing.assert_allclose(references.mean_distances(x), whole, rtol=1e-12)


def test_grade_one_is_the_worst_held_out_environment_of_each_species(frames, pipeline):
    held_out = ethanols(15, seed=1)
    distance = FeatureDistance(pipeline).fit(frames, X_calibration=held_out)
    grades = distance.grade_atoms(held_out)
    numbers = held_out[0].numbers
    for z in (1, 6, 8):
        of_species = np.concatenate([g[numbers == z] for g in grades])
        assert of_species.max() == pytest.approx(1.0, abs=1e-12)
    structures = distance.grade(held_out)
    assert structures.max() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(structures, [g.max() for g in grades])
    assert (distance.predict(held_out) == 1).sum() >= 14  # the worst may round up


def test_outlier_interface_is_consistent(distance):
    X = ethanols(10, seed=2) + ethanols(10, stdev=0.5, seed=3)
    grades = distance.grade(X)
    np.testing.assert_array_equal(distance.score_samples(X), -grades)
    np.testing.assert_allclose(distance.decision_function(X), 1 - grades, atol=1e-14)
    np.testing.assert_array_equal(distance.predict(X), np.where(grades > 1, -1, 1))
    assert (distance.predict(X)[10:] == -1).all()


def test_exchangeable_structures_are_rarely_flagged():
    """At most n_species / (n_calibration + 1), averaged over calibration sets."""
    flagged, n_sets, n_cal = 0, 60, 29
    for seed in range(n_sets):
        X = np.random.default_rng(seed).standard_t(2, size=(100, 3))
        model = make_pipeline(StandardScaler(), Ridge()).fit(X[:60], X[:60, 0])
        distance = FeatureDistance(model).fit(X[:60], X_calibration=X[60 : 60 + n_cal])
        flagged += (distance.predict(X[60 + n_cal :]) == -1).mean()
    assert distance.n_calibration_ == n_cal
    # expectation 1/30; four standard errors of 60 means of Beta(1, 29) are 0.017
    assert flagged / n_sets <= 1 / 30 + 0.017
    assert flagged > 0


def test_grades_grow_with_distortion_and_name_the_moved_atom(distance):
    medians = [
        np.median(distance.grade(ethanols(20, stdev=s, seed=4)))
        for s in (0.05, 0.1, 0.3)
    ]
    assert medians[0] < 1 < medians[1] < medians[2]
    atoms = molecule("CH3CH2OH")
    atoms.positions[3] += 0.6 * np.array([1.0, 1.0, 0.0])
    grades = distance.grade_atoms([atoms])[0]
    assert grades[3] == grades[atoms.numbers == 1].max()


def test_grades_are_invariant_and_do_not_need_labels(distance):
    atoms = ethanols(1, seed=5)[0]
    expected = distance.grade_atoms([atoms])[0]
    turned = atoms.copy()
    turned.rotate(40, (1, 2, 3))
    turned.translate([1e3, 0, 0])
    order = np.random.default_rng(0).permutation(len(atoms))
    # features and thus grades carry the rounding of positions, 1e-13 Å at 1e3 Å
    np.testing.assert_allclose(distance.grade_atoms([turned])[0], expected, rtol=1e-8)
    np.testing.assert_allclose(
        distance.grade_atoms([atoms[order]])[0], expected[order], rtol=1e-8
    )


def test_one_by_one_and_with_known_pairs_gives_the_same(distance):
    X = ethanols(4, seed=6)
    together = distance.grade_atoms(X)
    for atoms, expected in zip(X, together):
        structures = Structures([atoms])
        pairs = neighbor_pairs(structures, 5.0)
        for grades in (
            distance.grade_atoms([atoms]),
            distance.grade_atoms(structures, pairs),
        ):
            np.testing.assert_allclose(grades[0], expected, rtol=1e-10)


def test_species_without_training_environments_are_infinitely_far(frames):
    pipeline = fitted_pipeline(frames, handle_unknown="ignore")
    distance = FeatureDistance(pipeline, random_state=0).fit(frames)
    atoms = frames[0].copy()
    atoms.symbols[0] = "S"
    grades = distance.grade_atoms([atoms])[0]
    assert grades[0] == np.inf
    assert np.isfinite(grades[1:]).all()
    assert distance.predict([atoms])[0] == -1


def test_unseen_species_are_refused_by_the_featurizer(distance):
    with pytest.raises(ValueError, match=r"is S, but \w+ knows .* only"):
        distance.grade([molecule("SO2")])
    structures = Structures([molecule("SO2")])
    with pytest.raises(ValueError, match=r"is S, but \w+ knows .* only"):
        distance.grade_atoms(structures, neighbor_pairs(structures, 4.0))


def test_a_rare_species_stays_with_the_training_environments():
    X = [*ethanols(20), molecule("CH3SH")]
    pipeline = fitted_pipeline(X)
    for seed in range(8):
        distance = FeatureDistance(pipeline, random_state=seed).fit(X)
        assert 16 in distance.references_
        assert distance.units_[16] == max(distance.units_.values())


def test_units_need_common_species(frames, pipeline):
    with pytest.raises(ValueError, match="grades have no unit"):
        FeatureDistance(fitted_pipeline([*frames, bulk("Cu")])).fit(
            frames, X_calibration=[bulk("Cu", a=3.7)]
        )
    different = [molecule("H2"), molecule("O2"), molecule("N2"), bulk("Cu"), bulk("Al")]
    with pytest.raises(ValueError, match="species that no other structure has"):
        FeatureDistance(fitted_pipeline(different), random_state=0).fit(different)


def test_equal_environments_have_a_unit_above_rounding():
    X = [bulk("Cu", a=3.6) for _ in range(3)] + [
        bulk("Cu", a=3.6, cubic=True) for _ in range(7)
    ]
    held_out = [bulk("Cu", a=3.6).repeat(2)]
    distance = FeatureDistance(fitted_pipeline(X, "passthrough")).fit(
        X, X_calibration=held_out
    )
    assert (distance.grade([bulk("Cu", a=3.6).repeat((3, 1, 1))]) <= 1).all()
    assert distance.grade([bulk("Cu", a=3.7)])[0] > 10


def test_references_are_bounded_and_follow_the_seed(frames, pipeline):
    kwargs = {"max_environments": 30, "n_neighbors": 3}
    a, b, c = (
        FeatureDistance(pipeline, random_state=s, **kwargs).fit(frames)
        for s in (0, 0, 1)
    )
    assert {z: len(r.values) for z, r in a.references_.items()} == {1: 30, 6: 30, 8: 30}
    X = ethanols(5, seed=7)
    np.testing.assert_array_equal(a.grade(X), b.grade(X))
    assert not np.array_equal(a.grade(X), c.grade(X))


def test_features_before_pooling_are_used(frames, distance):
    scaler = PerAtom(StandardScaler())
    pooled = fitted_pipeline(frames, scaler, Pool("sum"), StandardScaler())
    X = ethanols(3, seed=8)
    found = FeatureDistance(pooled, random_state=0).fit(frames).grade_atoms(X)
    for grades, expected in zip(found, distance.grade_atoms(X)):
        np.testing.assert_allclose(grades, expected, rtol=1e-12)


def test_wrappers_are_looked_into(frames, pipeline, distance):
    X, y = ethanols(3, seed=9), np.zeros(len(frames))
    conformal = ConformalRegressor(pipeline, cv="prefit", forces=None)
    conformal.fit(ethanols(20, seed=10), np.zeros(20))
    search = GridSearchCV(pipeline, {"acsf__r_cut": [4.0]}, cv=2).fit(frames, y)
    for wrapped in (FrozenEstimator(pipeline), conformal, search):
        other = FeatureDistance(wrapped, random_state=0).fit(frames)
        np.testing.assert_allclose(other.grade(X), distance.grade(X), rtol=1e-12)


def test_steps_that_pass_through_are_skipped(frames):
    features = ("features", ACSF(r_cut=4.0))
    plain = Pipeline([features, ("model", Zero())]).fit(frames, np.zeros(80))
    padded = Pipeline(
        [features, ("no", "passthrough"), ("none", None), ("model", Zero())]
    )
    padded.fit(frames, np.zeros(80))
    a, b = (FeatureDistance(p, random_state=0).fit(frames) for p in (plain, padded))
    np.testing.assert_array_equal(a.grade(frames), b.grade(frames))


def test_rows_of_numbers_count_as_one_atom_each():
    X = np.random.default_rng(0).normal(size=(60, 3))
    distance = FeatureDistance(Ridge().fit(X, X[:, 0]), random_state=0).fit(X)
    assert [len(g) for g in distance.grade_atoms(X[:2])] == [1, 1]
    assert distance.predict([[50.0, 0, 0]])[0] == -1


def test_models_on_bare_structures_are_refused(frames):
    model = Zero().fit(frames, np.zeros(80))
    with pytest.raises(TypeError, match="without a featurizer in front"):
        FeatureDistance(model).fit(frames)


def test_estimators_must_be_fitted(frames, pipeline):
    with pytest.raises(NotFittedError):
        FeatureDistance(clone(pipeline)).fit(frames)
    with pytest.raises(NotFittedError):
        FeatureDistance(pipeline).grade(frames)


def test_bad_parameters_are_refused(frames, pipeline):
    for bad in ({"n_neighbors": 0}, {"max_environments": 0}, {"calibration_size": 1.5}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            FeatureDistance(pipeline, **bad).fit(frames)


def test_it_survives_pickling_and_has_a_picture(distance):
    X = ethanols(3, seed=10)
    again = pickle.loads(pickle.dumps(distance))
    np.testing.assert_array_equal(again.grade(X), distance.grade(X))
    assert "FeatureDistance" in distance._repr_html_()


def test_no_structures_have_no_grades(distance):
    assert distance.grade_atoms([]) == []
    assert distance.grade([]).shape == distance.predict([]).shape == (0,)
