"""Files that are there whole or not at all, also after the power went: written aside, synced, then put in place."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from irkit.collect.contract import Refused
from irkit.text.phrase import size

_CHUNK_BYTES = 1024 * 1024
# room that is left for everybody else on the disk
_SPARE_BYTES = 16 * 1024 * 1024
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


def sync(path: Path) -> None:
    """Have a file, or the entries of a folder, really on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place_new(made: Path, destination: Path) -> None:
    """Put a finished file in place under a name that nobody has; the file is synced, and so is its folder.

    Raises:
        FileExistsError: the name is taken; what bears it is untouched.
        OSError: it cannot be put there.
    """
    sync(made)
    try:
        os.link(made, destination)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(destination, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        made.replace(destination)
    else:
        made.unlink()
    sync(destination.parent)


def replace(made: Path, destination: Path) -> None:
    """Put a finished file in another's place in one step; both are on the disk before and after it."""
    sync(made)
    made.replace(destination)
    sync(destination.parent)


def keep(path: Path, kept: Path) -> None:
    """Give a file a second name, under which it stays when the first one is replaced; a copy where there are no links.

    Raises:
        FileExistsError: the name is taken.
        OSError: it cannot be kept.
    """
    try:
        os.link(path, kept)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        partial = kept.with_name(f".{kept.name}.partial")
        copy(path, partial)
        place_new(partial, kept)


def copy(source: Path, destination: Path, told: Callable[[float], None] = lambda _: None) -> str:
    """Copy a file's bytes, private to us until it is put in place, and return their sha256; `told` gets the share."""
    digest, done = hashlib.sha256(), 0
    descriptor = os.open(destination, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with source.open("rb") as reading, os.fdopen(descriptor, "wb") as writing:
        total = os.fstat(reading.fileno()).st_size or 1
        while chunk := reading.read(_CHUNK_BYTES):
            digest.update(chunk)
            writing.write(chunk)
            done += len(chunk)
            told(min(1.0, done / total))
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest()


def require_space(folder: Path, needed_bytes: int) -> None:
    """See to it that so much fits on the disk of a folder, or of the nearest one above that is there.

    Raises:
        Refused: it does not; both figures are told.
    """
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    free = shutil.disk_usage(there).free
    if free < needed_bytes + _SPARE_BYTES:
        reason = f"{there} has {size(free)} free, and {size(needed_bytes + _SPARE_BYTES)} are needed"
        raise Refused(reason, hint="free some space there; nothing was changed")


def same_owner(path: Path, like: os.stat_result) -> str:
    """Give a file the mode and owner of another's; return what could not be given, in words, or nothing."""
    path.chmod(like.st_mode & 0o7777)
    now = path.stat()
    if (now.st_uid, now.st_gid) == (like.st_uid, like.st_gid):
        return ""
    try:
        os.chown(path, like.st_uid, like.st_gid)
        path.chmod(like.st_mode & 0o7777)
    except PermissionError:
        return f"{path.name} could not be given back to user {like.st_uid} and group {like.st_gid}"
    return ""
