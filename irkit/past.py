"""Which findings tell of trouble that was over before what goes on now began: signs of another time, not of this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from irkit.model import Finding, VerdictState

# What was over was followed by service that was well, so what began a minute later is no part of it.
_APART = timedelta(minutes=1)


def past(findings: Sequence[Finding]) -> Mapping[str, Finding]:
    """Return for each symptom that was over a minute before another began, which goes on now, the first of those.

    It is past only where nothing else that was found of one of its types goes on, and what does is of none of them.
    """
    found = [item for item in findings if item.verdict.state is VerdictState.FOUND]
    lasting = [item for item in found if item.verdict.until is None]
    told: dict[str, Finding] = {}
    for item in found:
        end = item.verdict.until
        if end is None or any({*item.incident_types} & {*other.incident_types} for other in lasting):
            continue
        begun = [(other.verdict.onset, at) for at, other in enumerate(lasting) if other.verdict.onset]
        if later := min((one for one in begun if one[0] - end > _APART), default=None):
            told[item.symptom] = lasting[later[1]]
    return told
