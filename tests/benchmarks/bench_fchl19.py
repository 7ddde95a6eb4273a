"""Time FCHL19 against qmllib: values, values with forces, and how far the floor is.

Run ``python tests/benchmarks/bench_fchl19.py`` (seconds with ``--smoke``). Both codes get
the same structures and the parameters of the paper, in one process and one thread, turn by
turn, and medians of CPU time are compared, neighbour search included. qmllib gives the full
derivatives; ours are pulled back to forces. The small molecules are those of H, C, N, O
and S in ASE's G2 set with 8 to 23 atoms, rattled; those of QM7 have up to 23, of the same
elements. Needs ``pip install qmllib``.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from importlib.util import find_spec

import numpy as np
from ase.build import bulk, molecule
from ase.collections import g2
from ase.data import atomic_numbers

from skatom.datasets import load_dataset
from skatom.featurizers import FCHL19

# Arithmetic in flop of a triple (20 shells, cosine and sine; 30 for the geometry, 50 each
# for the power and the exponential) and of a pair (24 shells), of one core in a second,
# and what one core writes to memory in a second.
FLOP_A_TRIPLE, FLOP_A_PAIR, FLOP_A_SECOND, BYTES_A_SECOND = 210, 800, 50e9, 33e9
ELEMENTS = ["H", "C", "N", "O", "S"]
TURN = 0.02  # seconds that one code works before it is the other's turn


def small_molecules(n):
    """N rattled molecules of the elements of QM7."""
    names = [
        name
        for name in g2.names
        if 8 <= len(g2[name]) <= 23 and set(g2[name].symbols) <= set(ELEMENTS)
    ]
    frames = [molecule(names[k % len(names)]) for k in range(n)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed)
    return frames


def systems(smoke):
    """Lists of structures by name, with the radius of each."""
    frames = load_dataset("3bpa", "train").frames
    cells = 2 if smoke else 4
    diamond = bulk("C", "diamond", a=3.6, cubic=True) * (cells, cells, cells)
    diamond.rattle(0.1, seed=1)
    return {
        "molecules like QM7's": (small_molecules(20 if smoke else 200), 8.0),
        "3BPA, 50 at once": (frames[: 5 if smoke else 50], 8.0),
        "3BPA, one molecule": (frames[:1], 8.0),
        f"diamond, {len(diamond)} atoms, 5 Å": ([diamond], 5.0),
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
    """Give functions for qmllib's values, and for its values and derivatives."""
    from qmllib.representations import generate_fchl19

    elements = [atomic_numbers[s] for s in species]

    def values():
        return [generate_fchl19(a.numbers, a.positions, elements) for a in frames]

    def with_gradients():
        for a in frames:
            generate_fchl19(a.numbers, a.positions, elements, gradients=True)

    return values, with_gradients


def floor(features, r_cut):
    """Arithmetic, or writing of the values, in microseconds an atom."""
    pairs = features.pairs
    near = np.diff(pairs.offsets)
    flop = (near * (near - 1) // 2).sum() * FLOP_A_TRIPLE + near.sum() * FLOP_A_PAIR
    arithmetic = flop / pairs.n_atoms / FLOP_A_SECOND
    return max(arithmetic, features.values.shape[1] * 8 / BYTES_A_SECOND) * 1e6


def compare(name, frames, r_cut, repeats):
    """One row of the table; qmllib has no cells."""
    species = ELEMENTS if len(frames) > 50 or name.endswith("QM7's") else None
    fchl = FCHL19(r_cut, r_cut_angular=r_cut, species=species).fit(frames)
    features = fchl.transform(frames)
    g = np.ones_like(features.values)

    def with_forces():
        made = fchl.transform(frames)
        made.pairs.forces(made.pullback(g))

    calls = [lambda: fchl.transform(frames), with_forces]
    theirs = not frames[0].pbc.any()
    if theirs:
        calls += peer_calls(frames, fchl.species_)
        expected = np.concatenate(calls[2]())
        difference = f"{np.abs(features.values - expected).max():.0e}"
    times = medians(calls, repeats) / len(features.values) * 1e6
    cells = [f"{times[0]:.1f}", "", "", f"{times[1]:.1f}", "", ""]
    if theirs:
        cells[1:3] = f"{times[2]:.0f}", f"{times[2] / times[0]:.1f}"
        cells[4:6] = f"{times[3]:.0f}", f"{times[3] / times[1]:.1f}"
    cells += [difference if theirs else "", f"{floor(features, r_cut):.1f}"]
    return f"| {name} | " + " | ".join(cells) + " |"


def main():
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    smoke = parser.parse_args().smoke
    if find_spec("qmllib") is None:
        print("skipped: qmllib, the peer, is not installed (pip install qmllib)")
        return
    print(
        "| us/atom | values | qmllib | ratio | values + forces | qmllib | ratio | "
        "max difference | floor |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, (frames, r_cut) in systems(smoke).items():
        print(compare(name, frames, r_cut, 3 if smoke else 9))


if __name__ == "__main__":
    main()
