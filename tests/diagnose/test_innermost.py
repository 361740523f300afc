"""Whom a spike of errors is told of where several services fail together: the innermost, and only where signs tell."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from irkit.diagnose.run import run_detector
from irkit.model import CollectorRun, Outcome, Verdict, VerdictState
from tests.symptoms.evidence import InMemory, detectors

SPIKE = detectors()["5xx-error-spike"]
START = datetime(2026, 11, 24, 3, tzinfo=UTC)
DRAWN = random.Random(7)  # noqa: S311 (traffic, not a secret)
TIMES = sorted(DRAWN.uniform(0, 120) for _ in range(400))
BAD = [index for index in range(200, 400) if index % 3 == 0]
FRONT, BEHIND = {"ports": "127.0.0.1:8080->80/tcp"}, {"ports": ""}
RAISED = "PriceError: no tariff"


def at(second: float) -> str:
    return (START + timedelta(seconds=second)).isoformat()


def served(
    service: str, *, bad: Collection[int] = BAD, code: int = 500, path: str = "/item/{}", late: float = 0
) -> list[Any]:
    return [
        {"at": at(second + late), "service": service, "method": "GET", "path": path.format(index), "duration_s": 0.1}
        | {"status_code": code if index in bad else 200}
        for index, second in enumerate(TIMES)
    ]


def logged(service: str, message: str = RAISED, *, of: Sequence[int] = BAD) -> list[Any]:
    return [{"at": at(TIMES[index] - 0.002), "service": service, "message": message, "line": message} for index in of]


def seen(**ports: dict[str, str]) -> list[Any]:
    return [{"service": name, "name": f"shop_{name}_1", "state": "running", **of} for name, of in ports.items()]


def told(**evidence: object) -> Verdict:
    verdict = run_detector(SPIKE, InMemory(evidence)).verdict
    assert verdict.state is VerdictState.FOUND, verdict.sentence
    return verdict


STRAY = "connect() failed while connecting to upstream"
# what a proxy fails at by itself while the service behind it is replaced
SWAPPED = [
    {"at": at(TIMES[200] - 0.1 - each / 10), "service": "edge", "method": "GET", "path": "/item/1", "status_code": 502}
    for each in range(3)
]


def test_what_a_proxy_passes_on_is_told_of_the_service_behind_it_and_in_its_words() -> None:
    requests = [*served("edge", late=0.004), *SWAPPED, *served("shop")]
    verdict = told(
        requests=requests,
        errors=[*logged("edge", STRAY, of=BAD[:3]), *logged("shop"), *logged("worker", "no connection") * 2],
        containers=seen(edge=FRONT, shop=BEHIND),
    )
    assert verdict.sentence.startswith(f"{len(BAD)} of 199 requests to shop failed with 500")
    assert verdict.sentence.endswith(f"; edge passed them on; the log says “{RAISED}”.")
    assert verdict.numbers["service"] == "shop"
    assert verdict.numbers["passed_on_by"] == ["edge"]
    assert set(verdict.numbers["services"]) == {"edge", "shop"}  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "signs",
    [
        {"containers": seen(edge=FRONT, shop=BEHIND)},
        {"requests": SWAPPED},
        {"errors": logged("shop")},
        # a published port says more than who writes errors: a proxy may log each that it passes on
        {"containers": seen(edge=FRONT, shop=BEHIND), "errors": logged("edge", "upstream said 500")},
    ],
)
def test_a_port_a_502_or_errors_of_its_own_tell_who_is_behind(signs: dict[str, Any]) -> None:
    both = [*served("edge"), *served("shop"), *signs.get("requests", ())]
    assert told(**signs | {"requests": both}).numbers["service"] == "shop"


def test_where_no_sign_tells_who_is_behind_nobody_is_said_to_be() -> None:
    # the third: a port speaks for one way, a 502 and the errors for the other
    contradicting = {"containers": seen(edge=BEHIND, shop=FRONT), "errors": logged("shop"), "requests": SWAPPED}
    for signs in ({}, {"containers": seen(edge=FRONT, shop=FRONT)}, contradicting):
        both = [*served("edge"), *served("shop", bad=BAD[5:]), *signs.get("requests", ())]
        verdict = told(**signs | {"requests": both})
        assert verdict.numbers["service"] == "edge"
        assert "passed" not in verdict.sentence


def test_a_proxy_that_fails_alone_is_told_of_itself() -> None:
    verdict = told(
        requests=[*served("edge", code=502), *served("shop", bad=())[:200]],
        errors=logged("edge", STRAY),
        containers=seen(edge=FRONT, shop=BEHIND),
    )
    assert verdict.numbers["service"] == "edge"
    assert "passed" not in verdict.sentence
    assert STRAY in verdict.sentence


def test_a_service_that_is_well_again_is_not_blamed_for_what_goes_on() -> None:
    over = [one for one in BAD if one < 320]
    requests = [*served("edge"), *served("shop", bad=over)]
    assert told(requests=requests, containers=seen(edge=FRONT, shop=BEHIND)).numbers["service"] == "edge"
    both = [*served("edge", bad=over), *served("shop", bad=over)]
    assert told(requests=both, containers=seen(edge=FRONT, shop=BEHIND)).numbers["service"] == "shop"


def test_what_fails_elsewhere_at_the_same_time_is_not_what_fails_behind() -> None:
    other = [index for index in range(200, 400) if index % 4 == 1]
    requests = [*served("edge"), *served("reports", bad=other, path="/report/{}", late=0.03)]
    verdict = told(requests=requests, containers=seen(edge=FRONT, reports=BEHIND))
    assert verdict.numbers["service"] == "edge"
    assert "passed" not in verdict.sentence


def test_who_fails_at_few_of_the_same_requests_is_not_what_most_failed_of() -> None:
    requests = [*served("edge"), *served("shop", bad=BAD[::3])]
    assert told(requests=requests, containers=seen(edge=FRONT, shop=BEHIND)).numbers["service"] == "edge"


@pytest.mark.parametrize(("path", "late"), [("/api/v2/item/{}", 0.7), ("/{}", 0.004), ("/rpc/price", 0.004)])
def test_another_path_for_the_same_request_is_known_by_its_end_or_by_its_time(path: str, late: float) -> None:
    requests = [*served("edge", path=path, late=late), *served("shop")]
    assert told(requests=requests, containers=seen(edge=FRONT, shop=BEHIND)).numbers["service"] == "shop"


def test_of_a_chain_the_last_is_blamed() -> None:
    requests = [*served("edge", late=0.006), *served("mid", late=0.003), *served("shop")]
    verdict = told(requests=requests, errors=logged("shop"), containers=seen(edge=FRONT, mid=BEHIND, shop=BEHIND))
    assert verdict.numbers["service"] == "shop"
    assert "; edge and mid passed them on; " in verdict.sentence


def test_a_service_that_logs_no_requests_is_known_by_an_exception_with_each_that_fails() -> None:
    requests, containers = served("edge"), seen(edge=FRONT, shop=BEHIND)
    verdict = told(
        requests=requests, errors=[*logged("edge", STRAY, of=BAD[:2]), *logged("shop")], containers=containers
    )
    assert verdict.numbers["service"] == "shop"
    assert verdict.sentence.startswith(f"{len(BAD)} of 199 requests to edge failed")
    assert verdict.sentence.endswith(
        f"; shop behind it logged {len(BAD)} errors at the same times; the log says “{RAISED}”."
    )


@pytest.mark.parametrize(
    "evidence",
    [
        {"containers": []},
        {"containers": seen(edge=FRONT, shop=FRONT)},
        {"errors": logged("shop", 'ERROR: relation "item" does not exist')},  # as a database answers a wrong question
        {"errors": [*logged("shop"), *logged("edge", "ValueError: from shop")]},
        {"errors": logged("shop", of=[index for index in range(200, 400) if index % 3 == 1])},
        {"requests": [*served("edge"), *served("shop", bad=())]},
    ],
)
def test_without_every_sign_a_service_that_logs_no_requests_is_not_blamed(evidence: dict[str, Any]) -> None:
    usual = {"requests": served("edge"), "errors": logged("shop"), "containers": seen(edge=FRONT, shop=BEHIND)}
    verdict = told(**usual | evidence)
    assert verdict.numbers["service"] == "edge"
    assert "behind" not in verdict.sentence


def test_a_look_at_containers_that_was_cut_leaves_a_clear_as_it_is() -> None:
    class ContainersCut(InMemory):
        def run_for(self, kind: str) -> CollectorRun | None:
            self.outcome = Outcome.PARTIAL if kind == "containers" else Outcome.COLLECTED
            return super().run_for(kind)

    evidence = {"requests": served("shop", bad=()), "containers": seen(shop=FRONT)}
    assert run_detector(SPIKE, ContainersCut(evidence)).verdict.state is VerdictState.CLEAR
