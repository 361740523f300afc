"""What was collected after a bundle, as far as a report has a use for it."""

from datetime import timedelta
from pathlib import Path

from irkit.bundle.later import later_bundles
from tests.support.type_evidence import COLLECTED, probe, sealed

EVIDENCE = {"health": [probe(600, 0.01)]}


def test_later_bundles_are_opened_up_to_the_one_that_reaches_the_end(tmp_path: Path) -> None:
    first, second, third, _ = (
        sealed(tmp_path, EVIDENCE, collected=COLLECTED + timedelta(minutes=minutes)) for minutes in (0, 5, 10, 15)
    )
    found = later_bundles(tmp_path, first, COLLECTED + timedelta(minutes=7))
    assert [one.id for one in found] == [second.id, third.id]
    assert later_bundles(tmp_path, second, COLLECTED) == (), "it reaches that itself"
    assert later_bundles(tmp_path, second, COLLECTED + timedelta(hours=1))[0].id == third.id


def test_one_that_cannot_be_trusted_is_left_out(tmp_path: Path) -> None:
    first = sealed(tmp_path, EVIDENCE)
    spoiled = sealed(tmp_path, EVIDENCE, collected=COLLECTED + timedelta(minutes=5))
    (spoiled.path / "health.parquet").write_bytes(b"other")
    assert later_bundles(tmp_path, first, COLLECTED + timedelta(minutes=4)) == ()
