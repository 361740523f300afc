"""Where an incident stands: a restart that did not help is told, with the step that comes next."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from irkit import runbook
from irkit.act.engine import Proposed, StepLine
from irkit.diagnose.service_names import hindrance
from irkit.diagnose.verdicts import Diagnosis, Hypothesis
from irkit.model import Event, EventKind, Finding, Incident, IncidentType, Status, Verdict, VerdictState
from irkit.report import facts
from irkit.report.facts import View
from irkit.report.standing import Standing, standing
from irkit.terminal import incidents as terminal
from tests.support.example_bundle import CRASH, Row, containers, example_bundle, health
from tests.support.text import drawn
from tests.support.type_evidence import COLLECTED, container, sealed

BOOK = runbook.load()
KIND = BOOK.incident_type("api-unresponsive")
OPEN = Incident(42, "Down", KIND.slug, "Critical", Status.ACKNOWLEDGED, CRASH, acknowledged_at=CRASH)


def seen(folder: Path, *events: tuple[float, str, int | None], well: bool = False) -> View:
    """A bundle with those events of the API's container: minutes after the crash, action, exit code."""
    shared: Row = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1", "image": "jarvis-api"}
    rows: list[Row] = [
        shared | {"at": CRASH + timedelta(minutes=minutes), "action": action, "exit_code": code}
        for minutes, action, code in events
    ]
    api, redis = containers()
    sound = {"state": "running", "health": "healthy", "exit_code": None, "finished_at": None}
    failed = {"finished_at": rows[-1]["at"]} if rows else {}
    probes = [row | ({"verdict": "healthy", "status_code": 200} if well else {}) for row in health()]
    told = {"container_events": rows, "containers": [api | (sound if well else failed), redis], "health": probes}
    return View(example_bundle(folder, instead=told))


def well_row() -> Row:
    return health()[-1] | {"verdict": "healthy", "status_code": 200}


def did(number: int, step: int, outcome: str = "done") -> Event:
    at = CRASH + timedelta(minutes=number)
    return Event(number, 42, at, at, EventKind.NOTE, "ana", "", (), {"step": step, "outcome": outcome})


NONE: Mapping[int, str] = MappingProxyType({})


def lines(kind: IncidentType, ours: Mapping[int, str] = NONE, view: View | None = None) -> Proposed:
    """The steps of a type as they are proposed, with commands of ours and what of the evidence stands against them."""
    made = [StepLine(step, "pending", ours.get(step.number, "")) for step in kind.resolution]
    hints = ("SERVICE stands for the one you mean of till and kv.",)
    return Proposed(
        tuple(replace(one, against=hindrance(one.typed, view.source) if view else "") for one in made), hints
    )


def told(stands: Standing, incident: Incident = OPEN) -> str:
    return drawn(terminal.next_steps(incident, Diagnosis((), ()), BOOK, stands, lines))


RELAPSE = ((0, "die", 1), (4, "start", None), (4.1, "die", 1))


def test_a_crash_after_a_restart_is_told_and_the_next_step_named(tmp_path: Path) -> None:
    said = told(standing([did(5, 1)], KIND, seen(tmp_path, *RELAPSE)))
    assert "1. Restart the service  done\n     docker-compose restart jarvis-api\n" in said
    assert "jarvis-api was started again at 03:16:09 UTC and exited again, with code 1, 6 s later" in said
    assert 'irkit step 42 1 --failed "what shows it"' in said
    assert "Next: step 2 of the runbook" in said


def test_an_exit_is_told_with_the_start_before_it_and_no_earlier_one(tmp_path: Path) -> None:
    """The events end where the window does, and the state of the container goes on: it was started once more."""
    loop = ((0, "die", 1), (4, "start", None), (4.01, "die", 1), (4.5, "start", None), (4.51, "die", 1))
    found = facts.relapse(seen(tmp_path / "all", *loop))
    assert found is not None
    assert found.ended_at - found.started_at == timedelta(minutes=0.01)
    view = seen(tmp_path / "cut", *loop[:3])
    ended = CRASH + timedelta(minutes=4.51)
    state = {"service": "jarvis-api", "state": "exited", "exit_code": 1, "finished_at": ended}
    [api, redis] = containers()
    rows = list(view.records("container_events"))
    cut = {"container_events": rows, "health": health()}
    without = View(example_bundle(tmp_path / "a", instead=cut | {"containers": [api | state, redis]}))
    found = facts.relapse(without)
    assert found is not None
    assert (found.started_at, found.ended_at) == (CRASH + timedelta(minutes=4), CRASH + timedelta(minutes=4.01))
    state["started_at"] = CRASH + timedelta(minutes=4.5)
    found = facts.relapse(View(example_bundle(tmp_path / "b", instead=cut | {"containers": [api | state, redis]})))
    assert found is not None
    assert (found.started_at, found.ended_at) == (state["started_at"], ended)


