"""Compare error bars: ensembles, variances, quantiles, latent distances and LLPR.

Run ``python tests/benchmarks/uncertainty_sources.py --data DIR`` with the folder of the
BOTNet data sets (``3BPA_train_300K.extxyz.xz``, ``ethanol_train.extxyz.xz`` and those of
acetylacetone at 300 K and 600 K, which are pooled, as in
https://github.com/davkovacs/BOTNet-datasets, compressed or not); without ``--data`` it
takes the shipped 3BPA and malonaldehyde, and with ``--smoke`` a few frames of 3BPA.
``--systems`` and ``--sources`` choose some of each by parts of their names.

Protocol: SOAP (r_cut 5 Å, n_max 5, l_max 3) summed by species, PCA to 60 components,
scaling and networks of two hidden layers of 64, all fitted to the training part of each
random split. Error bars are calibrated on the second part and judged on the third;
quantiles are learned at 5 and 95 %, and calibrated by conformal prediction.
"""

import argparse
import io
import lzma
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import ase.io
import numpy as np
from scipy.special import ndtri
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom import metrics
from skatom.datasets import load_dataset
from skatom.featurizers import SOAP
from skatom.models import NeuralNetworkRegressor
from skatom.preprocessing import Pool
from skatom.uncertainty import (
    EnsembleRegressor,
    QuantileConformalRegressor,
    calibrate_std,
)

METHODS = ("squared_residuals", "absolute_residuals", "crps", "affine", "isotonic")
COLUMNS = ("MAE", "area", "ENCE", "CRPS", "NLL", "Spearman", "Winkler", "cover 90")


def read(path):
    """Frames of an extended xyz file, decompressed in memory."""
    data = path.read_bytes()
    text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    return ase.io.read(io.StringIO(text), ":", format="extxyz")


