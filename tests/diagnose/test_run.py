"""The runner and the ranking: what detectors are handed, what becomes of their failures, who comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit import runbook
from irkit.diagnose import run as module
from irkit.diagnose.loaded import loaded
from irkit.diagnose.run import diagnose, rank, registered, run_detector, symptom
from irkit.diagnose.verdicts import Diagnosis, Hypothesis
from irkit.model import CollectorRun, Finding, Outcome, Threshold, Verdict, VerdictState, Window
from irkit.registry import BrokenPlugin
from irkit.report.facts import View
from tests.support.example_bundle import example_bundle
from tests.symptoms.evidence import WINDOW, InMemory, detectors

RUNBOOK = runbook.load()
FOUND, CLEAR, UNKNOWN = VerdictState.FOUND, VerdictState.CLEAR, VerdictState.UNKNOWN
SLUGS = [worded.slug for incident_type in RUNBOOK.incident_types for worded in incident_type.symptoms]
detectors()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty registry for the test's own detectors."""
    monkeypatch.setattr(module, "_REGISTRY", {})


def of(diagnosis: Diagnosis, slug: str) -> Finding:
    return next(item for item in diagnosis.findings if item.symptom == slug)


@pytest.mark.usefixtures("registry")
def test_a_signature_says_what_a_detector_needs_and_can_do_without() -> None:
    @symptom("a", incident="api-unresponsive")
    def detect(health: object, window: Window, logs: object = None, threshold: Threshold | None = None) -> Verdict:
        return Verdict(CLEAR, f"{health is not None} {logs} {window == WINDOW} {threshold}")

    (item,) = registered()
    assert (item.needs, item.uses, item.context) == (("health",), ("logs",), ("window", "threshold"))
    assert run_detector(item, InMemory({"health": []})).verdict.sentence == "True None True None"
    assert run_detector(item, InMemory({"logs": []})).verdict.state is UNKNOWN


@pytest.mark.usefixtures("registry")
def test_a_slug_belongs_to_one_detector() -> None:
    def detect(health: object) -> Verdict:
        return Verdict(CLEAR, "Fine.")

    symptom("a", incident="api-unresponsive")(detect)
    with pytest.raises(ValueError, match="registered twice"):
        symptom("a", incident="memory-leak")(detect)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("raised", "told"), [(ValueError("bad\nvalue"), "ValueError: bad value"), (KeyError("x"), "KeyError: 'x'")]
)
def test_a_detector_that_raises_is_unknown_and_the_others_go_on(raised: Exception, told: str) -> None:
    @symptom("health-check-failing", incident="api-unresponsive")
    def breaks(health: object) -> Verdict:
        raise raised

    @symptom("5xx-error-spike", incident="api-unresponsive")
    def works(requests: pd.DataFrame) -> Verdict:
        return Verdict(FOUND, "Many.")

    diagnosis = diagnose(InMemory({"health": [], "requests": []}), RUNBOOK)
    broken = of(diagnosis, "health-check-failing").verdict
    assert broken.state is UNKNOWN
    assert "health-check-failing" in broken.sentence
    assert told in broken.sentence
    assert "by hand (`irkit bundle show`), and report this as a bug" in broken.advice
    assert of(diagnosis, "5xx-error-spike").verdict.state is FOUND


@pytest.mark.usefixtures("registry")
def test_what_is_no_verdict_is_unknown() -> None:
    @symptom("health-check-failing", incident="api-unresponsive")
    def detect(health: object) -> Verdict:
        return None  # type: ignore[return-value]

    verdict = run_detector(registered()[0], InMemory({"health": []})).verdict
    assert verdict.state is UNKNOWN
    assert "NoneType" in verdict.sentence


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (datetime(2026, 11, 24, 3, 5), datetime(2026, 11, 24, 3, 5, tzinfo=UTC)),  # noqa: DTZ001
        (pd.NaT, None),
        ("03:05", None),
    ],
)
@pytest.mark.usefixtures("registry")
def test_an_onset_is_a_time_in_utc_or_none_whatever_a_detector_says(given_: object, kept: datetime | None) -> None:
    later = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)

    @symptom("health-check-failing", incident="api-unresponsive")
    def odd(health: object) -> Verdict:
        return Verdict(FOUND, "Found.", onset=given_)  # type: ignore[arg-type]

    @symptom("5xx-error-spike", incident="api-unresponsive")
    def sound(health: object) -> Verdict:
        return Verdict(FOUND, "Found.", onset=later)

    found = diagnose(InMemory({"health": []}), RUNBOOK)
    assert of(found, "health-check-failing").verdict.onset == kept
    assert found.first_sign == (kept or later)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(("given_", "kept"), [(7.0, 1.0), (-1.0, 0.0), (float("nan"), 0.0), (0.4, 0.4)])
