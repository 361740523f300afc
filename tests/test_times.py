from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.errors import InputError
from irkit.times import between, format_duration, format_time, latest_known, of_yesterday, parse_duration, parse_time

NOW = datetime(2026, 11, 24, 3, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15 min", timedelta(minutes=15)),
        ("1 hour", timedelta(hours=1)),
        ("4 hours", timedelta(hours=4)),
        ("1h30m", timedelta(minutes=90)),
        ("1 hour and 30 minutes", timedelta(minutes=90)),
        ("1 h, 30 min", timedelta(minutes=90)),
        ("1.5 Hours", timedelta(minutes=90)),
        ("500ms", timedelta(milliseconds=500)),
        ("2 days", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_durations_as_people_write_them(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "soon", "15", "min", "15 parsecs", "0 min", "-5 min", "15 min later", "9" * 400 + " s", "99999999 weeks"],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="is not a length of time") as refused:
        parse_duration(text)
    assert "15 min" in refused.value.hint
    assert len(str(refused.value)) < 80


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T03:05Z", "03:05:00"),
        ("2026-11-24T03:05:07.5Z", "03:05:07.5"),
        ("2026-11-24 03:05", "03:05:00"),
        ("2026-11-24 03:05 UTC", "03:05:00"),
        ("2026-11-24T04:05:00+01:00", "03:05:00"),
        ("20261124T030500Z", "03:05:00"),
        ("03:05", "03:05:00"),
        ("3:05", "03:05:00"),
        ("03:05:09", "03:05:09"),
        ("03:05Z", "03:05:00"),
        ("10m ago", "03:10:30"),
        ("10 min ago", "03:10:30"),
        ("-10m", "03:10:30"),
        ("now", "03:20:30"),
    ],
)
def test_times_as_people_write_them_are_utc(text: str, expected: str) -> None:
    read = parse_time(text, NOW)
    assert read == datetime.fromisoformat(f"2026-11-24T{expected}+00:00")
    assert read.tzinfo is UTC


def test_a_time_of_day_later_than_now_was_yesterday() -> None:
    assert parse_time("23:50", NOW) == datetime(2026, 11, 23, 23, 50, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("23:59", "23:59 has not come yet today (it is 03:20 UTC): 2026-11-23 23:59:00 UTC is meant"),
        ("3:21Z", "3:21 has not come yet today (it is 03:20 UTC): 2026-11-23 03:21:00 UTC is meant"),
        ("03:20", ""),
        ("10h ago", ""),
        ("2026-11-23T23:59Z", ""),
        ("now", ""),
        ("soon", ""),
    ],
)
def test_only_a_time_of_day_still_to_come_is_said_to_be_yesterdays(text: str, said: str) -> None:
    assert of_yesterday(text, NOW) == said


@given(st.integers(0, 10**10), st.integers(0, 10**10))
def test_what_lies_between_two_times_is_what_their_shown_forms_say(first: int, more: int) -> None:
    start = NOW + timedelta(microseconds=first)
    end = start + timedelta(microseconds=more)
    shown = [parse_time(format_time(at), NOW) for at in (start, end)]
    assert between(start, end) == shown[1] - shown[0]
    assert abs(between(start, end) - (end - start)) < timedelta(seconds=1)


def test_now_in_another_zone_still_gives_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-8)))
    assert parse_time("03:05", there) == datetime(2026, 11, 24, 3, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "25:00",
        "03:61",
        "2026-11-24",
        "2026-13-01T00:00Z",
        "1e5",
        "nan",
        "ago",
        "-",
        "5 parsecs ago",
        "-5m ago",
        "99999999999",
    ],
)
def test_what_is_no_time_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(InputError, match="is not a time") as refused:
        parse_time(text, NOW)
    assert "10m ago" in refused.value.hint


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with suppress(InputError):
        assert parse_time(text, NOW).tzinfo is UTC


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 (hypothesis wants naive)
def test_a_written_time_reads_back_to_the_second(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC, microsecond=0)
    assert parse_time(format_time(at), NOW) == at


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(), "0 s"),
        (timedelta(milliseconds=40), "0 s"),
        (timedelta(milliseconds=430), "0.4 s"),
        (timedelta(seconds=42, milliseconds=900), "42 s"),
        (timedelta(minutes=12, seconds=30), "12 min 30 s"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=1, seconds=5), "1 h"),
        (timedelta(days=1, hours=4, minutes=59), "1 d 4 h"),
        (timedelta(minutes=-3), "-3 min"),
    ],
)
def test_durations_for_people(duration: timedelta, expected: str) -> None:
    assert format_duration(duration) == expected


def test_the_latest_of_moments_is_known_only_where_all_are() -> None:
    assert latest_known([NOW, NOW - timedelta(hours=1)]) == NOW
    assert latest_known([NOW, None]) is None
    assert latest_known([]) is None
