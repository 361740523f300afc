from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from irkit.diagnose.latency import doubt, slowest_service
from tests.symptoms.evidence import frame

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def requests(*durations_s: float | None, service: str = "api") -> pd.DataFrame:
    shared = {"service": service, "method": "GET", "path": "/", "status_code": 200}
    rows = [shared | {"at": START + timedelta(seconds=n), "duration_s": d} for n, d in enumerate(durations_s)]
    return frame("requests", rows)


def test_a_slow_stretch_is_not_diluted_by_a_quick_hour() -> None:
    found = slowest_service(requests(*[0.1] * 3000, *[3.0] * 30, *[0.1] * 500), 2.0)
    assert found is not None
    assert found.over
    assert (found.total, found.slow, found.p95_s) == (30, 30, 3.0)
    assert found.onset == START + timedelta(seconds=3000 - 3.0)
    assert found.until == START + timedelta(seconds=3029)


def test_a_stretch_that_goes_on_has_no_end() -> None:
    found = slowest_service(requests(*[0.1] * 100, *[3.0] * 30), 2.0)
    assert found is not None
    assert found.until is None


def test_scattered_slow_ones_count_by_their_share() -> None:
    few, many = ([*[0.1] * good, 3.0] * 20 for good in (39, 9))
    under, over = slowest_service(requests(*few), 2.0), slowest_service(requests(*many), 2.0)
    assert under is not None
    assert over is not None
    assert (under.over, over.over) == (False, True)


@pytest.mark.parametrize(("number", "least"), [(20, 0.6), (500, 0.99)])
def test_more_quick_requests_make_surer(number: int, least: float) -> None:
    found = slowest_service(requests(*[0.1] * number), 2.0)
    assert found is not None
    assert not found.over
    assert found.confidence >= least
    assert found.confidence < 1


def test_the_slow_service_is_named_and_order_does_not_matter() -> None:
    both = pd.concat([requests(*[3.0] * 20, service="slow"), requests(*[0.1] * 500, service="quick")])
    found = slowest_service(both.sample(frac=1, random_state=1), 2.0)
    assert found is not None
    assert (found.service, found.over, found.total) == ("slow", True, 20)


def test_a_hang_is_told_from_slowness_by_its_silence() -> None:
    quick, shared = requests(*[0.1] * 30), {"service": "api", "method": "GET", "path": "/", "status_code": 200}
    released = START + timedelta(seconds=50)
    hung = frame("requests", [shared | {"at": released, "duration_s": 20.0 - n} for n in range(10)])
    found = slowest_service(pd.concat([quick, hung]), 2.0)
    assert found is not None
    assert found.onset == START + timedelta(seconds=30)
    assert found.silence_s == 20.0
    slow = slowest_service(requests(*[0.1] * 30, *[3.0] * 30), 2.0)
    assert slow is not None
    assert slow.silence_s == 0


@pytest.mark.parametrize("duration_s", [float("inf"), -1.0, 1e300])
def test_durations_that_cannot_be_are_left_out(duration_s: float) -> None:
    found = slowest_service(requests(*[0.1] * 30, *[duration_s] * 10), 2.0)
    assert found is not None
    assert (found.over, found.total) == (False, 30)


@pytest.mark.parametrize("durations", [(), (None, None)])
def test_without_durations_there_is_no_latency(durations: tuple[float | None, ...]) -> None:
    assert slowest_service(requests(*durations), 2.0) is None


def test_a_slower_stretch_within_the_limit_is_judged_by_its_own_requests() -> None:
    found = slowest_service(requests(*[0.1] * 300, *[1.2, 1.4, 1.6, 1.8] * 2), 2.0)
    assert found is not None
    assert (found.over, found.total, found.slow) == (False, 8, 0)
    assert found.onset == START + timedelta(seconds=300 - 1.2)
    assert found.confidence < 0.5


def test_how_sure_is_told_where_the_interval_reaches_beyond_the_limit() -> None:
    few, many = (slowest_service(requests(*[0.2] * number), 2.0) for number in (21, 300))
    assert few
    assert many
    assert few.interval.high is None
    assert doubt(few) == ", which is 66 % sure"
    assert doubt(many) == ""
