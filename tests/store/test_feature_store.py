"""FeatureStore, both layouts: what goes in comes out, differentiable, and nothing else."""

import json
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from conftest import labelled, rattled
from joblib import Parallel, delayed
from radial import RadialSums
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.features import NoDerivativeError
from skatom.models import (
    AlchemicalKernelRidge,
    AtomicGaussianProcessRegressor,
    AtomicKernelRidge,
    AtomicKernelRidgeCV,
    AtomicRidge,
    AtomicRidgeCV,
    CompositionBaseline,
)
from skatom.preprocessing import AtomFeatureUnion, PerAtom, Pool
from skatom.store import FeatureStore
from skatom.structures import read_energies, read_labels
from skatom.uncertainty import (
    ConformalRegressor,
    CrossConformalRegressor,
    EnsembleRegressor,
)

ROOT = Path(__file__).parents[2]


def cells(n: int, first: int = 0) -> list[Atoms]:
    """Crystals of one to four atoms with energies, forces and stress."""
    frames = []
    for seed in range(first, first + n):
        atoms = bulk("Cu", a=3.6, cubic=seed % 2 == 0)
        atoms.symbols[0] = "Ni" if seed % 3 else "Cu"
        strained = rattled(atoms, seed=seed, stdev=0.08)
        strained.set_cell(strained.cell * (1 + 0.003 * seed), scale_atoms=True)
        frames.append(labelled(strained, stress=True))
    return frames


FRAMES = cells(12)
ACSF = RadialSums().fit(FRAMES)


@pytest.fixture(params=["npy", "lmdb"])
def layout(request) -> str:
    if request.param == "lmdb":
        pytest.importorskip("lmdb")
    return request.param


@pytest.fixture
def store(layout, tmp_path) -> FeatureStore:
    store = FeatureStore(tmp_path / "store", ACSF, layout=layout)
    store.extend(FRAMES)
    return store


def same_features(found, expected):
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    assert found.feature_names == expected.feature_names
    for one, other in zip(found.structures, expected.structures, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.cell.array, other.cell.array)
        np.testing.assert_array_equal(one.pbc, other.pbc)


# -- reading -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [3, -1, slice(None), slice(8, 2, -2), [5, 0, 5], np.arange(12) % 2 == 0, []],
    ids=str,
)
def test_what_goes_in_comes_out(store, key):
    same_features(store[key], ACSF.transform(FRAMES)[key])


def test_labels_are_where_models_look_for_them(store):
    X = store[[7, 2]]
    wanted = [FRAMES[7], FRAMES[2]]
    np.testing.assert_array_equal(read_energies(X.structures), read_energies(wanted))
    found = read_labels(X.structures, stress="auto", required=True)
    expected = [atoms.calc.results for atoms in wanted]
    np.testing.assert_array_equal(
        found.forces, np.concatenate([e["forces"] for e in expected])
    )
    np.testing.assert_array_equal(found.stress, [e["stress"] for e in expected])
    np.testing.assert_array_equal(store.energies, read_energies(FRAMES))
    np.testing.assert_array_equal(store.n_atoms, [len(atoms) for atoms in FRAMES])


