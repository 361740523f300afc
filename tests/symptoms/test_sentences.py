"""What sentences claim: since when, how many of what, and what was looked at must be literally true."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from irkit.diagnose.run import run_detector
from irkit.model import CollectorRun, Outcome, Verdict, VerdictState
from tests.support.type_evidence import heap_findings
from tests.symptoms.evidence import WINDOW, InMemory, detectors
from tests.symptoms.test_symptoms import LIMIT

DETECTORS = detectors()
CLEAR = VerdictState.CLEAR
URL = "http://localhost:8000/api/health"
API = {"service": "jarvis-api", "name": "jarvis-api-1", "state": "running", "health": "healthy", "oom_killed": False}


def told(slug: str, evidence: dict[str, Any], outcome: Outcome = Outcome.COLLECTED) -> Verdict:
    return run_detector(DETECTORS[slug], InMemory(evidence, outcome), LIMIT).verdict


def at(second: int) -> str:
    return f"2026-11-24T{3 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


def request(second: int, status_code: int, path: str = "/api/chat", service: str = "jarvis-api") -> dict[str, object]:
    row = {"at": at(second), "service": service, "method": "GET", "path": path, "status_code": status_code}
    return row | {"duration_s": 0.1}


def moment(second: int) -> datetime:
    return datetime.fromisoformat(at(second))


def check(second: int, exit_code: int) -> dict[str, object]:
    return {"service": "jarvis-api", "name": "jarvis-api-1", "started_at": at(second), "exit_code": exit_code}


def test_errors_are_said_to_go_on_only_where_no_request_came_after_them() -> None:
    served = [request(second, 200) for second in range(30)]
    failed = [request(second, 500) for second in range(30, 47)]
    went_on = told("5xx-error-spike", {"requests": [*served, *failed]}).sentence
    assert went_on.startswith(
        "17 of 17 requests to jarvis-api failed with 500 since 03:00:30 UTC, the last on record at 03:00:46"
    )
    one_more = told("5xx-error-spike", {"requests": [*served, *failed, request(50, 200)]})
    assert one_more.sentence.startswith(
        "17 of 17 requests to jarvis-api failed with 500 from 03:00:30 UTC to 03:00:46 UTC ("
    )
    assert "; 1 request came later and did not fail" in one_more.sentence
    assert one_more.until is None  # one success ends nothing


def test_errors_up_to_the_end_of_the_window_are_said_to_go_on() -> None:
    end = int((WINDOW.end - WINDOW.start).total_seconds()) - 1800  # seconds after 03:00
    rows = [request(second, 500 if second > end - 20 else 200) for second in range(end - 60, end)]
    sentence = told("5xx-error-spike", {"requests": rows}).sentence
    assert "failed with 500 since 03:29:41 UTC (" in sentence


def test_of_what_failed_before_the_checks_did_nothing_is_quoted_where_they_have_words_of_their_own() -> None:
    """Many errors of one trouble, and then a second one, of which the checks fail."""

    def error(second: int, message: str) -> dict[str, object]:
        return {"at": at(second), "service": "jarvis-api", "level": "ERROR", "message": message}

    full = [error(second, "OutOfMemoryError: command not allowed") for second in range(30, 60)]
    evidence = {
        "health": [{"at": at(72), "url": URL, "verdict": "unhealthy", "status_code": 503}],
        "containers": [API],
        "container_health": [check(55, 0), check(60, 1), check(65, 1), check(70, 1)],
    }
    both = told("health-check-failing", evidence | {"errors": [*full, error(61, "ConnectionError: refused")]})
    assert "its log says “ConnectionError: refused”" in both.sentence
    alone = told("health-check-failing", evidence | {"errors": full[:20]})
    assert "its log says “OutOfMemoryError: command not allowed”" in alone.sentence


def test_what_was_done_with_health_checks_is_said() -> None:
    rows = [request(second, 200) for second in range(30)]
    checks = [request(second, 503, "/api/health") for second in range(5)]
    aside = told("5xx-error-spike", {"requests": [*rows, *checks]})
    assert aside.sentence.startswith("0 of 30 requests, health checks aside, were answered with a server error")
    included = told("5xx-error-spike", {"requests": [*checks, request(9, 500)]})
    assert included.sentence.startswith("6 of 6 requests to jarvis-api, health checks included, failed")
    assert "health checks" not in told("5xx-error-spike", {"requests": rows}).sentence


def test_a_count_covers_the_span_it_is_said_of() -> None:
    """Of refusals long before the bad stretch too, since they are counted."""
    rows = [request(second, 429 if second == 5 or second >= 100 else 200) for second in range(120)]
    sentence = told("rate-limit-errors", {"requests": [*rows, request(130, 200)]}).sentence
    assert sentence.startswith("Rate limits were hit from 03:00:05 UTC to 03:01:59 UTC: 21 requests refused with 429")
    errors = [
        {"at": at(second), "service": "jarvis-api", "message": "TimeoutError", "line": "TimeoutError"}
        for second in (1, 2, 9)
    ]
    assert told("timeout-errors", {"errors": errors}).sentence.startswith(
        "Timeouts from 03:00:01 UTC to 03:00:09 UTC: 3 errors in the log"
    )


def test_refusals_by_several_services_are_told_of_each_and_added_up_of_none() -> None:
    rows = [request(second, 429) for second in range(40)]
    behind = [row | {"service": "gateway"} for row in rows[:9]]
    sentence = told("rate-limit-errors", {"requests": [*rows, *behind]}).sentence
    assert "40 requests to jarvis-api and 9 to gateway refused with 429" in sentence
    assert "49" not in sentence


def test_probes_are_told_apart_from_the_checks_before_them() -> None:
    stopped = {**API, "state": "exited", "exit_code": 1, "finished_at": at(40), "ports": "127.0.0.1:8000->8000/tcp"}
    probes = [{"at": at(72), "url": URL, "verdict": "refused"}] * 3
    evidence = {
        "health": probes,
        "containers": [stopped],
        "container_health": [check(30, 0), check(32, 1), check(34, 1)],
    }
    found = told("health-check-failing", evidence)
    assert found.sentence.startswith(
        f"3 of 3 probes of {URL} at 03:01:12 UTC were refused; health checks have failed since 03:00:32 UTC; "
        "container jarvis-api-1 exited at 03:00:40 UTC: exit code 1"
    )
    assert found.advice.startswith(
        "Read why it ended. Restarting it keeps its logs, removing or recreating it loses them"
    )
    assert "this evidence has none of them" in found.advice
    logs = [{"at": at(39), "service": "jarvis-api", "line": "CRITICAL the end"}]
    assert "this evidence holds those of its window" in told("health-check-failing", {**evidence, "logs": logs}).advice


def test_one_check_that_passed_right_before_the_crash_is_told_and_begins_nothing_anew() -> None:
    """It is one, though the Engine has it and the service logged its answer."""
    stopped = {**API, "state": "exited", "exit_code": 1, "finished_at": at(60), "ports": "127.0.0.1:8000->8000/tcp"}
    evidence = {
        "health": [{"at": at(72), "url": URL, "verdict": "refused"}],
        "health_history": [{"at": at(58), "url": URL, "verdict": "reset"}],
        "containers": [stopped],
        "container_health": [check(30, 0), check(32, 1), check(50, 1), check(54, 0) | {"ended_at": at(57)}],
        "requests": [request(56, 503, "/api/health"), request(57, 200, "/api/health")],
    }
    found = told("health-check-failing", evidence)
    assert "; health checks have failed since 03:00:32 UTC, but for one that passed at 03:00:57 UTC;" in found.sentence
    assert f"{found.onset:%H:%M:%S}" == "03:00:32"


def test_no_check_is_said_to_fail_where_the_container_was_killed_while_it_passed() -> None:
    stopped = {**API, "state": "exited", "exit_code": 137, "finished_at": at(40), "ports": "127.0.0.1:8000->8000/tcp"}
    probe = {"at": at(72), "url": URL, "verdict": "refused"}
    checks = [check(30, 0), check(38, 0)]
    found = told("health-check-failing", {"health": [probe], "containers": [stopped], "container_health": checks})
    assert found.sentence.startswith(
        f"1 of 1 probe of {URL} at 03:01:12 UTC was refused; container jarvis-api-1 exited"
    )
    assert found.onset is not None
    assert f"{found.onset:%H:%M:%S}" == "03:00:40"


def test_what_a_service_logged_before_it_was_restarted_is_not_its_last_word() -> None:
    def sentence(started: int) -> str:
        stopped = {**API, "state": "exited", "exit_code": 1, "started_at": at(started), "finished_at": at(60)}
        errors = [{"at": at(20), "service": "jarvis-api", "message": "pool exhausted", "line": "ERROR pool exhausted"}]
        probe = {"at": at(72), "url": URL, "verdict": "refused"}
        return told("health-check-failing", {"containers": [stopped], "errors": errors, "health": [probe]}).sentence

    assert "the last error it logged, at 03:00:20 UTC, says “pool exhausted”" in sentence(started=10)
    assert "pool exhausted" not in sentence(started=30)


def test_an_episode_that_is_over_is_told_as_past_in_the_first_clause() -> None:
    probes = [{"at": at(90), "url": URL, "verdict": "healthy", "status_code": 200}]
    checks = [check(10, 0), check(12, 1), check(14, 1), check(16, 0)]
    evidence = {"health": probes, "containers": [API], "container_health": checks}
    over = told("health-check-failing", evidence).sentence
    assert over.startswith("Health checks of jarvis-api failed from 03:00:12 UTC to 03:00:16 UTC and pass since")
    hiccup = {**evidence, "container_health": [*checks, check(30, 1), check(32, 0)]}
    assert "; 1 of the 4 checks since then failed;" in told("health-check-failing", hiccup).sentence


def test_failing_from_the_first_check_on_record_is_said_to_have_begun_then_or_earlier() -> None:
    """Where the window cuts an outage its edge is no onset."""
    probes = [{"at": at(90), "url": URL, "verdict": "healthy", "status_code": 200}]
    cut = [check(12, 1), check(14, 1), check(16, 0)]
    evidence = {"health": probes, "containers": [API], "container_health": cut}
    edge = "; no check before 03:00:12 UTC is on record, so it may have begun earlier;"
    assert edge in told("health-check-failing", evidence).sentence
    seen = {**evidence, "container_health": [check(10, 0), *cut]}
    assert "may have begun earlier" not in told("health-check-failing", seen).sentence


def test_no_check_is_said_to_have_failed_where_it_was_the_container_that_died() -> None:
    events = [
        {"at": at(second), "service": "jarvis-api", "name": "jarvis-api-1", "action": action, "exit_code": code}
        for second, action, code in ((20, "die", 1), (30, "start", None))
    ]
    evidence = {"containers": [API], "container_health": [check(10, 0), check(40, 0)], "container_events": events}
    over = told("health-check-failing", evidence).sentence
    assert over.startswith(
        "The service jarvis-api failed from 03:00:20 UTC to 03:00:40 UTC and its checks pass since; container "
    )
    failed = told("health-check-failing", {**evidence, "container_health": [check(10, 0), check(25, 1), check(40, 0)]})
    assert failed.sentence.startswith("Health checks of jarvis-api failed from 03:00:25 UTC to 03:00:40 UTC and pass")


@pytest.mark.parametrize(("verdict", "word"), [("refused", "refused"), ("timed_out", "timed out")])
def test_providers_that_could_not_be_asked_are_unknown_with_the_reason_and_what_is_known(
    verdict: str, word: str
) -> None:
    containers = [
        {"service": name, "name": name, "state": state}
        for name, state in (("jarvis-api", "exited"), ("provider-alpha", "running"), ("provider-beta", "exited"))
    ]
    requests = [request(second, 200, "/health", "provider-alpha") for second in (1, 9)]
    evidence = {"health": [{"at": at(20), "verdict": verdict}] * 3, "containers": containers, "requests": requests}
    asked = told("provider-health-check-failing", evidence)
    assert asked.state is VerdictState.UNKNOWN
    assert asked.sentence == (
        f"The health endpoint did not answer ({word}), so it could not be asked about the providers; "
        "provider-alpha runs as a container, provider-beta (exited) does not run; "
        "by the logs, health requests were last answered by provider-alpha with 200 at 03:00:09 UTC."
    )


def test_a_health_answer_without_providers_is_not_taken_for_silence() -> None:
    answered = told(
        "provider-health-check-failing", {"health": [{"at": at(20), "verdict": "unhealthy", "status_code": 500}]}
    )
    assert answered.state is VerdictState.UNKNOWN
    assert answered.sentence == "The health endpoint answered 500 and named no providers."


def test_without_a_probe_the_collectors_reason_is_told() -> None:
    nothing = told("provider-health-check-failing", {"containers": []}, Outcome.TIMED_OUT)
    assert nothing.sentence == "Not looked at: example timed out: cut for the test."


@pytest.mark.parametrize(
    ("number", "sentence"), [(1, "Redis holds 1 rate-limit key, "), (2, "Redis holds 2 rate-limit keys, ")]
)
def test_verbs_go_with_numbers(number: int, sentence: str) -> None:
    limits = [{"key": f"ratelimit:provider:{n}", "provider": str(n)} for n in range(number)]
    assert told("rate-limit-errors", {"rate_limits": limits}).sentence.startswith(sentence)


def test_no_error_at_all_is_not_none_of_0() -> None:
    for slug in ("sqlite-errors", "read-failures"):
        assert told(slug, {"errors": [], "database": {"error": None}}).sentence.startswith("No error in the log ")


def test_a_file_that_opens_clears_nothing_where_a_check_of_its_pages_failed() -> None:
    row = {"check": "integrity_check", "ok": False, "message": "row 7 missing from index i", "table": "t"}
    evidence = {"errors": [], "database": {"error": None}, "database_integrity": [row]}
    for slug in ("sqlite-errors", "read-failures"):
        found = told(slug, evidence)
        assert (found.state, "integrity_check failed" in found.sentence) == (VerdictState.UNKNOWN, True)
        well = {**evidence, "database_integrity": [{**row, "ok": True, "message": "ok"}]}
        assert told(slug, well).state is VerdictState.CLEAR


def test_what_each_part_by_itself_showed_is_told_after_the_checks() -> None:
    rows = [
        {"check": "integrity_check", "ok": False, "message": "Page 304: btreeInitPage()", "table": None},
        {"check": "parts", "ok": False, "message": "damaged: the index i of t", "table": "t"},
        {"check": "parts", "ok": True, "message": "ok", "table": "u"},
    ]
    found = told("data-inconsistency", {"database_integrity": rows})
    assert found.sentence.startswith("SQLite's integrity_check (1 message) failed, the first message is ")
    assert found.sentence.endswith("not since when. By itself, on a copy: damaged: the index i of t.")
    assert (found.numbers["failed"], found.numbers["passed"]) == (["integrity_check"], [])


def seen_check(second: int, check: str, *, ok: bool | None, message: str | None = None) -> dict[str, object]:
    return {"at": at(second), "check": check, "ok": ok, "message": message, "duration_s": 0.0}


FULL, KEYS = "integrity_check", "foreign_key_check"


def present(*failing: str) -> list[dict[str, object]]:
    return [{"check": name, "ok": name not in failing, "message": "wrong", "table": "t"} for name in (FULL, KEYS)]


def test_since_when_a_check_fails_is_between_two_looks_of_the_recorder() -> None:
    looks = [seen_check(second, KEYS, ok=second < 30) for second in range(0, 60, 10)]
    looks += [seen_check(second, FULL, ok=True) for second in range(0, 60, 10)]
    looks += [seen_check(25, KEYS, ok=None, message="it was written to while it was checked")]
    found = told("data-inconsistency", {"database_integrity": present(KEYS), "database_history": looks})
    assert "; foreign_key_check passed at 03:00:20 UTC and failed from 03:00:30 UTC on." in found.sentence
    assert "not since when" not in found.sentence
    assert (found.onset, found.numbers["onset_earliest"]) == (moment(30), moment(20))


def test_of_two_checks_that_failed_at_the_same_look_both_are_named_and_the_first_to_fail_is_the_onset() -> None:
    looks = [seen_check(second, name, ok=second < 30) for second in (20, 30, 40) for name in (FULL, KEYS)]
    found = told("data-inconsistency", {"database_integrity": present(FULL, KEYS), "database_history": looks})
    assert (
        "; integrity_check and foreign_key_check passed at 03:00:20 UTC and failed from 03:00:30 UTC" in found.sentence
    )
    looks += [seen_check(50, KEYS, ok=True), seen_check(60, KEYS, ok=False)]
    found = told("data-inconsistency", {"database_integrity": present(FULL, KEYS), "database_history": looks})
    assert "; foreign_key_check passed at 03:00:50 UTC and failed from 03:01:00 UTC on" in found.sentence
    assert found.onset == moment(30)


def test_what_failed_at_the_first_look_has_no_onset() -> None:
    looks = [seen_check(second, FULL, ok=False) for second in (20, 30)]
    found = told("data-inconsistency", {"database_integrity": present(FULL), "database_history": looks})
    assert "; integrity_check failed already at the flight recorder's first look, at 03:00:20 UTC." in found.sentence
    assert found.onset is None
    assert "onset_earliest" not in found.numbers


def test_damage_after_the_last_look_is_bounded_on_one_side() -> None:
    looks = [seen_check(second, FULL, ok=True) for second in (20, 30)]
    found = told("data-inconsistency", {"database_integrity": present(FULL), "database_history": looks})
    assert "; the flight recorder's last look, at 03:00:30 UTC, passed." in found.sentence
    assert (found.onset, found.numbers["onset_earliest"]) == (None, moment(30))


def test_a_check_that_passes_again_is_told_with_its_end() -> None:
    looks = [seen_check(second, FULL, ok=second not in (30, 40), message="gone") for second in range(0, 70, 10)]
    found = told("data-inconsistency", {"database_integrity": present(), "database_history": looks})
    assert (found.state, found.onset, found.until) == (VerdictState.FOUND, moment(30), moment(50))
    assert found.sentence == (
        "By the flight recorder, integrity_check failed from 03:00:30 UTC to 03:00:40 UTC, first with “gone”, and "
        "passes again since 03:00:50 UTC; SQLite's integrity_check and foreign_key_check pass now."
    )
    once = [row | {"ok": row["at"] != at(30)} for row in looks]
    assert told("data-inconsistency", {"database_integrity": present(), "database_history": once}).state is CLEAR


def test_a_check_that_could_not_be_made_is_not_one_that_passed() -> None:
    quick = [{"check": "quick_check", "ok": True, "message": "ok"}]
    looks = [seen_check(20, FULL, ok=True), seen_check(30, FULL, ok=None), seen_check(40, FULL, ok=False)]
    found = told("data-inconsistency", {"database_integrity": quick, "database_history": looks})
    assert (found.state, found.onset) == (VerdictState.FOUND, moment(40))
    assert found.sentence.endswith("; of the checks made since, quick_check passed.")
    unknown = told("data-inconsistency", {"database_integrity": quick, "database_history": looks[:2]})
    assert unknown.state is VerdictState.UNKNOWN


def test_where_nobody_could_look_the_recorder_tells_of_damage_and_never_of_its_absence() -> None:
    looks = [seen_check(20, FULL, ok=True), seen_check(30, FULL, ok=False, message="gone")]
    found = told("data-inconsistency", {"database_history": looks})
    assert (found.state, found.onset) == (VerdictState.FOUND, moment(30))
    assert found.sentence.endswith("; of the checks made since, none was finished.")
    whole = told("data-inconsistency", {"database_history": looks[:1]})
    assert whole.state is VerdictState.UNKNOWN
    assert whole.sentence.endswith("The flight recorder's last look that passed was at 03:00:20 UTC.")


def test_a_recording_with_holes_keeps_no_whole_database_from_being_clear() -> None:
    """The recorder tells when; whether the file is damaged now, the check of the whole file tells."""

    class Holes(InMemory):
        def run_for(self, kind: str) -> CollectorRun | None:
            run = super().run_for(kind)
            partial = kind == "database_history" and run is not None
            return replace(run, outcome=Outcome.PARTIAL) if run and partial else run

    looks = [seen_check(20, FULL, ok=True)]
    source = Holes({"database_integrity": present(), "database_history": looks})
    assert run_detector(DETECTORS["data-inconsistency"], source).verdict.state is CLEAR


def test_of_a_file_that_nobody_opened_nothing_is_said() -> None:
    """A health answer alone, which names no error of SQLite's, tells as little of the file as of the logs."""
    for slug in ("sqlite-errors", "read-failures"):
        found = told(slug, {"health_body": {"json": {"status": "ok"}}})
        assert found.state is VerdictState.UNKNOWN
        assert found.sentence.startswith("Neither the containers' logs nor the database file could be looked at")


