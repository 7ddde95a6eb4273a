"""Time ACSF against DScribe: values, values with forces, and how far the floor is.

Run ``python tests/benchmarks/bench_acsf.py`` (seconds with ``--smoke``). Both codes get
the same functions and structures in one process and one thread, turn by turn, and medians
of CPU time are compared, neighbour search included. Needs ``pip install dscribe``.
DScribe's derivatives are numerical, and timed once on the molecule. TorchANI, where it is
installed, computes as many functions of its own kind with the same radius in single
precision, on whichever of its neighbour searches is faster; its forces come from autograd.
Two more tables follow: all four directions with G4 and G5, and large crystals.
"""

import argparse
import os
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TORCHANI_NO_WARN_EXTENSIONS", "1")

import time
import warnings
from importlib.util import find_spec

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF, acsf_grid
from skatom.featurizers.acsf_presets import dscribe_acsf, dscribe_order

R_CUT = 6.0
G2 = acsf_grid([0.05, 0.5, 2.0, 4.0], [0.0, 2.0])
G4 = acsf_grid([0.01, 0.1], [1, 2, 4, 16], [-1, 1])
G5 = acsf_grid([0.01, 0.1], [1, 2, 4, 8], [-1, 1])
# Arithmetic of one triple with two eta and eight powers, in flop, and of one core.
FLOP_A_TRIPLE = 120
FLOP_A_SECOND = 50e9
TURN = 0.01  # seconds that one code works before it is the other's turn


def systems(smoke):
    """Structures by name."""
    cells = 2 if smoke else 4
    copper = bulk("Cu", "fcc", a=3.6, cubic=True) * (cells, cells, cells)
    copper.rattle(0.1, seed=1)
    drug, liquid = load_dataset("3bpa", "train").frames[0], water(2 if smoke else 6)
    return {
        "3BPA molecule": drug,
        f"{len(copper)} Cu": copper,
        f"{len(liquid)} of water": liquid,
    }


def water(n):
    """Cube of n**3 molecules at the density of the liquid, turned at random."""
    spacing = 3.105  # Å, of 0.997 g/cm³
    liquid = Atoms(cell=[n * spacing] * 3, pbc=True)
    for k, corner in enumerate(np.ndindex(n, n, n)):
        one = molecule("H2O")
        one.euler_rotate(*np.random.default_rng(k).uniform(0, 180, 3), center="COM")
        one.translate(np.multiply(corner, spacing))
        liquid += one
    return liquid


def medians(functions, repeats):
    """Median CPU time of a call of each function in seconds, some calls in turns."""
    calls = []
    for function in functions:
        function()
        calls.append(max(1, int(TURN / seconds(function, 1))))
    times = [[seconds(f, n) for f, n in zip(functions, calls)] for _ in range(repeats)]
    return np.median(times, axis=0)


def seconds(function, n_calls):
    """CPU time of a call; the first, which warms the caches, does not count."""
    function()
    start = time.process_time()
    for _ in range(n_calls):
        function()
    return max(time.process_time() - start, 1e-9) / n_calls


def count_triples(pairs):
    """Count triples with all three sides inside the cutoff, per atom."""
    count = 0
    for start, stop in zip(pairs.offsets[:-1], pairs.offsets[1:]):
        r = pairs.vectors[start:stop]
        sides = np.linalg.norm(r[:, None] - r[None, :], axis=-1)
        count += np.sum(np.triu(sides < R_CUT, k=1))
    return count / pairs.n_atoms


def compare(name, atoms, repeats):
    """One row of the table."""
    from dscribe.descriptors import ACSF as Peer

    ours = ACSF(R_CUT, g2=G2, g4=G4).fit([atoms])
    same = dscribe_acsf(R_CUT, G2.tolist(), G4.tolist()).fit([atoms])
    peer = Peer(
        species=ours.species_,
        r_cut=R_CUT,
        g2_params=G2.tolist(),
        g4_params=G4.tolist(),
        periodic=bool(atoms.pbc.all()),
    )
    features = ours.transform([atoms])
    g = np.random.default_rng(0).normal(size=features.values.shape)
    columns = same.transform([atoms]).values[:, dscribe_order(same)]
    difference = np.abs(columns - peer.create(atoms)).max()

    def with_forces():
        made = ours.transform([atoms])
        made.pairs.forces(made.pullback(g))

    calls = [lambda: ours.transform([atoms]), with_forces, lambda: peer.create(atoms)]
    if find_spec("torchani"):
        calls += torchani_calls(atoms, ours.species_)
    times = medians(calls, repeats) / len(atoms) * 1e6
    values, both, theirs = times[:3]
    cells = [f"{values:.1f}", f"{theirs:.0f}", f"{theirs / values:.1f}"]
    cells += [f"{difference:.0e}", f"{both:.1f}", f"{both / values:.2f}", "", ""]
    if not atoms.pbc.any():  # it moves every atom in turn: hours in a crystal
        slow = seconds(lambda: peer.derivatives(atoms, attach=True), 1)
        slow *= 1e6 / len(atoms)
        cells[-2:] = [f"{slow:.0f}", f"{slow / both:.0f}"]
    cells += [f"{t:.0f}, {t / o:.1f}x" for t, o in zip(times[3:], (values, both))]
    cells += [""] * (10 - len(cells))
    floor = count_triples(features.pairs) * FLOP_A_TRIPLE / FLOP_A_SECOND * 1e6
    return f"| {name} | {' | '.join(cells)} | {floor:.1f} |"


