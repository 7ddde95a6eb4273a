"""
Error bars of a Gaussian process
================================

Fit a Gaussian process to energies and forces of twenty frames, and see where it says it
does not know, for energies and for every force component.
"""

# %%
# Two featurizers side by side; ``additive=True`` gives each a kernel of its own. Lengths,
# variances and noise come from the likelihood of the training labels: there is nothing to
# tune and nothing to hold out.
import matplotlib.pyplot as plt
import numpy as np

from skatom.datasets import load_dataset
from skatom.featurizers import FCHL19, SOAP
from skatom.models import AtomicGaussianProcessRegressor
from skatom.potential import evaluate, make_potential
from skatom.preprocessing import AtomFeatureUnion

train = load_dataset("malonaldehyde", "train")
test = load_dataset("malonaldehyde", "test")
soap = SOAP(r_cut=5.0, n_max=4, l_max=3, sigma=0.25, center_weight=0.0)
model = make_potential(
    AtomFeatureUnion([("fchl", FCHL19()), ("soap", soap)]),
    AtomicGaussianProcessRegressor(additive=True, random_state=0),
)
model.fit(train.frames[:20], train.energies[:20])

# %%
# ``evaluate`` gives predictions and standard deviations in one pass.
frames = test.frames[:20]
found = evaluate(model, frames, std=True)
errors = np.concatenate(found.forces) - np.concatenate(test.forces[:20])
std = np.concatenate(found.forces_std)
energy_errors = found.energies - test.energies[:20]
inside = np.mean(np.abs(errors) < 1.645 * std)
print(f"forces: mean error {1e3 * np.abs(errors).mean():.0f} meV/Å, mean deviation "
      f"{1e3 * std.mean():.0f} meV/Å, {inside:.0%} inside the 90% interval")  # fmt: skip
inside_energies = np.mean(np.abs(energy_errors) < 1.645 * found.energy_std)
print(f"energies: {inside_energies:.0%} inside the 90% interval")
assert 0.75 < inside <= 1.0

# %%
# Where the deviation is large, so are the errors: each point is a force component, the
# lines are one and two deviations.
figure, axis = plt.subplots()
axis.scatter(std.ravel(), np.abs(errors).ravel(), s=4, alpha=0.5)
line = np.array([std.min(), std.max()])
axis.plot(line, line, "k-", label="1 deviation")
axis.plot(line, 2 * line, "k--", label="2 deviations")
axis.set(xscale="log", xlabel="standard deviation (eV/Å)", ylabel="|error| (eV/Å)")
axis.legend()

# %%
# Far from the training frames the process falls back to its prior: a stretched bond is
# flagged by a deviation many times that of the test frames.
stretched = frames[0].copy()
stretched.positions[-1] *= 1.5
far = evaluate(model, [stretched], std=True)
print(
    f"stretched: {far.energy_std[0]:.2f} eV, test frames {found.energy_std.mean():.3f} eV"
)
assert far.energy_std[0] > 3 * found.energy_std.mean()

# %%
# Label the frame that is known least, and learn from it without starting again.
worst = int(np.argmax(found.energy_std))
features, process = model[:-1], model[-1]
process.partial_fit(features.transform([frames[worst]]), test.energies[[worst]])
after = model.predict([frames[worst]], return_std=True)[1][0]
print(f"deviation {found.energy_std[worst]:.3f} eV, after labelling {after:.3f} eV")
assert after < found.energy_std[worst]
