"""What the flight recorder kept of the window: the "before" that no look after the fact can give."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from irkit.collect.contract import ColumnType, Gap, Piece, Refused, Table, Unreachable, collector
from irkit.errors import StoreError
from irkit.model import Window
from irkit.recorder.history import BEFORE, HISTORIES, RECORDER, Missed, Sample, decode
from irkit.recorder.ring import Record, read, span
from irkit.settings import RecordingTarget
from irkit.times import format_duration, format_time

HISTORY_GAPS: Mapping[str, ColumnType] = {
    "started_at": "time",
    "ended_at": "time",
    "source": "string",
    "missed": "int",
    "reason": "string",
    "configured": "bool",
}
# more of a source's samples than this are thinned: about 3 hours of 20 containers, a day of health
MAX_SOURCE_BYTES = 6 * 1024 * 1024
# a look is written when it ended, some time after the moment it is of
_SLACK = timedelta(seconds=30)
_SILENCE = timedelta(seconds=60)
_MISSED = b'{"missed"'


@dataclass(slots=True)
class _Tally:
    """What a source has in the window: samples, their bytes, and the spans in which none could be had."""

    samples: int = 0
    size_bytes: int = 0
    gaps: list[dict[str, object]] = field(default_factory=list)
    missing: bool = False


@collector(
    "recorder-history",
    target="recording",
    provides=(*(kind for kind, _ in HISTORIES.values()), *BEFORE.values(), "history_gaps"),
    cost=1,
    command="irkit record; ls {target}",
)
def collect(target: RecordingTarget, window: Window) -> Iterator[Piece]:
    """Shows health, containers, Redis, processes and checks of the database from before the incident on.

    Yields the rows of the samples as they were recorded, oldest first, and one row of `history_gaps` for each span in
    which a source was missed, or the recorder was not running; `source` is then `recorder`, and `missed` the number of
    samples that are not there, where it is known. Of a long window every n-th sample is given, and that is said. Where
    an earlier incident cut the window short, what was before it of containers, processes and Redis is in tables of its
    own, as a slow rise goes on through incidents.

    Raises:
        Unreachable: no recorder has run here, or it kept nothing of the window.
        Refused: what it kept cannot be read.
    """
    folder = Path(target.path)
    hint = "run `irkit record` beside the service, so that the next incident has a before"
    if not folder.is_dir():
        raise Unreachable("no flight recorder has run here", hint=hint)
    damage: list[str] = []
    try:
        kept = span(folder)
        if kept is None:
            raise Unreachable("the flight recorder has kept nothing yet", hint=hint)
        tallies = _survey(folder, window, damage, kept)
        if not any(tallies[source].samples for source in HISTORIES):
            told = f"{format_time(kept.start)} to {format_time(kept.end)}"
            raise Unreachable(f"the flight recorder kept nothing of the window: it has {told}", hint=hint)
        for source, (kind, columns) in HISTORIES.items():
            if tallies[source].samples:
                yield Table(kind, columns, _rows(folder, window, source, _step(tallies[source])))
        yield Table("history_gaps", HISTORY_GAPS, _by_time(tallies))
        if window.usual_start is not None and window.usual_start < window.start:
            yield from _before(folder, Window(window.usual_start, window.start), damage, kept)
    except StoreError as error:
        raise Refused(str(error), hint=error.hint) from None
    yield from map(Gap, _sentences(tallies, window))
    yield from map(Gap, dict.fromkeys(damage))


def _before(folder: Path, earlier: Window, damage: list[str], kept: Window) -> Iterator[Table]:
    tallies = _survey(folder, earlier, damage, kept)
    for source, (kind, columns) in HISTORIES.items():
        if kind in BEFORE and tallies[source].samples:
            yield Table(BEFORE[kind], columns, _rows(folder, earlier, source, _step(tallies[source])))


def _survey(folder: Path, window: Window, damage: list[str], kept: Window) -> Mapping[str, _Tally]:
    """Count what there is before any of it is read, and find the spans that have nothing."""
    tallies = {source: _Tally() for source in (*HISTORIES, RECORDER)}
    before = window.start
    silence = _SILENCE
    for record in read(folder, window, damage):
        tally = tallies.get(record.source)
        if tally is None:
            continue
        started = False
        if record.source == RECORDER:
            said = json.loads(record.body)
            started = said["event"] == "started"
            silence = max(_SILENCE, 3 * timedelta(seconds=said["interval_s"]))
        if record.at - before > silence or (started and before != window.start):
            reason = "the recorder was not running" if started or before == window.start else "nothing was recorded"
            tallies[RECORDER].gaps.append(_gap(RECORDER, before, record.at, None, reason))
        before = max(before, record.at)
        if record.body.startswith(_MISSED):
            _count_missed(tally, record)
        elif record.source != RECORDER:
            tally.samples += 1
            tally.size_bytes += len(record.body)
            tally.missing = False
    if window.end - before > silence:
        reason = "the recorder was not running" if kept.end < window.end else "nothing was recorded"
        tallies[RECORDER].gaps.append(_gap(RECORDER, before, window.end, None, reason))
    return tallies


def _count_missed(tally: _Tally, record: Record) -> None:
    """Add a miss to the span it goes on, or begin one."""
    missed = decode(record.source, record.body)
    assert isinstance(missed, Missed)  # noqa: S101 (asked by the caller)
    last = tally.gaps[-1] if tally.missing else None
    if last and last["reason"] == missed.reason:
        last["ended_at"], last["missed"] = record.at, int(str(last["missed"])) + 1
    else:
        tally.gaps.append(_gap(record.source, record.at, record.at, 1, missed.reason, configured=missed.configured))
    tally.missing = True


def _gap(  # noqa: PLR0913 (the columns of a row)
    source: str, start: datetime, end: datetime, missed: int | None, reason: str, *, configured: bool = True
) -> dict[str, object]:
    return {
        "started_at": start,
        "ended_at": end,
        "source": source,
        "missed": missed,
        "reason": reason,
        "configured": configured,
    }


def _rows(folder: Path, window: Window, source: str, step: int) -> Iterator[Mapping[str, object]]:
    wider = Window(window.start, window.end + _SLACK)
    number = 0
    for record in read(folder, wider, [], source=source):
        if record.body.startswith(_MISSED):
            continue
        number += 1
        if (number - 1) % step:
            continue
        found = decode(source, record.body)
        if isinstance(found, Sample):
            for row in found.rows:
                at = row.get("at")
                if isinstance(at, datetime) and window.start <= at < window.end:
                    yield row


def _step(tally: _Tally) -> int:
    return -(-tally.size_bytes // MAX_SOURCE_BYTES)


def _by_time(tallies: Mapping[str, _Tally]) -> list[dict[str, object]]:
    gaps = [gap for tally in tallies.values() for gap in tally.gaps]
    return sorted(gaps, key=lambda gap: str(gap["started_at"]))


def _clock(gap: Mapping[str, object]) -> str:
    """Return when a gap ended: what was missed by then may have been seen again since."""
    ended = gap["ended_at"]
    return f"{ended:%H:%M:%S} UTC" if isinstance(ended, datetime) else str(ended)


def _sentences(tallies: Mapping[str, _Tally], window: Window) -> Iterator[str]:
    """Say what a reader of the histories must know that they do not show themselves."""
    for source, tally in tallies.items():
        counted = [gap for gap in tally.gaps if gap["configured"]]
        if source == RECORDER and counted:
            lost = sum((_length(gap) for gap in counted), timedelta())
            yield f"the recorder kept nothing for {format_duration(lost)} of {format_duration(window.duration)}"
        elif counted:
            missed = sum(int(str(gap["missed"])) for gap in counted)
            looks, last = missed + tally.samples, counted[-1]
            yield f"{source} was missed {missed} times of {looks}, last at {_clock(last)}: {last['reason']}"
        if _step(tally) > 1:
            yield f"of {source}, one sample in {_step(tally)} is given"


def _length(gap: Mapping[str, object]) -> timedelta:
    start, end = gap["started_at"], gap["ended_at"]
    return end - start if isinstance(start, datetime) and isinstance(end, datetime) else timedelta()
