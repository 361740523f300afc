from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.logs.patterns import MINUTE_COLUMNS, PATTERN_COLUMNS, count_file, group, mine, read, telling
from tests.support import syslog_lines

OUR_OWN = Path(__file__).parents[2] / "data" / "log_patterns.tsv"
START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def log(*rows: tuple[int, str, str]) -> pd.DataFrame:
    columns = {
        "at": pd.Series([START + timedelta(seconds=second) for second, _, _ in rows], dtype="datetime64[us, UTC]"),
        "service": pd.Series([service for _, service, _ in rows], dtype=object),
        "line": pd.Series([line for _, _, line in rows], dtype=object),
    }
    return pd.DataFrame(columns)


def grouping_accuracy(found: Sequence[Hashable], true: Sequence[Hashable]) -> float:
    """The share of lines whose group holds exactly the lines it should (Zhu et al., 2019)."""
    groups: list[set[frozenset[int]]] = []
    for labels in (found, true):
        places: dict[Hashable, set[int]] = defaultdict(set)
        for place, label in enumerate(labels):
            places[label].add(place)
        groups.append({frozenset(each) for each in places.values()})
    return sum(len(each) for each in groups[0] & groups[1]) / len(true)


def test_our_own_labelled_lines_are_grouped_as_they_should_be() -> None:
    rows = [line.split("\t", 1) for line in OUR_OWN.read_text(encoding="utf-8").splitlines()]
    _, codes = group([line for _, line in rows])
    assert grouping_accuracy(codes.tolist(), [label for label, _ in rows]) == 1.0


def test_daemons_lines_that_name_people_hosts_and_queues_are_grouped_by_message() -> None:
    labels, lines = zip(*syslog_lines.lines(seed=4), strict=True)
    assert grouping_accuracy(group(lines)[1].tolist(), labels) > 0.85


def test_a_row_says_what_how_often_when_and_one_line_to_the_letter() -> None:
    logs = log((0, "api", "ERROR job 7 failed"), (5, "api", "ERROR job 812 failed"), (9, "db", "ERROR job 1 failed"))
    table = mine(logs)
    assert tuple(table.columns) == PATTERN_COLUMNS
    assert table[["pattern", "service", "level", "lines", "change"]].to_numpy().tolist() == [
        ["ERROR job <*> failed", "api", "error", 2, "unknown"],
        ["ERROR job <*> failed", "db", "error", 1, "unknown"],
    ]
    assert table["first_seen"].tolist() == [START, START + timedelta(seconds=9)]
    assert table["last_seen"].tolist()[0] == START + timedelta(seconds=5)
    assert table["example"].tolist()[0] == "ERROR job 7 failed"


def test_since_the_onset_patterns_are_new_exploding_gone_or_steady() -> None:
    steady = [(second, "api", f"served {second}") for second in range(0, 900, 5)]
    before = [(second, "api", f"cache filled in {second} ms") for second in range(0, 600, 10)]
    rising = [(second, "api", f"pool busy, {second} waiting") for second in (*range(0, 600, 60), *range(600, 900, 2))]
    new = [(second, "api", f"pool timed out after {second} ms") for second in range(610, 900, 3)]
    table = mine(log(*steady, *before, *rising, *new), START + timedelta(seconds=600)).set_index("pattern")
    assert table["change"].to_dict() == {
        "served <*>": "steady",
        "cache filled in <*>": "gone",
        "pool busy, <*> waiting": "exploding",
        "pool timed out after <*>": "new",
    }
    assert table.loc["pool timed out after <*>", "since"] == START + timedelta(seconds=610)
    assert table.loc["cache filled in <*>", "since"] == START + timedelta(seconds=590)


def test_a_status_that_was_never_seen_is_a_new_pattern() -> None:
    lines = [
        (second, "api", f'10.0.0.{second % 9}:1 - "GET /x/{second} HTTP/1.1" {503 if second > 300 else 200}')
        for second in range(600)
    ]
    table = mine(log(*lines), START + timedelta(seconds=301))
    assert {(row.pattern[-3:], row.change) for row in table.itertuples()} == {("200", "gone"), ("503", "new")}


