from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from irkit.diagnose.service_checks import (
    checks_of,
    crashed,
    ended_on_request,
    ends_of,
    since_then,
    subject_of,
    unasked,
    was_slow_to_end,
    with_requests,
)
from irkit.records import Row

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
API: Row = {"service": "api", "name": "api-1", "state": "running"}


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def event(second: float, action: str, **more: object) -> Row:
    return {"at": at(second), "service": "api", "name": "api-1", "action": action, **more}


RESTART = [event(60, "kill", signal="15"), event(61, "die", exit_code=137), event(62, "start")]
CHECKS = [(at(second), not 58 <= second < 68) for second in range(0, 120, 2)]


def test_checks_that_fail_while_somebody_restarts_it_do_not_count() -> None:
    assert all(passed for _, passed in unasked(CHECKS, API, RESTART))
    assert ends_of(API, RESTART) == []


def test_a_crash_counts_though_it_is_started_again() -> None:
    crash = RESTART[1:]
    assert unasked(CHECKS, API, crash) == CHECKS
    assert ends_of(API, crash) == [at(61)]


def test_a_crash_right_after_a_restart_by_hand_is_no_part_of_it() -> None:
    events = [*RESTART, event(64, "die", exit_code=1)]
    assert ends_of(API, events) == [at(64)]
    assert ends_of(
        API, [*events, event(66, "start"), event(70, "kill", signal="15"), event(71, "die", exit_code=137)]
    ) == [at(64)]


def test_what_failed_before_the_restart_counts() -> None:
    checks = [(when, passed and not at(20) <= when < at(40)) for when, passed in CHECKS]
    assert [when for when, passed in unasked(checks, API, RESTART) if not passed] == [at(s) for s in range(20, 40, 2)]


def test_a_restart_that_mends_nothing_hides_nothing_after_it() -> None:
    broken = [(when, when < at(58)) for when, _ in CHECKS]
    assert [when for when, passed in unasked(broken, API, RESTART) if not passed] == [at(s) for s in range(64, 120, 2)]


@pytest.mark.parametrize(("code", "expected"), [(0, False), (143, False), (None, False), (1, True), (137, True)])
def test_an_end_on_purpose_is_no_crash(code: int | None, expected: bool) -> None:  # noqa: FBT001
    assert crashed(event(5, "die", exit_code=code), []) is expected


def test_the_container_in_question_serves_the_probed_port_or_is_worst_off() -> None:
    probe: Row = {"url": "http://localhost:8000/health"}
    api = API | {"ports": "127.0.0.1:8000->8000/tcp"}
    redis = {"service": "redis", "name": "redis-1", "state": "exited", "exit_code": 1}
    assert subject_of([api, redis], [probe], probes_fail=True) is api
    assert subject_of([api, redis], [probe], probes_fail=False) is redis
    assert subject_of([], [], probes_fail=True) is None


def test_what_a_service_logged_of_a_check_is_no_second_one() -> None:
    probes: list[Row] = [{"at": at(10), "verdict": "healthy", "total_s": 0.9}, {"at": at(15), "verdict": "unhealthy"}]
    engines: list[Row] = [{"service": "api", "started_at": at(20), "ended_at": at(22.6), "exit_code": 0}]
    logged = [(10.8, 200), (15.1, 503), (20.9, 503), (22.5, 200), (24, 200), (26, 499), (27, 408)]
    rows = [
        {"at": pd.Timestamp(at(second)), "service": "api", "path": "/api/health", "status_code": code}
        for second, code in logged
    ]
    told = sorted(checks_of(API, probes, engines, pd.DataFrame(rows)))
    # those at 20.9 and 24 are of others; whoever gave up at 26 and 27 saw nothing pass; what the Engine asked passed
    # when it was answered
    expected = [(10, True), (15, False), (20.9, False), (22.6, True), (24, True)]
    assert told == [(at(second), passed) for second, passed in expected]


def test_an_end_within_a_minute_of_being_asked_is_no_crash_and_no_other_container_s_stop_is() -> None:
    died = event(45, "die", exit_code=1)
    assert not crashed(died, [event(0, "kill", signal="SIGTERM"), died])
    assert crashed(died | {"at": at(61)}, [event(0, "kill", signal="SIGTERM"), died])
    assert crashed(died, [event(40, "kill", signal="SIGTERM") | {"name": "api-2"}, died]), "another of the service"


def test_one_that_was_slow_to_end_was_asked_in_that_very_run() -> None:
    """It was stopped by hand and started again, and the kernel killed it for its memory half a minute later."""
    died = event(31, "die", exit_code=137)
    asked = [event(0, "kill", signal="SIGTERM"), event(1, "die", exit_code=143), event(2, "start")]
    assert was_slow_to_end(died, [*asked[:1], died])
    assert not was_slow_to_end(died, [*asked, died])
    assert crashed(died, [*asked, died])
    killed = [event(30.9, "kill", signal="SIGKILL"), died]
    assert not crashed(died, killed), "somebody did it"
    assert not was_slow_to_end(died, killed)


def _probed(second: float, verdict: str, code: int | None) -> Row:
    return {"at": at(second), "verdict": verdict, "status_code": code, "total_s": 0.01}


def _asked(*seconds: float) -> pd.DataFrame:
    rows = [{"at": at(each), "service": "api", "path": "/health", "status_code": 200} for each in seconds]
    return pd.DataFrame(rows)


def test_while_the_body_says_that_it_fails_the_code_alone_passes_no_check() -> None:
    probes = [_probed(each, "unhealthy" if 10 <= each < 40 else "healthy", 200) for each in range(0, 60, 5)]
    engine: list[Row] = [{"service": "api", "started_at": at(32), "ended_at": at(32.1), "exit_code": 0}]
    checks = sorted(checks_of(API, probes, engine, _asked(22.5, 42.5)))
    assert [when for when, passed in checks if not passed] == [at(each) for each in range(10, 40, 5)]
    assert [when for when, passed in checks if passed] == [at(each) for each in (0, 5, 40, 42.5, 45, 50, 55)]


@pytest.mark.parametrize(("verdict", "code"), [("timed_out", None), ("unhealthy", 503)])
def test_where_no_body_was_read_what_others_were_answered_counts(verdict: str, code: int | None) -> None:
    probes = [_probed(each, verdict, code) for each in range(0, 30, 5)]
    assert (at(22.5), True) in list(checks_of(API, probes, [], _asked(22.5)))


def test_an_end_that_somebody_asked_for_is_told_from_one_of_its_own() -> None:
    ended = {**API, "state": "exited", "exit_code": 137, "finished_at": at(61), "oom_killed": False}
    asked = [event(50, "kill", signal="15"), event(60, "kill", signal="9"), event(61, "die", exit_code=137)]
    assert ended_on_request(ended, asked)
    assert not ended_on_request(ended, asked[-1:]), "a kill that nobody asked the engine for"
    assert not ended_on_request({**ended, "oom_killed": True}, asked)
    assert not ended_on_request({**ended, "state": "running"}, asked)
    assert not ended_on_request({**ended, "finished_at": at(300)}, asked), "it was started and ended again since"
    assert [row["ended_on_request"] for row in with_requests([ended, {**ended, "name": "other"}], asked)] == [
        True,
        False,
    ]


def test_checks_that_nobody_made_do_not_pass() -> None:
    failed = [(at(1), False), (at(2), True)]
    assert since_then(failed, at(2), passing="its checks ") == " and its checks pass since"
    assert since_then(failed, at(3), passing="its checks ") == ", and no check since then is on record"
