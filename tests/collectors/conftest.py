"""Fixtures of the collectors that look at the Docker Engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.faulty_engine import FaultyEngine
from tests.collectors.lab import Lab, empty_lab
from tests.stack.engine import Images


@pytest.fixture(scope="module")
def module_lab(images: Images) -> Iterator[Lab]:
    """An empty compose project on the real Engine, for the tests of one module."""
    with empty_lab(images.python) as made:
        yield made


@pytest.fixture
def faulty_engine(images: Images, tmp_path: Path) -> Iterator[FaultyEngine]:
    """The real Engine behind a socket that can hang or break on a path of its API."""
    assert images
    with FaultyEngine(tmp_path / "engine.sock") as engine:
        yield engine
