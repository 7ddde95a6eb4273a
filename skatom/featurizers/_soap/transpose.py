"""Eight rows of eight lanes: parts of them in memory, and their transpose in registers."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from skatom.featurizers._simd.lanes import (
    LANES,
    WIDTH,
    _address,
    _splat,
)

_I64 = ir.IntType(64)
_F64 = ir.DoubleType()
_VEC = ir.VectorType(_F64, WIDTH)
_IVEC = ir.VectorType(_I64, WIDTH)
_MASK = ir.VectorType(ir.IntType(1), WIDTH)


def _pointer(context, builder, sig, args):
    address = _address(context, builder, sig, args)
    return builder.inttoptr(address, _VEC.as_pointer())


def _between(builder, first, stop):
    """Return a mask of the lanes first <= lane < stop."""
    lanes = ir.Constant(_IVEC, list(range(WIDTH)))
    seed = ir.Constant(_IVEC, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)

    def repeat(value):
        one = builder.insert_element(seed, value, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, one, zeros)

    above = builder.icmp_signed(">=", lanes, repeat(first))
    return builder.and_(above, builder.icmp_signed("<", lanes, repeat(stop)))


@intrinsic
def store_some(typing, array, row, column, value, first, stop):
    """Write lanes first <= lane < stop to ``array[row, column + lane]``."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig, args)
        mask = _between(builder, args[4], args[5])
        align = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [_VEC, _VEC.as_pointer(), align, _MASK])
        function = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.masked.store.v{WIDTH}f64.p0"
        )
        builder.call(function, [args[3], pointer, ir.Constant(align, 8), mask])
        return context.get_dummy_value()

    signature = types.void(
        array, types.int64, types.int64, LANES, types.int64, types.int64
    )
    return signature, codegen


@intrinsic
def load_some(typing, array, row, column, first, stop):
    """Read lanes first <= lane < stop of ``array[row, column + lane]``, others are 0."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig, args)
        mask = _between(builder, args[3], args[4])
        align = ir.IntType(32)
        kind = ir.FunctionType(_VEC, [_VEC.as_pointer(), align, _MASK, _VEC])
        function = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.masked.load.v{WIDTH}f64.p0"
        )
        nothing = _splat(builder, ir.Constant(_F64, 0.0))
        return builder.call(function, [pointer, ir.Constant(align, 8), mask, nothing])

    signature = LANES(array, types.int64, types.int64, types.int64, types.int64)
    return signature, codegen


@intrinsic
def turn(typing, rows):
    """Return the transpose of eight rows of lanes.

    Blocks of 1, 2 and 4 lanes change places in turn, all in registers.
    """

    def codegen(context, builder, sig, args):
        kind = ir.VectorType(ir.IntType(32), WIDTH)
        rows = [builder.extract_value(args[0], k) for k in range(WIDTH)]
        for size in (1, 2, 4):
            low = [k + (WIDTH - size if k & size else 0) for k in range(WIDTH)]
            high = [k + (WIDTH if k & size else size) for k in range(WIDTH)]
            low, high = ir.Constant(kind, low), ir.Constant(kind, high)
            for k in range(WIDTH):
                if not k & size:
                    a, b = rows[k], rows[k + size]
                    rows[k] = builder.shuffle_vector(a, b, low)
                    rows[k + size] = builder.shuffle_vector(a, b, high)
        return context.make_tuple(builder, sig.return_type, rows)

    kind = types.UniTuple(LANES, WIDTH)
    return kind(kind), codegen
