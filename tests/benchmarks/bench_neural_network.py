"""Time networks: a step of dynamics against TorchANI, an epoch against more.

Run ``python tests/benchmarks/bench_neural_network.py`` (seconds with ``--smoke``). One
thread, CPU time, best epoch of a few. The floor is what the arithmetic and the memory
traffic alone cost on this machine, measured in the same run: the multiplications of the
networks as one large sgemm, and two passes over the stored derivatives.

The peers are trained on the same 3BPA frames in the same run, with Adam, in float32:
TorchANI 2.9 with ANI-1x's atomic environment vectors (computed in every epoch, as it
does) and networks 64-64 of every element; SchNetPack 2.2's SchNet, 64 features, 3
interactions, 5 Å, with neighbour lists made beforehand. Peers that are not installed are
skipped.

A step is energy and forces of one structure through ASE, positions new at every step, in
CPU time of one thread: the median of batches that are run in turns with TorchANI's, which
has a bare calculator around its modules (``--steps`` times nothing else).
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from importlib.util import find_spec

import numpy as np
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skatom.calculator import SkatomCalculator
from skatom.datasets import load_dataset
from skatom.featurizers import ACSF, AEV
from skatom.models import NeuralNetworkRegressor
from skatom.models._feature_network.pair_gradients import StoredJacobian
from skatom.preprocessing import PerAtom
from skatom.structures import read_energies

EPOCHS = 4
# Passes through the networks: forward and backward are three products of the size of the
# forward one; with forces the gradient and its derivative double that.
PASSES = {"energies": 3, "forces": 6}


def data_sets(smoke, n_molecules):
    """Frames with energies and forces, by name."""
    n = 20 if smoke else n_molecules
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


# -- peers ---------------------------------------------------------------------------------


def peer_epoch(module, inputs, energies, forces, with_forces, batch_size):
    """CPU seconds of the better of two epochs of a torch module.

    ``module(chosen)`` gives energies of the chosen frames and, from ``positions``, which
    require a gradient, forces follow.
    """
    import torch

    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    best = np.inf
    for _ in range(2):
        start = time.process_time()
        order = np.random.RandomState(0).permutation(len(energies))
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            x, positions = inputs(chosen, with_forces)
            e = module(x).reshape(-1)
            loss = (e - energies[chosen]).square().mean()
            if with_forces:
                slope = torch.autograd.grad(e.sum(), positions, create_graph=True)[0]
                error = slope.reshape(-1, 3) + forces[chosen].reshape(-1, 3)
                loss = loss + error.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        best = min(best, time.process_time() - start)
    return best


def labels_of(frames):
    """Energies without their mean, and forces, as float32 tensors."""
    import torch

    y = read_energies(frames)
    forces = np.array([a.calc.results["forces"] for a in frames])
    return torch.tensor(y - y.mean()).float(), torch.tensor(forces).float()


def torchani_module(frames):
    """TorchANI's functions of ANI-1x and networks 64-64, and the species it knows."""
    os.environ["TORCHANI_NO_WARN_EXTENSIONS"] = "1"
    import torch
    from torchani import nn
    from torchani.aev import AEVComputer, ANIAngular, ANIRadial

    torch.set_num_threads(1)
    species = sorted(set(frames[0].symbols))
    aev = AEVComputer(
        ANIRadial.like_1x(), ANIAngular.like_1x(), num_species=len(species)
    )
    widths = [aev.out_dim, 64, 64, 1]
    module = torch.nn.Module()
    module.nets = nn.ANINetworks(
        {s: nn.AtomicNetwork(widths, activation="gelu", bias=True) for s in species}
    )
    module.forward = lambda x: module.nets(x[0], aev(*x))
    return module, species


def torchani_epochs(frames, batch_size):
    """CPU seconds of an epoch of TorchANI, on energies and with forces."""
    import torch

    module, species = torchani_module(frames)
    numbers = torch.tensor([[species.index(s) for s in a.symbols] for a in frames])
    positions = torch.tensor(np.array([a.positions for a in frames])).float()

    def inputs(chosen, with_forces):
        r = positions[chosen].requires_grad_(with_forces)
        return (numbers[chosen], r), r

    y, f = labels_of(frames)
    return [peer_epoch(module, inputs, y, f, on, batch_size) for on in (False, True)]


