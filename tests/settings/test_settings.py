import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from irkit.errors import InputError
from irkit.settings import Secret, Settings, dump_target, load, load_target

ENVIRONMENT: Mapping[str, str] = {"HOME": "/home/ana"}


def configured(folder: Path, text: str, environ: Mapping[str, str] = ENVIRONMENT) -> Settings:
    path = folder / "irkit.toml"
    path.write_text(text)
    path.chmod(0o600)
    return load(folder, environ)


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "irkit.toml").write_text('\ufeffservice = "shop"\n', encoding="utf-8")
    assert load(tmp_path, {}).service == "shop"


def test_without_a_file_the_home_is_the_user_s(tmp_path: Path) -> None:
    assert load(tmp_path, ENVIRONMENT) == Settings(Path("/home/ana/.local/share/irkit"))
    assert load(tmp_path, {"XDG_DATA_HOME": "/data"}).home == Path("/data/irkit")
    assert load(tmp_path, {**ENVIRONMENT, "XDG_DATA_HOME": "relative"}).home == Path("/home/ana/.local/share/irkit")


def test_the_same_home_is_found_from_the_root_and_from_below(tmp_path: Path) -> None:
    below = tmp_path / "notebooks" / "deep"
    below.mkdir(parents=True)
    settings = configured(tmp_path, "")
    assert settings.home == tmp_path / ".irkit"
    assert load(below, ENVIRONMENT) == settings


def test_the_nearest_file_wins(tmp_path: Path) -> None:
    below = tmp_path / "notebooks"
    below.mkdir()
    configured(tmp_path, 'service = "far"')
    assert configured(below, 'service = "near"').service == "near"


def test_every_setting_is_read_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = configured(
        tmp_path,
        """
        home = "state"
        runbook = "../ours.md"
        service = "shop"
        [docker]
        project = "shop"
        services = ["api", "worker"]
        [http]
        health_url = "http://shop/health"
        probes = 5
        timeout_s = 1
        [redis]
        url = "redis://:hunter2@cache:6379/1"
        ratelimit_pattern = "quota:*"
        [sqlite]
        path = "data/shop.db"
        [prometheus]
        url = "http://watch:9090"
        queries = { errors = "sum(rate(errors[1m]))", up = "up" }
        [collect]
        deadline_s = 2.5
        max_size_bytes = 1000
        [recorder]
        path = "ring"
        interval_s = 2
        auto_open = true
        """,
    )
    assert settings.home == tmp_path / "state"
    assert settings.runbook == tmp_path / "../ours.md"
    assert (settings.service, settings.docker.services, settings.http.probes) == ("shop", ("api", "worker"), 5)
    assert settings.redis.url.reveal() == "redis://:hunter2@cache:6379/1"
    assert settings.sqlite.path == str(tmp_path / "data/shop.db")
    assert (settings.http.timeout_s, settings.collect.deadline_s, settings.collect.max_size_bytes) == (1.0, 2.5, 1000)
    assert settings.prometheus.queries == (("errors", "sum(rate(errors[1m]))"), ("up", "up"))
    targets = (settings.docker, settings.http, settings.redis, settings.sqlite, settings.prometheus)
    assert [one.configured for one in targets] == [True] * 5


def test_what_is_not_set_is_not_configured(tmp_path: Path) -> None:
    settings = configured(tmp_path, '[redis]\nurl = "redis://cache"')
    assert (settings.redis.configured, settings.http.configured, settings.docker.configured) == (True, False, False)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = {
        **ENVIRONMENT,
        "IRKIT_HOME": "/srv/irkit",
        "IRKIT_REDIS_URL": "redis://other",
        "IRKIT_STORE_URL": "postgresql://u:p@db/irkit",
        "IRKIT_SERVICE": "",
    }
    settings = configured(tmp_path, 'service = "shop"\n[redis]\nurl = "redis://cache"', environ)
    assert (settings.home, settings.redis.url.reveal()) == (Path("/srv/irkit"), "redis://other")
    assert settings.store_url == Secret("postgresql://u:p@db/irkit")
    assert settings.service == "shop"


