"""Coverage and width of intervals over random splits, in groups, and under a shift.

    python tests/benchmarks/uncertainty_coverage.py --data DIR [--splits 50] [--smoke]

DIR holds 3BPA, acetylacetone and ethanol (github.com/davkovacs/BOTNet-datasets, extxyz,
plain or .xz). Energies, level 0.9, by two models. "process": the Gaussian process of
AtomicGaussianProcessRegressor on FCHL19 and SOAP, a kernel each, without forces, whose
lengths, variances and noise have the largest marginal likelihood of the training part of
the first split. Kernels between all structures are computed once, and every split solves
for its own training part. "rows": scikit-learn's Gaussian process on SOAP summed by
species. Networks: on principal components of these sums. `--smoke` takes shipped data and
few splits; sections whose data is missing are skipped.
"""

import argparse
import io
import lzma
import os
import time
import warnings
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase.io import read
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import QuantileRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skatom.datasets import load_dataset
from skatom.featurizers import FCHL19, SOAP
from skatom.metrics import coverage, mean_width, winkler_score
from skatom.models import AtomicGaussianProcessRegressor, NeuralNetworkRegressor
from skatom.models._gaussian_process.variance import energy_covariance
from skatom.preprocessing import AtomFeatureUnion, Pool
from skatom.structures import Structures, read_energies
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    ConformalRegressor,
    CrossConformalRegressor,
    DomainFlags,
    LastLayerRigidity,
    LatentDistance,
    QuantileConformalRegressor,
)

LEVEL = 0.9
FILES = {
    "3BPA": ["3BPA_train_300K"],
    "ethanol": ["ethanol_train"],
    "acac": ["acac_train_300K", "acac_train_600K"],
}
N_NETWORKS = 10  # splits, each with a network to train
N_ONE_OUT = 20  # splits, each with as many fits as there are training structures
N_LATENT = 60  # leading components in which distances of a process are measured


class Kernel:
    """Products of the rows of all structures, which are known by their first entry."""

    def __init__(self, rows):
        order = np.argsort(rows[:, 0])
        self.keys = rows[order, 0]
        self.values = rows[order] @ rows[order].T

    def find(self, X):
        return np.searchsorted(self.keys, X[:, 0])

    def __deepcopy__(self, memo):  # clones share it
        return self


class Process(RegressorMixin, BaseEstimator):
    """The Gaussian process of a kernel, about the mean label."""

    def __init__(self, kernel, noise):
        self.kernel = kernel
        self.noise = noise

    def fit(self, X, y):
        self.known_, self.mean_ = self.kernel.find(X), y.mean()
        K = self.kernel.values[np.ix_(self.known_, self.known_)]
        K.flat[:: len(K) + 1] += self.noise
        self.factor_ = cho_factor(K, lower=True, overwrite_a=True, check_finite=False)
        self.dual_ = cho_solve(self.factor_, y - self.mean_, check_finite=False)
        return self

    def predict(self, X, return_std=False):
        asked = self.kernel.find(X)
        k = self.kernel.values[np.ix_(self.known_, asked)]
        y = self.mean_ + self.dual_ @ k
        if not return_std:
            return y
        told = solve_triangular(self.factor_[0], k, lower=True, check_finite=False)
        left = self.kernel.values[asked, asked] - np.einsum("mn,mn->n", told, told)
        return y, np.sqrt(np.maximum(left, 0.0) + self.noise)

    def latent(self, X):
        return X.values[:, :N_LATENT]


def process_of(frames, y, train, n_labels=None):
    """A process with hyperparameters of training structures, and rows of all structures.

    Parameters
    ----------
    frames : Structures
    y : ndarray of shape (n_structures,)
    train : ndarray of int
    n_labels : int, optional
        How many labels of them hyperparameters are chosen on, all by default.

    Returns
    -------
    model : Process
    rows : ndarray of shape (n_structures, n_rows)
        In components of falling variance; their products are the kernel.
    """
    soap = SOAP(r_cut=5.0, n_max=5, l_max=3, sigma=0.25, center_weight=0.0)
    union = AtomFeatureUnion([("fchl", FCHL19()), ("soap", soap)])
    X = union.fit(frames[train]).transform(frames)
    fitted = AtomicGaussianProcessRegressor(
        additive=True, max_likelihood_labels=n_labels or len(train), forces=None,
        random_state=0,
    )  # fmt: skip
    fitted.fit(X[train], y[train])
    kernel = fitted._process.hyperparameters.kernel
    values, vectors = np.linalg.eigh(energy_covariance(X, Nothing(), kernel))
    kept = np.flatnonzero(values > 1e-12 * values[-1])[::-1]
    rows = vectors[:, kept] * np.sqrt(values[kept])
    model = Process(Kernel(rows), fitted.noise_energy_**2 * len(frames[0]))
    check(fitted, model, X, rows, y, train)
    return model, rows


