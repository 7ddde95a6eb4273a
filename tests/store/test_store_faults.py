"""Stores under kills, several writers, damage, full maps and folders without permission."""

import os
import shutil
import signal
import stat
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
from skatom.store._manifest import as_json, checksum_of, publish, read_json, write_json
from skatom.store._records import Records
from skatom.store._shard import _digest, write_shard
from skatom.store._verifying import in_child
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
from pathlib import Path
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
    left = [p.name for p in Path(folder).rglob(".*")]
    assert not left, left
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
            r"values\.npy is .*of another store: .* 576 bytes of an array of shape \(12",
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


def committed_by(folder: Path, layout: str, first: int = 0) -> FeatureStore:
    """Another store of the same featurizer, in one commit."""
    store = FeatureStore(folder, RADIAL, layout=layout)
    store.extend(waters(4, first))
    return store


def bring_shard(shards: FeatureStore, featurizer) -> None:
    other = FeatureStore(shards.path.with_name("other"), featurizer, layout="npy")
    other.extend(waters(12))
    replace_shard(shards, 1, other.path / "shards" / "00000001")


def replace_shard(shards: FeatureStore, number: int, source: Path) -> None:
    place = shards.path / "shards" / f"{number:08d}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place)


def swap(shards: FeatureStore) -> None:
    one, other = (shards.path / "shards" / f"{k:08d}" for k in (1, 2))
    one.rename(one.with_name("kept"))
    other.rename(one)
    one.with_name("kept").rename(other)


def cut_history(shards: FeatureStore) -> None:
    """Write the last two shards anew, in a copy of the store, and bring the last one."""
    copy = shards.path.with_name("copy")
    shutil.copytree(shards.path, copy)
    for k in (1, 2):
        shutil.rmtree(copy / "shards" / f"{k:08d}")
    last = checksum_of(read_json(copy / "shards" / "00000000" / "shard.json", {}))
    rewrite(copy / "committed.json", shards=1, structures=4, last=last)
    FeatureStore(copy, RADIAL).extend(waters(8, first=40))
    replace_shard(shards, 2, copy / "shards" / "00000002")


def rewrite(file: Path, **changes) -> None:
    """Forge a JSON file, with its checksum made right."""
    content = read_json(file, {}) | changes
    file.write_bytes(as_json(content))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda s: bring_shard(s, RadialSums(5.0).fit(waters(1))),
            "0001 holds features of another featurizer than that of the manifest",
        ),
        (lambda s: bring_shard(s, RADIAL), "0001 belongs to another store"),
        (
            lambda s: replace_shard(s, 2, s.path / "shards" / "00000000"),
            "0002 is a copy of shard 0",
        ),
        (
            lambda s: replace_shard(s, 3, s.path / "shards" / "00000001"),
            "0003 is a copy of shard 1",
        ),
        (swap, "0001 is a copy of shard 2"),
        (cut_history, "0002 was not written after the shard that stands before it"),
        (
            lambda s: shutil.rmtree(s.path / "shards" / "00000002"),
            "0002 is missing, but 3 shards with 12 structures were committed",
        ),
        (
            lambda s: shutil.rmtree(s.path / "shards"),
            "0000 is missing, but 3 shards with 12 structures were committed",
        ),
        (
            lambda s: (s.path / "committed.json").unlink(),
            "committed.json is missing, without which nobody can tell",
        ),
        (lambda s: flip(s.path / "committed.json", 9), "committed.json is damaged"),
        (
            lambda s: rewrite(s.path / "committed.json", last="0"),
            "0002 is not the shard that was committed under its number",
        ),
        (
            lambda s: (s.path / "shards" / "00000001" / "shard.json").unlink(),
            "shard.json is missing",
        ),
    ],
    ids=[
        "featurizer", "store", "copied", "appended", "swapped", "history", "last", "all",
        "no commit", "commit", "other last", "no record",
    ],
)  # fmt: skip
def test_shards_that_are_not_those_committed_are_found(shards, spoil, message):
    spoil(shards)
    for look in (lambda: FeatureStore(shards.path), shards.verify):
        with pytest.raises(ValueError, match=message):
            look()


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("manifest.json", {"columns": [["G2", [], []]]}, "its columns cannot be"),
        ("manifest.json", {"columns": [["G2", [], [], [1]]]}, "its columns cannot be"),
        ("manifest.json", {"dtype": "O", "layout": "x"}, "its layout, dtype cannot"),
        ("manifest.json", {"parameters": None, "id": 3}, "its id, parameters cannot"),
        ("committed.json", {"shards": -1}, "its shards cannot be those of a store"),
        ("committed.json", {"structures": True}, "its structures cannot"),
        ("shards/00000001/shard.json", {"n_atoms": "12"}, "its n_atoms cannot be"),
        ("shards/00000001/shard.json", {"number": None}, "its number cannot be"),
    ],
)
def test_entries_that_no_store_writes_are_refused(shards, file, changes, message):
    rewrite(shards.path / file, **changes)
    with pytest.raises(ValueError, match=f"forged or incomplete: {message}"):
        FeatureStore(shards.path)


