"""What a `clear` is worth where evidence lacks a part: withheld, or given back where only the long past is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from irkit.model import Verdict, VerdictState
from irkit.text.phrase import clock

# an onset is known to a few seconds, and what leads up to it is part of it
_BEFORE_ONSET = timedelta(seconds=30)
# not as sure as one that all of the window was looked at for; less where what led up to it is missing
_CONFIDENCE = 0.8
_SINCE_CONFIDENCE = 0.6
# a release takes its predecessor's logs with it as it begins
_AS_IT_BEGAN = timedelta(seconds=2)


def unless_cut(verdict: Verdict, reasons: Iterable[str]) -> Verdict:
    """Return the verdict, or `unknown` in place of `clear` where there are reasons why not all was looked at."""
    told = "; ".join(dict.fromkeys(filter(None, reasons)))
    if verdict.state is not VerdictState.CLEAR or not told:
        return verdict
    sentence = f"Nothing found in the part that was collected ({told}). {verdict.sentence}"
    return replace(verdict, state=VerdictState.UNKNOWN, sentence=sentence, withheld=verdict)


def unless_long_past(verdict: Verdict, whole_from: datetime | None, onset: datetime | None) -> Verdict:
    """Return the `clear` that was withheld, where nothing is missing from when the incident began on.

    Where more than half a minute before that is there as well, what led up to it was looked at too; where less is, it
    is said. `whole_from` is from when on the evidence is whole, `onset` when the first symptom showed; None where not
    known.
    """
    withheld = verdict.withheld
    if withheld is None or whole_from is None or onset is None or whole_from > onset + _AS_IT_BEGAN:
        return verdict
    if whole_from <= onset - _BEFORE_ONSET:
        reach, most = f"this evidence reaches back to {clock(whole_from)}, before the first symptom", _CONFIDENCE
    else:
        reach = f"that is since {clock(whole_from)}, when it began: of what was before a part is missing"
        most = _SINCE_CONFIDENCE
    sentence = f"{withheld.sentence.rstrip('.')}; {reach}."
    return replace(withheld, sentence=sentence, confidence=min(withheld.confidence, most))
