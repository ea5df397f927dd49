"""Eight bytes at a time, in compiled code: finding, hashing and reading digits without a step per byte.

References
----------
D. Lemire, "Quickly parsing eight digits", 2018; W. Yi, "wyhash", 2019 (the folded product).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

_U3, _U8, _U16, _U32, _U64 = (np.uint64(n) for n in (3, 8, 16, 32, 64))
_TEN = np.uint64(10)
_ONES, _HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_ZEROS, _BEYOND_NINE = np.uint64(0x3030303030303030), np.uint64(0x7676767676767676)
_PAIRS = np.uint64(0x000000FF000000FF)
_OUTER, _INNER = np.uint64(100 + (1_000_000 << 32)), np.uint64(1 + (10_000 << 32))
_POWERS_OF_TEN = np.array([10**n for n in range(9)], np.uint64)

_compiled = njit(nogil=True, forceinline=True)


@intrinsic
def _borrowed(context: Any, array: Any) -> Any:
    """Return an array that owns nothing: no references of it are counted, at any call, as long as the caller has it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        result = context.make_array(signature.args[0])(context, builder, arguments[0])
        for owner in ("meminfo", "parent"):
            setattr(result, owner, ir.Constant(getattr(result, owner).type, None))
        return result._getvalue()

    return array(array), generate


@intrinsic
def _load(context: Any, data: Any, position: Any) -> Any:
    """Return the eight bytes of a uint8 array from a position on, which need not be aligned, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.gep(array.data, [arguments[1]])
        return builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(data, types.int64), generate


@intrinsic
def _trailing_zeros(context: Any, number: Any) -> Any:
    """Return the number of trailing zero bits of a uint64, 64 when it is 0, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def _folded_product(context: Any, left: Any, right: Any) -> Any:
    """Return the two halves of the 128-bit product of two uint64, joined by exclusive or."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow, wide = ir.IntType(64), ir.IntType(128)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), narrow)
        return builder.xor(high, builder.trunc(product, narrow))

    return types.uint64(types.uint64, types.uint64), generate


borrowed: Any = _borrowed
load: Any = _load
trailing_zeros: Any = _trailing_zeros
folded_product: Any = _folded_product


def _word(data: Any, position: int) -> Any:
    """Return eight bytes from a position on, the first one lowest; zeros stand for what lies beyond the end."""
    if position + 8 <= data.size:
        return load(data, position)
    number = np.uint64(0)
    for index in range(data.size - 1, position - 1, -1):
        number = number << _U8 | np.uint64(data[index])
    return number


def _where(number: Any, byte: int) -> Any:
    """Return a word whose lowest set bit is the highest one of the first such byte; 0 when there is none."""
    other = number ^ (_ONES * np.uint64(byte))
    return (other - _ONES) & ~other & _HIGH_BITS


def _lowest(number: Any, count: Any) -> Any:
    """Return the lowest bytes of a word, fewer than eight of them."""
    return number & ((np.uint64(1) << (count << _U3)) - np.uint64(1))


def _digits(data: Any, position: Any, number: Any) -> Any:
    """Return (number with the digits appended, where they end); past 19 digits it means nothing."""
    while True:
        values = word(data, position) ^ _ZEROS
        count = trailing_zeros(((values + _BEYOND_NINE) | values) & _HIGH_BITS) >> _U3
        if count == 0:
            return number, position
        values <<= _U64 - (count << _U3)
        values = values * _TEN + (values >> _U8)
        eight = ((values & _PAIRS) * _OUTER + ((values >> _U16) & _PAIRS) * _INNER) >> _U32
        number = number * _POWERS_OF_TEN[count] + eight
        position += np.int64(count)
        if count < _U8:
            return number, position


word: Any = _compiled(_word)
where: Any = _compiled(_where)
lowest: Any = _compiled(_lowest)
digits: Any = _compiled(_digits)
