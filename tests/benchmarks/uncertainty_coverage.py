"""Coverage and width of intervals over random splits, in groups, and under a shift.

    python tests/benchmarks/uncertainty_coverage.py --data DIR [--splits 50] [--smoke]

DIR holds 3BPA, acetylacetone and ethanol (github.com/davkovacs/BOTNet-datasets, extxyz,
plain or .xz). Energies: a Gaussian process of scikit-learn on SOAP summed by species, in
principal components of the training part; its hyperparameters are those of the first
split. Forces: AtomicRidge on ACSF. Level 0.9. `--smoke` takes shipped data and few splits;
sections whose data or peer is missing are skipped.
"""

import argparse
import io
import lzma
import time
import warnings
from pathlib import Path

import numpy as np
from ase.build import fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from ase.io import read
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import QuantileRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF, SOAP
from skatom.metrics import coverage, mean_width, winkler_score
from skatom.models import AtomicRidge
from skatom.potential import predict_forces
from skatom.preprocessing import PerAtom, Pool
from skatom.structures import Structures, fingerprints, read_energies
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    ConformalRegressor,
    DomainFlags,
    LatentDistance,
)

LEVEL = 0.9
FILES = {
    "3BPA": ["3BPA_train_300K"],
    "ethanol": ["ethanol_train"],
    "acac": ["acac_train_300K", "acac_train_600K"],
}


class Process(RegressorMixin, BaseEstimator):
    """A Gaussian process on rows of components, whose last column is the group."""

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
            self.gp_.fit(X[:, :-1], y)
        return self

    def predict(self, X, return_std=False):
        return self.gp_.predict(X[:, :-1], return_std=return_std)

    def latent(self, X):
        return X.values[:, :-1]


class Known(RegressorMixin, BaseEstimator):
    """Predictions that have been made once, found again by the content of structures."""

    def fit(self, model, frames):
        keys = fingerprints(frames).tolist()
        self.energies_ = dict(zip(keys, model.predict(frames)))
        self.forces_ = dict(zip(keys, predict_forces(model, frames)))
        return self

    def predict(self, X):
        return np.array([self.energies_[key] for key in fingerprints(X).tolist()])

    def predict_forces(self, X):
        return [self.forces_[key] for key in fingerprints(X).tolist()]


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


def group_of(X):
    return X[:, -1]


def energies(name, X, y, sizes, n_splits):
    """Every interval method on one source."""
    rows, kernel = {}, None
    for seed in range(n_splits):
        train, cal, test = split(len(X), sizes, seed)
        model = Process(kernel).fit(X[train], y[train])
        kernel = model.gp_.kernel_
        scores = {
            "split, absolute": "absolute",
            "split, std": "std",
            "split, latent distance": LatentDistance(model).fit(X[train]),
        }
        for label, score in scores.items():
            found = ConformalRegressor(model, cv="prefit", conformity_score=score)
            row = judge(found.fit(X[cal], y[cal]), X[test], y[test])
            rows.setdefault(label, []).append(row)
        few = ConformalRegressor(model, cv="prefit").fit(X[cal[:19]], y[cal[:19]])
        rows.setdefault("split, 19 structures", []).append(judge(few, X[test], y[test]))
        folds = ConformalRegressor(Process(kernel), method="cv+")
        rows.setdefault("cv+, 5 folds", []).append(
            judge(folds.fit(X[train], y[train]), X[test], y[test])
        )
        one_out = ConformalRegressor(Process(kernel), method="jackknife+")
        few = train[:60]
        rows.setdefault("jackknife+, 60 structures", []).append(
            judge(one_out.fit(X[few], y[few]), X[test], y[test])
        )
        both = np.concatenate([train, cal])
        quantiles = make_pipeline(
            PCA(20), StandardScaler(), QuantileRegressor(alpha=1e-4)
        )
        cqr = ConformalRegressor(
            quantiles, method="cqr", calibration_size=len(cal), random_state=seed
        )
        rows.setdefault("cqr, 20 components", []).append(
            judge(cqr.fit(X[both], y[both]), X[test], y[test])
        )
    show(
        f"{name}, energies, {sizes} + rest, {n_splits} splits (spread of y "
        f"{1e3 * y.std():.0f} meV)",
        ["intervals", "coverage", "width (meV)", "Winkler (meV)"],
        summary(rows),
    )
    ratio = np.mean(rows["split, std"], axis=0) / np.mean(
        rows["split, absolute"], axis=0
    )
    print(f"\nstd / absolute: width {ratio[1]:.3f}, Winkler {ratio[2]:.3f}")


