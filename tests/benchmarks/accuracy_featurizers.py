"""Learning curves of all featurizers with one model, and what each costs an atom.

    python tests/benchmarks/accuracy_featurizers.py [--data DIR] [--only NAME ...]
        [--set malonaldehyde | qm7] [--sizes N ...] [--figure FILE] [--smoke]

Energies and forces: malonaldehyde (rMD17), which is shipped; frames of the official
training split to learn from, of the test split to judge by. Energies alone: QM7, if DIR
holds it as extended XYZ (``*.extxyz.xz``) with ``atomization_energy_kcal_mol`` and ``fold``
in the comment lines; folds 0 to 2, shuffled once, of which the last 500 judge.

Featurizers have their defaults. The model is AtomicKernelRidge with its Gaussian kernel;
AtomicKernelRidgeCV chooses its length and regularisation by errors left out inside the
training structures (inside the first 100 of them where forces are learned). Prices are CPU
time of one thread for all test structures at once, neighbour search included.
"""

import argparse
import io
import lzma
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from pathlib import Path

import ase.io
import numpy as np
from ase import units
from sklearn.pipeline import make_pipeline

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF, AEV, FCHL19, GMP, SOAP, CoulombMatrix, WeightedACSF
from skatom.metrics import force_errors
from skatom.models import AtomicKernelRidge, AtomicKernelRidgeCV, CompositionBaseline
from skatom.structures import Structures, read_energies

KCAL = units.kcal / units.mol
FEATURIZERS = {
    "ACSF": ACSF(),
    "WeightedACSF": WeightedACSF(),
    "AEV": AEV(),
    "SOAP": SOAP(),
    "GMP": GMP(),
    "FCHL19": FCHL19(),
    "CoulombMatrix, rows": CoulombMatrix(rows="atoms", n_atoms_max=23),
}
SIZES = {"malonaldehyde": [50, 100], "qm7": [50, 100, 200, 400]}
ALPHAS = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)


def malonaldehyde(n_train, n_test):
    """Frames with their energies, to learn from and to judge by."""
    parts = [
        Structures(load_dataset("malonaldehyde", split).frames[:n])
        for split, n in (("train", n_train), ("test", n_test))
    ]
    return [(part, read_energies(part)) for part in parts]


def read_qm7(folder: Path, rng):
    """Molecules of folds 0 to 2 in random order, and their energies in eV."""
    (path,) = sorted(folder.glob("*.extxyz.xz"))
    with lzma.open(path, "rt") as stream:
        frames = ase.io.read(io.StringIO(stream.read()), index=":", format="extxyz")
    frames = [atoms for atoms in frames if atoms.info["fold"] < 3]
    order = rng.permutation(len(frames))
    y = [frames[k].info["atomization_energy_kcal_mol"] * KCAL for k in order]
    return Structures([frames[k] for k in order]), np.array(y)


def fitted_model(featurizer, frames, y, forces, n_choose):
    """Model with the length and the regularisation that the training structures ask for."""
    search = AtomicKernelRidgeCV(
        ALPHAS, cv=5, forces=forces, scoring="neg_force_mae" if forces else "loss"
    )
    pipeline = make_pipeline(featurizer, search).fit(frames[:n_choose], y[:n_choose])
    if n_choose >= len(frames):
        return pipeline
    model = AtomicKernelRidge(
        search.alpha_, gamma=search.gamma_, n_references=None, forces=forces
    )
    return make_pipeline(featurizer, model).fit(frames, y)


def price(featurizer, frames):
    """Microseconds an atom of values, and of values with their pullback to positions."""
    n_atoms = sum(map(len, frames))

    def values():
        return featurizer.transform(frames)

    def with_forces():
        made = values()
        if hasattr(made, "pairs"):
            made.pairs.forces(made.pullback(np.ones_like(made.values)))

    return [seconds(f) * 1e6 / n_atoms for f in (values, with_forces)]


def seconds(function):
    """Least CPU time of three calls, after one that does not count."""
    times = []
    for _ in range(4):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times[1:])