def test_what_runs_on_since_or_was_removed_has_not_relapsed(tmp_path: Path) -> None:
    rows = list(seen(tmp_path / "all", *RELAPSE).records("container_events"))
    [api, redis] = containers()

    def relapsed(folder: str, *now: Row) -> bool:
        told = {"container_events": rows, "containers": list(now), "health": health()}
        return facts.relapse(View(example_bundle(tmp_path / folder, instead=told))) is not None

    runs = {"state": "running", "health": "healthy", "exit_code": None, "finished_at": None}
    last = CRASH + timedelta(minutes=4.1)
    assert not relapsed("on", api | runs | {"started_at": last + timedelta(seconds=5)}, redis)
    window = seen(tmp_path / "w").window
    assert relapsed("loop", api | runs | {"started_at": window.end - timedelta(seconds=5)}, redis)
    assert not relapsed("gone", redis)


def test_once_that_is_recorded_nothing_asks_for_it_again(tmp_path: Path) -> None:
    said = told(standing([did(5, 1), did(6, 1, "failed")], KIND, seen(tmp_path, *RELAPSE)))
    assert "done, and it did not help" in said
    assert "--failed" not in said.partition("then record it")[2].partition("\n")[2]
    assert "Next: step 2 of the runbook" in said


def test_with_no_step_left_the_next_is_to_escalate(tmp_path: Path) -> None:
    said = told(standing([did(one, one, "failed") for one in (1, 2, 3)], KIND, seen(tmp_path, *RELAPSE)))
    assert "no step is left, and the service is broken; get help:\n  irkit escalate 42 --again\n" in said


def test_a_step_that_would_be_refused_is_not_the_next_without_the_reason_and_the_way_on(tmp_path: Path) -> None:
    view = seen(tmp_path, *RELAPSE)
    stands = standing([did(5, 1, "failed"), did(6, 2)], KIND, view)
    ours = {3: "irkit act 42 scale jarvis-api 3"}

    def said(against: View | None) -> str:
        steps = partial(lines, ours=ours, view=against)
        return drawn(terminal.next_steps(OPEN, Diagnosis((), ()), BOOK, stands, steps))

    hindered = " ".join(said(view).split())
    why = "jarvis-api publishes port 8000 of this host, which only one container can have"
    assert f"irkit act 42 scale jarvis-api 3 {why}" in hindered
    assert f"Next: step 3 of the runbook, If persists, scale up: {why}" in hindered
    assert 'Where it is to be left out: irkit step 42 3 --skipped "why"' in hindered
    free = said(None)
    assert "publishes port" not in free
    assert "Next: step 3 of the runbook, If persists, scale up:\n  irkit act 42 scale jarvis-api 3\n" in free


def test_a_step_that_looks_into_what_does_not_run_is_not_the_first_offered(tmp_path: Path) -> None:
    view = seen(tmp_path, *RELAPSE)
    stands = standing([], KIND, view)
    ours = {1: "irkit memory snapshot --container jarvis-api --incident 42", 2: "irkit act 42 start jarvis-api"}

    def said(against: View | None) -> str:
        steps = partial(lines, ours=ours, view=against)
        return drawn(terminal.next_steps(OPEN, Diagnosis((), ()), BOOK, stands, steps))

    hindered = " ".join(said(view).split())
    assert "jarvis-api does not run, and has no memory to look into" in hindered
    assert "Next: step 2 of the runbook" in hindered
    assert "Next: step 1 of the runbook" in said(None)


