"""The list of commands in `irkit --help`: by the moment in which one is wanted, each with its whole sentence.

Where an action is typed in the place of a command, how it is asked for is said.
"""

from __future__ import annotations

import click

from irkit.cli.options import with_its_incident
from irkit.errors import InputError

# In the order of an incident; a command that is in none of them is listed last, so that it is never lost.
_MOMENTS = (
    ("Something is broken", ("open", "collect", "ack", "escalate", "note", "list", "show")),
    ("What is wrong", ("triage", "diagnose", "investigate", "lab", "new", "memory", "bundle")),
    ("Put it right", ("act", "step", "mitigate", "resolve", "dismiss", "reopen", "amend")),
    (
        "Afterwards",
        (
            "postmortem",
            "batch",
            "review",
            "lint",
            "action-item",
            "follow-up",
            "alert-rule",
            "meeting",
            "close",
            "publish",
            "serve",
        ),
    ),
    ("Before it happens", ("doctor", "record", "watch", "runbook", "drill", "redact")),
)


class ByMoment(click.Group):
    """A group whose help lists its commands by moment instead of by alphabet, and cuts no sentence short."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            # click would name the command that is spelt most like it: redact for restart
            if again := with_its_incident(args[0], args[1:]):
                raise InputError(f"{args[0]} is no command but an action on an incident", hint=again) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        known = {name: self.commands[name] for name in self.list_commands(ctx) if not self.commands[name].hidden}
        placed = {name for _, names in _MOMENTS for name in names}
        for title, names in (*_MOMENTS, ("More", tuple(name for name in known if name not in placed))):
            rows = [(name, known[name].get_short_help_str(limit=200)) for name in names if name in known]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def usage_hint(error: click.ClickException) -> str:
    """Return where the help for a command is that was typed wrongly."""
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help shows how it is used" if context else ""
