"""Text made to fit where it is sent: on one line where lines would split it, and never longer than is taken."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from irkit.text.visible import visible

_CUT = " … (cut)"


def one_line(text: str) -> str:
    """Return the text on one line, line breaks as spaces and control characters as visible signs."""
    return visible(" ".join(text.split()))


def fit(text: str, limit_chars: int, measure: Callable[[str], int] = len) -> str:
    """Return the text, control characters visible and line breaks kept, in at most `limit_chars` as `measure` counts.

    What is cut says so, and no combining character is parted from its base.
    """
    # what certainly does not fit need not be made visible
    whole = visible(text[: limit_chars + 1], lines=True)
    if len(text) <= limit_chars and measure(whole) <= limit_chars:
        return whole
    low, high = 0, len(whole)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(whole[:middle] + _CUT) <= limit_chars else (low, middle - 1)
    while low and low < len(whole) and unicodedata.combining(whole[low]):
        low -= 1
    return whole[:low].rstrip() + _CUT
