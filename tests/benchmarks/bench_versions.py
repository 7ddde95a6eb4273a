"""Time the same small jobs with another checkout of the package, in turns.

Run ``python tests/benchmarks/bench_versions.py --against DIR`` (a few minutes), with DIR a
checkout of an earlier commit (``git worktree add DIR COMMIT``). Every job runs in new
processes of one thread, here and there in turns, and prints CPU time; a row holds the least
of each. *First use* has an empty cache of compiled kernels and *import* a full one; both
are wall times. With ``--smoke``, or without a DIR, this checkout runs alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[2]
SETUP = """
import time
import numpy as np
from ase.build import bulk, molecule
from skatom.datasets import load_dataset
data = load_dataset("malonaldehyde", "train")
def best(job, number, repeats=7):
    job()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(number):
            job()
        times.append((time.process_time() - began) / number)
    print(min(times) * 1000)
"""
TRANSFORM = """
from skatom.featurizers import {name}
featurizer, frames = {name}(), data.frames[:{n}]
featurizer.fit(frames)
def job():
    X = featurizer.transform(frames)
    X.pairs.forces(X.pullback(np.ones_like(X.values)))
best(job, 1)
"""
STEP = """
from skatom import SkatomCalculator
from skatom.featurizers import {features}
from skatom.models import {model}
from skatom.potential import make_potential
potential = make_potential({features}(), {model}({parameters}))
potential.fit(data.frames[:20], data.energies[:20])
atoms = data.frames[30].copy()
atoms.calc = SkatomCalculator(potential)
rng = np.random.default_rng(0)
def job():
    atoms.positions += rng.normal(scale=1e-4, size=(len(atoms), 3))
    atoms.get_potential_energy(), atoms.get_forces()
best(job, 200)
"""
NETWORK = "(64, 64), max_epochs=2, random_state=0"
# Name of a job, what it runs, and the time it prints, in ms.
JOBS = {
    "ACSF, values and forces of 100 molecules": TRANSFORM.format(name="ACSF", n=100),
    "SOAP, values and forces of 50 molecules": TRANSFORM.format(name="SOAP", n=50),
    "kernel ridge, fit to energies and forces of 40 molecules": """
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge
X = ACSF().fit_transform(data.frames[:40])
best(lambda: AtomicKernelRidge().fit(X, data.energies[:40]), 1)
""",
    "network, one epoch on energies and forces of 200 molecules": """
from skatom.featurizers import ACSF
from skatom.models import NeuralNetworkRegressor
X = ACSF().fit_transform(data.frames[:200])
def seconds(epochs):
    model = NeuralNetworkRegressor((64, 64), max_epochs=epochs, random_state=0)
    began = time.process_time()
    model.fit(X, data.energies[:200])
    return time.process_time() - began
seconds(2)
print(min((seconds(22) - seconds(2)) / 20 for _ in range(3)) * 1000)
""",
    "step of dynamics, ACSF + kernel ridge": STEP.format(
        features="ACSF", model="AtomicKernelRidge", parameters=""
    ),
    "step of dynamics, ACSF + network 64-64": STEP.format(
        features="ACSF", model="NeuralNetworkRegressor", parameters=NETWORK
    ),
    "step of dynamics, AEV + network 64-64": STEP.format(
        features="AEV", model="NeuralNetworkRegressor", parameters=NETWORK
    ),
}
IMPORT = """
import time
import numpy, scipy, sklearn.base, ase, numba
began = time.perf_counter()
import skatom.featurizers, skatom.models, skatom.potential
print((time.perf_counter() - began) * 1000)
"""
FIRST_USE = """
import time
began = time.perf_counter()
from ase.build import molecule
from skatom.featurizers import ACSF
X = ACSF().fit_transform([molecule("CH3OH")])
X.pullback(X.values)
print((time.perf_counter() - began) * 1000)
"""


def run(code: str, checkout: Path, cache: str | None = None) -> float:
    """Time in ms that a new process prints, with the package of a checkout."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(threads, "1")}
    environment["PYTHONPATH"] = str(checkout)
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = cache
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.split()[-1])


def first_use(checkout: Path) -> float:
    """Time with nothing compiled."""
    with tempfile.TemporaryDirectory() as cache:
        return run(FIRST_USE, checkout, cache)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--smoke", action="store_true", help="one job, here only")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    places = [HERE] if arguments.smoke else [arguments.against or HERE, HERE]
    jobs = {name: lambda p, c=SETUP + code: run(c, p) for name, code in JOBS.items()}
    jobs |= {"import": lambda place: run(IMPORT, place), "first use": first_use}
    if arguments.smoke:
        jobs = dict([next(iter(jobs.items()))])
    print("| CPU time, ms | before | now | ratio |\n|---|---|---|---|")
    for name, job in jobs.items():
        times = [
            [job(place) for place in places]
            for _ in range(1 if arguments.smoke else arguments.rounds)
        ]
        before, now = (min(column) for column in (list(zip(*times)) * 2)[:2])
        print(f"| {name} | {before:.3g} | {now:.3g} | {now / before:.2f} |", flush=True)


if __name__ == "__main__":
    main()
