"""The rules that find secrets: the vendors' formats, our names and places, and what is left alone."""

from __future__ import annotations

import base64
import json
import re
from random import Random

import pytest

from irkit.redact import Redactor
from irkit.redact import rules as redaction_rules
from tests.support.made_up import secrets_of

REDACTOR = Redactor(b"k" * 32)
VALUE = "s3cr3t-" + "pass"
SAMPLE = """\
INFO:     10.0.3.7:51234 - "GET /api/health?probe=1 HTTP/1.1" 200 OK
2026-11-24T03:05:00.123456Z jarvis-api-7d9f8c6b5-x2x1z container 3f4e8a9b2c1d7e6f5a4b3c2d1e0f9a8b7c6d5e4f started
Traceback (most recent call last): File "/app/core/providers/base.py", line 214, in complete_with_retry
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked
commit 9fceb02d0ae598e95dc970b74767f19372d61af8 by renovate[bot]
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
req_id=0f8fad5b-d9cf-469f-a165-70867728950e user=17 took 204 ms
ratelimit:provider:alpha 17 of 60, resets in 12 s
Unexpected token < in JSON at position 0
bearer authentication failed for unknown client
Failed password for invalid user admin from 10.0.0.7 port 52110 ssh2
/etc/passwd: No such file or directory
key=user:profile:17 hit=false ttl_s=30 primary_key=id cache_key=route_table_for_eu_central
org.apache.hadoop.hdfs.server.namenode.FSNamesystem: BLOCK* allocateBlock blk_-1608999687919862906
01ARZ3NDEKTSV4RRFFQ69G5FAV accepted; testShouldReturn404WhenTheUserWasNotFoundTwice passed
password: *** api_key=None token=${TOKEN} secret: <hidden> PASSWORD=[FILTERED]
""".splitlines()


def test_the_catalogue_of_vendors_is_found_plain_and_in_escaped_json() -> None:
    """Each rule of the scanner's, with secrets made up from its own pattern: 99 % of them go in either form."""
    catalogue, random = redaction_rules.vendor_rules().rules, Random(7)  # noqa: S311 (examples, not secrets)
    missed: dict[str, list[str]] = {"plain": [], "escaped": []}
    total = 0
    for row in catalogue.metadata():
        detail = catalogue.detail(row["id"])
        if not row["visible"] or detail["path"] or "[[:" in detail["pattern"]:
            continue  # a part of another, only for certain files, or of a syntax that the maker does not speak
        for text, secret in secrets_of(detail["pattern"], random, 3, detail["betterleaks_secret_group"] or 0):
            total += 1
            if secret in REDACTOR.text(f"got {text} back")[0]:
                missed["plain"].append(row["id"])
            escaped = json.dumps(json.dumps({"body": f"first\n{text}\nlast"}))
            if json.dumps(json.dumps(secret))[3:-3] in REDACTOR.text(escaped)[0]:
                missed["escaped"].append(row["id"])
    assert total > 1200
    assert {form: ids for form, ids in missed.items() if len(ids) > total / 100} == {}


