"""What two bundles tell apart, what they do not, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from irkit.bundle import Bundle
from irkit.bundle_diff import BundleDiff, diff, signature
from tests import example_bundle as example

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
        assert ("compose-services", "outcome") in of(found, "settings")
    assert any("are not all there: cut at 64 MB" in sentence for sentence in diff(whole, whole).unknown)


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
