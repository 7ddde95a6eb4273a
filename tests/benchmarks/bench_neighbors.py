"""Time the neighbour search against vesin, and how far the floor is.

Run ``python tests/benchmarks/bench_neighbors.py`` (seconds with ``--smoke``). Both start
from ase.Atoms, in one process and one thread, turn by turn, and medians of CPU time are
compared. vesin gives pairs in no particular order; *sorted* adds what it takes to turn them
into rows by centre and species, which is what ours are. Needs ``pip install vesin``.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from importlib.util import find_spec

import numpy as np
from ase.build import bulk, molecule

from skatom.neighbors import neighbor_pairs
from skatom.structures import Structures, check_structures

R_CUT = 6.0
# Candidates in the bins around a centre, times 10 flop, and what is written of a pair.
CANDIDATES_A_PAIR, FLOP_A_CANDIDATE, BYTES_A_PAIR = 4, 10, 44
FLOP_A_SECOND, BYTES_A_SECOND = 50e9, 33e9
TURN = 0.02  # seconds that one code works before it is the other's turn


def systems(smoke):
    """Lists of structures by name."""
    ethanol = [molecule("CH3CH2OH") for _ in range(100)]
    for seed, atoms in enumerate(ethanol):
        atoms.rattle(0.05, seed=seed)
    crystals = [bulk("Cu", cubic=True) * (n, n, n) for n in (4, 4 if smoke else 14)]
    for atoms in crystals:
        atoms.rattle(0.05, seed=1)
    return {
        "ethanol, one molecule": ethanol[:1],
        "ethanol, 100 molecules": ethanol,
        **{f"{len(atoms)} Cu": [atoms] for atoms in crystals},
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


def with_vesin(frames, in_rows):
    """Pairs of every structure, sorted on demand."""
    from vesin import NeighborList

    search = NeighborList(cutoff=R_CUT, full_list=True)
    found = []
    for atoms in frames:
        i, j, shifts, vectors = search.compute(
            points=atoms.positions,
            box=atoms.cell.array,
            periodic=bool(atoms.pbc.any()),
            quantities="ijSD",
        )
        if in_rows:
            order = np.lexsort([atoms.numbers[j], i])
            i, j, shifts, vectors = i[order], j[order], shifts[order], vectors[order]
        found.append((i, j, shifts, vectors))
    return found


def main():
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    smoke = parser.parse_args().smoke
    if find_spec("vesin") is None:
        print("skipped: vesin, the peer, is not installed (pip install vesin)")
        return
    print(
        "| us/atom, 6 Å | skatom | vesin | ratio | vesin, sorted | ratio | floor |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name, frames in systems(smoke).items():
        pairs = neighbor_pairs(check_structures(frames), R_CUT)
        assert pairs.n_pairs == sum(len(part[0]) for part in with_vesin(frames, False))
        times = medians(
            [
                # not checked, so that frames are read anew each time, as by vesin
                lambda f=frames: neighbor_pairs(Structures(f), R_CUT),
                lambda f=frames: with_vesin(f, False),
                lambda f=frames: with_vesin(f, True),
            ],
            3 if smoke else 15,
        )
        ours, plain, rows = times * 1e6 / pairs.n_atoms
        flop = CANDIDATES_A_PAIR * FLOP_A_CANDIDATE * pairs.n_pairs / FLOP_A_SECOND
        floor = max(flop, BYTES_A_PAIR * pairs.n_pairs / BYTES_A_SECOND)
        print(
            f"| {name} | {ours:.2f} | {plain:.2f} | {plain / ours:.2f} | {rows:.2f} | "
            f"{rows / ours:.2f} | {floor * 1e6 / pairs.n_atoms:.2f} |"
        )


if __name__ == "__main__":
    main()