def test_a_named_file_is_taken_wherever_one_is(tmp_path: Path) -> None:
    configured(tmp_path, 'service = "shop"')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert load(elsewhere, {**ENVIRONMENT, "IRKIT_CONFIG": str(tmp_path / "irkit.toml")}).service == "shop"
    with pytest.raises(InputError, match=r"missing\.toml, which is not a file") as refused:
        load(tmp_path, {**ENVIRONMENT, "IRKIT_CONFIG": str(tmp_path / "missing.toml")})
    assert "unset IRKIT_CONFIG" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ('servce = "x"', "irkit.toml:1: servce is not a setting irkit knows", "did you mean service?"),
        ("service = api", "is not valid TOML: Invalid value (at line 1", "quotes"),
        ("home = 5", "irkit.toml:1: home should be a string, not int", "README"),
        ("store_url = 'env:STORE'", "store_url wants the environment variable STORE", "export STORE"),
    ],
)
def test_what_everything_needs_stops_everything(tmp_path: Path, text: str, sentence: str, hint: str) -> None:
    with pytest.raises(InputError) as refused:
        configured(tmp_path, text)
    assert sentence in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("\n[redis]\nurll = 'x'", "irkit.toml:3: redis.urll is not a setting irkit knows", "did you mean url?"),
        ("[email]\nto = ['a']\n[redis]\nurl = 5", "irkit.toml:4: redis.url should be a string", "README"),
        ("[slack]\nchannel = 'x'\n[ redis ]\nurl = 5", "irkit.toml:4: redis.url should be a string", "README"),
        ("[reddis]\nurl = 'x'", "irkit.toml:1: reddis is not a setting", "did you mean redis?"),
        ("[redis]\nconfigured = true", "redis.configured is not a setting", "known here"),
        (
            "[redis]\nurl = 'redis://localhost/0'\n[prometheus]\nurl = 5",
            "irkit.toml:4: prometheus.url should be a string, not int",
            "README",
        ),
        ("http.probes = 'three'", "irkit.toml:1: http.probes should be a whole number above 0, not str", "README"),
        ("[http]\nprobes = 'three'", "irkit.toml:2: http.probes should be a whole number above 0, not str", "README"),
        ("[http]\nprobes = 2.5", "http.probes should be a whole number above 0, not float", "README"),
        ("[http]\nprobes = true", "http.probes should be a whole number above 0, not bool", "README"),
        ("[http]\ntimeout_s = 0", "http.timeout_s should be a number above 0", "README"),
        ("[http]\ntimeout_s = nan", "http.timeout_s should be a number above 0", "README"),
        ("[http]\ntimeout_s = inf", "http.timeout_s should be a number above 0", "README"),
        ("[http]\ntimeout_s = 1e300", "http.timeout_s should be a number above 0, at most 86400", "README"),
        ("[collect]\nwindow_minutes = 1e9", "collect.window_minutes should be a number above 0, at most", "README"),
        ("[recorder]\nmax_size_bytes = 1" + "0" * 30, "recorder.max_size_bytes should be a whole number", "README"),
        ("[follow_up]\nworking_days = 1000000", "follow_up.working_days should be a whole number", "README"),
        ("[sqlite]\npath = 'a\0b'".replace("'", '"').replace("\0", "\\u0000"), "without a NUL", "correct sqlite.path"),
        ("[http]\nhealth_url = 80", "http.health_url should be a string, not int", "README"),
        ("[docker]\nservices = 'api'", "docker.services should be a list of strings, not str", "README"),
        ("[docker]\nservices = [1]", "docker.services should be a list of strings", "README"),
        ("redis = 5", "irkit.toml:1: redis is not a setting", "redis"),
        ("[redis]\nurl = 'env:CACHE_URL'", "redis.url wants the environment variable CACHE_URL", "export CACHE_URL"),
    ],
)
def test_a_wrong_setting_names_file_line_and_key(tmp_path: Path, text: str, sentence: str, hint: str) -> None:
    (problem,) = configured(tmp_path, text).problems
    assert sentence in problem.sentence
    assert str(tmp_path) in problem.sentence
    assert hint in problem.hint


def test_a_wrong_setting_stops_what_needs_it_alone(tmp_path: Path) -> None:
    settings = configured(
        tmp_path,
        "[pagerduty]\nrouting_key = 'env:NO_SUCH_KEY'\nca_file = 'own.pem'\n[http]\nhealth_url = 80\nprobes = 4\n"
        "[collect]\ndeadline_s = 'long'\nwindow_minutes = 5\n[sqlite]\npath = 'shop.db'",
    )
    assert [(one.section, one.key, one.stops) for one in settings.problems] == [
        ("http", "health_url", True),
        ("collect", "deadline_s", False),
        ("pagerduty", "routing_key", False),
    ]
    assert (settings.collect.deadline_s, settings.collect.window_minutes) == (10.0, 5.0)
    assert (settings.pagerduty.configured, settings.pagerduty.routing_key.reveal()) == (True, "")
    settings.refuse_unusable("sqlite", "docker")
    with pytest.raises(InputError, match=r"irkit\.toml:5: http\.health_url should be a string") as refused:
        settings.refuse_unusable("sqlite", "http")
    assert "README" in refused.value.hint


def test_a_limit_that_is_wrong_keeps_its_default_and_the_source_stays(tmp_path: Path) -> None:
    settings = configured(tmp_path, "[http]\nhealth_url = 'http://shop/'\nprobes = 'three'")
    assert (settings.http.probes, settings.problem_of("http")) == (3, None)


