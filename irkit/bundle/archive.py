"""A bundle as one file, to be sent and kept: a zip archive that is the same bytes for the same bundle.

What arrives is taken for hostile until proven: names, sizes and kinds are checked before anything is written, all of it
is unpacked inside a folder of its own that goes again on refusal, and nothing in it is ever executed or unpickled.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from irkit.bundle import Bundle, bundle_folder, bundles_of, open_bundle, origin_in, read_document, seal_bundle
from irkit.bundle.manifest import MANIFEST, MOST_BYTES, Change, Manifest, read_manifest
from irkit.bundle.parquet import ALWAYS_READ_BYTES
from irkit.bundle.parquet_trial import try_tables
from irkit.bundle.shape import fault_of, schema
from irkit.bundle.staging import own_folder
from irkit.errors import BundleError, InputError, NotFoundError
from irkit.model import parse_incident_id

SUFFIX = ".irkit.zip"
ALWAYS_UNPACKED_BYTES = 64 * 1024 * 1024
MOST_UNPACKED_BYTES = 4 * 1024 * 1024 * 1024
MOST_RATIO = 200
_MOST_MEMBERS = 1000
_DIRECTORY_BYTES = 1024 * 1024
_CHUNK_BYTES = 1 << 18
# the first moment a zip archive can name: when the bundle was made stands in its manifest
_EPOCH = (1980, 1, 1, 0, 0, 0)
_END = struct.Struct("<4s4H2LH")
_ENCRYPTED = 0x1
_FORMS = {"table": ".parquet", "document": ".json"}
_SAFE_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}", re.ASCII)
_SAFE_PATH = re.compile(r"(?:[0-9A-Za-z_-][0-9A-Za-z._-]{0,99}/){0,4}[0-9A-Za-z_-][0-9A-Za-z._-]{0,99}", re.ASCII)
_REFUSED = "ask its sender to run `irkit bundle export` again"


def export_bundle(bundle: Bundle, destination: Path) -> Path:
    """Write an opened bundle into one new file and return its path; the same bundle gives the same bytes anywhere.

    Raises:
        BundleError: the destination exists, or cannot be written; it is there whole or not at all.
    """
    if destination.exists():
        raise BundleError(f"{destination} exists already", hint="choose another name with --to, or move it away")
    partial = destination.with_name(f".{destination.name}.partial")
    try:
        with partial.open("wb") as stream:
            # stored, not deflated: what zlib makes of the same bytes differs between its versions
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                for name in (MANIFEST, *sorted(item.path for item in bundle.manifest.evidence)):
                    _add(archive, bundle.path / name, name)
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(destination)
    except (OSError, zipfile.LargeZipFile) as error:
        partial.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise BundleError(f"{destination} cannot be written: {reason}", hint="choose another place with --to") from None
    return destination


def import_bundle(file: Path, home: Path, incident_id: int | None = None, *, now: datetime) -> Bundle:
    """File the bundle in `file` under its incident, or under another, and return it; its evidence is not touched.

    Under another incident it is sealed anew, and says since when and what it was. On refusal nothing is left behind.

    Raises:
        NotFoundError: there is no such file.
        BundleError: it is no bundle, was changed, is from a newer irkit, holds what a bundle may not hold, or stands
            there already.
    """
    with _staged(file, home / "bundles") as staged:
        manifest = staged.manifest
        if incident_id not in (None, manifest.incident_id):
            manifest = replace(manifest, incident_id=incident_id, made_of=origin_in(staged, Change.REFILED, now))
        destination = bundle_folder(home, manifest.incident_id) / manifest.bundle_id
        if destination.exists():
            raise _standing(destination, staged)
        return seal_bundle(staged.path, manifest, destination)


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Open a bundle that is a folder or one file; the file's content is there for as long as the block runs.

    Raises:
        NotFoundError: there is no bundle at `path`.
        BundleError: it cannot be trusted.
    """
    if path.is_dir():
        yield open_bundle(path)
        return
    with _staged(path, Path(tempfile.gettempdir())) as staged:
        yield staged


