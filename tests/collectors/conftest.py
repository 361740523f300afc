"""Fixtures of the collectors that look at the Docker Engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

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


def _lab(images: Images) -> Iterator[Lab]:
    with closing(docker.from_env()) as client:
        made = Lab(client, images.python)
        try:
            yield made
        finally:
            made.clean()