def test_a_restart_that_helped_leads_to_the_mitigation(tmp_path: Path) -> None:
    stands = standing([did(5, 1)], KIND, seen(tmp_path, (0, "die", 1), (4, "start", None), well=True))
    assert (stands.broken, stands.relapse, stands.in_vain) == (False, "", None)
    assert "Next: once users are well:\n  irkit mitigate 42 " in told(stands)
    assert "It holds in this evidence" in told(stands)
    # a service that is well before anybody did anything has not been mended
    assert "It holds" not in told(replace(stands, tries={}))


def test_what_could_not_be_looked_at_is_not_said_to_be_well(tmp_path: Path) -> None:
    alone = View(example_bundle(tmp_path, leave_out=("containers",), instead={"health": [well_row() for _ in "x"]}))
    stands = standing([did(5, 1)], KIND, alone)
    assert (stands.broken, stands.seen) == (False, ("health",))
    assert "the service answered, and no container could be looked at" in told(stands)


def test_once_it_is_mended_nobody_is_sent_to_another_type(tmp_path: Path) -> None:
    """What is left of the breakage in the window would make it another type's."""
    leak = Hypothesis(
        "memory-leak", 0.3, (Finding("x", ("memory-leak",), "X", Verdict(VerdictState.FOUND, "X."), ()),), (), ()
    )
    mended = standing([did(5, 1)], KIND, seen(tmp_path, (0, "die", 1), (4, "start", None), well=True))

    def said(stands: Standing) -> str:
        return drawn(terminal.next_steps(OPEN, Diagnosis((), (leak,)), BOOK, stands, lines))

    assert "irkit amend 42 type memory-leak" not in said(mended)
    assert f"What the runbook says to do: {KIND.title}" in said(mended)
    assert "irkit amend 42 type memory-leak" in said(replace(mended, tries={}))


def test_a_service_that_answers_is_not_said_to_hold_where_what_was_found_goes_on(tmp_path: Path) -> None:
    stands = replace(standing([did(5, 1)], KIND, View(example_bundle(tmp_path))), broken=False, relapse="")
    spike = Finding("5xx-error-spike", (KIND.slug,), "5xx error spike", Verdict(VerdictState.FOUND, "It fails."), ())
    over = replace(spike, verdict=replace(spike.verdict, until=CRASH))

    def said(*findings: Finding) -> str:
        return drawn(terminal.next_steps(OPEN, Diagnosis(findings, ()), BOOK, stands, lines))

    assert "nothing shows that this is over: 5xx error spike." in said(spike)
    assert "It holds" not in said(spike)
    assert "It holds in this evidence" in said(over)


def test_where_nothing_tells_how_it_is_nothing_is_claimed(tmp_path: Path) -> None:
    nothing: dict[str, list[Row]] = {"health": [], "containers": [], "container_events": []}
    stands = standing([did(5, 1)], KIND, View(example_bundle(tmp_path, instead=nothing)))
    assert (stands.broken, stands.in_vain) == (None, None)
    assert "It holds" not in told(stands)


@pytest.mark.parametrize(
    "events",
    [
        ((0, "die", 1),),
        ((0, "die", 1), (4, "start", None)),
        ((-9, "start", None), (0, "die", 1)),  # the start it had run since
        (
            (0, "die", 143),
            (0.1, "start", None),
            (4, "die", 1),
        ),  # stopped on purpose, then it crashed for the first time
    ],
)
def test_one_crash_is_no_relapse(events: tuple[tuple[float, str, int | None], ...], tmp_path: Path) -> None:
    assert facts.relapse(seen(tmp_path, *events)) is None


def test_of_many_crashes_the_first_is_told_and_the_others_counted(tmp_path: Path) -> None:
    claim = facts.telling(seen(tmp_path, *RELAPSE))
    assert claim is not None
    expected = (
        "jarvis-api exited with code 1 at 03:12:09 UTC, and 1 more time after that, the last time at 03:16:15 UTC"
    )
    assert claim.text == expected


def test_a_step_that_only_looks_is_not_blamed_for_a_service_that_stays_broken(tmp_path: Path) -> None:
    view = seen(tmp_path, *RELAPSE)
    stands = standing([did(5, 2)], KIND, view)
    assert stands.broken
    assert stands.in_vain is None
    both = standing([did(4, 1), did(5, 2)], KIND, view)
    assert both.in_vain is not None
    assert both.in_vain.number == 1