def verify(bundle: Bundle) -> None:
    """Check an opened bundle against the published schema, and every file of it for being what its form says.

    Raises:
        BundleError: something in it is not what a bundle may hold.
    """
    name = bundle.path.name
    _check_schema(bundle.manifest.to_json(), name)
    for item in bundle.manifest.evidence:
        if _FORMS.get(item.form) != Path(item.path).suffix:
            raise _refusal(name, f"{item.path} is neither a Parquet table nor a JSON document")
        if item.form == "table":
            continue
        if item.size_bytes > ALWAYS_READ_BYTES:
            raise _refusal(name, f"{item.path} has {item.size_bytes:,} bytes, too many for a document")
        read_document(bundle.path / item.path)
    try_tables([bundle.path / item.path for item in bundle.manifest.evidence if item.form == "table"])


def find_bundle(name: str, home: Path) -> Path:
    """Return a bundle by its folder or file, by its id, or by its incident (then the newest).

    Raises:
        NotFoundError: there is none.
    """
    path = Path(name)
    with suppress(OSError):  # too long for a path
        if (path / MANIFEST).is_file() or path.is_file():
            return path
    with suppress(InputError):
        if found := bundles_of(home, parse_incident_id(name)):
            return found[-1]
    if _SAFE_ID.fullmatch(name) and (named := sorted((home / "bundles").glob(f"INC-*/{name}/{MANIFEST}"))):
        return named[0].parent
    shown = name if len(name) <= 60 else f"{name[:60]}…"  # noqa: PLR2004 (as much as a sentence bears)
    hint = "give an incident's id, a bundle's id, its folder or its file; `irkit list` shows the incidents"
    raise NotFoundError(f"there is no bundle {shown!r}", hint=hint)


def _standing(destination: Path, arrived: Bundle) -> BundleError:
    """Say of a bundle that is here already whether it is the one that arrived."""
    with suppress(BundleError, NotFoundError):
        there = open_bundle(destination).manifest
        if arrived.manifest.seal in (there.seal, there.made_of.seal if there.made_of else ""):
            return BundleError(
                f"bundle {arrived.id} stands at {destination} already, whole and the same",
                hint="there is nothing to do",
            )
    hint = "look at both with `irkit bundle show`; to have this one there, move the other away"
    return BundleError(f"another bundle of the id {arrived.id} stands at {destination}", hint=hint)


