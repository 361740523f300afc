"""Read a stranger's Parquet tables once in a process of their own: a damaged one can make Arrow abort all of it.

Run by `try_tables` as `python -m irkit.bundle.parquet_trial PATH…`; it says on standard output that it begins with a
table, and the refusal, if any, is a line of JSON on standard error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from irkit.bundle.parquet import read_table
from irkit.errors import BundleError
from irkit.text.visible import visible

_LONGEST_S = 120.0
_AT_ONCE = 100
_SHOWN_CHARS = 200


def try_tables(paths: Sequence[Path]) -> None:
    """Return if all tables can be read in full, and safely.

    Raises:
        BundleError: one of them is refused, or reading it kills the process that does.
    """
    for start in range(0, len(paths), _AT_ONCE):
        _try(paths[start : start + _AT_ONCE])


def _try(paths: Sequence[Path]) -> None:
    command = [sys.executable, "-P", "-m", "irkit.bundle.parquet_trial", *map(str, paths)]
    hint = "use an untouched copy"
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter and module; the paths are arguments, not options)
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BundleError(f"its tables could not be read within {_LONGEST_S:g} s", hint=hint) from None
    if not done.returncode:
        return
    try:
        told = json.loads(done.stderr.splitlines()[-1])
        raise BundleError(told["sentence"], hint=told["hint"])
    except (ValueError, LookupError, TypeError):
        raise BundleError(ended(done, paths), hint=hint) from None


def ended(done: subprocess.CompletedProcess[bytes], paths: Sequence[Path]) -> str:
    """Say which table it was that ended the process that read it, how, and what that said last."""
    begun = len(done.stdout.split())
    which = f"the table {paths[min(begun, len(paths)) - 1].name}" if begun else "one of its tables"
    how = f"with exit code {done.returncode}"
    if done.returncode < 0:
        with suppress(ValueError):  # not every number has a name
            how = f"by {signal.Signals(-done.returncode).name}"
    said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()][-1:]
    last = f": {visible(said[0].strip())[:_SHOWN_CHARS]}" if said else ", without a word"
    return f"{which} is damaged, or made to do harm: reading it ended the process that did it, {how}{last}"


def main(paths: Sequence[str]) -> str | None:
    """Read each table and return the refusal of the first that cannot be, as JSON."""
    for path in paths:
        os.write(1, b".\n")  # for who started this process: it may not live to say more
        try:
            read_table(Path(path))
        except BundleError as error:
            return json.dumps({"sentence": str(error), "hint": error.hint})
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))  # a text goes to standard error, with exit code 1
