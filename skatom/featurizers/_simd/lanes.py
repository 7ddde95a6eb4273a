"""Eight doubles at a time: an explicit SIMD type for numba kernels.

LLVM vectorises long loops on its own, but the sums of an atomic environment are short
(a water molecule has three triples of one kind), and for those its loops fall back to
scalar code. Here eight values travel together through ``+ - * /``, `sqrt` and `exp2`,
whatever the length of the loop around them. LLVM maps them to one AVX-512, two AVX2 or
four SSE/NEON registers.
"""

import operator

from llvmlite import binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import (
    intrinsic,
    lower_builtin,
    models,
    register_jitable,
    register_model,
)

WIDTH = 8

# One instruction packs lanes on AVX-512, if LLVM is new enough to be asked for it.
HAS_COMPRESS = llvm.llvm_version_info >= (20,) and bool(
    llvm.get_host_cpu_features().get("avx512f")
)

_F64 = ir.DoubleType()
_I64 = ir.IntType(64)
_VEC = ir.VectorType(_F64, WIDTH)
_IVEC = ir.VectorType(_I64, WIDTH)
# No reassociation (exp2 rounds by adding a large number), no promise about NaN or inf.
_FLAGS = ("nsz", "arcp", "contract", "afn")


class Lanes(types.Type):
    """Numba type of eight doubles held in registers."""

    def __init__(self):
        super().__init__(name="Lanes")


LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, _VEC)


def _splat(builder, value):
    """Return a vector whose eight lanes are all `value`."""
    seed = builder.insert_element(ir.Constant(_VEC, ir.Undefined), value, _index(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(seed, seed, zeros)


def _index(value):
    return ir.Constant(ir.IntType(32), value)


def _define(op, emit):
    """Teach numba ``lanes op lanes``, ``lanes op float`` and ``float op lanes``."""
    kinds = [(LANES, LANES), (LANES, types.float64), (types.float64, LANES)]

    class Template(ConcreteTemplate):
        cases = [signature(LANES, *kind) for kind in kinds]

    infer_global(op)(Template)

    def lower(context, builder, sig, args):
        left, right = (
            value if kind is LANES else _splat(builder, value)
            for value, kind in zip(args, sig.args)
        )
        return getattr(builder, emit)(left, right, flags=_FLAGS)

    for kind in kinds:
        lower_builtin(op, *kind)(lower)


for _op, _emit in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_op, _emit)


def _address(context, builder, sig, args):
    """Return the address of ``array[row, column]`` without any bounds handling."""
    array = context.make_array(sig.args[0])(context, builder, args[0])
    stride = cgutils.unpack_tuple(builder, array.strides, 2)[0]
    row = builder.mul(args[1], stride)
    offset = builder.add(row, builder.mul(args[2], _I64(8)))
    base = builder.ptrtoint(array.data, _I64)
    return builder.add(base, offset)


def _pointer(context, builder, sig, args, kind):
    return builder.inttoptr(_address(context, builder, sig, args), kind.as_pointer())


@intrinsic
def load(typing, array, row, column):
    """Read eight doubles from ``array[row, column:]``; the rows are contiguous."""

    def codegen(context, builder, sig, args):
        return builder.load(_pointer(context, builder, sig, args, _VEC), align=8)

    return LANES(array, types.int64, types.int64), codegen


@intrinsic
def store(typing, array, row, column, value):
    """Write eight doubles to ``array[row, column:]``; the rows are contiguous."""

    def codegen(context, builder, sig, args):
        builder.store(args[3], _pointer(context, builder, sig, args, _VEC), align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, LANES), codegen


@intrinsic
def get(typing, array, row, column):
    """Read ``array[row, column]`` as it stands: no negative indices."""

    def codegen(context, builder, sig, args):
        return builder.load(_pointer(context, builder, sig, args, _F64))

    return types.float64(array, types.int64, types.int64), codegen


@intrinsic
def put(typing, array, row, column, value):
    """Write ``array[row, column]`` as it stands: no negative indices."""

    def codegen(context, builder, sig, args):
        builder.store(args[3], _pointer(context, builder, sig, args, _F64))
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, types.float64), codegen


@intrinsic
def splat(typing, value):
    """Return one double repeated in every lane."""

    def codegen(context, builder, sig, args):
        return _splat(builder, args[0])

    return LANES(types.float64), codegen


@intrinsic
def total(typing, value):
    """Return the sum over the lanes, in a fixed order."""

    def codegen(context, builder, sig, args):
        vector, half = args[0], WIDTH // 2
        while half:
            order = [lane + half for lane in range(half)]
            picks = order + order[:1] * (WIDTH - half)
            mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), picks)
            shifted = builder.shuffle_vector(vector, vector, mask)
            vector = builder.fadd(vector, shifted)
            half //= 2
        return builder.extract_element(vector, _index(0))

    return types.float64(LANES), codegen


@intrinsic
def below(typing, value, bound):
    """Return the bits of the lanes that are smaller than `bound` (lane 0 = bit 0)."""

    def codegen(context, builder, sig, args):
        hits = builder.fcmp_ordered("<", args[0], _splat(builder, args[1]))
        return builder.zext(builder.bitcast(hits, ir.IntType(WIDTH)), _I64)

    return types.int64(LANES, types.float64), codegen


