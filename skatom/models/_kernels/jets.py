"""Values and derivatives of kernels by the products of two feature vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Relative to the norms that they are differences of, distances below this are none.
ROUNDING = 1e-14


class Jet(NamedTuple):
    """A kernel and its partial derivatives by u, v, w, each of shape (n, m) or a number.

    ``u`` and ``v`` hold 2 k_u and 2 k_v, ``uw`` and ``vw`` hold 2 k_uw and 2 k_vw, ``uv``
    holds 4 k_uv: what stands beside the vectors. Orders that were not asked for are zero.
    """

    k: np.ndarray
    w: np.ndarray | float = 0.0
    u: np.ndarray | float = 0.0
    v: np.ndarray | float = 0.0
    ww: np.ndarray | float = 0.0
    uw: np.ndarray | float = 0.0
    vw: np.ndarray | float = 0.0
    uv: np.ndarray | float = 0.0

    def __add__(self, other: Jet) -> Jet:
        return Jet(*(one + two for one, two in zip(self, other)))

    def __mul__(self, other: Jet) -> Jet:
        f, g = self, other
        return Jet(
            f.k * g.k,
            f.k * g.w + g.k * f.w,
            f.k * g.u + g.k * f.u,
            f.k * g.v + g.k * f.v,
            f.k * g.ww + g.k * f.ww + 2.0 * f.w * g.w,
            f.k * g.uw + g.k * f.uw + f.u * g.w + g.u * f.w,
            f.k * g.vw + g.k * f.vw + f.v * g.w + g.v * f.w,
            f.k * g.uv + g.k * f.uv + f.u * g.v + g.u * f.v,
        )

    def composed(self, outer, first, second, order: int) -> Jet:
        """Evaluate a function of the kernel, given with its derivatives."""
        f, g = self, first(self.k) if order else 0.0
        jet = Jet(outer(f.k), g * f.w, g * f.u, g * f.v)
        if order < 2:
            return jet
        h = second(f.k)
        return jet._replace(
            ww=g * f.ww + h * f.w * f.w,
            uw=g * f.uw + h * f.u * f.w,
            vw=g * f.vw + h * f.v * f.w,
            uv=g * f.uv + h * f.u * f.v,
        )


def radial_jet(X, Y, scale: float, order: int, profile, sharp: bool = False) -> Jet:
    """Evaluate a function of s = scale |x - y|^2.

    Parameters
    ----------
    X, Y : ndarray of shape (n, n_features) and (m, n_features)
    scale : float
    order : int
        0 for values, 1 for slopes too, 2 for curvatures too.
    profile : callable
        Gives value and derivatives at s up to an order: ``profile(s, order)``.
    sharp : bool, default=False
        Whether the profile goes with the root of s, which makes much of rounding.

    Returns
    -------
    jet : Jet
    """
    k = profile(scaled_squares(X, Y, scale, sharp), order)
    jet = Jet(k[0])
    if order:
        first = 2.0 * scale * k[1]
        jet = jet._replace(w=-first, u=first, v=first)
    if order > 1:
        second = 4.0 * scale**2 * k[2]
        jet = jet._replace(ww=second, uw=-second, vw=-second, uv=second)
    return jet


def scaled_squares(X, Y, scale: float, sharp: bool = False) -> np.ndarray:
    """Evaluate scale |x - y|^2; parameters as in `radial_jet`."""
    s = X @ Y.T
    s *= -2.0 * scale
    norms = scale * np.einsum("nf,nf->n", X, X), scale * np.einsum("nf,nf->n", Y, Y)
    s += norms[0][:, None]
    s += norms[1]
    np.maximum(s, 0.0, out=s)
    if sharp:
        round_to_zero(s, *norms)
    return s


def round_to_zero(s: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    """Set differences of norms that are nothing but rounding to zero, in place."""
    s[s < ROUNDING * (rows[:, None] + columns)] = 0.0


def product_jet(X, Y, scale: float, order: int, profile) -> Jet:
    """Evaluate a function of s = scale x.y; parameters as in `radial_jet`."""
    s = X @ Y.T
    if scale != 1.0:
        s *= scale
    k = profile(s, order)
    jet = Jet(k[0])
    if order:
        jet = jet._replace(w=scale * k[1])
    if order > 1:
        jet = jet._replace(ww=scale**2 * k[2])
    return jet


def cosine_jet(X, Y, order: int, profile) -> Jet:
    """Evaluate a function of c = x.y / |x||y|, zero where a vector is."""
    over_x, over_y = inverse_lengths(X), inverse_lengths(Y)
    c = (X * over_x[:, None]) @ (Y * over_y[:, None]).T
    both = over_x[:, None] * over_y
    k = profile(c, order)
    jet = Jet(k[0])
    if order == 0:
        return jet
    first = k[1]
    over_u, over_v = (over_x**2)[:, None], over_y**2
    jet = jet._replace(w=first * both, u=-first * c * over_u, v=-first * c * over_v)
    if order == 1:
        return jet
    second = k[2]
    mixed = first + c * second
    return jet._replace(
        ww=second * both**2,
        uw=-mixed * both * over_u,
        vw=-mixed * both * over_v,
        uv=mixed * c * over_u * over_v,
    )


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Divide rows by their lengths; rows of zeros stay."""
    return X * inverse_lengths(X)[:, None]


def inverse_lengths(X: np.ndarray) -> np.ndarray:
    """One over the lengths of rows; zero for rows of zeros."""
    norms = np.linalg.norm(X, axis=1)
    return np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