def test_columns_that_are_not_the_featurizers_are_refused(shards):
    rewrite(shards.path / "manifest.json", columns=shards.manifest["columns"][1:])
    with pytest.raises(
        ValueError, match="lists 5 columns, and this featurizer gives 6"
    ):
        FeatureStore(shards.path, RADIAL)


@pytest.mark.parametrize("depth", [b"[" * 100_000, b"null", b"NaN", b"\xff", b""])
def test_a_manifest_that_is_no_json_of_ours_is_damaged(shards, depth):
    (shards.path / "manifest.json").write_bytes(depth)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        FeatureStore(shards.path)


def forge_shard(shards: FeatureStore, change) -> None:
    """Write the last shard anew with other records, all checksums made right."""
    folder = shards.path / "shards" / "00000002"
    records = shards._layout.read(np.arange(8, 12))
    records = Records(*(np.array(part) for part in vars(records).values()))
    change(records)
    belongs = {name: read_json(folder / "shard.json", {})[name]
               for name in ("store", "parameter_hash", "number", "previous")}  # fmt: skip
    shutil.rmtree(folder)
    folder.mkdir()
    write_shard(records.sealed(), belongs, folder)
    last = checksum_of(read_json(folder / "shard.json", {}))
    rewrite(shards.path / "committed.json", last=last)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("atoms", "number", 0),
        ("atoms", "number", 200),
        ("atoms", "position", np.nan),
        ("structures", "cell", np.inf),
        ("values", ..., np.inf),
    ],
)
def test_numbers_that_compiled_code_must_not_see_are_damage(shards, part, name, value):
    def change(records):
        getattr(records, part)[name][-1] = value

    forge_shard(shards, change)
    with pytest.raises(ValueError, match=r"Structure 11 is damaged in .*00000002"):
        FeatureStore(shards.path)[9:]
    with pytest.raises(ValueError, match=r"1 of 12 structures are damaged: 11, in"):
        shards.verify()


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        ("atoms", "number", 26, "atom 2 is Fe, but RadialSums knows H, O"),
        ("structures", "pbc", 1, "periodic, but its cell vector is zero"),
        ("atoms", "position", 1e300, "too far out to tell distances"),
    ],
)
def test_structures_that_no_kernel_may_see_are_refused_before_derivatives(
    shards, part, name, value, message
):
    def change(records):
        getattr(records, part)[name][-1] = value

    forge_shard(shards, change)
    X = FeatureStore(shards.path, RADIAL)[9:]
    with pytest.raises(ValueError, match=message):
        X.pullback(np.ones_like(X.values))


@pytest.mark.parametrize("n_atoms", [[3, 3, 3, -3], [0, 3, 3, 6], [2**62] * 4])
def test_numbers_of_atoms_that_are_not_there_are_refused(shards, n_atoms):
    folder = shards.path / "shards" / "00000002"
    shard = shards._layout._shards[2]
    table = np.array(shard.structures)
    table["n_atoms"] = n_atoms
    file = folder / "structures.npy"
    file.write_bytes(file.read_bytes()[: -table.nbytes] + table.tobytes())
    rewrite(folder / "shard.json", structures_checksum=_digest(table))
    last = checksum_of(read_json(folder / "shard.json", {}))
    rewrite(shards.path / "committed.json", last=last)
    with pytest.raises(ValueError, match="is forged: its structures do not have 12"):
        FeatureStore(shards.path)[9]


def test_no_flipped_bit_goes_unnoticed(shards):
    files = [file for file in shards.path.rglob("*") if file.is_file()]
    sizes = np.array([file.stat().st_size for file in files])
    rng = np.random.default_rng(0)
    for file in rng.choice(files, size=200, p=sizes / sizes.sum()):
        whole = file.read_bytes()
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        file.write_bytes(data)
        with pytest.raises(ValueError, match=r"damaged|other|forged"):
            shards.verify()
        file.write_bytes(whole)
    assert shards.verify() == 12


# -- LMDB, whose library dies of what it did not write -------------------------------------


@pytest.fixture
def blobs(tmp_path) -> FeatureStore:
    pytest.importorskip("lmdb")
    store = committed_by(tmp_path / "store", "lmdb")
    store.extend(waters(200, first=4))
    return store


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: os.truncate(f, f.stat().st_size // 2), "data.mdb is truncated: it"),
        (lambda f: os.truncate(f, 0), "is missing or empty: it has 0 bytes, and had"),
        (os.unlink, "is missing or empty: it has 0 bytes, and had"),
        (
            lambda f: f.write_bytes(bytes(f.stat().st_size)),
            "data.mdb is damaged, as liblmdb says",
        ),
    ],
    ids=["truncated", "empty", "missing", "zeros"],
)
def test_a_database_that_is_not_there_in_full_is_refused(blobs, spoil, message):
    blobs._layout._environment.close()
    spoil(blobs.path / "data.mdb")
    for look in (lambda: FeatureStore(blobs.path), blobs.verify, lambda: blobs[3]):
        with pytest.raises(ValueError, match=message):
            look()


