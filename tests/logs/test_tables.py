"""Log lines into tables: what belongs together stays together, what is told twice counts once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from irkit.logs.tables import DERIVED, ERROR_COLUMNS, ORIGIN, REQUEST_COLUMNS, parse_errors, parse_requests

START = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)


def logs(
    *lines: str | None, service: str = "jarvis-api", stream: str = "stderr", start: datetime = START
) -> pd.DataFrame:
    """One line a second."""
    return pd.DataFrame(
        {
            "at": pd.Series([start + timedelta(seconds=n) for n in range(len(lines))], dtype="datetime64[us, UTC]"),
            "service": service,
            "name": f"{service}-1",
            "stream": stream,
            "line": pd.Series(lines, dtype=object),
        }
    )


TRACEBACK = (
    "2026-11-24T03:05:00.123Z ERROR jarvis-api unhandled exception method=GET path=/api/chat",
    "Traceback (most recent call last):",
    '  File "/srv/app/service.py", line 53, in answer',
    "    answer = self._intercepted(request)",
    "KeyError: 'session_secret'",
)


def test_empty_logs_give_the_columns_of_their_kinds() -> None:
    empty = logs()
    assert tuple(parse_requests(empty).columns) == REQUEST_COLUMNS
    assert tuple(parse_errors(empty).columns) == ERROR_COLUMNS
    filled_requests = parse_requests(logs('"GET / HTTP/1.1" 200'))
    assert dict(parse_requests(empty).dtypes) == dict(filled_requests.dtypes)
    assert dict(parse_errors(empty).dtypes) == dict(parse_errors(logs("ERROR: x")).dtypes)


def test_both_kinds_are_derived_from_logs() -> None:
    assert dict(ORIGIN) == {"requests": "logs", "errors": "logs", "patterns": "logs"}
    assert set(DERIVED) == set(ORIGIN)


def test_the_engines_time_is_taken_and_not_the_lines_own() -> None:
    table = parse_requests(logs('[01/Jan/1999:00:00:00 +0000] "GET / HTTP/1.1" 200 5'))
    assert table["at"].tolist() == [pd.Timestamp(START)]


def test_a_traceback_is_one_error_that_says_what_was_raised() -> None:
    table = parse_errors(logs(*TRACEBACK, "2026-11-24T03:05:01Z INFO jarvis-api request method=GET path=/x status=500"))
    assert table["message"].tolist() == ["KeyError: 'session_secret'"]
    assert table["logger"].tolist() == ["jarvis-api"]
    assert table["line"].tolist() == ["\n".join(TRACEBACK)]


def test_chained_tracebacks_are_one_error() -> None:
    chained = (
        *TRACEBACK,
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        *TRACEBACK[1:4],
    )
    table = parse_errors(logs(*chained, "RuntimeError: no configuration", "ERROR: another"))
    assert table["message"].tolist() == ["RuntimeError: no configuration", "another"]


def test_a_crash_loop_is_an_error_for_each_process_that_ended() -> None:
    """Nothing stands between one process's last line and the next one's traceback."""
    own = TRACEBACK[1:]
    direct = ("", "The above exception was the direct cause of the following exception:", "", *own)
    lines = (*own, *own, *own, *direct, *own, *own[:2], *own)
    table = parse_errors(logs(*lines))
    assert table["line"].tolist() == ["\n".join(one) for one in (own, own, (*own, *direct), own, own[:2], own)], (
        "each by itself, and what is chained together"
    )
    begun = [0, len(own), 2 * len(own), 4 * len(own) + len(direct) - len(own)]
    assert table["at"].tolist()[:4] == [pd.Timestamp(START + timedelta(seconds=n)) for n in begun]


def test_a_traceback_that_breaks_off_takes_no_ordinary_line() -> None:
    table = parse_errors(logs(*TRACEBACK[:4], "INFO:     Shutting down"))
    assert table["message"].tolist() == ["unhandled exception method=GET path=/api/chat"]


def test_streams_that_interleave_do_not_mix() -> None:
    other = logs(*(f"INFO: line {n}" for n in range(5)), service="worker", start=START + timedelta(milliseconds=500))
    mixed = pd.concat([logs(*TRACEBACK), other]).sort_values("at", ignore_index=True)
    assert parse_errors(mixed)["line"].tolist() == ["\n".join(TRACEBACK)]


def test_java_and_node_stacks_stay_with_their_error() -> None:
    frames = (
        "\tat com.example.A.b(A.java:1)",
        "Caused by: java.io.IOException: disk",
        "\tat com.example.C.d(C.java:2)",
    )
    java = ("java.lang.IllegalStateException: no", *frames)
    table = parse_errors(logs(*java, "Error: boom", "    at run (index.js:3:1)"))
    assert table["message"].tolist() == ["java.lang.IllegalStateException: no", "Error: boom"]
    assert table["line"].tolist() == ["\n".join(java), "Error: boom\n    at run (index.js:3:1)"]


def test_an_endless_error_is_cut() -> None:
    table = parse_errors(logs("ERROR: x", *["  more"] * 1000))
    assert len(table) == 1
    assert table["line"].item().count("\n") < 400


def test_access_lines_are_requests_and_no_errors() -> None:
    line = '10.0.0.7 - - [24/Nov/2026:03:05:00 +0000] "GET /ERROR HTTP/1.1" 500 1 "-" "-"'
    assert parse_errors(logs(line)).empty
    assert parse_requests(logs(line))["status_code"].tolist() == [500]


def test_a_request_told_by_server_and_application_counts_once_with_its_duration() -> None:
    own = logs("2026-11-24T03:05:00Z INFO jarvis-api request method=GET path=/a status=200 duration_ms=2.5", None)
    server = logs(
        'INFO:     127.0.0.1:5000 - "GET /a?b=c HTTP/1.1" 200 OK',
        'INFO:     127.0.0.1:5000 - "GET /c HTTP/1.1" 404 Not Found',
        stream="stdout",
        start=START + timedelta(milliseconds=3),
    )
    table = parse_requests(pd.concat([own, server], ignore_index=True))
    assert table["path"].tolist() == ["/a", "/c"]
    assert table["duration_s"].fillna(-1).tolist() == [0.0025, -1]


def test_two_services_that_tell_of_one_request_both_count() -> None:
    proxy = logs('1.2.3.4 - - [x] "GET /a HTTP/1.1" 200 5 "-" "-" 0.004', service="nginx")
    own = logs("INFO request method=GET path=/a status=200 duration_ms=2.5")
    assert parse_requests(pd.concat([proxy, own], ignore_index=True))["service"].tolist() == ["nginx", "jarvis-api"]


def test_lines_out_of_order_are_sorted_by_time() -> None:
    table = logs('"GET /a HTTP/1.1" 200', '"GET /b HTTP/1.1" 200').iloc[::-1]
    assert parse_requests(table)["path"].tolist() == ["/a", "/b"]


def test_rubbish_is_kept_out_and_hurts_nobody() -> None:
    rubbish = logs(None, "", "\x00\x00", "\udcff\udcfe", "\x1b[31m", "{" * 5000, '"' * 5000, "ERROR \udcff\x00 bad")
    rubbish["at"] = None
    assert parse_requests(rubbish).empty
    assert parse_errors(rubbish)["message"].tolist() == ["\udcff bad"]
    assert parse_errors(rubbish)["at"].isna().all()


def test_missing_columns_are_missing_values() -> None:
    table = parse_errors(pd.DataFrame({"line": ["ERROR: x"]}))
    assert table["service"].tolist() == [""]
    assert table["message"].tolist() == ["x"]
