"""Kernel objects of scikit-learn's Gaussian processes as kernel functions of atoms."""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import numpy as np
from sklearn.gaussian_process import kernels

from skatom.models._kernels.functions import Hyperparameter, KernelFunction
from skatom.models._kernels.named import Kernel

MATERN = {0.5: "exponential", 1.5: "matern32", 2.5: "matern52", np.inf: "rbf"}


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


@singledispatch
def from_sklearn(kernel) -> Converted:
    """Convert a kernel object of scikit-learn, with its hyperparameters and bounds.

    Parameters
    ----------
    kernel : RBF, Matern, DotProduct, ConstantKernel, their sums, products and powers
        Anisotropic lengths may stand in several terms if their ratios are the same.

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
    remedy = (
        "noise is what alpha is for"
        if isinstance(kernel, kernels.WhiteKernel)
        else "use RBF, Matern with nu=0.5, 1.5, 2.5 or inf, DotProduct, ConstantKernel, "
        "or sums, products and powers of them"
    )
    raise ValueError(
        f"The kernel {kernel!r} has no counterpart between atoms: {remedy}."
    )


@from_sklearn.register
def _rbf(kernel: kernels.RBF) -> Converted:
    return _radial(kernel, "rbf")


@from_sklearn.register
def _matern(kernel: kernels.Matern) -> Converted:
    if kernel.nu not in MATERN:
        raise ValueError(
            f"The Matern kernel with nu={kernel.nu:g} has no closed form: "
            "use nu=0.5, 1.5, 2.5 or inf."
        )
    return _radial(kernel, MATERN[kernel.nu])


@from_sklearn.register
def _dot(kernel: kernels.DotProduct) -> Converted:
    free = _free(kernel.hyperparameter_sigma_0, "constant", power=2)
    leaf = Kernel("polynomial", 1.0, 1.0, float(kernel.sigma_0) ** 2, free=free)
    return Converted(leaf, None)


@from_sklearn.register
def _constant(kernel: kernels.ConstantKernel) -> Converted:
    free = _free(kernel.hyperparameter_constant_value, "variance")
    value = float(kernel.constant_value)
    return Converted(Kernel("polynomial", 1.0, 0.0, 1.0, value, free), None)


@from_sklearn.register
def _power(kernel: kernels.Exponentiation) -> Converted:
    base = kernel.kernel
    if not isinstance(base, kernels.DotProduct):
        raise ValueError(
            f"The kernel {kernel!r} has no counterpart between atoms: only a DotProduct "
            "can be raised to a power; multiply other kernels."
        )
    leaf = _dot(base).function
    return Converted(
        Kernel("polynomial", 1.0, float(kernel.exponent), leaf.coef0, free=leaf.free),
        None,
    )


@from_sklearn.register
def _sum(kernel: kernels.Sum) -> Converted:
    one, two = from_sklearn(kernel.k1), from_sklearn(kernel.k2)
    return Converted(one.function + two.function, _common(kernel, one, two))


@from_sklearn.register
def _product(kernel: kernels.Product) -> Converted:
    one, two = from_sklearn(kernel.k1), from_sklearn(kernel.k2)
    lengths = _common(kernel, one, two)
    for constant, other in ((one.function, two.function), (two.function, one.function)):
        if _is_factor(constant, other):
            function = Kernel(
                other.name, other.gamma, other.degree, other.coef0,
                constant.variance * other.variance, constant.free + other.free,
            )  # fmt: skip
            if constant is two.function:
                function = _reordered(function, other.free + constant.free)
            return Converted(function, lengths)
    return Converted(one.function * two.function, lengths)


def _radial(kernel, name: str) -> Converted:
    lengths = np.atleast_1d(np.asarray(kernel.length_scale, dtype=np.float64))
    mean = float(np.exp(np.mean(np.log(lengths))))
    ratios = None if len(lengths) == 1 else lengths / mean
    free = ()
    if len(lengths) == 1 or kernel.hyperparameter_length_scale.fixed:
        free = _free(kernel.hyperparameter_length_scale, "length")
    else:  # the ratios stay, their mean is free between the mean bounds
        low, high = np.exp(kernel.bounds).mean(axis=0)
        free = (Hyperparameter("length", mean, low, high),)
    return Converted(Kernel(name, 0.5 / mean**2, free=free), ratios)


def _free(hyperparameter, name: str, power: int = 1) -> tuple[Hyperparameter, ...]:
    if hyperparameter.fixed:
        return ()
    low, high = np.ravel(hyperparameter.bounds)[:2] ** power
    return (Hyperparameter(name, np.nan, float(low), float(high)),)


def _is_factor(constant: KernelFunction, other: KernelFunction) -> bool:
    """Whether the product only scales a named kernel that has no scale of its own."""
    return (
        isinstance(constant, Kernel)
        and constant.degree == 0.0
        and isinstance(other, Kernel)
        and all(h.name != "variance" for h in other.free)
    )


def _reordered(kernel: Kernel, free: tuple[Hyperparameter, ...]) -> Kernel:
    return Kernel(
        kernel.name, kernel.gamma, kernel.degree, kernel.coef0, kernel.variance, free
    )


def _common(kernel, one: Converted, two: Converted) -> np.ndarray | None:
    """Lengths that two terms share; a product with isotropic terms takes no lengths."""
    given = [c.lengths for c in (one, two) if c.lengths is not None]
    if not given:
        return None
    functions = [c.function for c in (one, two) if c.lengths is None]
    shared = len(given) == 1 or np.allclose(given[0], given[1], rtol=1e-10)
    if not shared or any(not _constant_only(f) for f in functions):
        raise ValueError(
            f"The kernel {kernel!r} mixes different lengths of features: give all terms "
            "lengths with the same ratios, or scale the features before the model."
        )
    return given[0]


def _constant_only(function: KernelFunction) -> bool:
    return isinstance(function, Kernel) and function.degree == 0.0
