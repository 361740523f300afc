"""Lines to keys, many at a time: what is left of a line without its numbers and ids, equal where lines say the same.

Whole blocks go through a C extension or, where that is not installed, through numpy and Arrow. Both let go of Python's
lock, so that blocks can be read side by side, and both give the same keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np

    Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
    Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
    Pairs = np.ndarray[tuple[int], np.dtype[np.uint16]]
    Words = np.ndarray[tuple[int], np.dtype[np.uint64]]
    Places = np.ndarray[tuple[int], np.dtype[np.int64]]

BLOCK_BYTES = 262_144
MAX_KEY_BYTES = 4_096

_DIGITS = b"0123456789"
_LETTERS = 26
_HEX_LETTERS = 6
_CASE = 0x20
# Bytes that UTF-8 never uses stand for the digits that stay and for what is left out, NUL for a digit before a letter.
_KEPT_ZERO = 0xF5
_LEFT_OUT = _DIGITS + b"\xff"
_MARK, _NO_MARK = b"\x00", b"\x01"
_MARKED_TOKEN = re.compile(rb"(?<![\x00A-Za-z_.-])[A-Za-z_.-]*\x00[\x00A-Za-z_.-]*")
_LINE_END, _QUOTE, _SPACE, _EQUALS, _COLON, _DASH, _UNDERSCORE = b'\n" =:-_'
# so that one may look at what is before the first byte and after the last
_MARGIN = 16


def _word(pattern: bytes) -> tuple[int, int]:
    """Return eight bytes as a mask (nothing where they are "?") and as the number expected under it."""
    mask = bytes(0 if byte == ord("?") else 0xFF for byte in pattern)
    return int.from_bytes(mask, "little"), int.from_bytes(pattern, "little") & int.from_bytes(mask, "little")


# the eight bytes before a status, or before the signs between its name and itself
_HTTP_1, _HTTP_2, _CODE, _STATUS = (_word(each) for each in (b'TP/?.?" ', b'HTTP/?" ', b"????code", b"??status"))
_SMALL_C = 1 << 37
_QUOTED_COLON = int.from_bytes(b'":', "little")
# the two bytes before a status, where the last is not "="
_BEFORE_STATUS = b'" "::   =":" "'


@dataclass(frozen=True, slots=True)
class Keys:
    """The distinct keys of a block and the index of each line's own."""

    distinct: list[bytes]
    of_line: Places
    length_of_line: Places


def extension() -> ModuleType | None:
    """Return the C extension, None where it is not installed."""
    try:
        return import_module("irkit.logs.patterns._linekeys")
    except ImportError:
        return None


class KeyReader:
    """Reads the keys of blocks of lines; holds room for one block, so two threads need two readers.

    By `compiled` or, where that is None, by numpy.
    """

    def __init__(self, compiled: ModuleType | None) -> None:
        import numpy as np

        self._compiled = compiled
        if compiled:
            return
        self._room = np.empty((6, BLOCK_BYTES + 2 * _MARGIN), np.uint8)
        self._signs = np.zeros(1 << 16, bool)
        self._signs[_EQUALS << 8 :][: 1 << 8] = True
        self._signs[np.frombuffer(_BEFORE_STATUS, "<u2")] = True

    def read(self, block: bytes) -> Keys:
        """Return the keys of a block's lines (one more than it has line feeds), of 256 KiB at most.

        Left out of a key are digits, and runs of eight or more hexadecimal digits with single dashes between them.
        A digit with a letter after it leaves a mark, for `without_ids`. The digits of an HTTP status stay. No
        more than 4 KiB of a key are kept.
        """
        import numpy as np

        if not self._compiled:
            return self._by_numpy(block)
        distinct, of_line, lengths = self._compiled.read(block, MAX_KEY_BYTES)
        return Keys(distinct, np.frombuffer(of_line, np.int64), np.frombuffer(lengths, np.int64))

    def _by_numpy(self, block: bytes) -> Keys:
        import numpy as np
        import pyarrow as pa

        text, *scratch = self._room[:, : len(block) + 2 * _MARGIN]
        text[:_MARGIN] = text[-_MARGIN:] = _LINE_END
        text[_MARGIN:-_MARGIN] = np.frombuffer(block.replace(_MARK, _NO_MARK), np.uint8)
        _keep_and_mark(text, scratch, self._signs)
        left = text[_MARGIN : 1 - _MARGIN].tobytes().translate(None, _LEFT_OUT)
        ends = np.flatnonzero(np.frombuffer(left, np.uint8) == _LINE_END)
        lengths = np.diff(ends, prepend=-1)
        if int(lengths.max()) > MAX_KEY_BYTES:
            lines = pa.array([line[:MAX_KEY_BYTES] + b"\n" for line in left.split(b"\n")[:-1]], pa.binary())
        else:
            starts = np.zeros(len(ends) + 1, np.int32)
            np.add(ends, 1, out=starts[1:], casting="unsafe")
            lines = pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(starts), pa.py_buffer(left)])
        coded = lines.dictionary_encode()
        return Keys([key[:-1] for key in coded.dictionary.to_pylist()], coded.indices.to_numpy(), lengths - 1)


