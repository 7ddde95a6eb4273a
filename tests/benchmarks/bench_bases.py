"""Learning with and without a base, and the base unaided, side by side.

    python tests/benchmarks/bench_bases.py [--data DIR] [--molecule NAME] [--base NAME]
        [--model ridge|process] [--sizes 10 ...] [--n-test N] [--n-jobs N] [--smoke]

DIR holds ``rmd17_NAME_train_split1.extxyz`` and ``..._test_split1.extxyz``, compressed or
not. Without it malonaldehyde is taken from the package. Models are fitted to the first
frames of the official training split and judged on those of the test split.

"ridge" is FCHL19 with AtomicKernelRidge, all defaults; "process" is the Gaussian process of
accuracy_rmd17.py with the lengths that its likelihood prefers, whose intervals of 90 % are
counted too. The unaided base has an energy of each element fitted, nothing else. Where
tblite is missing the base is "zbl", which shows how such a table looks and little else.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from accuracy_rmd17 import read, recipe

from skatom.bases import named_bases
from skatom.featurizers import FCHL19
from skatom.models import AtomicKernelRidge
from skatom.potential import (
    CalculatorRegressor,
    DeltaRegressor,
    evaluate,
    make_potential,
)
from skatom.structures import Structures, read_energies, read_labels

HALF_WIDTH = 1.645  # of a normal interval of 90 %


def estimator(model: str, frames: Structures, n_jobs: int):
    """Features and model, without a number that depends on the molecule."""
    if model == "process":
        return recipe(frames, n_jobs)
    return make_potential(FCHL19(n_jobs=n_jobs), AtomicKernelRidge())


def row(fitted, test: Structures, std: bool) -> str:
    """Mean absolute errors, and how many errors intervals of 90 % cover."""
    found = evaluate(fitted, test, std=std)
    of_energies = found.energies - read_energies(test)
    of_forces = np.concatenate(found.forces) - read_labels(test).forces
    errors = [1e3 * np.mean(np.abs(e)) for e in (of_energies, of_forces)]
    text = f"{errors[0]:8.2f} {errors[1]:8.2f}"
    if not std:
        return text
    widths = found.energy_std, np.concatenate(found.forces_std)
    pairs = zip((of_energies, of_forces), widths)
    shares = [np.mean(np.abs(e) < HALF_WIDTH * width) for e, width in pairs]
    return text + f"   {shares[0]:.2f} / {shares[1]:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--molecule", default="malonaldehyde")
    parser.add_argument("--base", default="gfn2-xtb")
    parser.add_argument("--model", choices=("ridge", "process"), default="ridge")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 25, 50, 100, 200])
    parser.add_argument("--n-test", type=int, default=1000)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="run in seconds")
    args = parser.parse_args()
    if args.data is None and args.molecule != "malonaldehyde":
        print(f"skipped: {args.molecule} is not shipped, give its folder with --data")
        return
    sizes = [8] if args.smoke else args.sizes
    n_test = 5 if args.smoke else args.n_test
    train = read(args.data, args.molecule, "train")
    test = Structures(read(args.data, args.molecule, "test")[:n_test])
    base = args.base
    reason = named_bases(test[:1]).get(base)
    if reason is not None:
        print(f"{base}: {reason}; zbl in its place")
        base = "zbl"
    print(f"{args.molecule}, {len(test)} test frames, base {base}: MAE in meV, meV/Å")
    for n in sizes:
        few = Structures(train[:n])
        y, inner = read_energies(few), estimator(args.model, few, args.n_jobs)
        for name, model in (
            ("base unaided", CalculatorRegressor(base, shift=True, n_jobs=args.n_jobs)),
            (args.model, DeltaRegressor(inner)),
            (f"{args.model} + base", DeltaRegressor(inner, base, n_jobs=args.n_jobs)),
        ):
            began = time.perf_counter()
            model.fit(few, y)
            seconds = time.perf_counter() - began
            std = args.model == "process" and isinstance(model, DeltaRegressor)
            print(f"{n:5} {name:16} {row(model, test, std)}   fit {seconds:.0f} s")


if __name__ == "__main__":
    main()
