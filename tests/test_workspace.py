"""The way in for notebooks and commands: which evidence a report rests on, and when none is."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from irkit import conclusions, drill, workspace
from irkit.bundle import bundle_folder, bundles_of, copy_bundle, open_bundle
from irkit.errors import BundleError, InputError, NotFoundError
from irkit.model import EventKind, Incident, Outcome, utc_now
from irkit.settings import Settings
from tests.support.example_bundle import example_bundle


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "irkit.toml").write_text("")
    return workspace.load_settings(tmp_path)


@pytest.fixture
def filed(settings: Settings) -> Incident:
    incident, new = drill.file("api-unresponsive", settings, 42)
    assert new
    return incident


def collected_after_the_repair(settings: Settings, incident: Incident) -> Path:
    """A second bundle, with the later time in its manifest that a collection after the repair has."""
    first = open_bundle(bundles_of(settings.home, incident.id)[0])
    assert incident.resolved_at is not None
    later = incident.resolved_at + timedelta(minutes=5)
    object.__setattr__(first.manifest, "created_at", later)
    name = f"{later:%Y%m%dT%H%M%SZ}-aaaa"
    return copy_bundle(first, bundle_folder(settings.home, incident.id) / name, incident.id, name).path


def test_evidence_collected_after_the_repair_does_not_push_the_breakage_aside(
    settings: Settings, filed: Incident
) -> None:
    [broken] = bundles_of(settings.home, 42)
    mended = collected_after_the_repair(settings, filed)
    assert workspace.gather(filed, settings=settings).path == broken
    assert workspace.gather(filed, bundle=mended.name, settings=settings).path == mended
    store = workspace.store(settings)
    store.append(42, EventKind.REOPENED, actor="ana", text="it is back")
    assert workspace.gather(store.incident(42), settings=settings).path == mended
    shutil.rmtree(broken)
    assert workspace.gather(filed, settings=settings).path == mended


def test_what_was_called_resolved_and_never_was_mended_is_told_from_before_the_first_attempt(
    settings: Settings,
) -> None:
    """Stopped, started in vain, called resolved and taken up again: the crash loop is the attempt's, not the cause."""
    store = workspace.store(settings, create=True)
    store.open_incident("Down", incident_type="api-unresponsive", severity="Critical", actor="ana", incident_id=7)
    now = utc_now()
    for name, minutes in (("one", -1), ("two", 1)):
        bundle = example_bundle(settings.home / name, incident_id=7)
        object.__setattr__(bundle.manifest, "created_at", now + timedelta(minutes=minutes))
        copy_bundle(bundle, bundle_folder(settings.home, 7) / name, 7, name)
    said = {"action": "stop-all", "changes": True, "outcome": "done", "verified": True}
    store.append(7, EventKind.ACTION, actor="ana", text="stop-all", data=said)
    store.append(7, EventKind.RESOLVED, actor="ana", text="the disk")
    store.append(7, EventKind.REOPENED, actor="ana", text="not mended")
    assert workspace.gather(store.incident(7), settings=settings).id == "one"


def test_evidence_collected_after_an_attempt_does_not_push_the_breakage_aside(settings: Settings) -> None:
    """An Engine that forgets may show nothing of the first crash once a restart was tried."""
    store = workspace.store(settings, create=True)
    opened = store.open_incident(
        "Down", incident_type="api-unresponsive", severity="Critical", actor="ana", incident_id=7
    )
    first, second = (example_bundle(settings.home / name, incident_id=7) for name in ("a", "b"))
    folder = bundle_folder(settings.home, 7)
    for bundle, name, at in ((first, "one", opened.opened_at), (second, "two", opened.opened_at + timedelta(hours=1))):
        object.__setattr__(bundle.manifest, "created_at", at)
        copy_bundle(bundle, folder / name, 7, name)
    said = {"step": 1, "outcome": "done"}
    assert workspace.gather(store.incident(7), settings=settings).id == "two"
    store.append(7, EventKind.NOTE, actor="ana", text="skipped", data=said | {"outcome": "skipped"})
    assert workspace.gather(store.incident(7), settings=settings).id == "two", "what was left out is no attempt"
    store.append(7, EventKind.NOTE, actor="ana", text="restarted", data=said)
    assert workspace.gather(store.incident(7), settings=settings).id == "one"


def test_an_unknown_bundle_and_an_unknown_choice_are_one_sentence(settings: Settings, filed: Incident) -> None:
    with pytest.raises(NotFoundError, match="INC-42 has no bundle 'nonesuch'"):
        workspace.gather(filed, bundle="nonesuch", settings=settings)
    with pytest.raises(InputError, match="'sometimes' is not known"):
        workspace.gather(filed, "sometimes", settings=settings)


def test_a_bundle_that_was_changed_is_refused(settings: Settings, filed: Incident) -> None:
    [folder] = bundles_of(settings.home, 42)
    document = folder / "documents" / "redis_info.json"
    document.write_text(document.read_text().replace("redis", "valkey", 1))
    with pytest.raises(BundleError, match="was changed after sealing"):
        workspace.gather(filed, settings=settings)


def test_never_without_a_bundle_says_that_nobody_looked(settings: Settings, filed: Incident) -> None:
    shutil.rmtree(settings.home / "bundles")
    evidence = workspace.gather(filed, "never", settings=settings)
    assert {run.outcome for run in evidence.runs} == {Outcome.SKIPPED}
    assert bundles_of(settings.home, 42) == ()
    report = conclusions.postmortem(filed, evidence, settings=settings)
    assert "evidence is gone: the timeline tells of bundle" in str(report.header)
    unseen = workspace.store(settings).open_incident(
        "own", incident_type="api-unresponsive", severity="High", actor="me", incident_id=7
    )
    report = conclusions.postmortem(unseen, workspace.gather(unseen, "never", settings=settings), settings=settings)
    assert "was told not to (collect: never)" in str(report.header)


def test_where_the_evidence_is_gone_todays_machine_is_not_looked_at_in_its_stead(
    settings: Settings, filed: Incident
) -> None:
    shutil.rmtree(settings.home / "bundles")
    with pytest.raises(NotFoundError, match="INC-42: evidence is gone: the timeline tells of bundle ") as caught:
        workspace.gather(filed, settings=settings)
    assert "put it back" in caught.value.hint
    assert bundles_of(settings.home, 42) == ()


def test_a_drill_filed_twice_is_the_same_incident_and_another_id_is_not_taken_over(
    settings: Settings, filed: Incident
) -> None:
    again, new = drill.file("api-unresponsive", settings, 42)
    assert (again, new) == (filed, False)
    workspace.store(settings).open_incident(
        "own", incident_type="api-unresponsive", severity="High", actor="me", incident_id=7
    )
    with pytest.raises(InputError, match="INC-7 exists already and is not the drill"):
        drill.file("api-unresponsive", settings, 7)
    with pytest.raises(NotFoundError, match="no drill named 'api-unresponsiv'"):
        drill.file("api-unresponsiv", settings)


def test_a_drill_is_small_and_names_no_path_of_whoever_recorded_it() -> None:
    for item in drill.available():
        files = [path for path in item.folder.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) < 1_000_000
        assert not [path for path in files if b"/tmp/" in path.read_bytes() or b"/root/" in path.read_bytes()]
