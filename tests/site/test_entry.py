"""A site's row says of an incident what its page says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit import conclusions, drill, workspace
from irkit.bundle import bundle_folder, bundles_of, copy_bundle, open_bundle
from irkit.model import EventKind, Incident
from irkit.report.parts import Gap
from irkit.site.entry import digest_of, entry_of, makings


@pytest.fixture
def started_by_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Incident:
    """An incident of which nobody recorded when it began, with evidence that tells."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text('home = "home"\n')
    settings = workspace.load_settings()
    told, _ = drill.file("api-unresponsive", settings, 42)
    store = workspace.store(settings)
    store.open_incident(
        told.title,
        incident_type=told.type,
        severity=told.severity,
        actor="ana",
        incident_id=50,
        opened_at=told.opened_at,
        detected_at=told.detected_at,
    )
    store.append(50, EventKind.RESOLVED, actor="ana", text="restarted", at=told.resolved_at)
    recorded = open_bundle(bundles_of(settings.home, 42)[0])
    copy_bundle(recorded, bundle_folder(settings.home, 50) / recorded.id, 50, recorded.id)
    return store.incident(50)


def test_it_lasted_as_long_as_on_its_page(started_by_evidence: Incident) -> None:
    settings = workspace.load_settings()
    evidence = workspace.gather(started_by_evidence, "never", settings=settings)
    header = conclusions.postmortem(started_by_evidence, evidence, settings=settings).header
    assert not isinstance(header, Gap)
    assert header.started_by_evidence
    assert started_by_evidence.resolved_at
    assert header.lasted > started_by_evidence.resolved_at - started_by_evidence.noticed_at
    row = entry_of(started_by_evidence, "", b"", settings)
    assert row.lasted_s is not None
    assert timedelta(seconds=row.lasted_s) == header.lasted


def test_what_goes_on_has_lasted_for_no_known_time(started_by_evidence: Incident) -> None:
    settings = workspace.load_settings()
    store = workspace.store(settings)
    store.append(50, EventKind.REOPENED, actor="ana", text="again")
    assert entry_of(store.incident(50), "", b"", settings).lasted_s is None


def test_a_page_is_out_of_date_once_another_end_of_the_incident_before_is_known(started_by_evidence: Incident) -> None:
    """It tells that its evidence reaches back to there."""
    settings, now = workspace.load_settings(), datetime(2026, 12, 1, tzinfo=UTC)
    store = workspace.store(settings)
    began = started_by_evidence.noticed_at

    def digest() -> str:
        told = tuple(store.timeline(50))
        return digest_of(started_by_evidence, told, makings(settings), settings, now)

    alone = digest()
    before = began - timedelta(minutes=20)
    store.open_incident(
        "Before", incident_type="memory-leak", severity="Medium", actor="ana", incident_id=49, opened_at=before
    )
    assert digest() == alone, "it goes on, and cuts nothing off"
    store.append(49, EventKind.RESOLVED, actor="ana", text="restarted", at=began - timedelta(minutes=10))
    resolved = digest()
    later = (began - timedelta(minutes=5)).isoformat()
    store.append(49, EventKind.AMENDED, actor="ana", data={"resolved_at": later})
    assert len({alone, resolved, digest()}) == 3
