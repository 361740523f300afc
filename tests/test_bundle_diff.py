"""What two bundles tell apart, what they do not, and what cannot be told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from irkit.bundle import Bundle, seal_bundle, sha256_of
from irkit.bundle_diff import BundleDiff, diff, signature
from irkit.model import Evidence
from tests.support import example_bundle as example

Make = Callable[..., Bundle]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Seal the example with the rows of some kinds changed first."""

    def made(name: str, **rows: list[example.Row]) -> Bundle:
        with monkeypatch.context() as patch:
            for kind, changed in rows.items():
                patch.setitem(example.TABLES, kind, (*example.TABLES[kind][:2], changed))
            return example.example_bundle(tmp_path / name)

    return made


def of(found: BundleDiff, area: str) -> dict[tuple[str, str], tuple[object, object]]:
    return {
        (change.subject, change.what): (change.before, change.after) for change in found.changes if change.area == area
    }


def test_equal_bundles_do_not_differ(make: Make) -> None:
    found = diff(make("one"), make("two"))
    assert (found.changes, found.new_patterns) == ((), ())


def test_containers_that_changed_came_and_went(make: Make) -> None:
    api, redis = example.containers()
    api |= {
        "state": "running",
        "exit_code": None,
        "image_digest": "sha256:new",
        "restart_count": 3,
        "container_id": "x",
    }
    worker = redis | {"service": "worker", "name": "jarvis-worker-1"}
    found = of(diff(make("one"), make("two", containers=[api, worker])), "containers")
    assert found == {
        ("jarvis-jarvis-api-1", "state"): ("exited", "running"),
        ("jarvis-jarvis-api-1", "exit_code"): (1, None),
        ("jarvis-jarvis-api-1", "restart_count"): (0, 3),
        ("jarvis-jarvis-api-1", "image_digest"): ("sha256:4be1…", "sha256:new"),
        ("jarvis-jarvis-api-1", "made anew"): (api["created_at"], api["created_at"]),
        ("jarvis-redis-1", "service redis"): ("running", None),
        ("jarvis-worker-1", "service worker"): (None, "running"),
    }


def test_tables_metrics_and_new_patterns(make: Make) -> None:
    lines = example.logs()
    last = lines[-1]["at"]
    extra = [
        example._line(last + timedelta(seconds=number), text)  # type: ignore[operator]
        for number, text in enumerate(
            [
                "WARNING:jarvis.pool:connection 4711 to 10.0.0.7:5432 lost after 3.5s",
                "WARNING:jarvis.pool:connection 4712 to 10.0.0.8:5432 lost after 12s",
                'INFO:jarvis.access:"GET /api/chat HTTP/1.1" 500 9.000s',
            ],
            1,
        )
    ]
    found = diff(make("one"), make("two", logs=[*lines, *extra]))
    assert of(found, "tables") == {("logs", "rows"): (len(lines), len(lines) + 3)}
    metrics = of(found, "metrics")
    requests = metrics["jarvis-api", "requests, health checks too"]
    assert requests[1] == requests[0] + 1  # type: ignore[operator]
    ratio = metrics["jarvis-api", "error_ratio"]
    assert 0 < ratio[0] < ratio[1] < 1  # type: ignore[operator]
    (pattern,) = found.new_patterns
    assert pattern.pattern == "WARNING:jarvis.pool:connection <*> to <*> lost after <*>s"
    assert (pattern.service, pattern.count, pattern.first_at) == ("jarvis-api", 2, extra[0]["at"])
    assert pattern.example == extra[0]["line"]


