"""Li, Mo, Si and the alloy NbMoTaW against GAP: energies, forces, stress, time a call.

    python tests/benchmarks/accuracy_metals.py --data DIR [--thin K] [--smoke]

DIR holds the folders ``mlearn`` (Li, Mo and Si, training and test files of Zuo et al., J.
Phys. Chem. A 124, 731, 2020) and ``snap_mvl`` (NbMoTaW_train, of Li et al., npj Comput.
Mater. 6, 70, 2020), as extxyz.xz. With ``--smoke``, a few frames of the silicon that is
shipped. Both methods see the same frames with the same labels, energies and forces; stress
is predicted from these. ``--thin K`` keeps every K-th training frame for both.

GAP is fitted by ``gap_fit`` of quippy (``pip install quippy-ase``) with the settings of the
potentials that Zuo et al. published: one SOAP with n_max = l_max = 8, atom_sigma = 0.5,
zeta = 4, its cutoff, transition width 0.5 and number of sparse points (Li 4.8 Å, 4000; Mo
5.2 Å, 2000; Si 5.4 Å, 1000; CUR), sparse_jitter 1e-8 and default_sigma {0.01 0.05 0.01 1}.

For the alloy the energies e0 of its four elements are the least-squares ones, as ours.

Ours is AtomicKernelRidge on SOAP of the same cutoff and transition width, n_max and l_max
(for the alloy l_max = 6, compressed over species), reduced to 160 principal components
where there is one element, with as many references as GAP has sparse points and the same
relation of force and energy errors (force_weight = (0.01 / 0.05)²). The weighting of
distances and alpha are chosen on frames held back inside the training file, by the same
relation. Transition width, l_max and the number of components were settled on every eighth
frame of the training files, judged by others of them.
"""

import argparse
import io
import lzma
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import subprocess
import tempfile
import time
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.units import GPa
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skatom.calculator import SkatomCalculator
from skatom.datasets import load_dataset
from skatom.featurizers import SOAP
from skatom.models import AtomicKernelRidge, CompositionBaseline
from skatom.potential import evaluate, make_potential
from skatom.preprocessing import PerAtom
from skatom.structures import Structures, read_energies

SIGMA_ENERGY, SIGMA_FORCE = 0.01, 0.05  # eV an atom, eV/Å
WEIGHTINGS = (None, 0.6)  # radius of the weighting over the cutoff
TRANSITION = 0.5  # Å, of the cutoff
COMPONENTS = 160
ALPHAS = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3)
SEARCH_FRAMES = 80
TIMED_CALLS = 10


class System(NamedTuple):
    """What the published potential of a system says."""

    r_cut: float
    n_references: int
    energy: float  # e0 of gap_fit: of a free atom, in eV


SYSTEMS = {
    "Si": System(5.4, 1000, -0.79),
    "Mo": System(5.2, 2000, -4.04),
    "Li": System(4.8, 4000, -0.21),
}
ALLOY = System(5.2, 2000, 0.0)  # e0 by least squares


# -- data ----------------------------------------------------------------------------------


def labelled(atoms: Atoms, energy: float, forces: np.ndarray, stress) -> Atoms:
    """A bare copy with its labels."""
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    results = {"energy": energy, "forces": forces}
    if stress is not None:
        results["stress"] = stress
    copy.calc = SinglePointCalculator(copy, **results)
    return copy


def from_file(path: Path, stress_key: str) -> list[Atoms]:
    """Frames with labels; stress only of strained crystals, where its order is known."""
    frames = []
    text = lzma.decompress(
        path.read_bytes()
    ).decode()  # reading it frame by frame seeks
    for atoms in read(io.StringIO(text), ":", format="extxyz"):
        raw = atoms.info.get(stress_key)
        strained = str(atoms.info.get("mlearn_group", "")).startswith("Elastic")
        stress = None
        if raw is not None and strained:  # -kbar, xx yy zz xy yz xz
            stress = -0.1 * GPa * np.asarray(raw)[[0, 1, 2, 4, 5, 3]]
        results = atoms.calc.results
        frames.append(labelled(atoms, results["energy"], results["forces"], stress))
    return frames