@pytest.mark.parametrize("text", ["[redact]\naddresses = 'yes'", "[redact]\nadresses = true"])
def test_what_cannot_be_read_of_redaction_takes_out_too_much_rather_than_too_little(tmp_path: Path, text: str) -> None:
    settings = configured(tmp_path, text)
    assert settings.redact.addresses
    assert "are taken out of evidence" in settings.problems[0].effect


def test_a_section_that_is_spelt_wrongly_stops_the_one_that_is_meant(tmp_path: Path) -> None:
    settings = configured(tmp_path, "[reddis]\nurl = 'redis://cache'")
    assert settings.problem_of("redis") is not None


def test_a_file_that_is_not_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "irkit.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(InputError, match=r"irkit\.toml cannot be read"):
        load(tmp_path, ENVIRONMENT)


def test_a_secret_comes_from_the_environment_by_name(tmp_path: Path) -> None:
    settings = configured(
        tmp_path, "[redis]\nurl = 'env:CACHE_URL'", {**ENVIRONMENT, "CACHE_URL": "redis://:hunter2@cache"}
    )
    assert settings.redis.url.reveal() == "redis://:hunter2@cache"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
@pytest.mark.parametrize(
    "text",
    [
        "[redis]\nurl = 'redis://:hunter2@cache'",
        "[redis]\nurl = 'redis://u:hunter2@cache:not-a-port'",
        "[http]\nhealth_url = 'http://u:hunter2@shop/health'",
        "[prometheus]\nurl = 'http://u:hunter2@watch:9090'",
    ],
)
def test_a_password_in_a_file_others_may_read_is_neither_used_nor_told(tmp_path: Path, text: str, mode: int) -> None:
    path = tmp_path / "irkit.toml"
    path.write_text(text)
    path.chmod(mode)
    (problem,) = load(tmp_path, ENVIRONMENT).problems
    assert "holds a password and the file is readable by others" in problem.sentence
    assert "chmod 600" in problem.hint
    assert "hunter2" not in f"{problem}"
    assert load(tmp_path, ENVIRONMENT).problem_of(problem.section) == problem
    path.chmod(0o600)
    assert load(tmp_path, ENVIRONMENT).problems == ()


def test_the_store_s_password_in_a_file_others_may_read_stops_everything(tmp_path: Path) -> None:
    path = tmp_path / "irkit.toml"
    path.write_text("store_url = 'postgresql://u:hunter2@db/x'")
    path.chmod(0o644)
    with pytest.raises(InputError, match="holds a password and the file is readable by others") as refused:
        load(tmp_path, ENVIRONMENT)
    assert "hunter2" not in f"{refused.value}{refused.value.hint}"


@pytest.mark.parametrize("text", ["[redis]\nurl = 'redis://cache:6379/0'", "[http]\nhealth_url = 'http://h:80/a:b@c'"])
def test_a_url_without_a_password_may_be_read_by_all(tmp_path: Path, text: str) -> None:
    path = tmp_path / "irkit.toml"
    path.write_text(text)
    path.chmod(0o644)
    assert load(tmp_path, ENVIRONMENT).problems == ()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("redis://:hunter2@cache:6379/1", "redis://***@cache:6379/1"),
        ("postgresql://hunter2@db/x", "postgresql://***@db/x"),
        ("https://shop/health?token=hunter2#hunter2", "https://shop/health"),
        ("redis://u:hunter2@cache:port", "***"),
        ("redis://u:hunter2@[::1", "***"),
        ("hunter2", "***"),
        ("", ""),
    ],
)
def test_a_secret_never_shows(value: str, shown: str) -> None:
    secret = Secret(value)
    assert str(secret) == shown
    assert repr(secret) == f"Secret({shown})"
    assert f"{secret!r:>3}".count("hunter2") == 0
    assert secret.reveal() == value


def test_settings_show_no_secret(tmp_path: Path) -> None:
    settings = configured(
        tmp_path, "store_url = 'postgresql://u:hunter2@db/x'\n[redis]\nurl = 'redis://:hunter2@cache'"
    )
    for shown in (repr(settings), str(settings), str(settings.redis), repr(settings.redis)):
        assert "hunter2" not in shown


@pytest.mark.parametrize("queries", ["'up'", "['up']", "{ up = 1 }", "{ up = { now = 'up' } }"])
def test_queries_are_a_table_of_strings(tmp_path: Path, queries: str) -> None:
    (problem,) = configured(tmp_path, f"[prometheus]\nqueries = {queries}").problems
    assert "irkit.toml:2: prometheus.queries should be a table of strings" in problem.sentence