@pytest.mark.parametrize("error", ["somebody wrote to it while it was read", "x.db keeps changing while it is copied"])
def test_a_file_that_was_written_to_while_irkit_read_it_is_no_failed_read_of_the_service(error: str) -> None:
    assert told("read-failures", {"errors": [], "database": {"error": error}}).state is VerdictState.UNKNOWN


def test_what_the_health_answer_says_is_quoted_wherever_it_bears() -> None:
    says = "its health answer says “database disk image is malformed” under checks.orders"
    answer = {"json": {"ok": False, "checks": {"kv": "ok", "orders": "database disk image is malformed"}}}
    evidence = {
        "errors": [],
        "database": {"error": None},
        "health_body": answer,
        "health": [{"at": at(20), "url": URL, "verdict": "unhealthy", "status_code": 503}],
    }
    for slug in ("sqlite-errors", "read-failures", "health-check-failing"):
        found = told(slug, evidence)
        assert found.state is VerdictState.FOUND
        assert says.casefold() in found.sentence.casefold()
    assert told("health-check-failing", evidence).explained_by == "database-corruption"


def test_slow_requests_are_said_to_go_on_only_where_none_came_after_them() -> None:
    rows = [{**request(second, 200), "duration_s": 3.0 if 60 <= second < 100 else 0.1} for second in range(105)]
    assert told("p95-latency", {"requests": rows}).sentence.startswith(
        "p95 of 40 requests to jarvis-api is 3.0 s from 03:00:57 UTC to 03:01:39 UTC ("
    )
    assert "to jarvis-api is 3.0 s since 03:00:57 UTC" in told("p95-latency", {"requests": rows[:100]}).sentence


