"""Time GMP from one element to fifty: as many features, at nearly the same cost.

Run ``python tests/benchmarks/bench_gmp.py`` (seconds with ``--smoke``). One thread, medians
of CPU time in turns, neighbour search included. Cells are fcc with 108 atoms of the same
volume and as many elements as the table says, drawn at random.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from ase.build import bulk
from ase.data import chemical_symbols
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from skatom.featurizers import GMP
from skatom.potential import evaluate
from skatom.preprocessing import Pool

R_CUT = 6.0
SIGMAS = tuple(np.linspace(0.1, 1.0, 6))
# Harmonics, radial functions of three Gaussians, sums of 24 features: flop a neighbour.
FLOP_A_NEIGHBOUR = 700
FLOP_A_SECOND = 50e9


def cell(n_elements: int, cells: int):
    """A rattled fcc cell with elements drawn from the transition metals and others."""
    rng = np.random.default_rng(n_elements)
    atoms = bulk("Cu", cubic=True, a=3.7) * (cells, cells, cells)
    numbers = np.arange(20, 20 + n_elements) if n_elements > 1 else np.array([29])
    atoms.numbers = rng.permutation(np.resize(numbers, len(atoms)))
    atoms.rattle(0.1, seed=1)
    return atoms


def seconds(function) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    smoke = parser.parse_args().smoke
    cells, repeats = (2, 2) if smoke else (3, 15)
    jobs = {}
    for n_elements in (1, 4, 10, 50):
        atoms = cell(n_elements, cells)
        species = [chemical_symbols[z] for z in np.unique(atoms.numbers)]
        gmp = GMP(R_CUT, sigmas=SIGMAS, max_order=3, species=species)
        model = make_pipeline(gmp, Pool(), LinearRegression()).fit(
            [atoms] * 2, [0.0, 1.0]
        )
        pairs = gmp.fit_transform([atoms]).pairs
        jobs[n_elements] = (
            len(atoms),
            pairs.n_pairs / len(atoms),
            lambda gmp=gmp, atoms=atoms: gmp.transform([atoms]),
            lambda model=model, atoms=atoms: evaluate(model, [atoms]),
        )
    for *_, values, forces in jobs.values():
        values(), forces()
    times = {n: [] for n in jobs}
    for _ in range(repeats):
        for n, (n_atoms, _, values, forces) in jobs.items():
            times[n].append((seconds(values) / n_atoms, seconds(forces) / n_atoms))
    medians = {n: 1e6 * np.median(rows, axis=0) for n, rows in times.items()}
    print("| elements | neighbours | values, us/atom | of one element | "
          "values + forces | of one element | floor, us/atom |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for n, (_, neighbours, *_) in jobs.items():
        value, force = medians[n]
        first = medians[1]
        floor = 1e6 * neighbours * FLOP_A_NEIGHBOUR / FLOP_A_SECOND
        print(
            f"| {n} | {neighbours:.0f} | {value:.1f} | {value / first[0]:.2f} | "
            f"{force:.1f} | {force / first[1]:.2f} | {floor:.1f} |"
        )


if __name__ == "__main__":
    main()
