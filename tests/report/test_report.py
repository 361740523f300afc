"""The report as data: what each section says of the example incident, and what it says when evidence is missing."""

import re
from dataclasses import fields, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from irkit import runbook
from irkit.bundle import Bundle
from irkit.bundle.manifest import Manifest
from irkit.charts import Band
from irkit.diagnose.verdicts import Diagnosis, Hypothesis
from irkit.model import CollectorRun, Event, EventKind, Outcome, Status, VerdictState, Window
from irkit.report import POSTMORTEM, Report, build
from irkit.report.facts import View
from irkit.report.figures import incident_strip, shown_window
from irkit.report.html import html
from irkit.report.parts import Gap, Shown
from tests.support.example_bundle import COLLECTED, CRASH, FIRST_500, START, TELLING, Row, example_bundle, logs
from tests.support.example_report import EARLIER, NOW, OPEN, RESOLVED, TIMELINE, TITLE, event, example_report, report_of

EVERYTHING = ("containers", "container_health", "container_events", "logs", "health")
# the sections that look closer at one type of incident, each of which lives on its own evidence
CLOSER = {
    *("latency", "routes", "probe_phases", "provider_latency", "queries"),
    *("providers", "failing_calls", "rate_limits"),
    *("integrity", "damage", "database_errors"),
    "resources",
    *("leak_suspects", "retained", "heap_map", "heap_growth"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return example_report(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Nothing could be looked at."""
    return example_report(tmp_path_factory.mktemp("blind"), leave_out=EVERYTHING, incident=OPEN)


@pytest.fixture(scope="module")
def dockerless(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Only the health endpoint could be looked at."""
    return example_report(tmp_path_factory.mktemp("dockerless"), leave_out=EVERYTHING[:-1], incident=OPEN)


def test_no_section_of_a_real_incident_fails(report: Report) -> None:
    failed = {name: getattr(report, name).reason for name in gaps_of(report)}
    assert set(failed) <= CLOSER
    assert {name: reason for name, reason in failed.items() if "could not be made" in reason} == {}


def gaps_of(report: Report) -> set[str]:
    return {field.name for field in fields(report) if isinstance(getattr(report, field.name), Gap)}


def test_the_header_answers_what_broke_since_when_and_why(report: Report) -> None:
    header = report.header
    assert not isinstance(header, Gap)
    assert (header.label, header.severity, header.status) == ("INC-42", "Critical", Status.RESOLVED)
    assert header.started_at == FIRST_500
    assert header.lasted == CRASH + timedelta(minutes=19) - FIRST_500  # until mitigated, when users felt it no more
    assert (header.response.state, header.response.sentence) == ("kept", "acknowledged after 4 min, 15 min allowed")
    assert header.likely.title == "API Unresponsive"
    first = header.likely.claims[0]
    assert first.text.startswith("jarvis-api exited with code 1 at 03:12:09 UTC; “5xx error spike” showed from ")
    assert first.quote == TELLING
    assert first.evidence == ("compose-services/containers", "container-logs/logs")


def test_the_header_shows_every_look_and_how_it_ended(report: Report) -> None:
    header = report.header
    assert not isinstance(header, Gap)
    outcomes = {run.collector: run.outcome for run in header.coverage}
    assert outcomes["redis-info"] is Outcome.FAILED
    assert outcomes["sqlite-statistics"] is Outcome.ABSENT
    assert outcomes["container-stats"] is Outcome.TIMED_OUT
    assert outcomes["container-logs"] is Outcome.PARTIAL


def test_a_source_that_is_not_configured_is_no_gap(tmp_path: Path) -> None:
    whole = example_bundle(tmp_path)
    reason = "no [prometheus] is configured"
    shared = {"command": "", "provides": ("metrics",), "evidence": (), "started_at": NOW}
    absent = CollectorRun(
        "prometheus",
        Outcome.ABSENT,
        reason,
        "set it",
        "",
        **shared,
        duration_s=0.0,
        size_bytes=0,  # type: ignore[arg-type]
    )
    bundle = replace(whole, manifest=replace(whole.manifest, runs=(*whole.manifest.runs, absent)))
    made = report_of(bundle)
    assert not isinstance(made.header, Gap)
    assert not isinstance(made.summary, Gap)
    assert made.header.not_configured == ("prometheus",)
    assert "prometheus" not in [run.collector for run in made.header.coverage]
    assert not any("prometheus" in lack.sources for lack in made.header.lacks)
    assert "4 of 7 sources looked at" in html(made.header)
    assert "not configured: prometheus" in html(made.header)
    assert made.summary.claims[2].text.startswith("3 of 7 sources could not be looked at (redis-info,")
    assert '<span class="muted">not configured</span>' in html(made.appendix)
    untaken = replace(absent, collector="heap-snapshots", subject="heaps", provides=("heap",))
    made = report_of(replace(whole, manifest=replace(whole.manifest, runs=(*whole.manifest.runs, untaken))))
    assert not isinstance(made.summary, Gap)
    assert "heap-snapshots" not in made.summary.claims[2].text, "nobody took one: there was nothing to look at"
    assert made.summary.claims[2].text.startswith("3 of 7 sources could not")
    assert "4 of 7 sources looked at" in html(made.header), "as many as the summary says"


def test_the_summary_is_three_sentences(report: Report) -> None:
    assert not isinstance(report.summary, Gap)
    lasted, points, looked = (claim.text for claim in report.summary.claims)
    assert lasted.endswith("lasted from 2026-11-23 03:08:41 UTC to 03:31:09 UTC, 22 min 28 s.")
    assert points.startswith("The evidence points at API Unresponsive: jarvis-api exited with code 1 at 03:12:09 UTC; ")
    assert looked == "3 of 7 sources could not be looked at (redis-info, sqlite-statistics, container-stats)."


def test_the_impact_is_counted_while_it_lasted(report: Report) -> None:
    assert not isinstance(report.impact, Gap)
    measures = {measure.name: measure for measure in report.impact.measures}
    assert measures["Failed requests"].value == "16"  # its 15 failed health checks are no user's
    assert measures["Failed requests"].note.endswith(
        "requests to jarvis-api, health checks aside; those refused while jarvis-api was down are in no log"
    )
    probes = measures["Failed health probes"]
    assert probes.value == "3 of 3"
    assert "all made when the evidence was collected" in probes.note
    assert measures["No request answered"].value == "9 min 26 s"
    assert all(measure.evidence for measure in measures.values()), "a number without a source"
    assert report.impact.strip is not None
    names = [lane.name for lane in report.impact.strip.lanes]
    assert names == [
        "Requests",
        "p95 latency",
        "Errors in the log",
        "Health probes",
        "Container health checks",
        "Container events",
    ]
    assert report.impact.strip.impact is not None
    assert report.impact.strip.impact.start == FIRST_500
    shown = {what: value for _, what, value in report.impact.strip.rows()[1]}
    checks = [(at, value) for at, what, value in report.impact.strip.rows()[1] if what == "Container health checks"]
    assert checks[0][1].startswith("jarvis-api answered a check with 50")
    assert not any("passed" in value for _, value in checks)
    assert re.fullmatch(r"\d+ of \d+ failed in \d+ s", shown["Requests"])
    assert re.fullmatch(r"\d+ in \d+ s", shown["Errors in the log"])
    assert shown["Health probes"] == "refused"


@pytest.fixture(scope="module")
def unrecorded(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Nobody recorded when it started; the evidence shows it."""
    return example_report(tmp_path_factory.mktemp("unrecorded"), incident=replace(RESOLVED, started_at=None))


def test_a_start_that_nobody_recorded_is_taken_from_the_evidence_and_marked(unrecorded: Report) -> None:
    header, summary, impact = unrecorded.header, unrecorded.summary, unrecorded.impact
    assert not isinstance(header, Gap)
    assert not isinstance(summary, Gap)
    assert not isinstance(impact, Gap)
    assert header.started_at is not None
    assert abs(header.started_at - FIRST_500) < timedelta(seconds=30)
    assert header.started_by_evidence
    assert header.started_at.microsecond == 0, "the command records full seconds"
    assert header.lasted == CRASH + timedelta(minutes=19) - header.started_at
    start = f"{header.started_at:%H:%M:%S} UTC"
    assert f"from 2026-11-23 {start} (by the evidence) to 03:31:09 UTC" in summary.claims[0].text
    assert "UTC, by the evidence</dd>" in html(header)
    assert impact.since.startswith(f"Counted from {start}, the start by the evidence")
    assert "impact shaded from its start by the evidence" in html(impact)
    assert impact.strip is not None
    assert impact.strip.impact is not None
    assert impact.strip.impact.start == header.started_at
    assert "start by the evidence" in [item.label for item in impact.strip.milestones]


def test_the_timeline_is_split_at_the_start_by_the_evidence(unrecorded: Report) -> None:
    timeline, milestones = unrecorded.timeline, unrecorded.milestones
    assert not isinstance(timeline, Gap)
    assert not isinstance(milestones, Gap)
    (row,) = [row for row in timeline.rows if row.text.startswith("Start of the impact by the evidence: “")]
    assert row.phase == "during"
    assert row.evidence
    assert {row.phase for row in timeline.rows if row.at < FIRST_500 - timedelta(minutes=1)} == {"before"}
    assert "Before the impact, its start taken from the evidence" in html(timeline)
    assert milestones.rows[0].verdict.startswith("started not recorded; ")
    assert milestones.rows[0].duration is None


def test_the_command_that_records_the_start_is_given(unrecorded: Report, report: Report) -> None:
    header, questions = unrecorded.header, unrecorded.open_questions
    assert not isinstance(header, Gap)
    assert not isinstance(questions, Gap)
    command = f"irkit amend 42 started_at {header.started_at:%Y-%m-%dT%H:%M:%SZ}"
    assert command in [claim.command for claim in questions.questions]
    assert f"<code>{command}</code>" in html(unrecorded.detection)
    assert "irkit amend" not in html(report)
    assert "by the evidence" not in html(report)


def test_a_recorded_start_wins_and_an_onset_after_detection_is_no_start(tmp_path: Path) -> None:
    bundle = example_bundle(tmp_path)
    recorded = CRASH - timedelta(seconds=30)
    late = report_of(bundle, replace(RESOLVED, started_at=recorded)).header
    early = report_of(bundle, replace(RESOLVED, started_at=None, detected_at=START)).header
    assert not isinstance(late, Gap)
    assert not isinstance(early, Gap)
    assert (late.started_at, late.started_by_evidence) == (recorded, False)
    assert (early.started_at, early.started_by_evidence) == (None, False)
    assert early.lasted == CRASH + timedelta(minutes=19) - START


@pytest.mark.parametrize(
    ("felt", "onsets", "minutes"),
    [
        ((50, 68), (), (45, 68.72)),  # ended after the evidence was collected: up to that, and a little more
        ((50, 90), (), (45, 60)),  # so long after that what was seen would have no room
        ((50, 52), (), (45, 57)),  # two minutes of crash after an hour of calm
        ((20, 60), (), (0, 60)),  # long: all of it
        ((50, 52), (30,), (19, 60)),  # the evidence saw it coming
        ((-90, 52), (), (0, 60)),  # started before the evidence does
        ((70, 80), (), (55, 60)),  # the evidence ends before it starts
    ],
)
def test_the_strip_shows_the_incident_and_what_led_to_it(
    felt: tuple[int, int], onsets: tuple[int, ...], minutes: tuple[float, float]
) -> None:
    window = Window(START, START + timedelta(minutes=60))
    start, end = (START + timedelta(minutes=minute) for minute in felt)
    shown = shown_window(window, Band(start, end), [START + timedelta(minutes=minute) for minute in onsets])
    assert (shown.start, shown.end) == tuple(START + timedelta(minutes=minute) for minute in minutes)


def test_what_came_after_the_evidence_is_marked_as_not_seen(tmp_path: Path) -> None:
    view = View(example_bundle(tmp_path))
    ended = COLLECTED + timedelta(minutes=5)
    strip = incident_strip(view, [("mitigated", ended), ("resolved", None)], Band(FIRST_500, ended), (), None)
    assert strip is not None
    assert strip.unseen_from is not None
    assert view.window.end <= strip.unseen_from < ended < strip.end
    assert [item.label for item in strip.milestones] == ["mitigated"]
    assert "no evidence after" in strip.alt
    over = incident_strip(view, [], Band(FIRST_500, COLLECTED), (), None)
    assert over is not None
    assert over.unseen_from is None


def test_the_strip_begins_where_something_was_recorded(tmp_path: Path) -> None:
    calm: list[Row] = [row for row in logs() if row["at"] >= FIRST_500]  # type: ignore[operator]
    view = View(example_bundle(tmp_path, instead={"logs": calm, "container_health": [], "container_events": []}))
    strip = incident_strip(view, [], Band(FIRST_500, COLLECTED), (), None)
    assert strip is not None
    assert timedelta() <= FIRST_500 - strip.start < timedelta(minutes=1, seconds=30)


def test_the_timeline_merges_people_and_evidence_in_order(report: Report) -> None:
    assert not isinstance(report.timeline, Gap)
    rows = report.timeline.rows
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert rows[0].text == "Evidence starts here."
    assert rows[0].phase == "before"
    texts = {row.text: row for row in rows}
    assert texts["Exited with code 1"].quote == TELLING
    assert texts["Exited with code 1"].phase == "during"
    (told,) = [row for text, row in texts.items() if text.startswith("First health check answered with 50")]
    assert FIRST_500 <= told.at < CRASH
    assert texts["Exited with code 1"].at == CRASH
    assert texts["Resolved: no 5xx for 20 minutes"].phase == "after"
    assert texts["Acknowledged"].person
    assert "Became unhealthy" in texts
    assert not any("nightly snapshot" in text for text in texts), "a written part is shown where it belongs"
    assert [row for row in rows if not row.person and row.who != "irkit" and not row.evidence] == []


def test_an_event_that_cites_an_older_bundle_leads_nowhere(tmp_path: Path) -> None:
    cited = ("container-logs/logs", "of-another-bundle/logs")
    note = Event(1, 42, CRASH, CRASH, EventKind.NOTE, "jon", "as the log says", cited)
    timeline = report_of(example_bundle(tmp_path), RESOLVED, (note,)).timeline
    assert not isinstance(timeline, Gap)
    (row,) = [row for row in timeline.rows if row.person]
    assert row.evidence == ("container-logs/logs",)


def test_a_long_timeline_leaves_out_evidence_and_says_so_but_never_people(tmp_path: Path) -> None:
    noisy = example_bundle(tmp_path)
    many = tuple(
        Event(i, 42, CRASH + timedelta(seconds=i), NOW, EventKind.NOTE, "jon", f"note {i}") for i in range(100)
    )
    timeline = report_of(noisy, RESOLVED, many).timeline
    assert not isinstance(timeline, Gap)
    assert sum(row.person for row in timeline.rows) == 100
    assert len(timeline.rows) + timeline.left_out == 100 + 8


def test_symptoms_are_found_before_unknown_before_clear(report: Report) -> None:
    assert not isinstance(report.symptoms, Gap)
    states = [row.state for row in report.symptoms.rows]
    order = [VerdictState.FOUND, VerdictState.UNKNOWN, VerdictState.CLEAR]
    assert states == sorted(states, key=order.index)
    found = {row.title for row in report.symptoms.rows if row.state is VerdictState.FOUND}
    assert {"Health check failing", "5xx error spike"} <= found
    assert report.symptoms.ranking[0].title == "API Unresponsive"


def test_notes_fill_the_parts_that_people_write(report: Report) -> None:
    assert not isinstance(report.header, Gap)
    assert not isinstance(report.causes, Gap)
    assert report.header.written == (2, 10)
    trigger = report.causes.parts[0]
    assert [answer.text for answer in trigger.answers] == ["The nightly snapshot remounts data/ read-only."]
    assert trigger.answers[0].by == "jon"
    assert report.causes.parts[1].answers == ()


def test_a_repair_that_is_no_step_is_told_under_resolution_and_on_the_timeline(tmp_path: Path) -> None:
    words = "Moved the logs off the full disk"
    noted = event(14, EventKind.NOTE, words, "jon", repair=True)
    aside = event(13, EventKind.NOTE, "The disk is full", "jon")
    made = report_of(example_bundle(tmp_path), RESOLVED, (*TIMELINE, noted, aside))
    assert not isinstance(made.resolution, Gap)
    assert not isinstance(made.timeline, Gap)
    assert [one.text for one in made.resolution.actions][:2] == [words, "Restarted jarvis-api after remounting data/"]
    assert {words, "The disk is full"} <= {row.text for row in made.timeline.rows}


def test_action_items_and_questions_come_from_notes(report: Report) -> None:
    assert not isinstance(report.action_items, Gap)
    assert not isinstance(report.open_questions, Gap)
    (item,) = report.action_items.items
    assert (item.owner, f"{item.due:%Y-%m-%d}") == ("jon", "2026-12-01")
    assert report.open_questions.questions[0].text == "Was anything written in between?"


def test_unknown_symptoms_are_open_questions_grouped_by_reason(dockerless: Report) -> None:
    assert not isinstance(dockerless.open_questions, Gap)
    assert not isinstance(dockerless.symptoms, Gap)
    texts = [claim.text for claim in dockerless.open_questions.questions]
    unknown = [row.title for row in dockerless.symptoms.rows if row.state is VerdictState.UNKNOWN]
    assert all(any(f"“{title}”" in text for text in texts) for title in unknown)
    assert len(texts) < len(unknown)


def test_sources_that_failed_alike_are_told_once(dockerless: Report) -> None:
    assert not isinstance(dockerless.header, Gap)
    together = dockerless.header.lacks[0]
    assert together.sources == ("compose-services", "container-events", "container-logs")
    assert together.reason == "cannot connect to the Docker daemon"
    assert [lack.sources for lack in dockerless.header.lacks[1:]] == [
        ("redis-info",),
        ("sqlite-statistics",),
        ("container-stats",),
    ]


def test_the_runbooks_steps_say_what_was_done(report: Report) -> None:
    assert not isinstance(report.resolution, Gap)
    assert [row.state for row in report.resolution.steps] == ["done", "not recorded", "not recorded"]
    assert [(one.by, one.text) for one in report.resolution.actions] == [
        ("jon", "Restarted jarvis-api after remounting data/"),
        ("jon", "Mitigated: the health endpoint answers 200"),
        ("maria", "Resolved: no 5xx for 20 minutes"),
    ]


@pytest.mark.parametrize(
    ("text", "data", "state", "note"),
    [
        ("ran docker-compose  restart\njarvis-api", {}, "done", ""),
        ("`docker-compose restart jarvis-api`: up again", {}, "done", ""),
        ("docker-compose restart jarvis-api-2", {}, "not recorded", ""),
        ("docker-compose restart jarvis-worker", {}, "not recorded", ""),
        ("never docker-compose restart jarvis-api blindly", {"section": "went-badly"}, "not recorded", ""),
        ("docker-compose restart jarvis-api would lose it", {"step": 1, "outcome": "skipped"}, "skipped", None),
        ("Step 1 (Restart the service): skipped. It hangs", {"step": 1, "outcome": "skipped"}, "skipped", "It hangs"),
        ("Step 1 (Restart the service): done", {"step": 1, "outcome": "done"}, "done", ""),
        (
            "restart jarvis-api is refused: it is gone",
            {"refused": "restart", "step": 1, "outcome": "blocked"},
            "tried, and it could not be done",
            None,
        ),
        ("scaled up, not docker-compose restart jarvis-api", {"step": 3, "outcome": "deviated"}, "not recorded", ""),
    ],
)
def test_a_step_is_done_by_a_note_that_has_its_command(
    text: str, data: dict[str, object], state: str, note: str | None, tmp_path: Path
) -> None:
    at = CRASH + timedelta(minutes=12)
    noted = Event(1, 42, at, at, EventKind.NOTE, "jon", text, data=data)
    resolution = report_of(example_bundle(tmp_path), RESOLVED, (noted,)).resolution
    assert not isinstance(resolution, Gap)
    first = resolution.steps[0]
    assert (first.state, first.note) == (state, text if note is None else note)
    assert first.by == ("" if state == "not recorded" else "the note of 03:24:09 UTC")


def test_that_an_action_began_is_no_line_of_the_resolution(tmp_path: Path) -> None:
    at = TIMELINE[-1].at
    acts = [
        Event(
            100 + n,
            42,
            at,
            at,
            EventKind.ACTION,
            "ana",
            f"restart api: {how}",
            (),
            {"run": "1", "outcome": how, "step": 1},
        )
        for n, how in enumerate(("begun", "done"))
    ]
    made = report_of(example_bundle(tmp_path), RESOLVED, (*TIMELINE, *acts))
    assert not isinstance(made.resolution, Gap)
    told = [answer.text for answer in made.resolution.actions]
    assert "restart api: done" in told
    assert "restart api: begun" not in told


def test_the_words_of_a_mitigation_tell_of_a_step_too(tmp_path: Path) -> None:
    at = CRASH + timedelta(minutes=19)
    mitigated = Event(1, 42, at, at, EventKind.MITIGATED, "jon", "docker-compose restart jarvis-api: healthy again")
    resolution = report_of(example_bundle(tmp_path), RESOLVED, (mitigated,)).resolution
    assert not isinstance(resolution, Gap)
    assert (resolution.steps[0].state, resolution.steps[0].by) == ("done", "the mitigation of 03:31:09 UTC")


def test_the_table_of_scores_says_what_counts_less_and_the_headline_leads_there(tmp_path: Path) -> None:
    shared = "Timeout errors counts 1/2, found or not: 2 types share it"
    hypothesis = Hypothesis("api-unresponsive", 0.8, (), (), (), (shared,))
    bundle = example_bundle(tmp_path)
    made = build(
        incident=RESOLVED,
        timeline=TIMELINE,
        runbook=runbook.load(),
        bundle=bundle,
        diagnosis=Diagnosis((), (hypothesis,)),
        now=NOW,
    )
    assert '<a href="#scores">Score 0.80 of 1</a>' in html(made.header)
    assert 'id="scores"' in html(made.symptoms)
    assert shared in html(made.symptoms)
    assert "symptoms counts 1 in both, or 1/n where n types share it" in html(made.symptoms)


@pytest.mark.parametrize(
    ("milestones", "placed"),
    [
        ({}, "after acknowledgement and before mitigation"),
        ({"mitigated_at": None, "resolved_at": None}, "after acknowledgement"),
        ({"mitigated_at": COLLECTED - timedelta(seconds=1)}, "after mitigation and before resolution"),
        (dict.fromkeys(("detected_at", "acknowledged_at", "mitigated_at")), "before resolution"),
    ],
)
def test_the_appendix_says_between_which_milestones_it_was_collected(
    milestones: dict[str, datetime | None], placed: str, tmp_path: Path
) -> None:
    made = report_of(example_bundle(tmp_path), replace(RESOLVED, **milestones))  # type: ignore[arg-type]
    assert not isinstance(made.appendix, Gap)
    assert (made.appendix.collected_at, made.appendix.placed) == (COLLECTED, placed)
    assert re.search(rf"collected <time[^>]*>2026-11-23 03:21:30</time> UTC, {placed}, sealed", html(made.appendix))


def test_the_impact_is_signed_by_who_gave_it(tmp_path: Path) -> None:
    at = RESOLVED.opened_at
    opened = Event(1, 42, at, at, EventKind.OPENED, "pager", TITLE, data={"impact": "nobody can chat"})
    later = at + timedelta(minutes=9)
    amended = Event(2, 42, later, later, EventKind.AMENDED, "jon", "", data={"impact": "half cannot chat"})
    bundle = example_bundle(tmp_path)
    for timeline, signed in (((opened,), ("pager", at)), ((opened, amended), ("jon", later))):
        impact = report_of(bundle, replace(RESOLVED, impact="nobody can chat"), timeline).impact
        assert not isinstance(impact, Gap)
        (answer,) = impact.told.answers
        assert (answer.by, answer.at) == signed


def test_similar_incidents_are_of_the_same_type(report: Report) -> None:
    assert not isinstance(report.similar, Gap)
    assert [row.helped for row in report.similar.rows] == [""]
    assert "not recorded" in html(report.similar)
    assert [(row.label, row.common) for row in report.similar.rows] == [("INC-17", "also API Unresponsive")]


def test_an_incident_opened_later_is_no_precedent(tmp_path: Path) -> None:
    later = replace(RESOLVED, id=43, opened_at=RESOLVED.opened_at + timedelta(minutes=1))
    other = replace(EARLIER, id=18, type="high-latency")
    diagnosis, book, bundle = Diagnosis((), ()), runbook.load(), example_bundle(tmp_path)
    similar = build(
        incident=RESOLVED,
        timeline=TIMELINE,
        runbook=book,
        bundle=bundle,
        diagnosis=diagnosis,
        now=NOW,
        others=(RESOLVED, later, EARLIER, other),
    ).similar
    assert not isinstance(similar, Gap)
    assert [row.label for row in similar.rows] == ["INC-17"]


def test_the_log_is_shown_where_it_began_and_where_it_ended(report: Report) -> None:
    assert not isinstance(report.log, Gap)
    assert report.log.parts[-1].title == "Before jarvis-api exited at 03:12:09 UTC"
    (marked,) = [row for part in report.log.parts for row in part.rows if row.marked]
    assert marked.line == TELLING


def test_the_next_steps_are_the_runbooks_own(report: Report) -> None:
    assert not isinstance(report.next_steps, Gap)
    assert report.next_steps.steps[0].typed == "irkit act 42 restart jarvis-api"
    assert report.next_steps.steps[0].step.command == "docker-compose restart jarvis-api"
    assert any("PagerDuty" in line for line in report.next_steps.tell)


def test_the_runbooks_commands_name_what_is_here(tmp_path: Path) -> None:
    places = {"jarvis-api": "till"}
    made = report_of(example_bundle(tmp_path), places=places)
    assert not isinstance(made.next_steps, Gap)
    assert made.next_steps.steps[0].step.command == "docker-compose restart till"
    assert any(one.text.endswith("logs --tail=100 till") for one in made.next_steps.commands)


def test_a_step_that_a_published_port_stands_in_the_way_of_says_so(report: Report) -> None:
    assert not isinstance(report.next_steps, Gap)
    said = report.next_steps.steps[2].against
    assert said.startswith("jarvis-api publishes port 8000 of this host, which only one container can have")
    assert "publish a range in the compose file" in str(report.next_steps)
    assert not report.next_steps.steps[0].against


def test_with_nothing_to_look_at_nothing_is_called_clear(blind: Report) -> None:
    assert gaps_of(blind) == {"containers", "log", "log_patterns", "health"} | CLOSER
    assert not isinstance(blind.header, Gap)
    assert not isinstance(blind.symptoms, Gap)
    assert not isinstance(blind.impact, Gap)
    assert blind.header.likely.title is None
    assert "could not be looked at" in blind.header.likely.note
    assert {row.state for row in blind.symptoms.rows} == {VerdictState.UNKNOWN}
    assert blind.impact.strip is None
    assert blind.impact.gaps[0].startswith("Requests and error lines are unknown: container-logs failed")
    assert isinstance(blind.log, Gap)
    assert blind.log.reason == "container-logs failed: cannot connect to the Docker daemon."
    shown = html(blind.log)
    assert "<strong>Unknown.</strong> Container-logs failed: cannot connect to the Docker daemon." in shown


def test_an_open_incident_counts_on(blind: Report) -> None:
    assert not isinstance(blind.header, Gap)
    assert blind.header.ended_at is None
    assert blind.header.lasted == NOW - OPEN.opened_at
    assert blind.header.response.state == "missed"
    assert not isinstance(blind.milestones, Gap)
    assert [row.verdict for row in blind.milestones.rows][1] == "missed"


def test_a_bundle_that_was_never_collected_still_makes_a_report() -> None:
    reason = "no evidence was collected, and this run was told not to (collect: never)"
    kinds = ("logs",)
    run = CollectorRun("container-logs", Outcome.SKIPPED, reason, "", "", "", kinds, (), NOW, 0.0, 0)
    empty = Bundle(Path(), Manifest(1, "0.1.0", "none", 42, Window(START, NOW), NOW, (run,), ()))
    made = report_of(empty, OPEN, TIMELINE[:2])
    assert gaps_of(made) == {"containers", "log", "log_patterns", "health"} | CLOSER
    assert not isinstance(made.summary, Gap)
    assert made.summary.claims[-1].text == "None of the sources could be looked at."
    assert not isinstance(made.open_questions, Gap)
    assert made.open_questions.questions[0].text == "Was any of the runbook's 14 symptoms there? Nobody looked."
    assert "Without evidence, no type can be named" in html(made.header)


def test_one_failing_section_does_not_stop_the_others(tmp_path: Path) -> None:
    bundle = example_bundle(tmp_path)
    (bundle.path / "container-logs" / "logs.parquet").write_bytes(b"not parquet")
    made = build(
        incident=RESOLVED,
        timeline=TIMELINE,
        runbook=runbook.load(),
        bundle=bundle,
        diagnosis=Diagnosis((), ()),
        now=NOW,
    )
    assert isinstance(made.impact, Gap)
    assert "could not be made from the evidence" in made.impact.reason
    assert not isinstance(made.containers, Gap)
    assert not isinstance(made.milestones, Gap)


def test_a_severity_or_type_the_runbook_no_longer_knows_is_said(tmp_path: Path) -> None:
    made = report_of(example_bundle(tmp_path), replace(RESOLVED, severity="Sev0", type="meteor-strike"))
    assert not isinstance(made.header, Gap)
    assert made.header.response.state == "unknown"
    assert made.header.filed_as == "meteor-strike"
    assert made.header.likely.note == "It was filed as meteor-strike; the evidence says otherwise."
    assert isinstance(made.milestones, Gap)


def test_the_postmortem_leaves_the_working_sections_out(report: Report) -> None:
    assert len(report.sections) == len(POSTMORTEM)
    assert report.containers not in report.sections


def test_a_section_is_made_once_and_only_when_it_is_asked_for(tmp_path: Path) -> None:
    report = example_report(tmp_path)
    assert all(isinstance(part, Shown) for part in report.sections)
    assert not isinstance(object.__getattribute__(report, "latency"), Shown)
    assert report.latency is report.latency is object.__getattribute__(report, "latency")
