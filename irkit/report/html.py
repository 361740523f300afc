"""Sections as HTML and as plain text; everything that is not markup of ours is escaped, whoever wrote it.

The templates cannot forget to: what they print passes through `_shown`, which makes hidden characters visible, and then
through Jinja's autoescape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from irkit.charts.svg import data_uri
from irkit.model import Outcome, VerdictState, is_configured
from irkit.report.parts import Shown
from irkit.report.plain import plain_text
from irkit.report.sections import Narrative
from irkit.report.styling import style_for
from irkit.text.phrase import count, grouped, percent, seconds_between
from irkit.text.phrase import seconds as in_seconds
from irkit.text.phrase import size as in_bytes
from irkit.text.visible import cut, visible
from irkit.times import format_duration

if TYPE_CHECKING:
    from jinja2 import Environment

# what an output that lives by a script is shown as on a page, which runs none
STATIC_KIND = "application/vnd.irkit.static+html"
_HERE = Path(__file__).parent
_KIB = 1024
# a sign beside each word, so that neither colour nor shape is alone in telling
_SIGNS = {
    Outcome.COLLECTED: "●",
    Outcome.PARTIAL: "◐",
    Outcome.ABSENT: "○",
    Outcome.SKIPPED: "○",
    Outcome.FAILED: "✕",
    Outcome.TIMED_OUT: "✕",
    VerdictState.FOUND: "●",
    VerdictState.CLEAR: "○",
    VerdictState.UNKNOWN: "?",
}


def mimebundle(section: Shown) -> dict[str, str]:
    """Return what a notebook shows for a section: HTML with its style, and plain text."""
    made = html(section)
    shown = f"<style>{style_for(made)}</style>{made}" if made else ""
    return {"text/html": shown, "text/plain": plain_text(made)}


def text(section: Shown) -> str:
    """Return a section as plain text, hidden characters made visible."""
    return plain_text(html(section))


def html(section: Shown) -> str:
    """Return a section as HTML with its own heading, or "" where it has nothing to say."""
    if section.empty:
        return ""
    parts: Iterable[Shown] | None = getattr(section, "sections", None)
    if parts is not None:
        return "\n".join(filter(None, map(html, parts)))
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(section).__name__).lower()
    heading, anchor = section.heading, section.anchor
    if isinstance(section, Narrative):
        heading, anchor = section.title, section.slug
    return _environment().get_template(f"{name}.html").render(it=section, heading=heading, anchor=anchor).strip()


def load_templates() -> None:
    """Load the templates of all sections, which each loads by itself where it is first shown."""
    environment = _environment()
    for name in environment.list_templates(["html"]):
        environment.get_template(name)


def evidence_anchor(evidence_id: str) -> str:
    """Return the id that the evidence index gives to a row, for links to it."""
    return "e-" + re.sub(r"[^a-z0-9]+", "-", evidence_id.lower()).strip("-")


@cache
def _environment() -> Environment:
    from importlib.metadata import version

    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from irkit.compiled_templates import CompiledTemplates

    environment = Environment(
        bytecode_cache=CompiledTemplates(_HERE / "templates", f"{version('jinja2')} {version('irkit')}"),
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "anchor": evidence_anchor,
        "between": lambda interval: seconds_between(interval).removeprefix("95 % interval "),
        "clock": _clock,
        "configured": is_configured,
        "counted": count,
        "bytes": lambda value: "—" if value is None else in_bytes(value),
        "cut": cut,
        "data_uri": data_uri,
        "day": _day,
        "duration": _duration,
        "grouped": grouped,
        "kind": lambda evidence_id: evidence_id.rpartition("/")[2].replace("_", " "),
        "lines": _lines,
        "percent": percent,
        "sentence": lambda words: words[:1].upper() + words[1:],
        "sign": lambda state: _SIGNS.get(state, ""),
        "size": _size,
        "ticked": _ticked,
        "took": _took,
        "utc": _utc,
        "word": lambda state: str(state).replace("_", " "),
    }
    return environment


def _shown(value: object) -> object:
    if hasattr(value, "__html__"):
        return value
    return visible("—" if value is None else str(value))


def _lines(value: str, limit_chars: int = 400) -> object:
    """Return text of several lines, each cut visibly, its line breaks kept."""
    from markupsafe import Markup, escape

    return Markup("\n").join(escape(visible(cut(line, limit_chars))) for line in value.split("\n"))


def _ticked(value: str) -> object:
    """Return a sentence with what stands between backticks as code, each pair on its own."""
    from markupsafe import Markup, escape

    parts = [escape(visible(part)) for part in value.split("`")]
    if len(parts) % 2 == 0:
        return visible(value)
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


def _utc(at: datetime | None) -> object:
    from markupsafe import Markup

    if at is None:
        return "—"
    at = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M:%S}")


def _clock(at: datetime | None) -> object:
    from markupsafe import Markup

    if at is None:
        return "—"
    at = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%H:%M:%S}")


def _day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def _duration(value: timedelta | None) -> str:
    return "—" if value is None else format_duration(value)


def _took(value: float | None) -> str:
    return "—" if value is None else "0 ms" if value == 0 else in_seconds(value)


def _size(size_bytes: int) -> str:
    if size_bytes < _KIB:
        return f"{size_bytes} B"
    return f"{size_bytes / _KIB:.1f} KiB" if size_bytes < _KIB**2 else f"{size_bytes / _KIB**2:.1f} MiB"
