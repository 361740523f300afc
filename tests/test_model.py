import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import irkit.model
from irkit.errors import InputError
from irkit.model import MAX_INCIDENT_ID, Incident, Status, Window, parse_incident_id, utc_now

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize("written", [42, "42", "042", " 42 ", "INC-42", "inc-42", "INC-0042"])
def test_one_incident_however_its_id_is_written(written: object) -> None:
    assert parse_incident_id(written) == 42


@pytest.mark.parametrize("edge", [1, MAX_INCIDENT_ID, str(MAX_INCIDENT_ID)])
def test_the_ends_of_the_range_are_ids(edge: object) -> None:
    assert parse_incident_id(edge) == int(str(edge))


@pytest.mark.parametrize(
    "wrong",
    [
        0, -1, MAX_INCIDENT_ID + 1, 42.0, 1e5, float("nan"), float("inf"), True, None, b"42", [42],
        pytest.param(10**10_000, id="huge"),
        "", " ", "0", "-1", "+42", "4_2", "4 2", "1e5", "nan", "42.0", "0x2a", "٤٢", "²", "INC42", "INC--42", "INC-",
        "#42", "../../x", "42; DROP TABLE incident", "42\n43", "9" * 10_000, str(MAX_INCIDENT_ID + 1),
    ],
)  # fmt: skip
def test_what_is_no_id_is_refused_in_one_short_sentence(wrong: object) -> None:
    with pytest.raises(InputError, match="is not an incident id") as refused:
        parse_incident_id(wrong)
    assert len(str(refused.value)) < 80
    assert "\n" not in str(refused.value)
    assert "irkit list" in refused.value.hint


@given(st.integers(1, MAX_INCIDENT_ID), st.integers(0, 5))
def test_every_id_reads_back_from_its_label(number: int, zeros: int) -> None:
    assert parse_incident_id(f"INC-{'0' * zeros}{number}") == number


def test_an_incident_s_label_is_its_id() -> None:
    incident = Incident(42, "API down", "api-unresponsive", "Critical", Status.OPEN, START)
    assert incident.label == "INC-42"
    assert parse_incident_id(incident.label) == incident.id


def test_a_window_knows_its_length() -> None:
    assert Window(START, START + timedelta(minutes=5)).duration == timedelta(minutes=5)


@pytest.mark.parametrize("end", [START, START - timedelta(seconds=1)])
def test_a_window_that_ends_before_it_starts_is_refused(end: datetime) -> None:
    with pytest.raises(InputError, match=r"ends .* before it starts"):
        Window(START, end)


@pytest.mark.parametrize(
    ("start", "end"),
    [(START.replace(tzinfo=None), START + timedelta(1)), (START, (START + timedelta(1)).replace(tzinfo=None))],
)
def test_a_window_without_a_zone_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(InputError, match="time zone"):
        Window(start, end)


def test_the_clock_is_aware_utc() -> None:
    assert utc_now().tzinfo is UTC


def test_all_of_the_vocabulary_is_frozen() -> None:
    classes = [one for one in vars(irkit.model).values() if dataclasses.is_dataclass(one)]
    assert len(classes) > 10
    for one in classes:
        assert one.__dataclass_params__.frozen, one  # type: ignore[union-attr]
        assert hasattr(one, "__slots__"), one
