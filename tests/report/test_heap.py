"""What heap snapshots say in the report: suspects first, gaps said, nothing of it trusted."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from irkit import runbook
from irkit.diagnose.verdicts import Diagnosis
from irkit.model import Finding, Incident, Status, Verdict, VerdictState
from irkit.report import heap
from irkit.report.facts import View
from irkit.report.material import Material
from irkit.report.parts import Gap
from tests.support.type_evidence import BEGAN, Row, container, heap_findings, sealed

INCIDENT = Incident(42, "Down", "memory-leak", "Medium", Status.OPEN, BEGAN)


def material(folder: Path, *processes: Row, kind: str = "memory-leak") -> Material:
    bundle = sealed(folder, {"heap": {"processes": list(processes)}} if processes else {})
    incident = Incident(42, "Down", kind, "Medium", Status.OPEN, BEGAN)
    return Material(incident, (), runbook.load(), bundle, Diagnosis((), ()), BEGAN, (), View(bundle))


def test_the_suspect_is_told_with_its_path_and_its_evidence(tmp_path: Path) -> None:
    found = heap.suspects(material(tmp_path, heap_findings()))
    assert isinstance(found, heap.LeakSuspects)
    text = str(found)
    assert "app.sessions.CACHE (dict) keeps 10 000 app.Session alive, 40 MiB, 80 % of the heap" in text
    assert "71 % of the process’s memory" in text
    [(head, [claim], drawn, note)] = found.processes
    assert (head.who, len(head.taken), note) == ("api.py (pid 7, Python 3.11.7)", 2, "")
    assert claim.evidence == ("heap-snapshots/heap",)
    assert drawn is not None
    assert [step.name for path in drawn.paths for step in path.steps] == ["app.sessions", "app.sessions.CACHE"]


def test_the_container_that_grows_comes_first_and_another_ones_suspect_is_said_to_be_elsewhere(tmp_path: Path) -> None:
    verdict = Verdict(VerdictState.FOUND, "It grows.", numbers={"name": "jarvis_api_1"})
    grows = Diagnosis((Finding("gradual-memory-increase", ("memory-leak",), "x", verdict, ()),), ())
    containers = [container(name) | {"container_id": each * 64} for name, each in (("api", "a"), ("worker", "b"))]

    def of(folder: str, *places: str, steady: Sequence[str] = ("jarvis_worker_1",)) -> Material:
        numbers = {**verdict.numbers, "steady": list(steady)}
        found = replace(grows, findings=(replace(grows.findings[0], verdict=replace(verdict, numbers=numbers)),))
        made = []
        for place in places:
            told = heap_findings(f"{place}.CACHE")
            made.append({**told, "process": {**told["process"], "container": {"api": "a", "worker": "b"}[place] * 64}})
        bundle = sealed(tmp_path / folder, {"heap": {"processes": made}, "containers": containers})
        return replace(material(tmp_path / f"{folder}-0"), bundle=bundle, view=View(bundle), diagnosis=found)

    both, other = of("both", "worker", "api"), of("other", "worker")
    assert "`api.CACHE` (dict) keeps" in str(heap.first_suspect(both))
    assert "which is not what grows" not in str(heap.first_suspect(both))
    found = heap.suspects(both)
    assert isinstance(found, heap.LeakSuspects)
    assert [head.who for head, *_ in found.processes] == [
        "api.py in jarvis_api_1 (pid 7, Python 3.11.7)",
        "api.py in jarvis_worker_1 (pid 7, Python 3.11.7)",
    ]
    assert ", in jarvis_worker_1, which is not what grows." in str(heap.first_suspect(other))
    # one that was killed, or moves too oddly to tell, may well be what grows
    assert "which is not what grows" not in str(heap.first_suspect(of("unsure", "worker", steady=())))


def test_what_holds_most_is_said_once_and_what_grew_is_drawn(tmp_path: Path) -> None:
    of = material(tmp_path, heap_findings())
    held, grown, drawn = heap.retained(of), heap.growth(of), heap.heap_map(of)
    assert isinstance(held, heap.TopRetained)
    assert isinstance(grown, heap.HeapGrowth)
    assert isinstance(drawn, heap.HeapMap)
    assert [row[0] for row in held.owners] == ["app.sessions.CACHE"], "its module only leads to it"
    assert grown.chart is not None
    assert grown.chart.bars[0].said == "+20 MiB, from 20 MiB to 40 MiB"
    [module] = drawn.chart.parts
    assert (module.parts[0].name, module.parts[0].suspected) == (".CACHE", True)
    told = heap.collections(of)
    assert isinstance(told, heap.Collections)
    assert told.rows == (("generation 0", 812, 20, 0, "9 ms", "0.4 ms"),)


def test_one_snapshot_says_that_it_cannot_tell_growth(tmp_path: Path) -> None:
    of = material(tmp_path, heap_findings(snapshots=1))
    assert "only a second one" in str(heap.suspects(of))
    grown = heap.growth(of)
    assert isinstance(grown, Gap)
    assert "irkit memory snapshot --container NAME --incident 42" in str(grown)


def test_without_a_snapshot_one_sentence_says_so_and_what_to_do_and_the_postmortem_only_of_a_leak(
    tmp_path: Path,
) -> None:
    grows = Verdict(VerdictState.FOUND, "It grows.", numbers={"name": "shop_api_1"})
    of = material(tmp_path / "leak")
    of = replace(of, diagnosis=Diagnosis((Finding(heap.GROWTH, ("memory-leak",), "Growth", grows, ()),), ()))
    for make in (heap.suspects, heap.held):
        found = make(of)
        assert isinstance(found, Gap), make
        assert "No snapshot of a heap was filed" in str(found)
        assert "irkit memory snapshot --container shop_api_1 --incident 42" in str(found)
    for silent in (heap.retained, heap.heap_map, heap.growth, heap.collections):
        assert (silent(of).empty, str(silent(of))) == (True, ""), silent
    assert heap.held(material(tmp_path / "other", kind="high-latency")).empty  # type: ignore[union-attr]
    assert heap.first_suspect(of) is None


def test_garbage_collection_is_not_told_in_the_words_for_symptoms_and_sources(tmp_path: Path) -> None:
    slow = Verdict(VerdictState.FOUND, "234 collections, the longest 4.0 s.")
    of = material(tmp_path)
    of = replace(of, diagnosis=Diagnosis((Finding("slow-garbage-collection", (), "Slow", slow, ()),), ()))
    shown = str(heap.collections(of))
    assert "Slow. 234 collections, the longest 4.0 s." in shown
    assert "were not collected" in shown
    assert "Found." not in shown
    assert "Unknown." not in shown


def test_a_heap_without_suspects_and_hostile_names_are_shown(tmp_path: Path) -> None:
    calm, hostile = copy.deepcopy(heap_findings()), heap_findings("</code><script>x</script>`\x1b")
    calm["suspects"] = []
    assert "No leak suspect: nothing grew" in str(heap.suspects(material(tmp_path / "calm", calm)))
    of = material(tmp_path / "hostile", hostile, calm)
    for made in (heap.suspects(of), heap.retained(of), heap.heap_map(of), heap.growth(of)):
        page = made._repr_mimebundle_()["text/html"]
        assert "<script" not in page
        assert "\x1b" not in page
