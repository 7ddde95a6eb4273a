"""Cutoff functions of eight squared distances at a time.

All are functions f of u = (r / r_cut)**2 on 0 <= u <= 1, with f = f' = 0 at u = 1. The
slope is given as f'(u) / f(u), which lets a product of cutoffs be differentiated by
adding.
"""

from numba.extending import register_jitable

from skatom.featurizers._simd.lanes import (
    exp2,
    guarded_ratio,
    maximum,
    power,
    splat,
    sqrt,
)

COSINE = 0  # (1 + cos(pi x)) / 2, x = r / r_cut
POLYNOMIAL = 1  # 1 + gamma x**(gamma + 1) - (gamma + 1) x**gamma
TANH3 = 2  # tanh(1 - x)**3

_TWO_LOG2E = 2.8853900817779268


@register_jitable
def whole_power(x, exponent):
    """Return x**exponent for an integer exponent >= 0, by repeated squaring."""
    result = splat(1.0)
    while exponent > 0:
        if exponent & 1:
            result = result * x
        exponent >>= 1
        if exponent > 0:
            x = x * x
    return result


@register_jitable
def real_power(x, exponent):
    """Return x**exponent for lanes x >= 0 and a real exponent >= 0."""
    whole = int(exponent)
    if whole == exponent:
        return whole_power(x, whole)
    return power(maximum(x, 0.0), exponent)


@register_jitable
def cutoff(kind, gamma, u):
    """Return f(u)."""
    if kind == POLYNOMIAL:
        x = sqrt(u)
        x_gamma = real_power(x, gamma)
        return 1.0 + x_gamma * (gamma * x - (gamma + 1.0))
    if kind == TANH3:
        decay = exp2((sqrt(u) - 1.0) * _TWO_LOG2E)
        th = (1.0 - decay) / (1.0 + decay)
        return th * th * th
    rest = 1.0 - u
    return rest * rest * _cosine_rest(u)


@register_jitable
def cutoff_slope(kind, gamma, u):
    """Return f'(u) / f(u), and zero where f(u) is zero."""
    if kind == POLYNOMIAL:
        x = sqrt(u)
        x_gamma = real_power(x, gamma)
        value = 1.0 + x_gamma * (gamma * x - (gamma + 1.0))
        slope = (0.5 * gamma * (gamma + 1.0)) * guarded_ratio(x_gamma * (x - 1.0), u)
        return guarded_ratio(slope, value)
    if kind == TANH3:
        x = sqrt(u)
        decay = exp2((x - 1.0) * _TWO_LOG2E)
        th = (1.0 - decay) / (1.0 + decay)
        return guarded_ratio(1.5 * (th * th - 1.0), th * x)
    rest = 1.0 - u
    return guarded_ratio(_cosine_rest_slope(u), rest * _cosine_rest(u))


@register_jitable
def _cosine_rest(u):
    """Return f(u) / (1 - u)**2 for the cosine: entire in u, interpolated to 2e-18."""
    p = u * -3.396016833111468e-11 + 1.7206865574999344e-09
    p = p * u + -6.589501862660066e-08
    p = p * u + 2.017996194120502e-06
    p = p * u + -4.821714372999128e-05
    p = p * u + 0.0008663348600010877
    p = p * u + -0.011122558827445653
    p = p * u + 0.094553862663697
    p = p * u + -0.46740110027233944
    return p * u + 1.0


@register_jitable
def _cosine_rest_slope(u):
    """Return f'(u) / (1 - u) for the cosine, interpolated to 2e-17."""
    p = u * 3.7664438868590243e-10 + -1.7527152092611903e-08
    p = p * u + 6.068499567483665e-07
    p = p * u + -1.6605266734798878e-05
    p = p * u + 0.0003496280041142268
    p = p * u + -0.005439094886846231
    p = p * u + 0.0590781335791233
    p = p * u + -0.41158312713736145
    p = p * u + 1.5913110261444257
    return p * u + -2.4674011002723395
