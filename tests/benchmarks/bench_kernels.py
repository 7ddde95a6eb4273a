"""Time kernels between structures, fits and predictions against BLAS and qmllib.

Run ``python tests/benchmarks/bench_kernels.py`` (minutes; seconds with ``--smoke``), with
OMP_NUM_THREADS=1. Features are FCHL19 of 3BPA (27 atoms, 496 features), the kernel the
Gaussian of atoms of one element, summed over atoms. The floor of the kernel matrix is
the matrix product of the same blocks, in the same triangle, and nothing else; that of a
fit is this and a Cholesky factorisation of the size; that of a prediction the product
with the references. qmllib (``pip install qmllib``) computes the same matrix from the same
features; where it is not installed, the script says so. Medians of CPU time, in turns.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import time
from importlib.util import find_spec

import numpy as np
from scipy import linalg

from skatom.datasets import load_dataset
from skatom.featurizers import FCHL19
from skatom.models import AtomicKernelRidge
from skatom.models._kernels import between_structures as totals
from skatom.models._kernels.named import Kernel
from skatom.models._kernels.of_atoms import AtomKernel
from skatom.structures import Structures

LENGTH = 2.0
GAMMA = 0.5 / LENGTH**2


def median_time(*functions, turns: int) -> list[float]:
    """CPU seconds of each function, medians over turns in which all take part."""
    times = np.empty((turns, len(functions)))
    for turn in range(turns):
        for k, function in enumerate(functions):
            start = time.process_time()
            function()
            times[turn, k] = time.process_time() - start
    return np.median(times, axis=0).tolist()


def groups_of(features) -> dict:
    """Atoms of every species and their structures."""
    owner = features.structure_index
    return {
        int(z): (features.values[features.numbers == z], owner[features.numbers == z])
        for z in np.unique(features.numbers)
    }


def products_alone(groups: dict) -> None:
    """The matrix products of the lower triangle, in the blocks of the kernel."""
    for values, owners in groups.values():
        left = totals._blocks(values, owners, totals.LEFT_ATOMS)
        right = totals._blocks(values, owners, totals.RIGHT_ATOMS)
        for one in left:
            for two in right:
                if two.structures[0] <= one.structures[-1]:
                    one.values @ two.values.T


def kernel_matrix(features, turns: int) -> None:
    """Print the time of the kernel matrix beside its products and qmllib's."""
    groups, n = groups_of(features), len(features)
    kernel = AtomKernel(Kernel("rbf", GAMMA), np.unique(features.numbers))
    ours = lambda: totals.total_kernel(groups, n, kernel)  # noqa: E731
    floor = lambda: products_alone(groups)  # noqa: E731
    seconds, products = median_time(ours, floor, turns=turns)
    print(f"kernel of {n} structures, {features.values.shape[1]} features")
    print(f"  skatom {1e3 * seconds:.0f} ms, its matrix products alone "
          f"{1e3 * products:.0f} ms: x{seconds / products:.2f}")  # fmt: skip
    if find_spec("qmllib") is None:
        print("  qmllib: skipped, not installed")
        return
    from qmllib.kernels import get_local_symmetric_kernel

    stacked = features.values.reshape(n, -1, features.values.shape[1])
    charges = list(features.numbers.reshape(n, -1))
    start = time.process_time()
    theirs = get_local_symmetric_kernel(stacked, charges, LENGTH)
    peer = time.process_time() - start
    difference = np.abs(theirs - ours()).max() / np.abs(theirs).max()
    print(f"  qmllib {1e3 * peer:.0f} ms: x{peer / seconds:.0f}, "
          f"relative difference {difference:.0e}")  # fmt: skip


def fits(frames: Structures, y: np.ndarray, sizes: list[int], forces) -> None:
    """Print fit and predict times and memory as the number of structures grows."""
    print(f"AtomicKernelRidge(forces={forces!r})")
    rows = []
    for size in sizes:
        features = FCHL19().fit_transform(frames[:size])
        model = AtomicKernelRidge(1e-6, gamma=GAMMA, n_references=None, forces=forces)
        start = time.process_time()
        model.fit(features, y[:size])
        fit = time.process_time() - start
        start = time.process_time()
        model.predict(features)
        predict = time.process_time() - start
        start = time.process_time()
        floor_of_fit(features, forces)
        floor = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        rows.append((size, fit, predict))
        print(f"  {size:5d} structures: fit {fit:7.2f} s (floor {floor:.2f} s, "
              f"x{fit / floor:.1f}), predict {1e3 * predict / size:.2f} ms a structure, "
              f"peak of the process {peak:.2f} GB")  # fmt: skip
    if len(rows) > 1:
        n, fit, predict = np.log(np.array(rows)).T
        print(f"  slopes: fit {np.polyfit(n, fit, 1)[0]:.2f}, "
              f"predict {np.polyfit(n, predict, 1)[0]:.2f}")  # fmt: skip


def floor_of_fit(features, forces) -> None:
    """Matrix products and the factorisation that the fit cannot do without."""
    products_alone(groups_of(features))
    n_labels = len(features)
    if forces is not None:
        # for each atom of the right one product of all labels of the left
        internal = features.n_atoms[0] * 3 - 6
        width = features.values.shape[1]
        pairs = len(features) * (len(features) + 1) // 2
        block = np.ones((internal, width))
        for _ in range(pairs):
            for _ in range(features.n_atoms[0]):
                block @ block.T
        n_labels += internal * len(features)
    matrix = np.eye(n_labels) + 0.5 / n_labels
    linalg.cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="run in seconds")
    args = parser.parse_args()
    data = load_dataset("3bpa")
    frames, y = data.frames, data.energies
    size, turns = (20, 1) if args.smoke else (200, 5)
    kernel_matrix(FCHL19().fit_transform(frames[:size]), turns)
    fits(frames, y, [10, 20] if args.smoke else [50, 100, 200, 400], None)
    fits(frames, y, [3, 6] if args.smoke else [10, 20, 40, 80], "auto")


if __name__ == "__main__":
    main()