def systems_in(folder: Path, wanted):
    """Give name, settings, training and test frames of what is wanted and there."""
    for name in [name for name in SYSTEMS if name in wanted]:
        system = SYSTEMS[name]
        files = [folder / "mlearn" / f"{name}_{split}.extxyz.xz" for split in
                 ("training", "test")]  # fmt: skip
        if all(file.exists() for file in files):
            yield name, system, *(from_file(f, "virial_stress_raw") for f in files)
    alloy = folder / "snap_mvl" / "NbMoTaW_train.extxyz.xz"
    if "NbMoTaW" in wanted and alloy.exists():
        frames = from_file(alloy, "none")
        order = np.random.default_rng(0).permutation(len(frames))
        train, test = order[:600], order[600:800]
        yield "NbMoTaW", ALLOY, [frames[s] for s in train], [frames[s] for s in test]


# -- ours ----------------------------------------------------------------------------------


def potential(system: System, weighting, alpha: float, n_references: int, memory=None):
    """SOAP of unit length and a Gaussian kernel on reference atoms."""
    alloy = system is ALLOY
    soap = SOAP(
        system.r_cut,
        l_max=6 if alloy else 8,
        cutoff_width=TRANSITION,
        weighting=None if weighting is None else "power",
        weighting_radius=None if weighting is None else weighting * system.r_cut,
        compression="mu1nu1" if alloy else None,
    )
    model = AtomicKernelRidge(
        alpha,
        n_references=n_references,
        force_weight=(SIGMA_ENERGY / SIGMA_FORCE) ** 2,
        forces="calc",
    )
    scale = Normalizer()
    if not alloy:
        scale = make_pipeline(scale, PCA(COMPONENTS, random_state=0))
    return make_potential(soap, PerAtom(scale), model, memory=memory)


