"""The notebooks that come with irkit: found beside the package or inside it, run with papermill, never overwritten."""

from __future__ import annotations

import ast
import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from irkit.errors import InputError, IrkitError, NotFoundError
from irkit.text.visible import cut, visible, without_ansi

if TYPE_CHECKING:
    from irkit.notebooks.shells import Shell

_PACKAGE = Path(__file__).parents[1]
_KERNEL = "python3"
_SHOWN_CHARS = 400
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK = _FULL | {errno.EIO, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
_HINT = "hint: "
# how the cell begins that papermill puts behind that of the parameters
_GIVEN = "# Parameters\n"


class NotebookError(IrkitError):
    """A notebook did not run to its end; what it had until then is kept."""

    exit_code = 7


def folder() -> Path:
    """Return where irkit's notebooks are: in the repository beside the package, else inside the installed package.

    Raises:
        NotFoundError: neither is there, so the installation is damaged.
    """
    for place in (_PACKAGE.parent / "notebooks", _PACKAGE / "_notebooks"):
        if (place / "postmortem.ipynb").is_file():
            return place
    raise NotFoundError("irkit's notebooks are not installed", hint="install irkit again")


def names() -> tuple[str, ...]:
    """Return the names of irkit's notebooks, without the suffix."""
    return tuple(sorted(path.stem for path in folder().glob("*.ipynb")))


def find(name: str | Path) -> Path:
    """Return a notebook by irkit's name for it (`postmortem`, `api-unresponsive`), or by path.

    Raises:
        NotFoundError: there is none; the hint names the nearest.
    """
    given = Path(name)
    if given.suffix == ".ipynb" and given.is_file():
        return given
    known = {stem.replace("_", "-"): stem for stem in names()}
    wanted = given.name.removesuffix(".ipynb").replace("_", "-").lower()
    if wanted in known:
        return folder() / f"{known[wanted]}.ipynb"
    near = get_close_matches(wanted, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise NotFoundError(f"there is no notebook {cut(visible(str(name)), 60)}", hint=hint)


def file_name(notebook: Path, incident_id: int) -> str:
    """Return how a notebook's copy or run for an incident is called: `postmortem-42.ipynb`."""
    return f"{notebook.stem.replace('_', '-')}-{incident_id}.ipynb"


def parameters_of(notebook: Path) -> tuple[str, ...]:
    """Return the names of a notebook's parameters, in their order.

    Raises:
        InputError: the file cannot be read as a notebook.
    """
    import papermill

    try:
        return tuple(papermill.inspect_notebook(str(notebook)))
    except (OSError, ValueError) as error:
        raise InputError(f"{notebook} cannot be read as a notebook: {error}", hint="give an .ipynb file") from None


def check_parameters() -> None:
    """Refuse, from within a notebook, what papermill was given and the notebook has no parameter for.

    Papermill itself only warns of it, and a misspelt `collect` would then count for nothing. What the notebook has is
    what its cells assigned before the one that papermill put in; without such a cell there is nothing to check.

    Raises:
        InputError: a name is none of the notebook's parameters; the nearest is named.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    cells = [str(cell) for cell in shell.user_ns.get("In", ())] if shell else []
    place = next((place for place, cell in enumerate(cells) if cell.startswith(_GIVEN)), None)
    if place is None:
        return
    known = tuple(name for cell in cells[:place] for name in _assigned(cell))
    _check(dict.fromkeys(_assigned(cells[place])), known, "the notebook")


def _assigned(source: str) -> Iterator[str]:
    """Yield the names that a cell assigns at its top."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return  # a magic, or what no parameters are
    for statement in statements:
        targets: Sequence[ast.expr] = statement.targets if isinstance(statement, ast.Assign) else ()
        targets = (statement.target,) if isinstance(statement, ast.AnnAssign) else targets
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def run(
    name: str | Path,
    output: Path,
    parameters: Mapping[str, object],
    *,
    cwd: Path | None = None,
    shell: Shell | None = None,
) -> Path:
    """Run a notebook with papermill into `output` and return it; the source stays as it is.

    It runs in a shell process (in `shell`, where one was started beforehand), in a kernel where it needs one. That
    works in `cwd` (default: the current folder), so that it finds the same `irkit.toml` as the caller.

    Raises:
        NotFoundError: there is no such notebook.
        InputError: a parameter is not one of the notebook's (the nearest is named), or `output` is the source, or a
            file that no run made, such as a copy to work in.
        NotebookError: a cell failed; the sentence is the cell's own, and `output` holds what there was until then.
    """
    import papermill
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError

    from irkit.notebooks.engine import GONE
    from irkit.notebooks.papermill_engine import IrkitEngine

    source = find(name)
    if output.exists() and output.samefile(source):
        raise InputError(f"{output} is the notebook itself", hint="write the run to another file")
    _check(parameters, parameters_of(source), source.stem)
    if not _is_a_run(output, aside := output.with_name(f".{output.name}.before")):
        if _is_no_notebook(output):
            sentence = f"{output} is there already, and is no whole notebook: it was cut short, or is something else"
            raise InputError(sentence, hint="move it away, or write to another folder with --to")
        sentence = f"{output} is there already, and is no notebook that was run: somebody may be working in it"
        raise InputError(sentence, hint="write to another folder with --to, or move it away")
    _set_aside(output, aside)
    # as its entry point does, which an installation from before there was an engine does not have yet
    papermill_engines.register("irkit", IrkitEngine)
    try:
        papermill.execute_notebook(
            str(source),
            str(output),
            parameters=dict(parameters),
            engine_name="irkit",
            shell=shell,
            kernel_name=_KERNEL,
            cwd=str(cwd or Path.cwd()),
            progress_bar=False,
            # a kernel warns that it talks over loopback in the clear, and calls its own shutdown an error: neither
            # tells a person with an incident anything, and what fails in a cell is in the notebook
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )
    except PapermillExecutionError as error:
        if error.ename == GONE:
            raise _lost(source, output, error.evalue) from None
        sentence = cut(visible(" ".join(without_ansi(str(error.evalue)).split())), _SHOWN_CHARS)
        # irkit's own errors end their traceback with the hint
        hints = [line.removeprefix(_HINT) for line in error.traceback if line.startswith(_HINT)]
        hint = visible(hints[-1]) if hints else f"cell {error.exec_count} of {output} stopped there"
        raise NotebookError(sentence, hint=hint) from None
    except RuntimeError as error:
        # nbclient's DeadKernelError and CellTimeoutError are RuntimeErrors
        raise _lost(source, output, str(error)) from None
    except OSError as error:
        if error.errno not in _DISK:
            raise
        _put_back(output, aside)
        raise _unwritable(output, error) from None
    finally:
        aside.unlink(missing_ok=True)
    return output


def _set_aside(output: Path, aside: Path) -> None:
    """Keep the run of before under another name while a new one is written: papermill writes over what is there.

    It is there, empty, where there was none, too: who finds it later knows that a run was killed.

    Raises:
        InputError: nothing can be written there.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.is_file() and not aside.exists():
            output.replace(aside)
        aside.touch()
        output.touch()
    except OSError as error:
        raise _unwritable(output, error) from None


def _put_back(output: Path, aside: Path) -> None:
    """Have the run of before in its place again, or nothing: no half of one is taken for somebody's work."""
    if aside.is_file():
        aside.replace(output)
    if not output.read_bytes():
        output.unlink()


def _unwritable(output: Path, error: OSError) -> InputError:
    hint = "free some space, or choose another place" if error.errno in _FULL else "choose another place"
    return InputError(f"the run cannot be written to {output}: {error.strerror or error}", hint=hint)


def _is_a_run(output: Path, aside: Path) -> bool:
    """Say whether nothing is lost where a run is written to `output`: it is new, empty, or a run of before.

    Half of one is what a run that was killed left, where `aside` is there.
    """
    try:
        text = output.read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return not output.is_file()  # a folder is told apart where it is written to
    try:
        return not text.strip() or "papermill" in json.loads(text)["metadata"]
    except ValueError:
        return aside.exists()
    except (KeyError, TypeError, RecursionError):
        return False


def _is_no_notebook(output: Path) -> bool:
    """Say whether a file holds nothing that JupyterLab would open, such as what is left of a copy that was killed."""
    try:
        return not isinstance(json.loads(output.read_bytes()), dict)
    except OSError:
        return False
    except (ValueError, RecursionError):
        return True


def _lost(source: Path, output: Path, why: str) -> NotebookError:
    hint = f"{output} holds what there was until then; is there enough memory?"
    return NotebookError(f"the notebook {source.name} lost its kernel: {why}", hint=hint)


def _check(given: Mapping[str, object], known: tuple[str, ...], notebook: str) -> None:
    """Refuse parameters that the notebook does not have: papermill only warns, and writes their names into code."""
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known) or 'none'}"
            raise InputError(f"{notebook} has no parameter {cut(visible(name), 60)!r}", hint=hint)