class Nothing:
    """What a process knows before it has seen labels: its covariance is the kernel."""

    def explained(self, asked, kernel, *, full):
        return 0.0


def check(fitted, model, X, rows, y, train):
    """Compare the process on rows with the model that it stands for, and print errors."""
    rest = np.setdiff1d(np.arange(len(y)), train)
    found = np.array(fitted.predict(X[rest], return_std=True))
    same = np.array(clone(model).fit(rows[train], y[train]).predict(rows[rest], True))
    off = np.abs(found - same).max() / found[1].max()
    print(
        f"\nprocess: lengths {fitted.length_scale_.round(3)}, variances "
        f"{fitted.variance_.round(4)}, noise {1e3 * fitted.noise_energy_:.2f} meV an atom; "
        f"{rows.shape[1]} rows, within {off:.0e} of its deviations from the estimator; "
        f"MAE {1e3 * np.abs(found[0] - y[rest]).mean():.1f} meV"
    )


class Summed(RegressorMixin, BaseEstimator):
    """scikit-learn's Gaussian process on components of summed features."""

    def __init__(self, kernel=None):
        self.kernel = kernel

    def fit(self, X, y):
        amplitude = ConstantKernel(1e4, (1e-2, 1e9))
        start = amplitude * RBF(50.0, (1.0, 1e4)) + WhiteKernel(1e-3, (1e-9, 1.0))
        self.gp_ = GaussianProcessRegressor(
            start if self.kernel is None else self.kernel,
            optimizer="fmin_l_bfgs_b" if self.kernel is None else None,
            n_restarts_optimizer=4,
            normalize_y=True,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # flat likelihoods end the search early
            self.gp_.fit(X, y)
        return self

    def predict(self, X, return_std=False):
        return self.gp_.predict(X, return_std=return_std)


def summed_of(frames, y, train):
    """scikit-learn's process with hyperparameters of training structures, and rows."""
    rows = summed_rows(frames)
    model = Summed().fit(rows[train], y[train])
    rest = np.setdiff1d(np.arange(len(y)), train)
    error = 1e3 * np.abs(model.predict(rows[rest]) - y[rest]).mean()
    print(f"\nrows: {model.gp_.kernel_}, MAE {error:.1f} meV")
    return Summed(model.gp_.kernel_), rows


def summed_rows(frames):
    """Components of summed SOAP, fitted on all frames alike."""
    pooled = make_pipeline(
        SOAP(r_cut=5.0, n_max=5, l_max=3), Pool("sum", by_species=True)
    ).fit_transform(frames)
    rows = PCA(min(300, len(frames) - 1)).fit_transform(pooled)
    return rows / np.sqrt((rows**2).sum(axis=1).mean())


MODELS = {"process": process_of, "rows": summed_of}


def without_group(X):
    return X[:, :-1]


def group_of(X):
    return X[:, -1]


def with_group(model):
    """The model on rows whose last entry is the group, which it must not see."""
    return make_pipeline(FunctionTransformer(without_group), model)


def split(n, sizes, seed):
    order, edges = np.random.default_rng(seed).permutation(n), np.cumsum(sizes)
    return np.split(order, edges)


def judge(model, X, y):
    """Coverage, mean width (meV) and Winkler score (meV) at the level."""
    _, intervals = model.predict_interval(X)
    return [
        coverage(y, intervals),
        1e3 * mean_width(intervals),
        1e3 * winkler_score(y, intervals, LEVEL),
    ]


def show(title, header, rows):
    print(f"\n{title}\n\n| {' | '.join(header)} |")
    print("|" + " --- |" * len(header))
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(values) + " |", flush=True)


def spread(values, digits=3):
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"


def summary(rows):
    return {
        name: [spread(np.array(v)[:, 0])]
        + [f"{m:.1f}" for m in np.mean(v, axis=0)[1:3]]
        for name, v in rows.items()
    }


def energies(name, frames, y, sizes, n_splits, kinds):
    """Every interval method on one source."""
    for kind in kinds:
        model, X = MODELS[kind](frames, y, split(len(y), sizes, 0)[0])
        rows = {}
        for seed in range(n_splits):
            for label, row in one_source(model, X, y, sizes, seed):
                rows.setdefault(label, []).append(row)
        show(
            f"{name}, energies by {kind}, {sizes} + rest, {n_splits} splits (spread of y "
            f"{1e3 * y.std():.0f} meV)",
            ["intervals", "coverage", "width (meV)", "Winkler (meV)"],
            summary(rows),
        )
        ratio = np.mean(rows["split, std"], axis=0) / np.mean(
            rows["split, absolute"], axis=0
        )
        print(f"\nstd / absolute: width {ratio[1]:.3f}, Winkler {ratio[2]:.3f}")


def one_source(start, X, y, sizes, seed):
    """Names of methods, and how they do on one split."""
    train, cal, test = split(len(X), sizes, seed)
    model = clone(start).fit(X[train], y[train])
    scores = {
        "split, absolute": "absolute",
        "split, std": "std",
        "split, latent distance": LatentDistance(model).fit(X[train]),
    }
    for label, score in scores.items():
        found = ConformalRegressor(model, cv="prefit", conformity_score=score)
        yield label, judge(found.fit(X[cal], y[cal]), X[test], y[test])
    few = ConformalRegressor(model, cv="prefit").fit(X[cal[:19]], y[cal[:19]])
    yield "split, 19 structures", judge(few, X[test], y[test])
    for n_folds in (5, 10, 20):
        folds = CrossConformalRegressor(start, cv=n_folds)
        row = judge(folds.fit(X[train], y[train]), X[test], y[test])
        yield f"cv+, {n_folds} folds", row
    for some in (train[:60], train) if seed < N_ONE_OUT else (train[:60],):
        one_out = CrossConformalRegressor(start, cv="leave_one_out")
        row = judge(one_out.fit(X[some], y[some]), X[test], y[test])
        yield f"jackknife+, {len(some)} structures", row
    both = np.concatenate([train, cal])
    quantiles = make_pipeline(PCA(20), StandardScaler(), QuantileRegressor(alpha=1e-4))
    cqr = QuantileConformalRegressor(
        quantiles, calibration_size=len(cal), random_state=seed
    )
    yield "cqr, 20 components", judge(cqr.fit(X[both], y[both]), X[test], y[test])


def mixed(frames, y, hot, sizes, n_splits, kinds):
    """Two temperatures together."""
    for kind in kinds:
        model, X = MODELS[kind](frames, y, split(len(y), sizes, 0)[0])
        X, rows = np.column_stack([X, hot]), {}
        for seed in range(n_splits):
            train, cal, test = split(len(X), sizes, seed)
            fitted = with_group(clone(model)).fit(X[train], y[train])
            options = {
                "absolute": {},
                "std": {"conformity_score": "std"},
                "latent distance": {
                    "conformity_score": LatentDistance(fitted).fit(X[train])
                },
                "absolute, by temperature": {"groups": group_of},
                "std, by temperature": {"conformity_score": "std", "groups": group_of},
            }
            for label, option in options.items():
                found = ConformalRegressor(fitted, cv="prefit", **option)
                row = judge_groups(found.fit(X[cal], y[cal]), X, y, hot, test)
                rows.setdefault(label, []).append(row)
        show_groups(f"{kind}, {sizes} + rest, {n_splits} splits", rows)


def mixed_networks(frames, y, hot, sizes, n_splits, kinds):
    """Two temperatures together, by networks on components of summed features."""
    X, rows = summed_rows(frames), {}
    n_splits = min(n_splits, N_NETWORKS)
    for seed in range(n_splits):
        train, cal, test = split(len(X), sizes, seed)
        network = NeuralNetworkRegressor(
            (64, 64), forces=None, max_epochs=300, batch_size=16, random_state=seed
        )
        model = make_pipeline(PCA(60), StandardScaler(), network)
        model.fit(X[train], y[train] - y[train].mean())
        target = y - y[train].mean()
        options = {
            "absolute": "absolute",
            "latent distance": LatentDistance(model).fit(X[train]),
            "LLPR": LastLayerRigidity(model).fit(X[train]),
        }
        for label, score in options.items():
            found = ConformalRegressor(model, cv="prefit", conformity_score=score)
            found.fit(X[cal], target[cal])
            row = judge_groups(found, X, target, hot, test)
            rows.setdefault(label, []).append(row)
    show_groups(f"networks, {sizes} + rest, {n_splits} splits", rows)


def judge_groups(model, X, y, hot, test):
    """Coverage, width and score on test structures, and coverage in each group."""
    parts = [test[hot[test] == one] for one in (False, True)]
    return [
        *judge(model, X[test], y[test]),
        *(judge(model, X[part], y[part])[0] for part in parts),
    ]


