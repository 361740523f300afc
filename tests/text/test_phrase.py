from datetime import UTC, datetime, timedelta

import pytest

from irkit.estimate import Interval
from irkit.text import phrase


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0, "0.0 s"), (0.0042, "4.2 ms"), (0.25, "250 ms"), (3.44, "3.4 s"), (9.96, "10 s"), (75.2, "75 s")],
)
def test_seconds(value: float, told: str) -> None:
    assert phrase.seconds(value) == told


@pytest.mark.parametrize(
    ("share", "told"),
    [(0, "0 %"), (0.0002, "under 0.1 %"), (0.012, "1.2 %"), (0.5, "50 %"), (0.999, "over 99 %"), (1, "100 %")],
)
def test_percent_never_rounds_to_nothing_or_all(share: float, told: str) -> None:
    assert phrase.percent(share) == told


@pytest.mark.parametrize(
    ("value", "told"), [(0, "0 B"), (1536, "1.5 KiB"), (268435456, "256 MiB"), (-2048, "-2.0 KiB"), (2**50, "1024 TiB")]
)
def test_size(value: float, told: str) -> None:
    assert phrase.size(value) == told


def test_counts_and_lists() -> None:
    assert [phrase.count(n, "probe") for n in (0, 1, 2)] == ["0 probes", "1 probe", "2 probes"]
    assert phrase.count(12345, "line") == "12\u202f345 lines"
    assert phrase.listing([]) == "none"
    assert phrase.listing(["a", "", "a"]) == "a"
    assert phrase.listing("abcd") == "a, b, c and d"
    assert phrase.listing("abcdefg") == "a, b, c and 4 more"


def test_times_and_intervals() -> None:
    at = datetime(2026, 11, 24, 3, 5, 7, tzinfo=UTC)
    assert phrase.since(at) == " since 03:05:07 UTC"
    assert phrase.since(None) == ""


def test_since_is_said_only_of_what_nothing_came_after() -> None:
    first = datetime(2026, 11, 24, 3, 5, 7, tzinfo=UTC)
    last = first + timedelta(seconds=20)
    told = phrase.lasting(first, last, later=1, end=last)
    assert told == phrase.between(first, last) == " from 03:05:07 UTC to 03:05:27 UTC"
    assert phrase.lasting(first, last, later=0, end=last) == " since 03:05:07 UTC"
    silent = phrase.lasting(first, last, later=0, end=last + timedelta(minutes=1))
    assert silent == " since 03:05:07 UTC, the last on record at 03:05:27 UTC"
    assert phrase.between(first, first) == " at 03:05:07 UTC"
    assert phrase.between(None, None) == ""


def test_a_verb_goes_with_its_number() -> None:
    assert [phrase.were(number) for number in (0, 1, 2)] == ["were", "was", "were"]
    assert phrase.seconds_between(Interval(2.9, 4.1)) == "95 % interval 2.9 s to 4.1 s"
    assert phrase.seconds_between(Interval(2.9, None)) == "95 % interval from 2.9 s, no upper bound"
    assert phrase.seconds_between(Interval(None, None)) == "too few for an interval"
    assert phrase.share_between(Interval(0.12, 0.15)) == "95 % interval 12 % to 15 %"


def test_quoted_evidence_stays_on_one_line_and_steers_nothing() -> None:
    told = phrase.quoted("a\nb\x1b[31m\u202e" + "c" * 500)
    assert told.isprintable()
    assert len(told) <= 162
    assert told.startswith("“a␊b␛[31m\\u202e")
    assert told.endswith("…”")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3.96e7, "39\u202f600\u202f000"),
        (1234.0, "1\u202f230"),
        (999.4, "999"),
        (15.31, "15.3"),
        (0.0421, "0.0421"),
        (0.0000042, "0.000004"),
        (0.0, "0"),
        (-25000.0, "-25\u202f000"),
    ],
)
def test_a_figure_is_written_without_powers_of_ten(value: float, words: str) -> None:
    assert phrase.figure(value) == words