def test_silence_at_an_address_that_nobody_configured_is_no_failure_by_itself() -> None:
    silent = {"at": at(0), "url": URL, "verdict": "refused", "status_code": None, "configured": False}
    seen = told("health-check-failing", {"health": [silent] * 3})
    assert seen.state is VerdictState.UNKNOWN
    assert "it may be elsewhere" in seen.sentence
    assert "health_url" in seen.advice
    for known in (
        {"health": [{**silent, "configured": True}] * 3},
        {"health": [silent] * 3, "containers": [API]},
        {"health": [{**silent, "status_code": 503, "verdict": "unhealthy"}]},
        {"health": [silent] * 3, "health_history": [{"at": at(-60), "url": URL, "verdict": "healthy"}]},
    ):
        assert told("health-check-failing", known).state is VerdictState.FOUND, known


def test_a_heap_of_which_nobody_saw_the_growth_shows_none() -> None:
    once = heap_findings(snapshots=1)
    assert told("gradual-memory-increase", {"heap": {"processes": [once]}}).state is VerdictState.UNKNOWN
    twice = told("gradual-memory-increase", {"heap": {"processes": [once, heap_findings()]}})
    assert twice.state is VerdictState.FOUND
    assert twice.sentence.startswith("By 2 snapshots of the heap of ")


