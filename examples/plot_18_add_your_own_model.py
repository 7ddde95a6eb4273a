"""
Add a model of your own
=======================

A model of sums over atoms is a class with ``fit`` and two methods: the energy of every
atom, and its slope by the features. Forces, stress, intervals and calculators follow.
"""

# %%
# The model here is linear in cosines of random directions in the space of features, which
# come close to a Gaussian kernel (Rahimi and Recht, Adv. Neural Inf. Process. Syst. 20,
# 2007) at a price that does not grow with the number of atoms. Every element has
# coefficients of its own, and a constant.
import time

import numpy as np
from ase.calculators.fd import calculate_numerical_forces
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from skatom import SkatomCalculator
from skatom.base import AtomicRegressor, sum_atoms
from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.metrics import neg_force_mae
from skatom.models import AtomicRidge
from skatom.preprocessing import PerAtom
from skatom.testing import check_regressor
from skatom.uncertainty import ConformalRegressor


class RandomCosines(AtomicRegressor):
    """Ridge regression on random cosines of the features of atoms.

    Parameters
    ----------
    n_cosines : int
        Number of cosines of each element.
    length : float
        Distance between features over which energies change much.
    alpha : float
        Strength of the regularisation, in eV^2.
    random_state : int, RandomState or None
        For the directions.
    """

    def __init__(self, n_cosines=200, *, length=10.0, alpha=1e-4, random_state=None):
        self.n_cosines = n_cosines
        self.length = length
        self.alpha = alpha
        self.random_state = random_state

    def fit(self, X, y):
        """Draw directions, and solve for the coefficients."""
        X = self.check_features(X, reset=True)
        y = self.check_targets(X, y)
        rng = check_random_state(self.random_state)
        shape = (X.values.shape[1], self.n_cosines)
        self.directions_ = rng.normal(scale=1.0 / self.length, size=shape)
        self.phases_ = rng.uniform(0.0, 2.0 * np.pi, self.n_cosines)
        # rows of structures: cosines of each element, then numbers of atoms
        element = self._element(X)
        cosines = np.cos(self._angles(X))
        columns = np.zeros((len(element), len(self.numbers_), self.n_cosines + 1))
        columns[np.arange(len(element)), element, :-1] = cosines
        columns[np.arange(len(element)), element, -1] = 1.0
        rows = sum_atoms(columns.reshape(len(element), -1), X.offsets)
        # errors grow as the root of the number of atoms; constants are hardly penalised
        scale = 1.0 / np.sqrt(X.n_atoms)
        penalty = np.full(columns.shape[1:], np.sqrt(self.alpha))
        penalty[:, -1] *= 1e-4
        left = np.vstack([rows * scale[:, None], np.diag(penalty.ravel())])
        right = np.concatenate([y * scale, np.zeros(penalty.size)])
        self.coef_ = np.linalg.lstsq(left, right)[0].reshape(penalty.shape)
        return self

    def compute_atoms(self, X):
        """Evaluate the model at every atom."""
        coef = self.coef_[self._element(X)]
        return np.sum(coef[:, :-1] * np.cos(self._angles(X)), axis=1) + coef[:, -1]

    def compute_gradient(self, X):
        """Differentiate by the features."""
        coef = self.coef_[self._element(X), :-1]
        return -(coef * np.sin(self._angles(X))) @ self.directions_.T

    def _angles(self, X):
        return X.values @ self.directions_ + self.phases_

    def _element(self, X):
        return np.searchsorted(self.numbers_, X.numbers)


# %%
# The shipped checks look at the contract with scikit-learn, at invariances, and at forces
# and stress against differences of energies. A mistake in the slope is found here.
print(check_regressor(RandomCosines(random_state=0)))


class Mistaken(RandomCosines):
    """With the sign of the slope forgotten."""

    def compute_gradient(self, X):
        """Differentiate by the features, wrongly."""
        return -super().compute_gradient(X)


found = ""
try:
    check_regressor(Mistaken(random_state=0))
except AssertionError as error:
    found = str(error)
print(found)
assert "check_forces_match_differences" in found

# %%
# Trained on the energies of malonaldehyde, it predicts forces that it has never seen better
# than the linear model of the same features.
train, test = (
    load_dataset("malonaldehyde", "train"),
    load_dataset("malonaldehyde", "test"),
)
X, y, new = train.frames, train.energies, test.frames[:100]


def potential(model):
    """Put features and a scaler before a model."""
    return make_pipeline(ACSF(4.0), PerAtom(StandardScaler(with_std=False)), model)


errors = {}
for model in (RandomCosines(random_state=0), AtomicRidge(1e-4, forces=None)):
    start = time.process_time()
    fitted = potential(model).fit(X, y)
    name = type(model).__name__
    errors[name] = -1000 * neg_force_mae(fitted, new, test.energies[:100])
    seconds = time.process_time() - start
    print(f"{name:14s} force MAE {errors[name]:4.0f} meV/Å in {seconds:.1f} s")
assert errors["RandomCosines"] < errors["AtomicRidge"]

# %%
# It is a calculator of ASE, and has intervals of guaranteed coverage, like all others.
mine = potential(RandomCosines(random_state=0)).fit(X, y)
atoms = new[0].copy()
atoms.calc = SkatomCalculator(mine)
difference = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[2])[0]
print("a force", atoms.get_forces()[2].round(3), "by difference", difference.round(3))
np.testing.assert_allclose(atoms.get_forces()[2], difference, atol=1e-4)

sure = ConformalRegressor(mine, random_state=0).fit(X, y)
energies, intervals = sure.predict_interval(new, confidence_level=0.8)
low, high = intervals.T
inside = (test.energies[:100] >= low) & (test.energies[:100] <= high)
print(f"{inside.mean():.0%} of the unseen energies lie in intervals of 80%")
assert 0.65 <= inside.mean() <= 0.95