@pytest.mark.parametrize(
    "text",
    [
        f"DB_PASSWORD={VALUE}",
        f"  password     => '{VALUE}',",
        f'"dbPassword":"{VALUE}"',
        f"password=b'{VALUE}'",
        f'{{"password": "{VALUE}',
        f'if creds.Secret != "{VALUE}"',
        f"--token {VALUE}",
        f'cmd=["tool","--api-key","{VALUE}"]',
        f"<password>{VALUE}</password>",
        f'<add key="SmtpPassword" value="{VALUE}"/>',
        f"ALTER USER app IDENTIFIED BY '{VALUE}'",
        f"CONFIG SET requirepass {VALUE}",
        f"curl -sf -u admin:{VALUE} http://x/",
        f"machine x login y password {VALUE}",
        f"redis://:{VALUE}@cache:6379/0",
        f"https://acme.blob.core.windows.net/c?sv=2022&sig={VALUE}%3D",
        f"Authorization: Bearer {VALUE}",
        f"[('authorization', 'Basic {VALUE}')]",
        f"Set-Cookie: sid={VALUE}; Path=/",
        f"x-api-key: {VALUE}",
        f"the default password is '{VALUE}'",
        "acme_" + "q9Zt4Lw81Kx0Vb7Nc3Rm5Ty2",
    ],
)
def test_a_secret_is_found_by_its_name_or_place_in_every_form_of_text(text: str) -> None:
    secret = VALUE if VALUE in text else text
    for form in (text, json.dumps(text), json.dumps({"log": json.dumps({"m": text})}), f"2026 INFO {text}\nnext"):
        made, count = REDACTOR.text(form)
        assert secret not in made
        assert count


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (f"GET /login?pass={VALUE}&x HTTP/1.1", "GET /login?pass=[]&x HTTP/1.1"),
        (f"POST /login pass={VALUE}&user=jo", "POST /login pass=[]&user=jo"),
        (f"user=jo pass={VALUE} host=db", "user=jo pass=[] host=db"),
        ("user=jo, pass: quitesecret", "user=jo, pass: []"),
        (f"pass={VALUE}", "pass=[]"),
        (f"pw = {VALUE}, more", "pw = [], more"),
        (f'{{"pw":"{VALUE}"}}', '{"pw":"[]"}'),
        (f"[('user', 'jo'), ('password', '{VALUE}')]", "[('user', 'jo'), ('password', '[]')]"),
        (f'[["password", "{VALUE}"], 1]', '[["password", "[]"], 1]'),
        (f"`password`: `{VALUE}`", "`password`: `[]`"),
        (f"**password**: {VALUE}", "**password**: []"),
        (f"**password:** {VALUE}", "**password:** []"),
        (f'os.environ["DB_PASSWORD"] = "{VALUE}"', 'os.environ["DB_PASSWORD"] = "[]"'),
        (f"password: str = '{VALUE}'", "password: str = '[]'"),
        (f"tool\0--password\0{VALUE}\0--port\x001", "tool\0--password\0[]\0--port\x001"),
        (f"redis-cli -h cache AUTH {VALUE}", "redis-cli -h cache AUTH []"),
        (f"tool\0--password\0${VALUE}\0-v", "tool\0--password\0[]\0-v"),
        (f"redis AUTH {VALUE}", "redis AUTH []"),
        (f'1.2 [0 10.0.0.1:5] "AUTH" "jo" "{VALUE}"', '1.2 [0 10.0.0.1:5] "AUTH" "jo" "[]"'),
        (f"docker login -u jo -p {VALUE} registry.test", "docker login -u jo -p [] registry.test"),
        (f"jdbc:oracle:thin:jo/{VALUE}@//db:1521/x", "jdbc:oracle:thin:[]@//db:1521/x"),
        (f"sqlplus -s jo/{VALUE}@db", "sqlplus -s []@db"),
        (f"mongodb+srv://jo:p@ss/{VALUE}@db/shop?w=1", "mongodb+srv://[]@db/shop?w=1"),
        (f"password:\n  {VALUE}\nport: 1", "password:\n  []\nport: 1"),
        ("password: |\n  quitesecret\nport: 1", "password: |\n  []\nport: 1"),
        (f'DB_PASSWORD = \\\n    "{VALUE}"', 'DB_PASSWORD = \\\n    "[]"'),
        (f"Passwort: {VALUE}", "Passwort: []"),
        (f"mot de passe : {VALUE}", "mot de passe : []"),
        (f"la contraseña={VALUE} es", "la contraseña=[] es"),
        (f"the password is {VALUE}.", "the password is []."),
        (f"connecting using password {VALUE}, wait", "connecting using password [], wait"),
        (f"password=SecretStr('{VALUE}'), port=1", "password=SecretStr('[]'), port=1"),
        (f"password=getenv('PW','{VALUE}')", "password=getenv('PW','[]')"),
        (f'token = os.environ.get("TOKEN", default="{VALUE}")', 'token = os.environ.get("TOKEN", default="[]")'),
        (f"secret=SecretStr(config('S', '{VALUE}'))", "secret=SecretStr(config('S', '[]'))"),
        (f'api_key=Key(value=b"{VALUE}")', 'api_key=Key(value=b"[]")'),
        (
            f"create table u(id int, password text default '{VALUE}')",
            "create table u(id int, password text default '[]')",
        ),
        (
            f'"api_key" varchar(64) NOT NULL\n  COLLATE nocase DEFAULT ("{VALUE}"), a text default \'b\'',
            '"api_key" varchar(64) NOT NULL\n  COLLATE nocase DEFAULT ("[]"), a text default \'b\'',
        ),
        ("alter table u add column [secret] default 'it''s me'", "alter table u add column [secret] default '[]'"),
    ],
)
def test_only_the_secret_goes_and_a_second_look_changes_nothing(text: str, made: str) -> None:
    redacted, count = REDACTOR.text(text)
    assert count == 1
    assert re.sub(r"\[redacted:[a-z-]+:[0-9a-f]{8}\]", "[]", redacted) == made
    assert REDACTOR.text(redacted) == (redacted, 0)
    if VALUE in text:
        assert VALUE not in REDACTOR.text(json.dumps({"log": json.dumps({"m": text})}))[0]


