"""A server for each service that incidents are told through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import channel_servers
from tests.support.channel_servers import Mailbox, Service, mail_server, service
from tests.support.http_servers import self_signed


@pytest.fixture
def pagerduty(tmp_path: Path) -> Iterator[tuple[Service, Path]]:
    context, certificate = self_signed(tmp_path)
    with service(channel_servers.pagerduty, context) as server:
        yield server, certificate


@pytest.fixture
def slack() -> Iterator[Service]:
    with service(channel_servers.slack_webhook) as server:
        yield server


@pytest.fixture
def slack_api() -> Iterator[Service]:
    with service(channel_servers.slack_api) as server:
        yield server


@pytest.fixture
def github() -> Iterator[Service]:
    with service(channel_servers.github) as server:
        yield server


@pytest.fixture
def jira() -> Iterator[Service]:
    with service(channel_servers.jira) as server:
        yield server


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as server:
        yield server
