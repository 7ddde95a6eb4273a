"""Latent distances are those of the published algorithm, for structures and atoms."""

import pickle

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.models import AtomicRidge, NeuralNetworkRegressor
from skatom.preprocessing import PerAtom, Pool
from skatom.structures import Structures
from skatom.uncertainty import ConformalRegressor, LatentDistance, calibrate_std


def ethanols(n, seed=0, stdev=0.05):
    start = molecule("CH3CH2OH")
    return Structures([rattled(start, 1000 * seed + s, stdev) for s in range(n)])


@pytest.fixture(scope="module")
def frames():
    return ethanols(60)


@pytest.fixture(scope="module")
def network(frames):
    y = np.array([a.get_distance(0, 1) for a in frames])
    return make_pipeline(
        RadialSums(), PerAtom(StandardScaler()),
        NeuralNetworkRegressor((8,), max_epochs=5, random_state=0),
    ).fit(frames, y)  # fmt: skip


def latent_rows(network, frames):
    features = network[:-1].transform(frames)
    return network[-1].latent(features).reshape(len(frames), 9, -1)


def published(train, test, k):
    """Hu et al. 2022 with scikit-learn: scale, find the nearest, average."""
    scaler = StandardScaler().fit(train)
    tree = NearestNeighbors(n_neighbors=k, algorithm="kd_tree")
    tree.fit(scaler.transform(train))
    return tree.kneighbors(scaler.transform(test))[0].mean(axis=1)


def test_structures_are_as_far_as_the_published_algorithm_says(frames, network):
    new = ethanols(20, seed=1, stdev=0.08)
    distance = LatentDistance(network).fit(frames)
    train, test = (latent_rows(network, f).mean(axis=1) for f in (frames, new))
    np.testing.assert_allclose(
        distance.distance(new), published(train, test, 10), rtol=1e-9
    )


def test_atoms_are_compared_with_their_species(frames, network):
    new = ethanols(5, seed=1)
    distance = LatentDistance(network, level="atom", n_neighbors=3).fit(frames)
    found = np.array(distance.distance_atoms(new))
    train, test = latent_rows(network, frames), latent_rows(network, new)
    scaler = StandardScaler().fit(train.reshape(-1, train.shape[2]))
    hydrogen = frames[0].numbers == 1
    rows = scaler.transform(train[:, hydrogen].reshape(-1, train.shape[2]))
    tree = NearestNeighbors(n_neighbors=3).fit(rows)
    x = scaler.transform(test[:, hydrogen].reshape(-1, train.shape[2]))
    by_hand = tree.kneighbors(x)[0].mean(axis=1).reshape(5, -1)
    np.testing.assert_allclose(found[:, hydrogen], by_hand, rtol=1e-9)
    np.testing.assert_array_equal(distance.distance(new), found.max(axis=1))


def test_models_without_a_hidden_layer_are_measured_in_their_features(frames):
    y = np.arange(60.0)
    atomic = make_pipeline(RadialSums(), AtomicRidge(by_species=False)).fit(frames, y)
    pooled = make_pipeline(RadialSums(), Pool("mean"), Ridge()).fit(frames, y)
    new = ethanols(5, seed=1)
    means = (pooled[:-1].transform(f) for f in (frames, new))
    by_hand = published(*means, 10)
    for model in (atomic, pooled):
        distance = LatentDistance(model).fit(frames)
        np.testing.assert_allclose(distance.distance(new), by_hand, rtol=1e-6)


def test_outlier_interface_is_consistent(frames, network):
    distance = LatentDistance(network, contamination=0.1).fit(frames)
    new = Structures([*ethanols(20, seed=2), *ethanols(5, seed=3, stdev=0.4)])
    scores, decision = distance.score_samples(new), distance.decision_function(new)
    np.testing.assert_array_equal(scores, -distance.distance(new))
    np.testing.assert_allclose(decision, scores - distance.offset_, rtol=1e-12)
    labels = distance.predict(new)
    np.testing.assert_array_equal(labels == -1, decision < 0)
    assert (labels[20:] == -1).all()
    assert (labels[:20] == 1).mean() > 0.5


