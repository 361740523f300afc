"""The `irkit` command: one short function a subcommand; what they say goes through `irkit.terminal.console`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from irkit.cli import act as cli_act
from irkit.cli import bundle as cli_bundle
from irkit.cli import escalate as cli_escalate
from irkit.cli import evidence as cli_evidence
from irkit.cli import followup as cli_followup
from irkit.cli import incident as cli_incident
from irkit.cli import incidents as cli_incidents
from irkit.cli import memory as cli_memory
from irkit.cli import notebooks as cli_notebooks
from irkit.cli import publish as cli_publish
from irkit.cli import runbook as cli_runbook
from irkit.cli.help import ByMoment, usage_hint
from irkit.cli.options import INTERRUPTED
from irkit.errors import IrkitError
from irkit.model import parse_incident_id, utc_now
from irkit.terminal import console

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
        sys.exit(INTERRUPTED)
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
    from irkit import workspace

    try:
        told = workspace.load_settings().problems
    except IrkitError:
        return
    problems = [one for one in told if not files_only or one.section == "redact"]
    for one in problems[:_TOLD_PROBLEMS]:
        console.complain(f"{one.sentence}; until then {one.effect}", one.hint)
    if left := len(problems[_TOLD_PROBLEMS:]):
        console.complain(f"{left} more of the settings cannot be used", "`irkit doctor` tells them all")


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
    cli_incidents.show_card(filed)
    console.say(f"It {'is' if new else 'was'} filed in {found.home}{'' if new else ' before'}.")
    console.say(f"Next: irkit postmortem {filed.id}")


@irkit.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Say what is configured, reachable, readable and permitted, and what to do about the rest."""
    from irkit import doctor as examination
    from irkit.terminal import incidents as terminal

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
    *cli_evidence.commands,
    *cli_incident.commands,
    *cli_incidents.commands,
    *cli_act.commands,
    *cli_escalate.commands,
    *cli_followup.commands,
    *cli_notebooks.commands,
    *cli_publish.commands,
):
    irkit.add_command(_command)
