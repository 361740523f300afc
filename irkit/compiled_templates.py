"""Compiled templates kept as Python keeps compiled modules: beside their source, and only where that can be written."""

from __future__ import annotations

import hashlib
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

from jinja2.bccache import Bucket, BytecodeCache

from irkit.whole_file import write_whole


class CompiledTemplates(BytecodeCache):
    """Jinja's compiled templates in the `__pycache__` of a folder; `made_by` is what else they were made from.

    One of an older template, of another Python or of another `made_by` is made anew. Where Python itself may not write
    such files, or the folder is read-only, templates are compiled each time.
    """

    def __init__(self, folder: Path, made_by: str) -> None:
        # as for modules, this follows PYTHONPYCACHEPREFIX
        self._folder = Path(cache_from_source(str(folder / "template.py"))).parent
        self._made_by = made_by

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, ValueError, EOFError, TypeError), self._path(bucket).open("rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):
            write_whole(self._path(bucket), bucket.bytecode_to_string())

    def _path(self, bucket: Bucket) -> Path:
        digest = hashlib.sha256(f"{bucket.key} {self._made_by}".encode()).hexdigest()[:16]
        return self._folder / f"{digest}.{sys.implementation.cache_tag}.template"
