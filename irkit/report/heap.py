"""What the heap snapshots filed with an incident say: suspects, their paths, what holds most, what grew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from irkit.charts import Cell, Part, RetainingPath, StackedBar, StackedBars, Step, Treemap
from irkit.diagnose.signs import STOPPED
from irkit.growth.heap_places import places
from irkit.model import VerdictState
from irkit.path_graph import PathGraph
from irkit.report.material import Material
from irkit.report.parts import Claim, Gap, Shown
from irkit.text.phrase import count, grouped, percent, seconds, size
from irkit.text.visible import cut

KIND = "heap"
TYPE = "memory-leak"
GROWTH, KILLS = "gradual-memory-increase", "oom-kills"
_SLOW_COLLECTIONS = "slow-garbage-collection"
# "found" and "unknown" are the words for symptoms; this section tells of a collector of garbage and of its counters
_PAUSES = {
    VerdictState.FOUND: "Slow.",
    VerdictState.CLEAR: "Not slow.",
    VerdictState.UNKNOWN: "Whether it is slow cannot be told.",
}
# the name of a process's container, beside what was filed of it
_IN = "in"
_MOST_SUSPECTS = 3
_MOST_STEPS = 20
_MOST_GROWN = 8
_MOST_ROWS = 8
_LEAST_SHARE = 0.01
_LEAST_GROWN = 0.01
_NO_SNAPSHOT = (
    "no snapshot of a heap was filed with this incident: which objects keep the memory, what they hang on and what of "
    "them grew is not known"
)
_NO_SECOND = "One snapshot shows what is large; only a second one, minutes later, shows what grows."
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HeapHead:
    """Whose heap it is, when it was looked at, and how much of the process's memory its objects explain."""

    who: str
    taken: tuple[datetime, ...]
    objects: int
    size_bytes: int
    explained: str


@dataclass(frozen=True, slots=True, repr=False)
class LeakSuspects(Shown):
    """The suspects of each process in sentences, the likeliest first, with the paths to them; few, or none."""

    heading: ClassVar[str] = "Leak suspects"
    anchor: ClassVar[str] = "leak-suspects"
    processes: tuple[tuple[HeapHead, tuple[Claim, ...], PathGraph | None, str], ...]
    evidence: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not self.processes


