"""The pages of a site that are about all reports: its index, searched without a server, and its feed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from irkit.publish.exporter import policy, stylesheet
from irkit.report.html import html
from irkit.report.material import PARTS
from irkit.runbook import Runbook
from irkit.text.visible import visible
from irkit.times import format_duration

if TYPE_CHECKING:
    from jinja2 import Environment

    from irkit.report.review import Review
    from irkit.site.entry import Entry

INDEX, FEED = "index.html", "feed.xml"
_HERE = Path(__file__).parent / "files"
_ATOM = "http://www.w3.org/2005/Atom"


def index(entries: Sequence[Entry], trends: Review | None, runbook: Runbook) -> bytes:
    """Return the index: a row an incident, found by words and filters without a server, and the trends over all."""
    titles = {kind.slug: kind.title for kind in runbook.incident_types}
    script = (_HERE / "site.js").read_text(encoding="utf-8")
    style = stylesheet() + (_HERE / "site.css").read_text(encoding="utf-8")
    shown = (trends.overview, trends.phases, trends.response_times, trends.repeats, trends.promises) if trends else ()
    page = (
        _environment()
        .get_template("index.html.j2")
        .render(
            entries=entries,
            titles=titles,
            types=sorted({one.type for one in entries}, key=lambda slug: titles.get(slug, slug)),
            severities=[one.name for one in runbook.severities if one.name in {entry.severity for entry in entries}],
            statuses=sorted({one.status for one in entries}),
            trends=[_safe(html(section)) for section in shown],
            style=_safe(style),
            script=_safe(script),
            policy=policy(style, script),
            parts=len(PARTS),
        )
    )
    return page.encode("utf-8")


def feed(entries: Sequence[Entry], base_url: str) -> bytes:
    """Return the Atom feed (RFC 4287) of the published reports, the latest first."""
    ET.register_namespace("", _ATOM)
    root = ET.Element(f"{{{_ATOM}}}feed")
    base = f"{base_url.rstrip('/')}/" if base_url else ""
    latest = sorted(entries, key=lambda one: (one.updated_at, one.incident_id), reverse=True)
    _add(root, "id", f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, base or 'irkit')}")
    _add(root, "title", "Incident reports")
    _add(root, "updated", latest[0].updated_at if latest else "1970-01-01T00:00:00Z")
    _add(root, "link", href=f"{base}{FEED}", rel="self")
    _add(root, "link", href=f"{base}{INDEX}")
    for one in latest:
        entry = ET.SubElement(root, f"{{{_ATOM}}}entry")
        _add(entry, "id", f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{base}irkit:{one.label}:{one.detected_at}')}")
        _add(entry, "title", f"{one.label}: {visible(one.title)}")
        _add(entry, "updated", one.updated_at)
        _add(entry, "link", href=f"{base}{one.file}")
        author = ET.SubElement(entry, f"{{{_ATOM}}}author")
        _add(author, "name", visible(one.owner) or "irkit")
        _add(entry, "summary", visible(one.summary))
    made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return made + b"\n"


def _add(parent: ET.Element, name: str, text: str = "", **attributes: str) -> None:
    made = ET.SubElement(parent, f"{{{_ATOM}}}{name}", attributes)
    made.text = text or None


def _safe(text: str) -> Any:  # noqa: ANN401 (markup of our own)
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 (our own files, and sections that escape what is not ours)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if hasattr(value, "__html__") else visible("" if value is None else str(value)),
    )
    made.filters["lasted"] = lambda seconds: "—" if seconds is None else format_duration(timedelta(seconds=seconds))
    return made