def test_what_two_checks_of_a_database_tell_is_not_added_up() -> None:
    rows = [
        {"check": check, "ok": False, "message": message, "table": None}
        for check in ("quick_check", "integrity_check")
        for message in ("Page 3: damaged", "Page 9: damaged")
    ]
    found = told("data-inconsistency", {"database_integrity": rows})
    assert found.sentence == (
        "SQLite's quick_check (2 messages) and integrity_check (2 messages) failed, the first message is "
        "“Page 3: damaged”; a check tells what is damaged, not since when."
    )


def test_probes_that_were_all_quick_are_said_to_be_too_few() -> None:
    probes = [{"at": at(second), "verdict": "healthy", "total_s": 0.02} for second in range(20)]
    quick = told("slow-garbage-collection", {"health_history": probes})
    assert "; none of 20 health probes waited longer than 500 ms, which are too few to rule" in quick.sentence
    slow = told("slow-garbage-collection", {"health_history": [*probes, probes[0] | {"at": at(30), "total_s": 0.9}]})
    assert "; 1 of 21 health probes waited longer than 500 ms, which has many causes" in slow.sentence


def test_a_check_that_the_engine_gave_up_is_named() -> None:
    given_up = check(5, -1) | {"output": "Health check exceeded timeout (3s)"}
    found = told("timeout-errors", {"container_health": [given_up]})
    assert found.sentence == "Timeouts at 03:00:05 UTC: 1 health check by the engine."


