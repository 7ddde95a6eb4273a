"""Kernels of scikit-learn, objects and names, as kernel functions of atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import singledispatch
from typing import NamedTuple

import numpy as np
from sklearn.gaussian_process import kernels

from skatom.models._kernels.functions import (
    Hyperparameter,
    KernelFunction,
    Power,
    Product,
    Scaled,
    Sum,
)
from skatom.models._kernels.named import Kernel

MATERN = {0.5: "exponential", 1.5: "matern32", 2.5: "matern52", np.inf: "rbf"}
# Names of sklearn.metrics.pairwise that have slopes.
PAIRWISE = {
    "linear": "linear",
    "poly": "polynomial",
    "polynomial": "polynomial",
    "rbf": "rbf",
    "laplacian": "laplacian",
    "sigmoid": "sigmoid",
    "cosine": "cosine",
}


class Converted(NamedTuple):
    """A kernel function of features that are divided by their lengths before.

    Attributes
    ----------
    function : KernelFunction
    lengths : ndarray of shape (n_features,) or None
        Anisotropic lengths over their geometric mean; None where all are equal.
    """

    function: KernelFunction
    lengths: np.ndarray | None


def from_sklearn(kernel) -> Converted:
    """Convert a kernel object of scikit-learn, with its hyperparameters and bounds.

    Parameters
    ----------
    kernel : RBF, Matern, RationalQuadratic, DotProduct, ConstantKernel, their sums, \
            products and powers
        Anisotropic lengths may stand in several terms if their ratios are the same. The
        shape of a kernel, alpha of RationalQuadratic and nu of Matern, is not free.

    Returns
    -------
    converted : Converted

    Raises
    ------
    ValueError
        If there is no kernel between atoms for it.

    Examples
    --------
    >>> from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct
    >>> from skatom.models._kernels.from_sklearn import from_sklearn
    >>> from_sklearn(ConstantKernel(4.0, "fixed") * RBF(2.0)).function.hyperparameters()
    (Hyperparameter(name='length', value=..., low=1e-05, high=100000.0),)
    """
    function = kernel_function(kernel)
    parts = [p for p in _parts(function) if isinstance(p, Scaled) or p.degree != 0.0]
    scales = [part.scales for part in parts if isinstance(part, Scaled)]
    if not scales:
        return Converted(function, None)
    alike = all(np.allclose(other, scales[0], rtol=1e-10) for other in scales)
    if len(scales) < len(parts) or not alike:
        raise ValueError(
            f"The kernel {kernel!r} mixes different lengths of features: give all terms "
            "lengths with the same ratios, or scale the features before the model."
        )
    return Converted(_bare(function), 1.0 / scales[0])


def from_metric(name: str, gamma: float, degree: float, coef0: float) -> Kernel:
    """Convert a kernel that scikit-learn knows by a name.

    Raises
    ------
    KeyError
        If it has no slopes.
    """
    power = 1.0 if name == "cosine" else float(degree)
    return Kernel(PAIRWISE[name], float(gamma), power, float(coef0))


def without_noise(kernel):
    """Replace white noise, which has no part in covariances with new points, by zero."""
    if isinstance(kernel, kernels.WhiteKernel):
        return kernels.ConstantKernel(0.0, "fixed")
    if isinstance(kernel, kernels.KernelOperator):
        return type(kernel)(without_noise(kernel.k1), without_noise(kernel.k2))
    if isinstance(kernel, kernels.Exponentiation):
        return kernels.Exponentiation(without_noise(kernel.kernel), kernel.exponent)
    return kernel


@singledispatch
def kernel_function(kernel) -> KernelFunction | Scaled:
    """Convert a kernel object; what has anisotropic lengths has values and slopes only.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel

    Raises
    ------
    ValueError
        If there is no function for it.
    """
    remedy = (
        "noise is what alpha is for"
        if isinstance(kernel, kernels.WhiteKernel)
        else "use RBF, Matern, RationalQuadratic, DotProduct, ConstantKernel, or sums, "
        "products and powers of them"
    )
    raise ValueError(
        f"The kernel {kernel!r} has no counterpart between atoms: {remedy}."
    )


@kernel_function.register
def _rbf(kernel: kernels.RBF) -> KernelFunction | Scaled:
    return _radial(kernel, "rbf")


@kernel_function.register
def _matern(kernel: kernels.Matern) -> KernelFunction | Scaled:
    return _radial(kernel, MATERN.get(kernel.nu, "matern"), float(kernel.nu))


@kernel_function.register
def _rational(kernel: kernels.RationalQuadratic) -> KernelFunction:
    return _radial(kernel, "rational_quadratic", float(kernel.alpha))


@kernel_function.register
def _dot(kernel: kernels.DotProduct) -> Kernel:
    free = _free(kernel.hyperparameter_sigma_0, "constant", power=2)
    return Kernel("polynomial", 1.0, 1.0, float(kernel.sigma_0) ** 2, free=free)


@kernel_function.register
def _constant(kernel: kernels.ConstantKernel) -> Kernel:
    free = _free(kernel.hyperparameter_constant_value, "variance")
    value = float(kernel.constant_value)
    return Kernel("polynomial", 1.0, 0.0, 1.0, value, free)


@kernel_function.register
def _power(kernel: kernels.Exponentiation) -> KernelFunction:
    base, exponent = kernel_function(kernel.kernel), float(kernel.exponent)
    if isinstance(kernel.kernel, kernels.DotProduct):
        return replace(base, degree=exponent)
    return Power(base, exponent)


@kernel_function.register
def _sum(kernel: kernels.Sum) -> KernelFunction:
    return Sum(kernel_function(kernel.k1), kernel_function(kernel.k2))


@kernel_function.register
def _product(kernel: kernels.Product) -> KernelFunction | Scaled:
    one, two = kernel_function(kernel.k1), kernel_function(kernel.k2)
    for constant, other, free in (
        (one, two, lambda c, o: c + o),
        (two, one, lambda c, o: o + c),
    ):
        leaf = other.base if isinstance(other, Scaled) else other
        if _is_factor(constant, leaf):
            leaf = replace(
                leaf,
                variance=constant.variance * leaf.variance,
                free=free(constant.free, leaf.free),
            )
            return replace(other, base=leaf) if isinstance(other, Scaled) else leaf
    return Product(one, two)


def _radial(kernel, name: str, shape: float = 3.0) -> KernelFunction | Scaled:
    lengths = np.atleast_1d(np.asarray(kernel.length_scale, dtype=np.float64))
    mean = float(np.exp(np.mean(np.log(lengths))))
    if len(lengths) == 1 or kernel.hyperparameter_length_scale.fixed:
        free = _free(kernel.hyperparameter_length_scale, "length")
    else:  # the ratios stay, their mean is free between the mean bounds
        low, high = np.exp(kernel.bounds).mean(axis=0)
        free = (Hyperparameter("length", mean, low, high),)
    leaf = Kernel(name, 0.5 / mean**2, degree=shape, free=free)
    return leaf if len(lengths) == 1 else Scaled(leaf, mean / lengths)


def _free(hyperparameter, name: str, power: int = 1) -> tuple[Hyperparameter, ...]:
    if hyperparameter.fixed:
        return ()
    low, high = np.ravel(hyperparameter.bounds)[:2] ** power
    return (Hyperparameter(name, np.nan, float(low), float(high)),)


def _is_factor(constant, other) -> bool:
    """Whether the product only scales a named kernel that has no scale of its own."""
    return (
        isinstance(constant, Kernel)
        and constant.degree == 0.0
        and isinstance(other, Kernel)
        and all(h.name != "variance" for h in other.free)
    )


def _parts(function) -> Iterator[Kernel | Scaled]:
    """Give the kernels that a function is made of."""
    if isinstance(function, Power):
        yield from _parts(function.base)
    elif isinstance(function, Sum | Product):
        yield from _parts(function.one)
        yield from _parts(function.two)
    else:
        yield function


def _bare(function) -> KernelFunction:
    """Leave the lengths of features out."""
    if isinstance(function, Scaled):
        return function.base
    if isinstance(function, Power):
        return replace(function, base=_bare(function.base))
    if isinstance(function, Sum | Product):
        return type(function)(_bare(function.one), _bare(function.two))
    return function