def test_a_confidence_is_kept_between_none_and_all(given_: float, kept: float) -> None:
    @symptom("a", incident="api-unresponsive")
    def detect(health: object) -> Verdict:
        return Verdict(FOUND, "Found.", confidence=given_)

    assert run_detector(registered()[0], InMemory({"health": []})).verdict.confidence == kept


@pytest.mark.usefixtures("registry")
def test_a_detector_cannot_spoil_the_evidence_of_the_next() -> None:
    @symptom("health-check-failing", incident="api-unresponsive")
    def spoils(health: pd.DataFrame) -> Verdict:
        health["verdict"] = "healthy"
        return Verdict(CLEAR, "Spoilt.")

    @symptom("timeout-errors", incident="api-unresponsive")
    def reads(health: pd.DataFrame) -> Verdict:
        return Verdict(CLEAR, str(health["verdict"].tolist()))

    diagnosis = diagnose(InMemory({"health": [{"verdict": "refused"}]}), RUNBOOK)
    assert of(diagnosis, "timeout-errors").verdict.sentence == "['refused']"


@pytest.mark.usefixtures("registry")
def test_logs_are_parsed_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []

    class Counting(InMemory):
        def load(self, kind: str) -> object:
            loads.append(kind)
            return super().load(kind)

    for slug in ("health-check-failing", "5xx-error-spike", "timeout-errors"):

        @symptom(slug, incident="api-unresponsive")
        def detect(requests: pd.DataFrame, errors: pd.DataFrame) -> Verdict:
            return Verdict(CLEAR, f"{len(requests)} {len(errors)}")

    line = 'INFO: "GET / HTTP/1.1" 200'
    diagnosis = diagnose(
        Counting({"logs": [{"at": "2026-11-24T03:00:00Z", "line": line}, {"line": "ERROR: x"}]}), RUNBOOK
    )
    assert of(diagnosis, "timeout-errors").verdict.sentence == "1 1"
    assert loads == ["logs"]


@pytest.mark.usefixtures("registry")
def test_a_symptom_without_a_limit_takes_the_only_one_of_its_incident_type() -> None:
    for slug in ("p95-latency", "slow-dashboard-loading", "oom-kills"):

        @symptom(slug, incident="high-latency")
        def detect(health: object, threshold: Threshold | None) -> Verdict:
            return Verdict(CLEAR, str(threshold and threshold.value))

    diagnosis = diagnose(InMemory({"health": []}), RUNBOOK)
    said = {item.symptom: item.verdict.sentence for item in diagnosis.findings if item.verdict.state is CLEAR}
    assert said == {"p95-latency": "2.0", "slow-dashboard-loading": "2.0", "oom-kills": "None"}


@pytest.mark.usefixtures("registry")
def test_a_symptom_without_a_detector_is_unknown() -> None:
    diagnosis = diagnose(InMemory({}), RUNBOOK)
    assert [item.symptom for item in diagnosis.findings] == list(dict.fromkeys(SLUGS))
    assert {item.verdict.state for item in diagnosis.findings} == {UNKNOWN}
    assert diagnosis.likeliest is None
    advice = {item.symptom: item.verdict.advice for item in diagnosis.findings}
    assert advice["provider-health-check-failing"].startswith("Look by hand: `curl http://localhost:8000/api/health")
    none = "Look by hand; the runbook names no command for this type."
    assert all(said.startswith("Look by hand: `") or said == none for said in advice.values())


