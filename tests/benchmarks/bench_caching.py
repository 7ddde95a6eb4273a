"""What CachedFeaturizer costs where nothing is found, and brings where all is.

Run ``python tests/benchmarks/bench_caching.py`` (seconds with ``--smoke``). One thread, CPU
time, medians in turns. First transform alone: without a cache, with an empty one, with a
full one. Then a grid search over alpha of Ridge on pooled features with five folds,
against a pipeline without a cache and with scikit-learn's own (joblib's Memory), given a
list of structures and given Structures. joblib hashes all that goes in, writes all that
comes out, and caches the training part of each fold only.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
import time

import numpy as np
from ase.build import bulk, molecule
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skatom.featurizers import ACSF, SOAP
from skatom.preprocessing import CachedFeaturizer, Pool
from skatom.structures import Structures


def rattled(atoms, n: int) -> list:
    frames = [atoms.copy() for _ in range(n)]
    for seed, frame in enumerate(frames):
        frame.rattle(0.05, seed=seed)
    return frames


def cases(smoke: bool) -> dict:
    n = 40 if smoke else 1000
    copper = bulk("Cu", cubic=True) * (3, 3, 3)
    return {
        "water, ACSF": (ACSF(r_cut=6.0), rattled(molecule("H2O"), 3 * n)),
        "ethanol, ACSF": (ACSF(r_cut=6.0), rattled(molecule("CH3CH2OH"), n)),
        "ethanol, SOAP": (SOAP(r_cut=5.0), rattled(molecule("CH3CH2OH"), n)),
        "108 Cu, SOAP": (SOAP(r_cut=5.0), rattled(copper, max(10, n // 25))),
    }


def seconds(function) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def transforms(featurizer, frames, repeats: int) -> tuple[float, float, float]:
    """Median CPU time without a cache, and relative to it of misses and of hits."""
    plain = featurizer.fit(frames)
    cached = CachedFeaturizer(featurizer, max_memory="4GB").fit(frames)
    plain.transform(frames[:2])  # compiled
    times, misses, hits = [], [], []
    for _ in range(repeats):
        times.append(seconds(lambda: plain.transform(frames)))
        CachedFeaturizer.clear()
        misses.append(seconds(lambda: cached.transform(frames)))
        hits.append(seconds(lambda: cached.transform(frames)))
    CachedFeaturizer.clear()
    base = np.median(times)
    relative = [float(np.median(np.array(t) / times)) for t in (misses, hits)]
    return float(base), *relative


def searches(featurizer, frames, n_candidates: int) -> dict[str, float]:
    """CPU time of a search with each kind of cache."""
    y = np.random.default_rng(0).normal(size=len(frames))
    grid = {"ridge__alpha": np.logspace(-3, 3, n_candidates)}

    def search(X, featurizer, memory=None):
        pipeline = make_pipeline(featurizer, Pool("mean"), Ridge(), memory=memory)
        GridSearchCV(pipeline, grid, cv=5, refit=False, scoring="r2").fit(X, y)

    found = {"no cache": seconds(lambda: search(frames, featurizer))}
    CachedFeaturizer.clear()
    cached = CachedFeaturizer(featurizer, max_memory="4GB")
    found["CachedFeaturizer"] = seconds(lambda: search(frames, cached))
    CachedFeaturizer.clear()
    for name, X in (("list", frames), ("Structures", Structures(frames))):
        with tempfile.TemporaryDirectory() as folder:
            found[f"Pipeline(memory), {name}"] = seconds(
                lambda X=X, folder=folder: search(X, featurizer, folder)
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    smoke = parser.parse_args().smoke
    repeats, n_candidates = (3, 2) if smoke else (9, 10)
    print("| | no cache (us/atom) | all new | all found |\n|---|---|---|---|")
    for name, (featurizer, frames) in cases(smoke).items():
        base, miss, hit = transforms(featurizer, frames, repeats)
        n_atoms = sum(map(len, frames))
        print(f"| {name} | {1e6 * base / n_atoms:.1f} | {miss:.3f} | {hit:.3f} |")
    print(f"\n{n_candidates} candidates, 5 folds, CPU seconds")
    for name, (featurizer, frames) in cases(smoke).items():
        found = searches(featurizer, frames, n_candidates)
        base = found.pop("no cache")
        rest = ", ".join(f"{k} {base / v:.2f}x" for k, v in found.items())
        print(f"{name}: no cache {base:.2f} s; {rest}", flush=True)


if __name__ == "__main__":
    main()
