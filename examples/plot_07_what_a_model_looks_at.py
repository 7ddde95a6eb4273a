"""
What a model looks at
=====================

Which atoms and which symmetry functions does an energy come from? Integrated gradients
share every prediction out among named features of atoms; shuffling groups of features
shows what predictions would lose without them. Both work for any pipeline of atoms.
"""

# %%
# A kernel model of malonaldehyde, whose energies depend most on one proton.
import matplotlib.pyplot as plt
import numpy as np

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.inspection import attribute_features, group_permutation_importance
from skatom.models import AtomicKernelRidge
from skatom.potential import make_potential

train, test = (load_dataset("malonaldehyde", part) for part in ("train", "test"))
model = make_potential(
    ACSF(r_cut=4.0, n_radial=6, n_angular=2), AtomicKernelRidge(alpha=1e-6)
)
model.fit(train.frames[:50], train.energies[:50])
frames, y = test.frames[:40], test.energies[:40]

# %%
# The shares of all features add up to what the energy differs from that of atoms with
# mean features: nothing is left out.
shares = attribute_features(model, frames)
difference = shares.of_structures()
relative = model.predict(frames) - model.predict(frames).mean()
print(
    "correlation with the energies:", np.corrcoef(difference, relative)[0, 1].round(2)
)
assert np.corrcoef(difference, relative)[0, 1] > 0.5

# %%
# Shuffled within elements, groups of functions lose more or less.
importance = group_permutation_importance(model, frames, y, random_state=0)
order = np.argsort(importance.importances_mean)
assert importance.importances_mean.max() > importance.error

# %%
# On the left the mean share of each atom's magnitude, on the right the rise of the error
# when a group of functions is shuffled.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
per_atom = np.abs(shares.of_atoms()).mean(axis=0)
symbols = [f"{s}{k}" for k, s in enumerate(frames[0].symbols)]
left.bar(symbols, 1e3 * per_atom)
left.set(xlabel="atom", ylabel="mean magnitude of its share (meV)")
right.barh(
    [importance.groups[k] for k in order], 1e3 * importance.importances_mean[order]
)
right.set(xlabel="rise of the mean absolute error (meV)")
plt.show()