@pytest.mark.parametrize("section", ["docker", "http", "redis", "sqlite", "prometheus", "host"])
def test_a_target_survives_the_way_to_the_collecting_process(tmp_path: Path, section: str) -> None:
    settings = configured(
        tmp_path,
        "[docker]\nservices = ['a', 'b']\n[redis]\nurl = 'redis://:hunter2@cache'\n[http]\nhealth_url = 'http://h/'\n"
        "[prometheus]\nurl = 'http://u:hunter2@watch'\nqueries = { a = 'b', c = 'd' }\n[sqlite]\npath = 'x.db'",
    )
    target = getattr(settings, section)
    assert load_target(section, json.loads(json.dumps(dump_target(target)))) == target
    assert "hunter2" not in f"{target} {target!r}"


def test_the_host_is_made_of_the_others_and_not_configured(tmp_path: Path) -> None:
    settings = configured(tmp_path, "[sqlite]\npath = 'x.db'")
    assert (settings.host.home, settings.host.sqlite) == (str(settings.home), settings.sqlite)
    (problem,) = configured(tmp_path, "[host]\nhome = '/'").problems
    assert "host is not a setting irkit knows" in problem.sentence


def test_the_nearest_irkit_folder_is_the_home_where_no_file_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / ".irkit").mkdir()
    below = tmp_path / "project" / "notebooks"
    below.mkdir(parents=True)
    environ = {"HOME": str(tmp_path / "home")}
    assert load(below, environ).home == tmp_path / ".irkit"
    assert load(below, {**environ, "IRKIT_HOME": str(tmp_path / "own")}).home == tmp_path / "own"
    (tmp_path / "project" / "irkit.toml").write_text("")
    assert load(below, environ).home == tmp_path / "project" / ".irkit"


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("dangling", "leads nowhere: No such file"),
        ("loop", "leads nowhere: Too many levels"),
        ("folder", "is a folder"),
        ("pipe", "is no plain file"),
        ("device", "is no plain file"),
    ],
)
def test_settings_that_are_there_and_are_no_file_are_not_passed_over(tmp_path: Path, kind: str, sentence: str) -> None:
    path, below = tmp_path / "irkit.toml", tmp_path / "notebooks"
    below.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"dangling": "not-yet", "loop": "irkit.toml", "device": "/dev/zero"}[kind])
    for start, environ in ((tmp_path, ENVIRONMENT), (below, ENVIRONMENT)):
        with pytest.raises(InputError, match=f"{path} {sentence}"):
            load(start, environ)
    with pytest.raises(InputError, match="which is not a file"):
        load(below, {**ENVIRONMENT, "IRKIT_CONFIG": str(path)})


def test_the_folder_of_the_settings_itself_may_be_the_home(tmp_path: Path) -> None:
    assert configured(tmp_path, 'home = "."').home == tmp_path


def test_settings_behind_a_link_are_read(tmp_path: Path) -> None:
    (tmp_path / "shared.toml").write_text('service = "shop"\n')
    (tmp_path / "irkit.toml").symlink_to("shared.toml")
    assert load(tmp_path, ENVIRONMENT).service == "shop"


def test_a_home_of_an_unknown_user_stops_what_it_is_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"irkit\.toml:1: home is in the home of a user that is unknown here"):
        configured(tmp_path, 'home = "~nosuchuser/x"')
    with pytest.raises(InputError, match="which is not a file"):
        load(tmp_path, {**ENVIRONMENT, "IRKIT_CONFIG": "~nosuchuser/irkit.toml"})
    settings = configured(tmp_path, '[sqlite]\npath = "~nosuchuser/x"\n[redis]\nurl = "redis://cache"')
    problem = settings.problem_of("sqlite")
    assert problem
    assert "irkit.toml:2: sqlite.path is in the home of a user" in problem.sentence
    assert problem.effect == "irkit leaves alone what [sqlite] names"
    assert settings.sqlite.path == ""
    assert settings.problem_of("redis") is None
    assert configured(tmp_path, '[recorder]\npath = "~nosuchuser/x"').recording.path.endswith("/.irkit/recorder")
    assert configured(tmp_path, 'runbook = "~nosuchuser/x.md"').runbook == tmp_path / "~nosuchuser/x.md"


def test_where_the_user_has_no_home_it_is_said_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this user has no home directory") as refused:
        load(tmp_path, {"HOME": "~nosuchuser"})
    assert "IRKIT_HOME" in refused.value.hint
    assert load(tmp_path, {"HOME": "~nosuchuser", "IRKIT_HOME": "/data"}).home == Path("/data")


@pytest.mark.parametrize("key", ["home", "runbook", "service", "store_url"])
def test_a_setting_of_the_head_written_as_a_section_is_told_where_it_belongs(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match=f"irkit.toml:1: {key} is a setting, and no section") as refused:
        configured(tmp_path, f"[{key}]\npath = 'x'")
    assert refused.value.hint == f'write {key} = "…" at the head of the file, before its first section'
