"""What the evidence says and what it cannot say: symptoms, hypotheses, open questions, the evidence index."""

from __future__ import annotations

from datetime import datetime

from irkit.model import Finding, Incident, VerdictState
from irkit.report.material import LOOKED_AT, QUESTION, Material, start_command
from irkit.report.parts import Claim
from irkit.report.sections import Appendix, OpenQuestions, RankRow, RuledOut, SymptomRow, Symptoms

_MILESTONES = (
    ("detected", "detection"),
    ("acknowledged", "acknowledgement"),
    ("mitigated", "mitigation"),
    ("resolved", "resolution"),
)
_ORDER = (VerdictState.FOUND, VerdictState.UNKNOWN, VerdictState.CLEAR)


def symptoms(of: Material) -> Symptoms:
    """Return the findings, found before unknown before clear, and the incident types by score."""
    findings = sorted(of.diagnosis.findings, key=lambda item: _ORDER.index(item.verdict.state))
    ranking = tuple(
        RankRow(
            of.type_title(item.incident_type),
            item.score,
            len(item.supporting),
            len(item.refuting),
            len(item.missing),
            item.reasons,
        )
        for item in of.diagnosis.ranking
    )
    return Symptoms(tuple(_row(item, of) for item in findings), ranking)


def ruled_out(of: Material) -> RuledOut:
    """Return the incident types of which nothing was found and something is clear; ignorance rules nothing out."""
    rows = [
        (of.type_title(item.incident_type), tuple(_claim(finding) for finding in item.refuting))
        for item in of.diagnosis.ranking
        if not item.supporting and item.refuting and not item.missing
    ]
    return RuledOut(tuple(rows))


def open_questions(of: Material) -> OpenQuestions:
    """Return what is left open: what people asked, symptoms that could not be looked at, and times not recorded."""
    asked = [Claim(event.text) for event in of.timeline if event.data.get("section") == QUESTION]
    by_reason: dict[str, list[Finding]] = {}
    if of.diagnosis.findings and not of.bundle.manifest.evidence:
        asked.append(Claim(f"Was any of the runbook's {len(of.diagnosis.findings)} symptoms there? Nobody looked."))
    for finding in of.diagnosis.findings:
        if finding.verdict.state is VerdictState.UNKNOWN and of.bundle.manifest.evidence:
            by_reason.setdefault(finding.verdict.sentence, []).append(finding)
    for reason, findings in by_reason.items():
        titles = ", ".join(f"“{finding.title}”" for finding in findings)
        cited = dict.fromkeys(one for finding in findings for one in finding.evidence)
        asked.append(Claim(f"{'Were' if len(findings) > 1 else 'Was'} there {titles}? {reason}", tuple(cited)))
    one = of.incident
    for name, at in (("start", one.started_at), ("get detected", one.detected_at)):
        if at is None and name == "start" and of.start_by_evidence:
            when = f"{of.start_by_evidence:%H:%M:%S} UTC{of.onset_from}"
            question = f"When did it start? The timeline does not say; by the evidence, at {when}."
            asked.append(Claim(f"{question} Where that is right, record it:", command=start_command(of)))
        elif at is None and name == "start" and of.first_look:
            when = f"at or before {of.first_look:%H:%M:%S} UTC, the first look at it{of.onset_from}"
            asked.append(Claim(f"When did it start? The timeline does not say; by the evidence, {when}."))
        elif at is None:
            asked.append(Claim(f"When did it {name}? The timeline does not say."))
    asked += [
        Claim(f"Did it begin earlier? Since when earlier evidence shows it is not known: {one}.")
        for one in of.diagnosis.unread
    ]
    return OpenQuestions(tuple(asked))


def appendix(of: Material) -> Appendix:
    """Return the index of the evidence, the gaps, and the command that makes this report again."""
    manifest = of.bundle.manifest
    return Appendix(
        evidence=manifest.evidence,
        runs=tuple(sorted(of.bundle.runs, key=lambda run: run.outcome in LOOKED_AT)),
        redactions=sum(run.redactions for run in of.bundle.runs),
        reproduce=f"irkit postmortem {of.incident.id} --collect never",
        runbook=of.runbook.source,
        runbook_sha256=of.runbook.sha256,
        bundle_id=of.bundle.id,
        seal=manifest.seal,
        irkit_version=manifest.irkit_version,
        collected_at=manifest.created_at,
        placed=_placed(manifest.created_at, of.incident),
        made_of=manifest.made_of,
        is_redacted_again=manifest.is_redacted_again,
        earlier=of.diagnosis.earlier,
    )


def _placed(at: datetime, one: Incident) -> str:
    """Say between which milestones a time lies: what was collected after the mitigation shows a mended service."""
    known = [(word, reached) for name, word in _MILESTONES if (reached := getattr(one, f"{name}_at"))]
    before = [word for word, reached in known if reached <= at]
    after = [word for word, reached in known if reached > at]
    told = [f"after {before[-1]}"] if before else []
    return " and ".join([*told, *([f"before {after[0]}"] if after else [])])


def _row(finding: Finding, of: Material) -> SymptomRow:
    verdict = finding.verdict
    titles = tuple(of.type_title(slug) for slug in finding.incident_types)
    return SymptomRow(
        finding.title, titles, verdict.state, verdict.sentence, verdict.advice, verdict.onset, finding.evidence
    )


def _claim(finding: Finding) -> Claim:
    return Claim(f"{finding.title}: {finding.verdict.sentence}", finding.evidence)
