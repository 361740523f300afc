"""Evidence bundles: a folder of Parquet tables and JSON documents, sealed by a manifest of sha256 sums.

Sealing moves a finished folder into place in one rename, so a bundle is there whole or not at all. Opening checks
every sum first: a flipped bit in Parquet can otherwise pass silently.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from irkit.errors import BundleError, InputError, NotFoundError
from irkit.model import CollectorRun, Evidence, Outcome, Window
from irkit.staging import is_staging, staging_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
REDACTED_SUFFIX = "-redacted"
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

    @property
    def sealed_at(self) -> datetime:
        return self.made_of.made_at if self.made_of else self.created_at

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as JSON values, times in ISO 8601 UTC."""
        made = _plain(self)
        assert isinstance(made, dict)  # noqa: S101 (a dataclass is always a mapping here)
        return made


@dataclass(frozen=True)
class Bundle:
    """A sealed bundle, opened and verified; evidence is loaded by kind."""

    path: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.manifest.bundle_id

    @property
    def window(self) -> Window:
        return self.manifest.window

    @property
    def runs(self) -> tuple[CollectorRun, ...]:
        return self.manifest.runs

    def has(self, kind: str) -> bool:
        """Say whether evidence of this kind is here, possibly with no rows: an empty table is an answer too."""
        return self.evidence_for(kind) is not None

    def evidence_for(self, kind: str) -> Evidence | None:
        return next((item for item in self.manifest.evidence if item.kind == kind), None)

    def run_for(self, kind: str) -> CollectorRun | None:
        """Return the look that yields this kind, whether or not it did this time."""
        return next((run for run in self.runs if kind in run.provides), None)

    def load(self, kind: str) -> Any:  # noqa: ANN401 (DataFrame for a table, JSON values for a document)
        """Return a table as a DataFrame (times aware UTC) or a document as JSON values.

        Raises:
            NotFoundError: the bundle holds no evidence of this kind.
            BundleError: it is not what its form says, or would take more memory than it is worth.
        """
        item = self.evidence_for(kind)
        if item is None:
            msg = f"bundle {self.id} holds no {kind}"
            raise NotFoundError(msg, hint="`irkit show` lists what was collected")
        if item.form == "document":
            return read_document(self.path / item.path)
        from irkit.parquet import read_table

        return read_table(self.path / item.path)

    def __repr__(self) -> str:
        kinds = ", ".join(item.kind for item in self.manifest.evidence)
        return f"Bundle({self.id}, incident {self.manifest.incident_id}: {kinds or 'empty'})"


def with_evidence_of(source: Bundle, other: Bundle, collector: str, destination: Path, now: datetime) -> Bundle:
    """Seal a copy of a bundle in which one collector's evidence is that of `other`; neither of the two is touched.

    It counts as collected when `source` was, and says what it was made of; each piece of evidence tells its own time.

    Raises:
        BundleError: the destination is taken, or the disk refuses.
    """
    with staging_folder(destination) as staging:
        parts = [(item, source) for item in source.manifest.evidence if item.collector != collector]
        parts += [(item, other) for item in other.manifest.evidence if item.collector == collector]
        _copy_files(parts, staging)
        runs = [run for run in source.runs if run.collector != collector]
        runs += [run for run in other.runs if run.collector == collector]
        evidence = tuple(item for item, _ in parts)
        manifest = replace(
            source.manifest,
            bundle_id=destination.name,
            runs=tuple(runs),
            evidence=evidence,
            made_of=origin_in(source, Change.HEAP_ADDED, now),
        )
        return seal_bundle(staging, manifest, destination)


def origin_in(source: Bundle, change: Change, now: datetime) -> Origin:
    """Return what a bundle says of itself that was made of `source` by a change at `now`."""
    return Origin(source.id, source.manifest.seal, now, change, source.manifest.made_of)


def _steps(origin: Origin | None) -> Iterator[Origin]:
    while origin is not None:
        yield origin
        origin = origin.made_of


