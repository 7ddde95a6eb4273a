"""AtomFeatures: rows to scikit-learn, differentiable by where the atoms are."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from ase import Atoms
from radial import RadialSums
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import FeatureUnion
from sklearn.utils import _safe_indexing, indexable, resample, shuffle
from sklearn.utils.validation import _num_samples

from skatom.features import AtomFeatures, hstack
from skatom.structures import check_structures


@pytest.fixture
def featurizer(frames):
    return RadialSums(r_cut=3.5).fit(frames)


@pytest.fixture
def features(featurizer, frames):
    return featurizer.transform(frames)


class Squares:
    """A per-atom step: the square of every feature."""

    def pullback(self, values, numbers, g):
        return 2 * values * g

    def pushforward(self, values, numbers, v):
        return 2 * values * v

    def get_feature_names_out(self, names):
        return [f"{name}^2" for name in names]


def squared(features):
    return features.transformed(Squares(), features.values**2)


def same(one: AtomFeatures, two: AtomFeatures) -> bool:
    return (
        np.array_equal(one.values, two.values)
        and np.array_equal(one.offsets, two.offsets)
        and np.array_equal(one.numbers, two.numbers)
    )


# -- rows ----------------------------------------------------------------------------

KEYS = {
    "slice": (slice(1, 4), [1, 2, 3]),
    "reversed": (slice(None, None, -1), [7, 6, 5, 4, 3, 2, 1, 0]),
    "list": ([5, 0, 5], [5, 0, 5]),
    "tuple": ((2, 1), [2, 1]),
    "array": (np.array([6, -1]), [6, 7]),
    "mask": (np.arange(8) % 3 == 0, [0, 3, 6]),
    "bool list": ([True] + [False] * 7, [0]),
    "empty": ([], []),
}


@pytest.mark.parametrize("key", KEYS)
def test_selected_structures_are_as_computed_alone(key, features, featurizer, frames):
    index, picked = KEYS[key]
    selected = _safe_indexing(features, index)
    anew = featurizer.transform([frames[s] for s in picked])
    assert same(selected, anew)
    assert [id(a) for a in selected.structures] == [id(frames[s]) for s in picked]
    g = np.random.default_rng(0).normal(size=anew.values.shape)
    np.testing.assert_array_equal(selected.pullback(g), anew.pullback(g))


def test_an_integer_gives_features_of_one_structure(features, featurizer, frames):
    assert same(features[3], featurizer.transform([frames[3]]))
    assert same(features[np.int64(-1)], featurizer.transform([frames[-1]]))


def test_an_index_out_of_range_is_an_index_error(features):
    with pytest.raises(IndexError):
        features[99]


def test_scikit_learn_sees_rows_and_columns(features, frames):
    assert features.shape == (len(frames), 9)
    assert features.ndim == 2
    assert _num_samples(features) == len(features) == len(frames)
    assert features.n_atoms.tolist() == [len(a) for a in frames]
    assert features.structure_index.tolist() == [
        s for s, a in enumerate(frames) for _ in a
    ]
    n_atoms = sum(map(len, frames))
    assert repr(features) == f"AtomFeatures(8 structures, {n_atoms} atoms, 9 features)"


def test_the_helpers_of_scikit_learn_accept_them(features):
    assert isinstance(indexable(features)[0], AtomFeatures)
    train, test = train_test_split(features, random_state=0)
    assert len(train) + len(test) == len(features)
    assert len(shuffle(features, random_state=0)) == len(features)
    assert len(resample(features, random_state=0)) == len(features)
    assert len(list(KFold(3).split(features))) == 3


@pytest.mark.parametrize("dtype", [None, float, object])
def test_becoming_an_array_is_refused_even_for_equal_sizes(equal_sized, dtype):
    features = RadialSums().fit_transform(equal_sized)
    with pytest.raises(
        TypeError, match=r"ragged and cannot become an array: pool them"
    ):
        np.asarray(features, dtype=dtype)


def test_other_numpy_functions_are_refused(features):
    with pytest.raises(TypeError, match=r"no implementation found for 'numpy\.mean'"):
        np.mean(features)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda X: pickle.loads(pickle.dumps(X))]
)
def test_copies_keep_values_and_derivatives(features, duplicate):
    twin = duplicate(squared(features))
    g = np.ones_like(features.values)
    assert same(twin, squared(features))
    np.testing.assert_array_equal(twin.pullback(g), squared(features).pullback(g))


def test_the_hash_of_joblib_is_stable_over_copies(features):
    assert joblib.hash(features) == joblib.hash(pickle.loads(pickle.dumps(features)))
    assert joblib.hash(features) != joblib.hash(features[:-1])


def test_names_follow_the_columns(featurizer, features):
    names = ["G_H_eta0.1", "G_H_eta0.5", "G_H_eta2"]
    assert list(features.feature_names)[:3] == names
    assert next(iter(squared(features).feature_names)) == "G_H_eta0.1^2"
    joined = hstack([features, squared(features)])
    assert len(joined.feature_names) == 18
    assert AtomFeatures.from_rows(np.zeros((2, 2))).feature_names == ["x0", "x1"]


def test_steps_remember_where_features_come_from(featurizer, features):
    assert features.steps == (featurizer,)
    first, second = squared(features).steps
    assert first is featurizer
    assert isinstance(second, Squares)
    assert hstack([features, squared(features)]).steps[0] is featurizer
    assert AtomFeatures.from_rows(np.zeros((2, 2))).steps == ()


# -- joined columns --------------------------------------------------------------------


def test_hstack_joins_columns_of_the_same_atoms(frames, features):
    other = RadialSums(r_cut=2.5, etas=(0.3,)).fit_transform(frames)
    joined = np.hstack([features, other])
    np.testing.assert_array_equal(joined.values[:, :9], features.values)
    np.testing.assert_array_equal(joined.values[:, 9:], other.values)
    assert same(joined[2:4], np.hstack([features[2:4], other[2:4]]))


def test_a_feature_union_joins_featurizers(frames):
    union = FeatureUnion([("near", RadialSums(2.5)), ("far", RadialSums(4.5))])
    joined = union.fit_transform(frames)
    assert isinstance(joined, AtomFeatures)
    assert same(joined[:, ...], joined)
    assert union.get_feature_names_out()[0] == "near__G_H_eta0.1"
    assert joined.shape[1] == len(union.get_feature_names_out())


def test_features_of_different_atoms_are_not_joined(features):
    with pytest.raises(
        ValueError, match="Blocks 0 and 1 do not describe the same atoms"
    ):
        np.hstack([features, features[::-1]])
    with pytest.raises(ValueError, match="Blocks 0 and 2 do not describe"):
        hstack([features, features, features[:2]])


def test_features_of_atoms_in_other_structures_are_not_joined():
    together = RadialSums().fit_transform([Atoms("H2", [[0, 0, 0], [0, 0, 0.7]])])
    apart = RadialSums().fit_transform([Atoms("H"), Atoms("H")])
    with pytest.raises(ValueError, match="do not describe the same atoms"):
        np.hstack([together, apart])


def test_per_atom_features_are_not_joined_with_rows(features):
    with pytest.raises(TypeError, match="Cannot join per-atom features with ndarray"):
        np.hstack([features, np.zeros((8, 2))])


def test_nothing_is_not_joined():
    with pytest.raises(ValueError, match="Nothing to join"):
        hstack([])


# -- derivatives -----------------------------------------------------------------------


def variants(features, frames):
    """Features from a featurizer, through a step, joined, and through a step of those."""
    other = RadialSums(r_cut=2.6, etas=(0.3, 1.0)).fit_transform(frames)
    joined = hstack([squared(features), other])
    return {
        "featurizer": features,
        "step": squared(features),
        "joined": joined,
        "step of joined": squared(joined),
        "joined of joined": hstack([joined, features]),
    }


VARIANTS = ["featurizer", "step", "joined", "step of joined", "joined of joined"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_pullback_and_pushforward_are_transposes(variant, features, frames):
    X = variants(features, frames)[variant]
    rng = np.random.default_rng(0)
    g = rng.normal(size=X.values.shape)
    v = rng.normal(size=(X.pairs.n_pairs, 3))
    assert X.pullback(g).shape == v.shape
    assert (g * X.pushforward(v)).sum() == pytest.approx(
        (X.pullback(g) * v).sum(), rel=1e-11
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_jacobian_holds_both(variant, features, frames):
    X = variants(features, frames)[variant]
    rng = np.random.default_rng(0)
    for s in range(len(frames)):
        one = X[[s]]
        J = X.jacobian(s)
        assert J.shape == (one.pairs.n_pairs, 3, X.shape[1])
        np.testing.assert_array_equal(J, one.jacobian())
        g = rng.normal(size=one.values.shape)
        v = rng.normal(size=(one.pairs.n_pairs, 3))
        centers = one.pairs.centers
        pulled = np.einsum("pan,pn->pa", J, g[centers])
        np.testing.assert_allclose(one.pullback(g), pulled, atol=1e-12)
        pushed = np.zeros(one.values.shape)
        np.add.at(pushed, centers, np.einsum("pan,pa->pn", J, v))
        np.testing.assert_allclose(one.pushforward(v), pushed, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("step", [1e-3, 1e-4])
def test_forces_agree_with_central_differences(variant, step, frames, skewed_crystal):
    featurizer = RadialSums(r_cut=3.5).fit(frames)
    rng = np.random.default_rng(0)

    def X_of(atoms):
        return variants(featurizer.transform([atoms]), [atoms])[variant]

    X = X_of(skewed_crystal)
    g = rng.normal(size=X.values.shape)
    forces = X.pairs.forces(X.pullback(g))
    for i, a in [(0, 0), (1, 2), (3, 1)]:
        ends = []
        for sign in (1, -1):
            moved = skewed_crystal.copy()
            moved.positions[i, a] += sign * step
            ends.append((g * X_of(moved).values).sum())
        slope = (ends[0] - ends[1]) / (2 * step)
        # error of central differences: step² times the third derivative, below 200 here
        assert forces[i, a] == pytest.approx(-slope, abs=200 * step**2 + 1e-9)
    assert np.abs(forces).max() > 1e-2


@pytest.mark.parametrize("variant", VARIANTS)
def test_sums_over_joined_pairs_are_consistent(variant, features, frames):
    X = variants(features, frames)[variant]
    rng = np.random.default_rng(0)
    g = rng.normal(size=(X.pairs.n_pairs, 3))
    f = rng.normal(size=(len(X.numbers), 3))
    w = rng.normal(size=(len(X), 3, 3))
    pairs = X.pairs
    assert len(pairs.centers) == len(pairs.neighbors) == len(pairs.vectors) == len(g)
    assert pairs.n_atoms == len(X.numbers)
    np.testing.assert_array_equal(pairs.numbers, X.numbers)
    assert (pairs.forces(g) * f).sum() == pytest.approx(
        (g * pairs.forces_transpose(f)).sum(), rel=1e-11
    )
    assert (pairs.virial(g, X.offsets) * w).sum() == pytest.approx(
        (g * pairs.virial_transpose(w, X.offsets)).sum(), rel=1e-11
    )


def test_the_jacobian_of_many_structures_is_refused(features):
    with pytest.raises(ValueError, match=r"hold 8 structures: say which one"):
        features.jacobian()


def test_plain_rows_have_no_derivatives():
    rows = AtomFeatures.from_rows(np.arange(6.0).reshape(3, 2))
    assert rows.shape == (3, 2)
    assert rows[1].values.tolist() == [[2.0, 3.0]]
    for ask in (
        lambda: rows.pullback(rows.values),
        lambda: rows.pushforward(rows.values),
        lambda: rows.pairs,
        lambda: rows[:1].jacobian(),
        lambda: rows.transformed(Squares(), rows.values).pairs,
        lambda: hstack([rows, rows]).pairs,
    ):
        with pytest.raises(ValueError, match="plain numbers without a featurizer"):
            ask()


def test_features_of_no_structures_are_empty(featurizer):
    empty = featurizer.transform([])
    assert empty.shape == (0, 9)
    assert empty.pullback(empty.values).shape == (0, 3)
    assert len(check_structures(empty.structures, allow_empty=True)) == 0
