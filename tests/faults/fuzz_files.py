"""Mutate model files and stores, and count what no file may do to whoever opens it.

    python tests/faults/fuzz_files.py --mutations 500

Each mutated file is loaded and used in a process of its own. Half of the mutations are
those of a disk (flipped bits, lost ends, zeroed blocks), half those of somebody who forges:
values of JSON, arrays, members and counts are changed and all checksums made right again.
Counted are processes that died of a signal, that hung, that took more memory than a file of
this size may, damage that nobody noticed, and errors that are no sentences.
"""

import argparse
import faulthandler
import io
import json
import os
import pickle
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS), str(TESTS / "persistence"), str(TESTS / "contracts")]

from forging import members_of, write_forged  # noqa: E402
from make_files import answers  # noqa: E402

from skatom.featurizers import ACSF  # noqa: E402
from skatom.persistence import load  # noqa: E402
from skatom.potential import evaluate  # noqa: E402
from skatom.store import FeatureStore, _manifest  # noqa: E402
from skatom.store._records import Records  # noqa: E402
from skatom.store._shard import write_shard  # noqa: E402
from skatom.structures._samples import check_frames, with_labels  # noqa: E402

FILES = TESTS / "persistence" / "files"
FRAMES = with_labels(check_frames())
MEMORY = 2**30  # bytes beyond those of the process that looks
SECONDS = 30.0
BAD = ("signal", "hang", "memory", "unnoticed", "bare error")
# Errors that say nothing to whoever opens a file.
BARE = (
    AttributeError, AssertionError, KeyError, IndexError, UnicodeError, RecursionError,
    NameError, ZeroDivisionError, SystemError, zipfile.BadZipFile, EOFError,
)  # fmt: skip
VALUES = [
    None, True, 0, 1, -1, 2**31, 2**63, -(2**63), 10**30, 1e308, float("inf"),
    float("nan"), "", "x", "numpy.ndarray", [], {}, [[]], [1, 2, 3],
]  # fmt: skip


# -- mutations of any file ---------------------------------------------------------------


def flip(rng, data: bytearray) -> None:
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)


def cut(rng, data: bytearray) -> None:
    del data[rng.integers(len(data)) :]


def zero(rng, data: bytearray) -> None:
    start = rng.integers(len(data))
    length = len(data[start : start + 512])
    data[start : start + length] = bytes(length)


def of_a_disk(rng, path: Path) -> str:
    """Damage a file without any care for checksums."""
    change = [flip, flip, cut, zero][rng.integers(4)]
    before = path.read_bytes()
    data = bytearray(before)
    change(rng, data)
    path.write_bytes(data)
    return f"{change.__name__} {path.name}" if data != before else "nothing"


def change_json(rng, tree) -> str:
    """Change, delete or deepen one value of a tree of JSON."""
    places = []

    def walk(node, trail):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            places.append((node, key, f"{trail}.{key}"))
            if isinstance(value, dict | list):
                walk(value, f"{trail}.{key}")

    walk(tree, "")
    node, key, name = places[rng.integers(len(places))]
    other = places[rng.integers(len(places))]
    kind = rng.integers(8)
    if kind == 0:
        del node[key]
    elif kind == 1:
        node[key] = json.loads("[" * 300 + "]" * 300)
    elif kind == 2:
        node[key] = pickle.loads(pickle.dumps(other[0][other[1]]))
    else:
        node[key] = VALUES[rng.integers(len(VALUES))]
    return f"json{name} ({kind})"


