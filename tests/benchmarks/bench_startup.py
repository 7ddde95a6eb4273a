"""Time the first use: a fresh process, with kernels on disk and with none.

Run ``python tests/benchmarks/bench_startup.py`` (seconds with ``--smoke``, which compiles
one featurizer only). *Cold start*: a new process imports a featurizer and transforms one
molecule, the kernels being on disk; the best of several, with the share of scikit-learn
and numba, which any package of this kind loads. *First compile*: a new process with an
empty cache calls the compiled functions of the package once; what it missed is listed; and
``skatom compile`` does the same in a process for each of two cores. Wall time.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

COLD_START = """
import time; began = time.perf_counter()
import sklearn.base, sklearn.utils.validation; sklearn_done = time.perf_counter()
import numba; numba_done = time.perf_counter()
from ase import Atoms
from skatom.featurizers import {name}
imported = time.perf_counter()
{name}().fit_transform([Atoms("OH2", [[0, 0, 0], [1, 0, 0], [0, 1, 0]])])
done = time.perf_counter()
print(done - began, sklearn_done - began, numba_done - sklearn_done,
      imported - numba_done, done - imported)
"""


def environment(cache):
    """Variables of a process of one thread with its kernels in a folder."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **threads, "NUMBA_CACHE_DIR": cache}


def output_of(arguments, cache):
    """What a new Python prints."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(cache),
        check=True,
        capture_output=True,
        text=True,
    )


def cold_start(name, cache, repeats):
    """A row of the table: the process with the least time of all."""
    script = COLD_START.format(name=name)
    output_of(["-c", script], cache)  # fills the cache
    rows = [
        [float(x) for x in output_of(["-c", script], cache).stdout.split()]
        for _ in range(repeats)
    ]
    cells = " | ".join(f"{seconds:.2f}" for seconds in min(rows))
    return f"| {name} | {cells} |"


def call_everything(only=None):
    """Use every compiled function of the package, one group of them after the other."""
    from skatom.cli._compile import compile_task, tasks

    for name in tasks() if only is None else [only]:
        print(f"| {name} | {compile_task(name):.1f} |")
    if only is None:
        print(f"| not called: {', '.join(never_compiled())} | |")


def never_compiled():
    """Names of cached functions of loaded modules that have no machine code yet."""
    from numba.core.dispatcher import Dispatcher

    found = []
    for name, module in list(sys.modules.items()):
        if name.startswith("skatom"):
            found += [
                f"{name}.{key}"
                for key, value in vars(module).items()
                if isinstance(value, Dispatcher)
                and value.__module__ == name
                and not value.signatures
            ]
    return found


def main():
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    parser.add_argument("--everything", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.everything:
        call_everything(arguments.only)
        return
    names = ["CoulombMatrix"] if arguments.smoke else ["ACSF", "SOAP", "FCHL19"]
    only = ["--only", "neighbour search"] if arguments.smoke else []
    with tempfile.TemporaryDirectory() as cache:
        print(
            "| cold start, s | all | scikit-learn | numba | skatom, imports | "
            "first transform |\n|---|---|---|---|---|---|"
        )
        for name in names:
            print(cold_start(name, cache, 2 if arguments.smoke else 9))
    with tempfile.TemporaryDirectory() as cache:
        print("\n| first compile, s | |\n|---|---|")
        began = time.perf_counter()
        done = output_of([__file__, "--everything", *only], cache)
        print(f"{done.stdout}| all, imports included | ", end="")
        print(f"{time.perf_counter() - began:.1f} |\n\n{done.stderr.strip()}")
    if arguments.smoke:
        return
    with tempfile.TemporaryDirectory() as cache:
        done = output_of(["-m", "skatom", "compile", "--jobs", "2"], cache)
        print(f"\nskatom compile --jobs 2\n{done.stdout}")


if __name__ == "__main__":
    main()