def test_a_value_on_the_next_line_of_a_log_is_found() -> None:
    made, _ = REDACTOR.texts(["db_password:", f"   {VALUE}", "next"])
    assert (made[0], made[2]) == ("db_password:", "next")
    assert VALUE not in made[1]


@pytest.mark.parametrize(
    "text",
    [
        "pass=12 fail=3",
        "pass: 3, fail: 0",
        'PASS: tests/foo1.c "all"',
        "pass=98.5% skipped=2 pass=100.0ms pass=2/3 pass=first pass=2026-11-28T10:00:00Z",
        "compass=north42x bypass=true1234 surpass=yes",
        "the pw was set, pw=off, pw: none",
        "/report?pass=2&fail=3",
        "user=jo pass: 3 fail: 2",
        "password is required",
        "the password is too short",
        "the password is sha256-hashed, using password authentication",
        "Access denied for user 'jo'@'db' (using password: YES)",
        "password=SecretStr('**********') secret=None",
        "password=getenv('DB_PASSWORD') token=os.environ['TOKEN_FOR_X']",
        "secret: config.get('vault.path', None)",
        'fields = ("password", "email"), ("api_key", "new_password")',
        '["password", "email"]',
        "scrypt('password', 'salt', 64)",
        "pw = buffer[:-1]",
        '{"password": ["This field is required."]}',
        '"secret": {"secretName": "db-credentials"}',
        "password:\n  type: string\n",
        "password:\n    required\n",
        "Unexpected token:\n    ^^^^^^^^\n",
        "Invalid token:\n    self.token\n",
        "redis AUTH failed, redis auth error: none, AUTH LOGIN PLAIN",
        "docker run --name login -p 8080:80 web",
        "docker login -u jo registry.test",
        "create table u(password text, status text default 'new')",
        "create table u(password text not null default '', status text default 'new')",
        "create table t(token text default null, kind text)",
        "[my-secret]: fetched 3 rows",
        "https://registry.test/npm/@scope/package redis://cache:6379/0 to jo@example.com",
        "Passwort falsch, mot de passe incorrect",
    ],
)
def test_idle_words_beside_a_name_stay(text: str) -> None:
    assert REDACTOR.text(text) == (text, 0)


def test_short_names_are_names_of_fields_too() -> None:
    made, count = REDACTOR.value({"pw": VALUE, "pass": VALUE, "db_pw": VALUE, "bypass": "always", "passed": "12"})
    assert count == 3
    assert VALUE not in str(made)
    assert REDACTOR.value({"pass": "12", "fail": "3"}) == ({"pass": "12", "fail": "3"}, 0)
    assert REDACTOR.value({"pass": 12, "pw": True}) == ({"pass": 12, "pw": True}, 0)


@pytest.mark.parametrize("line", SAMPLE)
def test_what_helps_in_diagnosis_stays(line: str) -> None:
    assert REDACTOR.text(line) == (line, 0)


def test_a_token_inside_base64_is_found() -> None:
    hidden = base64.b64encode(b"token ghp_" + b"q9Zt4Lw81Kx0Vb7Nc3Rm5Ty2Hd6Jf8Sg1Pa4").decode()
    assert hidden not in REDACTOR.text(f"data: {hidden}")[0]


def test_no_comment_in_the_text_switches_the_rules_off() -> None:
    token = "ghp_" + "q9Zt4Lw81Kx0Vb7Nc3Rm5Ty2Hd6Jf8Sg1Pa4"
    assert token not in REDACTOR.text(f"{token}  # gitleaks:allow betterleaks:allow kingfisher:ignore")[0]


