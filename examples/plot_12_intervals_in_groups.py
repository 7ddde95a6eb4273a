"""
Intervals for every group, and for forces
=========================================

An interval that covers 90 % on average may cover far less of what matters. Crystals at two
temperatures show it; so do the forces on hydrogen, carbon and oxygen.
"""

# %%
# Copper in ASE's EMT potential, with the disorder of a low and of a high temperature.
import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.plotting import GroupCoverageDisplay
from skatom.preprocessing import PerAtom
from skatom.structures import Structures, read_energies
from skatom.uncertainty import ConformalRegressor

rng = np.random.default_rng(0)


def crystal(temperature):
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.08 * np.sqrt(temperature / 300), rng=rng)
    live = atoms.copy()
    live.calc = EMT()
    atoms.calc = SinglePointCalculator(atoms, energy=live.get_potential_energy())
    atoms.info["temperature"] = temperature
    return atoms


frames = Structures([crystal(t) for t in rng.choice([300, 900], size=1000)])
y = read_energies(frames)
temperatures = np.array([atoms.info["temperature"] for atoms in frames])

# %%
# One width for all: the hot crystals pay for the cold ones. With ``groups`` each
# temperature is calibrated by itself, and the guarantee holds in each. The composition, the
# size, or any function of the structures would serve as well.
fit, test = slice(0, 520), slice(520, 1000)
model = make_pipeline(
    ACSF(r_cut=4.0, g4=None), PerAtom(StandardScaler()), AtomicRidge(forces=None)
)
covered = {}
for name, groups in (("one width", None), ("by temperature", "temperature")):
    conformal = ConformalRegressor(
        model, groups=groups, calibration_size=400, forces=None, random_state=0
    ).fit(frames[fit], y[fit])
    _, ends = conformal.predict_interval(frames[test])
    inside = (ends[:, 0] <= y[test]) & (y[test] <= ends[:, 1])
    for t in (300, 900):
        own = temperatures[test] == t
        covered[name, t] = inside[own].mean()
        width = 1000 * np.diff(ends[own]).mean()
        print(f"{name:15} {t} K: {inside[own].mean():.2f} inside {width:.0f} meV")
GroupCoverageDisplay.from_estimator(
    conformal, frames[test], y[test], temperatures[test]
)

# %%
# Forces come from one calibration: a component drawn at random, a force vector, the atoms
# of an element, or a whole structure at once. The unit of the guarantee is always the
# structure.
data = load_dataset("malonaldehyde")
potential = make_pipeline(
    ACSF(r_cut=4.0, g4=None), PerAtom(StandardScaler()), AtomicRidge()
)
conformal = ConformalRegressor(potential, calibration_size=200, random_state=0)
conformal.fit(data.frames[:300], data.energies[:300])
few = data.frames[300:400]
labels = [atoms.calc.results["forces"] for atoms in few]
for options in ({}, {"by_element": True}, {"simultaneous": True}):
    _, ends = conformal.predict_forces_interval(few, **options)
    inside = [(e[..., 0] <= f) & (f <= e[..., 1]) for e, f in zip(ends, labels)]
    whole = np.mean([i.all() for i in inside])
    half = [np.diff(ends[0][few[0].symbols == z]).mean() / 2 for z in "HCO"]
    print(
        f"{options or 'one component'}: {np.mean(inside):.2f} of components, {whole:.2f} "
        "of whole structures, half-widths of H, C, O in eV/Å:",
        np.round(half, 2),
    )

assert covered["one width", 900] < 0.88 < covered["one width", 300]
assert min(covered["by temperature", t] for t in (300, 900)) > 0.83
assert whole > 0.8
