"""A bundle redacted again: a copy that verifies, holds no secret today's rules know, and keeps all else."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irkit.bundle import Bundle, bundle_folder, bundles_of, copy_bundle, open_bundle, seal_bundle, sha256_of
from irkit.bundle.archive import export_bundle, import_bundle, verify
from irkit.bundle.manifest import FORMAT_VERSION, Change, Manifest, Origin
from irkit.bundle.staging import remove_abandoned
from irkit.collect.redact_bundle import redact_bundle
from irkit.errors import BundleError
from irkit.model import CollectorRun, Evidence, Outcome, Window
from irkit.redact import Redactor

AT = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)
NOW = AT + timedelta(days=2)
SECRET = "s3cr3t-" + "pass"
REDACTOR = Redactor(b"k" * 32)
OLD = "[redacted:assignment:0123abcd]"


@pytest.fixture
def sealed(tmp_path: Path) -> Bundle:
    """A bundle as an irkit of less knowledge would have sealed it."""
    staging = tmp_path / "staging"
    (staging / "tables").mkdir(parents=True)
    (staging / "documents").mkdir()
    (staging / "documents/facts.json").write_text(json.dumps({"password": SECRET, "port": 6379, "old": OLD}))
    rows = {
        "at": pa.array([AT, None], pa.timestamp("us", tz="UTC")),
        "line": pa.array([f"login password={SECRET}", None], pa.string()),
        "raw": pa.array([f"password={SECRET} caf".encode() + b"\xe9", b"fine"], pa.large_binary()),
        "count": pa.array([7, None], pa.int64()),
    }
    pq.write_table(pa.table(rows), staging / "tables/lines.parquet")
    evidence = [item(staging, "facts", "document"), item(staging, "lines", "table")]
    run = CollectorRun(
        "source",
        Outcome.PARTIAL,
        f"asked redis://app:{SECRET}@cache/0",
        "",
        "cache",
        "redis-cli",
        ("facts", "lines"),
        ("source/facts", "source/lines"),
        AT,
        0.5,
        10,
    )
    window = Window(AT - timedelta(minutes=5), AT)
    manifest = Manifest(FORMAT_VERSION, "0.1.0", "one", 42, window, AT, (run,), tuple(evidence))
    return seal_bundle(staging, manifest, bundle_folder(tmp_path / "home", 42) / "one")


def item(staging: Path, kind: str, form: str) -> Evidence:
    path = staging / (f"tables/{kind}.parquet" if form == "table" else f"documents/{kind}.json")
    rows = 2 if form == "table" else None
    digest, size = sha256_of(path), path.stat().st_size
    name = path.relative_to(staging).as_posix()
    return Evidence(f"source/{kind}", "source", kind, form, name, digest, size, rows, "cache", "redis-cli", AT)


def test_the_copy_verifies_and_no_file_of_it_holds_the_secret(sealed: Bundle, tmp_path: Path) -> None:
    made = redact_bundle(sealed, REDACTOR, tmp_path / "copy", NOW)
    verify(open_bundle(made.path))
    facts, lines = made.load("facts"), made.load("lines")
    texts = [json.dumps(facts), *lines["line"].dropna(), *lines["raw"], (made.path / "manifest.json").read_text()]
    assert not [text for text in texts if SECRET in text]
    assert made.id == "one-redacted"
    assert open_bundle(sealed.path).load("facts")["password"] == SECRET


def test_all_that_is_no_secret_stays(sealed: Bundle, tmp_path: Path) -> None:
    made = redact_bundle(sealed, REDACTOR, tmp_path / "copy", NOW)
    before, after = sealed.load("lines"), made.load("lines")
    assert after.dtypes.to_dict() == before.dtypes.to_dict()
    assert after["at"].equals(before["at"])
    assert after["count"].equals(before["count"])
    assert after["raw"][0].encode("utf-8", "surrogateescape").endswith(b" caf\xe9")
    assert after["raw"][1] == "fine"
    assert after["line"].isna()[1]
    assert made.load("facts") | {"password": ""} == {"password": "", "port": 6379, "old": OLD}
    assert made.manifest.window == sealed.manifest.window


def test_placeholders_are_counted_by_rule_and_file(sealed: Bundle, tmp_path: Path) -> None:
    made = redact_bundle(sealed, REDACTOR, tmp_path / "copy", NOW)
    assert made.evidence_for("facts").redactions == {"key": 1, "assignment": 1}
    assert made.evidence_for("lines").redactions == {"assignment": 2}
    assert made.runs[0].redactions == 4
    assert "[redacted:userinfo:" in made.runs[0].reason


def test_a_copy_says_what_it_was_made_of_and_stands_behind_its_original(sealed: Bundle, tmp_path: Path) -> None:
    made = redact_bundle(sealed, REDACTOR, tmp_path / "copy", NOW)
    origin = open_bundle(made.path).manifest.made_of
    assert origin == Origin("one", sealed.manifest.seal, NOW, Change.REDACTED)
    assert origin.told == "a copy of bundle one in which secrets were replaced once more"
    assert (made.manifest.created_at, origin.made_at) == (AT, NOW)
    home = tmp_path / "home"
    filed = import_bundle(export_bundle(made, tmp_path / "copy.irkit.zip"), home, now=NOW)
    assert bundles_of(home, 42) == (filed.path, sealed.path)
    # a later one is newer than both, and where the original is missing the copy takes its place
    later = copy_bundle(sealed, bundle_folder(home, 42) / "one-two", 42, "one-two")
    assert bundles_of(home, 42) == (filed.path, sealed.path, later.path)
    shutil.rmtree(sealed.path)
    assert bundles_of(home, 42) == (filed.path, later.path)


def test_a_second_copy_is_refused_and_the_first_stays(sealed: Bundle, tmp_path: Path) -> None:
    made = redact_bundle(sealed, REDACTOR, tmp_path / "copy", NOW)
    with pytest.raises(BundleError, match="exists already"):
        redact_bundle(sealed, REDACTOR, tmp_path / "copy", NOW)
    assert open_bundle(made.path).manifest == made.manifest
    assert bundles_of(tmp_path / "home", 42) == (sealed.path,)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_copy_of_a_copy_says_the_same(sealed: Bundle, tmp_path: Path) -> None:
    made = redact_bundle(sealed, REDACTOR, tmp_path / "copy", NOW)
    again = redact_bundle(made, REDACTOR, tmp_path / "again", NOW)
    assert again.load("facts") == made.load("facts")
    assert (again.id, again.runs) == (made.id, made.runs)


def test_a_place_that_cannot_be_written_is_a_sentence(sealed: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"file cannot be written: (Not a directory|File exists)"):
        redact_bundle(sealed, REDACTOR, tmp_path / "file" / "copy", NOW)


def test_a_collection_that_begins_meanwhile_takes_nothing_away(sealed: Bundle) -> None:
    class Slow(Redactor):
        def texts(self, texts: Sequence[str]) -> tuple[list[str], Counter[str]]:
            remove_abandoned(sealed.path.parent)  # as whoever makes a bundle of this incident does first
            return super().texts(texts)

    made = redact_bundle(sealed, Slow(b"k" * 32), sealed.path.with_name("one-redacted"), NOW)
    assert open_bundle(made.path).manifest == made.manifest
    assert sorted(path.name for path in sealed.path.parent.iterdir()) == ["one", "one-redacted"]