def test_the_threshold_is_a_quantile_of_distances_to_the_others(frames, network):
    rows = latent_rows(network, frames).mean(axis=1)
    rows = StandardScaler().fit_transform(rows)
    tree = NearestNeighbors(n_neighbors=10).fit(rows)
    own = tree.kneighbors()[0].mean(axis=1)  # without X: leaves each out itself
    for contamination in (0.0, 0.1):
        distance = LatentDistance(network, contamination=contamination).fit(frames)
        expected = np.sort(own)[::-1][int(contamination * 59)]
        np.testing.assert_allclose(-distance.offset_, expected, rtol=1e-9)
    distance = LatentDistance(network, floor="median").fit(frames)
    np.testing.assert_allclose(distance.floor_, np.median(own), rtol=1e-9)


def test_the_floor_is_added(frames, network):
    bare = LatentDistance(network, n_neighbors=1).fit(frames)
    floored = LatentDistance(network, n_neighbors=1, floor=0.5).fit(frames)
    np.testing.assert_allclose(bare.distance(frames), 0.0, atol=1e-6)
    np.testing.assert_allclose(
        floored.distance(frames), bare.distance(frames) + 0.5, rtol=1e-12
    )
    np.testing.assert_array_equal(floored.predict(frames), bare.predict(frames))


def test_features_that_are_known_are_taken(frames, network):
    distance = LatentDistance(network).fit(frames)
    features = network[:-1].transform(frames)
    np.testing.assert_allclose(
        distance.distance(features), distance.distance(frames), rtol=1e-9, atol=1e-9
    )


def test_one_pass_of_a_network_gives_the_same_as_two(frames, network):
    new = ethanols(12, seed=4)
    y = np.array([a.get_distance(0, 1) for a in new])
    distance = LatentDistance(network, floor="median").fit(frames)
    rows = latent_rows(network, new)
    alone = distance.distance(new)
    np.testing.assert_allclose(
        distance.distance_of_latent(rows.mean(axis=1)), alone, rtol=1e-9
    )
    model = calibrate_std(network, new, y, source="latent", forces=None, X_train=frames)
    y_pred, std = model.predict(new, return_std=True)
    np.testing.assert_allclose(y_pred, network.predict(new), rtol=1e-12)
    np.testing.assert_allclose(std, model.alpha_ * alone, rtol=1e-9)
    energies, sums = network[-1].predict_with_latent_sums(network[:-1].transform(new))
    np.testing.assert_allclose(energies, y_pred, rtol=1e-12)
    np.testing.assert_allclose(sums, rows.sum(axis=1), rtol=1e-9, atol=1e-12)


def test_references_are_bounded_and_follow_the_seed(frames, network):
    new = ethanols(5, seed=1)
    few = [
        LatentDistance(network, max_references=30, random_state=s).fit(frames)
        for s in (0, 0, 1)
    ]
    assert len(few[0].references_[0].values) == 30
    one, two, three = (f.distance(new) for f in few)
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, three)


def test_wrappers_are_looked_into_and_pickles_measure_the_same(frames, network):
    distance = LatentDistance(network).fit(frames)
    wrapped = ConformalRegressor(FrozenEstimator(network), cv="prefit", forces=None)
    wrapped.fit(ethanols(20, seed=9), np.zeros(20))
    new = ethanols(5, seed=1)
    expected = distance.distance(new)
    for other in (
        LatentDistance(FrozenEstimator(network)).fit(frames),
        LatentDistance(wrapped).fit(frames),
        pickle.loads(pickle.dumps(distance)),
    ):
        np.testing.assert_array_equal(other.distance(new), expected)


def test_one_training_structure_is_infinitely_alone(frames, network):
    distance = LatentDistance(network).fit(frames[:1])
    assert np.isneginf(distance.offset_)


def test_no_structures_have_no_distances(frames, network):
    distance = LatentDistance(network, level="atom").fit(frames)
    assert distance.distance([]).shape == (0,)
    assert distance.distance_atoms([]) == []


def test_bad_questions_are_refused(frames, network):
    with pytest.raises(ValueError, match="set level='atom' for distances of atoms"):
        LatentDistance(network).fit(frames).distance_atoms(frames)
    for bad in ({"n_neighbors": 0}, {"floor": -1.0}, {"level": "bond"}):
        with pytest.raises(ValueError, match=f"The '{next(iter(bad))}' parameter"):
            LatentDistance(network, **bad).fit(frames)
