"""CachedFeaturizer: the same features, computed once, in bounded memory."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from conftest import labelled, rattled
from radial import RadialSums
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.featurizers import ACSF, SOAP
from skatom.models import AtomicRidge
from skatom.potential import make_potential
from skatom.preprocessing import CachedFeaturizer, PerAtom
from skatom.preprocessing._contents import contents_of
from skatom.preprocessing._feature_cache import CACHE
from skatom.structures import Structures

NAMES = ("H2O", "CH3OH", "CH4", "C2H6")


@pytest.fixture
def frames():
    CachedFeaturizer.clear()
    yield [rattled(molecule(NAMES[s % 4]), seed=s) for s in range(12)]
    CachedFeaturizer.clear()


@pytest.fixture
def computed(monkeypatch):
    """Numbers of structures that were really computed, call by call."""
    counts, original = [], RadialSums._transform

    def counting(self, X):
        counts.append(len(X))
        return original(self, X)

    monkeypatch.setattr(RadialSums, "_transform", counting)
    return counts


@pytest.mark.parametrize(
    "featurizer", [ACSF(4.0), SOAP(4.0, n_max=2, l_max=1)], ids=str
)
def test_features_and_derivatives_are_those_of_the_featurizer(frames, featurizer):
    plain = featurizer.fit(frames)
    cached = CachedFeaturizer(featurizer).fit(frames)
    cached.transform(frames[:7])
    for X in (frames, frames[3:9], frames[::-1]):
        found, expected = cached.transform(X), plain.transform(X)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.offsets, expected.offsets)
        g = np.random.default_rng(0).normal(size=found.values.shape)
        np.testing.assert_array_equal(found.pullback(g), expected.pullback(g))
        part, g = found[[4, 1]], g[: found[[4, 1]].offsets[-1]]
        np.testing.assert_array_equal(part.pullback(g), expected[[4, 1]].pullback(g))
        np.testing.assert_array_equal(part.jacobian(0), expected[[4]].jacobian())
    assert list(found.feature_names) == list(plain.get_feature_names_out())


def test_each_structure_is_computed_once(frames, computed):
    cached = CachedFeaturizer(RadialSums()).fit(frames)
    cached.transform(frames[:5])
    cached.transform(frames)
    clone(cached).fit(frames).transform(frames[::-1])
    assert computed == [5, 7]


def test_what_changes_the_features_is_computed_again(frames, computed):
    def sizes(featurizer, X, fitted_on=frames):
        computed.clear()
        CachedFeaturizer(featurizer).fit(fitted_on).transform(X)
        return sum(computed)

    assert sizes(RadialSums(), frames) == 12
    assert sizes(RadialSums(n_jobs=2), frames) == 0
    assert sizes(RadialSums(r_cut=3.0), frames) == 12
    assert sizes(RadialSums(etas=(0.1, 0.5)), frames) == 12
    waters = [f for f in frames if len(f) == 3]
    assert sizes(RadialSums(), waters, fitted_on=waters) == 3  # fewer species, columns
    moved = frames[0].copy()
    moved.positions[0, 0] += 1e-12
    in_a_cell = frames[0].copy()
    in_a_cell.cell, in_a_cell.pbc = [5, 5, 5], True
    assert sizes(RadialSums(), [moved, in_a_cell, frames[0]]) == 2


def test_a_search_over_a_model_computes_each_structure_once(frames, computed):
    y = np.arange(12.0)
    labels = [labelled(atoms) for atoms in frames]
    results = []
    for featurizer in (RadialSums(), CachedFeaturizer(RadialSums())):
        featurizer = clone(featurizer)
        inner = getattr(featurizer, "featurizer", featurizer)
        inner.set_params(species=["H", "C", "O"])
        computed.clear()
        pipeline = make_pipeline(featurizer, PerAtom(StandardScaler()), AtomicRidge())
        grid = {"atomicridge__alpha": [1e-4, 1e-2, 1.0]}
        search = GridSearchCV(pipeline, grid, cv=3, refit=False).fit(labels, y)
        results.append((sum(computed), search.cv_results_["mean_test_score"]))
    assert [n for n, _ in results] == [3 * 3 * 12, 12]
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_forces_pass_through_what_was_cached(frames):
    labels = [labelled(atoms) for atoms in frames]
    y = [atoms.get_potential_energy() for atoms in labels]
    models = [
        make_potential(f, AtomicRidge(alpha=1e-4)).fit(labels, y)
        for f in (ACSF(4.0), CachedFeaturizer(ACSF(4.0)))
    ]
    for _ in range(2):
        forces = [model.predict_forces(labels) for model in models]
        np.testing.assert_array_equal(
            np.concatenate(forces[0]), np.concatenate(forces[1])
        )


def test_memory_is_bounded_and_what_was_used_last_stays(frames, computed):
    row = 9 * 8
    sizes = np.array([len(f) for f in frames]) * row
    cached = CachedFeaturizer(RadialSums(), max_memory=int(sizes[:8].sum())).fit(frames)
    cached.transform(frames[:4])
    cached.transform(frames[4:8])
    assert CACHE.n_bytes == sizes[:8].sum()
    cached.transform(frames[:4])
    cached.transform(frames[8:])  # frames 4 to 8 have to go
    assert CACHE.n_bytes <= cached.max_memory
    computed.clear()
    cached.transform(frames[:4])
    assert computed == []
    cached.transform(frames[4:8])
    assert computed == [4]
    cached.set_params(max_memory=10).transform(frames[:1])
    assert CACHE.n_bytes <= sizes[:8].sum()


def test_changing_what_came_out_leaves_the_cache_alone(frames):
    cached = CachedFeaturizer(ACSF(4.0)).fit(frames)
    first = cached.transform(frames)
    expected = first.values.copy()
    for features in (first, cached.transform(frames), cached.transform(frames[2:5])):
        with pytest.raises(ValueError, match="read-only"):
            features.values[:] = 1.0
    cached.transform(frames[::-1]).values[:] = 0.0  # in another order: a copy
    np.testing.assert_array_equal(cached.transform(frames).values, expected)


def test_structures_that_share_a_hash_are_told_apart(frames, computed, monkeypatch):
    monkeypatch.setattr(
        "skatom.preprocessing._contents._hashes", lambda flat: np.full(len(flat.pbc), 7)
    )
    cached = CachedFeaturizer(RadialSums()).fit(frames)
    alike = [rattled(frames[0], seed=s) for s in range(3)]  # as many atoms
    for X in (frames, alike, frames[1:3], [frames[2], frames[2]]):
        np.testing.assert_array_equal(
            cached.transform(X).values,
            cached.featurizer_._transform(Structures(X)).values,
        )
    # by the cache and by the check of it; the last query is of what is known
    assert computed == [12, 12, 3, 3, 2, 2, 2]


def test_hashes_do_not_depend_on_companions_and_see_every_bit():
    atoms = Atoms("HOH", np.arange(9.0).reshape(3, 3), cell=[8, 8, 8], pbc=[1, 0, 1])
    whole, one = (
        contents_of(Structures([molecule("C6H6"), atoms])),
        contents_of(Structures([atoms])),
    )
    assert whole.hashes[1:] == one.hashes
    changed = [atoms.copy() for _ in range(9 + 3 + 9 + 3)]
    for k in range(9):  # the smallest change, and one of high bits alone
        changed[k].positions.flat[k] = np.nextafter(changed[k].positions.flat[k], 99.0)
        changed[k + 12].positions.flat[k] += 16.0
    for k in range(3):
        changed[k + 9].pbc[k] ^= True
        changed[k + 21].cell[k, k] = 16.0
    hashes = contents_of(Structures([atoms, *changed])).hashes
    assert len(set(hashes)) == len(hashes)


def test_a_grid_of_simple_numbers_has_no_collisions():
    corners = np.array(list(np.ndindex(16, 16, 16))) / 2.0
    pairs = Structures(Atoms("H2", [[0.0, 0.0, 20.0], p]) for p in corners)
    assert len(set(contents_of(pairs).hashes)) == len(pairs)


def test_what_was_found_in_one_run_is_not_copied(frames):
    cached = CachedFeaturizer(ACSF(4.0)).fit(frames)
    first = cached.transform(frames)
    assert np.shares_memory(cached.transform(frames).values, first.values)
    assert np.shares_memory(cached.transform(frames[3:6]).values, first.values)


def test_threads_share_the_cache(frames):
    cached = CachedFeaturizer(ACSF(4.0), max_memory="200kB").fit(frames)
    expected = [cached.featurizer_.transform([f]).values for f in frames]

    def look(s):
        return cached.transform([frames[s % 12]]).values

    with ThreadPoolExecutor(8) as pool:
        for s, values in enumerate(pool.map(look, range(200))):
            np.testing.assert_array_equal(values, expected[s % 12])


def test_nothing_pickles_and_single_precision(frames):
    cached = CachedFeaturizer(ACSF(4.0, dtype="float32")).fit(frames)
    assert cached.transform([]).shape == (0, cached.n_atom_features_)
    for _ in range(2):
        features = cached.transform(frames)
        assert features.values.dtype == np.float32
    again = pickle.loads(pickle.dumps(cached))
    np.testing.assert_array_equal(again.transform(frames).values, features.values)
    assert cached.species_ == ["H", "C", "O"]
    pickle.loads(pickle.dumps(features)).pullback(features.values)


def test_a_species_that_fit_did_not_see_is_refused(frames):
    cached = CachedFeaturizer(ACSF(4.0)).fit(frames)
    with pytest.raises(ValueError, match=r"Structure 1, atom 0 is S, but \w+ knows"):
        cached.transform([frames[0], molecule("SH2")])


def test_what_is_no_featurizer_and_no_memory_is_refused(frames):
    with pytest.raises(
        TypeError, match=r"a featurizer of atoms.*StandardScaler is none"
    ):
        CachedFeaturizer(StandardScaler()).fit(frames)
    with pytest.raises(ValueError, match="max_memory='much' is no amount of memory"):
        CachedFeaturizer(ACSF(), max_memory="much").fit(frames)