def systems(folder, smoke, wanted):
    """Rows and energies by name, with the sizes of a split."""
    if folder is None:
        names = {"3BPA": "3bpa"} | ({} if smoke else {"malonaldehyde": "malonaldehyde"})
        found = {n: list(load_dataset(d, "train").frames) for n, d in names.items()}
    else:
        files = {
            "3BPA": ["3BPA_train_300K"],
            "ethanol": ["ethanol_train"],
            "acac 300 + 600 K": ["acac_train_300K", "acac_train_600K"],
        }
        found = {
            name: [
                atoms
                for one in parts
                for atoms in read(next(Path(folder).rglob(one + ".extxyz*")))
            ]
            for name, parts in files.items()
            if any(chosen in name for chosen in wanted)
        }
    for name, frames in found.items():
        n = 60 if smoke else len(frames)
        frames = frames[:n]
        featurizer = make_pipeline(
            SOAP(5.0, n_max=5, l_max=3), Pool("sum", by_species=True)
        )
        y = np.array([atoms.get_potential_energy() for atoms in frames])
        yield name, featurizer.fit_transform(frames), y - y.mean(), (n // 2, n // 4)


def sources(smoke, seed, wanted):
    """Uncalibrated estimators, each with where its error bars come from."""

    def network(loss="mse"):
        last = NeuralNetworkRegressor(
            (64, 64), forces=None, max_epochs=20 if smoke else 300, batch_size=16,
            loss=loss, random_state=seed,
        )  # fmt: skip
        return make_pipeline(PCA(20 if smoke else 60), StandardScaler(), last)

    def ensemble(diversity, loss="mse"):
        return EnsembleRegressor(
            network(loss), 2 if smoke else 5, diversity=diversity,
            member_std=loss != "mse", random_state=seed,
        )  # fmt: skip

    found = {
        "ensemble, seeds": (ensemble("seeds"), "std"),
        "ensemble, bagging": (ensemble("bagging"), "std"),
        "latent distance": (network(), "latent"),
        "LLPR": (network(), "llpr"),
        "variance": (network("gaussian_nll"), "std"),
        "ensemble, Gaussian": (ensemble("seeds", "gaussian_nll"), "std"),
        "quantiles": (network("quantile"), "quantiles"),
    }
    return {n: s for n, s in found.items() if any(part in n for part in wanted)}


def judge(y, y_pred, found):
    """Give the columns of the table, NaN where there are intervals only."""
    if found.ndim == 2:
        mae = np.mean(np.abs(y - y_pred))
        ends = metrics.winkler_score(y, found, 0.9), metrics.coverage(y, found)
        return [mae, *[np.nan] * 5, *ends]
    std, half = found, ndtri(0.95) * found
    intervals = np.stack([y_pred - half, y_pred + half], axis=-1)
    return [
        np.mean(np.abs(y - y_pred)),
        metrics.miscalibration_area(y, y_pred, std),
        metrics.ence(y, y_pred, std),
        metrics.crps(y, y_pred, std),
        metrics.gaussian_nll(y, y_pred, std),
        metrics.spearman_of_errors(y, y_pred, std),
        metrics.winkler_score(y, intervals, 0.9),
        metrics.coverage(y, intervals),
    ]


def one_split(X, y, sizes, smoke, seed, wanted):
    """Labels, predictions and deviations or intervals of each source and method."""
    order = np.random.default_rng(seed).permutation(len(y))
    train, calibration, test = np.split(order, np.cumsum(sizes))
    found = {}
    fitted = {}
    for name, (estimator, source) in sources(smoke, seed, wanted).items():
        if source == "quantiles":
            both = quantiles(estimator, X, y, train, calibration, test)
            found |= {(name, method): (y[test], *one) for method, one in both.items()}
            continue
        key = "network" if source != "std" else name
        if key not in fitted:
            fitted[key] = clone(estimator).fit(X[train], y[train])
        if source == "std":
            found[name, "raw"] = (
                y[test],
                *fitted[key].predict(X[test], return_std=True),
            )
        for method in METHODS:
            calibrated = calibrate_std(
                fitted[key], X[calibration], y[calibration],
                method=method, source=source, X_train=X[train],
            )  # fmt: skip
            found[name, method] = (
                y[test],
                *calibrated.predict(X[test], return_std=True),
            )
    return found


def quantiles(estimator, X, y, train, calibration, test):
    """Medians and intervals of a network of quantiles, raw and conformalised."""
    parts = [
        (np.arange(len(train)), np.arange(len(train), len(train) + len(calibration)))
    ]
    rows = np.r_[train, calibration]
    model = QuantileConformalRegressor(estimator, cv=Given(parts))
    model.fit(X[rows], y[rows])
    median, raw = model.estimator_.predict(X[test], return_quantiles=True)
    return {
        "raw": (median, raw[:, [0, -1]]),
        "conformal": model.predict_interval(X[test], 0.9),
    }


class Given:
    """One split that is given."""

    def __init__(self, parts):
        self.parts = parts

    def split(self, X, y=None, groups=None):
        return iter(self.parts)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


def main():
    """Print a table for each system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the BOTNet data sets")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--systems", nargs="+", default=[""], help="parts of names")
    parser.add_argument("--sources", nargs="+", default=[""], help="parts of names")
    parser.add_argument("--smoke", action="store_true", help="few frames and epochs")
    args = parser.parse_args()
    n_splits = 2 if args.smoke else args.splits
    for name, X, y, sizes in systems(args.data, args.smoke, args.systems):
        start = time.perf_counter()
        splits = [
            one_split(X, y, sizes, args.smoke, seed, args.sources)
            for seed in range(n_splits)
        ]
        n_test = len(y) - sum(sizes)
        print(
            f"\n{name}: {sizes[0]} / {sizes[1]} / {n_test} frames, {n_splits} splits, "
            f"std of y {y.std():.3f} eV, {time.perf_counter() - start:.0f} s. Means over "
            "splits; the last two columns are of the labels of all splits together."
        )
        print(f"{'':38}" + "".join(f"{c:>9}" for c in (*COLUMNS, "area*", "ENCE*")))
        for key in splits[0]:
            means = np.mean([judge(*split[key]) for split in splits], axis=0)
            pooled = [np.concatenate(parts) for parts in zip(*(s[key] for s in splits))]
            together = [np.nan, np.nan]
            if pooled[2].ndim == 1:
                together = [metrics.miscalibration_area(*pooled), metrics.ence(*pooled)]
            numbers = "".join(f"{v:9.3f}" for v in (*means, *together))
            print(f"{key[0]:>18} {key[1]:<19}{numbers}")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="skorch")
    main()