def mixed(X, y, hot, sizes, n_splits):
    """Two temperatures together."""
    rows, kernel = {}, None
    for seed in range(n_splits):
        train, cal, test = split(len(X), sizes, seed)
        model = Process(kernel).fit(X[train], y[train])
        kernel = model.gp_.kernel_
        options = {
            "absolute": {},
            "std": {"conformity_score": "std"},
            "latent distance": {
                "conformity_score": LatentDistance(model).fit(X[train])
            },
            "absolute, by temperature": {"groups": group_of},
            "std, by temperature": {"conformity_score": "std", "groups": group_of},
        }
        for label, option in options.items():
            found = ConformalRegressor(model, cv="prefit", **option).fit(X[cal], y[cal])
            row = judge(found, X[test], y[test])
            for one in (False, True):
                own = test[hot[test] == one]
                row.append(judge(found, X[own], y[own])[0])
            rows.setdefault(label, []).append(row)
    show(
        f"acac 300 K and 600 K together, {sizes} + rest, {n_splits} splits",
        ["intervals", "coverage", "width (meV)", "Winkler (meV)", "300 K", "600 K"],
        {
            name: values + [f"{v:.3f}" for v in np.mean(rows[name], axis=0)[3:]]
            for name, values in summary(rows).items()
        },
    )
    base = np.mean(rows["absolute"], axis=0)
    for name in ("std", "std, by temperature"):
        ratio = np.mean(rows[name], axis=0) / base
        print(f"\n{name} / absolute: width {ratio[1]:.3f}, Winkler {ratio[2]:.3f}")


def shift(X, y, hot, sizes, n_splits):
    """Calibrated at 300 K, asked at 600 K."""
    cold, warm = np.flatnonzero(~hot), np.flatnonzero(hot)
    rows, kernel = {}, None
    for seed in range(n_splits):
        train, cal, test = (cold[i] for i in split(len(cold), sizes, seed))
        model = Process(kernel).fit(X[train], y[train])
        kernel = model.gp_.kernel_
        for score in ("absolute", "std"):
            found = ConformalRegressor(model, cv="prefit", conformity_score=score)
            found.fit(X[cal], y[cal])
            shares = [judge(found, X[i], y[i])[0] for i in (test, warm)]
            rows.setdefault(score, []).append(shares)
        stream = AdaptiveConformalRegressor(found, cv="prefit").fit(None, None)
        _, intervals = stream.follow(X[warm], y[warm])
        late = coverage(y[warm], intervals)
        rows.setdefault("std, adaptive", []).append([np.nan, late])
        flags = DomainFlags(model, random_state=seed)
        flags.fit(X[train], X_calibration=X[cal])
        flagged = [flags.grades(X[i]) for i in (test, warm)]
        for name in flagged[0]:
            row = [np.mean(f[name] > 1) for f in flagged]
            rows.setdefault(f"flagged by {name}", []).append(row)
        row = [np.mean((f["std"] > 1) | (f["distance"] > 1)) for f in flagged]
        rows.setdefault("flagged by std or distance", []).append(row)
    show(
        f"acac, trained and calibrated at 300 K ({sizes} + rest), {n_splits} splits",
        ["", "300 K", "600 K"],
        {n: [f"{v:.3f}" for v in np.mean(r, axis=0)] for n, r in rows.items()},
    )


def forces(name, frames, y, sizes, n_splits):
    """Components, vectors and elements, one at random and all at once."""
    rows = {}
    train = np.random.default_rng(0).permutation(len(frames))[: sizes[0]]
    rest = np.setdiff1d(np.arange(len(frames)), train)
    model = make_pipeline(ACSF(r_cut=5.0), PerAtom(StandardScaler()), AtomicRidge())
    model = Known().fit(model.fit(frames[train], y[train]), frames[rest])
    for seed in range(n_splits):
        cal, test = (rest[i] for i in split(len(rest), sizes[1:], seed))
        found = ConformalRegressor(model, cv="prefit").fit(frames[cal], y[cal])
        for label, share in force_shares(found, frames[test]).items():
            rows.setdefault(label, []).append(share)
    show(
        f"{name}, forces, {sizes[0]} to train, {sizes[1]} to calibrate, {n_splits} splits",
        ["intervals", "coverage"],
        {label: [spread(share)] for label, share in rows.items()},
    )


