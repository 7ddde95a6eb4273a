"""Stores under kills, several writers, damage, full maps and folders without permission."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from joblib import Parallel, delayed
from radial import RadialSums

from skatom.store import FeatureStore
from skatom.store._hash_index import HashIndex
from skatom.store._manifest import publish, write_json
from skatom.structures import content_hash

ROOT = Path(__file__).parents[2]


def waters(n: int, first: int = 0) -> list:
    frames = []
    for k in range(first, first + n):
        atoms = molecule("H2O")
        atoms.positions[0, 0] += 1e-3 * k
        atoms.info["energy"] = float(k)
        frames.append(atoms)
    return frames


RADIAL = RadialSums().fit(waters(1))


@pytest.fixture(params=["npy", "lmdb"])
def layout(request) -> str:
    if request.param == "lmdb":
        pytest.importorskip("lmdb")
    return request.param


def sound(store: FeatureStore, n: int) -> None:
    """The store holds n different waters, each with its own features."""
    assert store.verify() == len(store) == n
    X = store[:]
    expected = RADIAL.transform(X.structures)
    np.testing.assert_array_equal(X.values, expected.values)
    assert len({content_hash(atoms) for atoms in X.structures}) == n


# -- kills ---------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
sys.path.insert(0, "tests")
sys.path.insert(0, "tests/store")
from test_store_faults import RADIAL, FeatureStore, sound, waters
import skatom.store._writing as writing

folder, layout = sys.argv[1:]
writing.CHUNK_STRUCTURES, writing.SHARD_BYTES = 4, 1  # three commits
STEPS = {name: getattr(os, name) for name in ("fsync", "rename")}

def killed_at(call):
    "Write in a child that kills itself at a step towards the disk."
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    counted = iter(range(call, -1, -1))
    def step(name):
        def one(*args):
            if not next(counted):
                os.kill(os.getpid(), signal.SIGKILL)
            return STEPS[name](*args)
        return one
    for name in STEPS:
        setattr(os, name, step(name))
    FeatureStore(path, RADIAL, layout=layout).extend(waters(12))
    os._exit(0)

def cut_short(seconds):
    "Write in a child that the clock kills, wherever it is."
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody catches the signal
    FeatureStore(path, RADIAL, layout=layout).extend(waters(12))
    os._exit(0)

kills = 0
steps = [*range(12), 14, 18, 24] if layout == "npy" else []
for killed, where in [
    *((killed_at, call) for call in steps),
    *((cut_short, 0.001 * k) for k in range(1, 25, 3)),
]:
    path = f"{folder}/{killed.__name__}-{where}"
    kills += killed(where)
    store = FeatureStore(path, RADIAL, layout=layout)
    before = len(store)
    assert before % 4 == 0, before
    sound(store, before)
    store.extend(waters(12))
    sound(FeatureStore(path, RADIAL), 12)
print(kills)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_moment_leaves_a_store_that_goes_on(layout, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), layout],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert not run.returncode, run.stderr
    assert int(run.stdout) > 5


def test_leftovers_are_removed_on_request(tmp_path):
    store = FeatureStore(tmp_path / "store", RADIAL)
    store.extend(waters(2))
    leftover = store.path / "shards" / ".unfinished-1234"
    leftover.mkdir()
    sound(FeatureStore(store.path), 2)
    store.remove_leftovers()
    assert not leftover.exists()
    sound(store, 2)


def test_a_failure_while_writing_leaves_nothing(tmp_path):
    def fill(folder):
        write_json(folder / "half.json", {})
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        publish(tmp_path / "place", fill)
    assert not list(tmp_path.iterdir())


# -- several writers -----------------------------------------------------------------------


def test_several_processes_write_at_once(layout, tmp_path):
    store = FeatureStore(tmp_path / "store", RADIAL, layout=layout)
    frames = waters(40)
    assert len(store) == 0
    parts = [frames[:25], frames[15:], frames[::2], frames[::-1]]  # they overlap
    counts = Parallel(n_jobs=2)(delayed(store.extend)(part) for part in parts)
    assert sum(counts) == 40
    assert len(store) == 0  # as it was when it was first looked at
    sound(store.refresh(), 40)
    np.testing.assert_array_equal(np.sort(store.energies), np.arange(40.0))


def test_a_writer_that_is_overtaken_does_not_store_twice(layout, tmp_path):
    """Another writer commits after this one has looked, and before it commits."""
    first = FeatureStore(tmp_path / "store", RADIAL, layout=layout)
    second = FeatureStore(tmp_path / "store", RADIAL)

    def stream():
        yield from waters(3)
        second.extend(waters(2, first=1))  # this one has been asked for 0, 1 and 2

    assert len(first) == 0
    assert first.extend(stream()) == 1
    sound(first, 3)
    np.testing.assert_array_equal(first.energies, [1.0, 2.0, 0.0])


def test_two_may_begin_the_same_store(layout, tmp_path):
    stores = Parallel(n_jobs=2, backend="threading")(
        delayed(FeatureStore)(tmp_path / "store", RADIAL, layout=layout)
        for _ in range(8)
    )
    assert len({str(store.manifest) for store in stores}) == 1
    assert not list(tmp_path.glob(".*"))


# -- damage --------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path, monkeypatch) -> FeatureStore:
    """Three shards of four structures."""
    monkeypatch.setattr("skatom.store._writing.CHUNK_STRUCTURES", 4)
    monkeypatch.setattr("skatom.store._writing.SHARD_BYTES", 1)
    store = FeatureStore(tmp_path / "store", RADIAL, layout="npy")
    store.extend(waters(12))
    return FeatureStore(store.path, RADIAL)


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("name", ["values", "atoms"])
def test_a_flipped_bit_is_found_where_it_is(shards, name):
    flip(shards.path / "shards" / "00000001" / f"{name}.npy", -1)
    assert len(shards[[0, 6, 11]]) == 3  # others are as they were
    with pytest.raises(ValueError, match=r"Structure 7 is damaged in .*00000001"):
        shards[5:9]
    with pytest.raises(
        ValueError, match=r"1 of 12 structures are damaged: 7, in .*0001"
    ):
        shards.verify()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: flip(d / "structures.npy", -1), r"structures\.npy is damaged"),
        (lambda d: os.truncate(d / "values.npy", 200), r"values\.npy is truncated"),
        (lambda d: os.truncate(d / "values.npy", 3), r"values\.npy is truncated"),
        (lambda d: (d / "atoms.npy").unlink(), r"atoms\.npy is missing"),
        (
            lambda d: np.save(d / "values.npy", np.zeros((12, 9))),
            r"an array of float64 with shape \(12, 9\) in place of \(12, 6\)",
        ),
        (lambda d: flip(d / "shard.json", 20), r"shard\.json is damaged"),
        (shutil.rmtree, "00000001 is missing, but later shards are there"),
    ],
    ids=["structures", "truncated", "cut", "missing", "other", "record", "hole"],
)
def test_damage_is_said_with_its_place(shards, spoil, message):
    spoil(shards.path / "shards" / "00000001")
    with pytest.raises(ValueError, match=message):
        FeatureStore(shards.path)[5]


def test_damage_in_lmdb_is_found_where_it_is(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    store = FeatureStore(tmp_path / "store", RADIAL, layout="lmdb")
    store.extend(waters(5))
    store._layout._environment.close()
    with lmdb.open(str(store.path)) as env, env.begin(write=True) as transaction:
        for s, change in ((1, -1), (3, None)):
            key = b"b" + s.to_bytes(8, "big")
            blob = bytearray(transaction.get(key))
            blob[-1] ^= 1
            transaction.put(key, bytes(blob[:change] if change else blob))
    assert len(store[[0, 2, 4]]) == 3
    with pytest.raises(
        ValueError, match=r"Structure 3 is damaged in .*store: its check"
    ):
        store[2:]
    with pytest.raises(
        ValueError, match=r"Structure 1 is damaged .* of the wrong length"
    ):
        store[1]
    with pytest.raises(ValueError, match="2 of 5 structures are damaged: 1, 3, in"):
        store.verify()


# -- room and permission -------------------------------------------------------------------


def test_an_lmdb_map_grows_when_it_is_full(tmp_path, monkeypatch):
    pytest.importorskip("lmdb")
    monkeypatch.setattr("skatom.store._lmdb.FIRST_MAP_BYTES", 2**15)
    store = FeatureStore(tmp_path / "store", RADIAL, layout="lmdb")
    store.extend(waters(500))
    sound(store, 500)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or not os.access("/proc", os.R_OK), reason="POSIX only"
)
def test_a_folder_without_permission_to_write_is_read(layout, tmp_path, monkeypatch):
    store = FeatureStore(tmp_path / "store", RADIAL, layout=layout)
    store.extend(waters(4))
    if layout == "lmdb":
        store._layout._environment.close()
        (store.path / "lock.mdb").unlink()
    for folder in (store.path / "shards", store.path):
        if folder.exists():
            folder.chmod(0o555)
    # the superuser may write anywhere, so that the answer of the system is given here
    monkeypatch.setattr("skatom.store._lmdb.os.access", lambda *_: False)
    try:
        sound(FeatureStore(store.path), 4)
        assert not (store.path / "lock.mdb").exists()
    finally:
        store.path.chmod(0o755)


def test_hashes_are_found_among_many():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, size=(1000, 16), dtype=np.uint8)
    hashes[500, :8] = hashes[20, :8]  # half of a hash is not the hash
    index = HashIndex()
    for part in np.split(hashes, [1, 3, 300, 301, 800]):
        index.add(part)
    np.testing.assert_array_equal(index.find(hashes[::-3]), np.arange(1000)[::-3])
    assert (index.find(hashes[:5] ^ 1) == -1).all()
    assert HashIndex().find(hashes[:2]).tolist() == [-1, -1]
