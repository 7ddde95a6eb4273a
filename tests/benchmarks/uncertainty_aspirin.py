"""Miscalibration area on aspirin: latent distances and LLPR of a network, conformal.

    python tests/benchmarks/uncertainty_aspirin.py --data DIR [--epochs 30] [--smoke]

DIR holds ``rmd17_aspirin_train_split1.extxyz`` and ``..._test_split1.extxyz`` of revised
MD17, plain or .xz; without them, or with `--smoke`, a few frames of malonaldehyde stand in.
One network per element on ACSF learns energies and forces of the training split. The test
split is divided at random, again and again, into frames to calibrate on and frames to
judge; the area is the mean of |share covered - level| over 99 levels. Of exchangeable
scores it has an expectation of its own, which sets what such a test set can show: the
floor, found by drawing numbers.
"""

import argparse
import io
import lzma
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase.io import read
from sklearn.base import BaseEstimator, RegressorMixin

from skatom import metrics
from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import NeuralNetworkRegressor
from skatom.potential import make_potential, predict_forces
from skatom.structures import Structures, fingerprints, read_energies, read_labels
from skatom.uncertainty import (
    ConformalRegressor,
    LastLayerRigidity,
    LatentDistance,
    calibrate_std,
)

LEVELS = np.arange(1, 100) / 100
METHODS = ("squared_residuals", "absolute_residuals", "crps", "affine", "isotonic")
SETTINGS = {
    "hidden_layers": (64, 64, 64), "activation": "silu", "optimizer": "layerwise_adam",
    "lr": 2e-2, "lr_schedule": "cosine", "batch_size": 16, "validation_fraction": 0.05,
    "patience": None, "residual": True, "cache_size": 2000, "random_state": 0,
}  # fmt: skip


class Known(RegressorMixin, BaseEstimator):
    """Predictions and sizes that have been made once, found again by content."""

    def __init__(self, energies, std, forces, forces_std):
        self.energies = energies
        self.std = std
        self.forces = forces
        self.forces_std = forces_std

    def fit(self, X, y=None):
        self.rows_ = {key: k for k, key in enumerate(fingerprints(X).tolist())}
        return self

    def predict(self, X, return_std=False):
        rows = self._rows(X)
        y = self.energies[rows]
        return (y, self.std[rows]) if return_std else y

    def predict_forces(self, X, return_std=False):
        rows = self._rows(X)
        found = [self.forces[k] for k in rows]
        return (found, [self.forces_std[k] for k in rows]) if return_std else found

    def _rows(self, X):
        return [self.rows_[key] for key in fingerprints(X).tolist()]


def observe(model, train, test):
    """What the network says of test structures, with the sizes of two sources."""
    energies, forces = model.predict(test), predict_forces(model, test)
    latent = LatentDistance(model).fit(train).distance(test)
    atoms = LatentDistance(model, level="atom", floor="median").fit(train)
    force_sizes = [np.repeat(d[:, None], 3, axis=1) for d in atoms.distance_atoms(test)]
    rigidity = LastLayerRigidity(model).fit(train).predict(test, return_std=True)[1]
    alike = [np.ones_like(f) for f in forces]  # LLPR of forces is dear, so left out
    return {
        "absolute": Known(energies, np.ones(len(test)), forces, alike).fit(test),
        "latent distance": Known(energies, latent, forces, force_sizes).fit(test),
        "LLPR": Known(energies, rigidity, forces, alike).fit(test),
    }


def areas(model, frames, y, calibration, test):
    """Miscalibration areas of conformal intervals of energies and force components."""
    found = ConformalRegressor(model, cv="prefit", conformity_score="std")
    found.fit(frames[calibration], y[calibration])
    chosen = frames[test]
    _, ends = found.predict_interval(chosen, LEVELS)
    shares = np.array([metrics.coverage(y[test], ends[..., k]) for k in range(99)])
    _, ends = found.predict_forces_interval(chosen, LEVELS)
    inside = np.zeros(99)
    for e, f in zip(ends, forces_of(chosen)):
        within = (e[..., 0, :] <= f[..., None]) & (f[..., None] <= e[..., 1, :])
        inside += within.mean(axis=(0, 1))
    of_forces = inside / len(chosen)
    ninety = 89
    return [
        np.mean(np.abs(shares - LEVELS)),
        shares[ninety],
        np.mean(np.abs(of_forces - LEVELS)),
        of_forces[ninety],
    ]


