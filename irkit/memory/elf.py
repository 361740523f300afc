"""What a program's or a library's file says of itself: its machine, and where its exported names lie in the file.

Source: System V ABI, Executable and Linkable Format; sections are read, which stripping leaves for exported names.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x7fELF"
_64_BIT_LITTLE = b"\x02\x01"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_NO_BITS, _DYNAMIC_SYMBOLS = 8, 11
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
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != _MAGIC or data[4:6] != _64_BIT_LITTLE:
            raise ValueError(f"{path.name} is no 64-bit little-endian ELF file")
        try:
            header = _HEADER.unpack_from(data)
            start, width, count = header[6], header[11], header[12]
            sections = [_SECTION.unpack_from(data, start + width * at) for at in range(count)]
            return Exports(_MACHINES.get(header[2], f"machine {header[2]}"), _found(data, sections, set(names), size))
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