@intrinsic
def count_bits(typing, bits):
    """Return the number of set bits."""

    def codegen(context, builder, sig, args):
        return builder.ctpop(args[0])

    return types.int64(types.int64), codegen


@intrinsic
def append(typing, array, row, column, value, bits):
    """Write the lanes whose bit is set to ``array[row, column:]``, without gaps.

    Up to eight columns may be written, whatever the number of set bits.
    """

    def codegen(context, builder, sig, args):
        address = _address(context, builder, sig, args)
        mask = builder.trunc(args[4], ir.IntType(WIDTH))
        mask = builder.bitcast(mask, ir.VectorType(ir.IntType(1), WIDTH))
        emit = _compress if HAS_COMPRESS else _append_by_lane
        emit(builder, address, args[3], mask)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, LANES, types.int64), codegen


def _compress(builder, address, value, mask):
    """Push the chosen lanes together in a register."""
    kind = ir.FunctionType(_VEC, [_VEC, mask.type, _VEC])
    function = cgutils.get_or_insert_function(
        builder.module, kind, f"llvm.experimental.vector.compress.v{WIDTH}f64"
    )
    packed = builder.call(function, [value, mask, ir.Constant(_VEC, None)])
    builder.store(packed, builder.inttoptr(address, _VEC.as_pointer()), align=8)


def _append_by_lane(builder, address, value, mask):
    """Write every lane, and move on only past those that were chosen."""
    for lane in range(WIDTH):
        pointer = builder.inttoptr(address, _F64.as_pointer())
        builder.store(builder.extract_element(value, _index(lane)), pointer)
        taken = builder.zext(builder.extract_element(mask, _index(lane)), _I64)
        address = builder.add(address, builder.mul(taken, _I64(8)))


@intrinsic
def repeat(typing, a, b, c, d):
    """Return the lanes a, b, c, c, c, d, d, d."""
    bits = ir.VectorType(ir.IntType(1), WIDTH)

    def codegen(context, builder, sig, args):
        a, b, c, d = (_splat(builder, value) for value in args)
        left = builder.select(ir.Constant(bits, [1, *[0] * 7]), a, b)
        right = builder.select(ir.Constant(bits, [0, 0, *[1] * 3, *[0] * 3]), c, d)
        return builder.select(ir.Constant(bits, [1, 1, *[0] * 6]), left, right)

    return LANES(*[types.float64] * 4), codegen


@intrinsic
def maximum(typing, value, bound):
    """Return the larger of each lane and `bound`."""

    def codegen(context, builder, sig, args):
        limit = _splat(builder, args[1])
        return builder.select(builder.fcmp_ordered(">", args[0], limit), args[0], limit)

    return LANES(LANES, types.float64), codegen


@intrinsic
def guarded_ratio(typing, numerator, denominator):
    """Return ``numerator / denominator``, and zero where the denominator is zero."""

    def codegen(context, builder, sig, args):
        zero, one = (
            _splat(builder, ir.Constant(_F64, 0.0)),
            _splat(builder, ir.Constant(_F64, 1.0)),
        )
        hit = builder.fcmp_ordered("==", args[1], zero)
        ratio = builder.fdiv(args[0], builder.select(hit, one, args[1]))
        return builder.select(hit, zero, ratio)

    return LANES(LANES, LANES), codegen


@intrinsic
def sqrt(typing, value):
    """Return the square root of every lane."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_VEC, [_VEC])
        function = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.sqrt.v{WIDTH}f64"
        )
        return builder.call(function, args)

    return LANES(LANES), codegen


@intrinsic
def power(typing, value, exponent):
    """Return every lane (>= 0) raised to a real exponent: exact, but not fast."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_VEC, [_VEC, _VEC])
        function = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.pow.v{WIDTH}f64"
        )
        return builder.call(function, [args[0], _splat(builder, args[1])])

    return LANES(LANES, types.float64), codegen


@intrinsic
def _scale(typing, mantissa, shifted):
    """Add the integer in the low bits of `shifted` to the exponent of `mantissa`."""

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[1], _IVEC)
        shift = ir.Constant(_IVEC, [52] * WIDTH)
        exponent = builder.shl(bits, shift)
        number = builder.add(builder.bitcast(args[0], _IVEC), exponent)
        return builder.bitcast(number, _VEC)

    return LANES(LANES, LANES), codegen


_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to the nearest integer


@register_jitable
def exp2(x):
    """Return 2**x for lanes x <= 1000, to 4e-16 relative; below 2**-1000 it is 2**-1000.

    The polynomial interpolates 2**f, |f| <= 1/2, at Chebyshev nodes (degree 10).
    """
    x = maximum(x, -1000.0)
    shifted = x + _ROUND
    f = x - (shifted - _ROUND)
    p = f * 7.072585949269223e-09 + 1.0208690299958306e-07
    p = p * f + 1.321544258792169e-06
    p = p * f + 1.5252657260200837e-05
    p = p * f + 0.0001540353044173605
    p = p * f + 0.0013333558230164974
    p = p * f + 0.009618129107606888
    p = p * f + 0.05550410866444772
    p = p * f + 0.24022650695910097
    p = p * f + 0.69314718055995
    p = p * f + 1.0
    return _scale(p, shifted)