def curve(train, test, sizes, forces, n_choose):
    """Rows of the table: errors of every featurizer at every size, and its price."""
    (frames, y), (test_frames, test_y) = train, test
    rows = {}
    for name, featurizer in FEATURIZERS.items():
        featurizer.fit(frames)  # the species of all, and room for the largest molecule
        cells = [f"{x:.1f}" for x in price(featurizer, test_frames)]
        errors = []
        for n in sizes:
            fitted = fitted_model(featurizer, frames[:n], y[:n], forces, n_choose)
            errors.append(np.abs(fitted.predict(test_frames) - test_y).mean())
            if forces:
                errors.append(np.abs(force_errors(fitted, test_frames)).mean())
        rows[name] = cells, errors
        unit = 1e3 if forces else 1 / KCAL
        made = [f"{e * unit:.{1 if forces else 2}f}" for e in errors]
        print(f"| {name} | {' | '.join(cells + made)} |", flush=True)
    base = CompositionBaseline().fit(frames[: sizes[-1]], y[: sizes[-1]])
    error = np.abs(base.predict(test_frames) - test_y).mean() * unit
    empty = "| " * ((len(sizes) - 1) * (1 + bool(forces)))
    print(f"| composition alone | | {empty}| {error:.1f} |{' |' * bool(forces)}")
    return rows


def header(sizes, forces):
    """First lines of a table."""
    quantities = ["E (meV)", "F (meV/Å)"] if forces else ["E (kcal/mol)"]
    columns = [f"{n}: {q}" for n in sizes for q in quantities]
    names = ["featurizer", "values, us/atom", "with forces", *columns]
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")


def draw(rows_of, path):
    """Error of the largest training set over the price, one panel a data set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * len(rows_of), 3.6), layout="constrained")
    panels = figure.subplots(1, len(rows_of), squeeze=False)[0]
    for panel, (title, (rows, forces)) in zip(panels, rows_of.items()):
        for name, (cells, errors) in rows.items():
            x, error = float(cells[int(forces)]), errors[-1]
            y = error * (1e3 if forces else 1 / KCAL)
            panel.plot(x, y, "o")
            panel.annotate(name, (x, y), xytext=(4, 4), textcoords="offset points")
        panel.set(xscale="log", yscale="log", title=title)
        panel.set_xlabel("values" + " and forces" * forces + ", µs/atom")
        panel.set_ylabel("force MAE, meV/Å" if forces else "energy MAE, kcal/mol")
    figure.savefig(path)


def main():
    """Print a Markdown table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of QM7")
    parser.add_argument("--only", nargs="+", choices=FEATURIZERS, help="featurizers")
    parser.add_argument("--set", choices=SIZES, help="one set of data only")
    parser.add_argument("--sizes", type=int, nargs="+", help="training structures")
    parser.add_argument("--figure", type=Path, help="file for a picture of both")
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    options = parser.parse_args()
    if options.smoke:
        options.only = ["ACSF", "AEV", "FCHL19", "CoulombMatrix, rows"]
    for name in set(FEATURIZERS) - set(options.only or FEATURIZERS):
        del FEATURIZERS[name]
    rows_of = {}
    if options.set in (None, "malonaldehyde"):
        sizes = [10] if options.smoke else options.sizes or SIZES["malonaldehyde"]
        train, test = malonaldehyde(sizes[-1], 20 if options.smoke else 200)
        print("malonaldehyde\n")
        header(sizes, True)
        rows = curve(train, test, sizes, "auto", min(100, sizes[-1]))
        rows_of["malonaldehyde"] = rows, True
    if options.data is None:
        print("\nQM7 skipped: --data names no folder")
    elif options.set in (None, "qm7"):
        sizes = options.sizes or SIZES["qm7"]
        frames, y = read_qm7(options.data, np.random.default_rng(0))
        print("\nQM7\n")
        header(sizes, False)
        train = frames[: sizes[-1]], y[: sizes[-1]]
        rows = curve(train, (frames[-500:], y[-500:]), sizes, None, sizes[-1])
        rows_of["QM7"] = rows, False
    if options.figure:
        draw(rows_of, options.figure)


if __name__ == "__main__":
    main()