def forces_of(frames):
    return np.split(read_labels(frames).forces, frames.offsets[1:-1])


def floor(n_calibration, n_test, n_draws=2000):
    """Mean area of exchangeable scores, one a structure."""
    rng = np.random.default_rng(0)
    k = np.ceil((n_calibration + 1) * LEVELS).astype(int) - 1
    found = []
    for _ in range(n_draws):
        scores = np.sort(rng.random(n_calibration))
        limits = np.where(
            k < n_calibration, scores[np.minimum(k, n_calibration - 1)], 1
        )
        covered = np.searchsorted(np.sort(rng.random(n_test)), limits) / n_test
        found.append(np.mean(np.abs(covered - LEVELS)))
    return np.mean(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of revised MD17")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--smoke", action="store_true", help="run in seconds")
    args = parser.parse_args()
    paths = [
        args.data / f"rmd17_aspirin_{part}_split1.extxyz"
        for part in (("train", "test") if args.data is not None else ())
    ]
    if args.smoke or not paths:
        print("aspirin: skipped, it is not shipped; malonaldehyde stands in")
        train, test = (
            Structures(load_dataset("malonaldehyde", part).frames[:n])
            for part, n in (("train", 40), ("test", 140))
        )
        divisions, epochs, n_splits = [(100, 40)], 2, 2
    else:
        train, test = (frames_of(path) for path in paths)
        divisions, epochs, n_splits = [(500, 500), (100, 900)], args.epochs, args.splits
    begin = time.perf_counter()
    network = NeuralNetworkRegressor(**SETTINGS, max_epochs=epochs)
    model = make_potential(ACSF(r_cut=5.0), network).fit(train, read_energies(train))
    seconds = time.perf_counter() - begin
    y = read_energies(test)
    sources = observe(model, train, test)
    report(sources, test, y, epochs, seconds)
    for sizes in divisions:
        table(sources, test, y, sizes, n_splits)


def frames_of(path: Path) -> Structures:
    """Read a file in one go: seeking inside a compressed one takes minutes."""
    packed = path.with_name(path.name + ".xz")
    data = (
        lzma.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
    )
    return Structures(read(io.StringIO(data.decode()), ":", format="extxyz"))


def report(sources, test, y, epochs, seconds):
    """Errors of the network, and what its sizes know of them."""
    known = sources["absolute"]
    error = np.abs(known.energies - y)
    force = np.abs(np.concatenate(known.forces) - read_labels(test).forces)
    print(
        f"\n{epochs} epochs in {seconds:.0f} s: MAE {1e3 * error.mean():.1f} meV, "
        f"{1e3 * force.mean():.1f} meV/Å, spread of labels {1e3 * y.std():.0f} meV"
    )
    for name in ("latent distance", "LLPR"):
        found = metrics.spearman_of_errors(y, known.energies, sources[name].std)
        print(f"rank correlation of |error| with {name}: {found:.2f}")


def table(sources, frames, y, sizes, n_splits):
    """Areas over random divisions of the test structures."""
    print(
        f"\n{sizes[0]} to calibrate, {sizes[1]} to judge, {n_splits} divisions; area of "
        f"exchangeable scores {floor(*sizes):.4f}"
    )
    print("| intervals | area | covered at 0.9 | forces: area | covered at 0.9 |")
    print("| --- | --- | --- | --- | --- |")
    divisions = [
        np.split(
            np.random.default_rng(seed).permutation(len(y))[: sum(sizes)], sizes[:1]
        )
        for seed in range(n_splits)
    ]
    for name, model in sources.items():
        rows = [areas(model, frames, y, *division) for division in divisions]
        cells = np.mean(rows, axis=0)
        cells = [f"{c:.4f}" for c in cells[: 2 if name == "LLPR" else 4]]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print("\n| standard deviations, normal | area | ENCE |\n| --- | --- | --- |")
    for name in ("latent distance", "LLPR"):
        for method in METHODS:
            rows = []
            for calibration, test in divisions:
                bars = calibrate_std(
                    sources[name], frames[calibration], y[calibration],
                    method=method, forces=None,
                )  # fmt: skip
                found = y[test], *bars.predict(frames[test], return_std=True)
                rows.append([metrics.miscalibration_area(*found), metrics.ence(*found)])
            area, ence = np.mean(rows, axis=0)
            print(f"| {name}, {method} | {area:.4f} | {ence:.3f} |", flush=True)


if __name__ == "__main__":
    main()
