"""Judgement of labels: alarms on right sets, and names of what is wrong in corrupted ones.

    python tests/benchmarks/judge_labels.py [--data DIR] [--smoke]

Right sets are all extended XYZ files below DIR (``*.extxyz`` and ``*.extxyz.xz``; energies
in eV, forces in eV/Å, stress under the names of STRESS), those that are shipped, and sets
made here: metals, their alloys, clusters and slabs of ASE's EMT and, where tblite is
installed, molecules of GFN2-xTB. None may raise an alarm. Then every corruption is applied
to ten of them, those of stress to all that have it, and for each a line tells in how many
sets something was found, and in how many its name was right. Some sets cannot show what is
wrong: a unit is no contradiction where no two structures have the same atoms.

The table is in docs/explanation/labels.md. ``--times`` adds the CPU time of judging 1,000
frames of every set that has as many.
"""

import argparse
import io
import lzma
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.cluster import Octahedron
from ase.io import read

from skatom.datasets import list_datasets, load_dataset
from skatom.labels import LabelReport, check_labels
from skatom.structures import read_energies

MOST_FRAMES = 1000
KBAR = 0.1 * units.GPa
VASP, LAMMPS = [0, 1, 2, 4, 5, 3], [0, 1, 2, 5, 4, 3]
# Names of stress in files, and what makes it the stress of ASE: a factor and an order.
STRESS = {
    "stress_voigt_eV_A3": (1.0, [0, 1, 2, 3, 4, 5]),
    "virial_stress_raw": (-KBAR, VASP),
    "stress_raw": (-KBAR, VASP),
}
# Not all of mlearn has one order: in its elastic deformations of these metals, which shear
# one angle each, fourth is what answers xy, fifth xz and sixth yz.
OTHER_ORDER = {"Cu": LAMMPS, "Mo": LAMMPS}


@dataclass
class Set:
    """Structures without results, and their labels.

    Attributes
    ----------
    family, name : str
    frames : list of Atoms
    y : ndarray of shape (n_structures,)
    forces : list of ndarray, or None
    stress : ndarray of shape (n_structures, 6), or None
    """

    family: str
    name: str
    frames: list[Atoms]
    y: np.ndarray
    forces: list[np.ndarray] | None = None
    stress: np.ndarray | None = None

    @property
    def sizes(self) -> np.ndarray:
        return np.array([len(atoms) for atoms in self.frames])

    def stored(self) -> list[Atoms]:
        """Frames that carry their labels."""
        frames = []
        for k, atoms in enumerate(self.frames):
            results = {"energy": self.y[k]}
            if self.forces is not None:
                results["forces"] = self.forces[k]
            if self.stress is not None and np.isfinite(self.stress[k]).all():
                results["stress"] = self.stress[k]
            atoms = atoms.copy()
            atoms.calc = SinglePointCalculator(atoms, **results)
            frames.append(atoms)
        return frames

    def check(self) -> LabelReport:
        return check_labels(self.stored())


# -- right sets ----------------------------------------------------------------------------


def sets_in(folder: Path) -> Iterator[Set]:
    """All sets of files below a folder that have energies."""
    for path in sorted(folder.rglob("*.extxyz*")):
        raw = path.read_bytes()
        text = lzma.decompress(raw) if path.suffix == ".xz" else raw
        frames = read(io.StringIO(text.decode()), ":", format="extxyz")
        found = set_of(path.parent.name, path.name.split(".")[0], frames)
        if found is not None:
            yield found


