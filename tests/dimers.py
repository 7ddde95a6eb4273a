"""A potential of isolated dimers that knows how wrong it is, for tests of intervals."""

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from sklearn.base import BaseEstimator, RegressorMixin

from skatom.structures import check_structures


class Bonds(RegressorMixin, BaseEstimator):
    """E = k r with its forces; standard deviations grow with the bond length."""

    def __init__(self, k=1.0):
        self.k = k

    def fit(self, X, y):
        check_structures(X)
        self.fitted_ = True
        return self

    def predict(self, X, return_std=False):
        r = np.array([a.get_distance(0, 1) for a in check_structures(X)])
        return (self.k * r, spread(r)) if return_std else self.k * r

    def predict_forces(self, X, return_std=False):
        forces, std = [], []
        for a in check_structures(X):
            bond = a.get_distance(0, 1, vector=True)
            f = self.k * bond / np.linalg.norm(bond)
            forces.append(np.array([f, -f]))
            std.append(np.full((2, 3), spread(np.linalg.norm(bond))))
        return (forces, std) if return_std else forces


def spread(r):
    return 0.1 * r**3


def dimers(n, seed=0, symbols="HH", **info):
    """Dimers whose labels scatter by `spread`; ten times less along heavy atoms."""
    rng = np.random.default_rng(seed)
    frames = [Atoms(symbols, [[0, 0, 0], [0, 0, r]]) for r in rng.uniform(0.7, 2, n)]
    r = np.array([a.get_distance(0, 1) for a in frames])
    y = r + spread(r) * rng.normal(size=n)
    for a, f, s in zip(frames, Bonds().predict_forces(frames), spread(r)):
        scale = np.where(a.numbers > 1, 0.1, 1.0)[:, None]
        noisy = f + s * scale * rng.normal(size=f.shape)
        a.calc = SinglePointCalculator(a, forces=noisy)
        a.info.update(info)
    return frames, y


def inside(y, intervals):
    return (intervals[..., 0] <= y) & (y <= intervals[..., 1])
