"""
Energies, forces and dipole moments of one network
==================================================

Infrared spectra, solvents and electric fields ask for dipole moments beside energies and
forces. One network learns all of them: y is the energy, forces and dipole moments travel
with the structures.
"""

# %%
# Malonaldehyde, with energies and forces of density functional theory. The data set has no
# dipole moments, so those of charge equilibration [1]_ stand in for the ones that your
# electronic structure code writes: charges that minimise
# :math:`\sum_i \chi_i q_i + \frac{1}{2} \sum_{ij} q_i J_{ij} q_j` and add up to zero.
import matplotlib.pyplot as plt
import numpy as np
from ase.data import chemical_symbols
from ase.units import Debye, _e, _eps0

from skatom import SkatomCalculator
from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import NeuralNetworkRegressor
from skatom.plotting import ParityDisplay
from skatom.potential import evaluate, make_potential
from skatom.structures import read_energies

CHI = {"H": 4.528, "C": 5.343, "O": 8.741}  # electronegativity, V
HARDNESS = {"H": 13.890, "C": 10.126, "O": 13.364}  # V/e
COULOMB = _e / (4 * np.pi * _eps0) * 1e10  # eV Å/e²


def equilibrated(atoms):
    """Give charges of atoms in e, for molecules that stay together."""
    symbols = [chemical_symbols[z] for z in atoms.numbers]
    hardness = np.array([HARDNESS[s] for s in symbols])
    n = len(atoms)
    shielding = (COULOMB / (0.5 * (hardness[:, None] + hardness))) ** 3
    matrix = np.ones((n + 1, n + 1))
    matrix[:n, :n] = COULOMB / (atoms.get_all_distances() ** 3 + shielding) ** (1 / 3)
    matrix[n, n] = 0.0
    return np.linalg.solve(matrix, [*(-CHI[s] for s in symbols), 0.0])[:n]


def with_dipoles(frames):
    """Store dipole moments where the network looks for them, in e·Å."""
    for atoms in frames:
        centre = atoms.get_center_of_mass()
        atoms.info["dipole"] = equilibrated(atoms) @ (atoms.positions - centre)
    return frames


train = with_dipoles(load_dataset("malonaldehyde", "train").frames[:60])
test = with_dipoles(load_dataset("malonaldehyde", "test").frames[:25])

# %%
# The first target is y; labels of the others are read from the structures, as forces are.
# ``target_weights`` says how much the dipole moments count beside energies and forces.
model = make_potential(
    ACSF(r_cut=5.0, n_radial=8),
    NeuralNetworkRegressor(
        (32, 32),
        target=["energy", "dipole"],
        target_weights=[1.0],
        lr=0.01,
        max_epochs=60,
        validation_fraction=0.0,
        random_state=0,
    ),
)
model.fit(train, read_energies(train))

# %%
# All targets come from one pass. ``predict``, and error bars or intervals around the
# model, are of the energy.
found = evaluate(model, test)
moments = np.array([atoms.info["dipole"] for atoms in test])
forces = np.concatenate([atoms.get_forces() for atoms in test])
errors = {
    "energy (meV)": 1e3 * np.abs(found.energies - read_energies(test)).mean(),
    "forces (meV/Å)": 1e3 * np.abs(np.concatenate(found.forces) - forces).mean(),
    "dipole (Debye)": np.abs(found.properties["dipole"] - moments).mean() / Debye,
}
for name, error in errors.items():
    print(f"mean absolute error of {name}: {error:.3g}")
spread = np.abs(moments - moments.mean(axis=0)).mean() / Debye
assert errors["dipole (Debye)"] < 0.5 * spread
assert errors["forces (meV/Å)"] < 0.6 * 1e3 * np.abs(forces).mean()

# %%
# Each point is a component of a dipole moment: the name and the unit on the axes are those
# of the target.
ParityDisplay.from_predictions(
    moments, found.properties["dipole"], quantity=model[-1].targets_[1]
)
plt.show()

# %%
# In ASE, the dipole moment is a property like the energy, in e·Å.
atoms = test[0].copy()
atoms.calc = SkatomCalculator(model)
print("energy", atoms.get_potential_energy(), "eV")
print("dipole moment", atoms.get_dipole_moment() / Debye, "Debye")

# %%
# .. [1] A. K. Rappé and W. A. Goddard III, J. Phys. Chem. 95, 3358 (1991),
#    doi:10.1021/j100161a070; with a simpler shielding of the Coulomb interaction.
