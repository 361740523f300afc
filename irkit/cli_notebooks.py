"""The commands that hand notebooks to a person; one short function a subcommand."""

from __future__ import annotations

from pathlib import Path

import click

from irkit import console
from irkit.model import parse_incident_id


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
    stem = notebooks.find(name).stem.replace("_", "-")
    made = lab.new(name, incident_id, folder / f"{stem}-{incident_id}.ipynb")
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


commands = (new, lab_)
