"""The `irkit` command: one short function a subcommand; what they say goes through `irkit.console`."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from irkit import (
    cli_act,
    cli_bundle,
    cli_escalate,
    cli_followup,
    cli_incident,
    cli_memory,
    cli_notebooks,
    cli_publish,
    cli_runbook,
    console,
)
from irkit.cli_help import ByMoment, usage_hint
from irkit.cli_options import by_option
from irkit.errors import CollectError, IrkitError
from irkit.model import Outcome, parse_incident_id, utc_now

if TYPE_CHECKING:
    from irkit.bundle import Bundle
    from irkit.model import Incident, IncidentType
    from irkit.settings import Settings
    from irkit.shells import Shell

_INTERRUPTED = 130
# they read and write bundles, and neither look at a service nor tell anybody
_FILES_ONLY = frozenset({"redact", "bundle"})
# what tells of the settings by itself
_WITHOUT_SETTINGS = (None, "doctor")
_TOLD_PROBLEMS = 3

_HELP = """From the page to the published postmortem.

\b
Something is broken:  irkit open "Checkout is down" --type api-unresponsive
                      irkit collect 42    gather evidence before a restart destroys it
                      irkit ack 42        stop the response-time clock
                      irkit triage 42     what kind of incident it is, and which check would tell more
It works again:       irkit resolve 42 "rolled back to 1.4"
                      irkit postmortem 42 the report as one HTML page
To see it all first:  irkit drill api-unresponsive --id 42
"""


def main() -> None:
    """Run the command line; every failure is a sentence on standard error and a non-zero exit."""
    try:
        code = irkit(prog_name="irkit", standalone_mode=False)
    except IrkitError as error:
        console.complain(str(error), error.hint)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        console.complain(error.format_message(), usage_hint(error))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        console.complain("stopped", "what was recorded before stays")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; Python would complain about it on the way out
        sys.exit(1)
    except OSError as error:
        if not (told := console.of_the_system(error)):
            raise
        console.complain(*told)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=ByMoment, help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="irkit", prog_name="irkit")
@click.pass_context
def irkit(context: click.Context) -> None:
    """Gather the subcommands; `_HELP` is what a person reads."""
    if context.invoked_subcommand not in _WITHOUT_SETTINGS and not set(sys.argv[1:]) & {"-h", "--help"}:
        _tell_what_is_left_out(files_only=context.invoked_subcommand in _FILES_ONLY)


def _tell_what_is_left_out(*, files_only: bool) -> None:
    """Say what of the settings cannot be used; what cannot be read at all stops the command itself, if it needs it."""
    from irkit import settings

    try:
        told = settings.load().problems
    except IrkitError:
        return
    problems = [one for one in told if not files_only or one.section in {"", "redact"}]
    for one in problems[:_TOLD_PROBLEMS]:
        console.complain(f"{one.sentence}; until then {one.effect}", one.hint)
    if left := len(problems[_TOLD_PROBLEMS:]):
        console.complain(f"{left} more of the settings cannot be used", "`irkit doctor` tells them all")


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.option("--only", multiple=True, metavar="COLLECTOR", help="Only this collector (may be repeated).")
@click.option("--dry-run", is_flag=True, help="Say what would be read, and why, and read nothing.")
@by_option
def collect(incident_id: int, only: tuple[str, ...], dry_run: bool, actor: str | None) -> None:
    """Gather evidence into a sealed bundle; reads only, changes nothing."""
    from irkit.host_process import host_process

    if dry_run:
        _dry_run(only)
        return
    with host_process() as host:  # at once: it takes as long to get ready as the store to open
        from irkit import light, terminal, terminal_head, workspace
        from irkit.collect import Stopped
        from irkit.exhausted import exhausted
        from irkit.service_names import hindrance, idle_of, meant_here, unwell
        from irkit.what_changed import changes_before

        settings = workspace.load_settings()
        incident = workspace.incident(incident_id, settings=settings)
        by = actor or console.user()
        light.load(*light.FOR_FINDINGS)
        try:
            with console.progress() as on_progress:
                bundle = workspace.gather(
                    incident, "always", settings=settings, only=only, actor=by, on_progress=on_progress, host=host
                )
        except Stopped as stopped:
            console.show(terminal.coverage_table(stopped.bundle.runs))
            hint = f"what had come by then is kept: `irkit triage {incident_id}`, or `irkit collect {incident_id}` anew"
            console.complain("stopped", hint)
            sys.exit(_INTERRUPTED)
    idle, ask = idle_of(bundle), cli_act.asked(incident_id, settings)
    for line in (*terminal_head.idle_lines(idle, ask.timeline), *terminal_head.exhausted_lines(exhausted(bundle))):
        console.show(line)
    console.show(terminal.coverage_table(bundle.runs))
    _say_reach(bundle, incident, settings)
    found, known = workspace.whole_diagnosis(bundle, settings=settings), workspace.load_runbook(settings)
    console.show(terminal.diagnosis_view(found, known, brief=True))
    console.say(f"\n{bundle.path}\nsealed, sha256 {bundle.manifest.seal}")
    stands = workspace.standing(ask.incident, bundle, settings=settings)
    meant = meant_here(known, settings, bundle)
    typed: list[str] = []

    def commands(kind: IncidentType) -> dict[int, str]:
        made = cli_act.commands_for(kind, ask, meant, unwell(kind.slug, found.present, bundle), bundle)
        typed.extend(made.values())
        return made

    changes = changes_before(bundle, found.first_sign, ask.incident.noticed_at)
    console.show(terminal_head.before_lines(incident_id, found, changes))
    against = partial(hindrance, evidence=bundle)
    console.show(terminal.next_steps(ask.incident, found, known, stands, commands, idle, against))
    for hint in cli_act.hints(meant, typed, bundle):
        console.say(hint)
    unseen = [run.collector for run in bundle.runs if run.outcome in {Outcome.FAILED, Outcome.TIMED_OUT}]
    if unseen:
        total = sum(run.outcome is not Outcome.SKIPPED for run in bundle.runs)
        hint = "the table above says why; what the others gave is kept, and `irkit doctor` looks closer"
        sentence = f"{len(unseen)} of {total} sources could not be looked at: {', '.join(unseen)}"
        raise CollectError(sentence, hint=hint)


def _say_which(evidence: Bundle, incident: Incident, settings: Settings) -> None:
    """Say by which evidence, where there is newer: what was collected after a repair shows how that went."""
    from irkit.bundle import bundles_of

    newer = [folder.name for folder in bundles_of(settings.home, incident.id) if folder.name > evidence.id]
    if newer:
        when = f"{evidence.manifest.created_at:%Y-%m-%d %H:%M:%S} UTC, the last before the repair"
        console.say(f"By the evidence of {when}; what came later: irkit triage {incident.id} --bundle {newer[-1]}\n")


def _say_reach(evidence: Bundle, incident: Incident, settings: Settings) -> None:
    from irkit import reach, workspace

    if said := reach.cut_short(evidence.window, workspace.over_before(incident, settings=settings)):
        console.say(f"{said}\n")


def _dry_run(only: tuple[str, ...]) -> None:
    from irkit import terminal, workspace
    from irkit.collect import plan

    console.show(terminal.plan_table(plan(workspace.load_settings(), only)[0]))


@irkit.command()
@click.option("--unit", "show", flag_value="unit", help="Print a systemd unit that keeps it running.")
@click.option("--compose", "show", flag_value="compose", help="Print a service for the compose file.")
def record(show: str | None) -> None:
    """Keep what an incident's "before" is made of: health, containers, Redis, processes, the database."""
    from irkit import recorder, recorder_service, workspace

    settings = workspace.load_settings()
    if show:
        console.say({"unit": recorder_service.unit, "compose": recorder_service.compose}[show](settings).rstrip())
        return
    recorder.record(settings, say=console.say, complain=console.complain)


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
def diagnose(incident_id: int) -> None:
    """Say which symptoms of the runbook the collected evidence shows."""
    from irkit import terminal, workspace

    settings = workspace.load_settings()
    evidence = workspace.gather(workspace.incident(incident_id, settings=settings), "never", settings=settings)
    found, known = workspace.diagnosis(evidence, settings=settings), workspace.load_runbook(settings)
    console.show(terminal.diagnosis_view(found, known))