def torchani_calls(atoms, species):
    """Functions for TorchANI's values and forces: eight shells, 16 angular functions."""
    import torch
    import torchani

    torch.set_num_threads(1)
    numbers = torch.tensor([[species.index(s) for s in atoms.symbols]])
    positions = torch.tensor(atoms.positions[None], dtype=torch.float)
    cell = pbc = None
    if atoms.pbc.all():
        cell = torch.tensor(atoms.cell.array, dtype=torch.float)
        pbc = torch.ones(3, dtype=torch.bool)

    def ways(search):
        computer = torchani.aev.AEVComputer(
            torchani.aev.ANIRadial.cover_linearly(0.9, R_CUT, 4.0, 8),
            # it wants the angular radius to be the smaller one
            torchani.aev.ANIAngular.cover_linearly(
                0.9, R_CUT - 1e-4, 2.0, 8.0, num_shifts=2, num_sections=8
            ),
            num_species=len(species),
            neighborlist=search,
        )

        def values():
            with torch.no_grad():
                return computer(numbers, positions, cell, pbc)

        def with_forces():
            leaf = positions.clone().requires_grad_()
            made = computer(numbers, leaf, cell, pbc)
            torch.autograd.grad(made, leaf, torch.ones_like(made))

        return values, with_forces

    return min(map(ways, ("all_pairs", "cell_list")), key=lambda w: seconds(w[0], 1))


def directions(name, atoms, repeats):
    """Rows of the table of values, pullback, pushforward and Jacobian, pairs given."""
    rows = []
    for kind, rows_of_kind in (("g4", G4), ("g5", G5)):
        acsf = ACSF(R_CUT, **{"g2": G2, "g4": None, kind: rows_of_kind}).fit([atoms])
        features = acsf.transform([atoms])
        structures, pairs = features.structures, features.pairs
        rng = np.random.default_rng(0)
        g = rng.normal(size=features.values.shape)
        v = rng.normal(size=pairs.vectors.shape)
        functions = [
            partial(acsf.transform_pairs, structures, pairs),
            partial(acsf.pullback, pairs, g),
            partial(acsf.pushforward, pairs, v),
            partial(acsf.jacobian, pairs),
        ]
        if len(atoms) > 100:
            functions.pop()  # needs gigabytes
        times = medians(functions, repeats) / len(atoms) * 1e6
        cells = [f"{time:.1f}" for time in times] + ["-"] * (4 - len(times))
        rows.append(f"| {name} | {kind.upper()} | {' | '.join(cells)} |")
    return "\n".join(rows)


def growth(n_cells):
    """One row of the table of large crystals, neighbour search included."""
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (n_cells, n_cells, n_cells)
    acsf = ACSF(R_CUT, g2=G2, g4=[[0.01, 1, 1]], g5=[[0.01, 4, -1]]).fit([atoms])

    def with_forces():
        features = acsf.transform([atoms])
        features.pairs.forces(features.pullback(np.ones_like(features.values)))

    time_per_atom = seconds(with_forces, 1) / len(atoms) * 1e6
    return f"| {len(atoms)} | {time_per_atom:.1f} |"


def main():
    """Print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    smoke = parser.parse_args().smoke
    repeats = 3 if smoke else 15
    warnings.filterwarnings("ignore")
    print(
        "| us/atom | values | DScribe | ratio | max difference | values + forces | "
        "over values | DScribe | ratio | TorchANI values | with forces | floor |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|"
    )
    for name, atoms in systems(smoke).items():
        print(compare(name, atoms, repeats))
    print(
        "\n| us/atom, pairs given | | values | pullback | pushforward | Jacobian |\n"
        "|---|---|---|---|---|---|"
    )
    for name, atoms in systems(smoke).items():
        print(directions(name, atoms, repeats))
    print("\n| atoms of Cu | us/atom, values + forces |\n|---|---|")
    for n_cells in (3, 6) if smoke else (6, 13, 29):
        print(growth(n_cells))


if __name__ == "__main__":
    main()
