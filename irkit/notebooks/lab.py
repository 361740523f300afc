"""Copies of irkit's notebooks to work in: one for an incident, or all of them with an index, opened in JupyterLab."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from irkit import notebooks
from irkit.errors import InputError, IrkitError
from irkit.text.message import one_line
from irkit.text.visible import visible
from irkit.times import format_time
from irkit.whole_file import write_whole

if TYPE_CHECKING:
    from irkit.model import Incident
    from irkit.settings import Settings

INDEX = "index.ipynb"
_MADE = ".made-by-irkit.json"
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
_PARAMETER = re.compile(r"^incident_id(?P<type>\s*:\s*\w+)?\s*=\s*[^#\n]*?(?P<rest>\s*(#.*)?)$", re.MULTILINE)
_SETTINGS = ".jupyterlab"
# what would leave the machine when JupyterLab starts: its news, and whether there is a newer one; nor does it ask
_OFFLINE = ("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate")
_OVERRIDES = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def new(name: str, incident_id: int, output: Path) -> Path:
    """Write a copy of one of irkit's notebooks with the incident filled in, to work in, and return it.

    Raises:
        NotFoundError: there is no such notebook.
        InputError: the file is there already, or cannot be written.
    """
    import nbformat

    source = notebooks.find(name)
    made = nbformat.read(source, as_version=4)
    for cell in made.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source = _PARAMETER.sub(rf"incident_id\g<type> = {incident_id}\g<rest>", cell.source, count=1)
    text = nbformat.writes(made)
    if output.exists():
        raise InputError(
            f"{output} is there already, and is not overwritten", hint="open it, or give another folder: --to"
        )
    try:
        write_whole(output, f"{text}\n".encode(), new=True)
    except OSError as error:
        msg = f"the copy cannot be written to {output}: {error.strerror or error}"
        raise InputError(msg, hint="choose another place with --to") from None
    return output


def prepare(folder: Path, incidents: Sequence[Incident]) -> Path:
    """Bring `folder` up to date: a copy of each notebook and an index of notebooks and incidents; return the index.

    A copy that somebody worked in stays as it is. It lies inside irkit's home, so that notebooks find the same store.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = _made(folder / _MADE)
        for name in notebooks.names():
            text = notebooks.find(name).read_bytes()
            copy = folder / f"{name}.ipynb"
            if not copy.exists() or _sum(copy.read_bytes()) == made.get(copy.name):
                write_whole(copy, text)
                made[copy.name] = _sum(text)
        (folder / _SETTINGS).mkdir(exist_ok=True)
        (folder / _SETTINGS / "overrides.json").write_text(json.dumps(_OVERRIDES), encoding="utf-8")
        (folder / _MADE).write_text(json.dumps(made, indent=1), encoding="utf-8")
        (folder / INDEX).write_text(_page(index(incidents)), encoding="utf-8")
    except OSError as error:
        msg = f"the notebooks cannot be copied to {folder}: {error.strerror or error}"
        raise InputError(msg, hint="set `home` in irkit.toml to a folder you may write") from None
    return folder / INDEX


def index(incidents: Iterable[Incident]) -> str:
    """Return what JupyterLab opens with, in Markdown: which notebook answers what, and which incidents there are."""
    lines = ["# irkit", "", "Open a notebook, set `incident_id`, run all.", "", "| notebook | asks |", "|---|---|"]
    lines += [f"| [{name.replace('_', '-')}]({name}.ipynb) | {_question(name)} |" for name in notebooks.names()]
    lines += ["", "## Incidents", ""]
    rows = [_row(one) for one in sorted(incidents, key=lambda one: (one.noticed_at, one.id), reverse=True)]
    if not rows:
        return "\n".join(
            [*lines, "None yet: `irkit open TITLE`; to try it, `irkit drill api-unresponsive --id 42`.", ""]
        )
    head = ["| id | what | type | severity | status | opened |", "|---|---|---|---|---|---|"]
    return "\n".join(
        [*lines, *head, *rows, "", "In a notebook of your own: `%load_ext irkit`, then `%incident 42`.", ""]
    )


def command(folder: Path, options: Sequence[str] = ()) -> list[str]:
    """Return the command that opens JupyterLab on a prepared folder; nothing of it leaves the machine."""
    opened = [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{INDEX}"]
    opened += [f"--LabApp.app_settings_dir={folder / _SETTINGS}"]
    return [sys.executable, "-m", "jupyterlab", *opened, *_OFFLINE, *options]


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which the notebooks' kernels find the same settings and store as the caller."""
    found = {**inherited, "IRKIT_HOME": str(settings.home)}
    return found | ({"IRKIT_CONFIG": str(settings.source)} if settings.source else {})


def start(folder: Path, settings: Settings, options: Sequence[str] = ()) -> None:
    """Become JupyterLab on a prepared folder; on success this never returns.

    Raises:
        IrkitError: it cannot be started.
    """
    argv = command(folder, options)
    try:
        os.execve(argv[0], argv, environment(settings, os.environ))  # noqa: S606 (no shell is wanted)
    except OSError as error:
        raise IrkitError(f"JupyterLab cannot be started: {error}", hint="`pip install jupyterlab`") from None


def _page(text: str) -> str:
    """Return a notebook of one text: JupyterLab shows a Markdown file as its source, a notebook's text as a page."""
    import nbformat

    cell = nbformat.v4.new_markdown_cell(text, id="index")
    return str(nbformat.writes(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": _KERNEL})))


def _row(one: Incident) -> str:
    cells = (str(one.id), _escaped(one.title), one.type, one.severity, one.status, format_time(one.opened_at))
    return f"| {' | '.join(cells)} |"


def _question(name: str) -> str:
    """Return what a notebook's first cell says behind its heading, up to the first full stop or question mark."""
    import nbformat

    first = nbformat.read(notebooks.find(name), as_version=4).cells[0].source
    told = one_line(first.partition("\n")[2])
    return re.split(r"(?<=[.?])\s", told, maxsplit=1)[0]


def _escaped(text: str) -> str:
    """Return a person's words so that Markdown shows them as they are."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|&~$-])", r"\\\1", visible(one_line(text)))


def _made(record: Path) -> dict[str, str]:
    try:
        read = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in read.items()} if isinstance(read, dict) else {}


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