def without_ids(key: bytes) -> bytes:
    """Return a key with one mark for each token in which a digit has a letter after it."""
    return _MARKED_TOKEN.sub(_MARK, key) if _MARK in key else key


def is_blank(key: bytes) -> bool:
    """Say whether nothing but white space is left, of whatever script."""
    return not key or ((key[:1] <= b" " or key[:1] >= b"\x80") and key.decode("utf-8", "replace").isspace())


def _keep_and_mark(text: Bytes, scratch: list[Bytes], signs: Flags) -> None:
    """Overwrite digits that stay, digits that have a letter after them, and all of a hexadecimal run by a digit."""
    import numpy as np

    letter = scratch[0]
    digit, run, worn, mark = (each.view(bool) for each in scratch[1:])
    np.subtract(text, ord("0"), out=letter)
    np.less(letter, len(_DIGITS), out=digit)
    for place in _statuses(text, digit, worn, signs):
        text[place] += _KEPT_ZERO - ord("0")
        digit[place] = False
    np.bitwise_or(text, _CASE, out=letter)
    letter -= ord("a")
    between = mark[1:-1]
    np.equal(text[1:-1], _DASH, out=between)
    np.less(letter, _HEX_LETTERS, out=run)
    run |= digit
    between &= run[:-2]
    between &= run[2:]
    run[1:-1] |= between
    # what is worn away by seven and grown again by as many are the runs of eight and more
    np.logical_and(run[:-1], run[1:], out=worn[:-1])
    np.logical_and(worn[:-3], worn[2:-1], out=run[:-3])
    np.logical_and(run[:-7], run[4:-3], out=worn[:-7])
    worn[-7:] = False
    run[:1] = False
    np.logical_or(worn[1:], worn[:-1], out=run[1:])
    np.logical_or(run[2:], run[:-2], out=worn[2:])
    worn[:2] = run[:2]
    np.logical_or(worn[4:], worn[:-4], out=run[4:])
    run[:4] = worn[:4]
    np.less(letter, _LETTERS, out=mark)
    np.equal(text, _UNDERSCORE, out=worn)
    mark |= worn
    np.greater(mark, run, out=mark)
    mark[1:] &= digit[:-1]
    np.subtract(mark.view(np.uint8), 1, out=letter)
    text[:-1] &= letter[1:]
    np.negative(run.view(np.uint8), out=letter)
    text |= letter


def _statuses(text: Bytes, digit: Flags, three: Flags, signs: Flags) -> tuple[Places, ...]:
    """Return where the first, second and third digits of an HTTP status are, told by what stands before them."""
    import numpy as np

    np.logical_and(digit[2:], digit[1:-1], out=three[2:])
    three[2:] &= digit[:-2]
    np.greater(three[3:], digit[:-3], out=three[3:])
    last = np.flatnonzero(three[_MARGIN:-_MARGIN]) + _MARGIN
    eight: Words = np.ndarray((len(text) - 7,), "<u8", text, 0, (1,))
    two: Pairs = np.ndarray((len(text) - 1,), "<u2", text, 0, (1,))
    first = last[signs[two[last - 4]]] - 2
    first = first[(text[first] >= ord("1")) & (text[first] <= ord("5")) & ~digit[first + 3]]
    spaced = first[text[first - 1] == _SPACE]
    before = eight[spaced - 8]
    served = spaced[((before & _HTTP_1[0]) == _HTTP_1[1]) | ((before & _HTTP_2[0]) == _HTTP_2[1])]
    end = first - (text[first - 1] == _QUOTE)
    equals = text[end - 1] == _EQUALS
    for _ in range(2):
        end -= (text[end - 1] == _SPACE) & ~equals
    end -= np.where(equals, 1, 2)
    named = equals | (two[end] == _QUOTED_COLON)
    first, end = first[named], end[named]
    code = ((eight[end - 8] & _CODE[0]) | _SMALL_C) == _CODE[1]
    end -= 4 * code
    end -= code & (text[end - 1] == _UNDERSCORE)
    named = (eight[end - 8] & _STATUS[0]) == _STATUS[1]
    every = np.concatenate([served, first[named]])
    return every, every + 1, every + 2
