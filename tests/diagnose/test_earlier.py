"""The beginning of an incident is that of all its evidence: a container that was replaced took its logs with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from irkit import conclusions, workspace
from irkit.bundle import Bundle, bundles_of
from irkit.bundle.later import bundle_in_use
from irkit.collect.redact_bundle import redact_bundle
from irkit.diagnose.earlier import earlier_bundles, with_beginning
from irkit.diagnose.verdicts import Diagnosis
from irkit.model import EventKind, VerdictState
from irkit.redact import Redactor
from tests.cli.test_commands import Run, irkit
from tests.support.type_evidence import Row, at, damaged, healthy, line, request, sealed

__all__ = ["irkit"]
MALFORMED = "sqlite3.DatabaseError: database disk image is malformed"
FIRST = at(300)
AGAIN = at(780)
DAMAGED = ("--type", "database-corruption", "--id", "42", "--at", f"{at(590):%Y-%m-%dT%H:%M:%SZ}", "--no-escalation")


def replaced(second: int, since: int, until: int) -> dict[str, Any]:
    """Evidence of a container that was replaced at a second: its logs begin there, and its reads fail from `since`."""
    logs: list[Row] = [request(one, "/api/chat", 200, 0.04) for one in range(second, min(since, until))]
    for one in range(since, until, 2):
        stamp = f"{at(one):%Y-%m-%dT%H:%M:%S}.000Z"
        logs.append(line(one, f"{stamp} ERROR jarvis-api request failed: {MALFORMED}", stream="stderr"))
        logs.append(request(one, "/api/chat", 500, 0.02))
    return {"logs": sorted(logs, key=lambda row: row["at"]), "database_integrity": damaged()["database_integrity"]}


@pytest.fixture
def home(irkit: Run, tmp_path: Path) -> Path:
    assert irkit("open", "Chats fail", *DAMAGED).code == 0
    return tmp_path / ".irkit"


@pytest.fixture
def broken(home: Path) -> Bundle:
    return sealed(home, damaged())


@pytest.fixture
def rolled_back(home: Path, broken: Bundle) -> Bundle:
    assert broken.path.parent.parent == home / "bundles"
    return sealed(home, replaced(720, 780, 1200), collected=at(1200))


def record(kind: EventKind, second: float, text: str, data: Mapping[str, object] | None = None) -> None:
    workspace.store().append(42, kind, at=at(second), actor="ana", text=text, data=data or {})


def seen(bundle: Bundle) -> Diagnosis:
    return conclusions.whole_diagnosis(bundle)


def test_a_later_look_tells_no_later_beginning_than_an_earlier_one_shows(broken: Bundle, rolled_back: Bundle) -> None:
    alone, found = conclusions.diagnosis(rolled_back), seen(rolled_back)
    assert alone.first_sign == AGAIN
    assert alone.earlier is None
    first = conclusions.diagnosis(broken)
    assert found.first_sign == first.first_sign == FIRST
    assert found.onset == first.onset
    assert found.onset is not None
    assert found.since == found.onset.latest < AGAIN
    assert found.onset_bundle == broken.id
    assert found.earlier is not None
    assert (found.earlier.bundle_id, found.earlier.seal) == (broken.id, broken.manifest.seal)
    assert {one.symptom for one in found.starting} <= {one.symptom for one in first.starting}
    assert not any(one.evidence for one in found.starting), "of that name, this bundle has evidence of its own"
    assert found.findings == alone.findings
    assert found.ranking == alone.ranking


def test_the_first_look_and_one_that_shows_it_as_early_have_their_own_beginning(home: Path, broken: Bundle) -> None:
    assert seen(broken) == conclusions.diagnosis(broken)
    again = sealed(home, replaced(0, 300, 1200), collected=at(1200))
    assert seen(again).earlier is None
    assert seen(again).first_sign == FIRST


def test_a_look_that_shows_nothing_any_more_has_the_beginning_of_the_one_before(home: Path, broken: Bundle) -> None:
    well = sealed(home, {kind: healthy()[kind] for kind in ("containers", "health")}, collected=at(1200))
    assert conclusions.diagnosis(well).first_sign is None
    assert seen(well).first_sign == FIRST
    assert seen(well).onset == conclusions.diagnosis(broken).onset
    assert seen(well).findings == conclusions.diagnosis(well).findings


def test_what_was_mended_and_taken_up_again_is_another_spell(broken: Bundle, rolled_back: Bundle) -> None:
    record(EventKind.MITIGATED, 700, "rolled back")
    record(EventKind.RESOLVED, 760, "rolled back")
    record(EventKind.REOPENED, 1000, "it is back")
    assert seen(rolled_back).first_sign == AGAIN
    assert seen(rolled_back) == conclusions.diagnosis(rolled_back)
    assert seen(broken).first_sign == FIRST


def test_what_was_over_before_what_goes_on_now_began_is_no_beginning_of_it(home: Path) -> None:
    """Slow from the first minute to the fourth, of which nothing is left later; damaged from the thirteenth on."""
    slow = [request(second, "/api/chat", 200, 4.0 if 60 <= second < 240 else 0.04) for second in range(600)]
    first = sealed(home, {"logs": slow})
    late = sealed(home, replaced(720, 780, 1200), collected=at(1200))
    assert conclusions.diagnosis(first).first_sign is not None
    assert seen(late) == conclusions.diagnosis(late)


def test_a_broken_older_bundle_is_told_and_the_others_are_asked(
    irkit: Run, home: Path, broken: Bundle, rolled_back: Bundle
) -> None:
    spoiled = sealed(home, damaged(), collected=at(660))
    (spoiled.path / "logs.parquet").write_bytes(b"other")
    torn = sealed(home, damaged(), collected=at(670))
    (torn.path / "manifest.json").write_text("{")
    found = seen(rolled_back)
    assert found.earlier is not None
    assert found.earlier.bundle_id == broken.id
    assert [spoiled.id in one or torn.id in one for one in found.unread] == [True, True]
    said = irkit("triage", "42", "--bundle", rolled_back.id)
    assert said.code == 0
    words = " ".join(said.out.split())
    assert f"Since when earlier evidence shows it is not known: bundle {spoiled.id} cannot be trusted" in words
    assert f"the manifest of bundle {torn.id} cannot be read" in words
    (broken.path / "logs.parquet").write_bytes(b"other")
    assert seen(rolled_back).first_sign == AGAIN
    assert len(seen(rolled_back).unread) == 3
    asked = str(conclusions.postmortem(workspace.incident(42), rolled_back).open_questions)
    assert f"not known: bundle {broken.id} cannot be trusted" in " ".join(asked.split())


def test_a_newer_bundle_tells_nothing_of_an_older_one_not_even_that_it_is_broken(home: Path, broken: Bundle) -> None:
    torn = sealed(home, damaged(), collected=at(1200))
    (torn.path / "manifest.json").write_text("{")
    assert seen(broken) == conclusions.diagnosis(broken)


def test_a_broken_older_bundle_keeps_no_report_from_its_own(home: Path, broken: Bundle, rolled_back: Bundle) -> None:
    record(EventKind.ACTION, 1300, "restart", {"action": "restart", "changes": True, "outcome": "done"})
    (broken.path / "manifest.json").write_text("{")
    incident = workspace.incident(42)
    assert bundle_in_use(incident, bundles_of(home, 42), workspace.timeline(incident)) == rolled_back.path


def test_of_a_bundle_and_its_copy_one_is_asked_the_copy_where_the_original_is_broken(
    home: Path, broken: Bundle, rolled_back: Bundle
) -> None:
    destination = home / "bundles" / "INC-42" / f"{broken.id}-redacted"
    copy = redact_bundle(broken, Redactor(b"key"), destination, datetime.now(UTC))
    found = seen(rolled_back)
    assert found.earlier is not None
    assert found.earlier.bundle_id == broken.id
    (broken.path / "logs.parquet").write_bytes(b"other")
    found = seen(rolled_back)
    assert found.earlier is not None
    assert found.earlier.bundle_id == copy.id
    assert len(found.unread) == 1


def test_triage_says_since_when_and_by_which_bundle(irkit: Run, broken: Bundle, rolled_back: Bundle) -> None:
    said = " ".join(irkit("triage", "42", "--bundle", rolled_back.id).out.split())
    assert f" showed by 03:05:00 UTC, in bundle {broken.id}, collected 2026-11-24 03:10:00 UTC" in said
    assert f"irkit triage 42 --bundle {broken.id}" in said
    told = json.loads(irkit("triage", "42", "--bundle", rolled_back.id, "--json").out)
    assert told["bundle"]["id"] == rolled_back.id
    assert (told["onset"]["first_sign"], told["onset"]["first_sign_bundle"]) == (FIRST.isoformat(), broken.id)
    assert told["onset"]["bundle"] == broken.id
    own = json.loads(irkit("triage", "42", "--bundle", broken.id, "--json").out)
    assert own["onset"] == told["onset"]
    assert " showed by " not in irkit("triage", "42", "--bundle", broken.id).out


def test_what_was_changed_after_it_began_is_not_told_as_changed_before(irkit: Run, home: Path) -> None:
    """A rollback seemed to come before a trouble that it was to mend."""
    sealed(home, damaged())
    events = [
        {
            "at": at(second),
            "service": "jarvis-api",
            "name": "jarvis_jarvis-api_1",
            "action": action,
            "image": "jarvis:0",
        }
        for second, action in ((718, "destroy"), (720, "create"))
    ]
    again = sealed(home, replaced(720, 780, 1200) | {"container_events": events}, collected=at(1200))
    assert "Changed before" not in irkit("triage", "42", "--bundle", again.id).out
    assert json.loads(irkit("triage", "42", "--bundle", again.id, "--json").out)["changed_before"] == []
    assert "Changed before" not in irkit("act", "42").out


def test_the_steps_begin_with_what_was_changed_before_and_the_way_back(irkit: Run, home: Path) -> None:
    """No step of the runbook is to take a release back."""
    shared = {"service": "jarvis-api", "name": "jarvis_jarvis-api_1"}
    release = ((278, "destroy", "jarvis:0"), (280, "create", "jarvis:1"))
    events = [shared | {"at": at(second), "action": action, "image": image} for second, action, image in release]
    sealed(home, damaged() | {"container_events": events})
    said = " ".join(irkit("act", "42").out.split())
    assert said.index("Changed before: jarvis-api was replaced by a new container") < said.index("1. ")
    assert "If that was it, the way back is `image: jarvis:0` for jarvis-api" in said
    assert irkit("resolve", "42", "rolled back").code == 0
    assert "Changed before" not in irkit("act", "42").out


def test_the_page_says_since_when_and_by_which_bundle(broken: Bundle, rolled_back: Bundle) -> None:
    report = conclusions.postmortem(workspace.incident(42), rolled_back)
    assert report.header.started_at == FIRST  # type: ignore[union-attr]
    where = f"in bundle {broken.id}, collected 2026-11-24 03:10:00 UTC"
    detection, appendix = str(report.detection), str(report.appendix)
    assert where in detection
    assert f"irkit triage 42 --bundle {broken.id}" in detection
    assert broken.manifest.seal[:12] in detection
    assert where in str(report.timeline)
    assert where in str(report.open_questions)
    assert where in report.impact.since  # type: ignore[union-attr]
    assert broken.id in appendix
    assert broken.manifest.seal in appendix
    own = conclusions.postmortem(workspace.incident(42), broken)
    assert "in bundle" not in str(own.detection)
    assert own.appendix.earlier is None  # type: ignore[union-attr]


def test_another_collection_offers_the_earlier_beginning_to_be_recorded(irkit: Run, broken: Bundle) -> None:
    said = " ".join(irkit("collect", "42").out.split())
    assert f"The evidence (bundle {broken.id}, collected 2026-11-24 03:10:00 UTC) shows it since" in said
    assert "irkit amend 42 started_at 2026-11-24T03:05:00Z" in said
    assert f"irkit triage 42 --bundle {broken.id}" in said


def test_lint_goes_by_the_earlier_beginning(irkit: Run, rolled_back: Bundle) -> None:
    assert conclusions.diagnosis(rolled_back).first_sign == AGAIN
    said = irkit("lint", "42")
    assert "the evidence shows it since 2026-11-24 03:05:00 UTC" in " ".join((said.out + said.err).split())


def test_of_one_bundle_no_other_is_opened(home: Path, broken: Bundle) -> None:
    assert not list(earlier_bundles(home, broken, (), pytest.fail))


def test_no_onset_is_told_on_which_signals_agree_only_after_the_earlier_evidence_shows_it(
    home: Path, broken: Bundle, rolled_back: Bundle
) -> None:
    def without_onset(bundle: Bundle) -> Diagnosis:
        return replace(conclusions.diagnosis(bundle), onset=None)

    own = conclusions.diagnosis(rolled_back)
    assert own.onset is not None
    found = with_beginning(own, rolled_back, home, (), without_onset, lambda _: own.ranking)
    assert (found.first_sign, found.since, found.onset) == (FIRST, FIRST, None)
    assert broken.path.exists()


def checked(*codes: int, since: float) -> dict[str, Any]:
    """Evidence of the engine's checks of a container, one every 30 seconds: those that exit with -1 timed out."""
    rows = [
        {"service": "jarvis-api", "name": "jarvis-api-1", "started_at": at(since + 30 * n), "exit_code": code}
        | {"ended_at": at(since + 30 * n + 3), "output": "Health check exceeded timeout (3s)" if code else "ok"}
        for n, code in enumerate(codes)
    ]
    return {**healthy(), "container_health": rows}


def test_what_the_engine_keeps_no_more_is_not_clear(home: Path) -> None:
    first = sealed(home, checked(0, -1, -1, -1, since=300), collected=at(600))
    later = sealed(home, checked(0, 0, 0, 0, 0, since=900), collected=at(1100))
    alone = next(one for one in conclusions.diagnosis(later).findings if one.symptom == "timeout-errors")
    found = seen(later)
    own = next(one for one in found.findings if one.symptom == "timeout-errors")
    assert (alone.verdict.state, own.verdict.state) == (VerdictState.CLEAR, VerdictState.FOUND)
    assert own.verdict.onset == at(330)
    assert own.verdict.until == first.manifest.created_at
    assert f"that is by bundle {first.id}: since then the engine has dropped those checks" in own.verdict.sentence
    assert own.evidence == ()
    weighed = {item.symptom for kind in found.ranking for item in kind.supporting}
    assert "timeout-errors" in weighed
    assert seen(first).findings == conclusions.diagnosis(first).findings
