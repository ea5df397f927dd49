"""Decimal text to float64, exactly, in compiled code: the table and the steps of the Eisel-Lemire algorithm.

References
----------
D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51(8), 2021;
N. Mushtak, D. Lemire, "Fast number parsing without fallback", 2023 (why 128 bits always suffice).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

SMALLEST_POWER = -342
LARGEST_POWER = 308
_U0, _U1, _U3, _U9, _U52, _U55, _U63 = (np.uint64(n) for n in (0, 1, 3, 9, 52, 55, 63))
_LOW_9 = np.uint64(2**9 - 1)
_HIDDEN = np.uint64(2**52)


def _powers_of_five() -> NDArray[np.uint64]:
    """Return the top 128 bits (high, low) of 5**q for q from -342 to 308, shape (651, 2)."""
    numbers = [_power_of_five(q) for q in range(SMALLEST_POWER, LARGEST_POWER + 1)]
    return np.array([(n >> 64, n & (2**64 - 1)) for n in numbers], np.uint64)


def _power_of_five(q: int) -> int:
    if q >= 0:
        power: int = 5**q
        excess = power.bit_length() - 128
        return power >> excess if excess > 0 else power << -excess
    inverse: int = 5 ** abs(q)
    bits = inverse.bit_length()
    number: int = 2 ** (bits + 127 if q >= -27 else 2 * bits + 128) // inverse + 1
    return number >> max(number.bit_length() - 128, 0)


@intrinsic
def _leading_zeros(context: Any, number: Any) -> Any:
    """Return the number of leading zero bits of a uint64 that is not 0, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic
def _high_product(context: Any, left: Any, right: Any) -> Any:
    """Return the upper 64 bits of the 128-bit product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


leading_zeros: Any = _leading_zeros
high_product: Any = _high_product


def _float_bits(mantissa: Any, power: int, negative: bool) -> Any:
    """Return (known, bits): the float64 nearest to ``mantissa * 10**power``, as int64 bits.

    Not known when it is subnormal or infinite.
    """
    sign = np.uint64(negative) << _U63
    if mantissa == _U0:
        return True, np.int64(sign)
    if power < SMALLEST_POWER or power > LARGEST_POWER:
        return False, np.int64(0)
    shift = leading_zeros(mantissa)
    normal = mantissa << shift
    row = power - SMALLEST_POWER
    low = normal * _POWERS[row, 0]
    high = high_product(normal, _POWERS[row, 0])
    if high & _LOW_9 == _LOW_9:
        more = high_product(normal, _POWERS[row, 1])
        low += more
        if more > low:
            high += _U1
    upper = high >> _U63
    result = high >> (upper + _U9)
    exponent = ((217706 * power) >> 16) + 63 + np.int64(upper) - np.int64(shift) + 1023
    if exponent <= 0:
        return False, np.int64(0)
    if low <= _U1 and -4 <= power <= 23 and result & _U3 == _U1 and result << (upper + _U9) == high:
        result &= ~_U1  # exactly between two floats: to the even one
    result = (result + (result & _U1)) >> _U1
    if result >= _HIDDEN << _U1:
        result = _HIDDEN
        exponent += 1
    if exponent >= 2047:
        return False, np.int64(0)
    return True, np.int64(sign | (result & ~_HIDDEN) | (np.uint64(exponent) << _U52))


_POWERS = _powers_of_five()
float_bits: Any = njit(nogil=True, forceinline=True)(_float_bits)
