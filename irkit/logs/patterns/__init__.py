"""What the logs say, as patterns: how often, since when, and which are new, exploding or gone since the onset.

A million lines hold some hundred messages. Each line is first reduced to a signature that costs next to nothing (its
bytes without digits); only one line of each signature is masked and compared with others. One configuration for all
logs, and a bound on what is told apart, so that memory does not grow with the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from irkit.logs.formats import clean, parse_level
from irkit.logs.patterns.changes import rates_of
from irkit.logs.patterns.joins import Pattern, joined
from irkit.logs.patterns.masks import pieces_of, unhide_status
from irkit.logs.patterns.signatures import Signatures
from irkit.logs.patterns.split import patterns_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Codes = np.ndarray[tuple[int], np.dtype[np.int64]]
    Seconds = np.ndarray[tuple[int], np.dtype[np.float64]]

PATTERN_COLUMNS = ("pattern", "service", "level", "lines", "first_seen", "last_seen", "change", "since",
                   "before_per_minute", "after_per_minute", "chance", "example")  # fmt: skip
_INNER = re.compile(r"\s|Traceback \(most recent call last\):|\^+$|$")
_LEVEL_RANK = {"critical": 0, "error": 1, "warning": 2}
MINUTE_COLUMNS = ("at", "service", "pattern", "lines")


def group(lines: Sequence[object]) -> tuple[list[str], Codes]:
    """Return the patterns of lines, and for each line the index of its own; -1 for what is blank or no text."""
    import numpy as np

    signatures = Signatures()
    codes = signatures.codes(lines)
    texts, of_signature = name(signatures.examples)
    return texts, np.where(codes >= 0, of_signature[codes], -1) if len(texts) else codes


def count_file(stream: BinaryIO) -> pd.DataFrame:
    """Return the patterns of a log of any size, read as bytes in bounded memory: pattern, lines, example.

    Most frequent first. Nothing is said of times, which are inside such lines in a hundred ways.
    """
    import pandas as pd

    signatures = Signatures()
    counted = signatures.count(stream)
    texts, of_signature = name(signatures.examples)
    lines, examples = [0] * len(texts), [""] * len(texts)
    for code in range(len(counted) - 1, -1, -1):
        lines[of_signature[code]] += int(counted[code])
        examples[of_signature[code]] = signatures.examples[code]
    order = sorted(range(len(texts)), key=lambda index: (-lines[index], index))
    columns = {
        "pattern": pd.Series([texts[index] for index in order], dtype=object),
        "lines": pd.Series([lines[index] for index in order], dtype="int64"),
        "example": pd.Series([examples[index] for index in order], dtype=object),
    }
    return pd.DataFrame(columns)


def name(examples: Sequence[str]) -> tuple[list[str], Codes]:
    """Return the patterns of examples, in order of their first, and for each example the index of its own."""
    import numpy as np

    pieces = [pieces_of(example) for example in examples]
    rows = [tuple(token for token, _ in line) for line in pieces]
    found = patterns_of(rows)
    patterns = [
        tuple((token, spaced) for token, (_, spaced) in zip(found[row], line, strict=True))
        for row, line in zip(rows, pieces, strict=True)
    ]
    wider = joined(patterns)
    texts: dict[str, int] = {}
    indices = np.empty(len(rows), dtype=np.int64)
    known: dict[tuple[str, ...], int] = {}
    for at, (row, pattern) in enumerate(zip(rows, patterns, strict=True)):
        tokens = found[row]
        if tokens not in known:
            known[tokens] = texts.setdefault(_text(wider[pattern]), len(texts))
        indices[at] = known[tokens]
    return list(texts), indices


def _text(pattern: Pattern) -> str:
    text = "".join(f" {token}" if spaced and index else token for index, (token, spaced) in enumerate(pattern))
    return unhide_status(text)


@dataclass(frozen=True, slots=True)
class Patterns:
    """A log as patterns: `patterns` has a row for each pattern of a service, `minutes` its lines a minute.

    `at_s` holds the times of each row's lines (seconds since 1970, sorted).
    """

    patterns: pd.DataFrame
    minutes: pd.DataFrame
    at_s: tuple[Seconds, ...]


def mine(logs: pd.DataFrame, onset: datetime | None = None) -> pd.DataFrame:
    """Return one row for each pattern of a service in evidence of kind `logs`.

    Columns: pattern (`<*>` for what varies), service, level ("" where none can be told), lines, first_seen, last_seen,
    change (new | exploding | gone | steady, or unknown without an onset or with less than half a minute before it),
    since, before_per_minute and after_per_minute (lines a minute on either side of the onset), chance (that a steady
    pattern looks so), example (its first line, to the letter). Sorted by service and first_seen.
    """
    return read(logs, onset).patterns


def read(logs: pd.DataFrame, onset: datetime | None = None) -> Patterns:
    """Return the log's patterns as `mine` does, and the lines a minute of each: at, service, pattern, lines."""
    rows, table, texts = _mined(logs, onset)
    return Patterns(_table([row for row, _ in rows]), _minutes(table, texts), tuple(seconds for _, seconds in rows))


