"""Options that commands share."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from irkit.errors import InputError
from irkit.model import utc_now
from irkit.terminal import console
from irkit.text.message import fit, one_line
from irkit.times import format_time, of_yesterday, parse_time

# the exit code of a command that was stopped at the terminal
INTERRUPTED = 130


def moment(text: str) -> datetime:
    """Read a time as a person types it, and say so where it is taken for yesterday's."""
    tell_of_yesterday(text)
    return parse_time(text, utc_now())


def tell_of_yesterday(text: str) -> None:
    """Say, on standard error, where a time of day is taken for yesterday's."""
    if told := of_yesterday(text, utc_now()):
        console.complain(told, "where that is not so, write the date, too: 2026-11-24T03:05Z")


def to_come(text: str, now: datetime) -> datetime:
    """Read a time that is still to come.

    Raises:
        InputError: it is no time, or has passed.
    """
    at = parse_time(text, now)
    if at <= now:
        raise InputError(f"{text} has passed: it is {format_time(now)} now", hint="write 2026-12-01T10:00Z")
    return at


# without one of these no rule finds anything in a sentence
_MAY_HOLD_ONE = re.compile(r"[=:]|\S{16}|pass|auth|secret", re.IGNORECASE)
_SHOWN_CHARS = 120
# what a command that wants words is told for, by its name
_EXAMPLES = {
    "note": "what was seen",
    "mitigate": "what made it well again",
    "resolve": "what removed the cause",
    "reopen": "why it goes on",
    "dismiss": "why there was an alarm",
}


def spoken(text: str) -> str:
    """Return a person's words as they were typed, and say where they may hold a secret: they are read by many.

    They are not changed: what only looks like one ("password: reset mails are late") would be lost from the record.
    """
    if _MAY_HOLD_ONE.search(text):  # the rules of what a secret looks like take half a second to load
        from irkit.redact import hidden

        if (shown := hidden(text)) != text:
            hint = "it is recorded as typed, for pages and messages; where it is one, change what it opens"
            console.complain(f"this may hold a secret, here as ***: {fit(one_line(shown), _SHOWN_CHARS)}", hint)
    return text


def words(context: click.Context, _: click.Parameter, text: str) -> str:
    """Return the words that a command records, as they were typed.

    Raises:
        InputError: there are none.
    """
    if not text.strip():
        name = context.info_name or ""
        hint = (
            f'{context.command_path} {context.params.get("incident_id", "ID")} "{_EXAMPLES.get(name, "what happened")}"'
        )
        raise InputError(f"`{context.command_path}` wants words, and there are none; nothing was recorded", hint=hint)
    return spoken(text)


def with_its_incident(word: str, rest: Sequence[str]) -> str:
    """Return how an action is asked for, the incident's id first, where the word is the name of one; else ""."""
    from irkit.act import engine

    named = any(one.name == word for one in engine.known())
    return f"`irkit act ID {shlex.join([word, *rest])}`, with the incident's id; `irkit list` shows it" if named else ""


at_option = click.option(
    "--at",
    metavar="TIME",
    type=moment,
    help="When it happened: 03:05 (UTC), 10m ago, 2026-11-24T03:05Z. Default: now.",
)
by_option = click.option("--by", "actor", metavar="NAME", default=None, help="Who did it. Default: you.")
collect_option = click.option(
    "--collect", "choice", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True
)
bundle_option = click.option(
    "--bundle", default="", metavar="ID", help="Evidence by its id. Default: the last before the repair."
)
to_option = click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write."
)
