"""
Add a method of uncertainty of your own
=======================================

A method of uncertainty is a class with ``fit`` and ``answer``: what an estimator
predicts, with standard deviations of your own beside it. Calibration, scores, intervals
and the calculator follow.
"""

# %%
# The method here says: a model will err on a structure as it has erred on those like it
# (Korolev, Nevolin and Protsenko, Sci. Rep. 12, 14931 (2022)). Errors of the training
# structures are found by cross-validation of the last step; the error bar of a new
# structure is the mean error of its nearest neighbours among them, in the features that
# enter the last step.
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF, SOAP
from skatom.metrics import crps
from skatom.potential import Context, Deviations, answer
from skatom.preprocessing import Pool
from skatom.testing import check_regressor
from skatom.uncertainty import ConformalRegressor, ErrorBarRegressor, calibrate_std


class NeighborErrors(ErrorBarRegressor):
    """Error bars from the errors of similar training structures.

    Parameters
    ----------
    estimator : Pipeline
        Ends in a model of rows, one a structure.
    n_neighbors : int
        Number of training structures to average over.
    cv : int
        Number of folds that the errors come from.
    """

    def __init__(self, estimator, n_neighbors=10, *, cv=5):
        self.estimator = estimator
        self.n_neighbors = n_neighbors
        self.cv = cv

    def fit(self, X, y):
        """Fit the estimator, and find its errors on structures that it has not seen."""
        X, y = self.check_inputs(X, y)
        self.estimator_ = clone(self.estimator).fit(X, y)
        rows = answer(self.estimator_, X, Context(forces=False)).model_input(X)
        unseen = cross_val_predict(self.estimator[-1], rows, y, cv=self.cv)
        self.errors_ = np.abs(y - unseen)
        n_neighbors = min(self.n_neighbors, len(y))
        self.neighbors_ = NearestNeighbors(n_neighbors=n_neighbors).fit(rows)
        return self

    def answer(self, X, context):
        """Predict as the estimator does, with error bars of energies."""
        found = answer(self.estimator_, X, context)

        def of_energies():
            near = self.neighbors_.kneighbors(found.model_input(X))[1]
            errors = self.errors_[near].mean(axis=1)
            return self.lift_std(np.sqrt(np.pi / 2) * errors)  # of normal errors

        return replace(
            found, std=Deviations(of_energies, self.refuse_std, self.refuse_std)
        )


# %%
# The shipped checks look at the contract with scikit-learn, at invariances, and at forces
# and stress, which are those of the estimator inside. A mistake in ``answer`` is found.
sums = make_pipeline(
    ACSF(4.0, n_radial=4, g4=None),
    Pool("sum", by_species=True),
    StandardScaler(with_mean=False),
    Ridge(1e-3, fit_intercept=False),
)
print(check_regressor(NeighborErrors(sums, cv=3)))


class Mistaken(NeighborErrors):
    """With energies that are not those of the gradient."""

    def answer(self, X, context):
        """Predict, wrongly."""
        found = super().answer(X, context)
        return replace(found, values=1.01 * found.values)


caught = ""
try:
    check_regressor(Mistaken(sums, cv=3))
except AssertionError as error:
    caught = str(error)
print(caught)
assert "check_forces_match_differences" in caught

# %%
# Silicon in motion, strained, with vacancies and as surfaces: a linear model of the energy
# per atom errs more on some than on others, and the error bars know where.
data = load_dataset("silicon", "train")
n_atoms = np.array([len(atoms) for atoms in data.frames])
order = np.random.default_rng(0).permutation(len(n_atoms))
train, held_out, test = (
    ([data.frames[k] for k in rows], data.energies[rows] / n_atoms[rows])
    for rows in np.split(order, [107, 150])
)
means = make_pipeline(
    SOAP(5.0, n_max=5, l_max=3), Pool("mean"), StandardScaler(), Ridge(1e-3)
)
model = NeighborErrors(means, n_neighbors=5).fit(*train)
energies, std = model.predict(test[0], return_std=True)
errors = np.abs(test[1] - energies)
rank = spearmanr(errors, std).statistic
print(f"rank correlation of errors and error bars: {rank:.2f}")
assert rank > 0.5

# %%
# What takes estimators with standard deviations takes this one: here a factor that makes
# them as large as the errors of held-out structures, and intervals of unequal widths.
calibrated = calibrate_std(model, *held_out)
_, std = calibrated.predict(test[0], return_std=True)
flat = np.full_like(std, np.sqrt(np.mean(errors**2)))  # the best of equal size
ours, theirs = (1000 * crps(test[1], energies, one) for one in (std, flat))
print(f"CRPS {ours:.1f} meV, of equal error bars {theirs:.1f} meV")
assert ours < theirs

conformal = ConformalRegressor(model, cv="prefit", conformity_score="std")
_, ends = conformal.fit(*held_out).predict_interval(test[0], 0.8)
covered = np.mean((ends[:, 0] <= test[1]) & (test[1] <= ends[:, 1]))
print(f"intervals at 80 %: {100 * covered:.0f} % of {len(errors)} covered")

fig, ax = plt.subplots(figsize=(5, 4))
ax.loglog(1000 * std, 1000 * errors, "o", ms=4)
ax.plot([1, 50], [1, 50], color="0.6", lw=1)
ax.set(xlabel="error bar (meV per atom)", ylabel="error (meV per atom)")
fig.tight_layout()
