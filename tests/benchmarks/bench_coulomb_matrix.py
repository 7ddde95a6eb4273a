"""Time the sorted Coulomb matrix against qmllib and DScribe, and how far the floor is.

Run ``python tests/benchmarks/bench_coulomb_matrix.py`` (seconds with ``--smoke``). All
start from the same list of ase.Atoms, in one process and one thread, turn by turn, and
medians of CPU time are compared; ours checks the structures too. The molecules are those
of ASE's G2 set with 10 to 23 atoms, rattled; those of QM7 have up to 23.
Needs ``pip install dscribe qmllib``.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from importlib.util import find_spec

import numpy as np
from ase.build import molecule
from ase.collections import g2

from skatom.featurizers import CoulombMatrix
from skatom.featurizers._structure_rows.coulomb_kernels import matrices
from skatom.featurizers.coulomb_matrix import DIAGONAL

N_MAX = 23
# A square root and a division in lanes of four, in cycles, and the clock of one core.
CYCLES_A_PAIR = 5
CYCLES_A_SECOND = 3e9
BYTES_A_SECOND = 20e9  # written by one core, to its cache


def frames_of(n):
    """N molecules of 10 to 23 atoms, no two alike."""
    names = [name for name in g2.names if 10 <= len(g2[name]) <= N_MAX]
    out = [molecule(names[k % len(names)]) for k in range(n)]
    for seed, atoms in enumerate(out):
        atoms.positions += np.random.default_rng(seed).normal(
            scale=0.05, size=(len(atoms), 3)
        )
    return out


def medians(functions, repeats):
    """Median CPU time of a call of each function, in seconds, taken in turns."""
    times = [[seconds(f) for f in functions] for _ in range(repeats)]
    return np.median(times, axis=0)


def seconds(function):
    """CPU time of a call; the one before, which warms the caches, does not count."""
    function()
    start = time.process_time()
    function()
    return time.process_time() - start


def with_qmllib(frames):
    """Compute the matrices as qmllib does, one molecule after the other."""
    from qmllib.representations import generate_coulomb_matrix

    for atoms in frames:
        generate_coulomb_matrix(atoms.numbers, atoms.positions, N_MAX)


def main():
    """Print a Markdown table."""
    from dscribe.descriptors import CoulombMatrix as Dscribe

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    smoke = parser.parse_args().smoke
    n, repeats = (200, 3) if smoke else (1000, 25)
    frames = frames_of(n)
    ours = CoulombMatrix(n_atoms_max=N_MAX).fit(frames)
    peer = Dscribe(n_atoms_max=N_MAX)

    positions = np.concatenate([atoms.positions for atoms in frames])
    numbers = np.concatenate([atoms.numbers for atoms in frames]).astype(np.int64)
    sizes = np.array([len(atoms) for atoms in frames])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    noise, ranks = np.zeros(len(numbers)), np.empty(len(numbers), dtype=np.int64)

    def kernel():
        out = np.zeros((n, N_MAX**2))
        molecules = (positions, numbers, offsets)
        matrices(molecules, DIAGONAL, True, noise, 0, n, ranks, out)

    calls = {
        "skatom, from Atoms": lambda: ours.transform(frames),
        "skatom, kernel alone": kernel,
        "DScribe": lambda: peer.create(frames),
    }
    if find_spec("qmllib") is None:
        print("skipped: qmllib, the faster peer, is not installed (pip install qmllib)")
    else:
        calls["qmllib"] = lambda: with_qmllib(frames)
    times = medians(list(calls.values()), repeats) / n
    difference = np.abs(ours.transform(frames) - peer.create(frames)).max()
    pairs = np.mean(sizes * (sizes - 1) / 2)
    floor = pairs * CYCLES_A_PAIR / CYCLES_A_SECOND + 8 * N_MAX**2 / BYTES_A_SECOND
    print(f"{n} molecules of {sizes.mean():.1f} atoms; floor {floor * 1e6:.2f} us each")
    print(f"largest difference from DScribe {difference:.0e}\n")
    print("| | us a molecule | molecules/s | ours is faster by |\n|---|---|---|---|")
    for name, one in zip(calls, times):
        print(f"| {name} | {one * 1e6:.2f} | {1 / one:,.0f} | {one / times[0]:.2f} |")


if __name__ == "__main__":
    main()