def times_of(logs: pd.DataFrame) -> list[tuple[str, str, Seconds]]:
    """Return text, level and times (seconds since 1970, sorted) of each pattern, in the order of `read`."""
    return [(str(row[0]), str(row[2]), seconds) for row, seconds in _mined(logs, None)[0]]


def _mined(
    logs: pd.DataFrame, onset: datetime | None
) -> tuple[list[tuple[tuple[Any, ...], Seconds]], pd.DataFrame, list[str]]:
    """Return the rows of the patterns with the times of each, the lines by time with their codes, and the texts."""
    import numpy as np
    import pandas as pd

    texts, codes = group(_column(logs, "line"))
    told = logs.get("at")
    if told is None or not pd.api.types.is_datetime64_any_dtype(told):
        told = pd.Series(_column(logs, "at"), dtype=object)
    at = pd.to_datetime(told.reset_index(drop=True), utc=True, errors="coerce").astype("datetime64[us, UTC]")
    services = pd.Series(_services(logs), dtype=object)
    table = pd.DataFrame({"code": codes, "at": at, "service": services, "row": np.arange(len(codes))})
    table = table[table["code"] >= 0].sort_values("at", kind="stable", ignore_index=True)
    grouped = table.groupby(["service", "code"], sort=False)
    lines = _column(logs, "line")
    known_s = _seconds(table["at"])
    timed = known_s[~np.isnan(known_s)]
    start_s, end_s = (float(timed.min()), float(timed.max())) if len(timed) else (0.0, 0.0)
    onset_s = onset.timestamp() if onset is not None else None
    rows: list[tuple[tuple[Any, ...], Seconds]] = []
    places_of = cast("Mapping[tuple[str, int], Codes]", grouped.indices)
    for (service, code), places in places_of.items():
        seconds = known_s[places]
        seconds = seconds[~np.isnan(seconds)]
        example = str(lines[int(table["row"].iloc[places[0]])])
        rates = rates_of(seconds, start_s, onset_s, end_s)
        level = parse_level(clean(example), service)
        first, last = (seconds[0], seconds[-1]) if len(seconds) else (np.nan, np.nan)
        row = (
            texts[code], service, level.level if level else "", len(places), first, last, str(rates.change),
            rates.since_s, rates.before_per_minute, rates.after_per_minute, rates.chance, example,
        )  # fmt: skip
        rows.append((row, seconds))
    # by hand: pandas cannot sort text that is not UTF-8
    rows.sort(key=lambda item: (item[0][1], item[0][4] if len(item[1]) else np.inf, item[0][0]))
    return rows, table, texts


def telling(table: pd.DataFrame, most: int = 12) -> pd.DataFrame:
    """Return the patterns that are new, exploding or gone, most telling first: errors, then the least by chance.

    The inner lines of tracebacks, which say nothing by themselves, are left out.
    """
    changed = table[table["change"].isin(["new", "exploding", "gone"])]
    inner = changed["example"].map(lambda line: not isinstance(line, str) or _INNER.match(line) is not None)
    changed = changed[~inner.astype(bool)]
    rank = changed["level"].map(_LEVEL_RANK.get).fillna(len(_LEVEL_RANK))
    ordered = changed.assign(rank=rank).sort_values(["rank", "chance", "first_seen"], kind="stable")
    return ordered.drop(columns="rank").head(most).reset_index(drop=True)


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    import pandas as pd

    columns = dict(zip(PATTERN_COLUMNS, zip(*rows, strict=True) if rows else [()] * len(PATTERN_COLUMNS), strict=True))
    table = pd.DataFrame({key: pd.Series(list(values), dtype=object) for key, values in columns.items()})
    for key in ("first_seen", "last_seen", "since"):
        stamps = pd.to_datetime(table[key].astype("float64"), unit="s", utc=True)
        table[key] = stamps.astype("datetime64[us, UTC]")
    for key in ("before_per_minute", "after_per_minute", "chance"):
        table[key] = table[key].astype("float64")
    table["lines"] = table["lines"].astype("int64")
    return table


def _minutes(table: pd.DataFrame, texts: list[str]) -> pd.DataFrame:
    import pandas as pd

    timed = table[table["at"].notna()]
    counted = timed.groupby([timed["at"].dt.floor("min"), "service", "code"], sort=True).size()
    counts = counted.rename("lines").reset_index()
    counts["pattern"] = pd.Series([texts[code] for code in counts["code"].tolist()], dtype=object)
    return counts[list(MINUTE_COLUMNS)]


def _seconds(at: pd.Series) -> Seconds:
    import numpy as np

    stamps = at.to_numpy(dtype="datetime64[us]")
    seconds = stamps.astype("int64") / 1e6
    return np.where(np.isnat(stamps), np.nan, seconds)


def _column(logs: pd.DataFrame, column: str) -> list[Any]:
    return logs[column].tolist() if column in logs else [None] * len(logs)


def _services(logs: pd.DataFrame) -> list[str]:
    return [service if isinstance(service, str) else "" for service in _column(logs, "service")]
