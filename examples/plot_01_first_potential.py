"""
A first potential
=================

Fit a potential with forces in one scikit-learn pipeline, look at what it does on frames it
has never seen, and run it in ASE.
"""

# %%
# The data: malonaldehyde at 500 K from the revised MD17 set, energies and forces from
# density functional theory. The official split keeps training and test frames apart.
import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skatom import predict_forces
from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge, CompositionBaseline
from skatom.plotting import ParityDisplay
from skatom.preprocessing import PerAtom

train = load_dataset("malonaldehyde", "train")
test = load_dataset("malonaldehyde", "test")
X, y = train.frames[:100], train.energies[:100]
X_test, y_test = test.frames[:200], test.energies[:200]

# %%
# Three steps: symmetry functions of every atom, centred, and kernel ridge regression on
# sums over atoms. (Dividing each function by its own spread would raise those that hardly
# vary to the rank of those that do; a kernel does better with the natural widths.)
# Energies are y; the forces stay on the frames, and ``fit`` reads them from there.
pipeline = Pipeline(
    [
        ("features", ACSF(r_cut=5.0)),
        ("scale", PerAtom(StandardScaler(with_std=False))),
        ("model", AtomicKernelRidge()),
    ]
)
pipeline.fit(X, y)

# %%
# A model is worth something when it beats counting atoms. Here all frames have the same
# composition, so the baseline is the mean energy and its forces are zero.
energies = pipeline.predict(X_test)
forces = np.concatenate(predict_forces(pipeline, X_test))
true_forces = np.concatenate(test.forces[:200])
baseline = CompositionBaseline().fit(X, y)

mae_energy = np.abs(energies - y_test).mean()
mae_forces = np.abs(forces - true_forces).mean()
mae_baseline = np.abs(baseline.predict(X_test) - y_test).mean()
print(
    f"energy MAE {1000 * mae_energy:6.1f} meV    (composition {1000 * mae_baseline:.1f})"
)
print(f"force  MAE {1000 * mae_forces:6.1f} meV/Å  "
      f"(zero forces {1000 * np.abs(true_forces).mean():.1f})")  # fmt: skip
assert mae_energy < 0.2 * mae_baseline
assert mae_forces < 0.2 * np.abs(true_forces).mean()

# %%
# Points on the diagonal are right; the energies span about an electronvolt.
ParityDisplay.from_predictions(y_test, energies)

# %%
# The fitted pipeline is an ASE calculator.
from ase.optimize import BFGS

from skatom import SkatomCalculator

atoms = X_test[0].copy()
atoms.calc = SkatomCalculator(pipeline)
BFGS(atoms, logfile=None).run(fmax=0.05, steps=200)
largest = np.linalg.norm(atoms.get_forces(), axis=1).max()
print(
    f"relaxed to {atoms.get_potential_energy():.3f} eV, largest force {largest:.3f} eV/Å"
)
assert largest < 0.05