def force_shares(model, frames):
    """Mean share covered per structure, in every way that it is promised."""
    labels = [a.calc.results["forces"] for a in frames]
    shares = {}
    for at_once in (False, True):
        suffix = ", all at once" if at_once else ""
        found, ends = model.predict_forces_interval(frames, simultaneous=at_once)
        _, radii = model.predict_forces_radius(frames, simultaneous=at_once)
        _, by_element = model.predict_forces_interval(
            frames, simultaneous=at_once, by_element=True
        )
        reduce = np.all if at_once else np.mean
        inside = [(e[..., 0] <= f) & (f <= e[..., 1]) for e, f in zip(ends, labels)]
        shares["components" + suffix] = np.mean([reduce(i) for i in inside])
        near = [
            np.linalg.norm(p - f, axis=1) <= r for p, f, r in zip(found, labels, radii)
        ]
        shares["vectors" + suffix] = np.mean([reduce(i) for i in near])
        inside = [
            (e[..., 0] <= f) & (f <= e[..., 1]) for e, f in zip(by_element, labels)
        ]
        for z in np.unique(frames.numbers):
            own = [
                reduce(i[a.numbers == z])
                for i, a in zip(inside, frames)
                if z in a.numbers
            ]
            shares[chemical_symbols[z] + suffix] = np.mean(own)
    return shares


def copper_and_carbon_monoxide(n_train, n_test):
    """The acceptance test of AmpTorch: latent distances on Cu(111) with CO, by EMT."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(n_train + n_test):
        atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
        top = atoms.positions[-1] + [0, 0, 1.9]
        adsorbate = molecule("CO")
        adsorbate.rotate(180, "x")
        adsorbate.translate(top - adsorbate.positions[1])
        atoms += adsorbate
        atoms.rattle(0.05, rng=rng)
        live = atoms.copy()
        live.calc = EMT()
        energy = live.get_potential_energy()
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        frames.append(atoms)
    frames = Structures(frames)
    y = read_energies(frames)
    model = ConformalRegressor(
        make_pipeline(
            ACSF(r_cut=5.0, g4=None),
            PerAtom(StandardScaler()),
            AtomicRidge(forces=None),
        ),
        conformity_score="latent",
        calibration_size=0.1,
        random_state=0,
    ).fit(frames[:n_train], y[:n_train])
    found, width, _ = judge(model, frames[n_train:], y[n_train:])
    print(
        f"\nCu(111) + CO by EMT, {n_train} + {n_test}: coverage {found:.3f}, "
        f"|miscoverage - 0.1| = {abs(0.9 - found):.3f} (AmpTorch asks for < 0.05), "
        f"width {width:.0f} meV, spread of energies {1e3 * y.std():.0f} meV"
    )


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


def rows_of(frames, groups=None):
    """Components of summed SOAP, fitted on all frames alike; the group comes last."""
    pooled = make_pipeline(
        SOAP(r_cut=5.0, n_max=5, l_max=3), Pool("sum", by_species=True)
    ).fit_transform(frames)
    rows = PCA(min(300, len(frames) - 1)).fit_transform(pooled)
    rows /= np.sqrt((rows**2).sum(axis=1).mean())
    last = np.zeros(len(frames)) if groups is None else groups
    return np.column_stack([rows, last]), read_energies(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the files")
    parser.add_argument("--splits", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    parser.add_argument("--smoke", action="store_true", help="run in seconds")
    args = parser.parse_args()
    if args.smoke or args.data is None:
        data = load_dataset("malonaldehyde", "train")
        frames = Structures(data.frames[:120])
        X, y = rows_of(frames)
        energies("malonaldehyde", X, y, (50, 30), 1)
        forces("malonaldehyde", frames, y, (15, 40), 1)
        copper_and_carbon_monoxide(100, 30)
        return
    begin = time.perf_counter()
    for section in args.only:
        SECTIONS[section](args.data, args.splits)
    print(f"\n{time.perf_counter() - begin:.0f} s")


def of_molecule(name, sizes, force_sizes):
    """Sections of energies and of forces of one molecule."""

    def energy_section(folder, n_splits):
        frames = load(folder, FILES[name])
        if frames is not None:
            energies(name, *rows_of(frames), sizes, n_splits)

    def force_section(folder, n_splits):
        frames = load(folder, FILES[name])
        if frames is not None:
            forces(name, frames, read_energies(frames), force_sizes, n_splits)

    return {f"{name}-energies": energy_section, f"{name}-forces": force_section}


def of_temperatures(section, sizes):
    """A section of acetylacetone at two temperatures."""

    def run(folder, n_splits):
        frames = load(folder, FILES["acac"])
        if frames is not None:
            hot = np.array([a.info["config_type"] == "600K_MD" for a in frames])
            section(*rows_of(frames, hot), hot, sizes, n_splits)

    return run


SECTIONS = {
    **of_molecule("3BPA", (300, 100), (60, 150)),
    **of_molecule("ethanol", (400, 200), (100, 200)),
    "mixed": of_temperatures(mixed, (450, 200)),
    "shift": of_temperatures(shift, (330, 140)),
    "copper": lambda folder, n_splits: copper_and_carbon_monoxide(2000, 1000),
}


if __name__ == "__main__":
    main()
