"""Time an epoch of NeuralNetworkRegressor on energies and on forces, against the floor.

Run ``python tests/benchmarks/bench_neural_network.py`` (seconds with ``--smoke``). One
thread, CPU time, best epoch of a few. The floor is what the arithmetic and the memory
traffic alone cost on this machine, measured in the same run: the multiplications of the
networks as one large sgemm, and two passes over the stored derivatives.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import NeuralNetworkRegressor
from skatom.models._network.pair_gradients import StoredJacobian
from skatom.preprocessing import PerAtom
from skatom.structures import read_energies

EPOCHS = 4
# Passes through the networks: forward and backward are three products of the size of the
# forward one; with forces the gradient and its derivative double that.
PASSES = {"energies": 3, "forces": 6}


def data_sets(smoke):
    """Frames with energies and forces, by name."""
    n = 20 if smoke else 500
    molecules = list(load_dataset("3bpa", "train").frames[:n])
    crystals = [copper(seed) for seed in range(2 if smoke else 20)]
    return {f"3BPA {n} x 27": molecules, f"Cu {len(crystals)} x 108": crystals}


def copper(seed):
    """A rattled cell of 108 atoms with EMT's energy and forces."""
    atoms = bulk("Cu", cubic=True).repeat(3)
    atoms.rattle(0.1, seed=seed)
    live = atoms.copy()
    live.calc = EMT()
    atoms.calc = SinglePointCalculator(
        atoms, energy=live.get_potential_energy(), forces=live.get_forces()
    )
    return atoms


class Clock(Callback):
    """CPU time at the end of every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.times = []

    def on_epoch_end(self, net, **kwargs):
        self.times.append(time.process_time())


def epoch_seconds(X, y, **params):
    """CPU seconds of the best epoch."""
    clock = Clock()
    NeuralNetworkRegressor(
        max_epochs=EPOCHS, random_state=0, validation_fraction=0.0,
        net_params={"callbacks": [("clock", clock)]}, **params,
    ).fit(X, y)  # fmt: skip
    return np.diff(clock.times).min()


def gemm_rate():
    """Flop a second of a large product in float32."""
    a = np.ones((1000, 1000), dtype=np.float32)
    a @ a
    start = time.process_time()
    for _ in range(5):
        a @ a
    return 5 * 2e9 / (time.process_time() - start)


def stream_rate():
    """Bytes a second of reading a large array."""
    a = np.ones(2**26, dtype=np.float32)
    start = time.process_time()
    for _ in range(3):
        a.sum()
    return 3 * a.nbytes / (time.process_time() - start)


def report(name, X, y):
    """Print one line a batch size."""
    n_atoms, n_features = X.values.shape
    start = time.process_time()
    stored = StoredJacobian.build(X, np.float32, False, 4e9)
    building = time.process_time() - start
    flops = 2 * n_atoms * (n_features * 64 + 64 * 64 + 64)
    floor = {mode: passes * flops / gemm_rate() for mode, passes in PASSES.items()}
    floor["forces"] += 2 * stored.blocks.nbytes / stream_rate()
    print(
        f"\n{name}: {n_features} features, derivatives {stored.blocks.nbytes / 1e6:.0f} "
        f"MB in {building:.2f} s"
    )
    print("batch   energies (floor)      forces, stored (floor)   forces, recomputed")
    for batch_size in (10, 50):
        common = {"batch_size": batch_size}
        e = epoch_seconds(X, y, forces=None, **common)
        f = epoch_seconds(X, y, cache_size=4000, **common)
        r = epoch_seconds(X, y, cache_size=0, **common)
        print(
            f"{batch_size:5d}   {e:.3f} s (x{e / floor['energies']:.1f})"
            f"{'':8}{f:.3f} s (x{f / floor['forces']:.1f}){'':11}{r:.3f} s"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a few structures only")
    arguments = parser.parse_args()
    for name, frames in data_sets(arguments.smoke).items():
        X = ACSF(n_radial=8, n_angular=2).fit_transform(frames)
        X = PerAtom(StandardScaler()).fit_transform(X)
        report(name, X, read_energies(frames))


if __name__ == "__main__":
    main()
