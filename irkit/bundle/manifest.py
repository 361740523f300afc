"""What a bundle says of itself: its contents, how each look ended, what it was made of, and the seal over all that."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from irkit.bundle.shape import fault_of, shown
from irkit.errors import BundleError, InputError, NotFoundError
from irkit.model import CollectorRun, Evidence, Outcome, Window

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
REDACTED_SUFFIX = "-redacted"
MOST_BYTES = 16 * 1024 * 1024
# how many bundles one may come from, each made of the one before
MOST_STEPS = 100
_UNTOUCHED = "use an untouched copy, or collect again"
# all came later than the first bundles
_OPTIONAL = frozenset({"whole_from", "made_of"})


class Change(StrEnum):
    """What was done to a bundle to make another of it."""

    REDACTED = "redacted"
    HEAP_ADDED = "heap-added"
    REFILED = "refiled"


_TOLD = {
    Change.REDACTED: "a copy of bundle {} in which secrets were replaced once more",
    Change.HEAP_ADDED: "bundle {} with heap snapshots added",
    Change.REFILED: "bundle {}, filed under another incident",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """The sealed bundle that another was made of, what was done to it, and when; and what it was made of itself."""

    bundle_id: str
    seal: str
    made_at: datetime
    change: Change
    made_of: Origin | None = None

    @property
    def told(self) -> str:
        """What this makes of the bundle that says it, as in "this is …"."""
        return _TOLD[self.change].format(self.bundle_id)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds, how each look ended, and the seal: the sha256 of all this in canonical JSON.

    `created_at` is when the evidence was collected; what was made of another bundle later names it in `made_of`.
    """

    format_version: int
    irkit_version: str
    bundle_id: str
    incident_id: int
    window: Window
    created_at: datetime
    runs: tuple[CollectorRun, ...]
    evidence: tuple[Evidence, ...]
    seal: str = ""
    made_of: Origin | None = None

    @property
    def is_redacted_again(self) -> bool:
        """Whether it was, at some step from what was collected to this, redacted once more."""
        return any(origin.change is Change.REDACTED for origin in _steps(self.made_of))

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as JSON values, times in ISO 8601 UTC."""
        made = _plain(self)
        assert isinstance(made, dict)  # noqa: S101 (a dataclass is always a mapping here)
        # an irkit of before would refuse it, and how far back was looked shows in the evidence
        del made["window"]["usual_start"]
        return made


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a bundle's folder after checking its format and its seal; no evidence is looked at.

    Raises:
        NotFoundError: there is no bundle at `path`.
        BundleError: the manifest was changed after sealing, is damaged, or comes from a newer irkit.
    """
    body = _body(path)
    version = body.get("format_version") if isinstance(body, dict) else None
    if not isinstance(version, int) or version > FORMAT_VERSION:
        msg = f"bundle {path.name} has format {shown(version)}; this irkit reads up to {FORMAT_VERSION}"
        raise BundleError(msg, hint="upgrade irkit")
    try:
        if body.get("seal") != seal_of(body):
            msg = f"bundle {path.name} cannot be trusted: its manifest was changed after sealing"
            raise BundleError(msg, hint=_UNTOUCHED)
        fault = _fault_of(body)
        manifest = None if fault else _manifest(body)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, InputError) as error:
        fault, manifest = str(error), None
    if manifest is None:
        msg = f"the manifest of bundle {path.name} is not what format {version} promises: {fault}"
        raise BundleError(msg, hint=_UNTOUCHED)
    return manifest


def shortened(origin: Origin | None) -> Origin | None:
    """Return what a bundle was made of with room for one more step: what it was collected as stays, and the newest.

    Steps between go, the oldest first, but for one that says that it was redacted, where no other does.
    """
    steps = list(_steps(origin))
    if len(steps) < MOST_STEPS:
        return origin
    kept, between = [*steps[: MOST_STEPS - 3], steps[-1]], steps[MOST_STEPS - 3 : -1]
    if not any(step.change is Change.REDACTED for step in kept):
        kept[-1:-1] = [step for step in between if step.change is Change.REDACTED][:1]
    made: Origin | None = None
    for step in reversed(kept):
        made = replace(step, made_of=made)
    return made