def test_what_one_of_them_lacks_is_unknown_and_not_unchanged(tmp_path: Path, make: Make) -> None:
    whole = make("one")
    blind = example.example_bundle(tmp_path / "blind", leave_out=("containers", "container_health", "logs"))
    for before, after in ((whole, blind), (blind, whole)):
        found = diff(before, after)
        assert any("containers cannot be compared" in sentence for sentence in found.unknown)
        assert any("logs cannot be compared" in sentence and "failed" in sentence for sentence in found.unknown)
        assert of(found, "containers") == {}
        assert ("compose-services", "outcome") in of(found, "collection")
    assert any("are not all there: cut at 64 MB" in sentence for sentence in diff(whole, whole).unknown)


def test_what_only_redaction_made_of_a_line_is_no_new_pattern(make: Make) -> None:
    lines = example.logs()
    at = lines[-1]["at"]

    def said(*texts: str) -> list[example.Row]:
        return [*lines, *(example._line(at + timedelta(seconds=place), text) for place, text in enumerate(texts, 1))]  # type: ignore[operator]

    worded = make("worded", logs=said("asked db-main.example.com for a lease", "sent by ana@example.com"))
    hidden = said("asked [redacted:host:0123abcd] for a lease", "sent by [redacted:email:0123abcd]")
    redacted = make("redacted", logs=[*hidden, *said("asked nobody in particular")[-1:]])
    assert diff(redacted, worded).new_patterns == ()
    (new,) = diff(worded, redacted).new_patterns
    assert new.pattern == "asked nobody in particular"


def test_variables_and_mounts_that_came_and_went_are_settings(tmp_path: Path, make: Make) -> None:
    api = {"service": "jarvis-api", "name": "jarvis-jarvis-api-1"}

    def made(name: str, variables: list[str], mounts: list[tuple[str, str, bool]]) -> Bundle:
        rows = [{**api, "variable": one} for one in variables]
        at = [{**api, "type": "bind", "source": a, "destination": b, "read_only": c} for a, b, c in mounts]
        source = tmp_path / name
        source.mkdir()
        return with_tables(make(f"{name}-plain"), source, container_environment=rows, container_mounts=at)

    before = made("one", ["PATH", "OLD_URL"], [("/srv/data", "/data", False)])
    after = made("two", ["PATH", "NEW_URL"], [("/srv/data", "/data", True)])
    assert of(diff(before, after), "settings") == {
        ("jarvis-jarvis-api-1", "variable OLD_URL"): ("there", None),
        ("jarvis-jarvis-api-1", "variable NEW_URL"): (None, "there"),
        ("jarvis-jarvis-api-1", "destination /data"): ("there from /srv/data", "read only from /srv/data"),
    }


def with_tables(bundle: Bundle, folder: Path, **tables: list[example.Row]) -> Bundle:
    """Seal a copy with further tables of the container listing."""
    shutil.copytree(bundle.path, folder / "staging")
    (folder / "staging" / "manifest.json").unlink()
    evidence = list(bundle.manifest.evidence)
    for kind, rows in tables.items():
        file = folder / "staging" / f"{kind}.parquet"
        pd.DataFrame(rows).to_parquet(file)
        collector = "compose-services"
        size = file.stat().st_size
        command = "docker-compose ps"
        item = Evidence(
            *(f"{collector}/{kind}", collector, kind, "table", file.name, sha256_of(file), size, len(rows)),
            *("", command, bundle.manifest.created_at),
        )
        evidence.append(item)
    return seal_bundle(folder / "staging", replace(bundle.manifest, evidence=tuple(evidence)), folder / "sealed")


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("took 12.5 ms", "took <*> ms"),
        ("user 3f2504e0-4f89-11d3-9a0c-0305e82c3301 gone", "user <*> gone"),
        ("commit 9f2c1d7a44be", "commit <*>"),
        ("deadbeef stays a word, as does facade", "deadbeef stays a word, as does facade"),
        ("no such file '/tmp/x y'", "no such file <*>"),
        ("key [redacted:jwt:0123abcd] refused", "key <*> refused"),
        ("", ""),
    ],
)
def test_signatures_keep_words_and_lose_what_varies(line: str, pattern: str) -> None:
    assert signature(line) == pattern