@pytest.mark.usefixtures("registry")
def test_what_the_runbook_does_not_list_is_shown_only_if_it_is_found() -> None:
    @symptom("disk-full", incident=("database-corruption", "no-such-type"))
    def finds(health: object) -> Verdict:
        return Verdict(FOUND, "No space left.", confidence=0.5)

    @symptom("clock-skew", incident="high-latency")
    def clears(health: object) -> Verdict:
        return Verdict(CLEAR, "Clocks agree.")

    diagnosis = diagnose(InMemory({"health": []}), RUNBOOK)
    extra = diagnosis.findings[-1]
    assert (extra.symptom, extra.title, extra.incident_types) == ("disk-full", "Disk full", ("database-corruption",))
    assert "clock-skew" not in {item.symptom for item in diagnosis.findings}
    assert diagnosis.likeliest is not None
    assert diagnosis.likeliest.incident_type == "database-corruption"


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("blamed", "advice"),
    [
        ("", "Look. In the runbook: API Unresponsive, resolution."),
        ("provider-failures", "Look. In the runbook: Provider Failures, resolution."),
        ("lock contention", "Look."),
    ],
)
def test_advice_points_to_the_steps_of_what_the_evidence_blames(blamed: str, advice: str) -> None:
    @symptom("health-check-failing", incident="api-unresponsive")
    def detect(health: object) -> Verdict:
        return Verdict(FOUND, "Fails.", "Look.", explained_by=blamed)

    assert of(diagnose(InMemory({"health": []}), RUNBOOK), "health-check-failing").verdict.advice == advice


def test_a_score_is_what_was_found_over_what_could_be() -> None:
    """As the page says it: a shared symptom counts 1/n in both, so that a type of which all was found has 1."""
    kind = RUNBOOK.incident_type("api-unresponsive")
    shared = {"timeout-errors": ("api-unresponsive", "high-latency")}

    def found(confidence: float, blamed: str = "") -> list[Finding]:
        verdict = Verdict(FOUND, "Found.", confidence=confidence, explained_by=blamed)
        return [Finding(one.slug, shared.get(one.slug, (kind.slug,)), one.text, verdict, ()) for one in kind.symptoms]

    def score(findings: list[Finding]) -> tuple[float, tuple[str, ...]]:
        weighed = next(one for one in rank(findings, RUNBOOK) if one.incident_type == kind.slug)
        return weighed.score, weighed.reasons

    (full, reasons), (sure, _), (blamed, _) = score(found(1.0)), score(found(0.9)), score(found(1.0, "a deploy"))
    assert (full, sure, blamed) == (1.0, 0.9, 0.25)
    assert reasons == ("Timeout errors counts 1/2, found or not: 2 types share it",)


def test_a_plug_in_that_cannot_be_loaded_is_told_and_changes_no_score() -> None:
    source = InMemory({"health": []})
    without = diagnose(source, RUNBOOK)
    told = diagnose(source, RUNBOOK, [BrokenPlugin("their-symptom", "ImportError: no module named theirs")])
    finding = of(told, "their-symptom")
    assert finding.verdict.state is UNKNOWN
    assert "no module named theirs" in finding.verdict.sentence
    assert told.ranking == without.ranking


def test_why_evidence_is_missing_is_said_in_the_collectors_words() -> None:
    class Failed(InMemory):
        def has(self, kind: str) -> bool:
            return kind == "nothing"

    (item,) = (item for item in registered() if item.slug == "data-inconsistency")
    finding = run_detector(item, Failed({"database_integrity": []}, Outcome.TIMED_OUT))
    assert finding.verdict.sentence == "Not looked at: example timed out: cut for the test."
    assert finding.verdict.advice == "look again"
    assert finding.evidence == ()


def test_a_finding_cites_the_evidence_it_was_read_from() -> None:
    (item,) = (item for item in registered() if item.slug == "p95-latency")
    assert run_detector(item, InMemory({"requests": [], "health": []})).evidence == (
        "example/requests",
        "example/health",
    )