def test_lines_a_minute_add_up() -> None:
    lines = [(second, "api", f"served {second}") for second in range(0, 300, 2)]
    minutes = read(log(*lines)).minutes
    assert tuple(minutes.columns) == MINUTE_COLUMNS
    assert minutes["lines"].tolist() == [30] * 5
    assert minutes["at"].tolist()[1] == START + timedelta(minutes=1)


def test_no_lines_make_a_table_of_the_same_shape() -> None:
    empty, full = read(log()), read(log((0, "api", "x")))
    assert empty.patterns.dtypes.to_dict() == full.patterns.dtypes.to_dict()
    assert empty.minutes.empty


def test_lines_without_times_are_counted() -> None:
    table = mine(pd.DataFrame({"line": ["a 1", "a 2", None]}), START)
    assert table[["lines", "change"]].to_numpy().tolist() == [[2, "unknown"]]
    assert table["first_seen"].isna().all()


def test_hostile_lines_are_patterns_like_others() -> None:
    lines = ["\udcff\udc80 1", "\x00\x01", "\x1b]0;title\x07 x", "y" * 1_000_000, "<*> <*>", "a\nb", "\u202eabc"]
    table = mine(log(*((index, "api", line) for index, line in enumerate(lines))))
    assert table["lines"].sum() == len(lines)
    assert "\udcff\udc80 1" in table["example"].tolist()


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(st.characters(codec=None), max_size=40)), max_size=20))
def test_whatever_the_lines_each_has_one_pattern_or_is_blank(lines: list[str | None]) -> None:
    texts, codes = group(lines)
    assert len(codes) == len(lines)
    for line, code in zip(lines, codes.tolist(), strict=True):
        assert (code >= 0) == bool(line and line.strip())
        assert code < len(texts)


def test_what_changed_is_told_errors_first_and_without_the_inner_lines_of_tracebacks() -> None:
    lines = [(second, "api", f"served {second}") for second in range(0, 900, 5)]
    for second in range(600, 900, 7):
        lines += [
            (second, "api", f"retrying in {second} ms"),
            (second, "api", f"ERROR lost {second} rows"),
            (second, "api", "Traceback (most recent call last):"),
            (second, "api", f'  File "main.py", line {second}, in get'),
            (second, "api", "KeyError: 'rows'"),
        ]
    table = telling(mine(log(*lines), START + timedelta(seconds=600)))
    assert table["pattern"].tolist() == ["ERROR lost <*> rows", "KeyError: 'rows'", "retrying in <*>"]
    assert telling(mine(log())).empty
    assert len(telling(mine(log(*lines), START + timedelta(seconds=600)), most=1)) == 1


def test_times_of_each_pattern_are_those_of_its_lines() -> None:
    found = read(log((7, "api", "a 1"), (3, "api", "b"), (1, "api", "a 2")))
    assert found.patterns["pattern"].tolist() == ["a <*>", "b"]
    assert [times.tolist() for times in found.at_s] == [
        [(START + timedelta(seconds=second)).timestamp() for second in seconds] for seconds in ((1, 7), (3,))
    ]


def test_a_file_of_any_size_is_counted_as_its_lines_are() -> None:
    lines = [line.split("\t", 1)[1] for line in OUR_OWN.read_text(encoding="utf-8").splitlines()] * 20
    table = count_file(BytesIO("\n".join(lines).encode()))
    texts, codes = group(lines)
    assert dict(zip(table["pattern"], table["lines"], strict=True)) == Counter(texts[code] for code in codes.tolist())
    assert table["lines"].is_monotonic_decreasing
    assert set(table["example"]) <= set(lines)


def test_a_file_of_bytes_that_are_no_text_or_one_endless_line_is_counted_too() -> None:
    table = count_file(BytesIO(b"\xff\xfe 1\n\n  \n12\n" + b"x" * 5_000_000 + b"\nlast 1\nlast 2"))
    assert table.set_index("pattern")["lines"].to_dict()["last <*>"] == 2
    assert table["lines"].sum() == 5
    assert table["example"].map(len).max() <= 4096
    assert count_file(BytesIO(b"")).empty