def show_groups(title, rows):
    show(
        f"acac 300 K and 600 K together, {title}",
        ["intervals", "coverage", "width (meV)", "Winkler (meV)", "300 K", "600 K"],
        {
            name: values + [f"{v:.3f}" for v in np.mean(rows[name], axis=0)[3:]]
            for name, values in summary(rows).items()
        },
    )
    base = np.mean(rows["absolute"], axis=0)
    print()
    for name in rows:
        ratio = np.mean(rows[name], axis=0) / base
        print(f"{name} / absolute: width {ratio[1]:.3f}, Winkler {ratio[2]:.3f}")


def shift(frames, y, hot, sizes, n_splits, kinds):
    """Calibrated at 300 K, asked at 600 K."""
    cold, warm = np.flatnonzero(~hot), np.flatnonzero(hot)
    for kind in kinds:
        model, X = MODELS[kind](frames, y, cold[split(len(cold), sizes, 0)[0]])
        rows = {}
        for seed in range(n_splits):
            parts = [cold[i] for i in split(len(cold), sizes, seed)]
            for label, row in one_shift(model, X, y, [*parts, warm], seed):
                rows.setdefault(label, []).append(row)
        show(
            f"acac, trained and calibrated at 300 K ({sizes} + rest), {kind}, "
            f"{n_splits} splits",
            ["", "300 K", "600 K"],
            {n: [f"{v:.3f}" for v in np.mean(r, axis=0)] for n, r in rows.items()},
        )


def one_shift(start, X, y, parts, seed):
    """Names of methods, and shares at both temperatures on one split."""
    train, cal, test, warm = parts
    model = clone(start).fit(X[train], y[train])
    for score in ("absolute", "std"):
        found = ConformalRegressor(model, cv="prefit", conformity_score=score)
        found.fit(X[cal], y[cal])
        yield score, [judge(found, X[i], y[i])[0] for i in (test, warm)]
    stream = AdaptiveConformalRegressor(found, cv="prefit").fit(None, None)
    _, intervals = stream.follow(X[warm], y[warm])
    yield "std, adaptive", [np.nan, coverage(y[warm], intervals)]
    flags = DomainFlags(model, random_state=seed).fit(X[train], X_calibration=X[cal])
    flagged = [flags.grades(X[i]) for i in (test, warm)]
    for name in flagged[0]:
        yield f"flagged by {name}", [np.mean(f[name] > 1) for f in flagged]
    either = [np.mean((f["std"] > 1) | (f["distance"] > 1)) for f in flagged]
    yield "flagged by std or distance", either


def load(folder: Path, names) -> Structures | None:
    frames = []
    for name in names:
        path = folder / f"{name}.extxyz.xz"
        if path.exists():
            text = lzma.decompress(path.read_bytes()).decode()
        elif path.with_suffix("").exists():
            text = path.with_suffix("").read_text()
        else:
            print(f"\nskipped: {name} is not in {folder}")
            return None
        frames += read(io.StringIO(text), ":", format="extxyz")
    return Structures(frames)


def of_molecule(name, sizes):
    """A section of energies of one molecule."""

    def run(folder, n_splits, kinds):
        frames = load(folder, FILES[name])
        if frames is not None:
            energies(name, frames, read_energies(frames), sizes, n_splits, kinds)

    return run


def of_temperatures(section, sizes):
    """A section of acetylacetone at two temperatures."""

    def run(folder, n_splits, kinds):
        frames = load(folder, FILES["acac"])
        if frames is not None:
            hot = np.array([a.info["config_type"] == "600K_MD" for a in frames])
            section(frames, read_energies(frames), hot, sizes, n_splits, kinds)

    return run


SECTIONS = {
    "3BPA": of_molecule("3BPA", (300, 100)),
    "ethanol": of_molecule("ethanol", (400, 200)),
    "mixed": of_temperatures(mixed, (450, 200)),
    "networks": of_temperatures(mixed_networks, (450, 200)),
    "shift": of_temperatures(shift, (330, 140)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the files")
    parser.add_argument("--splits", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["process"])
    parser.add_argument("--labels", type=int, help="to choose hyperparameters on")
    parser.add_argument("--smoke", action="store_true", help="run in seconds")
    args = parser.parse_args()
    MODELS["process"] = partial(process_of, n_labels=args.labels)
    if args.smoke or args.data is None:
        data = load_dataset("malonaldehyde", "train")
        frames = Structures(data.frames[:120])
        y = read_energies(frames)
        energies("malonaldehyde", frames, y, (50, 30), 1, [*MODELS])
        return
    begin = time.perf_counter()
    for section in args.only:
        SECTIONS[section](args.data, args.splits, args.models)
        print(f"\n{time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
