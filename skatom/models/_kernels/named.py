"""The kernels that have names, and their derivatives by a length or a constant."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.distance import cdist

from skatom.models._kernels.functions import (
    Hyperparameter,
    KernelFunction,
    Power,
    Product,
    Sum,
)
from skatom.models._kernels.jets import (
    Jet,
    cosine_jet,
    inverse_lengths,
    product_jet,
    radial_jet,
    round_to_zero,
    scaled_squares,
    unit_rows,
)
from skatom.models._kernels.profiles import (
    PROFILES,
    matern,
    powers,
    rational_quadratic,
    sigmoid,
)

RADIAL = ("rbf", "matern52", "matern32", "exponential")
PRODUCT = ("linear", "polynomial", "cosine")
KERNELS = (*RADIAL, *PRODUCT, "laplacian")
# Radial kernels with a shape, which are made of kernel objects.
SHAPED = {"matern": matern, "rational_quadratic": rational_quadratic}


@dataclass(frozen=True)
class Kernel(KernelFunction):
    """One kernel by name.

    Attributes
    ----------
    name : {"rbf", "matern52", "matern32", "exponential", "linear", "polynomial", \
            "cosine", "laplacian", "matern", "rational_quadratic", "sigmoid"}
    gamma : float
        Multiplies the squared distance, the product or (Laplacian) the 1-norm. A length
        scale l corresponds to 1 / (2 l^2) in the radial kernels. Unused by "linear" and
        "cosine".
    degree, coef0 : float
        Of (gamma x.y + coef0)^degree and tanh(gamma x.y + coef0); "cosine" is
        (x.y / |x||y|)^degree. The degree is nu of "matern", alpha of "rational_quadratic".
    variance : float
        Factor of the kernel.
    free : tuple of Hyperparameter
        What `hyperparameters` tells, with bounds; values in it are not used.
    """

    _name = "kernel"
    _states = (Hyperparameter,)

    name: str
    gamma: float = 0.5
    degree: float = 3.0
    coef0: float = 1.0
    variance: float = 1.0
    free: tuple[Hyperparameter, ...] = ()

    @property
    def smooth(self) -> bool:
        """Whether forces can be trained: the kernel has two derivatives."""
        if self.name == "matern":
            return self.degree > 1.0
        return self.name not in ("laplacian", "exponential")

    @property
    def radial(self) -> bool:
        """Whether the kernel is a function of the Euclidean distance."""
        return self.name in RADIAL or self.name in SHAPED

    def jet(self, X: np.ndarray, Y: np.ndarray, order: int) -> Jet:
        """Evaluate between (n, n_features) and (m, n_features), to an order up to 2."""
        if self.name == "laplacian":
            if order:
                raise NotImplementedError(
                    "The Laplacian kernel has kinks, where it has no derivative: take "
                    "'matern32' or 'rbf', or train on energies alone."
                )
            distances = cdist(X, Y, "cityblock")
            distances *= -self.gamma
            return Jet(self._scaled(np.exp(distances, out=distances)))
        return _jet(self, X, Y, order, self._profile)

    def left(self, X: np.ndarray) -> np.ndarray:
        """Prepare rows for the left side of `between`."""
        if self.name == "cosine":
            return unit_rows(X)
        if not self.radial:
            return X
        out = np.empty((len(X), X.shape[1] + 2))
        np.multiply(X, 2.0 * self.gamma, out=out[:, :-2])
        out[:, -2] = -self.gamma * np.einsum("nf,nf->n", X, X)
        out[:, -1] = -1.0
        return out

    def right(self, Y: np.ndarray) -> np.ndarray:
        """Prepare rows for the right side of `between`.

        Products of the two are -gamma |x - y|^2 for radial kernels.
        """
        if self.name == "cosine":
            return unit_rows(Y)
        if not self.radial:
            return Y
        out = np.empty((len(Y), Y.shape[1] + 2))
        out[:, :-2] = Y
        out[:, -2] = 1.0
        out[:, -1] = self.gamma * np.einsum("nf,nf->n", Y, Y)
        return out

    def between(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Kernel between prepared rows: `values`, with what is per row done before."""
        if self.name == "cosine":
            return self._profile(left @ right.T, 0)[0]
        if not self.radial:
            return self.values(left, right)
        s = left @ right.T
        np.minimum(s, 0.0, out=s)
        if self.name == "rbf":
            return self._scaled(np.exp(s, out=s))
        np.negative(s, out=s)
        if self._sharp:
            round_to_zero(s, -left[:, -2], right[:, -1])
        return self._profile(s, 0)[0]

    def diagonal(self, X: np.ndarray) -> np.ndarray:
        """Kernel of every row with itself, shape (n,)."""
        if not self.radial and self.name != "laplacian":
            squares = self._scale * np.einsum("nf,nf->n", X, X)
            if self.name == "cosine":
                return self.variance * (squares > 0).astype(np.float64)
            return self._profile(squares, 0)[0]
        return np.full(len(X), self.variance)

    def weighted_gradient(self, X, Y, weights):
        """Evaluate sum_m weights_nm dk(x_n, y_m)/dx_n, shape (n, n_features)."""
        if self.name == "laplacian":
            return self._laplacian_gradient(X, Y, self.values(X, Y) * weights)
        if self.radial:
            s = scaled_squares(X, Y, self.gamma, self._sharp)
            first = self._slope(s) * weights
            first *= 2.0 * self.gamma
            return first.sum(axis=1)[:, None] * X - first @ Y
        cosine = self.name == "cosine"
        left, right = (unit_rows(X), unit_rows(Y)) if cosine else (X, Y)
        if self.name == "linear" or self.degree in (0.0, 1.0):  # one slope everywhere
            slope = self.variance * (1.0 if self.name == "linear" else self.degree)
            pull = np.broadcast_to((slope * weights) @ right, X.shape)
        else:
            s = left @ right.T
            s *= self._scale
            pull = (self._slope(s) * weights) @ right
        if not cosine:
            return self._scale * pull
        pull = pull - left * np.einsum("nf,nf->n", left, pull)[:, None]
        return pull * inverse_lengths(X)[:, None]

    def expansion_with_gradient(self, X, Y, coef, slopes):
        """Evaluate :meth:`expansion` and its derivatives by x."""
        if self.name == "laplacian":
            weights = self.values(X, Y) * coef
            return weights.sum(axis=1), self._laplacian_gradient(X, Y, weights)
        if self.radial:
            return self._radial_with_gradient(X, Y, coef, slopes)
        return super().expansion_with_gradient(X, Y, coef, slopes)

    def _radial_with_gradient(self, X, Y, coef, slopes):
        """Do it for a function of s = gamma |x - y|^2, in few passes over memory.

        With b = u.(x - y): dk/dy.u = -2 gamma k' b, and the gradient by x of all terms is
        (2 gamma coef k' - 4 gamma^2 k'' b)(x - y) - 2 gamma k' u.
        """
        s = scaled_squares(X, Y, self.gamma, self._sharp)
        k = self._profile(s, 1 if slopes is None else 2)
        values = k[0] @ coef
        first = np.multiply(k[1], 2.0 * self.gamma, out=s)
        if slopes is None:
            first *= coef
            return values, first.sum(axis=1)[:, None] * X - first @ Y
        along = X @ slopes.T
        along -= np.einsum("mf,mf->m", slopes, Y)
        values -= np.einsum("nm,nm->n", first, along)
        gradient = -(first @ slopes)
        along *= k[2]
        along *= -4.0 * self.gamma**2
        first *= coef
        along += first
        gradient += along.sum(axis=1)[:, None] * X
        gradient -= along @ Y
        return values, gradient

    def _laplacian_gradient(self, X, Y, weights):
        gradient = np.empty_like(X)
        for f in range(X.shape[1]):
            signs = np.sign(X[:, f, None] - Y[:, f])
            gradient[:, f] = np.einsum("nm,nm->n", weights, signs)
        gradient *= -self.gamma
        return gradient

    def hyperparameters(self) -> tuple[Hyperparameter, ...]:
        """Free numbers, in a fixed order."""
        return tuple(replace(h, value=self._value(h.name)) for h in self.free)

    def with_values(self, values: np.ndarray) -> Kernel:
        """Replace the free numbers, on their natural scale."""
        changes, laplacian = {}, self.name == "laplacian"
        for h, value in zip(self.free, values):
            if h.name == "length":
                changes["gamma"] = 1.0 / value if laplacian else 0.5 / value**2
            elif h.name == "constant":
                changes["coef0"] = float(value)
            else:
                changes["variance"] = float(value)
        return replace(self, **changes)

    def derivatives(self) -> tuple[KernelFunction, ...]:
        """Differentiate by the logarithm of each free number."""
        fixed = replace(self, free=())
        return tuple(
            {"length": LengthDerivative, "constant": _constant_derivative}[h.name](
                fixed
            )
            if h.name != "variance"
            else fixed
            for h in self.free
        )

    def _value(self, name: str) -> float:
        if name == "length":
            laplacian = self.name == "laplacian"
            return 1.0 / self.gamma if laplacian else np.sqrt(0.5 / self.gamma)
        return self.coef0 if name == "constant" else self.variance

    @property
    def _scale(self) -> float:
        return 1.0 if self.name in ("linear", "cosine") else self.gamma

    def _scaled(self, k: np.ndarray) -> np.ndarray:
        return k if self.variance == 1.0 else self.variance * k

    @property
    def _sharp(self) -> bool:
        rough = self.name == "matern" and self.degree < 1.5
        return self.name == "exponential" or rough

    def _slope(self, s: np.ndarray) -> np.ndarray:
        """First derivative of the profile, for less than it and its value take."""
        if self.name in ("polynomial", "cosine"):
            constant = self.coef0 if self.name == "polynomial" else 0.0
            (lower,) = powers(s, 0, self.degree - 1.0, constant)
            return (self.variance * self.degree) * lower
        if self.name == "matern":
            return self.variance * matern(s, 1, self.degree, first=1)[0]
        return self._profile(s, 1)[1]

    def _profile(self, s: np.ndarray, order: int) -> list[np.ndarray]:
        """Value and derivatives by s up to an order; not to be written to."""
        if self.name == "polynomial":
            found = powers(s, order, self.degree, self.coef0)
        elif self.name == "cosine":
            found = powers(s, order, self.degree, 0.0)
        elif self.name == "sigmoid":
            found = sigmoid(s, order, self.coef0)
        elif self.name in SHAPED:
            found = SHAPED[self.name](s, order, self.degree)
        else:
            found = PROFILES[self.name](s, order)
        return found if self.variance == 1.0 else [self.variance * k for k in found]


