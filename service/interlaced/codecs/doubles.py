"""Numbers as JSON writes them, read as doubles where a double holds them."""

from __future__ import annotations

import math
from decimal import Decimal

from interlaced.codecs.codec import CodecError

__all__ = ["SAFE_DIGITS", "read_double"]

SAFE_DIGITS = 15
"""So many decimal digits always come back from a double as they went in."""
_PRINTED_DIGITS = 17
_NORMAL = (1e-300, 1e300)
"""Beyond, a double has fewer digits."""


def read_double(text: str) -> float:
    """Reads a JSON number; CodecError for one beyond the range or the 17 digits of a double."""
    number = float(text)
    if len(text) <= SAFE_DIGITS and "e" not in text and "E" not in text:
        return number
    if text == repr(number):
        return number  # as most printers of doubles write it
    digits = text.lower().partition("e")[0].lstrip("-").replace(".", "").strip("0")
    if not digits:
        return number  # a zero, whose exponent may be beyond what Decimal can hold
    if len(digits) <= SAFE_DIGITS and _NORMAL[0] < abs(number) < _NORMAL[1]:
        return number
    if math.isinf(number) or number == 0.0:
        raise CodecError("a number is beyond the range of a double")
    # Printers of doubles write the fewest digits that name one, or up to 17.
    printed = f"{number:.{max(1, min(len(digits), _PRINTED_DIGITS))}g}"
    if Decimal(text) not in (Decimal(printed), Decimal(repr(number))):
        raise CodecError("a number has more digits than a double can hold")
    return number
