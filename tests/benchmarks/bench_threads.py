"""Time featurizers with one and with two threads.

Run ``python tests/benchmarks/bench_threads.py`` (seconds with ``--smoke``) on a machine
with two idle cores: wall time counts here, as the least of several calls, one and two
threads in turns. A batch of molecules and one large cell; values with the neighbour search,
and values with the pullback to forces.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from ase.build import bulk

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF, AEV, FCHL19, GMP, SOAP, WeightedACSF

FEATURIZERS = {
    "ACSF": ACSF(),
    "WeightedACSF": WeightedACSF(),
    "AEV": AEV(),
    "SOAP": SOAP(),
    "GMP": GMP(),
    "FCHL19": FCHL19(5.0, r_cut_angular=4.0),
}


def systems(smoke):
    """Lists of structures by name."""
    frames = list(load_dataset("3bpa", "train").frames)
    cells = 6 if smoke else 11
    crystal = bulk("Si", cubic=True) * (cells, cells, cells)
    crystal.rattle(0.05, seed=1)
    n = 80 if smoke else 400
    batch = frames[:n]
    return {f"{n} molecules of 27 atoms": batch, f"cell of {len(crystal)}": [crystal]}


def least(functions, repeats):
    """Least wall time of a call of each function, taken in turns."""
    for function in functions:
        function()
    times = [[seconds(function) for function in functions] for _ in range(repeats)]
    return np.min(times, axis=0)


def seconds(function):
    """Wall time of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def calls(featurizer, frames):
    """Values, and values with forces."""
    fitted = featurizer.fit(frames)
    g = np.ones_like(fitted.transform(frames).values)

    def with_forces():
        made = fitted.transform(frames)
        made.pairs.forces(made.pullback(g))

    return [lambda: fitted.transform(frames), with_forces]


def compare(featurizer, frames, repeats):
    """Cells of the table: time an atom with one thread, and how much faster two are."""
    from sklearn.base import clone

    one, two = (clone(featurizer).set_params(n_jobs=n) for n in (1, 2))
    times = least([*calls(one, frames), *calls(two, frames)], repeats)
    per_atom = times * 1e6 / sum(map(len, frames))
    return [f"{per_atom[k]:.1f} | {times[k] / times[k + 2]:.2f}" for k in range(2)]


def main():
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    smoke = parser.parse_args().smoke
    print(
        "| | | values, us/atom | two threads | with forces | two threads |\n"
        "|---|---|---|---|---|---|"
    )
    for name, featurizer in FEATURIZERS.items():
        if smoke and name not in ("AEV", "GMP"):
            continue
        for system, frames in systems(smoke).items():
            cells = compare(featurizer, frames, 2 if smoke else 7)
            print(f"| {name} | {system} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
