"""`irkit bundle`: look at, compare, send and take evidence bundles; one short function a subcommand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from irkit.model import parse_incident_id, utc_now
from irkit.terminal import console

if TYPE_CHECKING:
    from irkit.bundle import Bundle


@click.group()
def bundle() -> None:
    """Verify, show, compare, export and import evidence bundles.

    BUNDLE is an incident's id (then its newest), a bundle's id, its folder, or a file made by export.
    """


@bundle.command("verify")
@click.argument("name", metavar="BUNDLE")
def verify(name: str) -> None:
    """Check the seal, every file's sum and kind, and the manifest against its published schema."""
    from irkit import workspace
    from irkit.bundle import archive as bundle_file

    with bundle_file.opened(bundle_file.find_bundle(name, workspace.load_settings().home)) as found:
        _say_which(name, found)
        bundle_file.verify(found)
        console.say(f"Bundle {found.id} is whole and unchanged: {len(found.manifest.evidence)} pieces of evidence.")
        console.say(f"sha256 {found.manifest.seal}")


@bundle.command("show")
@click.argument("name", metavar="BUNDLE")
def show(name: str) -> None:
    """Show what a bundle holds, where it came from and what is missing."""
    from irkit import workspace
    from irkit.bundle import archive as bundle_file
    from irkit.terminal import bundle as terminal_bundle

    with bundle_file.opened(bundle_file.find_bundle(name, workspace.load_settings().home)) as found:
        _say_which(name, found)
        console.show(terminal_bundle.bundle_card(found))


def _say_which(name: str, found: Bundle) -> None:
    """Say which of several was taken where an incident was named: the postmortem may rest on another."""
    from irkit.bundle import bundles_of

    one = found.manifest.incident_id
    folders = bundles_of(found.path.parent.parent.parent, one)
    if len(folders) > 1 and name not in {folder.name for folder in folders} and not Path(name).exists():
        console.say(f"The newest of {len(folders)}; `irkit show {one}` says on which the postmortem rests.")


@bundle.command("diff")
@click.argument("before", metavar="BUNDLE")
@click.argument("after", metavar="BUNDLE")
def diff(before: str, after: str) -> None:
    """Show what changed from one bundle to another: containers, settings, tables, metrics, log lines."""
    from irkit import bundle_diff, workspace
    from irkit.bundle import archive as bundle_file
    from irkit.terminal import bundle as terminal_bundle

    home = workspace.load_settings().home
    with (
        bundle_file.opened(bundle_file.find_bundle(before, home)) as old,
        bundle_file.opened(bundle_file.find_bundle(after, home)) as new,
    ):
        console.show(terminal_bundle.diff_view(bundle_diff.diff(old, new)))


@bundle.command("export")
@click.argument("name", metavar="BUNDLE")
@click.option("--to", "file", type=click.Path(path_type=Path), help="The file to make. Default: named by its id, here.")
def export(name: str, file: Path | None) -> None:
    """Write a bundle into one file, the same bytes each time."""
    from irkit import workspace
    from irkit.bundle import archive as bundle_file
    from irkit.bundle import sha256_of

    with bundle_file.opened(bundle_file.find_bundle(name, workspace.load_settings().home)) as found:
        label = f"INC-{found.manifest.incident_id}-{found.id}{bundle_file.SUFFIX}"
        made = bundle_file.export_bundle(found, file or Path(label))
    console.say(f"{made.absolute()}\nsha256 {sha256_of(made)}")


@click.command("redact")
@click.argument("name", metavar="BUNDLE")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), help="The folder to make. Default: named by its id, here."
)
@click.option(
    "--addresses", is_flag=True, help="Replace e-mail and IP addresses and hosts, too; loopback and 0.0.0.0 stay."
)
def redact(name: str, folder: Path | None, addresses: bool) -> None:
    """Make a copy of BUNDLE with every secret replaced that today's rules know; the original stays as it is."""
    from irkit import workspace
    from irkit.bundle import archive as bundle_file
    from irkit.bundle.manifest import REDACTED_SUFFIX
    from irkit.collect import redact_bundle
    from irkit.redact import Redactor, installation_key

    settings = workspace.load_settings()
    home = settings.home
    redactor = Redactor(installation_key(home), addresses=addresses or settings.redact.addresses)
    with bundle_file.opened(bundle_file.find_bundle(name, home)) as found:
        folder = folder or Path(f"INC-{found.manifest.incident_id}-{found.id}{REDACTED_SUFFIX}")
        made = redact_bundle.redact_bundle(found, redactor, folder.absolute(), utc_now())
        before, after = (sum(run.redactions for run in one.runs) for one in (found, made))
    console.say(f"{made.path}\nsha256 {made.manifest.seal}")
    console.say(f"{after} placeholders, {before} before. Next: irkit bundle export {folder}")


@bundle.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "incident_id", metavar="ID", type=parse_incident_id, help="File it under this incident instead.")
@click.option("--by", "actor", metavar="NAME", default=None, help="Who did it. Default: you.")
def import_(file: Path, incident_id: int | None, actor: str | None) -> None:
    """File a bundle that came as one FILE, after distrusting all of it."""
    from irkit import workspace
    from irkit.bundle.manifest import Change

    settings = workspace.load_settings()
    filed, known = workspace.import_bundle(file, incident_id, settings=settings, actor=actor or console.user())
    number = filed.manifest.incident_id
    console.say(f"{filed.path}\nsha256 {filed.manifest.seal}")
    if origin := filed.manifest.made_of:
        here = (filed.path.parent / origin.bundle_id).is_dir() and origin.change is Change.REDACTED
        rests = " That one is here, too, and reports rest on it." if here else ""
        console.say(f"This is {origin.told}, made {origin.made_at:%Y-%m-%d %H:%M:%S} UTC.{rests}")
    console.say(f"Next: irkit {'diagnose' if known else 'open TITLE --type TYPE --id'} {number}")