def choose(system: System, frames: list[Atoms], n_references: int) -> dict:
    """Choose inside the training frames: fit to three of four, judge by the fourth."""
    step = max(1, len(frames) // SEARCH_FRAMES)
    some = frames[::step]
    fourth = np.arange(len(some)) % 4 == 3
    train = Structures([a for a, out in zip(some, fourth) if not out])
    held = Structures([a for a, out in zip(some, fourth) if out])
    n_references = min(n_references, sum(map(len, train)))
    found = []
    with tempfile.TemporaryDirectory() as memory:  # one set of features a weighting
        for weighting, alpha in product(WEIGHTINGS, ALPHAS):
            params = {"weighting": weighting, "alpha": alpha}
            model = potential(
                system, **params, n_references=n_references, memory=memory
            )
            told = evaluate(model.fit(train, read_energies(train)), held)
            e, f = errors(told.energies, told.forces, held)
            cost = np.mean(e**2) / SIGMA_ENERGY**2 + np.mean(f**2) / SIGMA_FORCE**2
            found.append((cost, params))
    return min(found, key=lambda pair: pair[0])[1]


def ours(system: System, train: list[Atoms], n_references: int):
    """Fit, and give a calculator with the seconds that it took."""
    start = time.perf_counter()
    params = choose(system, train, n_references)
    searched = time.perf_counter()
    model = potential(system, **params, n_references=n_references)
    model.fit(train, read_energies(train))
    print(f"chosen: {params}; search {searched - start:.0f} s")
    return SkatomCalculator(model), time.perf_counter() - searched


# -- GAP -----------------------------------------------------------------------------------


def gap(system: System, train: list[Atoms], n_sparse: int, folder: Path):
    """Fit with gap_fit, and give a calculator with the seconds that it took."""
    from quippy.potential import Potential

    frames = []
    for atoms in train:
        copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        copy.info["dft_energy"] = atoms.calc.results["energy"]
        copy.arrays["dft_force"] = atoms.calc.results["forces"]
        frames.append(copy)
    write(folder / "train.xyz", frames, format="extxyz")
    soap = (
        f"soap l_max=8 n_max=8 atom_sigma=0.5 zeta=4 cutoff={system.r_cut} "
        f"cutoff_transition_width={TRANSITION} delta=1.0 f0=0.0 n_sparse={n_sparse} "
        "covariance_type=dot_product sparse_method=cur_points add_species=T"
    )
    base = f"e0={system.energy or per_species(train)}"
    command = [
        "gap_fit", "at_file=train.xyz", f"gap={{{soap}}}", "sparse_jitter=1e-8", base,
        f"default_sigma={{{SIGMA_ENERGY} {SIGMA_FORCE} 0.01 1}}", "gp_file=gap.xml",
        "energy_parameter_name=dft_energy", "force_parameter_name=dft_force",
        "do_copy_at_file=F", "rnd_seed=1",
    ]  # fmt: skip
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return Potential("", param_filename=str(folder / "gap.xml")), seconds


def per_species(train: list[Atoms]) -> str:
    """Energies of the elements by least squares, as gap_fit reads them."""
    found = CompositionBaseline().fit(train, read_energies(train)).energies_
    return "{" + ":".join(f"{symbol}:{e:.6f}" for symbol, e in found.items()) + "}"


# -- judgement -----------------------------------------------------------------------------


def errors(energies, forces, frames) -> tuple[np.ndarray, np.ndarray]:
    """Errors of energies in eV an atom, and of all force components in eV/Å."""
    sizes = np.array([len(atoms) for atoms in frames])
    e = (np.asarray(energies) - read_energies(frames)) / sizes
    f = [one - atoms.calc.results["forces"] for one, atoms in zip(forces, frames)]
    return e, np.concatenate(f)


def judge(calc, test: list[Atoms]) -> list[float]:
    """Errors on the test frames, and microseconds an atom of a call for forces."""
    energies, forces, stresses = [], [], []
    for atoms in test:
        copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        copy.calc = calc
        energies.append(copy.get_potential_energy())
        forces.append(copy.get_forces())
        if "stress" in atoms.calc.results:
            stresses.append(copy.get_stress() - atoms.calc.results["stress"])
    e, f = errors(energies, forces, test)
    stress = np.abs(stresses).mean() / GPa if stresses else np.nan
    return [
        1e3 * np.abs(e).mean(), 1e3 * np.sqrt(np.mean(e**2)),
        np.abs(f).mean(), np.sqrt(np.mean(f**2)), stress, microseconds(calc, test),
    ]  # fmt: skip


def microseconds(calc, test: list[Atoms]) -> float:
    """Median CPU time of a call an atom, moved a little each time, neighbours anew."""
    largest = max(test, key=len)
    atoms = Atoms(largest.numbers, largest.positions, cell=largest.cell, pbc=True)
    atoms.calc = calc
    atoms.get_forces()
    rng, times = np.random.default_rng(0), []
    for _ in range(TIMED_CALLS):
        atoms.positions += rng.normal(scale=0.01, size=(len(atoms), 3))
        start = time.process_time()
        atoms.get_forces()
        times.append(time.process_time() - start)
    return 1e6 * float(np.median(times)) / len(atoms)


HEAD = (
    "| | training frames | energy MAE / RMSE (meV/atom) | force MAE / RMSE (eV/Å) | "
    "stress MAE (GPa) | us/atom | fit (s) |\n|---|---|---|---|---|---|---|"
)


def line(name: str, n: int, calc, seconds: float, test: list[Atoms]) -> str:
    """One row of the table."""
    e, e2, f, f2, stress, us = judge(calc, test)
    told = "-" if np.isnan(stress) else f"{stress:.2f}"
    return (
        f"| {name} | {n} | {e:.2f} / {e2:.2f} | {f:.4f} / {f2:.4f} | {told} | {us:.0f} "
        f"| {seconds:.0f} |"
    )


def smoke_systems():
    """Silicon that is shipped, a few frames of it."""
    train = load_dataset("silicon", "train").frames[::40]
    test = load_dataset("silicon", "test").frames[::10]
    yield "Si", SYSTEMS["Si"], train, test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with mlearn and snap_mvl")
    known = [*SYSTEMS, "NbMoTaW"]
    parser.add_argument("--systems", nargs="+", choices=known, default=known)
    parser.add_argument("--thin", type=int, default=1, help="keep every n-th frame")
    parser.add_argument("--no-gap", action="store_true", help="ours alone")
    parser.add_argument("--smoke", action="store_true", help="run in seconds")
    args = parser.parse_args()
    if not args.smoke and args.data is None:
        parser.error("give --data DIR, or --smoke")
    with_gap = not args.no_gap and shutil.which("gap_fit") and find_spec("quippy")
    if not with_gap and not args.no_gap:
        print("skipped: GAP, quippy is not installed (pip install quippy-ase)")
    print(HEAD)
    for name, system, train, test in (
        smoke_systems() if args.smoke else systems_in(args.data, args.systems)
    ):
        train = train[:: args.thin]
        n = 40 if args.smoke else min(system.n_references, sum(map(len, train)))
        calc, seconds = ours(system, train, n)
        print(line(f"{name}, skatom", len(train), calc, seconds, test), flush=True)
        if with_gap:
            with tempfile.TemporaryDirectory() as folder:
                calc, seconds = gap(system, train, n, Path(folder))
                row = line(f"{name}, GAP", len(train), calc, seconds, test)
            print(row, flush=True)


if __name__ == "__main__":
    main()
