"""Evidence bundles: a folder of Parquet tables and JSON documents, sealed by a manifest of sha256 sums.

Sealing moves a finished folder into place in one rename, so a bundle is there whole or not at all. Opening checks
every sum first: a flipped bit in Parquet can otherwise pass silently.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from irkit.bundle.manifest import MANIFEST, REDACTED_SUFFIX, Change, Manifest, Origin, read_manifest, sealed, shortened
from irkit.bundle.staging import is_staging, staging_folder
from irkit.errors import BundleError, NotFoundError
from irkit.model import CollectorRun, Evidence, Window

if TYPE_CHECKING:
    from collections.abc import Iterator


_MOST_TOLD = 3


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
        from irkit.bundle.parquet import read_table

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
    return Origin(source.id, source.manifest.seal, now, change, shortened(source.manifest.made_of))


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
    made = sealed(manifest)
    try:
        body = json.dumps(made.to_json(), indent=2, sort_keys=True, ensure_ascii=True)
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
    return Bundle(destination, made)


def open_bundle(path: Path) -> Bundle:
    """Open a sealed bundle after checking its seal and the sum of every file.

    Raises:
        NotFoundError: there is no bundle at `path`.
        BundleError: it was changed after sealing, is damaged, or comes from a newer irkit.
    """
    manifest = read_manifest(path)
    try:
        problems = list(islice(_problems(path, manifest), _MOST_TOLD))
    except OSError as error:
        problems = [f"{error.filename or path} cannot be read: {error.strerror or error}"]
    if problems:
        msg = f"bundle {path.name} cannot be trusted: {'; '.join(problems)}"
        raise BundleError(msg, hint="use an untouched copy, or collect again")
    return Bundle(path, manifest)


def bundles_of(home: Path, incident_id: int) -> tuple[Path, ...]:
    """Return the folders of an incident's sealed bundles, oldest first, and a redacted copy before its original.

    The copy knows less, so it is never the newest where both are here.
    """
    folder = bundle_folder(home, incident_id)
    found = [path.parent for path in folder.glob(f"*/{MANIFEST}")] if folder.is_dir() else []
    return tuple(sorted((path for path in found if not is_staging(path)), key=_age))


def newest_of(
    home: Path, incident_id: int, *, on_broken: Callable[[BundleError], None] = lambda _: None
) -> Bundle | None:
    """Return an incident's newest sealed bundle; None without one, or where it is broken, as `on_broken` hears."""
    folders = bundles_of(home, incident_id)
    try:
        return open_bundle(folders[-1]) if folders else None
    except BundleError as error:
        on_broken(error)
        return None


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


def _problems(path: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what keeps a bundle from being believed; nothing outside its own folder is ever read.

    Each path leads into it, and none is there twice: the manifest's shape was checked.
    """
    listed = {MANIFEST}
    for item in manifest.evidence:
        relative = PurePosixPath(item.path)
        listed.add(item.path)
        file = path / item.path
        if any((path / part).is_symlink() for part in (relative, *relative.parents[:-1])):
            yield f"{item.path} is a link"
        elif not file.is_file():
            yield f"{item.path} is missing"
        elif sha256_of(file) != item.sha256:
            yield f"{item.path} was changed after sealing"
    yield from (f"{name} was added after sealing" for name in _names(path) if name not in listed)


def _names(root: Path) -> Iterator[str]:
    """Yield all that lies in a folder and is no folder, without following a link, however deep."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(root / folder) as found:
            for entry in sorted(found, key=lambda one: one.name):
                name = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                else:
                    yield name


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
