"""Fixtures of the collectors that look at the Docker Engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests.collectors.faulty_engine import FaultyEngine
from tests.collectors.lab import Lab
from tests.stack.engine import Images


@pytest.fixture
def lab(images: Images) -> Iterator[Lab]:
    """An empty compose project on the real Engine, for one test."""
    yield from _lab(images)


@pytest.fixture(scope="module")
def module_lab(images: Images) -> Iterator[Lab]:
    """An empty compose project on the real Engine, for the tests of one module."""
    yield from _lab(images)


@pytest.fixture
def faulty_engine(images: Images, tmp_path: Path) -> Iterator[FaultyEngine]:
    """The real Engine behind a socket that can hang or break on a path of its API."""
    assert images
    with FaultyEngine(tmp_path / "engine.sock") as engine:
        yield engine


def _lab(images: Images) -> Iterator[Lab]:
    with closing(docker.from_env()) as client:
        made = Lab(client, images.python)
        try:
            yield made
        finally:
            made.clean()
