"""Where a site lies: a folder, or whatever an fsspec URL names (s3://…, memory://…); each file whole or not there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irkit.errors import InputError
from irkit.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine; a file is written aside, synced, and put in place in one step."""

    path: Path

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, None where there is none."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place."""
        write_whole(self.path / name, data, synced=True)

    def remove(self, name: str) -> None:
        """Take a file away; that it is not there is no error."""
        (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder, which is made where it is missing, against other publications; wait for one that runs."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def __str__(self) -> str:
        return str(self.path.absolute())


@dataclass(frozen=True, slots=True)
class Remote:
    """A prefix of a file system that fsspec knows; an object store puts an object in place in one step."""

    files: Any
    prefix: str
    url: str

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes, None where there is none."""
        try:
            data: bytes = self.files.cat_file(f"{self.prefix}/{name}")
        except FileNotFoundError:
            return None
        return data

    def write(self, name: str, data: bytes) -> None:
        """Put an object in place."""
        self.files.makedirs(self.prefix, exist_ok=True)
        self.files.pipe_file(f"{self.prefix}/{name}", data)

    def remove(self, name: str) -> None:
        """Take an object away; that it is not there is no error."""
        if self.files.exists(f"{self.prefix}/{name}"):
            self.files.rm_file(f"{self.prefix}/{name}")

    def alone(self) -> AbstractContextManager[None]:
        """Hold nothing: an object store has no lock."""
        return nullcontext()

    def __str__(self) -> str:
        return self.url


Place = Folder | Remote


def place_of(where: str) -> Place:
    """Return the place that a path or an fsspec URL names.

    Raises:
        InputError: fsspec has no such file system, or what it needs is not installed.
    """
    if "://" not in where:
        return Folder(Path(where))
    if where.startswith("file://"):
        return Folder(Path(where.removeprefix("file://")))
    import fsspec

    try:
        files, prefix = fsspec.core.url_to_fs(where)
    except (ImportError, ValueError) as error:
        hint = "for a bucket: pip install s3fs, gcsfs or adlfs beside irkit"
        raise InputError(f"{where} is no place to publish to: {error}", hint=hint) from None
    return Remote(files, str(prefix).rstrip("/"), where.rstrip("/"))
