"""Text from evidence made fit to be looked at: what would steer a terminal or a reader's eye becomes a visible sign."""

from __future__ import annotations

import re
import unicodedata

LINE_LIMIT_CHARS = 400

_C1 = range(0x80, 0xA0)
_BIDI_AND_ZERO_WIDTH = (0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070))
_OTHER_HIDDEN = (0x00AD, 0x061C, 0x180E, 0xFEFF, 0xFFFE, 0xFFFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080))
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
_ESCAPES = {code: ascii(chr(code))[1:-1] for code in (*_C1, *_BIDI_AND_ZERO_WIDTH, *_OTHER_HIDDEN)}
# a surrogate alone is half of nothing, but for those that surrogateescape makes of bytes that were not UTF-8
_SURROGATES = {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}
_BYTES = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}
_ONE_LINE = _PICTURES | _ESCAPES | _SURROGATES | _BYTES | {ord("\t"): " "}
_MANY_LINES = {code: sign for code, sign in _ONE_LINE.items() if code != ord("\n")}
# every repetition is bounded, so that each character is looked at a bounded number of times
ANSI = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,2048}(?:\x07|\x1b\\)|[@-Z\\^_])")


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return `text` with control, bidirectional and zero-width characters and lone surrogates as visible signs.

    ESC becomes ␛, an undecodable byte `\xff`, an override `\u202e`. Line breaks stay where `lines` is true.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_MANY_LINES if lines else _ONE_LINE)


def cut(text: str, limit_chars: int = LINE_LIMIT_CHARS) -> str:
    """Return `text`, or its first `limit_chars` characters and how many more there were."""
    if len(text) <= limit_chars:
        return text
    end = limit_chars
    while end and unicodedata.combining(text[end]):
        end -= 1
    return f"{text[:end]} … ({len(text) - end:,} more characters)"


def without_ansi(text: str) -> str:
    """Return `text` without well-formed ANSI escape sequences, in time linear in its length."""
    return ANSI.sub("", text) if "\x1b" in text else text
