"""The commands that run notebooks, and those that hand them to a person; one short function a subcommand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from irkit.cli.options import bundle_option, collect_option, to_option
from irkit.errors import InputError
from irkit.model import parse_incident_id
from irkit.notebooks import NotebookError
from irkit.terminal import console
from irkit.text.phrase import count

if TYPE_CHECKING:
    from irkit.notebooks.shells import Shell


@click.command("new")
@click.argument("name", metavar="NOTEBOOK")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@to_option
def new(name: str, incident_id: int, folder: Path) -> None:
    """Write a copy of NOTEBOOK (postmortem, triage, a type of the runbook) for an incident, to work in."""
    from irkit import notebooks, workspace
    from irkit.notebooks import lab

    workspace.incident(incident_id)
    made = lab.new(name, incident_id, folder / notebooks.file_name(notebooks.find(name), incident_id))
    console.say(f"{made.absolute()}\nOpen it: jupyter lab {made}")


@click.command("lab", context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def lab_(options: tuple[str, ...]) -> None:
    """Open JupyterLab on irkit's notebooks, with an index; OPTIONS go to JupyterLab, such as --no-browser."""
    from irkit import workspace
    from irkit.errors import NotFoundError
    from irkit.notebooks import lab

    settings = workspace.load_settings()
    try:
        known = workspace.incidents(settings=settings)
    except NotFoundError:
        known = ()
    index = lab.prepare(settings.home / "lab", known)
    console.say(f"{index.parent}: copies of the notebooks; what you change in them stays.")
    lab.start(index.parent, settings, options)


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("name", metavar="[NOTEBOOK]", default="")
@collect_option
@to_option
@bundle_option
def investigate(incident_id: int, name: str, choice: str, folder: Path, bundle: str) -> None:
    """Run the notebook for the incident's type, or another by name, and write its HTML page.

    NOTEBOOK is a type of the runbook, such as high-latency, or triage.
    """
    from irkit import light
    from irkit.notebooks import shells

    with light.uncollected(), shells.spawned(light.FOR_REPORTS) as shell:
        from irkit import notebooks, workspace

        filed_as = workspace.incident(incident_id).type
        source = notebooks.find(name or filed_as)
        values: dict[str, object] = {"incident_id": incident_id, "collect": choice, "bundle": bundle}
        _run_notebook(source, folder / notebooks.file_name(source, incident_id), values, shell)


@click.command()
@click.option("--type", "incident_type", default="", metavar="TYPE", help="Only incidents of one type of the runbook.")
@click.option("--days", type=click.IntRange(min=0), default=0, help="Only those of the last so many days.")
@to_option
def review(incident_type: str, days: int, folder: Path) -> None:
    """Run the review notebook, the trends over all incidents, and write its HTML page."""
    from irkit import light
    from irkit.notebooks import shells

    with light.uncollected(), shells.spawned(light.FOR_REPORTS) as shell:
        from irkit import notebooks, workspace

        workspace.incidents()
        values: dict[str, object] = {"incident_type": incident_type, "days": days}
        _run_notebook(notebooks.find("review"), folder / "review.ipynb", values, shell)


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@collect_option
@to_option
@bundle_option
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="Another notebook parameter.")
def postmortem(
    incident_id: int, choice: str, folder: Path, bundle: str, parameters: tuple[tuple[str, str], ...]
) -> None:
    """Run the postmortem notebook and write its HTML page."""
    from irkit import light
    from irkit.notebooks import shells

    with light.uncollected(), shells.spawned(light.FOR_REPORTS) as shell:  # at once: it loads what it needs while we do
        from irkit import notebooks, workspace

        workspace.incident(incident_id)
        values = {"incident_id": incident_id, "collect": choice, "bundle": bundle, **dict(parameters)}
        source = notebooks.find("postmortem")
        _run_notebook(source, folder / notebooks.file_name(source, incident_id), values, shell)


@click.command()
@click.option("--ids", metavar="ID,ID,…", help="The incidents, by id.")
@click.option("--all", "every", is_flag=True, help="All incidents there are.")
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where to write them."
)
@collect_option
def batch(ids: str | None, every: bool, folder: Path, choice: str) -> None:
    """Make the postmortems of many incidents at once, on all cores.

    One that cannot be made is told and stops no other; the command then exits with 7.
    """
    from irkit.notebooks import batch as making

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


def _run_notebook(source: Path, executed: Path, values: dict[str, object], shell: Shell) -> None:
    """Run a notebook into a file, write its page beside it, and say where both are."""
    from irkit import light, notebooks

    light.spare_the_grammar()
    light.spare_the_tables()
    with console.status(f"Running {executed.stem}"):
        shell.meanwhile = lambda: light.load("irkit.publish")
        notebooks.run(source, executed, values, shell=shell)
        from irkit import publish

        page = publish.to_html(executed, executed.with_suffix(".html"))
    console.say(f"{executed.absolute()}\n{page.absolute()}")


commands = (new, lab_, investigate, postmortem, review, batch)
