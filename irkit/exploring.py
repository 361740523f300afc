"""The same objects to explore in JupyterLab: tables that sort and search, the log at the onset, the strip's log lines.

By itables, offline: what it needs stands in the cell's output. A published page shows the static table in its place.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from markupsafe import Markup, escape

from irkit import conclusions
from irkit.bundle import Bundle
from irkit.charts.strip import BarLane, LineLane
from irkit.charts.svg import data_uri
from irkit.errors import NotFoundError
from irkit.report.html import STATIC_KIND, html
from irkit.report.parts import Shown
from irkit.text.visible import cut, visible
from irkit.times import parse_time

if TYPE_CHECKING:
    import pandas as pd

    from irkit.charts.strip import IncidentStrip
    from irkit.report import Report

MAX_ROWS = 20_000
ROWS_A_PAGE = 25
_STATIC_ROWS = 20
_CELL_CHARS = 2_000
_LINES_A_POINT = 100
# where in the log the onset stands on its page: what led to it is above
_ABOVE = 5


@dataclass(frozen=True, slots=True, repr=False)
class Explorable:
    """Something to explore: HTML with a script for JupyterLab, HTML without one for a page, a sentence elsewhere."""

    live: str
    static: str
    said: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002 (IPython's)
        return {"text/html": self.live, STATIC_KIND: self.static, "text/plain": self.said}

    def __repr__(self) -> str:
        return self.said


def explore(what: Bundle | Shown, kind: str = "", *, at: str = "") -> Explorable:
    """Show a table so that a person can sort, filter and search it: of evidence by its kind, or those of a section.

    Without a kind all evidence is listed. A table with times opens where the breakage begins by its symptoms, or `at` a
    time (UTC), such as "19:30:52". At most 20 000 rows around it are taken along.

    Raises:
        NotFoundError: the bundle holds no such table.
        InputError: `at` is no time.
    """
    if not isinstance(what, Bundle):
        return _of_section(what)
    if not kind:
        return _evidence(what)
    table = what.load(kind)
    if not hasattr(table, "columns"):
        raise NotFoundError(f"{kind} is a document, not a table", hint=f'evidence.load("{kind}") shows it')
    when = parse_time(at, what.window.end) if at else _onset(what)
    place = _place(table, when)
    if len(table) > MAX_ROWS:
        first = min(max(place - MAX_ROWS // 2, 0), len(table) - MAX_ROWS)
        shown, place = table.iloc[first : first + MAX_ROWS], place - first
    else:
        shown = table
    said = f"{kind}: {len(table):,} rows"
    said += f", {len(shown):,} of them here" if len(shown) < len(table) else ""
    said += f", opened at {when:%Y-%m-%d %H:%M:%S} UTC" if when and "at" in table.columns else ""
    return _table(_texts(shown[_in_order(shown)]), said, max(place - _ABOVE, 0))


def explore_strip(report: Report, evidence: Bundle) -> Explorable:
    """Show the incident strip with every interval of it leading to the log lines of that interval.

    A point is the label of a radio button that shows what follows it: no script, no address that JupyterLab changes.

    Raises:
        NotFoundError: there is no strip, or no log was collected.
    """
    strip: IncidentStrip | None = getattr(report.impact, "strip", None)
    if strip is None or not evidence.has("logs"):
        missing = "no logs" if strip else "nothing to draw a strip of"
        raise NotFoundError(f"bundle {evidence.id} holds {missing}", hint="collect evidence: irkit collect")
    logs = evidence.load("logs")
    step = timedelta(
        seconds=max((lane.step_s for lane in strip.lanes if isinstance(lane, BarLane | LineLane)), default=5)
    )
    links, lines, group = [], [], uuid4().hex[:8]  # the same strip may be shown twice in one notebook
    begun = strip.start
    while begun < strip.end:
        within = logs[(logs["at"] >= begun) & (logs["at"] < begun + step)]
        if len(within):
            name = f"irkit-{group}-{begun:%H%M%S}"
            links.append(_point(strip, begun, step, name, len(within)))
            lines.append(_lines(within, begun, name, group))
        begun += step
    said = "Click a point of the strip: its log lines open below."
    picture = Markup('<img src="{}" alt="{}">').format(data_uri(strip.svg()), strip.alt)
    body = Markup('<div class="irkit-strip">{}<p>{}</p><div class="points">{}{}</div>{}</div>').format(
        _STRIP_STYLE, said, picture, Markup("").join(links), Markup("").join(lines)
    )
    return Explorable(str(body), html(report.impact), f"{strip.alt} {said}")


_TABLE_STYLE = Markup(
    "<style>table.irkit-table td{white-space:pre-wrap;vertical-align:top}"
    "table.irkit-table td:first-child{white-space:nowrap}table.irkit-table td.irkit-line{min-width:34em}"
    "table.irkit-table caption{text-align:left}table.irkit-table thead input{width:100%;min-width:5em}</style>"
)
_STRIP_STYLE = Markup(
    "<style>.irkit-strip .points{position:relative;max-width:960px}.irkit-strip .points img{width:100%;display:block}"
    ".irkit-strip label{position:absolute;top:0;bottom:0;cursor:pointer}"
    ".irkit-strip label:hover{background:rgba(0,90,200,.2)}"
    ".irkit-strip input{position:absolute;opacity:0}"
    ".irkit-strip section{display:none}.irkit-strip input:checked+section{display:block}"
    ".irkit-strip pre{max-height:24em;overflow:auto;white-space:pre-wrap}</style>"
)


def _point(strip: IncidentStrip, begun: datetime, step: timedelta, name: str, count: int) -> Markup:
    left, right = (100 * strip.share(at) for at in (begun, min(begun + step, strip.end)))
    label = f"{begun:%H:%M:%S}, {count} log lines"
    return Markup('<label for="{}" title="{}" style="left:{:.3f}%;width:{:.3f}%"></label>').format(
        name, label, left, right - left
    )


def _lines(within: pd.DataFrame, begun: datetime, name: str, group: str) -> Markup:
    rows = [
        f"{row.service}: {visible(cut(str(row.line), _CELL_CHARS))}" for row in within.head(_LINES_A_POINT).itertuples()
    ]
    if len(within) > _LINES_A_POINT:
        rows.append(f'… {len(within) - _LINES_A_POINT} more: explore(evidence, "logs", at="{begun:%H:%M:%S}")')
    heading = f"{begun:%H:%M:%S} UTC, {len(within)} log lines"
    picked = Markup('<input type="radio" id="{}" name="{}" aria-label="{}">').format(name, group, heading)
    text = Markup("\n").join(map(escape, rows))
    return picked + Markup('<section><h4>{}</h4><pre tabindex="0">{}</pre></section>').format(heading, text)


def _of_section(section: Shown) -> Explorable:
    """Read the tables back from the section's HTML, which is what a person sees of it."""
    import pandas as pd
    from bs4 import BeautifulSoup

    page = html(section)
    live: list[str] = []
    said: list[str] = []
    for table in BeautifulSoup(page, "html.parser").find_all("table"):
        head, *rows = [
            [" ".join(cell.get_text(" ").split()) for cell in row.find_all(["th", "td"])]
            for row in table.find_all("tr")
        ]
        # a row of one cell is a title between others, which sorting would tear off
        frame = pd.DataFrame([row for row in rows if len(row) == len(head)], columns=pd.Index(head))
        caption = " ".join(table.caption.get_text(" ").split()) if table.caption else section.heading
        shown = _table(frame, caption, 0, bundled=not live)
        live.append(shown.live)
        said.append(shown.said)
    if not live:
        raise NotFoundError(
            f"{section.heading or 'this section'} holds no table", hint="it shows itself without explore"
        )
    return Explorable("".join(live), page, "\n".join(said))