def test_a_database_that_the_system_does_not_open_is_named(blobs):
    blobs._layout._environment.close()
    rewrite(blobs.path / "committed.json", bytes=0)
    (blobs.path / "data.mdb").unlink()
    (blobs.path / "data.mdb").mkdir()
    with pytest.raises(IsADirectoryError, match=r"data\.mdb: .*Is a directory"):
        FeatureStore(blobs.path)


def test_a_database_of_another_store_or_commit_is_refused(blobs, tmp_path):
    blobs._layout._environment.close()
    kept = (blobs.path / "data.mdb").read_bytes()
    other = committed_by(tmp_path / "other", "lmdb")
    other.extend(waters(300, first=4))
    other._layout._environment.close()
    shutil.copy(other.path / "data.mdb", blobs.path / "data.mdb")
    with pytest.raises(ValueError, match=r"data\.mdb belongs to another store"):
        FeatureStore(blobs.path)
    blobs._layout._environment.close()
    (blobs.path / "data.mdb").write_bytes(kept)
    rewrite(blobs.path / "committed.json", structures=205)
    with pytest.raises(
        ValueError, match="holds 204 structures, and 205 were committed"
    ):
        FeatureStore(blobs.path)


def test_keys_that_are_missing_or_twice_are_found(blobs):
    import lmdb

    def change(key, value):
        blobs._layout._environment.close()
        with lmdb.open(str(blobs.path)) as env, env.begin(write=True) as transaction:
            if value is None:
                transaction.delete(key)
            else:
                transaction.put(key, bytes(transaction.get(value)))

    numbered = [b"s" + s.to_bytes(8, "big") for s in range(3)]
    change(b"b" + numbered[1][1:], b"b" + numbered[0][1:])
    change(numbered[1], numbered[0])
    with pytest.raises(
        ValueError, match="1 structures are stored more than once, such"
    ):
        blobs.verify()
    change(numbered[1], None)
    with pytest.raises(ValueError, match="409 keys are there, and not two for each of"):
        FeatureStore(blobs.path)
    change(b"another key", numbered[0])
    with pytest.raises(ValueError, match=r"Structure 1 is damaged in .* missing"):
        FeatureStore(blobs.path)[1]
    change(b"n", None)
    with pytest.raises(ValueError, match="not two for each of -1 structures"):
        FeatureStore(blobs.path)


def test_verify_outlives_pages_that_end_a_process(blobs):
    """A file that was cut while nothing says how long it was: a bus error, as it is."""
    rewrite(blobs.path / "committed.json", bytes=0)
    os.truncate(blobs.path / "data.mdb", 3 * 4096)
    with pytest.raises(
        ValueError, match=r"store is damaged: .* process that looked \(SIG"
    ):
        blobs.verify()


def test_pages_that_liblmdb_finds_damaged_are_said(blobs):
    file = blobs.path / "data.mdb"
    data = file.read_bytes()
    file.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    with pytest.raises(ValueError, match=r"data\.mdb is damaged, as liblmdb says: mdb"):
        blobs.verify()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_dies_of_its_work_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"x is damaged: .* looked \(SIGABRT\)"):
        in_child(os.abort, tmp_path / "x")
    with pytest.raises(KeyError):
        in_child({}.popitem, tmp_path)
    assert in_child(lambda: 3, tmp_path) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_read_and_write_what_their_parent_has_open(layout, tmp_path):
    store = committed_by(tmp_path / "store", layout)
    expected = store[:].values
    for child in range(2):
        pid = os.fork()
        if not pid:
            new = store.extend(waters(2, first=10 * child + 10))
            same = np.array_equal(store[:4].values, expected)
            os._exit(0 if same and new == 2 else 1)
        assert os.waitpid(pid, 0)[1] == 0
    sound(store.refresh(), 8)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_full_disk_is_told_and_leaves_what_was_there(layout, tmp_path):
    """A limit of the system on the size of files, which fails writes as full disks do."""
    import resource

    store = committed_by(tmp_path / "store", layout)

    def crowded():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        return store.extend(waters(300, first=4))

    place = rf"There is no room for {store.path / ''}.*, which takes 0\.1 MB"
    with pytest.raises(OSError, match=place):
        in_child(crowded, store.path)
    sound(FeatureStore(store.path, RADIAL), 4)


@pytest.mark.skipif(os.name == "nt", reason="links and modes of POSIX")
def test_a_link_to_an_empty_folder_and_its_permissions_stay(layout, tmp_path):
    (tmp_path / "empty").mkdir(mode=0o750)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "empty")
    FeatureStore(link, RADIAL, layout=layout).extend(waters(2))
    assert link.is_symlink()
    assert stat.S_IMODE((tmp_path / "empty").stat().st_mode) == 0o750
    sound(FeatureStore(tmp_path / "empty", RADIAL), 2)


# -- room and permission -------------------------------------------------------------------


def test_an_lmdb_map_grows_when_it_is_full(tmp_path, monkeypatch):
    pytest.importorskip("lmdb")
    monkeypatch.setattr("skatom.store._lmdb_map.FIRST_MAP_BYTES", 2**15)
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
    monkeypatch.setattr("skatom.store._lmdb_map.os.access", lambda *_: False)
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
