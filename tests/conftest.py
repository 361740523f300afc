"""Fixtures more than one test module uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.collectors.lab import Lab, empty_lab
from tests.stack.engine import Images, docker_engine, ensure_images
from tests.stack.stack import Stack, running_stack
from tests.support.channel_fixtures import github, jira, mailbox, pagerduty, slack, slack_api

__all__ = ["github", "images", "jira", "lab", "mailbox", "pagerduty", "slack", "slack_api", "stack"]


# how long an example takes on a busy machine is no property of the code
settings.register_profile("irkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("irkit")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """Images with Python and Redis, on a Docker Engine that answers; one that ran before still runs afterwards."""
    with docker_engine(tmp_path_factory.mktemp("dockerd") / "dockerd.log"):
        yield ensure_images()


@pytest.fixture(scope="session")
def stack(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The healthy stack all tests share: break it only in `with stack.broken(...)`, which repairs it."""
    with running_stack(tmp_path_factory.mktemp("stack"), images) as running:
        yield running


@pytest.fixture
def lab(images: Images) -> Iterator[Lab]:
    """An empty compose project on the real Engine."""
    with empty_lab(images.python) as made:
        yield made
