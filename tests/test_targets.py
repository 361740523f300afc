from pathlib import Path

import pytest

from irkit.runbook import Runbook, load, parse
from irkit.settings import HttpTarget, Problem, RedisTarget, Secret, Settings, SqliteTarget
from irkit.targets import Targets, restarted, targets, with_runbook_defaults

HOME = Path("/nowhere")


def with_commands(*lines: str) -> Runbook:
    text = (
        "| Severity | Response Time | Escalation |\n|-|-|-|\n| High | 1 h | Chat |\n\n## A (High)\n\n**Diagnosis:**\n"
    )
    return parse(text + "```bash\n" + "\n".join(lines) + "\n```\n", "test")


def test_the_built_in_commands_name_all_targets() -> None:
    found = targets(load())
    assert (found.service, found.health_url, found.redis_url.reveal(), found.ratelimit_pattern, found.sqlite_path) == (
        "jarvis-api",
        "http://localhost:8000/api/health",
        "redis://localhost:6379/0",
        "ratelimit:provider:*",
        "data/jarvis.db",
    )


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        ("curl -s https://api.example/healthz | jq .", "health_url", "https://api.example/healthz"),
        ("curl http://a/x; curl http://a/health", "health_url", "http://a/health"),
        ("wget http://a/health", "health_url", ""),
        ("curl http://[::1/health; curl http://a/health", "health_url", "http://a/health"),
        ("docker compose logs --tail 100 shop", "service", "shop"),
        ("docker compose logs --tail 100", "service", ""),
        ("docker-compose logs", "service", ""),
        ("sudo docker restart shop", "service", "shop"),
        ("docker-compose logs -f shop | grep -v restart", "service", "shop"),
        ("sqlite3 -readonly /srv/shop.db '.tables'", "sqlite_path", "/srv/shop.db"),
        ("echo sqlite3 /srv/shop.db", "sqlite_path", ""),
        ("redis-cli -h cache -p 6380 -n 2 GET 'quota:limit:*'", "ratelimit_pattern", "quota:limit:*"),
        ("redis-cli INFO", "ratelimit_pattern", ""),
        ("echo 'unclosed", "service", ""),
    ],
)
def test_targets_are_read_from_the_words_of_a_command(line: str, field: str, expected: str) -> None:
    assert getattr(targets(with_commands(line)), field) == expected


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("redis-cli PING", "redis://localhost:6379/0"),
        ("redis-cli -h cache -p 6380 -n 2 PING", "redis://cache:6380/2"),
        ("redis-cli --tls -h cache PING", "rediss://cache:6379/0"),
        ("redis-cli -u redis://u:p@cache:1/3 PING", "redis://u:p@cache:1/3"),
        ("echo redis-cli", ""),
    ],
)
def test_redis_urls_follow_the_options_of_redis_cli(line: str, url: str) -> None:
    assert targets(with_commands(line)).redis_url.reveal() == url


def test_a_runbook_without_commands_names_no_target() -> None:
    assert targets(with_commands("")) == Targets()


def test_a_password_in_a_command_does_not_show() -> None:
    assert "hunter2" not in repr(targets(with_commands("redis-cli -u redis://u:hunter2@cache:1/3 PING")))


def test_defaults_fill_what_is_unset_and_stay_unconfigured(tmp_path: Path) -> None:
    filled = with_runbook_defaults(Settings(HOME), load(), tmp_path)
    assert filled.service == "jarvis-api"
    assert filled.http.health_url == "http://localhost:8000/api/health"
    assert filled.redis.url.reveal() == "redis://localhost:6379/0"
    assert filled.redis.ratelimit_pattern == "ratelimit:provider:*"
    assert filled.sqlite.path == str(tmp_path / "data/jarvis.db")
    targets_now = (filled.http, filled.redis, filled.sqlite, filled.docker)
    assert [one.configured for one in targets_now] == [False] * 4


def test_what_is_set_wins_over_the_runbook(tmp_path: Path) -> None:
    given = Settings(
        HOME,
        service="shop",
        http=HttpTarget("http://shop/health", configured=True),
        redis=RedisTarget(Secret("redis://cache/1"), "quota:*", configured=True),
        sqlite=SqliteTarget("/srv/shop.db", configured=True),
    )
    assert with_runbook_defaults(given, load(), tmp_path) == given


def test_a_relative_path_is_taken_from_the_folder_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configured = with_runbook_defaults(Settings(HOME, source=Path("/srv/ops/irkit.toml")), load())
    assert configured.sqlite.path == "/srv/ops/data/jarvis.db"
    assert with_runbook_defaults(Settings(HOME), load()).sqlite.path == str(tmp_path / "data/jarvis.db")


@pytest.mark.parametrize("section", ["http", "redis", "sqlite"])
def test_what_is_configured_wrongly_is_not_looked_for_in_the_runbook(section: str) -> None:
    wrong = Settings(HOME, problems=(Problem(section, "url", "it is no string", "correct it"),))
    found = with_runbook_defaults(wrong, load(), Path("/srv"))
    named = {one for one in ("http", "redis", "sqlite") if str(getattr(found, one))}
    assert named == {"http", "redis", "sqlite"} - {section}


@pytest.mark.parametrize(
    ("command", "service"),
    [
        ("docker-compose restart backup", "backup"),
        ("docker compose -p shop restart -t 30 backup worker", "backup"),
        ("docker-compose up -d --force-recreate backup", "backup"),
        ("docker-compose logs api | tail; sudo docker restart shop_backup_1", "shop_backup_1"),
        ("docker-compose up -d --scale api=3", ""),
        ("docker-compose logs restart-me", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_what_a_steps_command_restarts_is_read_from_it(command: str | None, service: str) -> None:
    assert restarted(command) == service