def sealed(manifest: Manifest) -> Manifest:
    """Return a manifest with the seal that is due to it."""
    values = {item.name: getattr(manifest, item.name) for item in fields(manifest)}
    return Manifest(**{**values, "seal": seal_of(manifest.to_json())})


def seal_of(body: dict[str, Any]) -> str:
    """Return the seal over a manifest's JSON values: the sha256, in hexadecimal digits, of all but the seal itself."""
    unsealed = {key: value for key, value in body.items() if key != "seal"}
    canonical = json.dumps(unsealed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _body(path: Path) -> Any:  # noqa: ANN401 (JSON values)
    """Return what stands in a bundle's manifest; a link is not followed, and no more is read than a manifest has."""
    try:
        # a pipe of that name would keep who opens it waiting
        descriptor = os.open(path / MANIFEST, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unreadable(path, "it is no file")
            raw = stream.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise _unreadable(path, f"it has more than {MOST_BYTES:,} bytes")
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (FileNotFoundError, NotADirectoryError):
        msg = f"there is no sealed bundle at {path}"
        raise NotFoundError(msg, hint="`irkit collect` makes one") from None
    except (OSError, ValueError, RecursionError) as error:
        is_link = isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.EMLINK)
        reason = "it is a link" if is_link else getattr(error, "strerror", None) or error
        raise _unreadable(path, str(reason)) from None


def _unreadable(path: Path, reason: str) -> BundleError:
    return BundleError(f"the manifest of bundle {path.name} cannot be read: {reason}", hint=_UNTOUCHED)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's members; of two that bear one name, readers would not take the same."""
    made = dict(pairs)
    if len(made) < len(pairs):
        msg = "an object in it has two members of one name"
        raise ValueError(msg)
    return made


def _no_number(name: str) -> Any:  # noqa: ANN401 (it never returns)
    msg = f"{name} is no number in JSON"
    raise ValueError(msg)


def _fault_of(body: dict[str, Any]) -> str:
    """Say what is wrong with a manifest whose seal is right, or nothing."""
    steps, origin = 0, body.get("made_of")
    while isinstance(origin, dict):
        steps, origin = steps + 1, origin.get("made_of")
        if steps > MOST_STEPS:
            return f"it was made of more than {MOST_STEPS} bundles, one of another"
    if fault := fault_of(body):
        return fault
    seen: set[str] = set()
    for item in body["evidence"]:
        # what one file system keeps apart another takes for the same file
        folded = item["path"].casefold()
        if folded in seen:
            return f"two pieces of evidence are in one file, {item['path']}"
        seen.add(folded)
    return ""


def _manifest(body: dict[str, Any]) -> Manifest:
    def run(row: dict[str, Any]) -> CollectorRun:
        lists = {key: tuple(row[key]) for key in ("provides", "evidence")}
        outcome, started_at = Outcome(row["outcome"]), datetime.fromisoformat(row["started_at"])
        since = datetime.fromisoformat(row["whole_from"]) if "whole_from" in row else None
        return CollectorRun(**{**row, **lists, "outcome": outcome, "started_at": started_at, "whole_from": since})

    def evidence(row: dict[str, Any]) -> Evidence:
        return Evidence(**{**row, "collected_at": datetime.fromisoformat(row["collected_at"])})

    window = Window(*(datetime.fromisoformat(body["window"][key]) for key in ("start", "end")))
    made = {
        **body,
        "made_of": _origin(body["made_of"]) if "made_of" in body else None,
        "window": window,
        "created_at": datetime.fromisoformat(body["created_at"]),
        "runs": tuple(run(row) for row in body["runs"]),
        "evidence": tuple(evidence(row) for row in body["evidence"]),
    }
    return Manifest(**made)


def _origin(row: dict[str, Any]) -> Origin:
    before = _origin(row["made_of"]) if "made_of" in row else None
    made_at, change = datetime.fromisoformat(row["made_at"]), Change(row["change"])
    return Origin(**{**row, "made_at": made_at, "change": change, "made_of": before})


def _steps(origin: Origin | None) -> Iterator[Origin]:
    while origin is not None:
        yield origin
        origin = origin.made_of


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__dataclass_fields__"):
        made = {item.name: _plain(getattr(value, item.name)) for item in fields(value)}  # type: ignore[arg-type]
        return {name: item for name, item in made.items() if item != {} and not (item is None and name in _OPTIONAL)}
    return value
