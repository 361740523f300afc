"""Lines to signatures: a number that costs next to nothing and is equal for most lines that say the same."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from irkit.logs.patterns.keys import BLOCK_BYTES, KeyReader, Keys, extension, is_blank, without_ids
from irkit.logs.patterns.masks import MAX_LINE_CHARS

if TYPE_CHECKING:
    import numpy as np

    Codes = np.ndarray[tuple[int], np.dtype[np.int64]]

MOST_SIGNATURES = 20_000
MOST_ROUGH = 2_000

_SIDE_BY_SIDE = 2
_BLOCK_LINES = 32_768
_MOST_KNOWN_BYTES = 16 * 1024 * 1024
_NUMBER = b"0"
_NO_CODE, _LACKING, _BLANK = -1, -2, -3
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
    _known: dict[bytes, int] = field(default_factory=dict)
    _known_bytes: int = 0

    def codes(self, lines: Sequence[object]) -> Codes:
        """Return each line's code, an index of `examples`; -1 for what is blank or no text."""
        import numpy as np

        return np.concatenate([np.empty(0, np.int64), *self._read(_blocks_of_lines(lines))])

    def count(self, stream: BinaryIO) -> Codes:
        """Return how many lines of a stream of bytes have each code; blank lines are left out.

        Reads 256 KiB at a time, two blocks side by side; of a line without end, no more than that is looked at.
        """
        import numpy as np

        counts = np.zeros(0, np.int64)
        for codes in self._read(_blocks_of_stream(stream)):
            more = np.bincount(codes - _NO_CODE, minlength=len(self.examples) + 1)[1:]
            more[: len(counts)] += counts
            counts = more
        return counts

    def _read(self, blocks: Iterable[bytes]) -> Iterator[Codes]:
        """Yield the codes of each block's lines. Keys are read ahead in threads; codes are given in order, here."""
        waiting: deque[tuple[bytes, KeyReader, Future[Keys]]] = deque()
        compiled = extension()
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            idle = [KeyReader(compiled) for _ in range(_SIDE_BY_SIDE + 1)]
            for block in blocks:
                reader = idle.pop()
                waiting.append((block, reader, pool.submit(reader.read, block)))
                if not idle:
                    oldest, done, keys = waiting.popleft()
                    yield self._codes_of(oldest, keys.result())
                    idle.append(done)
            for oldest, _, keys in waiting:
                yield self._codes_of(oldest, keys.result())

    def _codes_of(self, block: bytes, keys: Keys) -> Codes:
        import numpy as np

        code_of_key = [self._known.get(key, _LACKING) for key in keys.distinct]
        lacking = [at for at, code in enumerate(code_of_key) if code == _LACKING]
        if lacking:
            lines = _Lines(block, keys.of_line)
            for at in lacking:
                code_of_key[at] = self._code_of(keys.distinct[at], at, lines)
        codes = np.array(code_of_key, dtype=np.int64)[keys.of_line]
        if _BLANK in code_of_key:
            length = np.diff(np.flatnonzero(np.frombuffer(block + b"\n", np.uint8) == ord("\n")), prepend=-1) - 1
            blank = codes == _BLANK
            numbers = np.flatnonzero(blank & (length > keys.length_of_line))
            codes[blank] = _NO_CODE
            if len(numbers):
                codes[numbers] = self._named(_NUMBER, lambda: _decoded(block.split(b"\n")[numbers[0]]))
        return codes

    def _code_of(self, key: bytes, at: int, lines: _Lines) -> int:
        """Return the code of a key of the block that was not met before, or not lately."""
        code = _BLANK if is_blank(key) else self._named(without_ids(key), lambda: lines.first(at))
        if self._known_bytes > _MOST_KNOWN_BYTES:
            self._known.clear()
            self._known_bytes = 0
        self._known[key] = code
        self._known_bytes += len(key)
        return code

    def _named(self, short: bytes, example: Callable[[], str]) -> int:
        code = self._fine.get(short)
        if code is not None:
            return code
        if len(self._fine) < MOST_SIGNATURES:
            code = self._fine[short] = len(self.examples)
            self.examples.append(example())
            return code
        words = _WORDS.findall(short)
        rough = (*words[:3], b"%d" % len(words))
        if rough not in self._rough and len(self._rough) >= MOST_ROUGH:
            rough = ()
        if rough not in self._rough:
            self._rough[rough] = len(self.examples)
            self.examples.append(example())
        return self._rough[rough]


class _Lines:
    """The lines of a block, split only when one is asked for."""

    def __init__(self, block: bytes, of_line: Codes) -> None:
        self._block, self._of_line = block, of_line
        self._first: Codes | None = None
        self._lines: list[bytes] = []

    def first(self, key: int) -> str:
        """Return the first line that has the key of this index."""
        import numpy as np

        if self._first is None:
            self._lines = self._block.split(b"\n")
            self._first = np.zeros(int(self._of_line.max()) + 1, np.int64)
            # the last that is written stays, so from the end
            self._first[self._of_line[::-1]] = np.arange(len(self._of_line) - 1, -1, -1)
        return _decoded(self._lines[self._first[key]])


def _decoded(line: bytes) -> str:
    try:
        text = line.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = line.decode("utf-8", "surrogateescape")
    return text[:MAX_LINE_CHARS]


def _blocks_of_lines(lines: Sequence[object]) -> Iterator[bytes]:
    """Yield lines joined, so many at a time as a reader takes."""
    import numpy as np

    for start in range(0, len(lines), _BLOCK_LINES):
        some = lines[start : start + _BLOCK_LINES]
        try:
            joined = "\n".join(cast("Sequence[str]", some))
        except TypeError:  # asked of each line only where one is no text
            joined = "\n".join([line if isinstance(line, str) else "" for line in some])
        text = joined.encode("utf-8", "surrogatepass")
        # a line within a line would shift all after it; numpy counts four times as fast as bytes do
        if np.count_nonzero(np.frombuffer(text, np.uint8) == ord("\n")) >= len(some):
            joined = "\n".join([line.replace("\n", " ") if isinstance(line, str) else "" for line in some])
            text = joined.encode("utf-8", "surrogatepass")
        yield from _cut(text)


def _cut(text: bytes) -> Iterator[bytes]:
    """Yield whole lines of a text, as many at a time as a reader takes; of a line longer than that, its beginning."""
    at = 0
    while len(text) - at > BLOCK_BYTES:
        end = text.rfind(b"\n", at, at + BLOCK_BYTES + 1)
        if end < 0:
            yield text[at : at + BLOCK_BYTES]
            end = text.find(b"\n", at + BLOCK_BYTES)
            if end < 0:
                return
        else:
            yield text[at:end]
        at = end + 1
    yield text[at:]


def _blocks_of_stream(stream: BinaryIO) -> Iterator[bytes]:
    """Yield whole lines, as many at a time as a reader takes; of a line longer than that, its beginning."""
    rest, passing = b"", False
    while read := stream.read(BLOCK_BYTES - len(rest)):
        if passing:
            _, ended, read = read.partition(b"\n")
            passing = not ended
        whole, ended, rest = (rest + read).rpartition(b"\n")
        if ended:
            yield whole
        elif len(rest) == BLOCK_BYTES:
            yield rest
            rest, passing = b"", True
    if rest:
        yield rest
