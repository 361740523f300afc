"""Where the settings are found, and where incidents are kept if these do not say."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from irkit.errors import InputError

CONFIG_NAME = "irkit.toml"
HOME_NAME = ".irkit"


def find_config(start: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the settings' file that is named by `IRKIT_CONFIG`, else the nearest from `start` upward, None for none.

    Raises:
        InputError: it is there and is no file.
    """
    if named := environ.get("IRKIT_CONFIG"):
        try:
            path = Path(named).expanduser().resolve()
        except (RuntimeError, OSError):  # a user that is unknown here, or a link to itself
            path = Path(named)
        if not path.is_file():
            msg = f"IRKIT_CONFIG names {path}, which is not a file"
            raise InputError(msg, hint="correct or unset IRKIT_CONFIG")
        return path
    for folder in (start.resolve(), *start.resolve().parents):
        path = folder / CONFIG_NAME
        if os.path.lexists(path):
            _refuse_unreadable(path)
            return path
    return None


def _refuse_unreadable(config: Path) -> None:
    """Refuse settings that are there and are no file: without them the defaults' places may be another's.

    Raises:
        InputError: they are a link to nothing, a folder, a pipe or a device.
    """
    why = "is no plain file"
    try:
        mode = config.stat().st_mode
        if stat.S_ISREG(mode):
            return
        why = "is a folder" if stat.S_ISDIR(mode) else why
    except OSError as error:
        why = f"leads nowhere: {error.strerror}" if config.is_symlink() else f"cannot be read: {error.strerror}"
    raise InputError(f"{config} {why}, so the settings are not known", hint="put the file there, or remove it")


def default_home(start: Path, environ: Mapping[str, str]) -> Path:
    """Return the home where no `irkit.toml` is found: the nearest `.irkit` folder upward, as git finds `.git`.

    Where there is none either, the user-wide one of the XDG base directory specification.

    Raises:
        InputError: the user has no home directory.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / HOME_NAME).is_dir():
            return folder / HOME_NAME
    data = environ.get("XDG_DATA_HOME", "")
    if data and Path(data).is_absolute():
        return Path(data) / "irkit"
    try:
        return Path(environ.get("HOME", "~")).expanduser() / ".local/share/irkit"
    except RuntimeError:  # a bare number for a user, in a container
        said = "it is not known where incidents are kept: this user has no home directory"
        raise InputError(said, hint="set IRKIT_HOME, or `home` in irkit.toml") from None


def read(config: Path) -> dict[str, Any]:
    """Return what is written in the settings' file.

    Raises:
        InputError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(config.read_text(encoding="utf-8-sig"))  # some editors begin a file with a byte-order mark
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{config} cannot be read: {error}"
        raise InputError(msg, hint="correct its permissions, or save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        msg = f"{config} is not valid TOML: {error}"
        raise InputError(msg, hint="correct that line; values with spaces or colons need quotes") from None
