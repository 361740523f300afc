"""The recorder's incident: opened once, and never beside one of its kind that people opened first."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from irkit.auto_open import open_once
from irkit.errors import InputError
from irkit.model import EventKind, Status, utc_now
from irkit.recorder.outage import Opening
from irkit.settings import Settings
from irkit.store import open_store


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    now = utc_now()
    return Opening("api-unresponsive", "It is down", now - timedelta(seconds=15), now, tmp_path / "outage.json")


def test_it_is_opened_with_the_runbook_s_severity_and_the_first_failed_probe(tmp_path: Path, opening: Opening) -> None:
    incident, new = open_once(opening, Settings(tmp_path))
    assert new
    assert (incident.type, incident.severity, incident.status) == ("api-unresponsive", "Critical", Status.OPEN)
    assert incident.response_time == timedelta(minutes=15)
    assert (incident.started_at, incident.detected_at) == (opening.started_at, opening.detected_at)
    assert json.loads(opening.mark.read_text())["incident_id"] == incident.id
    assert not opening.mark.with_suffix(".draft").exists()


def test_one_that_people_opened_and_did_not_resolve_is_it(tmp_path: Path, opening: Opening) -> None:
    store = open_store(Settings(tmp_path), create=True)
    store.open_incident("Checkout", incident_type="high-latency", severity="High", actor="ana")
    theirs = store.open_incident("Dead", incident_type="api-unresponsive", severity="Critical", actor="ana")
    store.append(theirs.id, EventKind.ACKNOWLEDGED, actor="ana")
    incident, new = open_once(opening, Settings(tmp_path))
    assert (incident.id, new) == (theirs.id, False)
    assert json.loads(opening.mark.read_text())["incident_id"] == theirs.id
    store.append(theirs.id, EventKind.RESOLVED, actor="ana")
    incident, new = open_once(opening, Settings(tmp_path))
    assert (incident.id, new) == (3, True)


def test_a_runbook_that_cannot_be_read_opens_it_as_the_type_that_is_named(tmp_path: Path, opening: Opening) -> None:
    settings = Settings(tmp_path, runbook=tmp_path / "gone.md")
    incident, new = open_once(replace(opening, incident_type="checkout-stuck"), settings)
    assert (new, incident.type, incident.response_time) == (True, "checkout-stuck", None)
    assert open_once(replace(opening, incident_type="checkout-stuck"), settings) == (incident, False)


def test_a_type_the_runbook_does_not_have_opens_nothing(tmp_path: Path, opening: Opening) -> None:
    with pytest.raises(InputError, match="not an incident type"):
        open_once(replace(opening, incident_type="nonesuch"), Settings(tmp_path))
    assert not opening.mark.exists()
    assert not (tmp_path / "irkit.db").exists()
