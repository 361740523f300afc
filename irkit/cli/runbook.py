"""`irkit runbook`: the runbook in force, what is wrong with one, and a copy to make it one's own."""

from __future__ import annotations

from pathlib import Path

import click

from irkit.terminal import console
from irkit.whole_file import write_named


@click.group(invoke_without_command=True)
@click.pass_context
def runbook(context: click.Context) -> None:
    """Show the runbook in force: the team's own, or the one that ships with irkit."""
    if context.invoked_subcommand is None:
        from irkit import workspace
        from irkit.terminal import runbook as terminal

        console.show(terminal.runbook_view(workspace.load_runbook()))


@runbook.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def runbook_check(context: click.Context, file: Path) -> None:
    """Say, line by line, what is wrong with a runbook FILE."""
    from irkit import runbook as runbooks
    from irkit.terminal import runbook as terminal

    problems = runbooks.check(runbooks.read(file))
    console.show(terminal.problem_lines(str(file), problems))
    fatal = sum(one.fatal for one in problems)
    console.say(f"{file}: {fatal} error(s), {len(problems) - fatal} note(s).")
    context.exit(1 if fatal else 0)


@runbook.command("copy")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def runbook_copy(file: Path) -> None:
    """Write the runbook in force to FILE, to make it your own."""
    from irkit import workspace

    text = workspace.load_runbook().text
    write_named(file, text.encode(), new=True)
    console.say(
        f'{file.absolute()}\nTo use it: runbook = "{file}" at the head of irkit.toml, in the folder it is relative to.'
    )
