"""Bundles: whole or not there, believed only when untouched, and never read outside their own folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.bundle import Bundle, bundle_folder, bundles_of, copy_bundle, open_bundle, seal_bundle, sha256_of
from irkit.bundle.manifest import MANIFEST, Manifest
from irkit.errors import BundleError, NotFoundError
from irkit.model import CollectorRun, Evidence, Outcome, Window

AT = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)


def make(home: Path, bundle_id: str = "one") -> Bundle:
    staging = home / "staging"
    (staging / "documents").mkdir(parents=True)
    file = staging / "documents" / "facts.json"
    file.write_text(json.dumps({"state": "exited", "raw": "caf\udce9"}))
    evidence = Evidence(
        "look/facts",
        "look",
        "facts",
        "document",
        "documents/facts.json",
        sha256_of(file),
        40,
        None,
        "api",
        "look at api",
        AT,
    )
    run = CollectorRun(
        "look",
        Outcome.COLLECTED,
        "",
        "",
        "api",
        "look at api",
        ("facts",),
        ("look/facts",),
        AT,
        duration_s=0.1,
        size_bytes=40,
    )
    window = Window(AT - timedelta(hours=1), AT)
    manifest = Manifest(1, "0.1.0", bundle_id, 42, window, AT, (run,), (evidence,))
    return seal_bundle(staging, manifest, bundle_folder(home, 42) / bundle_id)


def nested(deep: int) -> dict[str, object]:
    """What a manifest says that was made of so many others, one of another."""
    made: dict[str, object] = {}
    for _ in range(deep):
        inner = {"made_of": made} if made else {}
        made = {"bundle_id": "x", "seal": "0" * 64, "made_at": AT.isoformat(), "change": "redacted", **inner}
    return made


def test_what_was_sealed_is_what_is_opened(tmp_path: Path) -> None:
    sealed = make(tmp_path)
    opened = open_bundle(sealed.path)
    assert opened == sealed
    assert opened.load("facts") == {"state": "exited", "raw": "caf\udce9"}
    assert bundles_of(tmp_path, 42) == (sealed.path,)
    assert bundles_of(tmp_path, 43) == ()


@pytest.mark.parametrize("position", [0, 10, -1])
def test_a_flipped_bit_in_evidence_is_noticed(tmp_path: Path, position: int) -> None:
    bundle = make(tmp_path)
    file = bundle.path / "documents" / "facts.json"
    raw = bytearray(file.read_bytes())
    raw[position] ^= 1
    file.write_bytes(raw)
    with pytest.raises(BundleError, match=r"facts\.json was changed after sealing"):
        open_bundle(bundle.path)


def test_an_edited_manifest_is_noticed(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    manifest = bundle.path / MANIFEST
    manifest.write_text(manifest.read_text().replace('"collected"', '"absent"'))
    with pytest.raises(BundleError, match="its manifest was changed after sealing"):
        open_bundle(bundle.path)


def test_a_missing_and_an_added_file_are_noticed(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    (bundle.path / "documents" / "facts.json").rename(bundle.path / "documents" / "more.json")
    with pytest.raises(BundleError, match=r"facts\.json is missing; documents/more\.json was added after sealing"):
        open_bundle(bundle.path)


def test_a_link_out_of_the_bundle_is_not_followed(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    outside = tmp_path / "outside.json"
    file = bundle.path / "documents" / "facts.json"
    shutil.move(file, outside)
    file.symlink_to(outside)
    with pytest.raises(BundleError, match="is a link"):
        open_bundle(bundle.path)


def test_a_manifest_that_points_outside_is_refused_even_with_a_right_seal(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    staging = tmp_path / "staging"
    staging.mkdir()
    evidence = Evidence("a/b", "a", "b", "document", "../../../secret.json", sha256_of(secret), 2, None, "", "", AT)
    manifest = Manifest(1, "0.1.0", "evil", 42, Window(AT - timedelta(hours=1), AT), AT, (), (evidence,))
    sealed = seal_bundle(staging, manifest, bundle_folder(tmp_path, 42) / "evil")
    with pytest.raises(BundleError, match=r"evidence/0/path is '\.\./\.\./\.\./secret\.json'"):
        open_bundle(sealed.path)


def test_a_newer_format_says_upgrade(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    body = json.loads((bundle.path / MANIFEST).read_text())
    (bundle.path / MANIFEST).write_text(json.dumps({**body, "format_version": 99}))
    with pytest.raises(BundleError, match="format 99") as caught:
        open_bundle(bundle.path)
    assert caught.value.hint == "upgrade irkit"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format_version": 1}', "null", "\x00"])
def test_a_broken_manifest_is_one_sentence(tmp_path: Path, content: str) -> None:
    bundle = make(tmp_path)
    (bundle.path / MANIFEST).write_text(content)
    with pytest.raises(BundleError):
        open_bundle(bundle.path)


def test_no_bundle_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no sealed bundle"):
        open_bundle(tmp_path / "nowhere")


def test_a_sealed_bundle_is_never_overwritten(tmp_path: Path) -> None:
    first = make(tmp_path)
    with pytest.raises(BundleError, match="already stands"):
        make(tmp_path)
    assert open_bundle(first.path) == first


def test_a_copy_is_sealed_anew_for_its_incident(tmp_path: Path) -> None:
    original = make(tmp_path)
    copy = copy_bundle(original, bundle_folder(tmp_path, 7) / "one", 7, "one")
    assert open_bundle(copy.path).manifest.incident_id == 7
    assert copy.load("facts") == original.load("facts")
    assert copy.manifest.seal != original.manifest.seal


def test_a_full_disk_leaves_no_half_bundle(tmp_path: Path) -> None:
    """A file size limit stands in for a full disk: the kernel refuses the write just the same."""
    script = (
        "import resource, signal, sys; from pathlib import Path; from tests.bundle.test_bundle import make\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "from irkit.errors import BundleError\n"
        "try: make(Path(sys.argv[1]))\n"
        "except BundleError as error: print(error, error.hint)\n"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, env=environment
    )
    assert "could not be sealed" in done.stdout
    assert "free some disk space" in done.stdout
    assert bundles_of(tmp_path, 42) == ()