def test_where_it_ended_a_restart_is_not_said_to_be_in_vain() -> None:
    """It serves again until the same happens; of one that still runs it mends nothing."""
    ended = {**API, "state": "exited", "exit_code": 137, "oom_killed": True, "finished_at": at(60)}
    ended |= {"ports": "127.0.0.1:8000->8000/tcp"}
    probes = [{"at": at(72), "url": URL, "verdict": "refused"}]
    advice = told("health-check-failing", {"containers": [ended], "health": probes}).advice
    assert advice.startswith("The evidence blames memory leak; a start brings it back only until that ends it again.")


def _rising() -> list[dict[str, object]]:
    shared = {"service": "jarvis-api", "name": "jarvis-api-1", "started_at": "2026-11-24T01:00:00Z"}
    return [
        {
            **shared,
            "at": at(10 * index),
            "memory_usage_bytes": (80 << 20) + index * 524_288,
            "memory_limit_bytes": 1 << 28,
        }
        for index in range(120)
    ]


def _heap(*taken_at: str, growth_bytes: int | None) -> dict[str, Any]:
    sentence = "`app.CACHE` (dict) keeps 9 000 `app.Session` alive, 120 MiB, 60 % of the heap"
    process = {"process": {"pid": 7, "program": "uvicorn"}, "snapshots": [{"taken_at": one} for one in taken_at]}
    return {"processes": [{**process, "suspects": [{"sentence": sentence, "growth_bytes": growth_bytes}]}]}


