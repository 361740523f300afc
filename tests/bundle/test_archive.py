"""Bundles as single files: the same bytes each time, and refused whole when a stranger made them to harm."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

import irkit
from irkit.bundle import Bundle, bundle_folder, bundles_of, open_bundle, seal_bundle, sha256_of
from irkit.bundle import archive as bundle_file
from irkit.bundle.archive import export_bundle, find_bundle, import_bundle, opened, verify
from irkit.bundle.manifest import MANIFEST, Change, Origin, seal_of
from irkit.bundle.shape import schema
from irkit.collect.redact_bundle import redact_bundle
from irkit.errors import BundleError, NotFoundError
from irkit.model import Evidence
from irkit.redact import Redactor
from tests.bundle.test_bundle import AT, make, nested
from tests.support.example_bundle import example_bundle
from tests.support.halted import halted_at, kill_at

FROZEN = Path(__file__).parents[1] / "data" / "format-1.irkit.zip"
NOW = AT + timedelta(days=3)
Members = dict[zipfile.ZipInfo | str, bytes]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make(tmp_path / "sender")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where imports go; it does not exist yet."""
    return tmp_path / "receiver" / "home"


def members(bundle: Bundle) -> Members:
    paths = [path for path in sorted(bundle.path.rglob("*")) if path.is_file()]
    return {path.relative_to(bundle.path).as_posix(): path.read_bytes() for path in paths}


