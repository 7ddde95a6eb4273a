"""Accuracy of NeuralNetworkRegressor beside published numbers, one table a data set.

    python tests/benchmarks/accuracy_networks.py --data DIR [SET ...] [--smoke]

DIR holds extended-XYZ files (also .xz) and the HDF5 file of ANI-1, where `FILES` says;
malonaldehyde comes with the package. A set that is missing is skipped. Hyperparameters
were chosen with 200 frames of malonaldehyde's training split and are used for all.
"""

import argparse
import io
import lzma
import time
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.calculator import SkatomCalculator
from skatom.datasets import load_dataset
from skatom.featurizers import ACSF, GMP, WeightedACSF
from skatom.metrics import force_errors
from skatom.models import CompositionBaseline, NeuralNetworkRegressor
from skatom.potential import make_potential
from skatom.preprocessing import PerAtom
from skatom.structures import read_energies

FILES = {
    "aspirin": "rmd17/rmd17_aspirin_{}_split1.extxyz.xz",
    "ethanol": "botnet/ethanol_train.extxyz.xz",
    "ani1": "ani1/ani_gdb_s01.h5",
    "flla": "flla/flla_dev.extxyz.xz",
    "nbmotaw": "snap_mvl/NbMoTaW_train.extxyz.xz",
}
# MAE of energies (meV) and forces (meV/Å) with 1000 frames, where published.
PUBLISHED = {
    "malonaldehyde": "ANI 4.6 / 24.5",
    "aspirin": "ANI 16.6 / 40.6",
    "ethanol": "ANI 2.5 / 13.4",
}
FORCES = {
    "hidden_layers": (64, 64, 64), "activation": "silu", "optimizer": "layerwise_adam",
    "lr": 2e-2, "lr_schedule": "cosine", "batch_size": 16, "validation_fraction": 0.05,
    "patience": None, "residual": True, "cache_size": 2000, "random_state": 0,
}  # fmt: skip
# Finer than the default; chosen on alloys and crystals outside the test parts below.
MANY_WIDTHS = GMP(6.0, sigmas=np.geomspace(0.2, 2.0, 10).tolist(), max_order=4)


def frames_of(path: Path) -> list[Atoms]:
    """Read a file in one go: seeking inside a compressed one takes minutes."""
    text = path.read_bytes()
    if path.suffix == ".xz":
        text = lzma.decompress(text)
    return read(io.StringIO(text.decode()), ":", format="extxyz")


def shuffled(frames: list[Atoms], n_train: int, n_test: int) -> tuple[list, list]:
    order = np.random.RandomState(0).permutation(len(frames))
    picked = [frames[k] for k in order[: n_train + n_test]]
    return picked[:n_train], picked[n_train:]


def errors(model, frames, y, forces: bool) -> tuple[float, float]:
    """MAE of energies in meV, of forces in meV/Å."""
    energy = 1e3 * np.abs(model.predict(frames) - y).mean()
    force = 1e3 * np.abs(force_errors(model, frames)).mean() if forces else np.nan
    return energy, force


def fitted(features, settings: dict, train, y):
    """A potential and the CPU seconds that it took to fit."""
    start = time.process_time()
    model = make_potential(*features, NeuralNetworkRegressor(**settings)).fit(train, y)
    return model, time.process_time() - start


def row(name: str, model, test, y, seconds: float, forces: bool, note: str = ""):
    energy, force = errors(model, test, y, forces)
    if seconds:
        net = model[-1].net_.module_
        note = f"{sum(p.numel() for p in net.parameters())} weights. {note}"
    print(
        f"| {name} | {energy:.2f} | {force:.1f} | {seconds:.0f} | {note} |", flush=True
    )


def head(title: str) -> None:
    print(f"\n{title}\n\n| model | E MAE (meV) | F MAE (meV/Å) | fit (CPU s) | |")
    print("|---|---|---|---|---|", flush=True)


def molecule(name: str, data: Path, smoke: bool, epochs: int, weighted: bool):
    """One molecule, 950 to 1000 frames with forces, energies in the same fit."""
    if name == "malonaldehyde":
        splits = [list(load_dataset(name, part).frames) for part in ("train", "test")]
    elif name == "ethanol":
        splits = shuffled(frames_of(data / FILES[name]), 950, 50)
    else:
        splits = [
            frames_of(data / FILES[name].format(part)) for part in ("train", "test")
        ]
    train, test = (part[:20] if smoke else part for part in splits)
    settings = FORCES | {"max_epochs": 2 if smoke else epochs}
    head(f"{name}, {len(train)} training frames")
    y, y_test = read_energies(train), read_energies(test)
    row("composition", CompositionBaseline().fit(train, y), test, y_test, 0, True)
    model, seconds = fitted([ACSF(r_cut=5.0)], settings, train, y)
    note = f"published: {PUBLISHED[name]}"
    row("per element, ACSF", model, test, y_test, seconds, True, note)
    if weighted:
        model, seconds = fitted([WeightedACSF(r_cut=5.0)], settings, train, y)
        row("per element, wACSF", model, test, y_test, seconds, True)
    if name == "malonaldehyde":
        drift(model, test[0], smoke)


def drift(model, atoms: Atoms, smoke: bool) -> None:
    """Drift of the total energy in 10 ps at 300 K, as a share of the kinetic energy."""
    steps = 20 if smoke else 20000
    atoms = atoms.copy()
    atoms.calc = SkatomCalculator(model)
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.RandomState(0))
    Stationary(atoms)
    run = VelocityVerlet(atoms, 0.5 * units.fs)
    totals, kinetic = [], []

    def look():
        totals.append(atoms.get_total_energy())
        kinetic.append(atoms.get_kinetic_energy())

    run.attach(look, interval=10)
    run.run(steps)
    t = np.arange(len(totals))
    slope = np.polyfit(t, totals, 1)[0] * len(t)
    print(
        f"\nNVE, {steps / 2000} ps in steps of 0.5 fs: drift "
        f"{abs(slope) / np.mean(kinetic):.2%} of the kinetic energy, standard deviation "
        f"{1e3 * np.std(totals):.2f} meV"
    )


