"""More of lanes: real powers at the price of two polynomials, and eight sums at once."""

import math

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from skatom.featurizers._simd.cutoffs import whole_power
from skatom.featurizers._simd.lanes import (
    LANES,
    WIDTH,
    _address,
    exp2,
    maximum,
)

_VEC = ir.VectorType(ir.DoubleType(), WIDTH)
_IVEC = ir.VectorType(ir.IntType(64), WIDTH)
_I32 = ir.VectorType(ir.IntType(32), WIDTH)
_ROOT_HALF = 0x3FE6A09E667F3BCD  # bits of sqrt(1/2)
_ROUND_BITS = 0x4338000000000000  # bits of 1.5 * 2**52
_ROUND = 6755399441055744.0

# 2 atanh(f) / ln 2 = f * sum of _ODD[k] f**(2k); the next term is below 1e-17 relative
_ODD = tuple(2.0 / math.log(2.0) / (2 * k + 1) for k in range(10))


def _integers(value):
    return ir.Constant(_IVEC, [value] * WIDTH)


def _exponent_bits(builder, value):
    """Return n of value = m 2**n, with m between sqrt(1/2) and sqrt(2)."""
    bits = builder.bitcast(value, _IVEC)
    return builder.ashr(builder.sub(bits, _integers(_ROOT_HALF)), _integers(52))


@intrinsic
def _shifted_exponent(typing, value):
    """Return n + 1.5 * 2**52 of value = m 2**n."""

    def codegen(context, builder, sig, args):
        n = _exponent_bits(builder, args[0])
        return builder.bitcast(builder.add(n, _integers(_ROUND_BITS)), _VEC)

    return LANES(LANES), codegen


@intrinsic
def _mantissa(typing, value):
    """Return m of value = m 2**n."""

    def codegen(context, builder, sig, args):
        n = builder.shl(_exponent_bits(builder, args[0]), _integers(52))
        return builder.bitcast(builder.sub(builder.bitcast(args[0], _IVEC), n), _VEC)

    return LANES(LANES), codegen


@register_jitable
def log2(x):
    """Return log2(x) of normal lanes x > 0, to 3e-16 absolute or relative."""
    n = _shifted_exponent(x) - _ROUND
    m = _mantissa(x)
    f = (m - 1.0) / (m + 1.0)
    z = f * f
    p = z * _ODD[9] + _ODD[8]
    p = p * z + _ODD[7]
    p = p * z + _ODD[6]
    p = p * z + _ODD[5]
    p = p * z + _ODD[4]
    p = p * z + _ODD[3]
    p = p * z + _ODD[2]
    p = p * z + _ODD[1]
    p = p * z + _ODD[0]
    return p * f + n


@register_jitable
def quick_power(x, exponent):
    """Return x**exponent for lanes 0 <= x <= 1 and a real exponent >= 0.

    Rounding may leave x a little below zero; the result is then as close to zero.
    """
    whole = int(exponent)
    if whole == exponent:
        return whole_power(x, whole)
    return exp2(log2(maximum(x, 1e-300)) * exponent)


@intrinsic
def totals(typing, array, row, column):
    """Return the sums of eight rows, ``array[row + t, column : column + 8]``, as lanes.

    Each of three rounds adds pairs of vectors to one that holds the partial sums of both.
    """

    def codegen(context, builder, sig, args):
        step = ir.IntType(64)
        vectors = []
        for t in range(WIDTH):
            at = builder.add(args[1], ir.Constant(step, t))
            address = _address(context, builder, sig, (args[0], at, args[2]))
            pointer = builder.inttoptr(address, _VEC.as_pointer())
            vectors.append(builder.load(pointer, align=8))
        width = WIDTH
        while len(vectors) > 1:
            half = len(vectors) // 2
            vectors = [
                _merge(builder, vectors[t], vectors[t + half], width)
                for t in range(half)
            ]
            width //= 2
        return vectors[0]

    return LANES(array, types.int64, types.int64), codegen


def _merge(builder, one, two, width):
    """Halve the groups of `width` lanes of both, and let them alternate."""
    half = width // 2
    low = [g + t for g in range(0, WIDTH, width) for t in range(half)]
    first, second = [], []
    for g in range(0, len(low), half):
        group = low[g : g + half]
        first += group + [lane + WIDTH for lane in group]
        second += [lane + half for lane in group]
        second += [lane + half + WIDTH for lane in group]
    pick = [ir.Constant(_I32, order) for order in (first, second)]
    halves = [builder.shuffle_vector(one, two, order) for order in pick]
    return builder.fadd(*halves)