def _evidence(evidence: Bundle) -> Explorable:
    import pandas as pd

    rows = [
        (one.kind, one.form, one.rows, one.size_bytes, one.subject, one.command) for one in evidence.manifest.evidence
    ]
    names = ("kind", "form", "rows", "size_bytes", "subject", "command")
    said = f'Evidence bundle {evidence.id}; explore(evidence, "logs") opens one of its tables'
    return _table(_texts(pd.DataFrame(rows, columns=pd.Index(names))), said, 0)


def _table(frame: pd.DataFrame, said: str, start: int, *, bundled: bool = True) -> Explorable:
    from itables import options, to_html_datatable
    from itables.javascript import generate_init_offline_itables_html

    chosen: dict[str, Any] = {
        "caption": str(escape(visible(said))),
        "connected": False,
        "allow_html": False,
        **dict.fromkeys(("maxBytes", "maxRows", "maxColumns"), 0),
        "showIndex": False,
        "column_filters": "header",
        "pageLength": ROWS_A_PAGE,
        "displayStart": start,
        "order": [],
        "columnDefs": [
            {"targets": [at], "className": "dt-left irkit-line"}
            if name == "line"
            else {"targets": [at], "className": "dt-left"}
            for at, name in enumerate(frame.columns)
        ],
        "classes": "display compact irkit-table",
        "style": "table-layout:auto;width:100%;margin:0;caption-side:top",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it knows not all of DataTables' own options by name
        made = to_html_datatable(frame.reset_index(drop=True), **chosen)
    bundle = generate_init_offline_itables_html(options.dt_bundle) if bundled else ""
    return Explorable(f"{bundle}{_TABLE_STYLE}{made}", _static(frame, said, start), said)


def _static(frame: pd.DataFrame, said: str, start: int) -> str:
    part = frame.iloc[start : start + _STATIC_ROWS]
    note = f"; rows {start + 1} to {start + len(part)}" if len(part) < len(frame) else ""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(visible(str(name))) for name in frame.columns)
    rows = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cut(str(cell), 400)) for cell in row))
        for row in part.itertuples(index=False)
    )
    table = '<section class="irkit"><div class="scroll" role="region" aria-label="Table: {}" tabindex="0">'
    table += "<table><caption>{}{}</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></section>"
    return str(Markup(table).format(said, said, note, head, rows))  # noqa: S704 (a literal; what is put in is escaped)


def _in_order(table: pd.DataFrame) -> list[str]:
    """Return a table's columns, of a log's lines those first that a person reads."""
    names = [str(name) for name in table.columns]
    first = [name for name in ("at", "service", "line") if name in names]
    return [*first, *(name for name in names if name not in first)] if "line" in first else names


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with times and texts as they can be shown, numbers as they are."""
    made = table.copy()
    for name in made.columns:
        if str(made[name].dtype).startswith("datetime"):
            made[name] = made[name].dt.strftime("%Y-%m-%d %H:%M:%S.%f").str[:-3].fillna("")
        elif made[name].dtype.kind not in "biuf":
            made[name] = made[name].map(_text)
    return made


def _text(value: Any) -> str:  # noqa: ANN401 (whatever a table holds)
    return "" if value is None or value != value else visible(cut(str(value), _CELL_CHARS))  # noqa: PLR0124 (NaN)


def _onset(evidence: Bundle) -> datetime | None:
    return conclusions.diagnosis(evidence).since


def _place(table: pd.DataFrame, when: datetime | None) -> int:
    """Return the row that a time stands in; times that go back and forth are taken as they come."""
    if when is None or "at" not in table.columns or not len(table):
        return 0
    later = (table["at"] >= when.astimezone(UTC)).to_numpy()
    return int(later.argmax()) if later.any() else len(table) - 1
