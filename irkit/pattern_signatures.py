"""Lines to signatures: a key that costs next to nothing and is equal for most lines that say the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from irkit.pattern_masks import MAX_LINE_CHARS

if TYPE_CHECKING:
    import numpy as np

    Codes = np.ndarray[tuple[int], np.dtype[np.int64]]

MOST_SIGNATURES = 20_000
MOST_ROUGH = 2_000

_BLOCK_LINES = 32_768
_BLOCK_BYTES = 262_144
_DIGITS = b"0123456789"
# two patterns, each found by its first letters, are several times as fast as one with a choice
_STATUSES = (
    (b"HTTP/", re.compile(rb'(HTTP/[0-9.]{1,4}" )([1-5][0-9]{2})(?![0-9])')),
    (b"status", re.compile(rb'(status(?:_?[cC]ode)?(?:": {0,2}"?|="?))([1-5][0-9]{2})(?![0-9])')),
)
_LETTERS = bytes.maketrans(_DIGITS, b"\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17")
# a token of letters and digits in turns is an id; letters and then digits are told apart by their letters
_ID = re.compile(rb"(?<![0-9A-Za-z_.-])[A-Za-z_.-]{0,64}[0-9]{1,64}[A-Za-z_.-][0-9A-Za-z_.-]{0,512}")
_BARE = re.compile(r"[\s0-9]*")
_WORDS = re.compile(rb"[A-Za-z]{2,40}")


@dataclass(slots=True)
class Signatures:
    """The signatures seen so far by code, one line of each in `examples`.

    Memory is bounded by the number of signatures, not of lines: at most `MOST_SIGNATURES` are told apart; lines of
    others are counted with those of as many words and the same first three, and beyond `MOST_ROUGH` of these together.
    """

    examples: list[str] = field(default_factory=list)
    _fine: dict[bytes, int] = field(default_factory=dict)
    _rough: dict[tuple[bytes, ...], int] = field(default_factory=dict)

    def codes(self, lines: Sequence[object]) -> Codes:
        """Return each line's code, an index of `examples`; -1 for what is blank or no text."""
        import numpy as np

        starts = range(0, len(lines), _BLOCK_LINES)
        return np.concatenate([np.empty(0, np.int64), *(self._block(lines[at : at + _BLOCK_LINES]) for at in starts)])

    def count(self, stream: BinaryIO) -> Counter[int]:
        """Return how many lines of a stream of bytes have each code; blank lines are left out.

        Reads 256 KiB at a time, which stay in the processor's cache; of a line without end, no more than is kept.
        """
        counted: Counter[int] = Counter()
        for block in _blocks(stream):
            keys = _keep_status(block).translate(None, _DIGITS).split(b"\n")
            by_key = Counter(keys)
            codes = {key: self._fine[key] for key in by_key if key in self._fine}
            if len(codes) < len(by_key):
                lines = block.split(b"\n")
                line_of = dict(zip(keys, lines, strict=True))
                fresh = {key: line_of[key][:MAX_LINE_CHARS].decode("utf-8", "surrogateescape")
                         for key in by_key.keys() - codes.keys()}  # fmt: skip
                for key in [key for key, text in fresh.items() if _BARE.fullmatch(text)]:
                    del fresh[key]
                    numbers = (line for found, line in zip(keys, lines, strict=True) if found == key)
                    by_key[key] = sum(1 for line in numbers if not line.isspace() and line)
                    codes[key] = self._code(b"0", "0") if by_key[key] else -1
                codes |= self._code_of(fresh)
            for key, number in by_key.items():
                counted[codes[key]] += number
        del counted[-1]
        return counted

    def _block(self, lines: Sequence[object]) -> Codes:
        import numpy as np

        texts = [line[:MAX_LINE_CHARS] if isinstance(line, str) else "" for line in lines]
        if any("\n" in text for text in texts):
            texts = [text.replace("\n", " ") for text in texts]
        keys = _keep_status(_encoded(texts)).translate(None, _DIGITS).split(b"\n")
        example_of = dict(zip(keys, texts, strict=True))
        bare = {key for key, text in example_of.items() if _BARE.fullmatch(text)}
        code_of = self._code_of({key: text for key, text in example_of.items() if key not in bare})
        if bare:
            pairs = zip(keys, texts, strict=True)
            return np.array([self._bare(text) if key in bare else code_of[key] for key, text in pairs], dtype=np.int64)
        return np.fromiter(map(code_of.__getitem__, keys), dtype=np.int64, count=len(keys))

    def _bare(self, text: str) -> int:
        return self._code(b"0", text) if text and not text.isspace() else -1

    def _code_of(self, example_of: dict[bytes, str]) -> dict[bytes, int]:
        """Return the code of each key; keys never seen are looked up again without the ids in them."""
        code_of = {key: self._fine.get(key, -1) for key in example_of}
        fresh = [key for key, code in code_of.items() if code < 0]
        if not fresh:
            return code_of
        lines = [example_of[key] for key in fresh]
        plain = _ID.sub(b"", _keep_status(_encoded(lines))).translate(None, _DIGITS).split(b"\n")
        for key, short, line in zip(fresh, plain, lines, strict=True):
            code_of[key] = self._code(short, line)
        return code_of

    def _code(self, short: bytes, line: str) -> int:
        code = self._fine.get(short)
        if code is not None:
            return code
        if len(self._fine) < MOST_SIGNATURES:
            code = self._fine[short] = len(self.examples)
            self.examples.append(line)
            return code
        words = _WORDS.findall(short)
        rough = (*words[:3], b"%d" % len(words))
        if rough not in self._rough:
            if len(self._rough) >= MOST_ROUGH:
                rough = ()
            if rough not in self._rough:
                self._rough[rough] = len(self.examples)
                self.examples.append(line)
        return self._rough[rough]


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield whole lines, many at a time; what of a line is beyond a block and no line end in sight is passed over."""
    rest = b""
    while read := stream.read(_BLOCK_BYTES):
        whole, ended, after = (rest + read).rpartition(b"\n")
        if ended:
            yield whole
            rest = after
        else:
            rest = (rest or read)[:_BLOCK_BYTES]
    if rest:
        yield rest


def _encoded(texts: Sequence[str]) -> bytes:
    return "\n".join(texts).encode("utf-8", "surrogatepass")


def _keep_status(text: bytes) -> bytes:
    """Return lines with the digits of an HTTP status as other signs, so that it outlives the numbers."""
    for word, status in _STATUSES:
        if word in text:
            text = status.sub(_status_as_letters, text)
    return text


def _status_as_letters(found: re.Match[bytes]) -> bytes:
    return found[1] + found[2].translate(_LETTERS)
