"""The digits of a double as Grisu2 finds them: they say it, but are not always the nearest or the fewest.

RapidJSON 1.1.0 prints doubles so (internal/dtoa.h), Loitsch's "Printing Floating-Point Numbers Quickly and Accurately
with Integers" (2010) says why it works.
"""

import math
from functools import cache
from typing import Final

_SMALLEST: Final = -1074
"""The exponent of the least double above zero."""
_HIDDEN: Final = 1 << 52
_NEAR: Final = 9
"""Digits after the point up to which the last one is rounded."""


def digits(value: float) -> tuple[str, int]:
    """Digits and power of ten of a finite double above zero: 0.25 is ("25", -2)."""
    exponent = max(math.frexp(value)[1] - 53, _SMALLEST)
    whole = int(math.ldexp(value, -exponent))
    shift = 63 - whole.bit_length()  # scales the upper boundary, 2 * whole + 1, to 64 bits
    least = 4 * whole - 1 if whole == _HIDDEN else 2 * (2 * whole - 1)
    power, factor, bits = _power_of_ten(exponent - 1 - shift)
    high = _scaled((2 * whole + 1) << shift, factor) - 1
    low = _scaled(least << shift >> 1, factor) + 1
    gap = high - _scaled(2 * whole << shift, factor)
    text, cut = _generated(high, high - low, gap, bits)
    return text, cut - power


@cache
def _power_of_ten(exponent: int) -> tuple[int, int, int]:
    """The power of ten that brings a number of 64 bits near one: exponent, its upper 64 bits, bits after the point."""
    power = 8 * ((math.ceil((-61 - exponent) * 0.30102999566398114 + 347) >> 3) + 1) - 348
    numerator, denominator = 10 ** max(power, 0), 10 ** max(-power, 0)
    shift = 64 - numerator.bit_length() + denominator.bit_length()
    if (numerator << max(shift, 0)) // (denominator << max(-shift, 0)) >> 64:
        shift -= 1
    top, bottom = numerator << max(shift, 0), denominator << max(-shift, 0)
    return power, (2 * top + bottom) // (2 * bottom), shift - exponent - 64


def _scaled(number: int, factor: int) -> int:
    return (number * factor + (1 << 63)) >> 64


def _generated(high: int, delta: int, gap: int, bits: int) -> tuple[str, int]:
    """Digits of `high` until they differ from it by no more than `delta`, and their power of ten."""
    text = str(high >> bits)
    for cut in range(len(text) - 1, -1, -1):
        unit = 10**cut << bits
        if high % unit <= delta:
            return _rounded(high // unit, delta, high % unit, unit, gap), cut
    number, rest, one, count = high >> bits, high & ((1 << bits) - 1), 1 << bits, 0
    while count == 0 or rest >= delta:
        number, rest, delta, gap, count = (
            number * 10 + (rest * 10 >> bits),
            rest * 10 % one,
            delta * 10,
            gap * 10,
            count + 1,
        )
    return _rounded(number, delta, rest, one, gap if count < _NEAR else 0), -count


def _rounded(number: int, delta: int, rest: int, unit: int, gap: int) -> str:
    """The digits with the last brought nearer to the double, which is `gap` below what was cut."""
    while rest < gap and delta - rest >= unit and (rest + unit < gap or gap - rest > rest + unit - gap):
        number, rest = number - 1, rest + unit
    return str(number)
