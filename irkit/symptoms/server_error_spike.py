"""5xx error spike: a stretch of requests answered with server errors far above the usual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from irkit.diagnose.innermost import Failing, innermost, published_ports, silent_source
from irkit.diagnose.run import Example, symptom
from irkit.diagnose.signs import incident_of_most, near, telling_message, users_requests
from irkit.diagnose.wholeness import unless_cut
from irkit.estimate import share_interval
from irkit.logs.requests import route_of
from irkit.logs.tables import without_path
from irkit.model import Verdict, VerdictState, Window
from irkit.onset.episodes import ENDS_IT, telling_stretch
from irkit.records import rows_of
from irkit.text.phrase import count, lasting, listing, quoted, share_between, were

if TYPE_CHECKING:
    import pandas as pd

_SERVER_ERROR = 500
_USUAL_SHARE = 0.01
_SPIKE_SHARE = 0.3
_HARDLY_CHANCE = 0.01
_FEWEST = 10


@symptom("5xx-error-spike", incident="api-unresponsive")
def detect(
    requests: pd.DataFrame,
    window: Window,
    cut: Mapping[str, str],
    errors: pd.DataFrame | None = None,
    logs: pd.DataFrame | None = None,
    containers: pd.DataFrame | None = None,
) -> Verdict:
    """Found where a usual share of 1 % would bring so thick a stretch of server errors in one of 100 windows.

    Of services that fail together it is told of the innermost; what those in front of it pass on says nothing of them.
    """
    timed = requests[requests["at"].notna()]
    if timed.empty:
        sentence = "No line of the logs is read as a request with its status, so no server error can be counted."
        advice = "Have the API log method, path, status and duration of each request, as in: GET /buy 200 12 ms."
        unnamed, rename = without_path(logs)
        return Verdict(VerdictState.UNKNOWN, f"{sentence} {unnamed}".rstrip(), rename or advice)
    asked, aside = users_requests(timed)
    spikes = [spike for service, rows in asked.groupby("service", sort=True) if (spike := _worst(str(service), rows))]
    found = sorted(spikes, key=lambda spike: (spike.expected_by_chance, -spike.failed))
    sure = [spike for spike in found if spike.expected_by_chance < _HARDLY_CHANCE]
    if sure:
        return _found(
            _blamed(sure, errors, set(timed["service"]), published_ports(containers)), sure, aside, window.end
        )
    failed, total = int((asked["status_code"] >= _SERVER_ERROR).sum()), len(asked)
    numbers = {"requests": total, "failed": failed}
    if failed and total < _FEWEST:
        only = f"{failed} of only {count(total, 'request')}{aside}"
        sentence = f"{only} failed: too few to tell a spike from bad luck."
        return Verdict(VerdictState.UNKNOWN, sentence, "Look at a longer window.", numbers=numbers)
    share = f"{failed} of {count(total, 'request')}{aside} {were(failed)} answered with a server error"
    sentence = f"{share} ({share_between(share_interval(failed, total))})."
    clear = Verdict(VerdictState.CLEAR, sentence, confidence=0.95 if total >= _FEWEST else 0.6, numbers=numbers)
    return unless_cut(clear, [cut.get("requests", ""), cut.get("errors", "")])  # containers only tell whom to blame


@dataclass(frozen=True, slots=True)
class _Spike:
    """The worst stretch of one service's requests, `failed` of `rows` in it, the last at `last`.

    `later` more came after it, `later_failed` of them failed; where they are too few to end it, `until` is None.
    """

    service: str
    rows: pd.DataFrame
    failed: int
    onset: datetime
    last: datetime
    until: datetime | None
    later: int
    later_failed: int
    expected_by_chance: float


def _worst(service: str, rows: pd.DataFrame) -> _Spike | None:
    ordered = rows.sort_values("at", kind="stable")
    bad = (ordered["status_code"] >= _SERVER_ERROR).to_numpy()
    stretch = telling_stretch(bad, ordered["at"], _USUAL_SHARE, _SPIKE_SHARE)
    if stretch is None:
        return None
    inside = ordered.iloc[stretch.first : stretch.last + 1]
    onset, last = (at.to_pydatetime(warn=False) for at in inside["at"].iloc[[0, -1]].tolist())
    later = bad[stretch.last + 1 :]
    until = last if len(later) >= ENDS_IT else None
    chance = stretch.expected_by_chance
    return _Spike(service, inside, stretch.bad, onset, last, until, len(later), int(later.sum()), chance)


@dataclass(frozen=True, slots=True)
class _Blamed:
    """The spike to tell of, the services in front of it that fail for want of it, and the errors of the one to blame.

    That one is another than the spike's where it logs no requests: `silent`, else "".
    """

    spike: _Spike
    in_front: tuple[str, ...]
    related: pd.DataFrame | None
    silent: str


def _blamed(
    spikes: list[_Spike], errors: pd.DataFrame | None, answering: Collection[str], published: Mapping[str, bool]
) -> _Blamed:
    failing = {spike.service: _failing(spike, errors) for spike in spikes}
    last = {name: innermost(one, [*failing.values()], published).service for name, one in failing.items()}
    worst = next(spike for spike in spikes if spike.service == last[spikes[0].service])
    in_front = tuple(name for name, source in last.items() if source == worst.service != name)
    if errors is None:
        return _Blamed(worst, in_front, None, "")
    meanwhile, own = near(errors, None, worst.onset, worst.last), failing[worst.service].errors
    if behind := silent_source(failing[worst.service], meanwhile, answering, published):
        return _Blamed(worst, in_front, behind.errors, behind.service)
    # of a service that logs none, what those that call it say
    return _Blamed(worst, in_front, own if len(own) else meanwhile, "")


def _failing(spike: _Spike, errors: pd.DataFrame | None) -> Failing:
    failed = spike.rows[spike.rows["status_code"] >= _SERVER_ERROR]
    logged = failed[:0] if errors is None else near(errors, spike.service, spike.onset, spike.last)
    return Failing(spike.service, failed, logged, over=spike.until is not None)


def _found(blamed: _Blamed, spikes: list[_Spike], aside: str, end: datetime) -> Verdict:
    worst, related = blamed.spike, blamed.related
    failed = worst.rows[worst.rows["status_code"] >= _SERVER_ERROR]
    routes = dict(Counter(f"{row['method']} {route_of(row['path'])}" for row in rows_of(failed)).most_common(5))
    codes = sorted({int(code) for code in failed["status_code"]})
    numbers: dict[str, object] = {
        "service": blamed.silent or worst.service,
        "requests": len(worst.rows),
        "failed": worst.failed,
        "routes": routes,
        "status_codes": codes,
        "services": [spike.service for spike in spikes],
    }
    sentence = (
        f"{worst.failed} of {count(len(worst.rows), 'request')} to {worst.service or 'the service'}{aside} failed "
        f"with {listing(str(code) for code in codes)}"
        f"{lasting(worst.onset, worst.last, later=worst.later, end=end)} "
        f"({share_between(share_interval(worst.failed, len(worst.rows)))}), most on {listing(list(routes)[:3])}"
        f"{_afterwards(worst)}"
    )
    if blamed.in_front:
        numbers["passed_on_by"] = list(blamed.in_front)
        sentence += f"; {listing(blamed.in_front)} passed them on"
    explained_by = ""
    if related is not None and len(related):
        if blamed.silent:
            sentence += f"; {blamed.silent} behind it logged {count(len(related), 'error')} at the same times"
        explained_by = incident_of_most(related)
        numbers["line"] = line = telling_message(related)
        sentence += f"; the log says {quoted(line)}"
    advice = "Compare the onset with the last deploy, and read the error with its traceback in the log."
    if explained_by:
        advice = f"The errors blame {explained_by.replace('-', ' ')}; follow that first."
    confidence = 1.0 - worst.expected_by_chance
    return Verdict(
        VerdictState.FOUND, f"{sentence}.", advice, worst.onset, confidence, numbers, explained_by, until=worst.until
    )


def _afterwards(spike: _Spike) -> str:
    if not spike.later:
        return ""
    told = f"{spike.later_failed} of them failed" if spike.later_failed else "did not fail"
    told = f"; {count(spike.later, 'request')} came later and {told}"
    return told if spike.until else f"{told}, too few to say that it is over"


def _requests(*, count: int, failing: range, path: str = "/api/chat") -> list[dict[str, object]]:
    return [
        {
            "at": f"2026-11-24T03:{second // 60:02d}:{second % 60:02d}Z",
            "service": "jarvis-api",
            "method": "POST",
            "path": path,
            "status_code": 500 if second in failing else 200,
        }
        for second in range(count)
    ]


FIRES = (
    Example(
        "every second request fails from a moment on", {"requests": _requests(count=300, failing=range(200, 300, 2))}
    ),
    Example("a short burst in a quiet hour", {"requests": _requests(count=600, failing=range(300, 312))}),
    Example("nobody asks but the health check", {"requests": _requests(count=4, failing=range(4), path="/api/health")}),
)
QUIET = (
    Example("no failures", {"requests": _requests(count=300, failing=range(0))}),
    Example("one failure in a hundred", {"requests": _requests(count=600, failing=range(0, 600, 100))}),
)