@irkit.command()
@click.argument("incident_id", metavar="[ID]", type=parse_incident_id, required=False)
@click.option("--collect", "choice", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option("--bundle", default="", metavar="ID", help="Evidence by its id. Default: the last before the repair.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, for programs.")
def triage(incident_id: int | None, choice: str, bundle: str, as_json: bool) -> None:
    """Weigh the incident types against each other, and name the cheapest check that would tell more.

    Without ID: the incident opened last that is not over. Exits with 6 where nothing could be looked at.
    """
    from irkit import terminal_head, terminal_triage, triage_json, workspace
    from irkit.exhausted import exhausted
    from irkit.service_names import idle_of
    from irkit.triage import Conclusion
    from irkit.what_changed import changes_before

    settings = workspace.load_settings()
    chosen = (
        workspace.incident(incident_id, settings=settings) if incident_id else workspace.newest_open(settings=settings)
    )
    with console.progress() as on_progress:
        evidence = workspace.gather(
            chosen, choice, bundle, settings=settings, actor=console.user(), on_progress=on_progress
        )
    found, told, ahead = workspace.triage(evidence, settings=settings)
    if as_json:
        console.say(json.dumps(triage_json.to_json(chosen, evidence, found, told, ahead), indent=2))
    else:
        if not bundle:
            _say_which(evidence, chosen, settings)
        _say_reach(evidence, chosen, settings)
        known = workspace.timeline(chosen, settings=settings)
        head = [
            *terminal_head.idle_lines(idle_of(evidence), known),
            *terminal_head.exhausted_lines(exhausted(evidence)),
        ]
        changes = changes_before(evidence, found.first_sign, chosen.noticed_at)
        head.append(terminal_head.before_lines(chosen.id, found, changes))
        console.show(terminal_triage.triage_view(chosen, told, ahead, workspace.load_runbook(settings), head))
        console.say(f"\nNext: irkit investigate {chosen.id}{''.join(f' {slug}' for slug in told.named[:1])}")
    if told.conclusion is Conclusion.BLIND:
        hint = f"`irkit doctor` says what stands in the way; then again: `irkit collect {chosen.id}`"
        raise CollectError(f"nothing of {chosen.label} could be looked at, so nothing can be concluded", hint=hint)


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("name", metavar="[NOTEBOOK]", default="")
@click.option("--collect", "choice", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write."
)
@click.option("--bundle", default="", metavar="ID", help="Evidence by its id. Default: the last before the repair.")
def investigate(incident_id: int, name: str, choice: str, folder: Path, bundle: str) -> None:
    """Run the notebook for the incident's type, or another by name, and write its HTML page.

    NOTEBOOK is a type of the runbook, such as high-latency, or triage.
    """
    from irkit import light, shells

    with light.uncollected(), shells.spawned(light.FOR_REPORTS) as shell:
        from irkit import notebooks, workspace

        filed_as = workspace.incident(incident_id).type
        source = notebooks.find(name or filed_as)
        values: dict[str, object] = {"incident_id": incident_id, "collect": choice, "bundle": bundle}
        _run_notebook(source, folder / notebooks.file_name(source, incident_id), values, shell)


@irkit.command()
@click.option("--type", "incident_type", default="", metavar="TYPE", help="Only incidents of one type of the runbook.")
@click.option("--days", type=click.IntRange(min=0), default=0, help="Only those of the last so many days.")
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write."
)
def review(incident_type: str, days: int, folder: Path) -> None:
    """Run the review notebook, the trends over all incidents, and write its HTML page."""
    from irkit import light, shells

    with light.uncollected(), shells.spawned(light.FOR_REPORTS) as shell:
        from irkit import notebooks, workspace

        workspace.incidents()
        values: dict[str, object] = {"incident_type": incident_type, "days": days}
        _run_notebook(notebooks.find("review"), folder / "review.ipynb", values, shell)


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.option("--collect", "choice", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write."
)
@click.option("--bundle", default="", metavar="ID", help="Evidence by its id. Default: the last before the repair.")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="Another notebook parameter.")
def postmortem(
    incident_id: int, choice: str, folder: Path, bundle: str, parameters: tuple[tuple[str, str], ...]
) -> None:
    """Run the postmortem notebook and write its HTML page."""
    from irkit import light, shells

    with light.uncollected(), shells.spawned(light.FOR_REPORTS) as shell:  # at once: it loads what it needs while we do
        from irkit import notebooks, workspace

        workspace.incident(incident_id)
        values = {"incident_id": incident_id, "collect": choice, "bundle": bundle, **dict(parameters)}
        source = notebooks.find("postmortem")
        _run_notebook(source, folder / notebooks.file_name(source, incident_id), values, shell)