def set_of(family: str, name: str, frames: list[Atoms]) -> Set | None:
    """Take labels off frames; None without energies."""
    frames = frames[:: max(1, len(frames) // MOST_FRAMES)][:MOST_FRAMES]
    y = read_energies(frames, required=False)
    if not np.isfinite(y).all():
        return None
    forces = [getattr(a.calc, "results", {}).get("forces") for a in frames]
    forces = None if any(f is None for f in forces) else forces
    return Set(family, name, [a.copy() for a in frames], y, forces, stress_of(frames))


def stress_of(frames: list[Atoms]) -> np.ndarray | None:
    """Stress of ASE, NaN where there is none."""
    stress = np.full((len(frames), 6), np.nan)
    for k, atoms in enumerate(frames):
        stored = getattr(atoms.calc, "results", {}).get("stress")
        if stored is not None:
            stress[k] = stored
        for key, (factor, order) in STRESS.items():
            if key in atoms.info:
                element = atoms.info.get("mlearn_element")
                if key == "virial_stress_raw":
                    order = OTHER_ORDER.get(element, order)
                stress[k] = factor * np.asarray(atoms.info[key]).ravel()[order]
    return stress if np.isfinite(stress).any() else None


def shipped_sets() -> Iterator[Set]:
    for name in list_datasets():
        yield set_of("shipped", name, list(load_dataset(name, "train").frames))


def calculated(family: str, name: str, frames: list[Atoms], calculator) -> Set:
    y, forces, stress = [], [], []
    for atoms in frames:
        atoms.calc = calculator
        y.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
        stress.append(atoms.get_stress() if atoms.pbc.all() else np.full(6, np.nan))
    stress = np.array(stress) if np.isfinite(stress).any() else None
    return Set(family, name, [a.copy() for a in frames], np.array(y), forces, stress)


def moved(atoms: Atoms, rng, shift: float, strain: float = 0.0) -> Atoms:
    atoms = atoms.copy()
    if strain:
        turn = np.eye(3) + strain * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ turn, scale_atoms=True)
    atoms.positions += rng.normal(scale=shift, size=atoms.positions.shape)
    return atoms


def emt_sets(n: int) -> Iterator[Set]:
    """Metals, alloys, clusters, slabs and molecules of EMT."""
    rng = np.random.default_rng(0)

    def frames(kinds, shift, strain=0.0):
        return [moved(kinds[k % len(kinds)], rng, shift, strain) for k in range(n)]

    cubes = [bulk(m, cubic=True) for m in ("Cu", "Al", "Ni", "Pt")]
    alloy = bulk("Cu", cubic=True, a=3.8).repeat((2, 1, 1))
    alloy.symbols[::3] = "Au"
    slab = fcc111("Al", (2, 2, 3), vacuum=6.0)
    clusters = [Octahedron(m, 4, 1) for m in ("Cu", "Pd")]
    names = ("CH3OH", "C2H6", "H2CO", "NH3", "CH3CHO")
    for name, made in {
        "copper, rattled": frames([cubes[0].repeat(2)], 0.05),
        "metals, strained": frames(cubes, 0.05, 0.03),
        "metals, hot and strained": frames(cubes, 0.2, 0.06),
        "alloy, strained": frames([alloy], 0.1, 0.03),
        "slab": frames([slab], 0.08),
        "clusters": frames(clusters, 0.1),
        "molecules": frames([molecule(k) for k in names], 0.06),
        "primitive cells": frames([bulk(m) for m in ("Cu", "Ag", "Au")], 0.0, 0.04),
    }.items():
        yield calculated("EMT", name, made, EMT())


def gfn2_sets(n: int) -> Iterator[Set]:
    """Molecules of GFN2-xTB, where tblite is installed."""
    if not find_spec("tblite"):
        print("skipped: GFN2-xTB, tblite is not installed (pip install tblite)")
        return
    from tblite.ase import TBLite

    rng = np.random.default_rng(1)
    one, several = molecule("CH3CH2OH"), ("CH3OH", "C2H6", "CH3CONH2", "CH3SH", "C6H6")
    for name, kinds, shift in (
        ("ethanol", [one], 0.05),
        ("ethanol, hot", [one], 0.12),
        ("molecules", [molecule(k) for k in several], 0.06),
        ("hydrogen and water", [molecule(k) for k in ("H2", "H2O")], 0.05),
    ):
        frames = [moved(kinds[k % len(kinds)], rng, shift) for k in range(n)]
        calculator = TBLite(method="GFN2-xTB", verbosity=0)
        yield calculated("GFN2", name, frames, calculator)


# -- corruptions ---------------------------------------------------------------------------


@dataclass
class Corruption:
    """Corruption of labels.

    Attributes
    ----------
    name : str
    words : str
        Pattern that a right name of it matches.
    make : callable
        Takes a set and gives what `check_labels` is to be called with.
    needs : {"forces", "stress", "energies", "sizes"}
        What sets it can be applied to.
    """

    name: str
    words: str
    make: Callable[[Set], tuple[list[Atoms], dict]]
    needs: str = "forces"


def forces_times(factor: float):
    return lambda s: (replace(s, forces=[factor * f for f in s.forces]).stored(), {})


def energies_times(factor: float):
    return lambda s: (replace(s, y=factor * s.y).stored(), {})


def stress_by(change: Callable):
    def make(s: Set):
        volumes = np.array([[a.cell.volume] for a in s.frames])
        return replace(s, stress=change(s.stress, volumes)).stored(), {}

    return make


def some(s: Set) -> np.ndarray:
    """A fifth of the structures, in one piece, as of another file."""
    chosen = np.zeros(len(s.y), dtype=bool)
    chosen[len(s.y) // 2 :][: max(1, len(s.y) // 5)] = True
    return chosen


def some_energies_times(factor: float):
    return lambda s: (replace(s, y=np.where(some(s), factor * s.y, s.y)).stored(), {})


def some_gradients(s: Set):
    forces = [-f if odd else f for f, odd in zip(s.forces, some(s))]
    return replace(s, forces=forces).stored(), {}


def some_forces_times(factor: float):
    def make(s: Set):
        forces = [factor * f if odd else f for f, odd in zip(s.forces, some(s))]
        return replace(s, forces=forces).stored(), {}

    return make


def without_forces(s: Set):
    return replace(s, y=s.y / s.sizes, forces=None, stress=None).stored(), {}


def renamed(forces: str, energy: str):
    """Labels under names that are not read."""

    def make(s: Set):
        frames = [atoms.copy() for atoms in s.frames]
        for atoms, f, e in zip(frames, s.forces, s.y):
            atoms.arrays[forces], atoms.info[energy] = f, e
        return frames, {}

    return make


def lost(s: Set):
    """A third of the structures copied, which lost their results."""
    frames = [a.copy() if k % 3 == 0 else a for k, a in enumerate(s.stored())]
    return frames, {"y": s.y}


def all_lost(s: Set):
    return [atoms.copy() for atoms in s.stored()], {"y": s.y}


def free_energies(s: Set):
    """Forces of free energies, which differ from the energies by smearing."""
    frames = s.stored()
    smeared = np.random.default_rng(3).gamma(2.0, 2e-3, size=len(frames)) * s.sizes
    for atoms, less in zip(frames, smeared):
        atoms.calc.results["free_energy"] = atoms.calc.results["energy"]
        atoms.calc.results["energy"] += less
    return frames, {}


def standardised(s: Set):
    return s.stored(), {"y": (s.y - s.y.mean()) / s.y.std()}


def per_atom_beside(s: Set):
    return s.stored(), {"y": s.y / s.sizes}


def pushed(s: Set):
    """Every force with a part of the wrong atom: the sum is not zero."""
    forces = [f + np.array([0.0, 0.0, 0.3]) for f in s.forces]
    return replace(s, forces=forces).stored(), {}


def turned(s: Set):
    """Forces in the axes of a code that turns molecules."""
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    return replace(s, forces=[f @ turn for f in s.forces]).stored(), {}


def shuffled(s: Set):
    """Atoms in another order than forces."""
    rng = np.random.default_rng(6)
    return replace(s, forces=[rng.permutation(f) for f in s.forces]).stored(), {}


CORRUPTIONS = [
    Corruption(
        "gradients given as forces", "gradients (were|may have been) given",
        forces_times(-1),
    ),
    Corruption(
        "forces in Hartree/Bohr", "Hartree/Bohr",
        forces_times(units.Bohr / units.Hartree),
    ),
    Corruption(
        "gradients in Hartree/Bohr", "Hartree/Bohr.*gradients were given",
        forces_times(-units.Bohr / units.Hartree),
    ),
    Corruption("forces in Hartree/Å", "Hartree/Å", forces_times(1 / units.Hartree)),
    Corruption("forces in eV/Bohr", "eV/Bohr", forces_times(units.Bohr)),
    Corruption(
        "forces in kcal/mol/Å", "kcal/mol/Å", forces_times(units.mol / units.kcal)
    ),
    Corruption("forces in meV/Å", "meV/Å|y is in meV|in meV", forces_times(1e3)),
    Corruption("energies in Hartree", "y is in Hartree", energies_times(1 / units.Ha)),
    Corruption(
        "energies in kcal/mol", "y is in kcal/mol",
        energies_times(units.mol / units.kcal),
    ),
    Corruption("energies in meV", "y is in meV", energies_times(1e3)),
    Corruption("energies of the other sign", "sign of binding", energies_times(-1)),
    Corruption(
        "energies per atom, stored", "energies per atom",
        lambda s: (replace(s, y=s.y / s.sizes).stored(), {}),
    ),
    Corruption("y per atom beside totals", "energies per atom", per_atom_beside),
    Corruption(
        "energies per atom, no forces", "energies per atom", without_forces, "sizes"
    ),
    Corruption("standardised y", r"y is [\d.e-]+ times|has been scaled", standardised),
    Corruption(
        "a fifth of energies in Hartree", "Hartree",
        some_energies_times(1 / units.Ha), "energies",
    ),
    Corruption(
        "a fifth of energies in kcal/mol", "kcal/mol",
        some_energies_times(units.mol / units.kcal), "energies",
    ),
    Corruption("a fifth of energies in meV", "meV", some_energies_times(1e3), "energies"),
    Corruption(
        "a fifth of forces are gradients", "gradients may have been given for these",
        some_gradients,
    ),
    Corruption(
        "a fifth of forces in Hartree/Bohr", "another unit",
        some_forces_times(units.Bohr / units.Ha),
    ),
    Corruption("energies beside free energies", "free energ", free_energies),
    Corruption(
        "REF_forces, REF_energy", "REF_forces.*REF_energy|REF_energy.*REF_forces",
        renamed("REF_forces", "REF_energy"),
    ),
    Corruption(
        "dft_force, dft_energy", "dft_force.*dft_energy|dft_energy.*dft_force",
        renamed("dft_force", "dft_energy"),
    ),
    Corruption(
        "forces_xtb, energy_xtb", "forces_xtb.*energy_xtb|energy_xtb.*forces_xtb",
        renamed("forces_xtb", "energy_xtb"),
    ),
    Corruption("a third lost by copy()", r"atoms\.copy\(\) drops", lost),
    Corruption("net force of 0.3 eV/Å an atom", "net force", pushed),
    Corruption("forces in other axes", "other axes", turned),
    Corruption("forces in another order of atoms", "another order than pos", shuffled),
    Corruption("stress of the other sign", "under compression|by -1", stress_by(
        lambda s, v: -s), "stress"),
    Corruption("stress in kbar", "in kbar", stress_by(lambda s, v: s / KBAR), "stress"),
    Corruption(
        "stress in GPa", "in GPa", stress_by(lambda s, v: s / units.GPa), "stress"
    ),
    Corruption(
        "pressure in kbar", "kbar.*compression",
        stress_by(lambda s, v: -s / KBAR), "stress",
    ),
    Corruption("virial", "virial", stress_by(lambda s, v: -s * v), "stress"),
    Corruption(
        "xx yy zz xy yz xz", "in the order xx yy zz xy yz xz",
        stress_by(lambda s, v: s[:, [0, 1, 2, 5, 3, 4]]), "stress",
    ),
    Corruption(
        "xx yy zz xy xz yz", "in the order xx yy zz xy xz yz",
        stress_by(lambda s, v: s[:, [0, 1, 2, 5, 4, 3]]), "stress",
    ),
]  # fmt: skip


def fits(corruption: Corruption, s: Set) -> bool:
    return {
        "forces": s.forces is not None,
        "stress": s.stress is not None,
        "sizes": np.ptp(s.sizes) > 0,
        "energies": len(s.y) > 20,
    }[corruption.needs]


def ten(sets: list[Set]) -> list[Set]:
    """Ten sets: the first of each family, then the second, and so on."""
    families: dict[str, list[Set]] = {}
    for s in sets:
        families.setdefault(s.family, []).append(s)
    rounds = max(map(len, families.values()), default=0)
    order = [f[k] for k in range(rounds) for f in families.values() if k < len(f)]
    return order[:10]


def row(corruption: Corruption, sets: list[Set], verbose: bool) -> str:
    """One row of the table: sets, in how many it was found, and named rightly."""
    chosen = [s for s in sets if fits(corruption, s)]
    chosen = chosen if corruption.needs == "stress" else ten(chosen)
    found = named = 0
    for s in chosen:
        frames, options = corruption.make(s)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = check_labels(frames, **options)
        right = re.search(corruption.words, str(report), re.DOTALL) is not None
        found += bool(report.findings)
        named += bool(report.findings) and right
        if verbose and not (report.findings and right):
            print(f"  {corruption.name}: {s.family} {s.name}: {report}")
    return f"| {corruption.name} | {len(chosen)} | {found} | {named} |"


def false_alarms(sets: list[Set], times: bool) -> int:
    alarms = 0
    for s in sets:
        frames = s.stored()
        start = time.process_time()
        report = check_labels(frames)
        taken = time.process_time() - start
        if report.findings:
            alarms += 1
            print(f"false alarm: {s.family} {s.name}: {report}")
        if times and len(s.y) == MOST_FRAMES:
            print(f"{s.family} {s.name}: {1e3 * taken:.0f} ms for {len(s.y)} frames")
    return alarms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with extended XYZ files")
    parser.add_argument("--times", action="store_true", help="print CPU times")
    parser.add_argument("--verbose", action="store_true", help="print what was missed")
    parser.add_argument("--smoke", action="store_true", help="run in seconds")
    args = parser.parse_args()
    if args.smoke:
        sets = list(emt_sets(16))[:3]
    else:
        sets = [*emt_sets(100), *gfn2_sets(100), *shipped_sets()]
    if args.data is not None:
        sets = [*sets_in(args.data), *sets]
    alarms = false_alarms(sets, args.times)
    print(f"{len(sets)} right sets, {alarms} with a false alarm\n")
    print("| corruption | sets | detected | named rightly |\n|---|---|---|---|")
    for corruption in CORRUPTIONS:
        print(row(corruption, sets, args.verbose), flush=True)
    assert alarms == 0, "right labels raised an alarm"


if __name__ == "__main__":
    main()