# What sums, products and powers may be of, each other among them.
Sum._states = Product._states = Power._states = (Kernel, Sum, Product, Power)


@dataclass(frozen=True)
class LengthDerivative(KernelFunction):
    """Derivative of a named kernel by the logarithm of its length: -2 s k'(s)."""

    kernel: Kernel

    @property
    def smooth(self) -> bool:
        """As the kernel."""
        return self.kernel.smooth

    @property
    def radial(self) -> bool:
        """As the kernel."""
        return self.kernel.radial

    def jet(self, X: np.ndarray, Y: np.ndarray, order: int) -> Jet:
        """Evaluate between (n, n_features) and (m, n_features), to an order up to 2."""
        if self.kernel.name == "laplacian":
            distances = self.kernel.gamma * cdist(X, Y, "cityblock")
            return Jet(distances * self.kernel.values(X, Y))
        return _jet(self.kernel, X, Y, order, self._profile)

    def _profile(self, s: np.ndarray, order: int) -> list[np.ndarray]:
        k = self.kernel._profile(s, order + 1)
        return [-2.0 * (s * k[n + 1] + n * k[n]) for n in range(order + 1)]

    def hyperparameters(self) -> tuple[Hyperparameter, ...]:
        """None: it is not differentiated again."""
        return ()

    def with_values(self, values: np.ndarray) -> LengthDerivative:
        """Itself."""
        return self

    def derivatives(self) -> tuple[KernelFunction, ...]:
        """None."""
        return ()


def _constant_derivative(kernel: Kernel) -> Kernel:
    return replace(
        kernel,
        degree=kernel.degree - 1.0,
        variance=kernel.variance * kernel.degree * kernel.coef0,
    )


def _jet(kernel: Kernel, X: np.ndarray, Y: np.ndarray, order: int, profile) -> Jet:
    if kernel.name == "cosine":
        return cosine_jet(X, Y, order, profile)
    if kernel.radial:
        return radial_jet(X, Y, kernel.gamma, order, profile, kernel._sharp)
    return product_jet(X, Y, kernel._scale, order, profile)
