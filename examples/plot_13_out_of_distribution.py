"""
A trajectory that leaves what the model knows
=============================================

Intervals are calibrated on structures of one source. Along a trajectory that heats up
they fail, and nothing in the energies says so. Flags say which frames are outside, a test
says that the guarantee is void, and with labels that arrive later intervals recover.
"""

# %%
# A cluster of copper atoms in ASE's EMT potential, trained on at 300 K. Frames of one
# trajectory are alike, so calibration takes blocks of it, with gaps.
import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.featurizers import ACSF
from skatom.plotting import StreamCoverageDisplay
from skatom.preprocessing import Pool
from skatom.structures import Structures, read_energies
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    ConformalRegressor,
    DomainFlags,
    exchangeability_test,
)

rng = np.random.default_rng(0)


def shaken(width):
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.positions += width * rng.normal(size=atoms.positions.shape)
    live = atoms.copy()
    live.calc = EMT()
    atoms.calc = SinglePointCalculator(atoms, energy=live.get_potential_energy())
    return atoms


cold = Structures([shaken(0.08) for _ in range(260)])
heating = Structures([shaken(w) for w in np.linspace(0.08, 0.2, 300)])
y, y_new = read_energies(cold), read_energies(heating)

# %%
# A Gaussian process on pooled features, calibrated with its own standard deviations.
kernel = ConstantKernel(10.0) * RBF(10.0) + WhiteKernel(1e-3)
model = make_pipeline(
    ACSF(r_cut=4.0, g4=None),
    Pool("mean"),
    StandardScaler(),
    PCA(6),
    GaussianProcessRegressor(kernel, normalize_y=True),
).fit(cold[:120], y[:120])
conformal = ConformalRegressor(model, cv="prefit", conformity_score="std")
conformal.fit(cold[120:], y[120:])

# %%
# Flags are graded in units of the worst calibration frame: above 1 is outside. They do
# not see the same, so look at more than one.
flags = DomainFlags(model, random_state=0).fit(cold[:120], X_calibration=cold[120:])
grades = flags.grades(heating)
for name, grade in grades.items():
    print(f"{name:13} first 50: {np.mean(grade[:50] > 1):.2f}  last 50: "
          f"{np.mean(grade[-50:] > 1):.2f}")  # fmt: skip
old = model.predict(cold[120:], return_std=True)[1]
new = model.predict(heating, return_std=True)[1]
result = exchangeability_test(old, new)
print(f"standard deviations alike? p = {result.stream_p_value:.1e} without any label")

# %%
# Fixed intervals lose coverage; adaptive ones, told each energy after the fact, keep it.
stream = AdaptiveConformalRegressor(conformal, cv="prefit").fit(None, None)
_, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
fixed = StreamCoverageDisplay.from_estimator(conformal, heating, y_new, ax=left)
adaptive = StreamCoverageDisplay.from_estimator(stream, heating, y_new, ax=right)
left.set_title(f"fixed: {fixed.covered.mean():.2f} inside")
right.set_title(f"adaptive: {adaptive.covered.mean():.2f} inside")

assert np.mean(flags.predict(heating[-50:]) == -1) > 0.8
assert result.stream_p_value < 1e-3
assert adaptive.covered.mean() > 0.85