def test_a_suspect_that_snapshots_name_is_said_and_no_snapshot_is_advised_again() -> None:
    two = _heap("2026-11-24T03:05:00+00:00", "2026-11-24T03:06:00+00:00", growth_bytes=40 << 20)
    found = told("gradual-memory-increase", {"container_history": _rising(), "heap": two})
    assert "Memory of jarvis-api-1 rises by" in found.sentence
    assert "By 2 snapshots of the heap of uvicorn (7), 1 min apart, it grows: app.CACHE (dict) keeps" in found.sentence
    assert "snapshot" not in found.advice
    one = _heap("2026-11-24T03:05:00+00:00", growth_bytes=None)
    found = told("gradual-memory-increase", {"container_history": _rising(), "heap": one})
    assert "A snapshot of the heap of uvicorn (7) names who may keep it: app.CACHE" in found.sentence
    assert found.advice.startswith("Take a second snapshot")
    found = told("gradual-memory-increase", {"container_history": _rising()})
    assert found.advice.startswith("Take a memory snapshot now and one later")


@pytest.mark.parametrize(("where", "named"), [("a" * 64, True), ("b" * 64, False), ("c" * 64, True), ("", True)])
def test_a_suspect_in_another_container_than_the_one_that_grows_is_not_blamed(where: str, *, named: bool) -> None:
    heap = _heap("2026-11-24T03:05:00+00:00", "2026-11-24T03:06:00+00:00", growth_bytes=40 << 20)
    heap["processes"][0]["process"]["container"] = where
    rows = [{"name": name, "container_id": each * 64} for name, each in (("jarvis-api-1", "a"), ("worker-1", "b"))]
    found = told("gradual-memory-increase", {"container_history": _rising(), "heap": heap, "containers": rows})
    assert "Memory of jarvis-api-1 rises by" in found.sentence
    assert found.numbers["name"] == "jarvis-api-1"
    assert ("In worker-1: By 2 snapshots" in found.sentence) is not named
    assert found.advice.startswith("Take a memory snapshot now") is not named


