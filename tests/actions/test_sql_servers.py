"""check-database against a real PostgreSQL and a real MariaDB: connected to, refused, hung and gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.actions.conftest import acts
from tests.support.command_line import Run, runner
from tests.support.http_servers import free_port
from tests.support.sql_servers import PASSWORD, SqlServer, mariadb, postgresql


@pytest.fixture(params=[postgresql, mariadb], ids=["postgresql", "mariadb"], scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[SqlServer]:
    start: Callable[[], AbstractContextManager[SqlServer]] = request.param
    with start() as running:
        yield running


Desk = Callable[[str], Run]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Incident 42 beside a database at an address that is given."""
    monkeypatch.chdir(tmp_path)

    def beside(url: str) -> Run:
        monkeypatch.setenv("DATABASE_URL", url)
        (tmp_path / "irkit.toml").write_text('[database]\nurls = { shop = "env:DATABASE_URL" }\n')
        run = runner(monkeypatch, capsys)
        assert run("open", "Down", "--type", "api-unresponsive", "--id", "42").code == 0
        return run

    return beside


def test_a_server_that_answers_is_said_to(server: SqlServer, desk: Desk) -> None:
    said = desk(server.url)("act", "42", "check-database", "--apply")
    assert said.code == 0, said.err
    assert "shop at" in said.out
    assert "answers in" in said.out
    assert acts()[-1].data["well"] is True
    silent(said.out + said.err)


def test_a_wrong_password_is_told_in_the_servers_words(server: SqlServer, desk: Desk) -> None:
    said = desk(server.url.replace(PASSWORD, f"{PASSWORD}-of-old"))("act", "42", "check-database", "--apply")
    assert said.code == 8
    assert "authentication failed" in said.err or "Access denied" in said.err
    silent(said.out + said.err)


def test_a_server_that_hangs_is_given_up_on(server: SqlServer, desk: Desk) -> None:
    run = desk(server.url)
    with server.hung():
        said = run("act", "42", "check-database", "--apply")
    assert said.code == 8
    assert "time" in said.err
    silent(said.out + said.err)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_where_nothing_listens_the_address_is_named(kind: str, desk: Desk) -> None:
    port = free_port()
    said = desk(f"{kind}://ana:{PASSWORD}@127.0.0.1:{port}/shop")("act", "42", "check-database", "--apply")
    assert said.code == 8
    assert str(port) in said.err
    assert "refused" in said.err
    silent(said.out + said.err)


def silent(said: str) -> None:
    """No output and no record holds the password."""
    assert PASSWORD not in said + "".join(f"{one.text}{one.data}" for one in acts())
