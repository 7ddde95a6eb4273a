"""
Physics beneath a model
=======================

Twenty-five reference calculations are few for a model that starts from nothing. Beneath it
goes cheap physics: the model learns what GFN2-xTB leaves of energies and forces. And any
calculator gets error bars.
"""

# %%
# Malonaldehyde with the energies and forces of a density functional. GFN2-xTB comes with
# ``pip install "skatom[xtb]"``; where it is missing, Lennard-Jones takes its place here.
import matplotlib.pyplot as plt
import numpy as np

from skatom.bases import named_bases
from skatom.datasets import load_dataset
from skatom.featurizers import FCHL19
from skatom.metrics import force_errors
from skatom.models import AtomicKernelRidge
from skatom.potential import CalculatorRegressor, DeltaRegressor, make_potential
from skatom.uncertainty import ConformalRegressor

train, test = (load_dataset("malonaldehyde", split) for split in ("train", "test"))
X, y, X_test, y_test = (
    train.frames[:25], train.energies[:25], test.frames[:100], test.energies[:100]
)  # fmt: skip
has_xtb = named_bases(X)["gfn2-xtb"] is None
base = "gfn2-xtb" if has_xtb else "lj"

# %%
# The same features and model with and without a base. A base alone has energies of elements
# fitted, since total energies of two methods differ by those of free atoms.
model = make_potential(FCHL19(), AtomicKernelRidge())
models = {
    f"{base} alone": CalculatorRegressor(base, shift=True),
    "model alone": DeltaRegressor(model),
    f"model over {base}": DeltaRegressor(model, base),
}
errors = {}
for name, one in models.items():
    one.fit(X, y)
    energy = 1e3 * np.abs(one.predict(X_test) - y_test).mean()
    force = 1e3 * np.abs(force_errors(one, X_test)).mean()
    errors[name] = energy, force
    print(f"{name:22} {energy:6.1f} meV  {force:6.1f} meV/Å")

# %%
# Each structure was computed once, by whichever model asked for it first.
fig, axes = plt.subplots(1, 2, figsize=(8, 3), constrained_layout=True)
for axis, column, unit in zip(axes, zip(*errors.values()), ("meV", "meV/Å")):
    axis.barh(list(errors), column)
    axis.set_xlabel(f"mean absolute error ({unit})")
axes[0].set_title("energies")
axes[1].set_title("forces")
axes[1].set_yticklabels([])

# %%
# A calculator needs no fit: conformal calibration on labelled frames gives intervals that
# hold for whatever it is wrong by.
calculator = CalculatorRegressor(base, shift=True).fit(X, y)
intervals = ConformalRegressor(calculator, cv="prefit", confidence_level=0.9)
intervals.fit(train.frames[25:125], train.energies[25:125])
_, ends = intervals.predict_interval(X_test)
covered = np.mean((ends[:, 0] <= y_test) & (y_test <= ends[:, 1]))
half = 1e3 * np.ptp(ends, axis=1).mean() / 2
print(f"{base}: intervals of ±{half:.0f} meV cover {covered:.0%} of new energies")

# %%
# With GFN2 beneath it the model makes half of the errors, or less.
assert covered > 0.8
if has_xtb:
    alone, over = errors["model alone"], errors[f"model over {base}"]
    assert over[0] < 0.7 * alone[0]
    assert over[1] < 0.6 * alone[1]