def test_that_nobody_was_refused_claims_nothing_of_requests_that_are_not_logged() -> None:
    assert told("rate-limit-errors", {"requests": [], "errors": []}).sentence.startswith(
        "No request is in the logs, and "
    )


def test_a_request_served_just_before_the_end_is_no_last_word() -> None:
    gone = {**API, "state": "exited", "exit_code": 1, "finished_at": at(60)}
    rows = [
        {"at": at(59), "service": "jarvis-api", "name": "jarvis-api-1", "stream": "stdout", "line": line}
        for line in ("connection pool drained", "INFO [till] GET /history -> 200 in 117.5 ms")
    ]
    sentence = told("health-check-failing", {"containers": [gone], "logs": rows}).sentence
    assert "connection pool drained" in sentence
    assert "/history" not in sentence


def test_an_ai_request_that_passes_through_several_services_counts_once() -> None:
    rows = [
        request(second, 503 if second >= 60 else 200, service=service)
        for second in range(90)
        for service in ("nginx", "api", "provider")
    ]
    found = told("ai-responses-failing", {"requests": rows})
    assert found.sentence.startswith("30 of 30 AI requests failed since 03:01:00 UTC")


def test_of_many_things_asked_for_the_route_is_named() -> None:
    rows = [request(second, 500 if second > 20 else 200, f"/api/orders/{second}") for second in range(60)]
    assert "most on GET /api/orders/{id}" in told("5xx-error-spike", {"requests": rows}).sentence


