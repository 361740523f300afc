"""A site's row says of an incident what its page says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from irkit import drill, workspace
from irkit.bundle import bundle_folder, bundles_of, copy_bundle, open_bundle
from irkit.model import EventKind, Incident
from irkit.report.parts import Gap
from irkit.site.entry import entry_of


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
    header = workspace.postmortem(started_by_evidence, evidence, settings=settings).header
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
