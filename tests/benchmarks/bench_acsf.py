"""Time ACSF against DScribe: values, values with forces, and how far the floor is.

Run ``python tests/benchmarks/bench_acsf.py`` (seconds with ``--smoke``). Both codes get
the same functions and structures in one process and one thread, turn by turn, and medians
of CPU time are compared, neighbour search included. Needs ``pip install dscribe``.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from ase.build import bulk

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF, acsf_grid
from skatom.featurizers.acsf_presets import dscribe_acsf, dscribe_order

R_CUT = 6.0
G2 = acsf_grid([0.05, 0.5, 2.0, 4.0], [0.0, 2.0])
G4 = acsf_grid([0.01, 0.1], [1, 2, 4, 16], [-1, 1])
# Arithmetic of one triple with two eta and eight powers, in flop, and of one core.
FLOP_A_TRIPLE = 120
FLOP_A_SECOND = 50e9
TURN = 0.01  # seconds that one code works before it is the other's turn


def systems(smoke):
    """Structures by name."""
    cells = 2 if smoke else 4
    copper = bulk("Cu", "fcc", a=3.6, cubic=True) * (cells, cells, cells)
    copper.rattle(0.1, seed=1)
    molecule = load_dataset("3bpa", "train").frames[0]
    return {"3BPA molecule": molecule, f"{len(copper)} Cu": copper}


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

    calls = (lambda: ours.transform([atoms]), with_forces, lambda: peer.create(atoms))
    values, both, theirs = medians(calls, repeats) / len(atoms) * 1e6
    floor = count_triples(features.pairs) * FLOP_A_TRIPLE / FLOP_A_SECOND * 1e6
    return (
        f"| {name} | {values:.1f} | {theirs:.0f} | {theirs / values:.1f} | "
        f"{difference:.0e} | {both:.1f} | {both / values:.2f} | {floor:.1f} |"
    )


def main():
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    smoke = parser.parse_args().smoke
    print(
        "| us/atom | values | DScribe | ratio | max difference | values + forces | "
        "over values | floor |\n|---|---|---|---|---|---|---|---|"
    )
    for name, atoms in systems(smoke).items():
        print(compare(name, atoms, 3 if smoke else 15))


if __name__ == "__main__":
    main()
