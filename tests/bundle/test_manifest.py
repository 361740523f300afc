"""Manifests that somebody sealed rightly: read as the format has it, or refused in a sentence, whatever is in them."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from irkit.bundle import Bundle, open_bundle, origin_in, seal_bundle
from irkit.bundle.archive import export_bundle, import_bundle, verify
from irkit.bundle.manifest import MANIFEST, MOST_STEPS, Change, seal_of
from irkit.bundle.shape import fault_of, schema, understood
from irkit.bundle_diff import diff
from irkit.errors import BundleError
from irkit.terminal.bundle import bundle_card, diff_view
from tests.bundle.test_bundle import AT, make, nested

NOW = AT + timedelta(days=3)
# as JSON writes them, and some as it does not
VALUES = (
    *("null", "true", "false", "5", "0", "-1", "1.5", "-0.0", "1e400", "NaN", "-Infinity", "9" * 400, "9" * 5000),
    *('""', '"x"', '"x\\n"', '"\\ud800"', '"\\u202e"', '"../../x.json"', f'"{"long" * 5000}"', "[]", "{}", "[null]"),
    *('"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '"2026-02-30T00:00:00Z"', '"2026-11-24T03:05:00"'),
    *('["x", {}]', '{"x": "y"}', '{"x": 5}', "[" * 500 + "]" * 500, "[" * 100_000 + "]" * 100_000),
)


def body_of(bundle: Bundle) -> dict[str, Any]:
    """A manifest with a value in every field there is."""
    body: dict[str, Any] = json.loads((bundle.path / MANIFEST).read_text())
    body["runs"][0]["whole_from"] = body["created_at"]
    body["evidence"][0]["redactions"] = {"assignment": 1}
    body["made_of"] = nested(2)
    return body


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*at, name)
        yield from places(one, (*at, name))


def write(bundle: Bundle, body: dict[str, Any], text: str = "") -> str:
    """Put a manifest in a bundle under a right seal, and return it; `text` stands in it where "HERE" does."""
    written = json.dumps(body).replace('"HERE"', text)
    with suppress(ValueError, RecursionError):  # what no seal can be over
        written = written.replace(json.dumps(body["seal"]), json.dumps(seal_of(json.loads(written))), 1)
    (bundle.path / MANIFEST).write_text(written)
    return written


def opened_or_told(path: Path) -> Bundle | str:
    """Return a bundle, or the sentence by which it is refused."""
    try:
        return open_bundle(path)
    except BundleError as error:
        told = str(error)
    assert "\n" not in told
    assert 20 < len(told) < 400
    return told


def used(bundle: Bundle, other: Bundle, folder: Path) -> None:
    """Do all that people do with a bundle that they have; a file of it is judged again, and by more."""
    folder.mkdir()
    drawn = Console(file=io.StringIO(), width=200)
    drawn.print(bundle_card(bundle))
    drawn.print(diff_view(diff(bundle, other)))
    verify(bundle)
    file = export_bundle(bundle, folder / "out")
    with suppress(BundleError):
        import_bundle(file, folder / "home", now=NOW)


@pytest.mark.parametrize("value", VALUES, ids=[f"{number}-{value[:20]!a}" for number, value in enumerate(VALUES)])
def test_whatever_stands_in_a_field_it_is_refused_in_a_sentence_or_read(value: str, tmp_path: Path) -> None:
    bundle, other = make(tmp_path / "good"), make(tmp_path / "other")
    body = body_of(bundle)
    write(bundle, body)
    used(open_bundle(bundle.path), other, tmp_path / "as-it-is")
    for number, place in enumerate(places(body)):
        changed = json.loads(json.dumps(body))
        inner: Any = changed
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = "HERE"
        text = write(bundle, changed, value)
        found = opened_or_told(bundle.path)
        if isinstance(found, str):
            continue
        assert not list(Draft202012Validator(schema()).iter_errors(json.loads(text))), place
        used(found, other, tmp_path / f"use-{number}")


@pytest.mark.parametrize("change", ["gone", "added", "twice"])
def test_a_field_that_is_gone_added_or_there_twice_is_refused_unless_it_may_be(change: str, tmp_path: Path) -> None:
    bundle, other = make(tmp_path / "good"), make(tmp_path / "other")
    body, read = body_of(bundle), set()
    for number, place in enumerate(one for one in places(body) if isinstance(one[-1], str)):
        changed = json.loads(json.dumps(body))
        inner: Any = changed
        for step in place[:-1]:
            inner = inner[step]
        value = inner.pop(place[-1]) if change == "gone" else inner[place[-1]]
        name = json.dumps(place[-1])
        if change != "gone":
            # a right seal is over what a reader takes, here the later of two
            inner["HERE"] = value
        written = f"{name}" if change == "twice" else '"more"'
        text = json.dumps(changed).replace('"HERE"', written)
        with suppress(KeyError):
            text = text.replace(json.dumps(body["seal"]), json.dumps(seal_of(json.loads(text))))
        (bundle.path / MANIFEST).write_text(text)
        found = opened_or_told(bundle.path)
        if isinstance(found, str):
            assert change != "twice" or "two members of one name" in found
            continue
        read.add("/".join(map(str, place)))
        used(found, other, tmp_path / f"use-{number}")
    may_be_gone = {"evidence/0/redactions", "runs/0/whole_from", "made_of", "made_of/made_of"}
    may_be_added = {"evidence/0/redactions/assignment"}
    assert (
        read
        == {
            "gone": may_be_gone | may_be_added,
            "added": may_be_added,
            "twice": set(),
        }[change]
    )


def test_what_the_schema_says_is_all_checked_here_too() -> None:
    assert understood(schema())
    assert not understood({"type": "object", "properties": {"a": {"type": "array", "items": {"uniqueItems": True}}}})


@pytest.mark.parametrize("deep", [300, 600, 20_000])
def test_what_was_made_of_too_many_is_refused(deep: int, tmp_path: Path) -> None:
    bundle = make(tmp_path)
    inside = json.dumps(nested(1)).removesuffix("}")
    text = f'{inside}, "made_of": ' * (deep - 1) + inside + "}" * deep
    write(bundle, {**body_of(bundle), "made_of": "HERE"}, text)
    with pytest.raises(BundleError, match=r"more than 100 bundles|cannot be read|recursion"):
        open_bundle(bundle.path)


def test_one_that_was_changed_again_and_again_stays_readable_and_says_what_it_was_first(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    first, changes = bundle.manifest.seal, [Change.HEAP_ADDED] * 3 * MOST_STEPS
    changes[10] = Change.REDACTED
    for number, change in enumerate(changes):
        manifest = replace(bundle.manifest, bundle_id=f"b{number}", made_of=origin_in(bundle, change, AT))
        staging = tmp_path / f"staging-{number}"
        shutil.copytree(bundle.path, staging)
        bundle = open_bundle(seal_bundle(staging, manifest, tmp_path / f"b{number}").path)
    verify(bundle)
    assert bundle.manifest.is_redacted_again
    steps, origin = [], bundle.manifest.made_of
    while origin is not None:
        steps.append((origin.bundle_id, origin.change))
        last, origin = origin.seal, origin.made_of
    assert len(steps) == MOST_STEPS
    assert last == first
    newest = len(changes) - 1
    assert [name for name, _ in steps[:-2]] == [f"b{newest - 1 - back}" for back in range(MOST_STEPS - 2)]
    assert steps[-2:] == [("b9", Change.REDACTED), ("one", Change.HEAP_ADDED)]


def test_two_pieces_of_evidence_in_one_file_are_refused_before_it_is_read(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    body = body_of(bundle)
    again = {**body["evidence"][0], "id": "look/more", "kind": "more"}
    for path in ("documents/facts.json", "documents/FACTS.json"):
        write(bundle, {**body, "evidence": [*body["evidence"], {**again, "path": path}]})
        (bundle.path / "documents" / "facts.json").unlink(missing_ok=True)
        with pytest.raises(BundleError, match="two pieces of evidence are in one file"):
            open_bundle(bundle.path)


def test_a_manifest_of_a_size_that_none_has_is_not_taken_in(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    with (bundle.path / MANIFEST).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(BundleError, match="more than 16,777,216 bytes"):
        open_bundle(bundle.path)


def test_a_manifest_that_is_a_link_or_a_pipe_or_a_folder_is_none(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    file = bundle.path / MANIFEST
    moved = shutil.move(file, tmp_path / "elsewhere.json")
    file.symlink_to(moved)
    with pytest.raises(BundleError, match="cannot be read: it is a link"):
        open_bundle(bundle.path)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(BundleError, match="cannot be read: it is no file"):
        open_bundle(bundle.path)
    file.unlink()
    file.mkdir()
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(bundle.path)


def test_what_was_added_is_found_however_deep_it_lies(tmp_path: Path) -> None:
    bundle = make(tmp_path)
    start = os.open(bundle.path, os.O_RDONLY)
    try:
        for _ in range(1500):
            os.mkdir("d", dir_fd=start)
            inner = os.open("d", os.O_RDONLY, dir_fd=start)
            os.close(start)
            start = inner
        os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=start))
    finally:
        os.close(start)
    with pytest.raises(BundleError, match="was added after sealing"):
        open_bundle(bundle.path)
    subprocess.run(["rm", "-r", bundle.path / "d"], check=True)  # Python's own way is too shallow for it


def test_a_fault_is_told_by_its_place_and_in_few_words() -> None:
    assert fault_of([]) == "it is a list and not an object"
    assert "is too long: 300 characters, and at most 100 may be" in fault_of(
        {**dict.fromkeys(schema()["required"]), "format_version": 1, "irkit_version": "x" * 300}
    )
