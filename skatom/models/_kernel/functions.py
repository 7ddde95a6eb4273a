"""Kernel functions of two atoms' features, their slopes and their curvature.

Every smooth kernel here is a profile of one number, either of the scaled squared distance
s = gamma |x - y|^2 or of the scaled product s = gamma x.y, so that its derivatives are
matrix products: dk/dx = a y + b x with matrices a and b of the shape of k, and
d2k/dx dy = c I + d p (x) q.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

RADIAL = ("rbf", "matern52", "matern32")
PRODUCT = ("linear", "polynomial")
KERNELS = (*RADIAL, *PRODUCT, "laplacian")


@dataclass(frozen=True)
class Kernel:
    """Kernel function with fixed parameters.

    Attributes
    ----------
    name : {"rbf", "matern52", "matern32", "linear", "polynomial", "laplacian"}
    gamma : float
        Multiplies the squared distance, the product or (Laplacian) the distance. A
        length scale l corresponds to 1 / (2 l^2) in the radial kernels.
    degree, coef0 : float
        Of the polynomial kernel, (gamma x.y + coef0)^degree.
    """

    name: str
    gamma: float
    degree: float = 3.0
    coef0: float = 1.0

    @property
    def smooth(self) -> bool:
        """Whether forces can be trained: the kernel has two derivatives."""
        return self.name != "laplacian"

    @property
    def radial(self) -> bool:
        """Whether the kernel is a function of the Euclidean distance."""
        return self.name in RADIAL

    def values(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Kernel between rows, (n, n_features) and (m, n_features) to (n, m)."""
        if self.name == "laplacian":
            return np.exp(-self.gamma * cdist(X, Y, "cityblock"))
        return self._profile(self._argument(X, Y), 0)

    def slopes(
        self, X: np.ndarray, Y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Matrices a and b of dk/dx = a y + b x; b is None where it is zero."""
        slope = self._profile(self._argument(X, Y), 1)
        if not self.radial:
            return self._scale * slope, None
        slope *= 2.0 * self.gamma
        return -slope, slope

    def curvatures(self, X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Matrices c and d of d2k/dx dy = c I + d p (x) q.

        In radial kernels p = q = x - y; in kernels of the product p = y and q = x.
        """
        argument = self._argument(X, Y)
        scale = self._scale
        if not self.radial:
            return scale * self._profile(argument, 1), scale**2 * self._profile(
                argument, 2
            )
        return (
            -2.0 * scale * self._profile(argument, 1),
            -4.0 * scale**2 * self._profile(argument, 2),
        )

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
        values = self.values(X, Y) @ coef
        if slopes is None:
            return values
        a, b = self.slopes(Y, X)  # dk/dy = a x + b y
        values += np.einsum("mn,nm->n", a, X @ slopes.T)
        if b is not None:
            values += np.einsum("mf,mf->m", slopes, Y) @ b
        return values

    def expansion_gradient(
        self, X: np.ndarray, Y: np.ndarray, coef: np.ndarray, slopes: np.ndarray | None
    ) -> np.ndarray:
        """Differentiate :meth:`expansion` by x, shape (n, n_features)."""
        if self.name == "laplacian":
            return self._laplacian_slope(X, Y, coef)
        a, b = self.slopes(X, Y)
        gradient = (a * coef) @ Y
        if b is not None:
            gradient += (b @ coef)[:, None] * X
        if slopes is None:
            return gradient
        c, d = self.curvatures(X, Y)
        gradient += c @ slopes
        along = X @ slopes.T  # q . slopes, with q = x, or x - y below
        if not self.radial:
            gradient += (d * along) @ Y
            return gradient
        along -= np.einsum("mf,mf->m", slopes, Y)
        d *= along
        gradient += d.sum(axis=1)[:, None] * X
        gradient -= d @ Y
        return gradient

    @property
    def _scale(self) -> float:
        return 1.0 if self.name == "linear" else self.gamma

    def _argument(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        argument = X @ Y.T
        if not self.radial:
            argument *= self._scale
            return argument
        argument *= -2.0 * self.gamma
        argument += self.gamma * np.einsum("nf,nf->n", X, X)[:, None]
        argument += self.gamma * np.einsum("nf,nf->n", Y, Y)
        return np.maximum(argument, 0.0, out=argument)

    def _profile(self, s: np.ndarray, order: int) -> np.ndarray:
        if self.name == "polynomial":
            return _polynomial(s, order, self.degree, self.coef0)
        return PROFILES[self.name](s, order)

    def _laplacian_slope(self, X, Y, coef) -> np.ndarray:
        weights = -self.gamma * self.values(X, Y) * coef
        gradient = np.empty_like(X)
        for f in range(X.shape[1]):
            gradient[:, f] = np.einsum(
                "nm,nm->n", weights, np.sign(X[:, f, None] - Y[:, f])
            )
        return gradient


def _rbf(s: np.ndarray, order: int) -> np.ndarray:
    k = np.exp(-s)
    return -k if order == 1 else k


def _matern52(s: np.ndarray, order: int) -> np.ndarray:
    """(1 + t + t^2/3) exp(-t), t = sqrt(5) d / l = sqrt(10 s), and derivatives by s."""
    t = np.sqrt(10.0 * s)
    decay = np.exp(-t)
    if order == 0:
        return (1.0 + t * (1.0 + t / 3.0)) * decay
    if order == 1:
        return (-5.0 / 3.0) * (1.0 + t) * decay
    return (25.0 / 3.0) * decay


def _matern32(s: np.ndarray, order: int) -> np.ndarray:
    """(1 + t) exp(-t), t = sqrt(3) d / l = sqrt(6 s), and derivatives by s.

    The second one grows as 1/d towards zero, where it only ever meets (x - y)(x - y)^T
    and counts for nothing; it is set to zero there.
    """
    t = np.sqrt(6.0 * s)
    decay = np.exp(-t)
    if order == 0:
        return (1.0 + t) * decay
    if order == 1:
        return -3.0 * decay
    return np.divide(9.0 * decay, t, out=np.zeros_like(t), where=t > 0)


def _linear(s: np.ndarray, order: int) -> np.ndarray:
    return s if order == 0 else np.full_like(s, 1.0 if order == 1 else 0.0)


def _polynomial(s: np.ndarray, order: int, degree: float, coef0: float) -> np.ndarray:
    factor = 1.0
    for k in range(order):
        factor *= degree - k
    if factor == 0.0:
        return np.zeros_like(s)
    return factor * (s + coef0) ** (degree - order)


PROFILES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "rbf": _rbf,
    "matern52": _matern52,
    "matern32": _matern32,
    "linear": _linear,
}