def packed(file: Path, contents: Members, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, body in contents.items():
            archive.writestr(name, body)
    return file


def holding(folder: Path, name: str, body: bytes, form: str) -> Bundle:
    """A rightly sealed bundle with one piece of evidence of our choice."""
    staging = folder / "staging"
    target = staging / name
    target.parent.mkdir(parents=True)
    target.write_bytes(body)
    plain = make(folder / "plain")
    evidence = Evidence("look/facts", "look", "facts", form, name, sha256_of(target), len(body), None, "", "", AT)
    manifest = replace(plain.manifest, evidence=(evidence,))
    return seal_bundle(staging, manifest, folder / "held")


def refused(file: Path, home: Path, sentence: str) -> None:
    """The import is refused in one sentence, and nothing is left of it."""
    before = set(file.parent.rglob("*"))
    with pytest.raises(BundleError, match=sentence) as caught:
        import_bundle(file, home, now=NOW)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert set(file.parent.rglob("*")) == before
    assert not home.parent.exists()


def test_what_was_exported_is_what_is_imported(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    file = export_bundle(bundle, tmp_path / "one.irkit.zip")
    imported = import_bundle(file, home, now=NOW)
    assert imported == replace(bundle, path=bundle_folder(home, 42) / "one")
    assert open_bundle(imported.path).load("facts") == {"state": "exited", "raw": "caf\udce9"}
    assert [path.name for path in (home / "bundles").iterdir()] == ["INC-42"]
    with opened(file) as seen:
        assert seen.manifest == bundle.manifest
        unpacked = seen.path
    assert not unpacked.exists()


def test_tables_survive_the_way_through_a_file(tmp_path: Path, home: Path) -> None:
    original = example_bundle(tmp_path)
    imported = import_bundle(export_bundle(original, tmp_path / "it.irkit.zip"), home, now=NOW)
    assert imported.load("logs").equals(original.load("logs"))
    assert imported.load("containers").equals(original.load("containers"))


def test_the_same_bundle_gives_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "one"
    shutil.copytree(bundle.path, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700)
    first = export_bundle(bundle, tmp_path / "first")
    second = export_bundle(open_bundle(copy), tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()


def test_an_export_overwrites_nothing_and_leaves_nothing_half_done(bundle: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.write_text("mine")
    with pytest.raises(BundleError, match="exists already"):
        export_bundle(bundle, file)
    assert file.read_text() == "mine"
    with pytest.raises(BundleError, match="cannot be written"):
        export_bundle(bundle, tmp_path / "no" / "such" / "folder")
    (bundle.path / "documents" / "facts.json").unlink()
    with pytest.raises(BundleError, match="cannot be written"):
        export_bundle(bundle, tmp_path / "half")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sender", "there"]


def test_it_is_filed_under_another_incident_when_told_so(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    imported = import_bundle(export_bundle(bundle, tmp_path / "file"), home, 7, now=NOW)
    assert bundles_of(home, 7) == (imported.path,)
    assert open_bundle(imported.path).manifest.incident_id == 7
    assert imported.manifest.evidence == bundle.manifest.evidence
    origin = imported.manifest.made_of
    assert origin == Origin(bundle.id, bundle.manifest.seal, NOW, Change.REFILED)
    verify(imported)
    assert (imported.manifest.created_at, origin.made_at) == (bundle.manifest.created_at, NOW)


def test_one_filed_where_it_belongs_anyway_is_not_changed(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    imported = import_bundle(export_bundle(bundle, tmp_path / "file"), home, 42, now=NOW)
    assert imported.manifest == bundle.manifest


def test_one_that_stands_there_already_is_kept(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    file = export_bundle(bundle, tmp_path / "file")
    first = import_bundle(file, home, now=NOW)
    with pytest.raises(BundleError, match="already, whole and the same") as caught:
        import_bundle(file, home, now=NOW)
    assert caught.value.hint == "there is nothing to do"
    assert open_bundle(first.path) == first
    assert [path.name for path in (home / "bundles").iterdir()] == ["INC-42"]


def test_every_step_from_what_was_collected_is_told(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    redacted = redact_bundle(bundle, Redactor(b"k" * 32), tmp_path / "copy", AT)
    imported = import_bundle(export_bundle(redacted, tmp_path / "file"), home, 7, now=NOW)
    first = Origin(bundle.id, bundle.manifest.seal, AT, Change.REDACTED)
    assert open_bundle(imported.path).manifest.made_of == Origin(
        redacted.id, redacted.manifest.seal, NOW, Change.REFILED, first
    )
    assert imported.manifest.is_redacted_again
    assert not bundle.manifest.is_redacted_again
    verify(imported)


def test_another_of_the_same_id_is_not_taken_for_it(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    first = import_bundle(export_bundle(bundle, tmp_path / "file"), home, now=NOW)
    other = export_bundle(
        holding(tmp_path / "other", "documents/facts.json", b"{}", "document"), tmp_path / "other.zip"
    )
    with pytest.raises(BundleError, match="another bundle of the id one stands at"):
        import_bundle(other, home, now=NOW)
    assert open_bundle(first.path) == first


def test_one_packed_again_by_another_program_is_taken(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    contents = {"documents/": b"", **members(bundle)}
    assert import_bundle(packed(tmp_path / "again.zip", contents), home, now=NOW).manifest == bundle.manifest


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../../evil.json", "a name that leads out of its folder"),
        ("documents/../../evil.json", "a name that leads out of its folder"),
        ("..\\evil.json", "a name that leads out of its folder"),
        ("/etc/evil.json", "an absolute name"),
        ("\\\\server\\evil.json", "an absolute name"),
        ("C:evil.json", "an absolute name"),
        ("documents/facts.json\x00.txt", "a name no bundle has"),
        ("documents/fa\u202ects.json", "a name no bundle has"),
        ("~/evil.json", "a name no bundle has"),
        ("documents//facts.json", "a name no bundle has"),
        ("Documents/FACTS.json", "which some systems take for the same name"),
        ("documents/more.pkl", "which its manifest does not list"),
        ("a/b/c/d/e/f.json", "a name no bundle has"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(
    bundle: Bundle, home: Path, tmp_path: Path, name: str, sentence: str
) -> None:
    file = tmp_path / "evil.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for each, body in members(bundle).items():
            archive.writestr(each, body)
        entry = zipfile.ZipInfo("placeholder")
        entry.filename = name
        archive.writestr(entry, b"{}")
    refused(file, home, sentence)


def test_the_same_name_twice_is_refused(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    file = packed(tmp_path / "evil.zip", members(bundle))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("documents/facts.json", "{}")
    refused(file, home, "twice")


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (stat.S_IFLNK, "a link"),
        (stat.S_IFCHR, "neither a file nor a folder"),
        (stat.S_IFBLK, "neither a file nor a folder"),
        (stat.S_IFIFO, "neither a file nor a folder"),
        (stat.S_IFSOCK, "neither a file nor a folder"),
        (stat.S_IFDIR, "neither a file nor a folder"),
    ],
)
def test_links_and_devices_are_refused(bundle: Bundle, home: Path, tmp_path: Path, kind: int, sentence: str) -> None:
    entry = zipfile.ZipInfo("documents/facts.json")
    entry.external_attr = (kind | 0o777) << 16
    contents: Members = {MANIFEST: members(bundle)[MANIFEST], entry: b"/etc/passwd"}
    refused(packed(tmp_path / "evil.zip", contents), home, sentence)


def test_a_bomb_ends_at_the_size_its_manifest_says(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    contents = {**members(bundle), "documents/facts.json": b" " * 100_000_000}
    refused(packed(tmp_path / "bomb.zip", contents), home, r"facts\.json unpacks to more than it may")


def test_a_bomb_with_an_honest_manifest_is_refused_by_its_ratio(home: Path, tmp_path: Path) -> None:
    held = holding(tmp_path, "documents/facts.json", b'"' + b" " * 80_000_000 + b'"', "document")
    file = packed(tmp_path / "bomb.zip", members(held))
    assert file.stat().st_size < 100_000
    shutil.rmtree(tmp_path / "held")
    refused(file, home, "more than 200 times its own size")


def test_a_manifest_that_is_a_bomb_is_refused(home: Path, tmp_path: Path) -> None:
    refused(packed(tmp_path / "bomb.zip", {MANIFEST: b" " * 60_000_000}), home, "manifest.json unpacks to more")


def test_a_list_of_contents_that_is_a_bomb_is_refused_unread(home: Path, tmp_path: Path) -> None:
    file = packed(tmp_path / "bomb.zip", {f"{number}.json": b"" for number in range(1001)})
    refused(file, home, "more than 1000 files")


def test_parquet_that_unpacks_ten_thousandfold_is_refused(home: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"line": pa.array(["x" * 300] * 1_080_000)}), buffer, compression="zstd")
    assert len(buffer.getvalue()) < 40_000
    held = holding(tmp_path, "tables/facts.parquet", buffer.getvalue(), "table")
    with pytest.raises(BundleError, match="unpacks from 37,662 bytes to more than"):
        open_bundle(held.path).load("facts")
    refused(export_bundle(held, tmp_path / "file"), home, "unpacks from")


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


class Harm:
    """What would run if anything of a bundle were ever unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize(
    ("name", "body", "form", "sentence"),
    [
        ("tables/facts.parquet", pickle.dumps(Harm()), "table", "cannot be read as Parquet"),
        ("tables/facts.pkl", pickle.dumps(Harm()), "table", "tables/facts.pkl"),
        ("tables/facts.json", b"{}", "table", "neither a Parquet table nor a JSON document"),
        ("documents/facts.json", pickle.dumps(Harm()), "document", "cannot be read as JSON"),
        ("documents/facts.json", b"[" * 1_000_000, "document", "cannot be read as JSON"),
        ("documents/facts.json", b"{", "document", "cannot be read as JSON"),
        ("tables/facts.parquet", parquet(pa.table({"a": [[1]]})), "table", "column of type list"),
        ("tables/facts.parquet", parquet(pa.table({"a": [{"b": 1}]})), "table", "of type struct"),
        (
            "tables/facts.parquet",
            parquet(
                pa.table(
                    [pa.array([b"x"])],
                    schema=pa.schema(
                        [
                            pa.field(
                                "a",
                                pa.binary(),
                                metadata={
                                    b"ARROW:extension:name": b"arrow.py_extension_type",
                                    b"ARROW:extension:metadata": pickle.dumps(Harm()),
                                },
                            )
                        ]
                    ),
                )
            ),
            "table",
            "column of type",
        ),
    ],
    ids=[
        "pickle-as-parquet",
        "pickle",
        "json-as-table",
        "pickle-as-json",
        "deep",
        "broken",
        "list",
        "struct",
        "extension",
    ],
)
def test_what_is_no_plain_table_or_document_is_refused_and_nothing_runs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: bytes, form: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    held = holding(tmp_path, name, body, form)
    refused(export_bundle(held, tmp_path / "file"), home, sentence)
    assert not Path("harmed").exists()


def test_what_pandas_noted_in_a_table_is_not_followed(tmp_path: Path) -> None:
    noted = {"index_columns": ["a"], "column_indexes": [], "columns": [], "pandas_version": "1"}
    table = pa.table({"a": [1, 2]}).replace_schema_metadata({b"pandas": json.dumps(noted).encode()})
    held = holding(tmp_path, "tables/facts.parquet", parquet(table), "table")
    assert list(held.load("facts")["a"]) == [1, 2]


def edited(bundle: Bundle, change: Callable[[dict[str, object]], None]) -> Members:
    """The bundle's files with another manifest under a right seal, as somebody who knows the format would write it."""
    contents = members(bundle)
    body = json.loads(contents[MANIFEST])
    change(body)
    body["seal"] = seal_of(body)
    return {**contents, MANIFEST: json.dumps(body).encode()}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda body: body.update(format_version=2), "has format 2; this irkit reads up to 1"),
        (lambda body: body.update(format_version="1"), "has format '1'"),
        (lambda body: body.update(bundle_id="../../evil"), "bundle_id"),
        (lambda body: body.update(bundle_id=".."), "bundle_id"),
        (lambda body: body.update(incident_id=0), "incident_id"),
        (lambda body: body.update(incident_id="42"), "incident_id"),
        (
            lambda body: body.update(window={"start": "2026-11-24T03:00:00", "end": "2026-11-24T04:00:00"}),
            "window/start",
        ),
        (lambda body: body.update(window=[]), "window is a list and not an object"),
        (lambda body: body.update(surprise=1), "it has 'surprise'"),
        (lambda body: body["evidence"][0].update(path="../../evil.json"), "evidence/0/path"),
        (lambda body: body["evidence"][0].update(size_bytes="big"), "evidence/0/size_bytes"),
        (lambda body: body["evidence"][0].update(sha256="0" * 64), "changed after sealing"),
        (lambda body: body["evidence"].clear(), "which its manifest does not list"),
        (lambda body: body["runs"][0].update(outcome="fine"), "runs/0/outcome is 'fine' and not collected or"),
        (lambda body: body["runs"][0].update(redactions=-1), "runs/0/redactions"),
        (lambda body: body["evidence"].extend(body["evidence"] * 1000), "evidence is too long: 1,001 entries, and at"),
        (lambda body: body.update(evidence=body["evidence"] * 990), "two pieces of evidence are in one file"),
        (lambda body: body.update(made_of=nested(300)), "it was made of more than 100 bundles"),
    ],
)
def test_a_manifest_that_is_not_what_the_format_promises_is_refused(
    bundle: Bundle, home: Path, tmp_path: Path, change: Callable[[dict[str, object]], None], sentence: str
) -> None:
    refused(packed(tmp_path / "evil.zip", edited(bundle, change)), home, sentence)


def test_what_was_changed_after_sealing_is_refused(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    contents = members(bundle)
    changed = contents[MANIFEST].replace(b'"collected"', b'"partial"')
    refused(packed(tmp_path / "one.zip", {**contents, MANIFEST: changed}), home, "changed after sealing")
    flipped = contents["documents/facts.json"].replace(b"exited", b"existe")
    refused(packed(tmp_path / "two.zip", {**contents, "documents/facts.json": flipped}), home, "changed after sealing")
    del contents["documents/facts.json"]
    refused(packed(tmp_path / "three.zip", contents), home, "it lacks 'documents/facts.json'")


@pytest.mark.parametrize("body", [b"", b"PK", pickle.dumps(Harm()), b"\x1f\x8b" + b"\0" * 100, b"<html>" * 100])
def test_what_is_no_archive_is_refused(home: Path, tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(body)
    refused(file, home, "zip archive")


def test_an_archive_that_is_no_bundle_is_refused(home: Path, tmp_path: Path) -> None:
    refused(packed(tmp_path / "file", {"readme.txt": b"hello"}), home, "it holds no manifest.json")


def test_an_archive_cut_short_or_damaged_anywhere_is_refused(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    whole = export_bundle(bundle, tmp_path / "whole").read_bytes()
    file = tmp_path / "file"
    for end in range(0, len(whole), 97):
        file.write_bytes(whole[:end])
        refused(file, home, "refused|cannot be")
    for position in range(0, len(whole), 41):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        file.write_bytes(damaged)
        try:
            imported = import_bundle(file, home, now=NOW)
        except BundleError:
            assert not home.parent.exists()
        else:  # a bit of the archive that says nothing of the evidence, such as a date
            assert imported.manifest == bundle.manifest
            shutil.rmtree(home.parent)


def test_an_encrypted_archive_is_refused(bundle: Bundle, home: Path, tmp_path: Path) -> None:
    body = bytearray(packed(tmp_path / "plain", members(bundle)).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := body.find(signature, start)) >= 0:
            struct.pack_into("<H", body, start + offset, 1)
            start += 4
    file = tmp_path / "file"
    file.write_bytes(body)
    refused(file, home, "which is encrypted")


def test_only_files_are_opened(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        import_bundle(tmp_path / "nowhere", home, now=NOW)
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", home, "is not a bundle's file")
    refused(tmp_path, home, "is not a bundle's file")


def test_a_bundle_is_found_by_path_id_and_incident(bundle: Bundle, tmp_path: Path) -> None:
    home = tmp_path / "sender"
    file = export_bundle(bundle, tmp_path / "file")
    for name in (str(bundle.path), "one", "42", "INC-42"):
        assert find_bundle(name, home) == bundle.path
    assert find_bundle(str(file), home) == file
    for name in ("43", "two", "../sender", "", "*", "x" * 1000):
        with pytest.raises(NotFoundError, match="there is no bundle"):
            find_bundle(name, home)


def test_todays_manifests_match_the_published_schema(bundle: Bundle, tmp_path: Path) -> None:
    Draft202012Validator.check_schema(schema())
    for each in (bundle, example_bundle(tmp_path / "example")):
        bundle_file.verify(each)
        Draft202012Validator(schema()).validate(json.loads((each.path / MANIFEST).read_text()))


def test_the_drills_match_it_too() -> None:
    drills = sorted((Path(irkit.__file__).parent / "drills").glob("*/bundle"))
    for drill in drills:
        bundle_file.verify(open_bundle(drill))


def test_a_bundle_of_format_1_opens_for_ever(home: Path) -> None:
    """The file was written by irkit 0.1.0 and is never made anew: it stands for the bundles people have kept."""
    imported = import_bundle(FROZEN, home, now=NOW)
    assert (imported.manifest.format_version, imported.id, imported.manifest.incident_id) == (1, "one", 42)
    assert imported.manifest.seal == "3ce18bc678e4a6521b790a960649172aaf329ef898bc843505299bdcb7a6f27e"
    assert [run.outcome for run in imported.runs] == ["collected", "timed_out"]
    assert imported.load("facts") == {"state": "exited", "raw": "caf\udce9"}
    rows = imported.load("lines")
    assert list(rows["line"]) == ["plain", "caf\udce9", None]
    assert rows["at"][0].isoformat() == "2026-11-24T03:05:00+00:00"
    assert rows["code"][0] == 137
    assert rows["code"].isna()[2]


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.soak)])
def test_an_import_killed_anywhere_leaves_a_whole_bundle_or_none(kills: int, home: Path, tmp_path: Path) -> None:
    held = holding(tmp_path, "documents/facts.json", b'["' + b"x" * 20_000_000 + b'"]', "document")
    file = export_bundle(held, tmp_path / "file")
    code = (
        "import sys, jsonschema; from datetime import UTC, datetime; from pathlib import Path\n"
        "from irkit.bundle.archive import import_bundle\n"
        "print('ready', flush=True); file, home = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "import_bundle(file, home, int(sys.argv[3]), now=datetime.now(UTC))"
    )
    chance, whole = random.Random(42), 0  # noqa: S311 (places to die in, not a secret)
    for number in range(1, kills + 1):
        command = [sys.executable, "-c", code, str(file), str(home), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.3))
            process.kill()
        for folder in bundles_of(home, number):
            assert open_bundle(folder).manifest.evidence == held.manifest.evidence
            whole += 1
    assert whole < kills, "none was killed in time"
    assert import_bundle(file, home, 99, now=NOW).load("facts") == ["x" * 20_000_000]


def test_what_a_killed_import_unpacked_goes_with_the_next_and_what_a_running_one_has_stays(
    bundle: Bundle, home: Path, tmp_path: Path
) -> None:
    file = export_bundle(bundle, tmp_path / "file")
    code = (
        "from datetime import UTC, datetime; from pathlib import Path\n"
        "from irkit.bundle.archive import import_bundle\n"
        "import_bundle(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), now=datetime.now(UTC))"
    )

    def unpacked() -> set[str]:
        return {path.name for path in (home / "bundles").iterdir() if path.name.startswith(".")}

    kill_at("open", "documents/facts.json", code, file, home, 1)
    (dead,) = unpacked()
    with halted_at("open", "documents/facts.json", code, file, home, 2):
        (living,) = unpacked()
        assert living != dead
        import_bundle(file, home, 3, now=NOW)
        assert unpacked() == {living}
    assert unpacked() == set()
    assert [len(bundles_of(home, number)) for number in (1, 2, 3)] == [0, 1, 1]
