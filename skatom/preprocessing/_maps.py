"""Maps of rows and their transposes, from which derivatives of steps are built."""

from __future__ import annotations

import numpy as np


class Scale:
    """Each column times a number."""

    def __init__(self, factors):
        self.factors = factors

    def pullback(self, g):
        """Multiply by the factors."""
        return g * self.factors

    pushforward = pullback


class Linear:
    """Rows times a matrix of shape (n_features, n_outputs)."""

    def __init__(self, matrix):
        self.matrix = matrix

    def pullback(self, g):
        """Multiply by the transposed matrix."""
        return g @ self.matrix.T

    def pushforward(self, v):
        """Multiply by the matrix."""
        return v @ self.matrix


class Columns:
    """Some of the columns, each at most once."""

    def __init__(self, keep, n_features: int):
        self.keep = keep
        self.n_features = n_features

    def pullback(self, g):
        """Put the columns where they came from."""
        out = np.zeros((len(g), self.n_features))
        out[:, self.keep] = g
        return out

    def pushforward(self, v):
        """Take the columns."""
        return v[:, self.keep]


class Chain:
    """Maps applied one after the other."""

    def __init__(self, parts):
        self.parts = parts

    def pullback(self, g):
        """Carry a gradient by the output back to the input."""
        for part in reversed(self.parts):
            g = part.pullback(g)
        return g

    def pushforward(self, v):
        """Carry a change of the input to the output."""
        for part in self.parts:
            v = part.pushforward(v)
        return v


class SideBySide:
    """Blocks of output columns, each with a derivative of its own."""

    def __init__(self, parts, n_features: int):
        self.parts = parts  # (slice of output columns, derivative)
        self.n_features = n_features

    def pullback(self, g):
        """Carry a gradient by the output back to the input."""
        out = np.zeros((len(g), self.n_features))
        for columns, part in self.parts:
            out += part.pullback(g[:, columns])
        return out

    def pushforward(self, v):
        """Carry a change of the input to the output."""
        blocks = [part.pushforward(v) for _, part in self.parts]
        return np.concatenate([np.empty((len(v), 0)), *blocks], axis=1)


class OnSphere:
    """Rows over their norm: v -> (v - y (n . v)) / norm with the gradient n of the norm."""

    def __init__(self, X, norm: str):
        size, self.direction = _NORMS[norm](X)
        size = np.where(size == 0, 1.0, size)  # the transformer leaves zero rows alone
        self.size = size[:, None]
        self.y = X / self.size

    def pullback(self, g):
        """Carry a gradient by the output back to the input."""
        along = np.einsum("nd,nd->n", self.y, g)[:, None]
        return (g - self.direction * along) / self.size

    def pushforward(self, v):
        """Carry a change of the input to the output."""
        along = np.einsum("nd,nd->n", self.direction, v)[:, None]
        return (v - self.y * along) / self.size


def _l2(X):
    size = np.sqrt(np.einsum("nd,nd->n", X, X))
    return size, X / np.where(size == 0, 1.0, size)[:, None]


def _l1(X):
    return np.abs(X).sum(axis=1), np.sign(X)


def _max(X):
    rows, largest = np.arange(len(X)), np.abs(X).argmax(axis=1)
    direction = np.zeros_like(X)
    direction[rows, largest] = np.sign(X[rows, largest])
    return np.abs(X[rows, largest]), direction


_NORMS = {"l2": _l2, "l1": _l1, "max": _max}
