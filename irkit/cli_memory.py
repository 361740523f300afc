"""`irkit memory`: what the memory of a live process does; one short function a subcommand."""

from __future__ import annotations

import click

from irkit import console


@click.group()
def memory() -> None:
    """Watch the memory of a live process."""


@memory.command("monitor")
@click.option("--pid", type=click.IntRange(min=1), required=True, help="The process to watch, by its number here.")
@click.option("--for", "length", default="60", show_default=True, metavar="TIME", help="How long: 60 (s), 10m, 1h.")
@click.option("--every", "interval", default="1", show_default=True, metavar="TIME", help="How often: 1 (s), 500ms.")
@click.pass_context
def monitor(context: click.Context, pid: int, length: str, interval: str) -> None:
    """Watch a process from outside: does its memory grow, how fast, and when is its container's limit reached?

    Nothing is put into it and it is not stopped. Ctrl-C ends the watch early and tells what there was.
    """
    from irkit.memory.outside import watch

    for_s, every_s = _seconds(length), _seconds(interval)
    with console.status(f"Watching process {pid}; Ctrl-C tells what there is so far"):
        seen = watch(pid, for_s, every_s)
    console.say(str(seen))
    context.exit(1 if seen.has_ended else 0)


def _seconds(text: str) -> float:
    """Read a length of time; a bare number is seconds.

    Raises:
        InputError: it is none.
    """
    from irkit.times import parse_duration

    bare = text.strip().replace(".", "", 1).isdecimal()
    return parse_duration(f"{text.strip()} s" if bare else text).total_seconds()
