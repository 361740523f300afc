"""The commands that hand notebooks to a person; one short function a subcommand."""

from __future__ import annotations

from pathlib import Path

import click

from irkit import console
from irkit.errors import InputError
from irkit.model import parse_incident_id
from irkit.notebooks import NotebookError
from irkit.phrase import count


@click.command("new")
@click.argument("name", metavar="NOTEBOOK")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write."
)
def new(name: str, incident_id: int, folder: Path) -> None:
    """Write a copy of NOTEBOOK (postmortem, triage, a type of the runbook) for an incident, to work in."""
    from irkit import lab, notebooks, workspace

    workspace.incident(incident_id)
    made = lab.new(name, incident_id, folder / notebooks.file_name(notebooks.find(name), incident_id))
    console.say(f"{made.absolute()}\nOpen it: jupyter lab {made}")


@click.command("lab", context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def lab_(options: tuple[str, ...]) -> None:
    """Open JupyterLab on irkit's notebooks, with an index; OPTIONS go to JupyterLab, such as --no-browser."""
    from irkit import lab, workspace
    from irkit.errors import NotFoundError

    settings = workspace.load_settings()
    try:
        known = workspace.incidents(settings=settings)
    except NotFoundError:
        known = ()
    index = lab.prepare(settings.home / "lab", known)
    console.say(f"{index.parent}: copies of the notebooks; what you change in them stays.")
    lab.start(index.parent, settings, options)


@click.command()
@click.option("--ids", metavar="ID,ID,…", help="The incidents, by id.")
@click.option("--all", "every", is_flag=True, help="All incidents there are.")
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where to write them."
)
@click.option("--collect", "choice", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def batch(ids: str | None, every: bool, folder: Path, choice: str) -> None:
    """Make the postmortems of many incidents at once, on all cores.

    One that cannot be made is told and stops no other; the command then exits with 7.
    """
    from irkit import batch as making

    if every == bool(ids):
        raise InputError("which incidents?", hint="--ids 41,42, as `irkit list` shows them, or --all")
    wanted = _every() if every else tuple(dict.fromkeys(map(parse_incident_id, (ids or "").split(","))))
    failed = 0
    for made in making.reports(wanted, folder, {"collect": choice}):
        if made.page:
            console.say(str(made.page.absolute()))
        else:
            failed += 1
            console.complain(f"INC-{made.incident_id}: {made.sentence}", made.hint)
    if failed:
        hint = "each is named above" + ("; the others are written" if failed < len(wanted) else "")
        raise NotebookError(f"{failed} of {count(len(wanted), 'report')} could not be made", hint=hint)


def _every() -> tuple[int, ...]:
    from irkit import workspace

    return tuple(one.id for one in workspace.incidents())


commands = (new, lab_, batch)