@irkit.command()
@click.argument("name", required=False)
@click.option(
    "--id",
    "incident_id",
    metavar="ID",
    type=parse_incident_id,
    help="The id it shall have. Default: the next free one.",
)
def drill(name: str | None, incident_id: int | None) -> None:
    """File the recording of a real incident, to train on or to look around; without NAME, or for `list`, list them."""
    from irkit import drill as drills
    from irkit import workspace

    if name in {None, "list"}:
        known = drills.available()
        width = max(len(item.name) for item in known)
        for item in known:
            console.say(f"{item.name:<{width}}  {item.description}")
        return
    found = workspace.load_settings()
    filed, new = drills.file(name, found, incident_id)
    cli_incident.show_card(filed)
    console.say(f"It {'is' if new else 'was'} filed in {found.home}{'' if new else ' before'}.")
    console.say(f"Next: irkit postmortem {filed.id}")


@irkit.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Say what is configured, reachable, readable and permitted, and what to do about the rest."""
    from irkit import doctor as examination
    from irkit import terminal

    with console.progress() as on_progress:
        checks = examination.examine(Path.cwd(), utc_now(), on_progress=on_progress)
    console.show(terminal.doctor_view(checks))
    console.say(examination.conclusion(checks))
    context.exit(0 if examination.healthy(checks) else 1)


cli_runbook.runbook.add_command(cli_followup.propose)
irkit.add_command(cli_runbook.runbook)
irkit.add_command(cli_bundle.bundle)
irkit.add_command(cli_bundle.redact)
irkit.add_command(cli_memory.memory)
for _command in (
    *cli_incident.commands,
    *cli_act.commands,
    *cli_escalate.commands,
    *cli_followup.commands,
    *cli_notebooks.commands,
    *cli_publish.commands,
):
    irkit.add_command(_command)


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
