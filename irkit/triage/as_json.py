"""A triage as JSON values, for programs: names and numbers as they are, times in ISO 8601 UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from irkit.diagnose.exhausted import exhausted
from irkit.diagnose.service_names import idle_of
from irkit.diagnose.what_changed import Change, changes_before

if TYPE_CHECKING:
    from irkit.bundle import Bundle
    from irkit.diagnose.verdicts import Diagnosis, Hypothesis
    from irkit.model import Finding, Incident
    from irkit.triage import Triage
    from irkit.triage.next_check import Outlook

VERSION = 1


def to_json(incident: Incident, evidence: Bundle, diagnosis: Diagnosis, told: Triage, ahead: Outlook) -> dict[str, Any]:
    """Return what `irkit triage --json` prints; `version` changes where a name or a meaning does."""
    interval = diagnosis.onset
    since = diagnosis.first_sign
    return {
        "version": VERSION,
        "incident": incident.id,
        "filed_as": incident.type,
        "bundle": {"id": evidence.id, "sha256": evidence.manifest.seal},
        "conclusion": told.conclusion.value,
        "types": list(told.named),
        "sentence": told.sentence,
        "settled": ahead.settled,
        "not_running": [
            {
                "name": one.name,
                "state": one.state,
                "since": one.since.isoformat() if one.since else None,
                "exit_code": one.exit_code,
                "oom_killed": one.oom_killed,
            }
            for one in idle_of(evidence)
        ],
        "exhausted": [asdict(one) for one in exhausted(evidence)],
        "changed_before": [_change(one) for one in changes_before(evidence, since, incident.noticed_at)],
        "onset": {
            "earliest": interval.earliest.isoformat() if interval else None,
            "latest": interval.latest.isoformat() if interval else None,
            "unknown": diagnosis.onset_unknown,
            "bundle": diagnosis.onset_bundle or evidence.id,
            "first_sign": since.isoformat() if since else None,
            "at_or_before": diagnosis.began_unseen,
            "first_sign_bundle": diagnosis.earlier.bundle_id if diagnosis.earlier else evidence.id,
            "unread": list(diagnosis.unread),
        },
        "contenders": [_contender(item) for item in told.contenders],
        "relations": [{"cause": one.cause, "effect": one.effect, "why": one.why} for one in told.relations],
        "top_two": {"first": ahead.first, "second": ahead.second, "gap": ahead.gap},
        "next_checks": [
            {
                "name": item.check.name,
                "symptoms": list(item.check.symptoms),
                "command": item.check.command,
                "obstacle": item.check.obstacle,
                "advice": item.check.advice,
                "cost": item.check.cost,
                "gap_after": {"low": round(item.low, 3), "high": round(item.high, 3)},
                "value": round(item.value, 4),
                "could_turn": item.could_turn,
            }
            for item in ahead.checks
        ],
    }


def _change(one: Change) -> dict[str, Any]:
    return {
        "at": one.at.isoformat(),
        "services": list(one.services),
        "what": one.what,
        "image_before": one.before,
        "differs_in": list(one.differs),
    }


def _contender(item: Hypothesis) -> dict[str, Any]:
    return {
        "type": item.incident_type,
        "score": item.score,
        "for": _findings(item, item.supporting),
        "against": _findings(item, item.refuting),
        "missing": _findings(item, item.missing),
        "reasons": list(item.reasons),
    }


def _findings(item: Hypothesis, findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "symptom": one.symptom,
            "verdict": one.verdict.state.value,
            "weight": round(item.weights[one.symptom], 3),
            "confidence": round(one.verdict.confidence, 3),
            "since": one.verdict.onset.isoformat() if one.verdict.onset else None,
            "until": one.verdict.until.isoformat() if one.verdict.until else None,
            "sentence": one.verdict.sentence,
            "evidence": list(one.evidence),
        }
        for one in findings
    ]
