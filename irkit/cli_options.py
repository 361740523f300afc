"""Options that commands share."""

from __future__ import annotations

from datetime import datetime

import click

from irkit import console
from irkit.errors import InputError
from irkit.model import utc_now
from irkit.times import format_time, of_yesterday, parse_time


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


at_option = click.option(
    "--at",
    metavar="TIME",
    type=moment,
    help="When it happened: 03:05 (UTC), 10m ago, 2026-11-24T03:05Z. Default: now.",
)
by_option = click.option("--by", "actor", metavar="NAME", default=None, help="Who did it. Default: you.")