def ani1(data: Path, smoke: bool) -> None:
    """The demonstration of ML4Chem: 500 structures, networks of (10, 10)."""
    import h5py

    frames = []
    with h5py.File(data / FILES["ani1"]) as file:
        for group in file["gdb11_s01"].values():
            symbols = [s.decode() for s in group["species"][:]]
            for x, e in zip(group["coordinates"][:], group["energies"][:]):
                frames.append(Atoms(symbols, x, info={"energy": e * units.Hartree}))
    train, test = shuffled(frames, *((20, 20) if smoke else (500, 1000)))
    y, y_test = read_energies(train), read_energies(test)
    head("ANI-1 s01, 500 training structures without forces")
    row("composition", CompositionBaseline().fit(train, y), test, y_test, 0, False)
    settings = {
        "hidden_layers": (10, 10), "optimizer": "layerwise_adam", "lr_schedule": "cosine",
        "batch_size": 30, "max_epochs": 2 if smoke else 400, "patience": None,
        "validation_fraction": 0.1, "random_state": 0,
    }  # fmt: skip
    radial = ACSF(r_cut=6.5, n_radial=8, n_angular=2)
    before = time.process_time()
    model, seconds = fitted([radial], settings, train, y)
    cpu = time.process_time() - before
    note = f"{cpu:.0f} s of CPU time; published 1088 (0.04 Ha), asked 27.2 (0.001 Ha)"
    row("per element (10, 10)", model, test, y_test, seconds, False, note)


def flla(data: Path, smoke: bool) -> None:
    """Formation energies of crystals of 85 elements with one network."""
    frames = [a for a in frames_of(data / FILES["flla"]) if len(a) > 1]
    train, test = shuffled(frames, *((40, 10) if smoke else (3000, 600)))
    known = {s for a in train for s in a.symbols}
    test = [a for a in test if set(a.symbols) <= known]
    name = "formation_energy_per_atom"
    y, y_test = (np.array([a.info[name] for a in part]) for part in (train, test))
    print(f"\nFLLA, {len(train)} training crystals, {len(known)} elements\n")
    print("| model | MAE (eV/atom) | fit (CPU s) | weights |\n|---|---|---|---|")
    base = NeuralNetworkRegressor((), target="mean", max_epochs=1, random_state=0)
    features = MANY_WIDTHS
    baseline = make_pipeline(features, base).fit(train, y)
    found = np.abs(baseline.predict(test) - y_test).mean()
    print(f"| elements alone | {found:.3f} | | |", flush=True)
    settings = {
        "hidden_layers": (64, 64, 64), "activation": "silu", "target": "mean",
        "networks": "single", "optimizer": "layerwise_adam", "lr_schedule": "cosine",
        "lr": 3e-3, "batch_size": 64, "max_epochs": 2 if smoke else 100,
        "validation_fraction": 0.1, "random_state": 0, "loss": "mae",
    }  # fmt: skip
    steps = [features, PerAtom(StandardScaler())]
    model, seconds = fitted(steps, settings, train, y)
    found = np.abs(model.predict(test) - y_test).mean()
    size = sum(p.numel() for p in model[-1].net_.module_.parameters())
    print(f"| single, GMP | {found:.3f} | {seconds:.0f} | {size} |", flush=True)


def nbmotaw(data: Path, smoke: bool) -> None:
    """An alloy of four elements with forces: one network on GMP, four on ACSF."""
    frames = [a for a in frames_of(data / FILES["nbmotaw"]) if len(a) > 1]
    train, test = shuffled(frames, *((8, 4) if smoke else (300, 100)))
    y, y_test = read_energies(train), read_energies(test)
    head("NbMoTaW, 300 training frames (energies of whole frames)")
    row("composition", CompositionBaseline().fit(train, y), test, y_test, 0, True)
    settings = FORCES | {"max_epochs": 2 if smoke else 60, "batch_size": 4}
    single = settings | {"networks": "single"}
    gmp = [MANY_WIDTHS, PerAtom(StandardScaler())]
    acsf = [ACSF(r_cut=5.0, n_radial=8, n_angular=2)]
    for name, features, chosen in (
        ("single, GMP", gmp, single),
        ("per element, ACSF", acsf, settings),
    ):
        model, seconds = fitted(features, chosen, train, y)
        row(name, model, test, y_test, seconds, True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", help="all by default")
    parser.add_argument("--data", type=Path, help="folder of the files")
    parser.add_argument("--smoke", action="store_true", help="a few frames only")
    parser.add_argument("--epochs", type=int, default=300, help="of molecules")
    parser.add_argument("--weighted", action="store_true", help="wACSF too")
    arguments = parser.parse_args()
    for name in arguments.sets or ["malonaldehyde", *FILES]:
        path = FILES.get(name, "").format("train")
        known = arguments.data is not None and (arguments.data / path).exists()
        if path and not known:
            print(f"\n{name}: skipped, {path} is not in --data")
        elif name in PUBLISHED:
            molecule(
                name,
                arguments.data,
                arguments.smoke,
                arguments.epochs,
                arguments.weighted,
            )
        else:
            globals()[name](arguments.data, arguments.smoke)


if __name__ == "__main__":
    main()
