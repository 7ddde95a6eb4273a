"""
Add a data set of your own
==========================

A data set is a record and a file of structures. The record says where the structures come
from, what may be done with them and in which units they are; loading compares checksums,
so that everybody who has the record trains on the same numbers.
"""

# %%
# The structures here are copper crystals with vacancies and surfaces of a small slab,
# with energies and forces of ASE's effective medium theory. Yours come from your own
# calculations. Extended XYZ keeps labels with the structures; ``.xz`` at the end of
# the name says that the file is compressed.
import hashlib
import lzma
import tempfile
from io import StringIO
from pathlib import Path

import numpy as np
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from sklearn.pipeline import make_pipeline

from skatom.datasets import dataset_record, load_dataset
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge, CompositionBaseline

rng = np.random.default_rng(0)


def computed(atoms, amplitude):
    """Displace the atoms, and label them with energy and forces."""
    atoms.positions += rng.normal(scale=amplitude, size=atoms.positions.shape)
    atoms.info.clear()
    atoms.calc = EMT()
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def vacancy():
    """Give a crystal of seven atoms on eight places."""
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    del atoms[int(rng.integers(len(atoms)))]
    return atoms


train = [computed(vacancy(), 0.1) for _ in range(40)]
test = [computed(fcc111("Cu", (1, 1, 4), vacuum=6.0), 0.05) for _ in range(10)]

# %%
# One file a split. Energies are in eV, lengths in Å and forces in eV/Å, as ASE has them;
# other units are refused.
folder = Path(tempfile.mkdtemp())


def store(frames, name):
    """Write structures to a compressed file, and tell its checksum."""
    text = StringIO()
    write(text, frames, format="extxyz")
    data = lzma.compress(text.getvalue().encode())
    (folder / name).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


checksums = {s: store(part, f"{s}.extxyz.xz") for s, part in
             {"train": train, "test": test}.items()}  # fmt: skip

# %%
# The record is a text file beside them. All entries but ``commit``, ``changes``, ``doi``
# and ``isolated_atoms`` must be there.
record = f"""
title = "Copper with vacancies, and slabs"
description = "Crystals of seven atoms on eight places; slabs of four layers as test."
source = "examples/plot_20_add_your_own_dataset.py"
licence = "CC0-1.0"
citation = "K. W. Jacobsen, P. Stoltze, J. K. Nørskov, Surf. Sci. 366, 394 (1996)"
doi = "10.1016/0039-6028(96)00816-3"
theory = "effective medium theory (ASE)"

[units]
positions = "Å"
energy = "eV"
forces = "eV/Å"

[isolated_atoms]
Cu = 0.0

[splits.train]
file = "train.extxyz.xz"
n_structures = {len(train)}
sha256 = "{checksums["train"]}"

[splits.test]
file = "test.extxyz.xz"
n_structures = {len(test)}
sha256 = "{checksums["test"]}"
"""
path = folder / "copper.toml"
path.write_text(record, encoding="utf-8")

# %%
# Its path is all that ``load_dataset`` needs; ``skatom datasets copper.toml`` describes it.
data = load_dataset(path, "train")
print(data)
print("cite", dataset_record(path).citation)
assert data.frames.n_atoms.tolist() == [7] * 40
np.testing.assert_allclose(data.forces[0], train[0].calc.results["forces"], atol=1e-7)

model = make_pipeline(ACSF(5.0), AtomicKernelRidge(alpha=1e-6))
slabs = load_dataset(path, "test")
errors = {}
for step in (CompositionBaseline(), model):
    predicted = step.fit(data.frames, data.energies).predict(slabs.frames)
    error = np.abs(predicted - slabs.energies).mean() / slabs.frames.n_atoms[0]
    errors[type(step).__name__] = 1000 * error
    print(f"{type(step).__name__:20s} {1000 * error:5.0f} meV an atom on slabs")
assert errors["Pipeline"] < errors["CompositionBaseline"]

# %%
# A wrong entry of the record is named, and a file that was changed is not loaded.
other_unit = record.replace('"eV/Å"', '"Hartree/Bohr"')
other_file = record.replace(checksums["train"], "0" * 64)
found = []
for text in (other_unit, other_file):
    path.write_text(text, encoding="utf-8")
    try:
        load_dataset(path)
    except ValueError as error:
        found.append(str(error))
print("\n".join(found))
assert "convert the files" in found[0]
assert "sha256" in found[1]
