"""Time and memory of FeatureStore, against what the disk takes and pickled features.

Run ``python tests/benchmarks/bench_feature_store.py`` (seconds with ``--smoke``). Each
row is a process of its own that streams small molecules into a store, reads it in order
and in random batches, and reports its largest resident memory. The floor of writing is
the same bytes in one file, synchronised; that of reading is one pass over that file out
of the system's cache. The peer is joblib, as scikit-learn's users keep features: one
compressed pickle a batch, in one process after the other. Needs ``pip install lmdb`` for
its rows.
"""

import argparse
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

BATCH = 256


def molecules(n):
    """Stream molecules of ASE's G2 set with H, C, N and O, rattled, no two alike."""
    from ase.build import molecule
    from ase.collections import g2

    names = [name for name in g2.names if set(g2[name].numbers) <= {1, 6, 7, 8}]
    kinds = [molecule(name) for name in names if len(g2[name]) > 3]
    rng = np.random.default_rng(0)
    for k in range(n):
        atoms = kinds[k % len(kinds)].copy()
        atoms.positions += rng.normal(scale=0.05, size=(len(atoms), 3))
        atoms.info["energy"] = float(k)
        yield atoms


def featurizer():
    """112 symmetry functions an atom."""
    from skatom.featurizers import ACSF

    acsf = ACSF(5.0, n_radial=8, n_angular=4, zetas=(1,), species=["H", "C", "N", "O"])
    return acsf.fit(list(molecules(60)))


def measure(kind, n, folder):
    """Write and read in this process, and report seconds and bytes."""
    if kind == "joblib":
        report = with_joblib(n, Path(folder))
    else:
        report = with_store(kind, n, Path(folder))
    report["memory"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(report))


def with_store(kind, n, folder):
    from skatom.store import FeatureStore

    layout, _, dtype = kind.partition(" ")
    acsf = featurizer()
    acsf.transform(list(molecules(60)))  # compiled code is loaded
    start = time.perf_counter()
    for batch in batches(molecules(n)):  # making molecules included, as in extend
        acsf.transform(batch)
    computing = time.perf_counter() - start
    start = time.perf_counter()
    store = FeatureStore(
        folder / "store", acsf, layout=layout, dtype=dtype or "float64"
    )
    store.extend(molecules(n))
    report = {"write": time.perf_counter() - start - computing, "compute": computing}
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    for name, shuffle in (("read", False), ("random", True)):
        start = time.perf_counter()
        n_read = 0
        for X, y in store.batches(BATCH, shuffle=shuffle, random_state=0):
            n_read += len(y)
            X.values[-1, -1]
        report[name] = time.perf_counter() - start
        assert n_read == n
    report["bytes"] = n_bytes
    report.update(floors(folder, n_bytes))
    return report


def batches(stream):
    """Split a stream into lists of structures."""
    from itertools import islice

    stream = iter(stream)
    while batch := list(islice(stream, BATCH)):
        yield batch


def floors(folder, n_bytes):
    """Seconds to write as many bytes to one file that is then on disk, and to read it."""
    block = np.random.default_rng(0).bytes(2**22)
    start = time.perf_counter()
    with open(folder / "floor", "wb") as stream:
        for _ in range(n_bytes // len(block)):
            stream.write(block)
        stream.write(block[: n_bytes % len(block)])
        stream.flush()
        os.fsync(stream.fileno())
    written = time.perf_counter()
    with open(folder / "floor", "rb", buffering=0) as stream:
        room = bytearray(2**20)
        while stream.readinto(room):
            pass
    return {"write floor": written - start, "read floor": time.perf_counter() - written}


def with_joblib(n, folder):
    """Keep the values of each batch as joblib keeps them, and nothing else."""
    import joblib

    acsf = featurizer()
    seconds, names = 0.0, []
    for k, batch in enumerate(batches(molecules(n))):
        X = acsf.transform(batch)
        start = time.perf_counter()
        names.append(folder / f"{k}.joblib")
        joblib.dump((X.values, X.offsets, X.numbers), names[-1], compress=3)
        seconds += time.perf_counter() - start
    n_bytes = sum(name.stat().st_size for name in names)
    start = time.perf_counter()
    for name in names:
        values, _, _ = joblib.load(name)
        values[-1, -1]
    return {"write": seconds, "read": time.perf_counter() - start, "bytes": n_bytes}


def main():
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--folder", help="on the disk to measure, by default temporary")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(args.one[0], int(args.one[1]), args.one[2])
        return
    sizes = (200,) if args.smoke else (10_000, 100_000)
    kinds = ["npy", "npy float32", "joblib"]
    if find_spec("lmdb"):
        kinds.insert(2, "lmdb")
    else:
        print("skipped: lmdb is not installed (pip install lmdb)")
    if args.smoke:
        kinds.remove("npy float32")
    print("| | structures | MB | write s (floor) | compute s | read s (floor) | random s "
          "| peak memory, MB |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for kind in kinds:
        peaks = []
        for n in sizes:
            with tempfile.TemporaryDirectory(dir=args.folder) as folder:
                call = [sys.executable, __file__, "--one", kind, str(n), folder]
                run = subprocess.run(
                    call, stdout=subprocess.PIPE, text=True, check=True
                )
            row = json.loads(run.stdout.splitlines()[-1])
            peaks.append(row["memory"])
            print(line(kind, n, row), flush=True)
        print(f"| {kind}: memory {peaks[-1] / peaks[0] - 1:+.0%} | | | | | | | |")


def line(kind, n, row):
    """Write one row of the table."""

    def seconds(name):
        if name not in row:
            return "-"
        floor = f"{name} floor"
        told = f" ({row[floor]:.2f})" if floor in row else ""
        return f"{row[name]:.2f}{told}"

    cells = [seconds(name) for name in ("write", "compute", "read", "random")]
    sizes = f"{row['bytes'] / 1e6:.0f}", f"{row['memory'] / 1e6:.0f}"
    return f"| {kind} | {n} | {sizes[0]} | {' | '.join(cells)} | {sizes[1]} |"


if __name__ == "__main__":
    main()
