"""A notebook run in a shell process instead of a kernel, with papermill's books of it: which it can serve, and how."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irkit.notebooks.shells import Shell

# the error that stands in the cell whose process is gone
GONE = "DeadKernelError"
_SKIPPED = "skip-execution"
_LAUNCHER = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
# options of papermill and nbclient that change nothing here, by their names and the values with which that is so
_HARMLESS = {"input_path": ..., "start_timeout": ..., "kernel_name": ..., "extra_arguments": ..., "shell": ...}
# what a kernel has and a shell has not: a loop that runs between cells, a front end to ask, widgets, other languages
_WORDS = re.compile(
    r"\b(?:await|async|asyncio|input|getpass|exit|quit|ipywidgets|widgets|tqdm|comm|kernel|ipykernel|breakpoint|pdb)\b"
)
_MAGIC = re.compile(r"(?:^|=)\s*(?P<sign>%%?|!|\?)(?P<name>\w*)|\?\s*$", re.MULTILINE)
_SERVED = frozenset({"%load_ext", "%incident", "%time", "%%time"})
_CONFIG = ("ipython_config.py", "ipython_config.json", "ipython_kernel_config.py", "ipython_kernel_config.json")


def why_not(nb: Any, kernel_name: str, options: Mapping[str, object]) -> str:  # noqa: ANN401
    """Return why a notebook needs a real kernel, "" where a shell serves it."""
    asked = [name for name, value in options.items() if name not in _HARMLESS and value not in (None, False)]
    if asked:
        return f"{asked[0]} was asked for"
    if not _is_ours(kernel_name):
        return f"the kernel {kernel_name} is not this Python's own"
    if configured := _configured():
        return f"IPython is configured by {configured}"
    return next((f"a cell uses {what}" for cell in nb.cells if (what := _unserved(cell))), "")


def run(nb_man: Any, shell: Shell) -> None:  # noqa: ANN401
    """Run a notebook's cells in a shell and keep papermill's books of them.

    The notebook's file is written whenever the shell has nothing new to tell: a state that has passed by the time it
    would be written helps nobody, and writing is what papermill spends most on.
    """
    from irkit.notebooks import shells
    from irkit.notebooks.outputs import Outputs

    nb = nb_man.nb
    runs = [
        shells.Cell(index, cell.source, "raises-exception" in cell.metadata.get("tags", ()))
        for index, cell in enumerate(nb.cells)
        if _is_run(cell)
    ]
    may_fail = {cell.index for cell in runs if cell.may_fail}
    told, outputs = shells.run(shell, runs, os.getcwd(), nb_man.save), Outputs(nb)  # noqa: PTH109 (a string is wanted)
    for index, cell in enumerate(nb.cells):
        with _unwritten(nb_man):
            nb_man.cell_start(cell, index)
        good = True
        try:
            if _is_run(cell):
                good = _follow(told, outputs, nb_man, index) or index in may_fail
                if "shell.execute_reply" not in cell.metadata.get("execution", {}):
                    good = False
                    _gone(cell, shells.how_it_ended(shell))
            if not good:
                nb_man.cell_exception(cell, cell_index=index)
                break
        finally:
            with _unwritten(nb_man):
                nb_man.cell_complete(cell, cell_index=index)
    nb.metadata["language_info"] = _language()


@contextmanager
def _unwritten(nb_man: Any) -> Iterator[None]:  # noqa: ANN401
    """Keep papermill from writing the notebook's file for as long."""
    path, nb_man.output_path = nb_man.output_path, None
    try:
        yield
    finally:
        nb_man.output_path = path


def _follow(told: Iterator[dict[str, Any]], outputs: Any, nb_man: Any, index: int) -> bool:  # noqa: ANN401
    """Take what is told of a cell until its end; say whether it came to a good one."""
    for message in told:
        outputs.take(message)
        nb_man.autosave_cell()
        if message["kind"] == "end" and message["cell"] == index:
            return bool(message["ok"])
    return False


def _gone(cell: Any, how: str) -> None:  # noqa: ANN401
    from nbformat.v4 import new_output

    sentence = f"the process that ran the notebook {how}"
    cell.outputs.append(new_output("error", ename=GONE, evalue=sentence, traceback=[f"{GONE}: {sentence}"]))


def _is_run(cell: Any) -> bool:  # noqa: ANN401
    return cell.cell_type == "code" and bool(cell.source.strip()) and _SKIPPED not in cell.metadata.get("tags", ())


def _unserved(cell: Any) -> str:  # noqa: ANN401
    if not _is_run(cell):
        return ""
    if found := _WORDS.search(cell.source):
        return found.group()
    for magic in _MAGIC.finditer(cell.source):
        name = f"{magic['sign'] or '?'}{magic['name'] or ''}"
        if name not in _SERVED:
            return name
    return ""


def _is_ours(kernel_name: str) -> bool:
    """Say whether a kernel is ipykernel in this very interpreter, started in no special way."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec(kernel_name)
    except NoSuchKernel:
        return False
    python, *rest = spec.argv
    rest = [part for part in rest if part not in ("-Xfrozen_modules=off", "-X", "frozen_modules=off")]
    same = python in ("python", "python3", Path(sys.executable).name) or Path(python) == Path(sys.executable)
    return spec.language == "python" and rest == _LAUNCHER and same and not spec.env


def _configured() -> str:
    """Return a file that configures IPython's kernels or runs at their start, "" where there is none."""
    own = Path(os.environ.get("IPYTHONDIR") or Path.home() / ".ipython").expanduser() / "profile_default"
    for folder in (own, Path(sys.prefix) / "etc" / "ipython", Path("/usr/local/etc/ipython"), Path("/etc/ipython")):
        for name in _CONFIG:
            if (folder / name).is_file():
                return str(folder / name)
    startup = sorted(path for path in (own / "startup").glob("*") if path.suffix in {".py", ".ipy"})
    return str(startup[0]) if startup else ""


def _language() -> dict[str, object]:
    """Return what a kernel says of its language."""
    return {
        "name": "python",
        "version": sys.version.split()[0],
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
        "pygments_lexer": "ipython3",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }
