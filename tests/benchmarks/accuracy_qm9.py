"""Learning curves on QM9: atomization energies and lengths of dipole moments.

    python tests/benchmarks/accuracy_qm9.py --data DIR [--models ACSF wACSF SOAP GMP SchNet]
        [--targets energy dipole] [--sizes 1000 4000 10000] [--smoke]

DIR holds ``qm9/qm9_dev12k.extxyz.xz``. One random draw: the first n molecules of it train,
1000 others are the test. Per-element networks on each featurizer with the same settings,
SchNet with its own; none was tuned on these molecules. Without the file, or with
``--smoke`` alone, the two dozen molecules of ASE's G2 set stand in, to show that it runs.
"""

import argparse
import io
import lzma
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.io import read
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base import Target
from skatom.featurizers import ACSF, GMP, SOAP, WeightedACSF
from skatom.models import CompositionBaseline, NeuralNetworkRegressor, SchNetRegressor
from skatom.preprocessing import PerAtom

N_TEST = 1000
FEATURES = {
    "ACSF": lambda: [ACSF(r_cut=5.0, n_radial=8, n_angular=2, dtype="float32")],
    "wACSF": lambda: [WeightedACSF(r_cut=5.0, dtype="float32")],
    "SOAP": lambda: [
        SOAP(5.0, n_max=6, l_max=4, compression="mu1nu1", dtype="float32"),
    ],
    "GMP": lambda: [GMP(r_cut=6.0, dtype="float32"), PerAtom(StandardScaler())],
}
# key of the label, target, unit and factor to the unit that is printed
DIPOLE = Target("dipole_magnitude", "Debye", "magnitude")
TARGETS = {
    "energy": ("atomization_energy_eV", "energy", "meV", 1e3),
    "dipole": ("mu_D", DIPOLE, "mD", 1e3),
}
NETWORK = {
    "hidden_layers": (128, 128), "activation": "silu", "optimizer": "layerwise_adam",
    "lr_schedule": "cosine", "batch_size": 64, "max_epochs": 60, "patience": None,
    "size_exponent": 0.0, "loss": "huber", "huber_delta": 0.05, "random_state": 0,
}  # fmt: skip
SCHNET = {
    "lr_schedule": "cosine", "batch_size": 32, "max_epochs": 60, "patience": None,
    "size_exponent": 0.0, "random_state": 0,
}  # fmt: skip


def molecules(folder: Path | None, n: int) -> list[Atoms]:
    """Draw n molecules at random, with their labels in ``info``."""
    path = folder and folder / "qm9" / "qm9_dev12k.extxyz.xz"
    if path is None or not path.exists():
        print("skipped: no QM9 in --data; molecules of ASE with made-up labels instead")
        return stand_ins(n)
    text = lzma.decompress(path.read_bytes()).decode()
    frames = read(io.StringIO(text), ":", format="extxyz")
    order = np.random.RandomState(0).permutation(len(frames))
    return [frames[k] for k in order[:n]]


def stand_ins(n: int) -> list[Atoms]:
    rng, frames = np.random.default_rng(0), []
    for k in range(n):
        atoms = molecule(("H2O", "CH3OH", "CH4", "CH3CN", "C2H6")[k % 5])
        atoms.rattle(0.05, rng=rng)
        distances = atoms.get_all_distances()
        bonds = np.sum(distances[np.triu_indices(len(atoms), 1)] ** -2)
        atoms.info.update(atomization_energy_eV=-bonds, mu_D=distances.max())
        frames.append(atoms)
    return frames


def model_of(name: str, target: str | Target, smoke: bool):
    short = {"max_epochs": 2} if smoke else {}
    if name == "SchNet":
        return make_pipeline(SchNetRegressor(target=target, **(SCHNET | short)))
    network = NeuralNetworkRegressor(target=target, **(NETWORK | short))
    return make_pipeline(*FEATURES[name](), network)


def guess(target: str | Target, train: list[Atoms], y: np.ndarray, test: list[Atoms]):
    """What composition, or for dipoles the mean, says of the test molecules."""
    if target == "energy":
        return CompositionBaseline().fit(train, y).predict(test)
    return np.full(len(test), y.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [*FEATURES, "SchNet"]
    parser.add_argument("--data", type=Path, help="folder with qm9/ inside")
    parser.add_argument("--models", nargs="+", choices=known, default=known)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=[*TARGETS])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 4000, 10000])
    parser.add_argument("--smoke", action="store_true", help="run in seconds")
    args = parser.parse_args()
    sizes, n_test = ([20], 20) if args.smoke else (args.sizes, N_TEST)
    frames = molecules(args.data, n_test + max(sizes))
    test, rest = frames[:n_test], frames[n_test:]
    print("| target | training | model | MAE | without a model | fit (CPU s) |")
    print("|---|---|---|---|---|---|")
    for named in args.targets:
        key, target, unit, factor = TARGETS[named]
        y, y_test = (np.array([a.info[key] for a in part]) for part in (rest, test))
        for n in sizes:
            train = rest[:n]
            usual = np.abs(guess(target, train, y[:n], test) - y_test).mean()
            for name in args.models:
                start = time.process_time()
                model = model_of(name, target, args.smoke).fit(train, y[:n])
                seconds = time.process_time() - start
                found = np.abs(model.predict(test) - y_test).mean()
                print(
                    f"| {named} ({unit}) | {n} | {name} | {factor * found:.1f} "
                    f"| {factor * usual:.0f} | {seconds:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
