"""Kernel functions of two atoms' features, with their slopes and curvature.

Every smooth kernel here, and every sum and product of them, is a function of the three
products u = |x|^2, v = |y|^2 and w = x.y. With subscripts for its partial derivatives,

    dk/dx = k_w y + 2 k_u x,        dk/dy = k_w x + 2 k_v y,
    d2k/dx dy = k_w I + 2 k_uw x (x) x + 4 k_uv x (x) y + k_ww y (x) x + 2 k_vw y (x) y,

so derivatives by features are matrix products with matrices of the shape of k, whatever
the kernel. The derivative by the logarithm of a hyperparameter is a kernel function of
the same kind, `KernelFunction.derivatives`, and has slopes and a curvature too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from skatom._runtime.state import State
from skatom.models._kernels.jets import Jet


class Cross(NamedTuple):
    """Term d p (x) q of a curvature, with p = a x + b y and q = e x + f y.

    Attributes
    ----------
    weight : ndarray of shape (n, m)
        d.
    left : tuple of float
        (a, b).
    right : tuple of float
        (e, f).
    """

    weight: np.ndarray
    left: tuple[float, float]
    right: tuple[float, float]


@dataclass(frozen=True)
class Hyperparameter(State):
    """A number that may be optimised, on its natural scale.

    Attributes
    ----------
    name : {"length", "variance", "constant"}
        Length scale l with gamma = 1 / (2 l^2); factor of the kernel; what is added to
        the product in a polynomial kernel.
    value, low, high : float
    """

    _name = "hyperparameter"

    name: str
    value: float
    low: float = 1e-5
    high: float = 1e5


class KernelFunction(State, ABC):
    """Kernel between rows of features; sums and products with + and *."""

    @property
    @abstractmethod
    def smooth(self) -> bool:
        """Whether forces can be trained: the kernel has two derivatives."""

    @property
    def radial(self) -> bool:
        """Whether the kernel is a function of the Euclidean distance."""
        return False

    @abstractmethod
    def jet(self, X: np.ndarray, Y: np.ndarray, order: int) -> Jet:
        """Evaluate between (n, n_features) and (m, n_features), to an order up to 2."""

    @abstractmethod
    def hyperparameters(self) -> tuple[Hyperparameter, ...]:
        """Free numbers, in a fixed order."""

    @abstractmethod
    def with_values(self, values: np.ndarray) -> KernelFunction:
        """Replace the free numbers, on their natural scale."""

    @abstractmethod
    def derivatives(self) -> tuple[KernelFunction, ...]:
        """Differentiate by the logarithm of each free number."""

    def __add__(self, other: KernelFunction) -> KernelFunction:
        return Sum(self, other)

    def __mul__(self, other: KernelFunction) -> KernelFunction:
        return Product(self, other)

    @property
    def theta(self) -> np.ndarray:
        """Logarithms of the free numbers."""
        return np.log([h.value for h in self.hyperparameters()])

    def with_theta(self, theta: np.ndarray) -> KernelFunction:
        """Replace the free numbers by their logarithms."""
        return self.with_values(np.exp(theta))

    def values(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Kernel between rows, (n, n_features) and (m, n_features) to (n, m)."""
        return self.jet(X, Y, 0).k

    def left(self, X: np.ndarray) -> np.ndarray:
        """Prepare rows for the left side of `between`."""
        return X

    def right(self, Y: np.ndarray) -> np.ndarray:
        """Prepare rows for the right side of `between`."""
        return Y

    def between(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Kernel between prepared rows: `values`, with what is per row done before."""
        return self.values(left, right)

    def diagonal(self, X: np.ndarray) -> np.ndarray:
        """Kernel of every row with itself, shape (n,)."""
        return np.concatenate(
            [self.values(x[None], x[None])[0] for x in X] or [np.empty(0)]
        )

    def slopes(
        self, X: np.ndarray, Y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Matrices a and b of dk/dx = a y + b x; b is None where it is zero."""
        jet = self.jet(X, Y, 1)
        a = np.broadcast_to(jet.w, jet.k.shape)
        return a, (None if np.ndim(jet.u) == 0 else jet.u)

    def weighted_gradient(
        self, X: np.ndarray, Y: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """Evaluate sum_m weights_nm dk(x_n, y_m)/dx_n, shape (n, n_features)."""
        a, b = self.slopes(X, Y)
        gradient = (weights * a) @ Y
        if b is not None:
            gradient += (weights * b).sum(axis=1)[:, None] * X
        return gradient

    def curvatures(
        self, X: np.ndarray, Y: np.ndarray
    ) -> tuple[np.ndarray, list[Cross]]:
        """Matrix c and the terms of d2k/dx dy = c I + sum d p (x) q."""
        jet = self.jet(X, Y, 2)
        return np.broadcast_to(jet.w, jet.k.shape), self._crosses(jet)

    def _crosses(self, jet: Jet) -> list[Cross]:
        if self.radial:
            return [Cross(jet.uw, (1.0, -1.0), (1.0, -1.0))]
        x, y = (1.0, 0.0), (0.0, 1.0)
        terms = [
            Cross(jet.ww, y, x),
            Cross(jet.uw, x, x),
            Cross(jet.uv, x, y),
            Cross(jet.vw, y, y),
        ]
        return [term for term in terms if np.ndim(term.weight)]

    def expansion(
        self, X: np.ndarray, Y: np.ndarray, coef: np.ndarray, slopes: np.ndarray | None
    ) -> np.ndarray:
        """Evaluate sum_m [coef_m k(x, y_m) + slopes_m . dk(x, y_m)/dy_m].

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
        Y : ndarray of shape (m, n_features)
        coef : ndarray of shape (m,)
        slopes : ndarray of shape (m, n_features) or None
            Coefficients of the derivatives by y; None for none.

        Returns
        -------
        values : ndarray of shape (n,)
        """
        if slopes is None:
            return self.values(X, Y) @ coef
        return _expanded(self.jet(X, Y, 1), X, Y, coef, slopes)

    def expansion_with_gradient(
        self, X: np.ndarray, Y: np.ndarray, coef: np.ndarray, slopes: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate :meth:`expansion` and its derivatives by x.

        Returns
        -------
        values : ndarray of shape (n,)
        gradient : ndarray of shape (n, n_features)
        """
        jet = self.jet(X, Y, 1 if slopes is None else 2)
        c = np.broadcast_to(jet.w, jet.k.shape)
        gradient = (c * coef) @ Y
        if np.ndim(jet.u):
            gradient += (jet.u @ coef)[:, None] * X
        if slopes is None:
            return jet.k @ coef, gradient
        gradient += c @ slopes
        across, own = X @ slopes.T, np.einsum("mf,mf->m", slopes, Y)
        for weight, (p_x, p_y), (q_x, q_y) in self._crosses(jet):
            along = weight * (q_x * across + q_y * own)
            if p_x:
                gradient += p_x * along.sum(axis=1)[:, None] * X
            if p_y:
                gradient += p_y * (along @ Y)
        return _expanded(jet, X, Y, coef, slopes), gradient


def _expanded(jet: Jet, X, Y, coef, slopes) -> np.ndarray:
    along = X @ slopes.T
    along *= jet.w
    values = jet.k @ coef + along.sum(axis=1)
    if np.ndim(jet.v):
        values += jet.v @ np.einsum("mf,mf->m", slopes, Y)
    return values


@dataclass(frozen=True)
class _Pair(KernelFunction):
    """Two kernels on the same features."""

    one: KernelFunction
    two: KernelFunction

    @property
    def smooth(self) -> bool:
        """Whether both are."""
        return self.one.smooth and self.two.smooth

    @property
    def radial(self) -> bool:
        """Whether both are."""
        return self.one.radial and self.two.radial

    def hyperparameters(self) -> tuple[Hyperparameter, ...]:
        """Those of the first, then those of the second."""
        return self.one.hyperparameters() + self.two.hyperparameters()

    def with_values(self, values: np.ndarray) -> KernelFunction:
        """Replace the free numbers, on their natural scale."""
        n = len(self.one.hyperparameters())
        return type(self)(
            self.one.with_values(values[:n]), self.two.with_values(values[n:])
        )


class Sum(_Pair):
    """Sum of two kernels."""

    _name = "sum of kernels"

    def values(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Kernel between rows, (n, n_features) and (m, n_features) to (n, m)."""
        return self.one.values(X, Y) + self.two.values(X, Y)

    def weighted_gradient(self, X, Y, weights) -> np.ndarray:
        """Evaluate sum_m weights_nm dk(x_n, y_m)/dx_n, shape (n, n_features)."""
        parts = (part.weighted_gradient(X, Y, weights) for part in (self.one, self.two))
        return sum(parts)

    def jet(self, X: np.ndarray, Y: np.ndarray, order: int) -> Jet:
        """Evaluate between (n, n_features) and (m, n_features), to an order up to 2."""
        return self.one.jet(X, Y, order) + self.two.jet(X, Y, order)

    def diagonal(self, X: np.ndarray) -> np.ndarray:
        """Kernel of every row with itself, shape (n,)."""
        return self.one.diagonal(X) + self.two.diagonal(X)

    def derivatives(self) -> tuple[KernelFunction, ...]:
        """Differentiate by the logarithm of each free number."""
        return self.one.derivatives() + self.two.derivatives()


class Product(_Pair):
    """Product of two kernels."""

    _name = "product of kernels"

    def values(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Kernel between rows, (n, n_features) and (m, n_features) to (n, m)."""
        return self.one.values(X, Y) * self.two.values(X, Y)

    def weighted_gradient(self, X, Y, weights) -> np.ndarray:
        """Evaluate sum_m weights_nm dk(x_n, y_m)/dx_n, shape (n, n_features)."""
        one = self.one.weighted_gradient(X, Y, weights * self.two.values(X, Y))
        return one + self.two.weighted_gradient(X, Y, weights * self.one.values(X, Y))

    def jet(self, X: np.ndarray, Y: np.ndarray, order: int) -> Jet:
        """Evaluate between (n, n_features) and (m, n_features), to an order up to 2."""
        return self.one.jet(X, Y, order) * self.two.jet(X, Y, order)

    def diagonal(self, X: np.ndarray) -> np.ndarray:
        """Kernel of every row with itself, shape (n,)."""
        return self.one.diagonal(X) * self.two.diagonal(X)

    def derivatives(self) -> tuple[KernelFunction, ...]:
        """Differentiate by the logarithm of each free number."""
        return tuple(Product(d, self.two) for d in self.one.derivatives()) + tuple(
            Product(self.one, d) for d in self.two.derivatives()
        )


@dataclass(frozen=True)
class Power(KernelFunction):
    """Factor times a power of a kernel.

    Attributes
    ----------
    base : KernelFunction
    exponent : float
    factor : float
    """

    _name = "power of a kernel"

    base: KernelFunction
    exponent: float
    factor: float = 1.0

    @property
    def smooth(self) -> bool:
        """Whether the base is."""
        return self.base.smooth

    @property
    def radial(self) -> bool:
        """Whether the base is."""
        return self.base.radial

    def jet(self, X: np.ndarray, Y: np.ndarray, order: int) -> Jet:
        """Evaluate between (n, n_features) and (m, n_features), to an order up to 2."""
        return self.base.jet(X, Y, order).composed(*self._outer(), order)

    def values(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Kernel between rows, (n, n_features) and (m, n_features) to (n, m)."""
        return self._outer()[0](self.base.values(X, Y))

    def weighted_gradient(self, X, Y, weights) -> np.ndarray:
        """Evaluate sum_m weights_nm dk(x_n, y_m)/dx_n, shape (n, n_features)."""
        slope = self._outer()[1](self.base.values(X, Y))
        return self.base.weighted_gradient(X, Y, weights * slope)

    def diagonal(self, X: np.ndarray) -> np.ndarray:
        """Kernel of every row with itself, shape (n,)."""
        return self._outer()[0](self.base.diagonal(X))

    def hyperparameters(self) -> tuple[Hyperparameter, ...]:
        """Those of the base."""
        return self.base.hyperparameters()

    def with_values(self, values: np.ndarray) -> Power:
        """Replace the free numbers, on their natural scale."""
        return replace(self, base=self.base.with_values(values))

    def derivatives(self) -> tuple[KernelFunction, ...]:
        """Differentiate by the logarithm of each free number."""
        outer = Power(self.base, self.exponent - 1.0, self.factor * self.exponent)
        return tuple(Product(outer, d) for d in self.base.derivatives())

    def _outer(self) -> list:
        """Give the power and its two derivatives as functions of the base."""
        p, c = self.exponent, self.factor
        return [
            partial(_power, factor=c, exponent=p),
            partial(_power, factor=c * p, exponent=p - 1.0),
            partial(_power, factor=c * p * (p - 1.0), exponent=p - 2.0),
        ]


def _power(k: np.ndarray, factor: float, exponent: float) -> np.ndarray:
    if factor == 0.0 or exponent == 0.0:
        return np.full_like(k, factor)
    if exponent > 0.0:
        return factor * k**exponent
    return factor * np.power(k, exponent, out=np.zeros_like(k), where=k != 0.0)


@dataclass(frozen=True)
class Scaled:
    """Kernel of features that are multiplied before; it has values and first slopes.

    Attributes
    ----------
    base : KernelFunction
    scales : ndarray of shape (n_features,)
    """

    base: KernelFunction
    scales: np.ndarray

    def values(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Kernel between rows, (n, n_features) and (m, n_features) to (n, m)."""
        return self.base.values(X * self.scales, Y * self.scales)

    def weighted_gradient(self, X, Y, weights) -> np.ndarray:
        """Evaluate sum_m weights_nm dk(x_n, y_m)/dx_n, shape (n, n_features)."""
        X, Y = X * self.scales, Y * self.scales
        return self.base.weighted_gradient(X, Y, weights) * self.scales