def test_a_path_under_a_name_of_its_own_is_told_rather_than_that_requests_are_to_be_logged() -> None:
    line = '{"method":"GET","target_resource":"/item/7","status":200,"duration_ms":3}'
    logs = [{"at": at(second), "service": "api", "stream": "stdout", "line": line} for second in range(3)]
    logs += [{"at": at(4), "service": "worker", "stream": "stdout", "line": '{"msg":"method is fine","status":"ok"}'}]
    slow, failing = told("p95-latency", {"logs": logs}), told("5xx-error-spike", {"logs": logs})
    for verdict in (slow, failing):
        assert verdict.state is VerdictState.UNKNOWN
        assert "In 3 JSON lines of api with a method and a status, no path stands under a name that" in verdict.sentence
        assert verdict.advice.startswith("Have the path of each request logged under one of these names: path, ")
    assert slow.sentence.startswith("No line of the logs is read as a request with its duration")
    edge = [{"at": at(5), "service": "front", "line": '1.2.3.4 - - "GET /item/7 HTTP/1.1" 200 5'}]
    assert "In 3 JSON lines of api" in told("p95-latency", {"logs": [*logs, *edge]}).sentence  # front logs no duration
    silent = told("p95-latency", {"logs": edge})
    assert "JSON" not in silent.sentence
    assert silent.advice == "Have the API log each request's duration."


def test_errors_of_damage_ask_to_stop_writers_only_while_the_file_may_be_damaged() -> None:
    message = "sqlite3.DatabaseError: database disk image is malformed"
    errors = [{"at": at(0), "service": "jarvis-api", "message": message, "line": message}]

    def advice(*checks: tuple[str, bool]) -> str:
        rows = [{"check": name, "ok": ok, "message": "", "table": None} for name, ok in checks]
        return told(
            "sqlite-errors", {"errors": errors, "database_integrity": rows} if rows else {"errors": errors}
        ).advice

    assert advice(("quick_check", True), ("integrity_check", True)).startswith("Its own checks pass now")
    for unsure in ((), (("quick_check", True),), (("quick_check", True), ("integrity_check", False))):
        assert advice(*unsure).startswith("Stop what writes to it")