class Young(InMemory):
    """Evidence that is there from a moment on (None: that is not known), and partial for that."""

    def __init__(self, whole_from: datetime | None) -> None:
        super().__init__({"health": [], "requests": []}, Outcome.PARTIAL)
        self.whole_from = whole_from

    def run_for(self, kind: str) -> CollectorRun | None:
        run = super().run_for(kind)
        return replace(run, whole_from=self.whole_from) if run else None


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("before_s", "told", "reach"),
    [
        (31, "onset", "this evidence reaches back to 02:59:29 UTC, before the first symptom"),
        (29, "onset", "that is since 02:59:31 UTC, when it began: of what was before a part is missing"),
        (-1, "onset", "that is since 03:00:01 UTC, when it began: of what was before a part is missing"),
        (-3, "onset", ""),
        (-60, "onset", ""),
        (None, "onset", ""),
        (600, "", ""),
    ],
)
def test_what_is_missing_from_before_the_first_symptom_withholds_no_clear(
    before_s: float | None, told: str, reach: str
) -> None:
    began = WINDOW.start + timedelta(minutes=30)

    @symptom("health-check-failing", incident="api-unresponsive")
    def fails(health: object) -> Verdict:
        return Verdict(FOUND, "It fails.", onset=began if told else None)

    @symptom("timeout-errors", incident="api-unresponsive")
    def quiet(requests: pd.DataFrame) -> Verdict:
        return Verdict(CLEAR, "No request timed out.", confidence=0.95)

    source = Young(None if before_s is None else began - timedelta(seconds=before_s))
    verdict = of(diagnose(source, RUNBOOK), "timeout-errors").verdict
    assert verdict.state is (CLEAR if reach else UNKNOWN)
    if reach:
        assert verdict.sentence == f"No request timed out; {reach}."
        assert verdict.confidence < 0.95
    else:
        assert "Nothing found in the part that was collected" in verdict.sentence


STATES = st.sampled_from(VerdictState)


@st.composite
def findings(draw: st.DrawFn) -> tuple[Finding, ...]:
    made = []
    for slug in dict.fromkeys(SLUGS):
        types = tuple(t.slug for t in RUNBOOK.incident_types if slug in {worded.slug for worded in t.symptoms})
        blamed = draw(st.sampled_from(["", "lock contention", *(t.slug for t in RUNBOOK.incident_types)]))
        verdict = Verdict(draw(STATES), "Said.", confidence=draw(st.floats(0, 1)), explained_by=blamed)
        made.append(Finding(slug, types, slug, verdict, ()))
    return tuple(made)


def scores(given_findings: tuple[Finding, ...]) -> dict[str, float]:
    return {item.incident_type: item.score for item in rank(given_findings, RUNBOOK)}


@given(findings(), st.integers(0, 13))
def test_a_symptom_found_lowers_no_types_score(given_findings: tuple[Finding, ...], index: int) -> None:
    item = given_findings[index]
    found = replace(item, verdict=replace(item.verdict, state=FOUND))
    absent = replace(item, verdict=replace(item.verdict, state=CLEAR))
    before = scores((*given_findings[:index], absent, *given_findings[index + 1 :]))
    after = scores((*given_findings[:index], found, *given_findings[index + 1 :]))
    assert all(after[slug] >= before[slug] for slug in before)


@given(findings())
def test_scores_are_shares_in_order_and_every_finding_is_placed(given_findings: tuple[Finding, ...]) -> None:
    ranking = rank(given_findings, RUNBOOK)
    assert [item.score for item in ranking] == sorted((item.score for item in ranking), reverse=True)
    assert all(0 <= item.score <= 1 for item in ranking)
    for item in ranking:
        own = {finding.symptom for finding in given_findings if item.incident_type in finding.incident_types}
        assert {f.symptom for f in (*item.supporting, *item.refuting, *item.missing)} == own


