"""The recorded faults: one small bundle for each, and the truth about it in a file beside it."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from irkit.bundle import Bundle, seal_bundle, sha256_of
from irkit.bundle.manifest import MANIFEST
from irkit.model import Evidence

RECORDINGS = Path(__file__).parents[1] / "data" / "faults"
SUFFIX = ".irkit.zip"
_EPOCH = (1980, 1, 1, 0, 0, 0)
# few values that repeat; the other columns pack better without a dictionary
_REPEATING = {"service", "name", "stream", "state"}


@dataclass(frozen=True)
class Truth:
    """What is kept beside a recorded bundle: when it began (None where nothing did) and what others saw.

    `verdict_s` is how long `irkit collect` took from its start to its end, the diagnosis it prints included.
    """

    onset: datetime | None
    recorded_at: datetime
    verdict_s: float
    seen: tuple[str, ...]


def bundle_of(name: str, folder: Path = RECORDINGS) -> Path:
    """The file of one recording, whether or not it exists."""
    return folder / f"{name}{SUFFIX}"


def truth_of(name: str, folder: Path = RECORDINGS) -> Truth:
    """The truth about one recording."""
    kept = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    onset = datetime.fromisoformat(kept["onset"]) if kept["onset"] else None
    return Truth(onset, datetime.fromisoformat(kept["recorded_at"]), kept["verdict_s"], tuple(kept["seen"]))


def keep(bundle: Bundle, truth: Truth, name: str, folder: Path = RECORDINGS) -> None:
    """Write a recording: the bundle's very rows, packed as tightly as Parquet goes, and sealed anew."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        packed = _packed(bundle, Path(scratch))
        partial = folder / f".{name}.partial"
        with zipfile.ZipFile(partial, "w") as archive:
            for file in (MANIFEST, *sorted(item.path for item in packed.manifest.evidence)):
                entry = zipfile.ZipInfo(file, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, (packed.path / file).read_bytes(), compresslevel=9)
        partial.rename(bundle_of(name, folder))
    onset = truth.onset.isoformat(timespec="milliseconds") if truth.onset else None
    at = truth.recorded_at.isoformat(timespec="seconds")
    told = {"onset": onset, "recorded_at": at, "verdict_s": round(truth.verdict_s, 1), "seen": list(truth.seen)}
    (folder / f"{name}.json").write_text(f"{json.dumps(told, indent=1)}\n", encoding="utf-8")


def _packed(bundle: Bundle, scratch: Path) -> Bundle:
    staging = scratch / "staging"
    shutil.copytree(bundle.path, staging)
    evidence = tuple(_repacked(staging / item.path, item) for item in bundle.manifest.evidence)
    sizes = {item.id: item.size_bytes for item in evidence}
    runs = tuple(replace(run, size_bytes=sum(sizes[each] for each in run.evidence)) for run in bundle.runs)
    manifest = replace(bundle.manifest, runs=runs, evidence=evidence, seal="")
    return seal_bundle(staging, manifest, scratch / bundle.id)


def _repacked(path: Path, item: Evidence) -> Evidence:
    if item.form != "table":
        return item
    table = pq.ParquetFile(path).read()
    repeating = sorted(_REPEATING & set(table.column_names))
    pq.write_table(
        table, path, compression="zstd", compression_level=19, use_dictionary=repeating, write_statistics=False
    )
    return replace(item, sha256=sha256_of(path), size_bytes=path.stat().st_size)
