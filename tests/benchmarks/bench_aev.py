"""Time AEV against TorchANI: values, values with forces, and how far the floor is.

Run ``python tests/benchmarks/bench_aev.py`` (seconds with ``--smoke``). Both codes get
the same functions and structures in one process and one thread, turn by turn, and medians
of CPU time are compared, neighbour search included. TorchANI works in its own single
precision, on whichever of its neighbour searches is faster; its forces come from
autograd. Needs ``pip install torchani==2.9.0``.
"""

import argparse
import os
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TORCHANI_NO_WARN_EXTENSIONS", "1")

import time
from importlib.util import find_spec

import numpy as np
from ase.build import bulk

from skatom.datasets import load_dataset
from skatom.featurizers import AEV

# Arithmetic in flop of a triple with four shells and eight angles, of a pair with 16
# shells, and of one core in a second.
FLOP_A_TRIPLE, FLOP_A_PAIR, FLOP_A_SECOND = 230, 480, 50e9
TURN = 0.02  # seconds that one code works before it is the other's turn


def systems(smoke):
    """Lists of structures by name."""
    frames = load_dataset("3bpa", "train").frames
    cells = 2 if smoke else 4
    diamond = bulk("C", "diamond", a=3.6, cubic=True) * (cells, cells, cells)
    diamond.rattle(0.1, seed=1)
    return {
        "3BPA, one molecule": frames[:1],
        "3BPA, 50 at once": frames[:50],
        f"diamond, {len(diamond)} atoms": [diamond],
    }


def medians(functions, repeats):
    """Median CPU time of a call of each function in seconds, some calls in turns."""
    calls = [max(1, int(TURN / seconds(function, 1))) for function in functions]
    times = [[seconds(f, n) for f, n in zip(functions, calls)] for _ in range(repeats)]
    return np.median(times, axis=0)


def seconds(function, n_calls):
    """CPU time of a call; the first, which warms the caches, does not count."""
    function()
    start = time.process_time()
    for _ in range(n_calls):
        function()
    return max(time.process_time() - start, 1e-9) / n_calls


def peer_calls(frames, species):
    """Give TorchANI's values, and functions that compute them and pull them back."""
    import torch
    import torchani

    torch.set_num_threads(1)
    numbers = torch.tensor([[species.index(s) for s in a.symbols] for a in frames])
    positions = torch.tensor(np.array([a.positions for a in frames]), dtype=torch.float)
    cell = pbc = None
    if frames[0].pbc.all():
        cell = torch.tensor(frames[0].cell.array, dtype=torch.float)
        pbc = torch.ones(3, dtype=torch.bool)

    def computer(search):
        radial = torchani.aev.ANIRadial.like_1x()
        angular = torchani.aev.ANIAngular.like_1x()
        computer = torchani.aev.AEVComputer(
            radial, angular, num_species=len(species), neighborlist=search
        )

        def values():
            with torch.no_grad():
                return computer(numbers, positions, cell, pbc)

        def with_forces():
            leaf = positions.clone().requires_grad_()
            made = computer(numbers, leaf, cell, pbc)
            torch.autograd.grad(made, leaf, torch.ones_like(made))

        return values, with_forces

    ways = [computer("all_pairs")]
    if len(frames) == 1:
        ways.append(computer("cell_list"))
    fastest = min(ways, key=lambda way: seconds(way[0], 2))
    return fastest[0]().reshape(-1, fastest[0]().shape[-1]).numpy(), *fastest


def floor(pairs):
    """Arithmetic of all triples and pairs, in microseconds an atom."""
    r = np.linalg.norm(pairs.vectors, axis=1)
    near = np.bincount(pairs.centers[r < 3.5], minlength=pairs.n_atoms)
    flop = (near * (near - 1) // 2).sum() * FLOP_A_TRIPLE + len(r) * FLOP_A_PAIR
    return flop / pairs.n_atoms / FLOP_A_SECOND * 1e6


def compare(name, frames, repeats):
    """One row of the table."""
    aev = AEV.ani1x(species=None).fit(frames)
    features = aev.transform(frames)
    g = np.ones_like(features.values)
    expected, *theirs = peer_calls(frames, aev.species_)
    difference = np.abs(features.values - expected).max()

    def with_forces():
        made = aev.transform(frames)
        made.pairs.forces(made.pullback(g))

    calls = (lambda: aev.transform(frames), with_forces, *theirs)
    values, both, their_values, their_both = (
        medians(calls, repeats) / len(features.values) * 1e6
    )
    return (
        f"| {name} | {values:.1f} | {their_values:.0f} | {their_values / values:.1f} | "
        f"{both:.1f} | {their_both:.0f} | {their_both / both:.1f} | {difference:.0e} | "
        f"{floor(features.pairs):.1f} |"
    )


def main():
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    smoke = parser.parse_args().smoke
    warnings.filterwarnings("ignore")
    if find_spec("torchani") is None:
        print("skipped: TorchANI, the peer, is not installed (pip install torchani)")
        return
    print(
        "| us/atom | values | TorchANI | ratio | values + forces | TorchANI | ratio | "
        "max difference | floor |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, frames in systems(smoke).items():
        print(compare(name, frames, 3 if smoke else 9))


if __name__ == "__main__":
    main()
