"""Bundles drawn for a terminal: what one holds and was made of, and what two have different."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from irkit.terminal.incidents import coverage_table
from irkit.terminal.parts import plain, table
from irkit.text.phrase import count
from irkit.text.visible import visible
from irkit.times import format_time

if TYPE_CHECKING:
    from irkit.bundle import Bundle
    from irkit.bundle_diff import BundleDiff

_PATTERNS = 20


def bundle_card(bundle: Bundle) -> RenderableType:
    """Return what a bundle is, how each look ended, and each piece of evidence with its size and sum."""
    manifest = bundle.manifest
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("incident", f"INC-{manifest.incident_id}")
    grid.add_row("window", f"{format_time(manifest.window.start)} to {format_time(manifest.window.end)}")
    grid.add_row("collected", f"{format_time(manifest.created_at)}, by irkit {visible(manifest.irkit_version)}")
    if origin := manifest.made_of:
        grid.add_row("made", f"{format_time(origin.made_at)}: {visible(origin.told)} (sha256 {origin.seal[:16]}…)")
    grid.add_row("format", str(manifest.format_version))
    grid.add_row("redacted", count(sum(run.redactions for run in bundle.runs), "placeholder"))
    grid.add_row("seal", f"sha256 {manifest.seal}")
    pieces = table("evidence", "rows", "bytes", "sha256, and what was cut", title="Evidence")
    for item in manifest.evidence:
        note = Text.assemble((item.sha256[:16], "dim"), "  ", plain(item.truncated, "yellow"))
        pieces.add_row(plain(item.id), "" if item.rows is None else f"{item.rows:,}", f"{item.size_bytes:,}", note)
    heading = Text(f"Bundle {visible(bundle.id)}", "bold")
    return Group(heading, Padding(grid, (0, 0, 1, 2)), coverage_table(bundle.runs), pieces)


def diff_view(found: BundleDiff) -> RenderableType:
    """Return the differences between two bundles, area by area, and first what could not be compared."""
    parts: list[RenderableType] = [Text(f"From {visible(found.before)} to {visible(found.after)}", "bold")]
    parts += [plain(f"unknown  {sentence}", "yellow") for sentence in found.unknown]
    for area in dict.fromkeys(change.area for change in found.changes):
        drawn = table("what", "", "before", "after", title=area.capitalize(), whole=1)
        for change in (one for one in found.changes if one.area == area):
            before, after = (_cell(value) for value in (change.before, change.after))
            drawn.add_row(plain(change.subject), plain(change.what), before, after)
        parts.append(drawn)
    if found.new_patterns:
        drawn = table("service", "lines", "pattern", title="Log lines of a new kind")
        for pattern in found.new_patterns[:_PATTERNS]:
            drawn.add_row(plain(pattern.service), f"{pattern.count:,}", plain(pattern.pattern))
        parts.append(drawn)
        if len(found.new_patterns) > _PATTERNS:
            parts.append(Text(f"and {len(found.new_patterns) - _PATTERNS} rarer ones", "dim"))
    if not (found.changes or found.new_patterns):
        parts.append(Text("Nothing that could be compared is different."))
    return Group(*parts)


def _cell(value: object) -> Text:
    if value is None:
        return Text("none", "dim")
    if isinstance(value, datetime):
        return Text(format_time(value))
    return plain(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