def read_document(path: Path) -> Any:  # noqa: ANN401 (JSON values)
    """Return a JSON document's value; text may hold lone surrogates.

    Raises:
        BundleError: it is not JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except (ValueError, RecursionError) as error:
        reason = str(error).partition(":")[0]
        msg = f"the document {path.name} cannot be read as JSON: {reason}"
        raise BundleError(msg, hint="use an untouched copy") from None


def seal_bundle(folder: Path, manifest: Manifest, destination: Path) -> Bundle:
    """Write the manifest into `folder`, flush it all to disk, and move it to `destination` in one step.

    Raises:
        BundleError: the destination is taken, or the disk refuses (full, read-only).
    """
    sealed = _sealed(manifest)
    try:
        body = json.dumps(sealed.to_json(), indent=2, sort_keys=True, ensure_ascii=True)
        (folder / MANIFEST).write_text(body + "\n", encoding="utf-8")
        for path in sorted(folder.rglob("*")):
            _flush(path)
        _flush(folder)
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.exists():
            msg = f"a bundle already stands at {destination}"
            raise BundleError(
                msg, hint="a sealed bundle is never overwritten; move that one away to have another there"
            )
        folder.rename(destination)
        _flush(destination.parent)
    except OSError as error:
        msg = f"the evidence could not be sealed at {destination}: {error.strerror or error}"
        raise BundleError(msg, hint="free some disk space or choose another home in irkit.toml") from None
    return Bundle(destination, sealed)


def open_bundle(path: Path) -> Bundle:
    """Open a sealed bundle after checking its seal and the sum of every file.

    Raises:
        NotFoundError: there is no bundle at `path`.
        BundleError: it was changed after sealing, is damaged, or comes from a newer irkit.
    """
    manifest = read_manifest(path)
    problems = list(_problems(path, manifest))
    if problems:
        msg = f"bundle {path.name} cannot be trusted: {'; '.join(problems[:3])}"
        raise BundleError(msg, hint="use an untouched copy, or collect again")
    return Bundle(path, manifest)


def bundles_of(home: Path, incident_id: int) -> tuple[Path, ...]:
    """Return the folders of an incident's sealed bundles, oldest first, and a redacted copy before its original.

    The copy knows less, so it is never the newest where both are here.
    """
    folder = bundle_folder(home, incident_id)
    found = [path.parent for path in folder.glob(f"*/{MANIFEST}")] if folder.is_dir() else []
    return tuple(sorted((path for path in found if not is_staging(path)), key=_age))


def _age(folder: Path) -> tuple[str, bool]:
    return folder.name.removesuffix(REDACTED_SUFFIX), not folder.name.endswith(REDACTED_SUFFIX)


def bundle_folder(home: Path, incident_id: int) -> Path:
    """Return where an incident's bundles are kept."""
    return home / "bundles" / f"INC-{incident_id}"


def copy_bundle(source: Bundle, destination: Path, incident_id: int, bundle_id: str) -> Bundle:
    """File a copy of a bundle under another incident, sealed anew; the evidence itself is not touched."""
    with staging_folder(destination) as staging:
        return _copied(source, staging, destination, incident_id, bundle_id)


def _copied(source: Bundle, staging: Path, destination: Path, incident_id: int, bundle_id: str) -> Bundle:
    _copy_files([(item, source) for item in source.manifest.evidence], staging)
    manifest = replace(source.manifest, bundle_id=bundle_id, incident_id=incident_id, seal="")
    return seal_bundle(staging, manifest, destination)


def _copy_files(parts: Iterable[tuple[Evidence, Bundle]], staging: Path) -> None:
    for item, origin in parts:
        target = staging / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin.path / item.path, target)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sealed(manifest: Manifest) -> Manifest:
    values = {item.name: getattr(manifest, item.name) for item in fields(manifest)}
    return Manifest(**{**values, "seal": _seal_of(manifest.to_json())})


def _seal_of(body: dict[str, Any]) -> str:
    unsealed = {key: value for key, value in body.items() if key != "seal"}
    canonical = json.dumps(unsealed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a bundle's folder after checking its format and its seal; no evidence is looked at.

    Raises:
        NotFoundError: there is no bundle at `path`.
        BundleError: the manifest was changed after sealing, is damaged, or comes from a newer irkit.
    """
    try:
        body = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"there is no sealed bundle at {path}"
        raise NotFoundError(msg, hint="`irkit collect` makes one") from None
    except (OSError, ValueError, RecursionError) as error:
        msg = f"the manifest of bundle {path.name} cannot be read: {error}"
        raise BundleError(msg, hint="use an untouched copy, or collect again") from None
    version = body.get("format_version") if isinstance(body, dict) else None
    if not isinstance(version, int) or version > FORMAT_VERSION:
        msg = f"bundle {path.name} has format {version!r}; this irkit reads up to {FORMAT_VERSION}"
        raise BundleError(msg, hint="upgrade irkit")
    if body.get("seal") != _seal_of(body):
        msg = f"bundle {path.name} cannot be trusted: its manifest was changed after sealing"
        raise BundleError(msg, hint="use an untouched copy, or collect again")
    try:
        return _manifest(body)
    except (KeyError, TypeError, ValueError, InputError) as error:
        msg = f"the manifest of bundle {path.name} lacks what format {version} promises: {error}"
        raise BundleError(msg, hint="use an untouched copy, or collect again") from None


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


def _problems(path: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what keeps a bundle from being believed; nothing outside its own folder is ever read."""
    listed = {MANIFEST}
    for item in manifest.evidence:
        relative = PurePosixPath(item.path)
        if relative.is_absolute() or ".." in relative.parts or "\\" in item.path:
            yield f"{item.path} points outside the bundle"
            continue
        listed.add(item.path)
        file = path / item.path
        if any(part.is_symlink() for part in (file, *file.parents) if part.is_relative_to(path) and part != path):
            yield f"{item.path} is a link"
        elif not file.is_file():
            yield f"{item.path} is missing"
        elif sha256_of(file) != item.sha256:
            yield f"{item.path} was changed after sealing"
    there = {file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir() or file.is_symlink()}
    yield from (f"{name} was added after sealing" for name in sorted(there - listed))


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


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # some file systems refuse to sync a folder; the rename is then as safe as they make it
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)
