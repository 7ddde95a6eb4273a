"""Central differences of any prediction, extrapolated from two step sizes."""

import numpy as np

VOIGT = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]


def extrapolated(slope, step):
    """Richardson: the h² error of a central difference cancels, h⁴ is left."""
    return (4 * slope(step / 2) - slope(step)) / 3


def numerical_forces(predict, atoms, step=1e-3):
    """Minus the slope of ``predict(frames)`` by every coordinate, (n_atoms, 3)."""

    def slope(h):
        moved = []
        for i in range(len(atoms)):
            for axis in range(3):
                for sign in (1, -1):
                    one = atoms.copy()
                    one.positions[i, axis] += sign * h
                    moved.append(one)
        e = np.reshape(predict(moved), (len(atoms), 3, 2))
        return (e[..., 1] - e[..., 0]) / (2 * h)

    return extrapolated(slope, step)


def numerical_stress(predict, atoms, step=1e-3):
    """Slope of the energy by a strain over the volume, Voigt order, (6,)."""

    def slope(h):
        strained = []
        for a, b in VOIGT:
            for sign in (1, -1):
                strain = np.eye(3)
                strain[a, b] += sign * h / 2
                strain[b, a] += sign * h / 2
                one = atoms.copy()
                one.set_cell(atoms.cell.array @ strain, scale_atoms=True)
                strained.append(one)
        e = np.reshape(predict(strained), (6, 2))
        return (e[:, 0] - e[:, 1]) / (2 * h * atoms.get_volume())

    return extrapolated(slope, step)


def numerical_gradient(function, X, step=1e-3):
    """Slope of ``function(X)[n]`` by X[n], row by row, (n_samples, n_features)."""

    def slope(h):
        out = np.empty(X.shape)
        for k in range(X.shape[1]):
            moved = np.zeros(X.shape[1])
            moved[k] = h
            out[:, k] = np.ravel(function(X + moved) - function(X - moved)) / (2 * h)
        return out

    return extrapolated(slope, step)


def relative_error(found, expected):
    """Largest error over the largest expected number."""
    return np.abs(found - expected).max() / np.abs(expected).max()
