"""The evidence that detectors read: the part of a bundle they see, loaded once for all of them."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol

from irkit.logs import tables as logs
from irkit.model import CollectorRun, Evidence, Outcome, Window
from irkit.records import Row, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class EvidenceSource(Protocol):
    """What the runner needs of a bundle; `irkit.bundle.Bundle` is the one in use."""

    @property
    def window(self) -> Window: ...
    def has(self, kind: str) -> bool: ...
    def load(self, kind: str) -> Any: ...  # noqa: ANN401 (a table is a DataFrame, a document is JSON-like)
    def evidence_for(self, kind: str) -> Evidence | None: ...
    def run_for(self, kind: str) -> CollectorRun | None: ...


class Loaded:
    """Evidence loaded once for all who ask, kinds derived from others included; each gets a copy to work on."""

    def __init__(self, source: EvidenceSource) -> None:
        self.source = source
        self._cache: dict[str, Any] = {}

    @property
    def window(self) -> Window:
        return self.source.window

    def has(self, kind: str) -> bool:
        return self.source.has(kind) or (kind in logs.ORIGIN and self.source.has(logs.ORIGIN[kind]))

    def load(self, kind: str) -> Any:  # noqa: ANN401 (as `EvidenceSource.load`)
        if kind not in self._cache:
            origin = None if self.source.has(kind) else logs.ORIGIN.get(kind)
            self._cache[kind] = logs.DERIVED[kind](self.load(origin)) if origin else self.source.load(kind)
        return deepcopy(self._cache[kind])

    def evidence_for(self, kind: str) -> Evidence | None:
        return self.source.evidence_for(kind) or self.source.evidence_for(logs.ORIGIN.get(kind, kind))

    def run_for(self, kind: str) -> CollectorRun | None:
        return self.source.run_for(kind) or self.source.run_for(logs.ORIGIN.get(kind, kind))

    def how_cut(self, kind: str) -> str:
        """Say how the evidence of a kind is less than was asked for, "" where it is whole."""
        run, evidence = self.run_for(kind), self.evidence_for(kind)
        if run is not None and run.outcome is not Outcome.COLLECTED:
            return _told(run)
        return f"{evidence.collector}: {evidence.truncated}" if evidence is not None and evidence.truncated else ""

    def whole_from(self, kind: str) -> datetime | None:
        """Return from when on nothing of a kind that was cut is missing, None where that is not known."""
        run, evidence = self.run_for(kind), self.evidence_for(kind)
        return None if run is None or evidence is None or evidence.truncated else run.whole_from

    def why_missing(self, kind: str) -> str:
        """Say why there is no evidence of a kind, in half a sentence."""
        run, named = self.run_for(kind), kind.replace("_", " ")
        if run is None:
            return f"no collector gathered {named}"
        return f"{run.collector} found no {named}" if run.outcome is Outcome.COLLECTED else _told(run)

    def hint(self, kinds: Sequence[str]) -> str:
        """Return what to do about missing evidence: the first hint that its collectors give."""
        hints = [run.hint for kind in kinds if (run := self.run_for(kind)) and run.hint]
        return hints[0] if hints else ""


def loaded(source: EvidenceSource) -> Loaded:
    """Return evidence that is loaded once, for a diagnosis and a report of it; what is so already is returned."""
    return source if isinstance(source, Loaded) else Loaded(source)


def rows_in(source: EvidenceSource, kind: str) -> list[Row]:
    """Return the rows of a table of the evidence, none where it was not gathered."""
    return rows_of(source.load(kind)) if source.has(kind) else []


def _told(run: CollectorRun) -> str:
    return f"{run.collector} {run.outcome.replace('_', ' ')}" + (f": {run.reason}" if run.reason else "")