def test_what_counts_is_the_order_of_what_was_done_not_of_what_was_entered(tmp_path: Path) -> None:
    late = Event(
        9, 42, CRASH + timedelta(minutes=2), CRASH, EventKind.NOTE, "ana", "", (), {"step": 1, "outcome": "failed"}
    )
    stands = standing([did(5, 1), late], KIND, seen(tmp_path))
    assert [one.outcome for one in stands.tries[1]] == ["failed", "done"]


def test_what_irkit_itself_stopped_is_no_failed_repair(tmp_path: Path) -> None:
    """Stopped for a restore, everything is down: what comes next is the start, and nobody is paged for it."""
    view = seen(tmp_path, (0, "die", 143))

    def action(minutes: float, name: str) -> Event:
        at = view.window.end - timedelta(minutes=minutes)
        data = {"action": name, "outcome": "done", "changes": True}
        return Event(round(90 - minutes), 42, at, at, EventKind.ACTION, "ana", name, (), data)

    taken = [did(5, step.number) for step in KIND.resolution]
    held = standing([*taken, action(5, "stop-all")], KIND, view)
    said = told(held)
    assert (
        "All services are stopped since 03:16:30 UTC, by stop-all of ana: that they do not run is no failure." in said
    )
    assert "Next: start what was stopped:\n  irkit act 42 start-all" in said
    assert "still broken" not in said
    assert "escalate" not in said
    left = told(standing([taken[0], action(5, "stop-all")], KIND, view))
    assert "Next: step 2 of the runbook" in left, "what is to be done meanwhile comes first"
    again = told(standing([*taken, action(5, "stop-all"), action(4, "start-all")], KIND, view))
    assert "All services are stopped" not in again
    assert "still broken" in again
    before = standing([*taken, action(-1, "stop-all")], KIND, view)
    assert before.stopped is None, "this evidence was collected before"


def test_a_switch_to_a_healthy_provider_holds_though_the_old_one_is_down(tmp_path: Path) -> None:
    kind = BOOK.incident_type("provider-failures")
    data = {"action": "switch-provider", "target": "beta", "outcome": "done", "verified": None, "changes": True}

    def broken(beta: object = True, code: int = 200, after_s: float = -60, **changed: object) -> bool | None:  # noqa: FBT002
        probe: Row = {"at": COLLECTED, "url": "http://x/", "verdict": "unhealthy", "status_code": code}
        rows: list[Row] = [{"name": "alpha", "healthy": False}, {"name": "beta", "healthy": beta}]
        folder = tmp_path / f"{beta}{code}{after_s}{len(changed)}"
        evidence = {"health": [probe], "providers": rows, "containers": [container("jarvis-api")]}
        at = COLLECTED + timedelta(seconds=after_s)
        switch = Event(9, 42, at, at, EventKind.ACTION, "ana", "", (), data | {"run": "1", "step": 2} | changed)
        return standing([switch], kind, View(sealed(folder, evidence))).broken

    assert broken() is False
    assert broken(beta=False) is True
    assert broken(beta=None) is True
    assert broken(code=503) is True
    assert broken(verified=False) is True, "it did not help"
    assert broken(after_s=60) is True, "the evidence is of before it"


def test_what_a_placeholder_stands_for_is_told_only_where_a_shown_line_has_it(tmp_path: Path) -> None:
    view = seen(tmp_path, *RELAPSE)
    hint = "SERVICE stands for the one you mean of till and kv."
    crashed = Hypothesis(
        KIND.slug, 0.9, (Finding("x", (KIND.slug,), "X", Verdict(VerdictState.FOUND, "X."), ()),), (), ()
    )
    leak = replace(crashed, incident_type="memory-leak")

    def said(likely: Hypothesis, *done: int) -> str:
        stands = standing([did(5, one) for one in done], KIND, view)
        ours = {1: "irkit act 42 restart SERVICE", 2: "irkit act 42 scale till 3"}

        def steps(kind: IncidentType) -> Proposed:
            made = lines(kind, ours if kind is KIND else NONE)
            return made if kind is KIND else replace(made, hints=())

        return drawn(terminal.next_steps(OPEN, Diagnosis((), (likely,)), BOOK, stands, steps))

    assert said(crashed).count(hint) == 1, "its line is shown, and is the next"
    assert said(leak).count(hint) == 1, "the chapter that is shown is another, and the next step has it"
    assert hint not in said(leak, 1)