@dataclass(frozen=True, slots=True, repr=False)
class TopRetained(Shown):
    """What holds most, by the names that lead to it, and the types that are most of the heap."""

    heading: ClassVar[str] = "What holds the memory"
    anchor: ClassVar[str] = "top-retained"
    who: str
    owners: tuple[tuple[str, str, int, int, float], ...]
    types: tuple[tuple[str, int, int, float], ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class HeapMap(Shown):
    """The dominator tree as a treemap."""

    heading: ClassVar[str] = "The heap as a map"
    anchor: ClassVar[str] = "heap-map"
    who: str
    chart: Treemap
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class HeapGrowth(Shown):
    """What grew between the first and the last snapshot, by owner and by type."""

    heading: ClassVar[str] = "Growth between the snapshots"
    anchor: ClassVar[str] = "heap-growth"
    who: str
    between: tuple[datetime, datetime]
    chart: StackedBars | None
    types: tuple[tuple[str, int, int], ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Collections(Shown):
    """Garbage collections: what the evidence says of their pauses, and each generation's figures where an agent ran."""

    heading: ClassVar[str] = "Garbage collection"
    anchor: ClassVar[str] = "collections"
    claims: tuple[Claim, ...]
    rows: tuple[tuple[str, int, int, int, str, str], ...]
    since: str
    evidence: tuple[str, ...]


def suspects(of: Material) -> LeakSuspects | Gap:
    """Return the suspects of each process of which a snapshot was filed."""
    told = _processes(of)
    if not told:
        return _gap(of, LeakSuspects.heading)
    cited = of.view.ids(KIND)
    made = []
    for each in told:
        claims = tuple(Claim(f"{one['sentence']}.", cited) for one in each["suspects"][:_MOST_SUSPECTS])
        note = _NO_SECOND if len(each["snapshots"]) == 1 else ""
        made.append((_head(each), claims, paths(each["suspects"], _whole(each)), note))
    return LeakSuspects(tuple(made), cited)


def first_suspect(of: Material) -> Claim | None:
    """Return the likeliest suspect of all processes in one sentence, None where there is none."""
    found = next(((each, one) for each in _processes(of) for one in each["suspects"]), None)
    if found is None:
        return None
    process, suspect = found
    place = str(process.get(_IN) or "")
    elsewhere = f", in {place}, which is not what grows" if place in _steady(of) else ""
    return Claim(f"{suspect['sentence']}{elsewhere}.", of.view.ids(KIND))


def held(of: Material) -> LeakSuspects | Gap:
    """Return the suspects for the postmortem: of an incident that is no leak their absence is nothing to tell."""
    leaks = {of.incident.type, *(item.incident_type for item in of.diagnosis.ranking[:1] if item.score > 0)}
    return suspects(of) if _processes(of) or TYPE in leaks else LeakSuspects((), ())


def retained(of: Material) -> TopRetained | Gap:
    """Return the largest owners and types of the process that is suspected most."""
    told = _processes(of)
    if not told:
        return _gap(of, TopRetained.heading)
    first, whole = told[0], _whole(told[0])
    suspected = {str(one["owner"]) for one in first["suspects"]}
    rows = first["owners"]
    # what only gives names to the next one, or lies within it, would be said twice
    shown = [row for row in rows if not any(_leads_to(row, other) for other in rows)]
    large = [row for row in shown if str(row["owner"]) in suspected or row["retained_bytes"] >= _LEAST_SHARE * whole]
    owners = tuple(
        (
            str(row["owner"]),
            str(row["type"]),
            int(row["objects"]),
            int(row["retained_bytes"]),
            row["retained_bytes"] / whole,
        )
        for row in sorted(large or shown[:1], key=lambda row: str(row["owner"]) not in suspected)[:_MOST_ROWS]
    )
    types = tuple(
        (str(row["type"]), int(row["objects"]), int(row["size_bytes"]), row["size_bytes"] / whole)
        for row in first["types"][:_MOST_ROWS]
        if row["size_bytes"] >= _LEAST_SHARE * whole
    )
    return TopRetained(_who(first), owners, types, of.view.ids(KIND))


def heap_map(of: Material) -> HeapMap | Gap:
    """Return the dominator tree of the process that is suspected most, drawn."""
    told = _processes(of)
    if not told:
        return _gap(of, HeapMap.heading)
    first = told[0]
    suspected = frozenset(str(one["owner"]) for one in first["suspects"])
    cells = tuple(_cell(one, suspected) for one in first["tree"]["children"])
    chart = Treemap(cells, float(first["tree"]["size_bytes"]), rest="all else, in small parts")
    return HeapMap(_who(first), chart, of.view.ids(KIND))


def growth(of: Material) -> HeapGrowth | Gap:
    """Return what grew between the first and the last snapshot of the process that is suspected most."""
    told = _processes(of)
    if not told:
        return _gap(of, HeapGrowth.heading)
    first = told[0]
    times = _times(first)
    if len(times) < 2:  # noqa: PLR2004 (growth is between two)
        return Gap(HeapGrowth.heading, _NO_SECOND, _again(of))
    grown = [row for row in first["growth"] if not any(_leads_to(row, other) for other in first["growth"])]
    rows = [row for row in grown if row["growth_bytes"] >= _LEAST_GROWN * grown[0]["growth_bytes"]][:_MOST_GROWN]
    bars = tuple(_bar(row) for row in rows)
    scale = max((float(row["after_bytes"]) for row in rows), default=0.0)
    kinds = [
        row for row in first["type_growth"] if row["size_bytes"] >= _LEAST_GROWN * first["type_growth"][0]["size_bytes"]
    ]
    types = tuple((str(row["type"]), int(row["objects"]), int(row["size_bytes"])) for row in kinds[:_MOST_ROWS])
    chart = StackedBars(bars, scale) if bars else None
    return HeapGrowth(_who(first), (times[0], times[-1]), chart, types, of.view.ids(KIND))


def collections(of: Material) -> Collections | Gap:
    """Return what is known of pauses by garbage collection: by the symptom, and by the agent of the process."""
    found = [item for item in of.diagnosis.findings if item.symptom == _SLOW_COLLECTIONS]
    claims = tuple(Claim(f"{_PAUSES[item.verdict.state]} {item.verdict.sentence}", item.evidence) for item in found)
    told = _processes(of)
    rows = tuple(_collected(row) for row in (told[0]["collections"] if told else ()))
    if not claims and not rows:
        return _gap(of, Collections.heading)
    since = ""
    if rows:
        times = _times(told[0])
        since = f"from {times[0]:%H:%M:%S} to {times[-1]:%H:%M:%S} UTC" if len(times) > 1 else "since the process began"
    return Collections(claims, rows, since, of.view.ids(KIND))


def paths(suspects: Sequence[Row], heap_bytes: float) -> PathGraph | None:
    """Return what is drawn of the first suspects, as `irkit.memory.heap_findings` tells of them; None of none."""
    found = tuple(_path(one, heap_bytes) for one in suspects[:_MOST_SUSPECTS] if one["path"])
    return PathGraph(found) if found else None


def _processes(of: Material) -> list[Row]:
    """Return what is told of each process, with the name of its container where known; first of the one that grows."""
    told = of.document(KIND)
    listed = told.get("processes") if told else None
    rows = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    at = places(rows, of.view.records("containers"))
    placed = [{**one, _IN: name} for one, name in zip(rows, at, strict=True)]
    grows = _growing(of)
    return sorted(placed, key=lambda one: not grows or one[_IN] != grows)


def _growing(of: Material) -> str:
    """Return the name of the container whose memory grows, "" where none is known to."""
    grown = (one.verdict.numbers for one in of.diagnosis.findings if one.symptom == GROWTH)
    return next((str(numbers["name"]) for numbers in grown if numbers.get("name")), "")


def _steady(of: Material) -> tuple[str, ...]:
    """Return the containers that surely do not grow while another does: what moves oddly or was killed is none."""
    found = [one.verdict for one in of.diagnosis.findings if one.symptom == GROWTH]
    listed = next((verdict.numbers.get("steady") for verdict in found if verdict.state is VerdictState.FOUND), None)
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def _gap(of: Material, title: str) -> Gap:
    """Return the gap in place of a section on the heap, told once: by the suspects, which come before all others."""
    run = of.bundle.run_for(KIND)
    failed = run is not None and run.outcome in {"failed", "timed_out"}
    reason = of.view.why_missing(KIND)[0] if failed else _NO_SNAPSHOT
    return Gap(title, f"{reason[:1].upper()}{reason[1:]}.", _again(of), told=title != LeakSuspects.heading)


def _again(of: Material) -> str:
    """Say how a snapshot is taken, of the container that grows where one is known to."""
    name = _growing(of) or "NAME"
    typed = f"--container {name} --incident {of.incident.id}"
    unasked = f"of a process without IRKIT_MEMORY_AGENT=1 `irkit memory attach {typed}`"
    if any(row.get("name") == name and row.get("state") in STOPPED for row in of.view.records("containers")):
        # there is nothing left to look into, and nothing that a restart would destroy
        return f"Its process has ended. Once it runs again and grows: `irkit memory snapshot {typed}`; {unasked}"
    return f"Before any restart: `irkit memory snapshot {typed}`; {unasked}"


def _who(told: Row) -> str:
    process = told["process"]
    place = f" in {told[_IN]}" if told.get(_IN) else ""
    return f"{process.get('program') or 'process'}{place} (pid {process.get('pid')}, Python {process.get('python')})"


def _times(told: Row) -> list[datetime]:
    return [datetime.fromisoformat(str(one["taken_at"])) for one in told["snapshots"] if one.get("taken_at")]


def _whole(told: Row) -> float:
    return max(float(told["snapshots"][-1]["size_bytes"]), 1.0)


def _head(told: Row) -> HeapHead:
    last, share = told["snapshots"][-1], told.get("explained")
    rest = "the rest is native memory, fragmentation and the interpreter itself"
    explained = (
        f"{percent(min(share, 1.0))} of the process’s memory; {rest}"
        if share
        else "which part of its memory is unknown"
    )
    return HeapHead(_who(told), tuple(_times(told)), int(last["objects"]), int(last["size_bytes"]), explained)


def _path(suspect: Row, heap_bytes: float) -> RetainingPath:
    steps = tuple(
        Step(cut(str(one["name"])), cut(str(one["type"])), float(one["retained_bytes"]), int(one["times"]))
        for one in suspect["path"][-_MOST_STEPS:]
    )
    kind = f"{cut(str(suspect['kept_type']))} object"
    many = count(int(suspect["kept"]), kind) if suspect["kept"] else "its own content"
    return RetainingPath(steps, many, heap_bytes)


def _cell(branch: Row, suspected: frozenset[str], above: str = "") -> Cell:
    name = str(branch["name"])
    parts = tuple(_cell(one, suspected, name) for one in branch["children"])
    # within what it belongs to, a name goes on where that one's ends
    shown = name.removeprefix(above) if above and name.startswith((f"{above}.", f"{above}: ", f"{above}[")) else name
    many = f"{grouped(int(branch['objects']))} × " if int(branch["objects"]) > 1 else ""
    return Cell(f"{many}{shown}", float(branch["size_bytes"]), parts, suspected=name in suspected)


def _leads_to(row: Row, other: Row) -> bool:
    """Say whether an owner's name only leads to another's, which has most of what it holds."""
    mine, theirs = str(row["owner"]), str(other["owner"])
    column = "retained_bytes" if "retained_bytes" in row else "growth_bytes"
    longer = theirs.startswith((f"{mine}.", f"{mine}:", f"{mine}["))
    return longer and float(other[column]) >= 0.7 * float(row[column])


def _bar(row: Row) -> StackedBar:
    before, after = float(row["before_bytes"]), float(row["after_bytes"])
    said = f"+{size(after - before)}, from {size(before)} to {size(after)}"
    return StackedBar(str(row["owner"]), (Part("before", before, "calm"), Part("grown", after - before, "alarm")), said)


def _collected(row: Row) -> tuple[str, int, int, int, str, str]:
    watched = int(row.get("watched") or 0)
    total = seconds(row["total_ns"] / 1e9) if watched else "—"
    longest = seconds(row["longest_ns"] / 1e9) if row.get("longest_ns") else "—"
    figures = (int(row["collections"]), int(row["collected"]), int(row["uncollectable"]))
    return (f"generation {row['generation']}", *figures, total, longest)
