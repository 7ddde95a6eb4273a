"""Seconds an epoch of SchNet and PaiNN, beside SchNetPack's.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_message_passing.py

500 frames of 3BPA (27 atoms), energies and forces, 64 features, 3 rounds, 20 radial
functions, 5 Å, float32, one thread, CPU time. Ours is a whole epoch of `fit`, batches cut
anew, Adam and records included; SchNetPack's is forward, backward and Adam on batches that
were put together before. The floor is the arithmetic of dense layers at 100 GFLOP/s.
SchNetPack 2.2 installs on Python 3.12 or newer: pip install schnetpack.
"""

import argparse
import time

import numpy as np
import torch
from sklearn.utils import gen_batches

from skatom.datasets import load_dataset
from skatom.models import PaiNNRegressor, SchNetRegressor
from skatom.neighbors import neighbor_pairs
from skatom.structures import check_structures

R_CUT, N_FEATURES, N_INTERACTIONS, N_BASIS = 5.0, 64, 3, 20
SINGLE_PRECISION_FLOPS = 100e9
# multiply-adds of an energy-and-force step over those of its forward pass: forward, one
# backward for the forces, and the backward of both
PASSES = 6.0


def ours(cls, frames, energies, batch_size, epochs):
    """CPU seconds of an epoch: the difference of two trainings."""
    spent = []
    for n in (1, 1, 1 + epochs):  # the first one loads what is compiled
        model = cls(
            n_features=N_FEATURES,
            n_interactions=N_INTERACTIONS,
            n_basis=N_BASIS,
            r_cut=R_CUT,
            batch_size=batch_size,
            max_epochs=n,
            validation_fraction=0.0,
            lr_schedule=None,
            random_state=0,
        )
        began = time.process_time()
        model.fit(frames, energies)
        spent.append(time.process_time() - began)
    return (spent[2] - spent[1]) / epochs


def schnetpack_epoch(name, frames, energies, batch_size, epochs):
    import schnetpack as spk
    import schnetpack.properties as keys
    from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
    from schnetpack.model import NeuralNetworkPotential

    def inputs(part):
        X = check_structures(part)
        pairs = neighbor_pairs(X, R_CUT)
        n = len(part)
        return {
            keys.Z: torch.tensor(pairs.numbers),
            keys.R: torch.tensor(np.concatenate([a.positions for a in part])).float(),
            keys.cell: torch.zeros(n, 3, 3),
            keys.pbc: torch.zeros(3 * n, dtype=torch.bool),
            keys.n_atoms: torch.tensor(X.n_atoms),
            keys.idx_m: torch.tensor(np.repeat(np.arange(n), X.n_atoms)),
            keys.idx_i: torch.tensor(pairs.centers),
            keys.idx_j: torch.tensor(pairs.neighbors),
            keys.offsets: torch.zeros(pairs.n_pairs, 3),
        }

    representation = getattr(spk.representation, name)(
        n_atom_basis=N_FEATURES,
        n_interactions=N_INTERACTIONS,
        radial_basis=spk.nn.GaussianRBF(N_BASIS, R_CUT),
        cutoff_fn=spk.nn.CosineCutoff(R_CUT),
    )
    model = NeuralNetworkPotential(
        representation,
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(n_in=N_FEATURES, output_key=keys.energy), Forces()],
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    left = energies - energies.mean()
    batches = []
    for chosen in gen_batches(len(frames), batch_size):
        forces = np.concatenate([a.get_forces() for a in frames[chosen]])
        labels = torch.tensor(left[chosen]).float(), torch.tensor(forces).float()
        batches.append((inputs(frames[chosen]), *labels))

    def epoch():
        for given, energy, force in batches:
            optimizer.zero_grad()
            out = model(dict(given))
            loss = (out[keys.energy] - energy).square().mean()
            loss = loss + (out[keys.forces] - force).square().mean()
            loss.backward()
            optimizer.step()

    epoch()
    began = time.process_time()
    for _ in range(epochs):
        epoch()
    return (time.process_time() - began) / epochs


def floor(name, frames):
    """Seconds that dense layers need for an epoch of energies and forces."""
    X = check_structures(frames)
    n_pairs, n_atoms = neighbor_pairs(X, R_CUT).n_pairs / 2, len(X.numbers)
    f, b = N_FEATURES, N_BASIS
    if name == "SchNet":
        per_round = n_pairs * (b * f + f * f) + n_atoms * 3 * f * f
    else:
        per_round = n_pairs * 3 * b * f
        per_round += n_atoms * (4 * f * f + 3 * 2 * f * f + 5 * f * f)
    return 2 * PASSES * N_INTERACTIONS * per_round / SINGLE_PRECISION_FLOPS


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--smoke", action="store_true", help="a minimal run")
    parser.add_argument("--frames", type=int, default=500)
    given = parser.parse_args()
    smoke = given.smoke
    torch.set_num_threads(1)
    data = load_dataset("3bpa", "train")
    n, epochs = (20, 1) if smoke else (given.frames, 2)
    frames, energies = data.frames[:n], np.asarray(data.energies[:n])
    try:
        import schnetpack  # noqa: F401
    except ImportError:
        print("schnetpack skipped: not installed")
        schnetpack_epoch_or_none = None
    else:
        schnetpack_epoch_or_none = schnetpack_epoch
    print("s/epoch       batch    skatom  schnetpack   ratio   floor   over it")
    for cls, name in ((SchNetRegressor, "SchNet"), (PaiNNRegressor, "PaiNN")):
        for batch_size in (10,) if smoke else (10, 50):
            mine = ours(cls, frames, energies, batch_size, epochs)
            least = floor(name, frames)
            line = f"{name:12s} {batch_size:6d} {mine:9.3f}"
            if schnetpack_epoch_or_none is None:
                line += f"{'-':>12s}{'-':>8s}"
            else:
                theirs = schnetpack_epoch(name, frames, energies, batch_size, epochs)
                line += f"{theirs:12.3f}{mine / theirs:8.2f}"
            print(f"{line}{least:8.3f}{mine / least:10.1f}")


if __name__ == "__main__":
    main()
