"""The commands that put reports where others read them; one short function a subcommand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from irkit.errors import InputError, IrkitError
from irkit.model import parse_incident_id
from irkit.notebooks import NotebookError
from irkit.terminal import console
from irkit.text.phrase import count
from irkit.whole_file import write_named

if TYPE_CHECKING:
    from irkit.site.build import Published

_FILE = click.Path(dir_okay=False, path_type=Path)
# what an option holds that was given without a file
_HERE = "postmortem-ID"


def _written_to(option: str, ending: str, told: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return an option that names a file, or goes without for one in the working directory."""
    here = f"{_HERE}.{ending}"
    said = f"{told} Without a file: {here} here."
    return click.option(option, type=_FILE, is_flag=False, flag_value=here, metavar="[FILE]", help=said)


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=parse_incident_id)
@click.option("--all", "every", is_flag=True, help="All incidents there are.")
@click.option(
    "--to", "where", metavar="DIR|URL", help="The site: a folder, or an fsspec URL such as s3://bucket/reports."
)
@click.option("--drafts", is_flag=True, help="Drafts, too: not closed, or with parts to be written. They are marked.")
@click.option("--url", "base_url", metavar="URL", default="", help="Where the site will be, for the links of its feed.")
@_written_to("--pdf", "pdf", "Write the report of one incident as PDF; needs Chromium.")
@_written_to("--markdown", "md", "Write it as Markdown, for a wiki.")
@_written_to("--json", "json", "Write its model as JSON, for programs.")
def publish(
    ids: tuple[int, ...],
    every: bool,
    where: str | None,
    drafts: bool,
    base_url: str,
    pdf: Path | None,
    markdown: Path | None,
    json: Path | None,
) -> None:
    """Publish reports: a site with an index, a search and a feed, or one report as PDF, Markdown or JSON.

    A site holds what was published to it before as well. With ID the others stay as they are; without, or with --all,
    they are brought up to date, and drafts are taken away. Doing it twice changes nothing.
    """
    from irkit import workspace

    files = {"pdf": pdf, "markdown": markdown, "json": json}
    if not where and not any(files.values()):
        raise InputError(
            "publishing needs a place to write to",
            hint="--to DIR for the site; --pdf, --markdown or --json FILE for one report",
        )
    settings = workspace.load_settings()
    chosen = tuple(one.id for one in workspace.incidents(settings=settings)) if every else ids
    if any(files.values()):
        if len(chosen) != 1:
            raise InputError("a file holds the report of one incident", hint="irkit publish 42 --pdf report.pdf")
        _files(chosen[0], {name: _named(path, chosen[0]) for name, path in files.items() if path})
    if where:
        _site(chosen, where, every=every or not ids, drafts=drafts, base_url=base_url)


def _named(given: Path, incident_id: int) -> Path:
    """Return the file that was given, or the one that goes by the incident."""
    return given.with_stem(f"postmortem-{incident_id}") if given.stem == _HERE else given


def _files(incident_id: int, files: dict[str, Path]) -> None:
    """Write one report in other forms than a page."""
    import tempfile

    from irkit import conclusions, workspace
    from irkit.bundle.staging import own_folder
    from irkit.notebooks import batch
    from irkit.site import document, pdf

    incident = workspace.incident(incident_id)
    report = conclusions.postmortem(incident, workspace.gather(incident, "never"))
    for name, made in (("json", document.to_json), ("markdown", document.to_markdown)):
        if name in files:
            _write(files[name], made(report))
    if "pdf" in files:
        with own_folder(Path(tempfile.gettempdir()), "page") as folder:
            (page,) = batch.reports([incident_id], folder.path, {"collect": "never"})
            if page.page is None:
                raise NotebookError(f"INC-{incident_id}: {page.sentence}", hint=page.hint)
            pdf.to_pdf(page.page, files["pdf"])
        console.say(str(files["pdf"].absolute()))


def _write(file: Path, text: str) -> None:
    write_named(file, text.encode())
    console.say(str(file.absolute()))


def _site(ids: tuple[int, ...], where: str, *, every: bool, drafts: bool, base_url: str) -> None:
    from irkit import workspace
    from irkit.site import build
    from irkit.site.place import place_of

    place = place_of(where)
    settings = workspace.load_settings()
    try:
        with console.status("publishing"):
            done = build.publish(place, ids, settings=settings, every=every, drafts=drafts, base_url=base_url)
    except OSError as error:
        raise InputError(f"{where} cannot be written: {error.strerror or error}", hint="choose another place") from None
    for number, (sentence, hint) in sorted(done.failed.items()):
        console.complain(f"INC-{number}: {sentence}", hint)
    left_out = [_left_out(number, done) for number in done.drafts]
    in_vain = not every and done.drafts.keys() == set(ids)
    for sentence, hint in left_out if not in_vain or len(left_out) > 1 else ():
        console.complain(sentence, hint)
    if not (ids or done.made or done.kept or done.drafts):
        raise InputError("which incidents? The site holds none yet", hint=f"irkit publish 42 --to {where}, or --all")
    told = [f"{count(len(done.made), 'page')} made", f"{len(done.kept)} as before"]
    told += [f"{len(done.removed)} taken away"] if done.removed else []
    console.say(f"{place}: {'nothing was written' if in_vain else ', '.join(told)}")
    if done.failed:
        hint = "each is named above; a page of it that was published before stays as it was"
        raise NotebookError(f"{count(len(done.failed), 'report')} could not be made", hint=hint)
    if in_vain:
        sentence, hint = left_out[0] if len(left_out) == 1 else ("no report was published", "each is named above")
        raise IrkitError(sentence, hint=hint)
    console.say(f"Look at it: irkit serve {where}" if "://" not in where else f"Its index: {place}/index.html")


def _left_out(number: int, done: Published) -> tuple[str, str]:
    """Say of a draft why it is not on the site, or not any more, and what to do about it."""
    lacks, was_draft = done.drafts[number], done.removed.get(number)
    if was_draft is None:
        became = "left out, as a draft"
    else:
        became = f"taken away, as a draft{', published before with --drafts' if was_draft else ' again'}"
    stays = "; the page that was published before stays as it was" if number in done.kept else ""
    return f"INC-{number}: {became}: {lacks.sentence}{stays}", f"{lacks.hint}; --drafts publishes it, marked"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=8042, show_default=True, help="0 takes a free one.")
def serve(folder: Path, port: int) -> None:
    """Show a published site on this machine alone, until Ctrl-C."""
    from irkit.site import serve as serving

    with serving.server(folder, port, console.say) as server:
        console.say(f"http://{serving.LOOPBACK}:{server.server_address[1]}/  (Ctrl-C ends it)")
        server.serve_forever()


commands = (publish, serve)
