"""
Intervals with a guarantee
==========================

Split conformal prediction turns any potential into one with error bars: a part of the
frames is held back, and the errors there say how wide an interval has to be.
"""

# %%
# Fit on 200 malonaldehyde frames; a quarter of them is held back for calibration.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge
from skatom.preprocessing import PerAtom
from skatom.uncertainty import ConformalRegressor

train = load_dataset("malonaldehyde", "train")
test = load_dataset("malonaldehyde", "test")

model = ConformalRegressor(
    Pipeline(
        [
            ("features", ACSF(r_cut=5.0)),
            ("scale", PerAtom(StandardScaler(with_std=False))),
            ("model", AtomicKernelRidge()),
        ]
    ),
    calibration_size=0.25,
    random_state=0,
).fit(train.frames[:200], train.energies[:200])

# %%
# Levels are free at prediction time. Coverage is the share of test frames whose true
# energy lies inside; it should be near the level, whatever the model.
levels = [0.5, 0.68, 0.8, 0.9]
X_test, y_test = test.frames[:500], test.energies[:500]
energies, intervals = model.predict_interval(X_test, confidence_level=levels)
inside = (y_test[:, None] >= intervals[:, 0]) & (y_test[:, None] <= intervals[:, 1])
coverage = inside.mean(axis=0)
width = (intervals[:, 1] - intervals[:, 0]).mean(axis=0)
no_model = [np.diff(np.quantile(y_test, [(1 - p) / 2, (1 + p) / 2]))[0] for p in levels]
print("level  coverage  width  without a model (meV)")
for level, share, wide, alone in zip(levels, coverage, 1000 * width, no_model):
    print(f"{level:5.2f}  {share:8.3f}  {wide:5.1f}  {1000 * alone:.0f}")

# %%
# With 50 calibration frames the coverage of a single split scatters by about 0.04 around
# the level; the average over many splits is at the level or above.
_, ax = plt.subplots()
ax.plot([0.4, 1], [0.4, 1], color="0.7", label="ideal")
ax.plot(levels, coverage, "o-", label="energies")
ax.set(xlabel="Confidence level", ylabel="Share of frames inside")
ax.legend()

assert np.all(np.abs(coverage - levels) < 0.15)
assert np.all(width < 0.3 * np.array(no_model))
