"""A sealed bundle redacted once more: a copy with today's rules and this installation's key, sealed anew."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from irkit.bundle import Bundle, origin_in, read_document, seal_bundle, sha256_of
from irkit.bundle.manifest import REDACTED_SUFFIX, Change
from irkit.bundle.parquet import check_table
from irkit.bundle.staging import staging_folder
from irkit.collect.writer import to_bytes
from irkit.errors import BundleError
from irkit.model import CollectorRun, Evidence
from irkit.redact import Redactor, count_placeholders, placeholders_in

if TYPE_CHECKING:
    from collections import Counter
    from datetime import datetime
    from pathlib import Path


def redact_bundle(bundle: Bundle, redactor: Redactor, destination: Path, now: datetime) -> Bundle:
    """Write a redacted copy of an opened bundle to a new folder and return it; its id ends in `-redacted`.

    Text in evidence and in what the collectors said is redacted; numbers, times and placeholders stay as they are.

    Raises:
        BundleError: the destination is taken, the disk refuses, or a file is not what its form says.
    """
    manifest = bundle.manifest
    bundle_id = f"{manifest.bundle_id.removesuffix(REDACTED_SUFFIX)}{REDACTED_SUFFIX}"
    if destination.exists():
        raise BundleError(f"{destination} exists already", hint="choose another name with --to, or move it away")
    try:
        with staging_folder(destination) as staging:
            evidence = tuple(_redacted(bundle.path / item.path, item, redactor, staging) for item in manifest.evidence)
            runs = tuple(_rerun(run, evidence, redactor) for run in manifest.runs)
            made = replace(
                manifest,
                irkit_version=version("irkit"),
                bundle_id=bundle_id,
                runs=runs,
                evidence=evidence,
                made_of=origin_in(bundle, Change.REDACTED, now),
            )
            return seal_bundle(staging, made, destination)
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(
            f"{error.filename or destination} cannot be written: {reason}", hint="choose another with --to"
        ) from None


def _redacted(source: Path, item: Evidence, redactor: Redactor, staging: Path) -> Evidence:
    target = staging / item.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if item.form == "table":
        counts = _redact_table(source, redactor, target)
    else:
        value, _ = redactor.value(read_document(source))
        target.write_text(json.dumps(value, indent=1, ensure_ascii=True), encoding="ascii")
        counts = placeholders_in([target])
    subject, command = (redactor.text(text)[0] for text in (item.subject, item.command))
    return replace(
        item,
        sha256=sha256_of(target),
        size_bytes=target.stat().st_size,
        subject=subject,
        command=command,
        redactions=counts,
    )


def _redact_table(source: Path, redactor: Redactor, target: Path) -> Counter[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_table(source)
    table = pq.ParquetFile(source).read(use_threads=False)
    counts = count_placeholders(())
    for index, column in enumerate(table.schema):
        raw = pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
        if not (raw or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            continue
        cells: list[Any] = table.column(index).to_pylist()
        places = [place for place, cell in enumerate(cells) if cell is not None]
        texts = [cells[place].decode("utf-8", "surrogateescape") if raw else cells[place] for place in places]
        made, _ = redactor.texts(texts)
        counts += count_placeholders(text.encode("ascii", "replace") for text in made)
        for place, text in zip(places, made, strict=True):
            cells[place] = to_bytes(text) if raw else text
        table = table.set_column(index, column, pa.chunked_array([pa.array(cells, type=column.type)]))
    pq.write_table(table, target, compression="zstd")
    return counts


def _rerun(run: CollectorRun, evidence: tuple[Evidence, ...], redactor: Redactor) -> CollectorRun:
    own = [item for item in evidence if item.id in run.evidence]
    reason, hint, subject, command = (
        redactor.text(text)[0] for text in (run.reason, run.hint, run.subject, run.command)
    )
    return replace(
        run,
        reason=reason,
        hint=hint,
        subject=subject,
        command=command,
        size_bytes=sum(item.size_bytes for item in own),
        redactions=sum(sum(item.redactions.values()) for item in own),
    )