@given(findings())
def test_looking_in_vain_changes_no_score(given_findings: tuple[Finding, ...]) -> None:
    blind = tuple(
        replace(item, verdict=replace(item.verdict, state=UNKNOWN)) if item.verdict.state is CLEAR else item
        for item in given_findings
    )
    assert scores(blind) == scores(given_findings)


def test_ties_keep_the_runbooks_order() -> None:
    assert [item.incident_type for item in rank((), RUNBOOK)] == [item.slug for item in RUNBOOK.incident_types]


def test_a_discount_is_printed_with_its_reason() -> None:
    verdict = Verdict(FOUND, "Fails.", confidence=1.0, explained_by="provider-failures")
    finding = Finding("health-check-failing", ("api-unresponsive",), "Health check failing", verdict, ())
    (first, *_) = rank((finding,), RUNBOOK)
    plain = rank((replace(finding, verdict=replace(verdict, explained_by="")),), RUNBOOK)[0]
    assert first.score == pytest.approx(plain.score / 4)
    assert first.reasons == ("Health check failing counts a quarter: its evidence blames provider failures",)


def test_a_bundle_of_a_crash_is_diagnosed_from_the_bundle_alone(tmp_path: Path) -> None:
    diagnosis = diagnose(example_bundle(tmp_path), RUNBOOK)
    likeliest = diagnosis.likeliest
    assert isinstance(likeliest, Hypothesis)
    assert likeliest.incident_type == "api-unresponsive"
    health = of(diagnosis, "health-check-failing")
    assert health.verdict.state is FOUND
    assert health.verdict.numbers["exit_code"] == 1
    assert "unable to open database file" in str(health.verdict.numbers["line"])
    assert {item.split("/")[1] for item in health.evidence} >= {"containers", "logs"}


def probes(*, failing_from: int) -> list[dict[str, object]]:
    """A probe each two seconds for two minutes."""
    return [
        {
            "at": f"2026-11-24T03:{index * 2 // 60:02d}:{index * 2 % 60:02d}Z",
            "url": "http://127.0.0.1:8000/health",
            "verdict": "timed_out" if index >= failing_from else "healthy",
            "total_s": 5.0 if index >= failing_from else 0.02 + index % 7 / 1000,
        }
        for index in range(60)
    ]


def test_a_diagnosis_holds_the_onset_as_an_interval() -> None:
    diagnosis = diagnose(InMemory({"health": probes(failing_from=40)}), RUNBOOK)
    assert diagnosis.onset is not None
    assert f"{diagnosis.onset.earliest:%M:%S}" == "01:18"
    assert f"{diagnosis.onset.latest:%M:%S}" == "01:20"
    assert diagnosis.onset_unknown == ""


def test_no_clear_onset_is_not_the_same_as_one_that_could_not_be_looked_for() -> None:
    quiet = diagnose(InMemory({"health": probes(failing_from=60)}), RUNBOOK)
    blind = diagnose(InMemory({"providers": []}), RUNBOOK)
    broken = diagnose(InMemory({"health": [{"at": "2026-11-24T03:00:00Z", "url": 7, "total_s": "x"}]}), RUNBOOK)
    assert (quiet.onset, quiet.onset_unknown) == (None, "")
    assert (blind.onset, blind.onset_unknown) == (None, "Not looked at: example found no logs.")
    assert broken.onset is None


def test_evidence_is_read_and_parsed_once_for_a_diagnosis_and_the_report_of_it(tmp_path: Path) -> None:
    class Counted(InMemory):
        asked: ClassVar[list[str]] = []

        def load(self, kind: str) -> object:
            self.asked.append(kind)
            return super().load(kind)

    bundle = example_bundle(tmp_path)
    read = loaded(Counted({kind: bundle.load(kind) for kind in ("logs", "health", "containers")}))
    diagnose(read, RUNBOOK)
    view = View(read)
    for kind in ("logs", "requests", "errors", "containers"):
        table = view.table(kind)
        assert table is not None
        table["service"] = "changed"  # what one does to its copy, no other sees
        other = View(read).table(kind)
        assert other is not None
        assert "changed" not in set(other["service"])
    assert sorted(Counted.asked) == sorted(set(Counted.asked))
