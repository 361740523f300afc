"""A file that is there whole or not at all: written aside in its folder, then put in place in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from irkit.errors import InputError

_MODE = 0o644


def write_whole(path: Path, data: bytes, *, synced: bool = False, new: bool = False) -> None:
    """Put a file in place of what bears its name, if anything does; `synced` has its bytes on the disk before.

    Where `new` is true nothing may bear it. A link stays one, and what is no file, such as a pipe, is written into.

    Raises:
        FileExistsError: `new`, and the name is taken.
        OSError: it cannot be written; what was there is untouched, and nothing is left beside it.
    """
    if new and os.path.lexists(path):
        raise FileExistsError(17, os.strerror(17), str(path))
    path = Path(os.path.realpath(path))
    if path.exists() and not (path.is_file() or path.is_dir()):
        path.write_bytes(data)  # to put a file in the place of a device would take it from everybody
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        aside.chmod(_MODE)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_named(path: Path, data: bytes, *, new: bool = False) -> None:
    """Write a file where a person asked for it, as `write_whole` does, and refuse in words.

    Raises:
        InputError: `new`, and the name is taken; or it cannot be written.
    """
    try:
        write_whole(path, data, new=new)
    except OSError as error:
        # a folder's name that a file has is taken, too
        if new and isinstance(error, FileExistsError) and os.path.lexists(path):
            raise InputError(f"{path} is there already, and is not overwritten", hint="name another file") from None
        raise InputError(f"{path} cannot be written: {error.strerror or error}", hint="name another file") from None