def change_array(rng, array: np.ndarray) -> np.ndarray:
    """Change size, type or numbers of an array."""
    kind = rng.integers(7)
    if kind == 0:
        return array[: len(array) // 2] if array.ndim else np.zeros((2, 2))
    if kind == 1:
        return np.concatenate([array, array]) if array.ndim else array[None]
    if kind == 2:
        return array.T.reshape(array.shape[::-1])[..., None]
    if kind == 3:
        return array.astype([np.float32, np.int8, np.complex128, bool][rng.integers(4)])
    array = np.array(array)
    if array.size:
        values = [-1, 0, 2**31 - 1, 10**6, 127, np.nan, np.inf, 1e300]
        spoiled = values[rng.integers(len(values))]
        where = rng.integers(array.size) if kind < 6 else slice(None)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array.flat[where] = np.array(spoiled).astype(array.dtype)
    return array


# -- model files -------------------------------------------------------------------------


def forge_model(rng, path: Path) -> str:
    """Change what is in a model file, and make its checksums right."""
    members = members_of(path)
    arrays = [name for name in members if name.endswith(".npy")]
    kind = rng.integers(4)
    if kind == 0 or not arrays:
        (name,) = [name for name in members if name.endswith(".json")]
        tree = json.loads(members[name])
        told = change_json(rng, tree)
        members[name] = json.dumps(tree).encode()
    elif kind == 1:
        one, other = rng.choice(arrays, 2)
        members[one], members[other] = members[other], members[one]
        told = f"swapped {one[:8]} {other[:8]}"
    else:
        name = str(rng.choice(arrays))
        out = io.BytesIO()
        array = np.load(io.BytesIO(members[name]), allow_pickle=False)
        changed = change_array(rng, array)
        np.save(out, changed)
        members[name] = out.getvalue()
        told = f"array {array.dtype}{array.shape} -> {changed.dtype}{changed.shape}"
    write_forged(path, members)
    return told


def use_model(path: Path) -> str:
    """Load and ask for all there is."""
    model = load(path, trusted=True)
    found = [answers(model, FRAMES)]
    if hasattr(model, "predict"):
        with suppress(ValueError, TypeError):  # predicts no forces
            found.append(np.concatenate(evaluate(model, FRAMES).forces))
    return digest(found)


# -- stores ------------------------------------------------------------------------------


def make_store(path: Path, layout: str) -> None:
    acsf = ACSF(r_cut=3.0, n_radial=3, g4=None).fit(FRAMES)
    for part in (FRAMES[:2], FRAMES[2:]):
        FeatureStore(path, acsf, layout=layout).extend(part)


def files_of(path: Path) -> list[Path]:
    found = sorted(file for file in path.rglob("*") if file.is_file())
    return [file for file in found if file.name != "lock.mdb"]


def damage_store(rng, path: Path) -> str:
    files = files_of(path)
    file = files[rng.integers(len(files))]
    kind = rng.integers(8)
    if kind == 0:
        file.unlink()
        return f"removed {file.name}"
    if kind == 1:
        other = files[rng.integers(len(files))]
        one = file.read_bytes()
        if one == other.read_bytes():
            return "nothing"
        file.write_bytes(other.read_bytes())
        other.write_bytes(one)
        return f"swapped {file.name} {other.name}"
    return of_a_disk(rng, file)


def forge_store(rng, path: Path) -> str:
    """Change JSON, or records, and make the checksums of all that names them right."""
    shards = sorted(path.glob("shards/*"))
    if shards and rng.integers(2):
        return forge_records(rng, path, shards[-1])
    jsons = [file for file in files_of(path) if file.suffix == ".json"]
    file = jsons[rng.integers(len(jsons))]
    content = _manifest.read_json(file, {})
    told = change_json(rng, content)
    file.write_bytes(_manifest.as_json(content))
    seal(path, shards)
    return f"{file.name} {told}"


def forge_records(rng, path: Path, shard: Path) -> str:
    names = ("structures", "atoms", "values")
    arrays = [np.load(shard / f"{name}.npy") for name in names]
    k = rng.integers(3)
    array = arrays[k]
    field = rng.choice(array.dtype.names) if array.dtype.names else ...
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of complex numbers
        array[field] = change_numbers(rng, array[field])
    record = _manifest.read_json(shard / "shard.json", {})
    belongs = {
        name: record[name] for name in ("store", "parameter_hash", "number", "previous")
    }
    shutil.rmtree(shard)
    shard.mkdir()
    records = Records(*arrays)
    with suppress(Exception):  # numbers of atoms that are not there have no checksums
        records = records.sealed()
    write_shard(records, belongs, shard)
    seal(path, [shard])
    return f"records {names[k]}[{field}]"


def change_numbers(rng, array: np.ndarray) -> np.ndarray:
    changed = change_array(rng, array)
    return changed if changed.shape == array.shape else array[::-1]


def seal(path: Path, shards: list[Path]) -> None:
    """Let committed.json name the last shard as it is now."""
    file = path / "committed.json"
    try:
        committed = _manifest.read_json(file, {"last": str})
        last = _manifest.read_json(shards[-1] / "shard.json", {})
    except (ValueError, OSError, IndexError):
        return
    committed["last"] = _manifest.checksum_of(last)
    file.write_bytes(_manifest.as_json(committed))


def use_store(path: Path) -> str:
    """Open, verify, read everything, and differentiate it."""
    acsf = ACSF(r_cut=3.0, n_radial=3, g4=None).fit(FRAMES)
    FeatureStore(path).verify()
    store = FeatureStore(path, acsf)
    X = store[:]
    pulled = X.pullback(np.ones_like(X.values))
    return digest([X.values, X.numbers, store.energies, store.n_atoms, pulled])


def digest(arrays) -> str:
    return " ".join(str(hash(np.ascontiguousarray(a).tobytes())) for a in arrays)


# -- one case ----------------------------------------------------------------------------


def outcome_of(
    use: Callable[[Path], str], path: Path, sound: str, raw: bool, seconds=SECONDS
) -> tuple:
    """Use a file in a child, and say how that ended: a kind and a sentence."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _be_child(use, path, writer)
    os.close(writer)
    told = b""
    end = time.monotonic() + seconds
    while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reader, 2**16)
        if not part:
            break
        told += part
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        return "hang", f"more than {seconds:.0f} s"
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "signal", signal.Signals(os.WTERMSIG(status)).name
    kind, text = pickle.loads(told)
    if kind == "used":
        kind = "unnoticed" if raw and text != sound else "harmless"
    return kind, text


def _be_child(use, path: Path, writer: int) -> None:
    faulthandler.disable()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    here = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + MEMORY, here + MEMORY))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            told = "used", use(path)
    except MemoryError as error:
        told = "memory", str(error)
    except (*BARE, np.linalg.LinAlgError) as error:
        told = "bare error", "".join(traceback.format_exception(error))[-1500:]
    except Exception as error:
        told = "refused", f"{type(error).__name__}: {error}"
    with open(writer, "wb") as stream:
        stream.write(pickle.dumps(told))
    os._exit(0)


def subjects(folder: Path, models: list[Path]) -> list[tuple]:
    """What is mutated: a path, how it is damaged, forged and used."""
    found = [(path, of_a_disk, forge_model, use_model) for path in models]
    for layout in ("npy", "lmdb"):
        try:
            make_store(folder / layout, layout)
        except ImportError:  # of lmdb
            continue
        found += [(folder / layout, damage_store, forge_store, use_store)] * max(
            1, len(models) // 4
        )
    return found


def fuzz(
    n_mutations: int, seed: int = 0, models: list[Path] | None = None, verbose=False
) -> dict:
    """Mutate files, and count how opening and using them ended.

    Returns
    -------
    ends : dict of str to list of str
        Under each kind of end what was mutated and what was said.
    """
    rng = np.random.default_rng(seed)
    models = sorted(FILES.glob("*.skatom")) if models is None else models
    ends: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        chosen = subjects(Path(folder), models)
        expected: dict[Path, str] = {}
        for k in range(n_mutations):
            source, damage, forge, use = chosen[rng.integers(len(chosen))]
            if source not in expected:
                # here, so that children find all modules and kernels in memory
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    expected[source] = use(source)
            path = Path(folder) / f"mutated-{source.name}"
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, path)
            raw = bool(rng.integers(2))
            told = (damage if raw else forge)(rng, path)
            kind, said = outcome_of(use, path, expected[source], raw)
            if told == "nothing":
                kind = "harmless"
            ends.setdefault(kind, []).append(
                f"{k} {source.name} {'damaged' if raw else 'forged'} {told}: {said}"
            )
            if verbose and kind in BAD:
                print(f"{kind}: {ends[kind][-1]}", flush=True)
            (shutil.rmtree if path.is_dir() else os.unlink)(path)
    return ends


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    ends = fuzz(given.mutations, given.seed, verbose=True)
    counts = Counter({kind: len(said) for kind, said in ends.items()})
    for kind in ("refused", "harmless", *BAD):
        print(f"{kind:<12} {counts[kind]:5d}")
    return int(any(counts[kind] for kind in BAD))


if __name__ == "__main__":
    sys.exit(main())
