"""What a program's or a library's file says of itself: its machine, where its exported names and its sections lie.

Source: System V ABI, Executable and Linkable Format; sections are read, which stripping leaves for exported names.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x7fELF"
_64_BIT_LITTLE = b"\x02\x01"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NO_BITS, _DYNAMIC_SYMBOLS = 8, 11
_LOADED = 1
_MACHINES = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


@dataclass(frozen=True, slots=True)
class Exports:
    """A file's machine, and of the names asked for those that it exports: their contents, as many bytes as asked."""

    machine: str
    found: dict[str, bytes]


def exports(path: Path, names: Collection[str], size: int = 8) -> Exports:
    """Return what a file exports of `names`, each with the first bytes of what it names (of a function, its code).

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or of another word size or byte order, or damaged.
    """
    with _read(path) as (data, header, sections):
        return Exports(_MACHINES.get(header[2], f"machine {header[2]}"), _found(data, sections, set(names), size))


def section(path: Path, name: str) -> int | None:
    """Return how far behind the first byte of a file that is loaded a section of it begins; None where it has none.

    Raises:
        OSError, ValueError: as `exports`.
    """
    with _read(path) as (data, header, sections):
        loaded = [
            each[3] - each[2]
            for each in (_SEGMENT.unpack_from(data, header[5] + header[9] * at) for at in range(header[10]))
            if each[0] == _LOADED
        ]
        texts, wanted = sections[header[13]], f"{name}\0".encode()
        for each in sections:
            at = texts[4] + each[0]
            if data[at : at + len(wanted)] == wanted and loaded:
                return int(each[3] - min(loaded))
    return None


@contextmanager
def _read(path: Path) -> Iterator[tuple[mmap.mmap, tuple[int, ...], list[tuple[int, ...]]]]:
    """Yield a file, its header and its sections."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != _MAGIC or data[4:6] != _64_BIT_LITTLE:
            raise ValueError(f"{path.name} is no 64-bit little-endian ELF file")
        try:
            header = _HEADER.unpack_from(data)
            start, width, count = header[6], header[11], header[12]
            yield data, header, [_SECTION.unpack_from(data, start + width * at) for at in range(count)]
        except (struct.error, IndexError) as error:
            raise ValueError(f"{path.name} is damaged") from error


def _found(data: mmap.mmap, sections: list[tuple[int, ...]], names: set[str], size: int) -> dict[str, bytes]:
    wanted = {name.encode(): name for name in names}
    longest = max(map(len, wanted), default=0) + 1
    found = {}
    for section in sections:
        if section[1] != _DYNAMIC_SYMBOLS:
            continue
        texts = sections[section[6]]
        for at in range(section[4], section[4] + section[5], _SYMBOL.size):
            name_at, _, _, index, value, _ = _SYMBOL.unpack_from(data, at)
            text = data[texts[4] + name_at : texts[4] + name_at + longest].partition(b"\0")[0]
            if text in wanted and 0 < index < len(sections) and sections[index][1] != _NO_BITS:
                place = sections[index][4] + value - sections[index][3]
                found[wanted[text]] = data[place : place + size]
    return found
