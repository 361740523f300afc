"""URLs as people write them by mistake: what of them is shown, and what passes for a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.errors import InputError
from irkit.escalate import tell as escalate
from irkit.escalate.contract import DeliveryError, Message
from irkit.settings import RedisTarget, Secret, SlackTarget, load
from irkit.settings.urls import may_hold_password, shown, without_secrets
from tests.support.command_line import Run, runner

SECRET = "hunter2secret"  # noqa: S105 (made up)
# the ways in which a URL with a password is written wrongly, {} its scheme
MALFORMED = (
    "{}://app:hunter2secret/x",
    "{}://u:hunter2secret@[::1/x",
    "{}://u:hunter2secret@db.invalid:notaport/x",
    "{}://u:hunter2secret@db.invalid:99999/x",
    "{}://u:hunter2secret@/x",
    "{}://u:hunter2secret@db..invalid/x",
    "{}://u:#hunter2secret@db.invalid/x",
)
# where a URL may stand: the section, and its scheme
SETTINGS = {
    'store_url = "{}"': "postgresql",
    '[database]\nurls = {{ main = "{}" }}': "postgresql",
    '[redis]\nurl = "{}"': "redis",
    '[http]\nhealth_url = "{}"': "http",
    '[prometheus]\nurl = "{}"': "http",
    '[docker]\nhost = "{}"': "tcp",
    '[providers]\nswitch_url = "{}"': "http",
    '[providers]\nkey_urls = {{ main = "{}" }}': "http",
    '[email]\nurl = "{}"\nsender = "a@b.invalid"\nto = ["c@b.invalid"]': "smtp",
    '[slack]\nwebhook_url = "{}"': "http",
    '[slack]\nurl = "{}"\ntoken = "xoxb-made-up"\nchannel = "x"': "http",
    '[tickets]\njira_url = "{}"\njira_project = "A"\njira_token = "made-up"': "http",
    '[tickets]\ngithub_url = "{}"\ngithub_repository = "a/b"\ngithub_token = "made-up"': "http",
    f'[pagerduty]\nurl = "{{}}"\nrouting_key = "{"a" * 32}"': "https",
}


@pytest.fixture
def irkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


@pytest.mark.parametrize("malformed", MALFORMED)
@pytest.mark.parametrize("text", SETTINGS)
def test_a_malformed_url_is_a_sentence_without_its_password(
    irkit: Run, tmp_path: Path, text: str, malformed: str
) -> None:
    url = malformed.format(SETTINGS[text])
    limits = "[escalation]\nattempts = 1\ntimeout_s = 0.5\n[collect]\ndeadline_s = 2\nrun_deadline_s = 4\n"
    (tmp_path / "irkit.toml").write_text(f"{text.format(url)}\n{limits}")
    (tmp_path / "irkit.toml").chmod(0o600)
    # an exception that is none of ours would leave the command as it is
    said = [irkit("open", "Down", "--id", "1"), irkit("list"), irkit("act", "1", "check-database", "--apply")]
    said += [irkit("act", "1", "switch-provider", "main", "--apply"), irkit("act", "1", "check-api-key", "main")]
    assert any(one.err for one in said)
    for one in said:
        assert SECRET not in one.out + one.err
    kept = [each for each in tmp_path.rglob("*") if each.is_file() and each.name != "irkit.toml"]
    assert not [each for each in kept if SECRET.encode() in each.read_bytes()]


@pytest.mark.parametrize("section", ["http", "redis", "prometheus"])
@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_source_with_a_malformed_url_is_not_looked_at_and_the_others_are(
    irkit: Run, tmp_path: Path, section: str, malformed: str
) -> None:
    (key, scheme), *_ = [
        (text.split(" = ")[0], scheme) for text, scheme in SETTINGS.items() if text.startswith(f"[{section}]")
    ]
    (tmp_path / "irkit.toml").write_text(f'{key} = "{malformed.format(scheme)}"\n')
    (tmp_path / "irkit.toml").chmod(0o600)
    irkit("open", "Down", "--id", "1")
    said = irkit("collect", "1")
    assert said.code in {0, 6}, said.err
    assert "What was looked at" in said.out
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize("malformed", MALFORMED)
@pytest.mark.parametrize("text", SETTINGS)
def test_a_malformed_url_in_a_file_others_may_read_is_noticed(tmp_path: Path, text: str, malformed: str) -> None:
    (tmp_path / "irkit.toml").write_text(text.format(malformed.format(SETTINGS[text])))
    (tmp_path / "irkit.toml").chmod(0o644)
    try:
        told = [one.sentence for one in load(tmp_path, {"HOME": "/home/ana"}).problems]
    except InputError as error:
        told = [str(error)]
    assert any("holds a password and the file is readable by others" in one for one in told)
    assert SECRET not in "".join(told)


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache:6379/0",
        "redis://[::1]:6379/0",
        "redis://[::1/0",
        "postgresql://a:5432,b:5433/shop",
        "postgresql://app@db/shop",
        "http://shop:80/a:b@c",
        "http://shop:8000",
        "unix:///var/run/docker.sock",
        "ssh://deploy@host",
        "smtp://mail.invalid:25",
        "nonsense",
        "",
    ],
)
def test_a_url_without_a_password_passes_for_none(url: str) -> None:
    assert not may_hold_password(url)
    assert without_secrets(f"{url} cannot be used", url) == f"{url} cannot be used"


@pytest.mark.parametrize("url", ["redis://u:12/hunter2secret@h/0", "redis://u:12#hunter2secret@h", "redis://u@1/2@h/0"])
def test_of_a_password_that_looks_like_a_port_nothing_is_shown(url: str) -> None:
    assert shown(url) == "***"
    assert "hunter2" not in f"{RedisTarget(Secret(url))} {RedisTarget(Secret(url)).place}"


def test_parts_of_a_password_are_taken_out_of_what_a_library_says() -> None:
    url = "http://app:hunter6%40secret/h?access_token=longenough"
    said = without_secrets("port 'hunter6@secret' or hunter6%40secret, longenough", url)
    assert said == "port '***' or ***, ***"
    assert without_secrets("no host secret/h", "redis://u:top/secret/h@x") == "no host ***/h"


def test_what_a_channel_s_library_says_of_its_url_is_told_without_the_password() -> None:
    known, _ = escalate.channels()
    target = SlackTarget(webhook_url=Secret("http://app:hunter6secret/h"), configured=True)
    assert known["slack"].lacks(target) == "a webhook_url that is one"
    with pytest.raises(DeliveryError) as refused:
        known["slack"].send(target, Message("key", "Down", "", "", "High", 0), 1.0)
    assert "hunter6" not in str(refused.value)
