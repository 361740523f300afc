"""Which findings tell of trouble that was over before what goes on now began: signs of another time, not of this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from irkit.model import Finding, VerdictState

# What was over was followed by service that was well, so what began a minute later is no part of it.
_APART = timedelta(minutes=1)


def past(findings: Sequence[Finding]) -> Mapping[str, Finding]:
    """Return for each symptom that was over a minute or more before another began that goes on now the first such.

    It is past only where nothing else that was found of one of its types goes on, and what does is of none of them.
    """
    found = [item for item in findings if item.verdict.state is VerdictState.FOUND]
    lasting = [item for item in found if item.verdict.until is None]
    told: dict[str, Finding] = {}
    for item in found:
        end = item.verdict.until
        if end is None or any({*item.incident_types} & {*other.incident_types} for other in lasting):
            continue
        later = [one for one in lasting if one.verdict.onset and one.verdict.onset - end > _APART]
        if later:
            told[item.symptom] = min(later, key=lambda one: one.verdict.onset or end)
    return told