def test_a_key_printed_over_several_lines_goes_from_all_of_them() -> None:
    body = ["MIIEpAIBAAKCAQEA" + letter * 48 for letter in "abc"]
    lines = ["before", "-----BEGIN RSA PRIVATE KEY-----", *body, "-----END RSA PRIVATE KEY-----", "after"]
    made, counts = REDACTOR.texts(lines)
    assert (made[0], made[-1], len(made)) == ("before", "after", len(lines))
    assert all(line.startswith("[redacted:private-key:") for line in made[1:-1])
    assert counts["private-key"] == 5
    cut, _ = REDACTOR.text("\n".join(lines[1:4]))  # a log that ends inside of it
    assert cut.startswith("[redacted:private-key:")
    assert "MII" not in cut


def test_a_secret_found_once_by_its_name_is_replaced_where_it_has_none() -> None:
    made, _ = REDACTOR.texts([f"password={VALUE}", "an ordinary line", f"login of jo with {VALUE} refused"])
    assert VALUE not in "".join(made)
    assert made[0].removeprefix("password=") in made[2]


def test_characters_beyond_ascii_move_no_boundary() -> None:
    text = f"caf\udce9 naïve → password=pä{VALUE} 𝄞 end"
    made, count = REDACTOR.text(text)
    assert count == 1
    assert made.startswith("caf\udce9 naïve → password=[redacted:assignment:")
    assert made.endswith("] 𝄞 end")
    other, _ = REDACTOR.text(text.replace("ä", "ö"))
    assert other != made


def test_lines_and_cells_come_back_as_many_as_they_were() -> None:
    texts = ["", "password=x1y2z3", "two\nlines token=abcdef123", "", "last"] * 3
    made, counts = REDACTOR.texts(texts)
    assert len(made) == len(texts)
    assert [text for text, before in zip(made, texts, strict=True) if text != before] == [
        text for text in made if "[redacted:" in text
    ]
    assert counts.total() == 6


def test_addresses_are_replaced_on_request_only() -> None:
    text = "jo@example.com at 10.1.2.3 and 2001:db8::1 over https://db.internal.example.com:5432/, not 127.0.0.1"
    assert REDACTOR.text(text) == (text, 0)
    made, count = Redactor(b"k" * 32, addresses=True).text(text)
    assert count == 4
    assert "example" not in made
    assert "10.1.2.3" not in made
    assert "2001:db8" not in made
    assert made.endswith("not 127.0.0.1")


def test_a_host_is_found_also_where_the_name_and_password_before_it_were_replaced_already() -> None:
    redactor = Redactor(b"k" * 32, addresses=True)
    text = "postgres://[redacted:userinfo:0a1b2c3d]@db.internal:5432/shop for user=jo@example.com\n@app.route(path)"
    made, count = redactor.text(text)
    assert count == 2
    assert made.startswith("postgres://[redacted:userinfo:0a1b2c3d]@[redacted:host:")
    assert " user=[redacted:email:" in made
    assert made.endswith("\n@app.route(path)")


def test_a_named_pair_is_read_as_name_and_value() -> None:
    made, counts = REDACTOR.tree({"Env": [{"name": "DB_PASSWORD", "value": VALUE}, {"name": "PORT", "value": "80"}]})
    assert VALUE not in str(made)
    assert "80" in str(made)
    assert counts.total() == 1


@pytest.mark.parametrize(
    "piece",
    [
        "\\",
        '\\"',
        "password=a1b2c3d4 ",
        "-----BEGIN PRIVATE KEY-----",
        "://a:",
        "a1b2c3d4e5f6g7h8i9j0k1 ",
        "password=f(",
        "password\n",
        "password text ",
    ],
)
def test_no_input_takes_more_than_a_look(piece: str) -> None:
    """Time is not asserted: an engine that backtracks would not come back from this."""
    made, _ = REDACTOR.text(piece * 20_000)
    assert made


def test_a_long_secret_is_found_wherever_else_it_stands() -> None:
    secret = "".join(f"x{number:x}Z" for number in range(200))
    assert len(secret) > 256
    made, counts = REDACTOR.text(f"password={secret} and then {secret}, and no other")
    assert secret not in made
    assert counts == 2