def schnet_epochs(frames, batch_size):
    """CPU seconds of an epoch of SchNetPack's SchNet with forces."""
    import schnetpack as spk
    import torch
    from ase.neighborlist import neighbor_list
    from schnetpack import properties as keys

    torch.set_num_threads(1)
    n = len(frames[0])
    numbers = torch.tensor(np.array([a.numbers for a in frames]))
    positions = torch.tensor(np.array([a.positions for a in frames])).float()
    pairs = [[torch.tensor(k) for k in neighbor_list("ij", a, 5.0)] for a in frames]
    module = torch.nn.Module()
    module.schnet = spk.representation.SchNet(
        n_atom_basis=64,
        n_interactions=3,
        radial_basis=spk.nn.GaussianRBF(n_rbf=20, cutoff=5.0),
        cutoff_fn=spk.nn.CosineCutoff(5.0),
    )
    module.distances = spk.atomistic.PairwiseDistances()
    module.atomwise = spk.atomistic.Atomwise(n_in=64, output_key=keys.energy)

    def forward(x):
        return module.atomwise(module.schnet(module.distances(x)))[keys.energy]

    module.forward = forward

    def inputs(chosen, with_forces):
        r = positions[chosen].reshape(-1, 3).requires_grad_(with_forces)
        i, j = (
            torch.cat([pairs[s][side] + n * k for k, s in enumerate(chosen)])
            for side in (0, 1)
        )
        x = {
            keys.Z: numbers[chosen].reshape(-1),
            keys.R: r,
            keys.idx_m: torch.repeat_interleave(torch.arange(len(chosen)), n),
            keys.n_atoms: torch.full((len(chosen),), n),
            keys.idx_i: i,
            keys.idx_j: j,
            keys.offsets: torch.zeros(len(i), 3),
        }
        return x, r

    y, f = labels_of(frames)
    return peer_epoch(module, inputs, y, f, True, batch_size)


# -- a step of dynamics ------------------------------------------------------------------


class Peer(Calculator):
    """TorchANI's modules as an ASE calculator with nothing around them."""

    implemented_properties = ["energy", "forces"]

    def __init__(self, frames):
        super().__init__()
        self.module, self.species = torchani_module(frames)

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        import torch

        super().calculate(atoms, properties, system_changes)
        numbers = torch.tensor([[self.species.index(s) for s in atoms.symbols]])
        positions = torch.tensor(atoms.positions[None], dtype=torch.float)
        positions.requires_grad_(True)
        energy = self.module.forward((numbers, positions)).sum()
        slope = torch.autograd.grad(energy, positions)[0]
        self.results = {"energy": energy.item(), "forces": -slope[0].numpy()}


def step_seconds(atoms, moves):
    """CPU seconds of a step."""
    start = time.process_time()
    for move in moves:
        atoms.positions += move
        atoms.get_forces()
        atoms.get_potential_energy()
    return (time.process_time() - start) / len(moves)


def steps(frames, smoke):
    """Print the time of a step of one molecule, a line a featurizer."""
    y, moving = read_energies(frames), {}
    for name, step in {
        "AEV": AEV.ani1x(species=None),
        "ACSF": ACSF(n_radial=8, n_angular=2),
    }.items():
        net = NeuralNetworkRegressor(
            (64, 64), activation="gelu", max_epochs=1, forces=None, random_state=0
        )
        calc = SkatomCalculator(make_pipeline(step, net).fit(frames, y))
        moving[name] = frames[0].copy()
        moving[name].calc = calc
    if find_spec("torchani"):
        moving["TorchANI"] = frames[0].copy()
        moving["TorchANI"].calc = Peer(frames)
    n_batches, n_steps = (2, 5) if smoke else (15, 100)
    moves = np.random.default_rng(0).normal(0, 0.002, (n_steps, len(frames[0]), 3))
    moves -= moves.mean(axis=0)  # so that a batch ends where it began
    for atoms in moving.values():
        step_seconds(atoms, moves)
    times = [
        [step_seconds(atoms, moves) for atoms in moving.values()]
        for _ in range(n_batches)
    ]
    medians = dict(zip(moving, np.median(times, axis=0)))
    print("\nenergy and forces of 27 atoms through ASE, networks 64-64, float64")
    peer = medians.get("TorchANI")
    for name, seconds in medians.items():
        line = f"{name:10s} {1e3 * seconds:.2f} ms a step"
        print(line + (f" (x{peer / seconds:.1f})" if peer else ""), flush=True)


def compare(frames, X, y):
    """Print ratios to the peers, a line a batch size."""
    print("\nbatch   ours E, E+F      TorchANI E, E+F       SchNet E+F")
    for batch_size in (10, 50):
        common = {"batch_size": batch_size, "cache_size": 4000}
        ours = [epoch_seconds(X, y, forces=on, **common) for on in (None, "auto")]
        line = f"{batch_size:5d}   {ours[0]:.3f} {ours[1]:.3f} s"
        if find_spec("torchani"):
            e, f = torchani_epochs(frames, batch_size)
            line += f"    {e:.2f} s (x{e / ours[0]:.1f}) {f:.2f} s (x{f / ours[1]:.1f})"
        else:
            line += "    TorchANI skipped"
        if find_spec("schnetpack"):
            f = schnet_epochs(frames, batch_size)
            line += f"   {f:.2f} s (x{f / ours[1]:.1f})"
        else:
            line += "   SchNetPack skipped"
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a few structures only")
    parser.add_argument("--frames", type=int, default=500, help="of 3BPA")
    parser.add_argument("--steps", action="store_true", help="steps of dynamics only")
    arguments = parser.parse_args()
    steps(list(load_dataset("3bpa", "train").frames[:20]), arguments.smoke)
    if arguments.steps:
        return
    for name, frames in data_sets(arguments.smoke, arguments.frames).items():
        X = ACSF(n_radial=8, n_angular=2).fit_transform(frames)
        X = PerAtom(StandardScaler()).fit_transform(X)
        y = read_energies(frames)
        if len(frames[0]) == 27:
            compare(frames, X, y)
        report(name, X, y)


if __name__ == "__main__":
    main()
