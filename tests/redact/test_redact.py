"""Redaction: secrets go, the same secret stays recognisable, and what is no secret stays as it is."""

from __future__ import annotations

import resource
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from irkit.errors import StoreError
from irkit.redact import KEY_NAME, Redactor, installation_key

REDACTOR = Redactor(b"k" * 32)
# put together here, so that no scanner takes this file for a leak
FAKE = {
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + "a1B2" * 9,
    "slack": "xoxb-" + "123456789012-abcdefghijkl",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "provider": "sk-" + "proj-abcdefghijklmnopqrstuvwxyz123456",
    "google": "AIza" + "SyA-1234567890abcdefghijklmnopqrstu",
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" + "." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA" + "x" * 60 + "\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("secret", FAKE.values(), ids=FAKE.keys())
def test_a_vendor_token_is_replaced_wherever_it_stands(secret: str) -> None:
    for text in (secret, f"calling with {secret} failed", f'{{"body": "{secret}"}}', f"https://x.test/?k={secret}&b=1"):
        made, count = REDACTOR.text(text)
        assert secret not in made
        assert count >= 1


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("redis://:s3cr3t-pass@cache:6379/0", "redis://[redacted:userinfo:"),
        ("postgresql://app:s3cr3t-pass@db/app", "postgresql://[redacted:userinfo:"),
        ("DB_PASSWORD=s3cr3t-pass next", "DB_PASSWORD=[redacted:assignment:"),
        ('{"api_key": "s3cr3t-pass"}', '{"api_key": "[redacted:assignment:'),
        ("Authorization: Bearer s3cr3t-pass.abc", "Authorization: Bearer [redacted:authorization:"),
        ("Cookie: session=s3cr3t-pass; theme=dark", "Cookie: [redacted:cookie:"),
    ],
)
def test_a_named_secret_is_replaced_and_its_surroundings_stay(text: str, made: str) -> None:
    redacted, count = REDACTOR.text(text)
    assert "s3cr3t-pass" not in redacted
    assert redacted.startswith(made)
    assert count == 1


@pytest.mark.parametrize(
    "text",
    [
        'INFO:     127.0.0.1:5000 - "GET /api/health HTTP/1.1" 200 OK',
        "token expired",
        "password: None",
        "the secretary=Jo took the tokens home",
        "jarvis-api-1  | sqlite3.DatabaseError: database disk image is malformed",
        "http://user@host/path?page=2",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "ratelimit:provider:alpha 17",
    ],
)
def test_an_ordinary_line_stays_as_it_is(text: str) -> None:
    assert REDACTOR.text(text) == (text, 0)


def test_the_same_secret_has_the_same_placeholder_and_another_key_another() -> None:
    first, _ = REDACTOR.text(f"a {FAKE['github']}")
    second, _ = REDACTOR.text(f"b {FAKE['github']}")
    other, _ = Redactor(b"x" * 32).text(f"a {FAKE['github']}")
    assert first[2:] == second[2:]
    assert first != other


def test_redacting_twice_changes_nothing_more() -> None:
    once, _ = REDACTOR.text("password=s3cr3t-pass redis://:pw@host/0")
    assert REDACTOR.text(once) == (once, 0)


def test_values_are_redacted_by_the_name_of_their_key_and_by_their_text() -> None:
    value = {
        "requirepass": "s3cr3t-pass",
        "list": ["password=s3cr3t-pass"],
        "port": 6379,
        "note": "fine",
        "token": None,
    }
    made, count = REDACTOR.value(value)
    assert "s3cr3t-pass" not in str(made)
    assert count == 2
    assert isinstance(made, dict)
    assert (made["port"], made["note"], made["token"]) == (6379, "fine", None)


def test_what_is_empty_stays_empty() -> None:
    empty = {"suspects": [], "env": {}, "argv": [""], "nested": [[], [[]], ()], "text": ""}
    assert REDACTOR.value(empty) == ({**empty, "nested": [[], [[]], []]}, 0)


def test_a_number_and_the_word_after_an_option_are_secrets_as_they_are_in_text() -> None:
    value = {
        "password": 48151623,
        "token": 12,
        "max_tokens": 4096,
        "argv": ["redis-server", "--requirepass", "s3cr3t-pass", "--port", "6379"],
        "test": ["CMD", "tool", "--api-key", "s3cr3t-pass"],
        "flags": ["--password", 48151623, "--token"],
    }
    made, count = REDACTOR.value(value)
    assert "s3cr3t-pass" not in str(made)
    assert "48151623" not in str(made)
    assert count == 4
    assert isinstance(made, dict)
    assert (made["token"], made["max_tokens"], made["argv"][3:]) == (12, 4096, ["--port", "6379"])


def test_a_huge_hostile_line_is_read_in_one_go() -> None:
    for piece in ("password=", "eyJ", "-----BEGIN PRIVATE KEY-----", "://a:", "token", "authorization:"):
        made, _ = REDACTOR.text(piece * 20_000)
        assert made


def test_the_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    home = tmp_path / "home"
    key = installation_key(home)
    assert installation_key(home) == key
    assert len(key) == 32
    assert stat.S_IMODE((home / KEY_NAME).stat().st_mode) == 0o600


def test_a_key_that_finds_no_room_leaves_nothing_and_the_next_one_is_whole(tmp_path: Path) -> None:
    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    code = "import sys, pathlib; from irkit.redact import installation_key as k; k(pathlib.Path(sys.argv[1]))"
    tried = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], preexec_fn=full, capture_output=True, text=True, check=False
    )
    assert "cannot be used: File too large" in tried.stderr
    assert list(tmp_path.iterdir()) == []
    assert len(installation_key(tmp_path)) == 32


def test_of_many_that_make_the_key_at_once_all_get_the_same(tmp_path: Path) -> None:
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            made = set(pool.map(installation_key, [tmp_path / str(number)] * 8))
        assert len(made) == 1
        assert [path.name for path in (tmp_path / str(number)).iterdir()] == [KEY_NAME]


def test_a_damaged_key_is_refused_since_placeholders_would_no_longer_match(tmp_path: Path) -> None:
    (tmp_path / KEY_NAME).write_bytes(b"short")
    with pytest.raises(StoreError, match="not a redaction key"):
        installation_key(tmp_path)