def _add(archive: zipfile.ZipFile, source: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # Unix, on every system
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.file_size = source.stat().st_size
    with source.open("rb") as content, archive.open(entry, "w") as target:
        while chunk := content.read(_CHUNK_BYTES):
            target.write(chunk)


@contextmanager
def _staged(file: Path, parent: Path) -> Iterator[Bundle]:
    """Unpack a file into a folder of its own under `parent`, check all of it, and remove what is left of it."""
    if not file.exists():
        raise NotFoundError(f"there is no file {file}", hint="`irkit bundle export` makes one")
    if not file.is_file():
        raise BundleError(
            f"{file} is not a bundle's file", hint=f"give a file as `irkit bundle export` makes: *{SUFFIX}"
        )
    missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with own_folder(parent, "import") as staging:
            folder = staging.path / file.name
            folder.mkdir()
            _unpack(file, folder)
            bundle = open_bundle(folder)
            verify(bundle)
            yield bundle
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(
            f"{file} cannot be unpacked: {reason}", hint="free some disk space, or choose another home"
        ) from None
    finally:
        for folder in missing:
            with suppress(OSError):  # not empty: it holds the bundle now
                folder.rmdir()


def _unpack(file: Path, folder: Path) -> None:
    room = min(MOST_UNPACKED_BYTES, max(ALWAYS_UNPACKED_BYTES, MOST_RATIO * file.stat().st_size))
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, file.name)
            if MANIFEST not in members:
                raise _refusal(file.name, f"it holds no {MANIFEST}, so it is no bundle")
            room -= _extract(archive, members.pop(MANIFEST), folder / MANIFEST, min(room, MOST_BYTES))
            manifest = read_manifest(folder)
            listed = _listed(manifest, members, file.name)
            for name, size_bytes in listed.items():
                if size_bytes > room:
                    raise _refusal(file.name, f"it unpacks to more than {MOST_RATIO} times its own size")
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                room -= _extract(archive, members[name], target, size_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as error:
        raise _refusal(file.name, f"it is no zip archive that can be read ({error})") from None


def _check_directory(file: Path) -> None:
    """Refuse an archive whose list of contents is itself a bomb, before that list is read into memory."""
    with file.open("rb") as stream:
        size_bytes = stream.seek(0, os.SEEK_END)
        if size_bytes < _END.size:
            raise _refusal(file.name, "it is no zip archive")
        stream.seek(size_bytes - _END.size)
        signature, *counts, directory_bytes, _, comment_bytes = _END.unpack(stream.read(_END.size))
    if signature != b"PK\x05\x06" or comment_bytes:
        raise _refusal(file.name, "it does not end as a zip archive does: it was cut short, or something was added")
    if max(counts[2:]) > _MOST_MEMBERS or directory_bytes > _DIRECTORY_BYTES:
        raise _refusal(file.name, f"it lists more than {_MOST_MEMBERS} files")


def _members(archive: zipfile.ZipFile, label: str) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's files by name, after every name and kind in it was found harmless."""
    found: dict[str, zipfile.ZipInfo] = {}
    seen: dict[str, str] = {}
    for entry in archive.infolist():
        name = entry.orig_filename
        if problem := _problem(entry):
            raise _refusal(label, f"it holds {name!r}, {problem}")
        # what one file system keeps apart another takes for the same file
        folded = unicodedata.normalize("NFC", name).casefold().rstrip("/")
        if folded in seen:
            how = (
                "twice" if seen[folded] == name else f"and {seen[folded]!r}, which some systems take for the same name"
            )
            raise _refusal(label, f"it holds {name!r} {how}")
        seen[folded] = name
        if not name.endswith("/"):
            found[name] = entry
    return found


def _problem(entry: zipfile.ZipInfo) -> str:
    """Return what is wrong with a member's name or kind, or nothing."""
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    usual = (0, stat.S_IFDIR if name.endswith("/") else stat.S_IFREG)
    tests = (
        (name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name), "an absolute name"),
        (".." in name.replace("\\", "/").split("/"), "a name that leads out of its folder"),
        (kind == stat.S_IFLNK, "a link"),
        (kind not in usual, "which is neither a file nor a folder"),
        (not _SAFE_PATH.fullmatch(name.removesuffix("/")), "a name no bundle has"),
        (entry.flag_bits & _ENCRYPTED, "which is encrypted"),
        (
            entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
            "packed in a way that is not read here",
        ),
    )
    return next((what for wrong, what in tests if wrong), "")


def _listed(manifest: Manifest, members: Mapping[str, zipfile.ZipInfo], label: str) -> dict[str, int]:
    """Return the size of each file as the manifest has it, once each, after both lists were found to agree."""
    listed = {item.path: item.size_bytes for item in manifest.evidence}
    if unlisted := sorted(members.keys() - listed.keys()):
        raise _refusal(label, f"it holds {unlisted[0]!r}, which its manifest does not list")
    if missing := sorted(listed.keys() - members.keys()):
        raise _refusal(label, f"it lacks {missing[0]!r}, which its manifest lists")
    return listed


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most_bytes: int) -> int:
    """Write one member to a new file and return its size; what claims to be small and is not ends at `most_bytes`."""
    written = 0
    with archive.open(entry) as content, target.open("xb") as stream:
        while chunk := content.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > most_bytes:
                raise _refusal(Path(archive.filename or "").name, f"{entry.filename} unpacks to more than it may")
            stream.write(chunk)
    return written


def _check_schema(body: Mapping[str, Any], label: str) -> None:
    """Have a validator that is not ours judge a manifest, too; what is wrong is said in our words, which are short."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema()).iter_errors(body))
    if error is not None:
        where = "/".join(str(step) for step in error.absolute_path) or "it"
        what = fault_of(body) or f"{where} is not what the schema says of its {error.validator}"
        raise _refusal(label, f"in its manifest, {what}")


def _refusal(label: str, what: str) -> BundleError:
    return BundleError(f"{label} is refused: {what}", hint=_REFUSED)
