"""Coverage of force intervals over random splits, and the acceptance test of AmpTorch.

    python tests/benchmarks/uncertainty_forces.py --data DIR [--splits 50] [--smoke]

DIR holds 3BPA and ethanol (github.com/davkovacs/BOTNet-datasets, extxyz, plain or .xz).
AtomicRidge on ACSF, level 0.9: components, vectors and elements, one at random and all at
once. Cu(111) with CO by EMT: latent distances and energies. `--smoke` takes shipped data
and one split; data that is missing is skipped.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from ase.build import fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from uncertainty_coverage import FILES, judge, load, show, split, spread

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.potential import predict_forces
from skatom.preprocessing import PerAtom
from skatom.structures import Structures, fingerprints, read_energies
from skatom.uncertainty import ConformalRegressor

SIZES = {"3BPA": (60, 150), "ethanol": (100, 200)}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the files")
    parser.add_argument("--splits", type=int, default=50)
    parser.add_argument("--smoke", action="store_true", help="run in seconds")
    args = parser.parse_args()
    if args.smoke or args.data is None:
        frames = Structures(load_dataset("malonaldehyde", "train").frames[:120])
        forces("malonaldehyde", frames, read_energies(frames), (15, 40), 1)
        copper_and_carbon_monoxide(100, 30)
        return
    begin = time.perf_counter()
    for name, sizes in SIZES.items():
        frames = load(args.data, FILES[name])
        if frames is not None:
            forces(name, frames, read_energies(frames), sizes, args.splits)
    copper_and_carbon_monoxide(2000, 1000)
    print(f"\n{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