PIPELINES = {
    "featurizer": RadialSums(),
    "pipeline": make_pipeline(
        RadialSums(), PerAtom(StandardScaler()), PerAtom(PCA(3), by_species=True)
    ),
    "union": AtomFeatureUnion(
        [("a", RadialSums()), ("b", RadialSums(3.0, etas=[1.0]))]
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", PIPELINES.values(), ids=PIPELINES)
def test_derivatives_are_those_of_the_featurizer(steps, layout, tmp_path):
    steps = steps.fit(FRAMES)
    store = FeatureStore(tmp_path / "store", steps, layout=layout)
    store.extend(FRAMES)
    found, expected = store[[4, 1, 6]], steps.transform([FRAMES[s] for s in (4, 1, 6)])
    rng = np.random.default_rng(0)
    g = rng.normal(size=expected.values.shape)
    v = rng.normal(size=(expected.pairs.n_pairs, 3))
    np.testing.assert_array_equal(found.pullback(g), expected.pullback(g))
    np.testing.assert_array_equal(found[1:].jacobian(0), expected[1:].jacobian(0))
    np.testing.assert_array_equal(found.pushforward(v), expected.pushforward(v))
    np.testing.assert_array_equal(found.jacobian(2), expected.jacobian(2))
    assert [type(step) for step in found.steps] == [type(s) for s in expected.steps]


def test_a_model_trains_on_forces_from_a_store(store):
    y = read_energies(FRAMES)
    from_store = AtomicRidge(1e-3, stress="auto").fit(store[:], store.energies)
    direct = AtomicRidge(1e-3, stress="auto").fit(ACSF.transform(FRAMES), y)
    np.testing.assert_array_equal(from_store.coef_, direct.coef_)
    energies_only = AtomicRidge(1e-3, forces=None).fit(store[:], store.energies)
    assert np.abs(energies_only.coef_ - direct.coef_).max() > 1e-3


@pytest.mark.parametrize(
    "estimator",
    [
        AtomicRidge(),
        AtomicRidgeCV(),
        AtomicKernelRidge(),
        AtomicKernelRidgeCV(),
        AlchemicalKernelRidge(),
        AtomicGaussianProcessRegressor(),
        CrossConformalRegressor(AtomicRidge()),
        Pool(),
        PerAtom(StandardScaler()),
        Ridge(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_what_cannot_take_a_store_says_what_to_give_it(estimator, tmp_path):
    store = FeatureStore(tmp_path / "store", ACSF)
    store.extend(FRAMES)
    told = "no array, it is read by parts. Give features that fit into memory"
    with pytest.raises(TypeError, match=told):
        estimator.fit(store, store.energies)
    with pytest.raises(TypeError, match=told):
        AtomicRidge().fit(store[:], store.energies).predict(store)


@pytest.mark.parametrize("cls", [ConformalRegressor, EnsembleRegressor])
def test_wrappers_that_take_parts_by_index_take_a_store(cls, store):
    model = cls(AtomicRidge(), random_state=0).fit(store, store.energies)
    listed = cls(AtomicRidge(), random_state=0).fit(store[:], store.energies)
    np.testing.assert_array_equal(model.predict(store[:3]), listed.predict(store[:3]))


def test_estimators_of_structures_tell_features_from_them(store):
    with pytest.raises(TypeError, match="X holds features of structures"):
        CompositionBaseline().fit(store, store.energies)
    for X in (store, store[:]):
        with pytest.raises(TypeError, match="use what stands behind the featurizer"):
            make_pipeline(RadialSums(), AtomicRidge()).fit(X, store.energies)


def test_batches_cover_everything_once_in_order(store):
    batches = list(store.batches(5))
    assert [len(X) for X, _ in batches] == [5, 5, 2]
    np.testing.assert_array_equal(
        np.concatenate([y for _, y in batches]), read_energies(FRAMES)
    )
    same_features(batches[1][0], ACSF.transform(FRAMES[5:10]))


def test_shuffled_batches_follow_the_random_state(store):
    def order(**params):
        return np.concatenate([y for _, y in store.batches(5, shuffle=True, **params)])

    first = order(random_state=0)
    np.testing.assert_array_equal(first, order(random_state=0))
    assert not np.array_equal(first, order(random_state=1))
    np.testing.assert_array_equal(np.sort(first), np.sort(read_energies(FRAMES)))
    some = order(random_state=0, indices=[1, 3, 5])
    np.testing.assert_array_equal(np.sort(some), np.sort(store.energies[[1, 3, 5]]))


def test_batches_have_a_size(store):
    with pytest.raises(ValueError, match="n_structures is 0; a batch has a positive"):
        next(store.batches(0))


@pytest.mark.parametrize("key", [12, -13, [0, 40]])
def test_an_index_out_of_range_is_named(store, key):
    with pytest.raises(IndexError, match="holds 12 structures: index"):
        store[key]


def test_structures_are_found_by_content(store):
    turned = FRAMES[3].copy()
    turned.rotate(10, "z")
    np.testing.assert_array_equal(
        store.find([FRAMES[5], turned, FRAMES[0]]), [5, -1, 0]
    )


def test_it_is_pickled_as_a_path_and_opens_again(store):
    store[0]  # opens maps that must not travel
    text = pickle.dumps(store)
    assert len(text) < 4000
    again = pickle.loads(text)
    same_features(again[2:4], ACSF.transform(FRAMES[2:4]))
    assert repr(again) == repr(store)
    assert "12 structures, 6 features, float64" in repr(store)


def test_workers_read_for_themselves(store):
    parts = Parallel(n_jobs=2)(delayed(store.__getitem__)([s]) for s in (1, 8))
    for s, part in zip((1, 8), parts):
        np.testing.assert_array_equal(part.values, store[s].values)


def test_single_precision_halves_the_features(layout, tmp_path):
    store = FeatureStore(tmp_path / "a b é", ACSF, layout=layout, dtype="float32")
    store.extend(FRAMES)
    expected = ACSF.transform(FRAMES)
    X = store[:]
    assert X.values.dtype == np.float64
    np.testing.assert_array_equal(X.values, expected.values.astype(np.float32))
    np.testing.assert_array_equal(
        np.concatenate([a.positions for a in X.structures]),
        np.concatenate([a.positions for a in FRAMES]),
    )
    assert FeatureStore(store.path).dtype == np.float32


def test_without_its_featurizer_it_reads_but_has_no_derivatives(store):
    plain = FeatureStore(store.path)
    same_features(plain[:], ACSF.transform(FRAMES))
    AtomicRidge(forces=None).fit(plain[:], plain.energies)
    assert plain[:].steps == ()
    with pytest.raises(NoDerivativeError, match="read without the featurizer"):
        plain[0].pullback(plain[0].values)
    with pytest.raises(ValueError, match="opened for reading: give the featurizer"):
        plain.extend(FRAMES)


def test_maps_are_dropped_on_the_way(store, monkeypatch):
    """However much is read, what is mapped stays within a bound."""
    monkeypatch.setattr("skatom.store._lmdb_map.MAPPED_BYTES", 1)
    monkeypatch.setattr("skatom.store._records.JUMPS", 2)
    for X, _ in store.batches(3):
        assert len(X.values)
    same_features(store[:], ACSF.transform(FRAMES))


# -- writing -----------------------------------------------------------------------------


def test_what_is_stored_is_not_stored_again(store):
    more = cells(3, first=12)
    assert store.extend([*FRAMES[4:6], more[0], *more, more[1]]) == 3
    assert len(store) == 15
    same_features(store[:], ACSF.transform(FRAMES + more))


def test_a_generator_is_read_a_little_at_a_time(layout, tmp_path, monkeypatch):
    monkeypatch.setattr("skatom.store._writing.CHUNK_STRUCTURES", 4)
    monkeypatch.setattr("skatom.store._writing.SHARD_BYTES", 1)
    store = FeatureStore(tmp_path / "store", ACSF, layout=layout)
    seen = []

    def stream():
        for k, atoms in enumerate(FRAMES):
            seen.append((k, len(store)))
            yield atoms

    assert store.extend(stream()) == 12
    assert seen[4] == (4, 4)  # the first four were written before the fifth was taken
    same_features(store[:], ACSF.transform(FRAMES))


def test_energies_may_be_given_or_lack(layout, tmp_path):
    bare = [atoms.copy() for atoms in FRAMES]
    store = FeatureStore(tmp_path / "given", ACSF, layout=layout)
    store.extend(bare, np.arange(12.0))
    np.testing.assert_array_equal(store.energies, np.arange(12.0))
    assert not read_labels(store[:].structures).has_forces.any()
    none = FeatureStore(tmp_path / "none", ACSF, layout=layout)
    none.extend(bare)
    assert np.isnan(none.energies).all()
    assert all(atoms.calc is None for atoms in none[:].structures)


def test_charge_and_spin_are_kept(layout, tmp_path):
    ions = [molecule("OH"), molecule("OH")]
    ions[0].info["charge"] = -1
    store = FeatureStore(tmp_path / "store", RadialSums().fit(ions), layout=layout)
    assert store.extend(ions) == 2  # the charge makes them two
    found = store[:].structures
    assert (found[0].info, found[1].info) == ({"charge": -1.0}, {})
    assert store.find(found).tolist() == [0, 1]
    with pytest.warns(UserWarning, match="'charge'"):  # models do not see it
        AtomicRidge().fit(store[:], [0.0, 1.0])


def test_named_labels_are_stored(layout, tmp_path):
    bare = [atoms.copy() for atoms in FRAMES[:3]]
    for atoms, full in zip(bare, FRAMES):
        atoms.arrays["dft"] = full.calc.results["forces"]
    store = FeatureStore(tmp_path / "store", ACSF, layout=layout)
    store.extend(bare, forces="dft", stress=None)
    np.testing.assert_array_equal(
        store[1].structures[0].calc.results["forces"], bare[1].arrays["dft"]
    )


def test_later_structures_may_lack_named_labels(layout, tmp_path, monkeypatch):
    monkeypatch.setattr("skatom.store._writing.CHUNK_STRUCTURES", 2)
    bare = [atoms.copy() for atoms in FRAMES[:4]]
    bare[0].arrays["dft"] = FRAMES[0].calc.results["forces"]
    store = FeatureStore(tmp_path / "store", ACSF, layout=layout)
    store.extend(bare, forces="dft")
    assert read_labels(store[:].structures).has_forces.tolist() == [1, 0, 0, 0]
    with pytest.raises(ValueError, match="No forces at structures 0, 1 under the name"):
        store.extend(cells(4, first=20), forces="dftt")


def test_other_labels_for_a_stored_structure_are_told(store):
    wrong = FRAMES[2].copy()
    wrong.info["energy"] = 7.0
    with pytest.warns(
        UserWarning, match="Structures 1, 2 of frames are stored already"
    ):
        store.extend([FRAMES[0], wrong, FRAMES[3].copy()])
    np.testing.assert_array_equal(store.energies, read_energies(FRAMES))


@pytest.mark.parametrize(
    ("frames", "y", "message"),
    [
        (FRAMES[:3], [1.0], "y has fewer entries"),
        (FRAMES[:1], [1.0, 2.0], "y has more entries"),
        (FRAMES[:2], [1.0, np.nan], "y contains NaN or infinity at structures 1"),
        ([molecule("H2O")], None, "Structure 0, atom 0 is O, but RadialSums knows"),
    ],
)
def test_unsound_input_is_refused(layout, tmp_path, frames, y, message):
    store = FeatureStore(tmp_path / "store", ACSF, layout=layout)
    with pytest.raises(ValueError, match=message):
        store.extend((atoms for atoms in frames), y)


def test_lists_of_unequal_length_are_refused_at_once(store):
    with pytest.raises(ValueError, match="X has 3 structures, but y has 1 entries"):
        store.extend(FRAMES[:3], [1.0])


def test_one_structure_is_no_list(store):
    with pytest.raises(TypeError, match=r"a single ase\.Atoms"):
        store.extend(FRAMES[0])


def test_unsound_structures_are_counted_from_a_number(layout, tmp_path, monkeypatch):
    monkeypatch.setattr("skatom.store._writing.CHUNK_STRUCTURES", 4)
    store = FeatureStore(tmp_path / "store", ACSF, layout=layout)
    broken = FRAMES[5].copy()
    broken.positions[0] = np.nan
    with pytest.raises(
        ValueError, match=r"from structure 4 of frames on: .* structure 1"
    ):
        store.extend([*FRAMES[:5], broken])


def test_a_charge_that_is_no_number_is_refused(layout, tmp_path):
    store = FeatureStore(tmp_path / "store", ACSF, layout=layout)
    odd = FRAMES[0].copy()
    odd.info["charge"] = "much"
    with pytest.raises(ValueError, match="info\\['charge'\\] of structure 0 is 'much'"):
        store.extend([odd])


def test_features_beyond_single_precision_are_refused(layout, tmp_path):
    class Huge(RadialSums):
        def block_values(self, block, out):
            out[:] = 1e300

    store = FeatureStore(
        tmp_path / "store", Huge().fit(FRAMES), layout=layout, dtype="float32"
    )
    with pytest.raises(
        ValueError, match="atom 0 of structure 0 are NaN or infinite as"
    ):
        store.extend(FRAMES)


def test_features_of_whole_structures_are_refused(layout, tmp_path):
    pooled = make_pipeline(RadialSums(), Pool("sum")).fit(FRAMES)
    store = FeatureStore(tmp_path / "store", pooled, layout=layout)
    with pytest.raises(TypeError, match="leave Pool and what follows it to the model"):
        store.extend(FRAMES)


# -- identity ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (RadialSums(4.5), "RadialSums.r_cut = 4.0, and this featurizer has 4.5"),
        (RadialSums(etas=[0.1, 0.5, 3.0]), "RadialSums.etas = "),
        (RadialSums(species=["Cu", "Ni", "O"]), "RadialSums.species = None, and"),
        (
            make_pipeline(RadialSums(), PerAtom(StandardScaler())),
            "PerAtom = nothing of that name, and this featurizer has PerAtom ",
        ),
    ],
)
def test_another_featurizer_is_refused(store, other, message):
    with pytest.raises(ValueError, match=message):
        FeatureStore(store.path, other.fit(FRAMES))


def test_steps_fitted_on_other_data_are_refused(layout, tmp_path):
    steps = make_pipeline(RadialSums(), PerAtom(StandardScaler()))
    FeatureStore(tmp_path / "store", steps.fit(FRAMES), layout=layout)
    with pytest.raises(ValueError, match=r"PerAtom.transformers_\['all'\]\.mean_ ="):
        FeatureStore(tmp_path / "store", steps.fit(FRAMES[:5]))


def test_equal_featurizers_are_welcome(store):
    for same in (RadialSums(4, n_jobs=2), RadialSums(etas=np.array([0.1, 0.5, 2]))):
        assert len(FeatureStore(store.path, same.fit(FRAMES))) == 12
    alone = make_pipeline(RadialSums()).fit(FRAMES)
    assert len(FeatureStore(store.path, alone)) == 12


def test_another_version_is_named(store):
    file = store.path / "manifest.json"
    rewrite(file, skatom="0.0.1")
    with pytest.warns(UserWarning, match=r"was made by skatom 0\.0\.1, and this is"):
        FeatureStore(store.path)


def test_a_newer_format_is_refused(store):
    rewrite(store.path / "manifest.json", format_version=99)
    with pytest.raises(ValueError, match="has format version 99"):
        FeatureStore(store.path)


def rewrite(file: Path, **changes):
    from skatom.store._manifest import read_json, write_json

    content = read_json(file, {}) | changes
    file.unlink()
    write_json(file, content)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layout": "lmdbb"}, "layout is 'lmdbb'; .* Did you mean 'lmdb'"),
        ({"dtype": "float16"}, "dtype is 'float16'; one of 'float64', 'float32'"),
        ({"dtype": "float32"}, "has dtype='float64', not 'float32'"),
    ],
)
def test_impossible_choices_are_refused(store, params, message):
    with pytest.raises(ValueError, match=message):
        FeatureStore(store.path, ACSF, **params)


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no feature store at"):
        FeatureStore(tmp_path / "nothing")
    (tmp_path / "notes.txt").write_text("hands off")
    for featurizer in (None, ACSF):
        with pytest.raises(
            ValueError, match=r"is no feature store: it holds no manifest"
        ):
            FeatureStore(tmp_path, featurizer)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    rewritten = tmp_path / "other" / "manifest.json"
    rewritten.parent.mkdir()
    rewritten.write_text(json.dumps({"format": "x"}))
    with pytest.raises(ValueError, match="is damaged"):
        FeatureStore(rewritten.parent)
    from skatom.store._manifest import write_json

    rewritten.unlink()
    write_json(rewritten, {"format": "x"})
    with pytest.raises(ValueError, match="is another's"):
        FeatureStore(rewritten.parent)
    with pytest.raises(TypeError, match="has no transform"):
        FeatureStore(tmp_path / "new", AtomicRidge())
    with pytest.raises(OSError, match="A store cannot be made at"):
        FeatureStore(tmp_path / "notes.txt" / "store", ACSF)


def test_lmdb_is_named_when_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(ImportError, match=r'pip install "skatom\[lmdb\]"'):
        FeatureStore(tmp_path / "store", ACSF, layout="lmdb")
    assert not (tmp_path / "store").exists()


# -- memory ------------------------------------------------------------------------------

MEASURE = """
import sys
from pathlib import Path
import numpy as np
from ase.build import molecule
from skatom.featurizers import SOAP
from skatom.store import FeatureStore, _writing

_writing.SHARD_BYTES = 2**21
folder, n = sys.argv[1], int(sys.argv[2])
species = ["H", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br"]
water = molecule("H2O")
soap = SOAP(4.0, n_max=6, l_max=4, species=species).fit([water])

def frames():
    for k in range(n):
        atoms = water.copy()
        atoms.positions[0, 0] += 1e-3 * k
        atoms.info["energy"] = 0.0
        yield atoms

for layout in sys.argv[3:]:
    store = FeatureStore(f"{folder}/{layout}", soap, layout=layout)
    store.extend(frames())
    for X, y in store.batches(16, shuffle=True, random_state=0):
        X.values.sum()
size = len(store) * X.values[:3].nbytes
# the peak of this process alone: ru_maxrss begins with that of the one that started it
status = Path("/proc/self/status").read_text()
print(size, 1024 * int(status.split("VmHWM:")[1].split()[0]))
"""


def test_memory_does_not_grow_with_the_store(tmp_path):
    layouts = ["npy", "lmdb"] if find_spec("lmdb") else ["npy"]

    def measure(n):
        call = [sys.executable, "-c", MEASURE, str(tmp_path / str(n)), str(n), *layouts]
        run = subprocess.run(call, capture_output=True, text=True, check=True, cwd=ROOT)
        return [int(number) for number in run.stdout.split()]

    (size, few), (large, many) = measure(200), measure(720)
    assert large - size > 0.25 * few  # what could show, if it were kept
    assert many < 1.2 * few
